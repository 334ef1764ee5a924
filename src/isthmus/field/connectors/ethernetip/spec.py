"""What a person writes about an EtherNet/IP source, and how a tag of it is addressed."""

import re
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Host, Port, Seconds

BITS_PER_WORD: Final = 32
"""A BOOL array is stored, and read, as an array of DWORDs."""

_PROGRAM: Final = re.compile(r"(?P<program>Program:\w+)\.(?P<rest>.+)", re.IGNORECASE | re.ASCII)
_SEGMENT: Final = re.compile(
    r"(?P<name>[A-Za-z_]\w*(?::\w+)*)(?:\[(?P<index>\d{1,9}(?:,\d{1,9}){0,2})\])?", re.ASCII
)
_PORTS: Final = r"(?:backplane|bp|enet|cnet|dnet|dhrio-a|dhrio-b|dh485-a|dh485-b|\d{1,2})"


class EthernetIpSource(SourceSpec):
    """The tags of one Logix controller (ControlLogix, CompactLogix, Micro800)."""

    counts_requests: ClassVar[bool] = True

    kind: Literal["ethernetip"] = "ethernetip"
    host: Host
    port: Port = Field(default=44818, le=65534)
    slot: int | None = Field(default=0, ge=0, le=255)
    """The controller's place in its chassis; `null` where there is none, as with a Micro800."""
    path: str | None = Field(default=None, pattern=rf"^{_PORTS}/[\w.]+(?:/{_PORTS}/[\w.]+)*$")
    """A route through other chassis instead of `slot`: `backplane/2/enet/10.0.5.6/backplane/0`."""
    timeout: Seconds = Field(default=3.0, gt=0)
    """For connecting and for each answer; one answer that does not come is a lost controller."""
    connection_size: int = Field(default=4000, ge=200, le=4000)
    """Bytes per request and answer. A controller that grants no more than 500 gets 500."""
    encoding: Literal["ascii", "latin-1", "utf-8"] = "utf-8"
    """Of strings."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if ":" in self.host:
            raise ValueError("`host`: the driver takes a name or an IPv4 address")
        if self.path is not None and "slot" in self.model_fields_set and self.slot is not None:
            raise ValueError("a `path` ends at the controller's own slot: leave `slot` out")
        return self

    @property
    def route(self) -> str:
        """From the network card to the controller; empty where the card is the controller."""
        if self.path is not None:
            return self.path
        return "" if self.slot is None else f"backplane/{self.slot}"

    @property
    def reaches(self) -> str | None:
        return f"{self.host}:{self.port}".lower()

    @classmethod
    def parse_tag(cls, tag: str) -> "TagAddress":
        """Read `Count`, `Program:Main.Step`, `Counts[3]`, `Recipe.Zones[2].Temp`, `Status.4`, …."""
        in_program = _PROGRAM.fullmatch(tag)
        first = (Segment(in_program["program"]),) if in_program is not None else ()
        names = (in_program["rest"] if in_program is not None else tag).split(".")
        last = names[-1]
        bit = _bit(names.pop()) if len(names) > 1 and last.isascii() and last.isdecimal() else None
        return TagAddress((*first, *(_segment(name, tag) for name in names)), bit)


@dataclass(frozen=True)
class Segment:
    """One name of a tag's path, and which element of its array."""

    name: str
    index: tuple[int, ...] = ()


@dataclass(frozen=True)
class TagAddress:
    """What one tag reads."""

    segments: tuple[Segment, ...]
    bit: int | None = None
    """Of an integer, or of a word of a BOOL array: 0 is the lowest."""

    @property
    def as_bit_of_word(self) -> "TagAddress | None":
        """The same tag if its array is one of BOOLs: `Flags[37]` is bit 5 of word 1."""
        last = self.segments[-1]
        if self.bit is not None or len(last.index) != 1:
            return None
        word, bit = divmod(last.index[0], BITS_PER_WORD)
        return TagAddress((*self.segments[:-1], replace(last, index=(word,))), bit)


def _bit(text: str) -> int:
    if int(text) > 63:
        raise ValueError(f"bit {text} is beyond the 64 bits of the widest integer, 0 to 63")
    return int(text)


def _segment(name: str, tag: str) -> Segment:
    match = _SEGMENT.fullmatch(name)
    if match is None or name.lower().startswith("program:"):
        raise ValueError(
            f"`{tag}` is no Logix tag; write `Count`, `Program:Main.Step`, `Counts[3]`, "
            "`Recipe.Zones[2].Temp`, `Status.4` (a bit) or `Local:1:I.Data`"
        )
    if len(match["name"]) > 255:
        raise ValueError(f"`{match['name'][:20]}…` is longer than 255 characters")
    index = tuple(int(number) for number in (match["index"] or "").split(",") if number)
    return Segment(match["name"], index)
