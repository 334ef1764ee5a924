"""What a TwinCAT controller tells about its symbols and types: pure functions of its answers."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

from isthmus.field.connector import Node

_SYMBOL: Final = struct.Struct("<IIIIIIHHH")
_TYPE: Final = struct.Struct("<IIIIIIIIHHHHH")
MOST_ELEMENTS: Final = 100_000
"""Of one array that are shown when browsing."""


@dataclass(frozen=True)
class Symbol:
    """A variable of the controller, or an element or member of one."""

    name: str
    type: str
    """As in its declaration: `REAL`, `STRING(20)`, `ARRAY [0..9] OF INT`, `ST_Recipe`."""
    ads_type: int
    """What it is made of, whatever its declared name."""
    size: int


@dataclass(frozen=True)
class DataType:
    """A declared type, or one member of it."""

    name: str
    type: str
    dimensions: tuple[tuple[int, int], ...]
    """Lowest index and number of elements."""
    members: tuple["DataType", ...]


def symbol(entry: bytes) -> Symbol:
    """One symbol's description; struct.error or ValueError if it is cut short."""
    _, _, _, size, ads_type, _, *lengths = _SYMBOL.unpack_from(entry)
    name, kind, _ = _texts(entry, _SYMBOL.size, lengths)
    return Symbol(name, kind, ads_type, size)


def symbols(upload: bytes) -> Iterator[Symbol]:
    """All symbols of the controller."""
    for entry in _entries(upload):
        yield symbol(entry)


def data_types(upload: bytes) -> dict[str, DataType]:
    """All declared types, by name."""
    return {found.name: found for found in map(_data_type, _entries(upload))}


def children(found: Mapping[str, Symbol], types: Mapping[str, DataType], parent: str) -> list[Node]:
    """Nodes below `parent`: programs and global lists, their variables, members and elements."""
    if not parent:
        scopes = dict.fromkeys(name.partition(".")[0] for name in found)
        return [Node(s, s, f"/{s}", has_children=True) for s in scopes if s]
    below = [s for name, s in found.items() if name.rpartition(".")[0].lower() == parent.lower()]
    if below:
        return [_node(s.name, s.type, types) for s in below]
    kind = _type_of(found, types, parent)
    return [] if kind is None else list(_inside(parent, kind, types))


def _type_of(found: Mapping[str, Symbol], types: Mapping[str, DataType], tag: str) -> str | None:
    """The declared type of a path below a symbol; None if there is nothing."""
    if tag in found:
        return found[tag].type
    if tag.endswith("]"):
        kind = _type_of(found, types, tag.rpartition("[")[0])
        return None if kind is None else _element_type(kind)
    parent, _, name = tag.rpartition(".")
    kind = _type_of(found, types, parent) if parent else None
    members = types[kind].members if kind is not None and kind in types else ()
    return next((member.type for member in members if member.name == name), None)


def _inside(parent: str, kind: str, types: Mapping[str, DataType]) -> Iterator[Node]:
    declared = types.get(kind)
    dimensions = declared.dimensions if declared is not None else array_dimensions(kind)
    if dimensions:
        ranges = (range(low, low + count) for low, count in dimensions)
        for number, index in enumerate(product(*ranges)):
            if number == MOST_ELEMENTS:
                return
            yield _node(f"{parent}[{','.join(map(str, index))}]", _element_type(kind), types)
    elif declared is not None:
        for member in declared.members:
            yield _node(f"{parent}.{member.name}", member.type, types)


def _node(tag: str, kind: str, types: Mapping[str, DataType]) -> Node:
    inner = kind in types and bool(types[kind].members or types[kind].dimensions)
    has_children = inner or bool(array_dimensions(kind))
    path = "/" + "/".join(part for part in tag.split(".") if part)
    return Node(tag, tag.rpartition(".")[2], path, kind, has_children=has_children)


def array_dimensions(kind: str) -> tuple[tuple[int, int], ...]:
    """Of `ARRAY [0..9,1..3] OF INT`: lowest index and number of elements; empty for others."""
    if not kind.upper().startswith("ARRAY"):
        return ()
    inside = kind[kind.index("[") + 1 : kind.index("]")]
    bounds = (tuple(map(int, part.split(".."))) for part in inside.split(","))
    return tuple((low, high - low + 1) for low, high in bounds)


def _element_type(kind: str) -> str:
    return kind.partition(" OF ")[2] if kind.upper().startswith("ARRAY") else kind


def _data_type(entry: bytes) -> DataType:
    (*_, name_length, type_length, comment_length, dimensions, members) = _TYPE.unpack_from(entry)
    lengths = [name_length, type_length, comment_length]
    name, kind, _ = _texts(entry, _TYPE.size, lengths)
    at = _TYPE.size + sum(lengths) + len(lengths)
    bounds = struct.unpack_from("<" + "iI" * dimensions, entry, at)
    inner = list(_entries(entry[at + 8 * dimensions :], members))
    pairs = tuple(zip(bounds[::2], bounds[1::2], strict=True))
    return DataType(name, kind, pairs, tuple(map(_data_type, inner)))


def _entries(data: bytes, most: int | None = None) -> Iterator[bytes]:
    """Pieces that begin with their own length."""
    at = count = 0
    while at + 4 <= len(data) and (most is None or count < most):
        (length,) = struct.unpack_from("<I", data, at)
        if length < 4:
            return
        yield data[at : at + length]
        at += length
        count += 1


def _texts(entry: bytes, at: int, lengths: list[int]) -> list[str]:
    found = []
    for length in lengths:
        found.append(entry[at : at + length].rstrip(b"\0").decode("cp1252", "replace"))
        at += length + 1
    return found
