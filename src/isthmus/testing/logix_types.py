"""How a Logix controller lays out its values: types, structures, templates; for its simulator."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

ATOMIC: Final = {
    "BOOL": (0xC1, "<B"), "SINT": (0xC2, "<b"), "INT": (0xC3, "<h"), "DINT": (0xC4, "<i"),
    "LINT": (0xC5, "<q"), "USINT": (0xC6, "<B"), "UINT": (0xC7, "<H"), "UDINT": (0xC8, "<I"),
    "ULINT": (0xC9, "<Q"), "REAL": (0xCA, "<f"), "LREAL": (0xCB, "<d"), "DWORD": (0xD3, "<I"),
}  # fmt: skip
"""Name → type code, layout."""
STRUCTURE_BIT: Final = 0x8000
_ARRAY: Final = re.compile(r"(\w+)(?:\[(\d+(?:,\d+)*)\])?")


@dataclass(frozen=True)
class Member:
    """Where a structure keeps one of its members."""

    name: str
    type: "LogixType"
    offset: int
    bit: int | None = None
    """Of a BOOL, in its hidden host."""


@dataclass(frozen=True)
class Udt:
    """A user-defined type; a string is one with a `capacity` instead of members."""

    name: str
    members: Mapping[str, str]
    template: int
    handle: int
    capacity: int = 0


STRING: Final = Udt("ASCIISTRING82", {}, template=0xFCE, handle=0x0FCE, capacity=82)


@dataclass(frozen=True)
class LogixType:
    """`DINT`, `REAL[3]`, `BOOL[64]` (two DWORDs), `Recipe[2]`."""

    name: str
    dimensions: tuple[int, ...]
    udt: "Layout | None" = None

    @property
    def element_size(self) -> int:
        return self.udt.size if self.udt is not None else struct.calcsize(ATOMIC[self.name][1])

    @property
    def count(self) -> int:
        product = 1
        for size in self.dimensions:
            product *= size
        return product

    @property
    def code(self) -> int:
        """As the tag list and a template give it."""
        if self.udt is not None:
            return self.udt.udt.template | STRUCTURE_BIT
        return ATOMIC[self.name][0]

    def prefix(self) -> bytes:
        """What stands before a value that is read."""
        if self.udt is not None:
            return struct.pack("<HH", 0x02A0, self.udt.udt.handle)
        return struct.pack("<H", self.code)

    def packed(self, value: Any) -> bytes:
        """One element; a structure's members by name."""
        if self.udt is not None:
            return self.udt.packed(value)
        return struct.pack(ATOMIC[self.name][1], value)


class Types:
    """All types of one controller."""

    def __init__(self, udts: tuple[Udt, ...]) -> None:
        self.layouts = {udt.name: Layout(udt, self) for udt in (STRING, *udts)}
        self.layouts["STRING"] = self.layouts["ASCIISTRING82"]

    def parse(self, text: str) -> LogixType:
        match = _ARRAY.fullmatch(text)
        if match is None:
            raise ValueError(f"no Logix type: {text}")
        sizes = tuple(int(size) for size in (match[2] or "").split(",") if size)
        if match[1] == "BOOL" and sizes:
            return LogixType("DWORD", (-(-sizes[0] // 32),))
        layout = self.layouts.get(match[1])
        return LogixType(match[1], sizes, layout)


class Layout:
    """Where the members of a structure are, and its template as the controller tells it."""

    def __init__(self, udt: Udt, types: Types) -> None:
        self.udt = udt
        self._types = types

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """In order of their offsets; BOOLs share hidden hosts, eight to a byte."""
        if self.udt.capacity:
            parse = self._types.parse
            data = Member("DATA", parse(f"SINT[{self.udt.capacity}]"), 4)
            return Member("LEN", parse("DINT"), 0), data
        found: list[Member] = []
        end, bit = 0, 0
        for name, text in self.udt.members.items():
            kind = self._types.parse(text)
            if kind.name == "BOOL":
                if bit % 8 == 0:
                    host = f"ZZZZZZZZZZ{self.udt.name}{len(found)}"
                    found.append(Member(host, self._types.parse("SINT"), end))
                    end += 1
                found.append(Member(name, kind, end - 1, bit % 8))
                bit += 1
                continue
            bit = 0
            step = min(kind.element_size, 4) if kind.udt is None else 4
            end = -(-end // step) * step
            found.append(Member(name, kind, end))
            end += kind.element_size * kind.count
        return tuple(found)

    @cached_property
    def size(self) -> int:
        last = self.members[-1]
        end = last.offset + last.type.element_size * last.type.count
        return -(-end // 4) * 4

    @property
    def definition_size(self) -> int:
        """In 32-bit words, with 23 bytes more than the definition, as a controller counts it."""
        return -(-(len(self.definition) + 23) // 4)

    @cached_property
    def definition(self) -> bytes:
        """Member by member: array size or bit, type, offset; then the names."""
        entries = b"".join(
            struct.pack(
                "<HHI", member.type.count if member.type.dimensions else member.bit or 0,
                member.type.code, member.offset,
            )
            for member in self.members
        )  # fmt: skip
        names = [f"{self.udt.name};n", *(member.name for member in self.members)]
        return entries + b"".join(name.encode() + b"\0" for name in names)

    def packed(self, value: Any) -> bytes:
        if self.udt.capacity:
            text = str(value).encode()
            head = struct.pack("<I", len(text))
            return (head + text.ljust(self.udt.capacity, b"\0")).ljust(self.size, b"\0")
        image = bytearray(self.size)
        for member in self.members:
            if member.name not in value:
                continue
            content = value[member.name]
            if member.bit is not None:
                image[member.offset] |= int(content) << member.bit
                continue
            elements = content if member.type.dimensions else [content]
            packed = b"".join(member.type.packed(element) for element in elements)
            image[member.offset : member.offset + len(packed)] = packed
        return bytes(image)
