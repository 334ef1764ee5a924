"""Values of Sparkplug's data types: pure functions of what protobuf decoded."""

import struct
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

from isthmus.base.clock import Micros, iso
from isthmus.field.connectors.sparkplug.proto import messages

Plain = Any
"""What JSON can say: None, bool, int, float, str, lists of it and dicts by name."""

DATASET: Final = 16
TEMPLATE: Final = 19

LATEST_MS: Final = 253_402_214_400_000
"""31 December 9999."""

_INTEGERS: Final[Mapping[int, tuple[int, bool]]] = {
    1: (8, True), 2: (16, True), 3: (32, True), 4: (64, True),
    5: (8, False), 6: (16, False), 7: (32, False), 8: (64, False),
}  # fmt: skip
"""Data type → bits, signed."""

SCALARS: Final = frozenset({*_INTEGERS, 9, 10, 11, 12, 13, 14, 15})
"""Data types of one number or text each."""

_PACKED: Final[Mapping[int, str]] = {
    22: "b", 23: "h", 24: "i", 25: "q", 26: "B", 27: "H", 28: "I", 29: "Q", 30: "f", 31: "d",
}  # fmt: skip
"""Data type of an array → how `struct` names its elements, little-endian."""


NAMES: Final[Mapping[int, str]] = dict(
    enumerate(
        (
            "", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float",
            "Double", "Boolean", "String", "DateTime", "Text", "UUID", "DataSet", "Bytes", "File",
            "Template", "PropertySet", "PropertySetList", "Int8Array", "Int16Array", "Int32Array",
            "Int64Array", "UInt8Array", "UInt16Array", "UInt32Array", "UInt64Array", "FloatArray",
            "DoubleArray", "BooleanArray", "StringArray", "DateTimeArray",
        )
    )
)  # fmt: skip


def value(holder: Any, datatype: int) -> Plain:
    """Value of a metric, property, parameter or cell; None if it has none.

    ValueError where its wire form does not fit its data type. Templates are not read here.
    """
    form = holder.WhichOneof("value")
    if form is None:
        return None
    reader = _READERS.get(datatype)
    if reader is None:
        return _untyped(form, getattr(holder, form), datatype)
    try:
        return reader(getattr(holder, form))
    except (TypeError, struct.error) as error:
        raise ValueError(f"{NAMES[datatype]} as `{form}`: {error}") from error


def time_of(milliseconds: int) -> Micros | None:
    """A time as Sparkplug writes it; None where there is none that we could keep."""
    return milliseconds * 1_000 if 0 < milliseconds <= LATEST_MS else None


def _untyped(form: str, raw: Any, datatype: int) -> Plain:
    """Without a data type only what cannot be mistaken is read."""
    if datatype == 0 and (form in {"float_value", "double_value", "boolean_value"}):
        return raw
    if datatype == 0 and form == "string_value":
        return text(raw)
    if datatype == 0 and isinstance(raw, int) and raw < 1 << 31:
        return raw
    raise ValueError(f"data type {datatype} as `{form}`")


def _integer(bits: int, *, signed: bool) -> Callable[[Any], int]:
    """Negative ones are carried as two's complement, of their own width or a wider one."""
    modulus, half = 1 << bits, 1 << (bits - 1)

    def read(raw: Any) -> int:
        number = _whole(raw)
        if not signed:
            if number >= modulus:
                raise ValueError(f"{number} has more than {bits} bits")
            return number
        for width in (bits, 32, 64):
            if number < 1 << width:
                found = number - (1 << width) if number >= 1 << (width - 1) else number
                break
        if not -half <= found < half:
            raise ValueError(f"{found} has more than {bits} bits")
        return found

    return read


def _whole(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise TypeError("no integer")
    return raw


def _number(raw: Any) -> float:
    if not isinstance(raw, float):
        raise TypeError("no floating point number")
    return raw


def _boolean(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise TypeError("no boolean")
    return raw


def text(raw: Any) -> str:
    """TypeError where it is none: protobuf hands over bytes where they are no UTF-8."""
    if not isinstance(raw, str):
        raise TypeError("no UTF-8 text")
    return raw


def _date(raw: Any) -> str:
    at = _whole(raw)
    if at > LATEST_MS:
        raise ValueError(f"{at} ms are no time before the year 10000")
    return iso(at * 1_000)


def _octets(raw: Any) -> bytes:
    if not isinstance(raw, bytes):
        raise TypeError("no bytes")
    return raw


def _array(code: str) -> Callable[[Any], list[Plain]]:
    def read(raw: Any) -> list[Plain]:
        data = _octets(raw)
        return list(struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data))

    return read


def _booleans(raw: Any) -> list[bool]:
    """A count in four bytes, then bits, the highest of each byte first."""
    data = _octets(raw)
    (count,) = struct.unpack_from("<I", data)
    bits = data[4:]
    if not count <= len(bits) * 8 < count + 8:
        raise ValueError(f"{count} booleans in {len(bits)} bytes")
    return [bool(bits[at // 8] >> (7 - at % 8) & 1) for at in range(count)]


def _strings(raw: Any) -> list[str]:
    """Each ends with a zero byte."""
    data = _octets(raw)
    if data and not data.endswith(b"\0"):
        raise ValueError("the last string does not end")
    return [part.decode() for part in data.split(b"\0")[:-1]]


def _dates(raw: Any) -> list[str]:
    milliseconds = _array("q")(raw)
    if any(not 0 <= at <= LATEST_MS for at in milliseconds):
        raise ValueError("a time before 1970 or after the year 9999")
    return [iso(at * 1_000) for at in milliseconds]


def _data_set(raw: Any) -> list[dict[str, Plain]]:
    """Rows by the names of their columns."""
    if not isinstance(raw, messages().DataSet):
        raise TypeError("no data set")
    columns, types = list(raw.columns), list(raw.types)
    if not len(columns) == len(types) == raw.num_of_columns:
        raise ValueError(f"{raw.num_of_columns} columns, {len(columns)} names, {len(types)} types")
    rows = []
    for row in raw.rows:
        if len(row.elements) != len(columns):
            raise ValueError(f"{len(row.elements)} cells in a row of {len(columns)} columns")
        cells = zip(columns, row.elements, types, strict=True)
        rows.append({text(name): value(cell, type_) for name, cell, type_ in cells})
    return rows


_READERS: Final[Mapping[int, Callable[[Any], Plain]]] = {
    **{type_: _integer(bits, signed=signed) for type_, (bits, signed) in _INTEGERS.items()},
    9: _number,
    10: _number,
    11: _boolean,
    12: text,
    13: _date,
    14: text,
    15: text,
    DATASET: _data_set,
    17: lambda raw: b64encode(_octets(raw)).decode("ascii"),
    18: lambda raw: b64encode(_octets(raw)).decode("ascii"),
    **{type_: _array(code) for type_, code in _PACKED.items()},
    32: _booleans,
    33: _strings,
    34: _dates,
}
