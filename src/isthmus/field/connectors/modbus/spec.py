"""What a person writes about a Modbus source, and how a tag of it is addressed; no driver here."""

import re
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal, cast, get_args

from pydantic import Field

from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Host, Port, Seconds

Area = Literal["coil", "discrete", "holding", "input"]
Order = Literal["big", "little"]
RegisterType = Literal[
    "bit", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string"
]

WORDS: Final[dict[RegisterType, int]] = {
    "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2,
    "int64": 4, "uint64": 4, "float64": 4,
}  # fmt: skip
"""Registers a number takes."""
ADDRESSES: Final = 65_536
MAX_CHARACTERS: Final = 250
MAX_UNIT: Final = 255

_UNIT: Final = re.compile(r"(?P<register>[^@]+)@(?P<unit>\d{1,3})")

_BIT: Final = re.compile(r"(?P<area>coil|discrete):(?P<address>\d{1,5})")
_REGISTER: Final = re.compile(
    r"(?P<area>holding|input):(?P<address>\d{1,5})"
    r"(?:\.(?P<bit>\d{1,2})|:(?P<type>[a-z]+\d*)(?:\[(?P<length>\d{1,4})\])?)?"
    r"(?::(?P<order>big|little))?"
)


class ModbusSource(SourceSpec):
    """Registers and coils of one Modbus device, or of several behind one gateway."""

    counts_requests: ClassVar[bool] = True

    kind: Literal["modbus"] = "modbus"
    host: Host
    port: Port = 502
    framing: Literal["tcp", "rtu"] = "tcp"
    """`rtu`: a gateway that passes on the frames of its serial line as they are, with checksum."""
    unit: int = Field(default=1, ge=0, le=MAX_UNIT)
    """The device's number behind a gateway; most devices with a socket of their own ignore it.
    A tag may name another one: `holding:100@7`."""
    word_order: Order = "big"
    """Order of the registers of a wider value; try `little` if values look wild."""
    byte_order: Order = "big"
    """Order of the two bytes of a register; almost always `big`."""
    encoding: Literal["ascii", "latin-1", "utf-8"] = "utf-8"
    """Of strings."""
    timeout: Seconds = Field(default=3.0, gt=0)
    """For connecting and for each answer; one answer that does not come is a lost device."""
    rest: Seconds = Field(default=30.0, gt=0)
    """So long is a unit that did not answer left alone, for the sake of the others."""
    retries: int = Field(default=2, ge=0, le=10)
    """Framing `rtu`: so often is an answer with a wrong checksum asked for again."""
    max_registers: int = Field(default=125, ge=4, le=125)
    """Per read; some devices take fewer. For coils it is 16 times as many."""
    max_gap: int = Field(default=8, ge=0, le=120)
    """Registers that nobody asked for and that are read all the same to save a request."""

    @property
    def reaches(self) -> str | None:
        return f"{self.host}:{self.port}".lower()

    @classmethod
    def parse_tag(cls, tag: str) -> "Register":
        """Read `holding:100:uint16`, `holding:3.4@7`, `input:5:float32:little`, `coil:3`, …."""
        if (of_unit := _UNIT.fullmatch(tag)) is not None:
            return replace(cls.parse_tag(of_unit["register"]), unit=_unit(of_unit["unit"]))
        if (bit := _BIT.fullmatch(tag)) is not None:
            return Register(cast("Area", bit["area"]), _address(bit["address"], 1), "bit", 1)
        match = _REGISTER.fullmatch(tag)
        if match is None:
            raise ValueError(
                f"`{tag}` is no register; write `holding:100:uint16`, `input:5:float32`, "
                "`holding:10:string[8]`, `holding:3.4`, `coil:3` or `discrete:7` (from zero); `@7` "
                "at its end is unit 7"
            )
        return _register(match)


@dataclass(frozen=True)
class Register:
    """What one tag reads."""

    area: Area
    address: int
    """Zero-based: the number in the device's manual, often minus one and without 30001 or 40001."""
    type: RegisterType
    width: int
    """Registers, or bits of the areas `coil` and `discrete`."""
    bit: int | None = None
    """Of a register: 0 is the lowest."""
    length: int = 0
    """Characters of a string; two fit into a register."""
    word_order: Order | None = None
    """None: the source's."""
    unit: int | None = None
    """None: the source's."""

    @property
    def end(self) -> int:
        return self.address + self.width


def _register(match: re.Match[str]) -> Register:
    area = cast("Area", match["area"])
    order = cast("Order | None", match["order"])
    if match["bit"] is not None:
        return _bit_of_register(area, match["address"], int(match["bit"]), order)
    kind = match["type"] or "uint16"
    if kind not in get_args(RegisterType) or kind == "bit":
        known = ", ".join([*WORDS, "string[n]"])
        raise ValueError(f"no register type `{kind}`; there are {known}")
    if kind == "string":
        return _string(area, match["address"], match["length"], order)
    if match["length"] is not None:
        raise ValueError(f"only a string has a length, `{kind}` has none")
    number = cast("RegisterType", kind)
    width = WORDS[number]
    if order is not None and width == 1:
        raise ValueError(f"`{kind}` is one register: there is no word order to it")
    return Register(area, _address(match["address"], width), number, width, word_order=order)


def _bit_of_register(area: Area, address: str, bit: int, order: Order | None) -> Register:
    if bit > 15:
        raise ValueError(f"bit {bit} is beyond the 16 bits of a register, 0 to 15")
    if order is not None:
        raise ValueError("a bit has no word order")
    return Register(area, _address(address, 1), "bit", 1, bit=bit)


def _string(area: Area, address: str, length: str | None, order: Order | None) -> Register:
    if length is None or not 0 < int(length) <= MAX_CHARACTERS:
        raise ValueError(f"a string needs its length, `string[1]` to `string[{MAX_CHARACTERS}]`")
    if order is not None:
        raise ValueError("a string has no word order; `byte_order` of the source turns its pairs")
    width = (int(length) + 1) // 2
    return Register(area, _address(address, width), "string", width, length=int(length))


def _unit(text: str) -> int:
    if int(text) > MAX_UNIT:
        raise ValueError(f"unit {text} is beyond {MAX_UNIT}")
    return int(text)


def _address(text: str, width: int) -> int:
    address = int(text)
    if address + width > ADDRESSES:
        raise ValueError(f"address {address} with {width} register(s) ends beyond 65535")
    return address
