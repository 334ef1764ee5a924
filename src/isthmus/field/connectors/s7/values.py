"""Bytes of an S7 to number or text, and back for simulators and tests: pure functions."""

import struct
from collections.abc import Callable
from typing import Final

from isthmus.field.connectors.s7 import times
from isthmus.field.connectors.s7.address import Address, S7Type
from isthmus.field.samples import integer
from isthmus.field.values import BAD_DECODING
from isthmus.flow.parcel import GOOD

Value = bool | int | float | str
Converted = tuple[float | None, str | None, int]
"""Number, text, quality."""

ENCODING: Final = "cp1252"
"""Of `char` and `string`, unless the source says otherwise."""

_COUNTER_DIGITS: Final = 3

_Plain = tuple[Callable[[bytes], int | float | str], Callable[[Value], bytes]]
"""To a value and back, for types that need nothing but their bytes."""


def decode(address: Address, contents: bytes, encoding: str = ENCODING) -> Converted:
    """Number or text of one tag; what is none comes as its bytes in hex with a bad quality.

    A bool is 0 or 1, a `time` or `s5time` in milliseconds, an `ltime` in nanoseconds, integers
    beyond 2⁵³ are text, dates and times of day are ISO 8601 without a zone. NaN stays NaN: `shape`
    quarantines it with its reason.
    """
    try:
        value = _value(address, contents, encoding)
    except ValueError:  # a string with a wrong length, month 13, hour 4F, half a surrogate pair, …
        return None, contents.hex(" "), BAD_DECODING
    match value:
        case str():
            return None, value, GOOD
        case int():
            return *integer(value), GOOD
        case float():
            return value, None, GOOD


def encode(address: Address, value: Value, encoding: str = ENCODING) -> bytes:
    """`address.width` bytes that `decode` reads as this value; ValueError if there are none."""
    match address.type:
        case "bool":
            return bytes([int(bool(value)) << address.bit])
        case "string":
            return _string_bytes(address.length, str(value).encode(encoding))
        case "wstring":
            return _wstring_bytes(address.length, str(value).encode("utf-16-be"))
        case "char":
            return _one(str(value).encode(encoding), address)
        case "wchar":
            return _one(str(value).encode("utf-16-be"), address)
        case plain:
            return _PLAIN[plain][1](value)


def store(memory: bytearray, address: Address, value: Value, encoding: str = ENCODING) -> None:
    """Put a value where it belongs in the memory of its area; other bits of its byte stay."""
    contents = encode(address, value, encoding)
    start = address.start * (2 if address.area in {"T", "C"} else 1)
    if start + address.width > len(memory):
        raise ValueError(f"`{address}` is beyond the {len(memory)} bytes there are")
    if address.type == "bool":
        contents = bytes([memory[start] & ~(1 << address.bit) | contents[0]])
    memory[start : start + address.width] = contents


def relevant(address: Address, contents: bytes) -> bytes:
    """What must change for the tag to have changed: its bytes, or its one bit."""
    if address.type != "bool":
        return contents
    return bytes([contents[0] & 1 << address.bit])


def _value(address: Address, contents: bytes, encoding: str) -> int | float | str:
    match address.type:
        case "bool":
            return contents[0] >> address.bit & 1
        case "string":
            return _text(_used(contents, 1, address.length), encoding)
        case "wstring":
            return _text(_used(contents, 2, address.length), "utf-16-be")
        case "char":
            return _text(contents, encoding)
        case "wchar":
            return _text(contents, "utf-16-be")
        case plain:
            return _PLAIN[plain][0](contents)


def _used(contents: bytes, size: int, length: int) -> bytes:
    """The characters a string has at present; `size` is that of a character and of a length."""
    most = int.from_bytes(contents[:size])
    used = int.from_bytes(contents[size : 2 * size])
    if used > min(most, length):
        raise ValueError(f"{used} characters in a string of {min(most, length)}")
    return contents[2 * size : 2 * size + used * size]


def _text(contents: bytes, encoding: str) -> str:
    """Up to the first NUL: some programs fill a string up with them."""
    return contents.decode(encoding).partition("\0")[0]


def _string_bytes(length: int, characters: bytes) -> bytes:
    if len(characters) > length:
        raise ValueError(f"{len(characters)} characters in a string of {length}")
    return bytes([length, len(characters)]) + characters.ljust(length, b"\0")


def _wstring_bytes(length: int, characters: bytes) -> bytes:
    used = len(characters) // 2
    if used > length:
        raise ValueError(f"{used} characters in a string of {length}")
    return struct.pack(">HH", length, used) + characters.ljust(2 * length, b"\0")


def _one(characters: bytes, address: Address) -> bytes:
    if len(characters) > address.width:
        raise ValueError(f"`{address}` holds one character")
    return characters.rjust(address.width, b"\0")


def _whole(value: Value) -> int:
    number = int(value)
    if not isinstance(value, str) and number != value:
        raise ValueError(f"{value} is no whole number")
    return number


def _number(layout: str, of: Callable[[Value], int | float]) -> _Plain:
    form = struct.Struct(layout)

    def to_value(contents: bytes) -> int | float:
        (value,) = form.unpack(contents)
        number: int | float = value
        return number

    def to_bytes(value: Value) -> bytes:
        try:
            return form.pack(of(value))
        except (struct.error, OverflowError) as error:
            raise ValueError(f"{value} does not fit: {error}") from error

    return to_value, to_bytes


def _time(to_text: Callable[[bytes], str], to_bytes: Callable[[str], bytes]) -> _Plain:
    return to_text, lambda value: to_bytes(str(value))


def _counter_value(contents: bytes) -> int:
    return times.bcd(int.from_bytes(contents) & 0xFFF, _COUNTER_DIGITS)


def _counter_bytes(value: Value) -> bytes:
    return times.to_bcd(_whole(value), _COUNTER_DIGITS).to_bytes(2)


_PLAIN: Final[dict[S7Type, _Plain]] = {
    "byte": _number(">B", _whole), "usint": _number(">B", _whole), "sint": _number(">b", _whole),
    "word": _number(">H", _whole), "uint": _number(">H", _whole), "int": _number(">h", _whole),
    "dword": _number(">I", _whole), "udint": _number(">I", _whole), "dint": _number(">i", _whole),
    "lword": _number(">Q", _whole), "ulint": _number(">Q", _whole), "lint": _number(">q", _whole),
    "time": _number(">i", _whole), "ltime": _number(">q", _whole),
    "real": _number(">f", float), "lreal": _number(">d", float),
    "date": _time(times.date_text, times.date_bytes),
    "tod": _time(times.tod_text, times.tod_bytes),
    "ltod": _time(times.ltod_text, times.ltod_bytes),
    "ldt": _time(times.ldt_text, times.ldt_bytes),
    "dtl": _time(times.dtl_text, times.dtl_bytes),
    "date_and_time": _time(times.date_and_time_text, times.date_and_time_bytes),
    "s5time": (times.s5time_milliseconds, lambda value: times.s5time_bytes(_whole(value))),
    "counter": (_counter_value, _counter_bytes),
}  # fmt: skip
