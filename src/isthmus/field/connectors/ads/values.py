"""Bytes of a TwinCAT symbol to number or text: pure functions."""

import json
import struct
from datetime import UTC, datetime, timedelta
from typing import Final

from isthmus.field.connectors.ads.symbols import Symbol
from isthmus.field.samples import integer
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD

BAD_ACCESS_DENIED: Final = 0x801F_0000
BAD_DECODING: Final = 0x8007_0000
BAD_DEVICE_FAILURE: Final = 0x808B_0000
BAD_ENCODING_UNSUPPORTED: Final = 0x8039_0000
BAD_INVALID_STATE: Final = 0x80AF_0000
BAD_NOT_READABLE: Final = 0x803A_0000
BAD_NOT_SUPPORTED: Final = 0x803D_0000
BAD_RESOURCE_UNAVAILABLE: Final = 0x8004_0000
BAD_UNEXPECTED: Final = 0x8001_0000

NOT_FOUND: Final = 0x710
STALE: Final = frozenset({0x703, NOT_FOUND, 0x711, 0x714})
"""A handle that no longer means anything: the program was downloaded anew."""

_QUALITY_OF_ERROR: Final = {
    0x701: BAD_NOT_SUPPORTED,
    0x702: BAD_NODE_UNKNOWN,
    0x703: BAD_NODE_UNKNOWN,
    0x704: BAD_NOT_READABLE,
    0x705: BAD_DECODING,
    0x707: BAD_RESOURCE_UNAVAILABLE,
    0x708: BAD_RESOURCE_UNAVAILABLE,
    0x70A: BAD_RESOURCE_UNAVAILABLE,
    0x70C: BAD_NODE_UNKNOWN,
    NOT_FOUND: BAD_NODE_UNKNOWN,
    0x711: BAD_NODE_UNKNOWN,
    0x712: BAD_INVALID_STATE,
    0x714: BAD_NODE_UNKNOWN,
    0x719: BAD_DEVICE_FAILURE,
    0x723: BAD_ACCESS_DENIED,
}

_NUMBERS: Final = {
    2: "h", 3: "i", 4: "f", 5: "d", 16: "b", 17: "B", 18: "H", 19: "I", 20: "q", 21: "Q", 33: "?",
}  # fmt: skip
_STRING, _WSTRING = 30, 31

_SECONDS: Final = {"DATE", "DT", "DATE_AND_TIME"}
_NANOSECONDS: Final = {"LDATE", "LDT", "LDATE_AND_TIME"}
_COUNTS: Final = {"TIME": "I", "TOD": "I", "TIME_OF_DAY": "I", "LTIME": "Q", "LTOD": "Q"}
"""Durations and times of day: milliseconds, nanoseconds for the long ones."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Plain = float | int | bool | str
Converted = tuple[float | None, str | None, int]
"""Number, text, quality."""


def quality_of(error: int) -> int:
    """The OPC UA status that says the same as an ADS error."""
    return _QUALITY_OF_ERROR.get(error, BAD_UNEXPECTED)


def convert(symbol: Symbol, data: bytes, encoding: str) -> Converted:
    """Number or text. NaN stays NaN: `shape` quarantines it with its reason."""
    try:
        if symbol.type.upper().startswith("ARRAY"):
            return None, json.dumps(_elements(symbol, data, encoding), ensure_ascii=False), GOOD
        value = _plain(symbol.type, symbol.ads_type, data, encoding)
    except _NoPlainValueError:
        return None, None, BAD_ENCODING_UNSUPPORTED
    except (struct.error, ValueError, OverflowError):
        return None, None, BAD_DECODING
    if isinstance(value, str):
        return None, value, GOOD
    return (*integer(value), GOOD) if type(value) is int else (float(value), None, GOOD)


class _NoPlainValueError(Exception):
    """A structure, a function block, a reference …: map its members."""


def _elements(symbol: Symbol, data: bytes, encoding: str) -> list[Plain]:
    """All of an array, however many dimensions, in the order of its memory."""
    kind = symbol.type.rpartition(" OF ")[2]
    size = _size(kind, symbol.ads_type)
    if not size or len(data) % size:
        raise struct.error("the array is no multiple of its element")
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return [_plain(kind, symbol.ads_type, piece, encoding) for piece in pieces]


def _plain(kind: str, ads_type: int, data: bytes, encoding: str) -> Plain:
    name = kind.upper()
    if name in _SECONDS | _NANOSECONDS:
        return _date(name, data)
    if ads_type == _STRING or name.startswith("STRING"):
        return data.partition(b"\0")[0].decode(encoding)
    if ads_type == _WSTRING or name.startswith("WSTRING"):
        return data.decode("utf-16-le").partition("\0")[0]
    form = _COUNTS.get(name) or _NUMBERS.get(ads_type)
    if form is None:
        raise _NoPlainValueError
    (value,) = struct.unpack("<" + form, data)
    plain: Plain = value
    return plain


def _size(kind: str, ads_type: int) -> int:
    """Bytes of one element; 0 where we cannot tell."""
    name = kind.upper()
    if ads_type in {_STRING, _WSTRING}:
        length = int(name.partition("(")[2].rstrip(")") or 80) + 1
        return length * (2 if ads_type == _WSTRING else 1)
    if name in _SECONDS | _NANOSECONDS:
        return 4 if name in _SECONDS else 8
    form = _COUNTS.get(name) or _NUMBERS.get(ads_type)
    if form is None:
        raise _NoPlainValueError
    return struct.calcsize("<" + form)


def _date(name: str, data: bytes) -> str:
    """The controller's own wall clock, in whichever zone that is: no offset."""
    if name in _SECONDS:
        moment = _EPOCH + timedelta(seconds=struct.unpack("<I", data)[0])
    else:
        moment = _EPOCH + timedelta(microseconds=struct.unpack("<Q", data)[0] // 1000)
    local = moment.replace(tzinfo=None)
    return local.date().isoformat() if name.endswith("DATE") else local.isoformat()
