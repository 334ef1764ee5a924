"""Numbers of one answer decoded in one call, where they stand as most devices have them.

What is not so (strings, bits, integers of 64 bits, swapped or shared registers) goes one by one.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from isthmus.field.connectors.modbus.groups import Group
from isthmus.field.connectors.modbus.spec import ModbusSource, Register, RegisterType

_FORMATS: Final[dict[RegisterType, str]] = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f", "float64": "d",
}  # fmt: skip
"""A float64 holds each of them exactly."""


@dataclass(frozen=True)
class Columns:
    """The tags of a group, all numbers in the order of their registers."""

    tags: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    """First register of each in the answer, and the one behind its last."""
    record: struct.Struct

    def raw(self, contents: Sequence[int]) -> list[Sequence[int]]:
        """The registers of each tag, as `raw_value` gives them."""
        return [contents[first:end] for first, end in self.places]

    def numbers(self, contents: Sequence[int]) -> list[float]:
        data = struct.pack(f">{len(contents)}H", *contents)
        return list(map(float, self.record.unpack(data)))


def columns(group: Group, source: ModbusSource) -> Columns | None:
    """None where one of its tags must be decoded by itself."""
    form, reached = ">", 0
    places = []
    for _, register in group.members:
        first = register.address - group.start
        if first < reached or not _plain(register, source):
            return None
        form += f"{2 * (first - reached)}x{_FORMATS[register.type]}"
        reached = first + register.width
        places.append((first, reached))
    tags = tuple(tag for tag, _ in group.members)
    return Columns(tags, tuple(places), struct.Struct(form))


def _plain(register: Register, source: ModbusSource) -> bool:
    order = register.word_order or source.word_order
    return (
        register.type in _FORMATS
        and register.bit is None
        and source.byte_order == "big"
        and (register.width == 1 or order == "big")
    )
