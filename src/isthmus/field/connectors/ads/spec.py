"""What a person writes about an ADS source, and how a symbol of it is named."""

import re
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Host, Port, Seconds

_BYTE: Final = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4: Final = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}", re.ASCII)
_NAME: Final = r"[A-Za-z_]\w*(?:\[-?\d+(?:,-?\d+)*\])*\^?"
_SYMBOL: Final = re.compile(rf"\.?{_NAME}(?:\.{_NAME})*", re.ASCII)
LONGEST_NAME: Final = 255

NetId = Annotated[str, Field(pattern=rf"^{_BYTE}(?:\.{_BYTE}){{5}}$")]
"""`5.81.107.190.1.1`: six numbers from 0 to 255."""


class AdsSource(SourceSpec):
    """The symbols of one TwinCAT runtime."""

    counts_requests: ClassVar[bool] = True

    kind: Literal["ads"] = "ads"
    host: Host
    port: Port = 48898
    """Of the TwinCAT router."""
    net_id: NetId | None = None
    """AMS Net Id of the controller; without it the host's IPv4 address and `.1.1`."""
    ams_port: int = Field(default=851, ge=1, le=65535)
    """Of the runtime: 851, 852 … in TwinCAT 3, 801, 811 … in TwinCAT 2."""
    local_net_id: NetId | None = None
    """Ours, to which the controller's route leads; without it our IPv4 address and `.1.1`."""
    notifications: bool = True
    """False: everything is asked for once per `interval`."""
    timeout: Seconds = Field(default=3.0, gt=0)
    """For connecting and for each answer; one answer that does not come is a lost controller."""
    encoding: Literal["cp1252", "latin-1", "utf-8"] = "cp1252"
    """Of STRING; WSTRING is UTF-16."""

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        if self.net_id is None and _IPV4.fullmatch(self.host) is None:
            raise ValueError("`net_id` is needed where `host` is a name; TwinCAT's router shows it")
        return self

    @property
    def target(self) -> str:
        """The AMS Net Id we talk to."""
        return self.net_id or f"{self.host}.1.1"

    @property
    def reaches(self) -> str | None:
        return f"{self.host}:{self.port}".lower()

    @classmethod
    def parse_tag(cls, tag: str) -> str:
        """Check `MAIN.fTemp`, `GVL.aCounts[3]`, `MAIN.stRecipe.aZones[1,2].fTemp`, `.bRun`."""
        if _SYMBOL.fullmatch(tag) is None:
            raise ValueError(
                f"`{tag}` is no symbol; write `MAIN.fTemp`, `GVL.aCounts[3]`, "
                "`MAIN.stRecipe.fTemp` or, in TwinCAT 2, `.bRun`"
            )
        if len(tag) > LONGEST_NAME:
            raise ValueError(f"`{tag[:20]}…` is longer than {LONGEST_NAME} characters")
        return tag
