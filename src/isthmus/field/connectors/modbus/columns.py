"""Numbers of one answer decoded in one call, where they stand as most devices have them.

What is not so (strings, bits, integers of 64 bits, swapped or shared registers) goes one by one.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from operator import ne
from typing import Final

from isthmus.field.connectors.modbus.groups import Group
from isthmus.field.connectors.modbus.spec import ModbusSource, Register, RegisterType

_FORMATS: Final[dict[RegisterType, str]] = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f", "float64": "d",
}  # fmt: skip
"""A float64 holds each of them exactly."""
_BITS: Final = {"h": "H", "i": "I", "f": "I", "d": "Q"}
"""The same registers as one number that is equal where they are: NaN is not."""


@dataclass(frozen=True)
class Columns:
    """The tags of a group, all numbers in the order of their registers."""

    tags: tuple[str, ...]
    record: struct.Struct | None
    """None: every register of the answer is a number as it stands."""
    bits: struct.Struct | None
    """None: every register of the answer is a tag."""

    def numbers(self, contents: Sequence[int]) -> Sequence[float]:
        return contents if self.record is None else self.record.unpack(_data(contents))

    def changed(self, contents: Sequence[int], before: Sequence[int]) -> list[bool]:
        """Of which tags other registers came than before."""
        if self.bits is None:
            return list(map(ne, contents, before))
        return list(map(ne, self.bits.unpack(_data(contents)), self.bits.unpack(_data(before))))


def columns(group: Group, source: ModbusSource) -> Columns | None:
    """None where one of its tags must be decoded by itself."""
    form, reached = ">", 0
    for _, register in group.members:
        first = register.address - group.start
        if first < reached or not _plain(register, source):
            return None
        form += f"{2 * (first - reached)}x{_FORMATS[register.type]}"
        reached = first + register.width
    tags = tuple(tag for tag, _ in group.members)
    bits = struct.Struct("".join(_BITS.get(one, one) for one in form))
    one_each = len(tags) == group.count
    record = struct.Struct(form)
    return Columns(
        tags,
        None if one_each and record.format == bits.format else record,
        None if one_each else bits,
    )


def _data(contents: Sequence[int]) -> bytes:
    return struct.pack(f">{len(contents)}H", *contents)


def _plain(register: Register, source: ModbusSource) -> bool:
    order = register.word_order or source.word_order
    return (
        register.type in _FORMATS
        and register.bit is None
        and source.byte_order == "big"
        and (register.width == 1 or order == "big")
    )
