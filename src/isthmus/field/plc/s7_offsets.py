"""Where members lie in a data block with standard (not optimised) access; pure.

The rules of STEP 7: bits are packed into a byte from its lowest on, types of one byte begin at
the next byte, everything else at the next even one; structures and arrays also end at an even one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

BYTES: Final = {
    "Byte": 1, "Char": 1, "SInt": 1, "USInt": 1,
    "Word": 2, "Int": 2, "UInt": 2, "WChar": 2, "Date": 2, "S5Time": 2,
    "DWord": 4, "DInt": 4, "UDInt": 4, "Real": 4, "Time": 4, "Time_Of_Day": 4,
    "LWord": 8, "LInt": 8, "ULInt": 8, "LReal": 8, "Date_And_Time": 8, "LDT": 8, "LTime": 8,
    "DTL": 12,
}  # fmt: skip
"""A `Bool` is a bit, a `String[n]` has two bytes more than characters."""

_STRING: Final = re.compile(r"String\[(\d+)\]")


@dataclass(frozen=True)
class Spot:
    """Where a member begins."""

    byte: int
    bit: int = 0


def spots(types: Iterable[str], start: int = 0) -> tuple[list[Spot], int]:
    """Where each member of a structure begins, and the (even) byte behind the structure."""
    found = []
    byte, bit = _even(start), 0
    for kind in types:
        if kind == "Bool":
            byte, bit = (byte + 1, 0) if bit == 8 else (byte, bit)
            found.append(Spot(byte, bit))
            bit += 1
            continue
        byte, bit = (byte + 1, 0) if bit else (byte, 0)
        width = _width(kind)
        byte = byte if width == 1 else _even(byte)
        found.append(Spot(byte))
        byte += width
    return found, _even(byte + (1 if bit else 0))


def structures(members: Sequence[Sequence[str]]) -> tuple[list[list[Spot]], int]:
    """The same for structures that follow each other in one data block, and its bytes."""
    found: list[list[Spot]] = []
    end = 0
    for types in members:
        inside, end = spots(types, end)
        found.append(inside)
    return found, end


def _width(kind: str) -> int:
    text = _STRING.fullmatch(kind)
    return int(text[1]) + 2 if text is not None else BYTES[kind]


def _even(byte: int) -> int:
    return byte + byte % 2
