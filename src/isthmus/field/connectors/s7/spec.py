"""What a person writes about an S7 source; no driver here."""

from typing import ClassVar, Literal

from pydantic import Field

from isthmus.field.connectors.s7.address import Address, parse_tag
from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Host, Port, Seconds


class S7Source(SourceSpec):
    """Data blocks, markers, inputs and outputs of one SIMATIC S7 (PUT/GET communication)."""

    counts_requests: ClassVar[bool] = True

    kind: Literal["s7"] = "s7"
    host: Host
    port: Port = 102
    rack: int = Field(default=0, ge=0, le=7)
    """0 but for S7-400 stations of several racks."""
    slot: int = Field(default=1, ge=0, le=31)
    """Of the CPU: 1 for S7-1200 and S7-1500, 2 for S7-300; S7-400 as the hardware says."""
    connection: Literal["pg", "op", "basic"] = "basic"
    """Which of the CPU's connections we take; `basic` leaves those of engineers and panels free."""
    encoding: Literal["ascii", "latin-1", "cp1250", "cp1251", "cp1252", "gbk", "utf-8"] = "cp1252"
    """Of `char` and `string`: the code page of the engineering computer. `wstring` has none."""
    timeout: Seconds = Field(default=3.0, gt=0)
    """For connecting and for each answer; one answer that does not come is a lost device."""
    pdu: int = Field(default=960, ge=240, le=960)
    """Longest message we ask for; the CPU may grant less: 240 (S7-300, 1200), 480 (S7-400)."""
    max_gap: int = Field(default=16, ge=0, le=200)
    """Bytes that nobody asked for and that are read all the same to save an item of a request."""

    @property
    def reaches(self) -> str | None:
        return f"{self.host}:{self.port}".lower()

    @classmethod
    def parse_tag(cls, tag: str) -> Address:
        """Read `DB10.4:real`, `DB10.14.0:bool`, `M20:int`, `DB10.DBD4:real`, `MW20`, …."""
        return parse_tag(tag)
