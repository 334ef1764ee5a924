"""A data block as s7datablock understands its source text: where members lie, and writing them."""

import re
import struct
import warnings
from collections.abc import Mapping
from io import StringIO
from typing import Any

import pytest

ENCODING = "cp1252"
_FORMS = {"Int": ">h", "DInt": ">i", "LInt": ">q", "UDInt": ">I", "Real": ">f", "LReal": ">d"}
_MEMBER = re.compile(r'^\s+"([^"]+)" : ([^;]+);')


def parse_db_file(text: StringIO) -> Any:
    with warnings.catch_warnings():
        # It calls its own parser by names that are going away.
        warnings.simplefilter("ignore", DeprecationWarning)
        found = pytest.importorskip("s7datablock")
        return found.parse_db_file(text)


def source_of(written: Mapping[str, str]) -> str:
    return "\n".join(text for name, text in written.items() if not name.endswith(".yaml"))


def places(written: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """`block.field` → byte and bit. What s7datablock does not know is so many words to it."""
    lines: list[str] = []
    for line in source_of(written).splitlines():
        member = _MEMBER.match(line)
        words = _words(member[2]) if member is not None else 0
        if member is not None and words:
            names = [member[1], *(f"{member[1]} {number}" for number in range(words - 1))]
            lines += [f'"{name}" : Word;' for name in names]
        else:
            lines.append(line.partition("//")[0])
    parsed = parse_db_file(StringIO("\n".join(lines))).mapping
    return {
        name: (field.offset, field.offset_bit) for name, field in parsed.items() if " " not in name
    }


class Program:
    """Writes members by name, as the program of the controller does; knows nothing of tags."""

    def __init__(self, written: Mapping[str, str], memory: bytearray) -> None:
        self._memory = memory
        self._places = places(written)
        self._types = _types(source_of(written))

    def put(self, key: str, value: Any) -> None:
        byte, bit = self._places[key]
        kind = self._types[key]
        if kind == "Bool":
            self._memory[byte] = self._memory[byte] & ~(1 << bit) | int(value) << bit
        elif kind.startswith("String["):
            text = value.encode(ENCODING)
            room = int(kind[7:-1])
            struct.pack_into(f"BB{room}s", self._memory, byte, room, len(text), text)
        else:
            struct.pack_into(_FORMS[kind], self._memory, byte, value)


def _types(source: str) -> dict[str, str]:
    """`block.field` → type, as the text says; a block's type is called UDT_block."""
    found: dict[str, str] = {}
    block = ""
    for line in source.splitlines():
        if (head := re.match(r'TYPE "UDT_(.+)"', line)) is not None:
            block = head[1]
        elif block and (member := _MEMBER.match(line)) is not None:
            found[f"{block}.{member[1]}"] = member[2]
        elif line.startswith("END_TYPE"):
            block = ""
    return found


def _words(kind: str) -> int:
    if kind.startswith("String["):
        return int(kind[7:-1]) // 2 + 1
    return 4 if kind in {"LInt", "LReal"} else 0
