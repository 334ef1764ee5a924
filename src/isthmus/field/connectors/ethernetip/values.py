"""CIP answers to number or text: pure functions of what the controller answered."""

import struct
from collections.abc import Collection
from typing import Final

from isthmus.field.connectors.ethernetip.messages import DONE, Answer
from isthmus.field.samples import integer
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD

BAD_ACCESS_DENIED: Final = 0x801F_0000
BAD_COMMUNICATION: Final = 0x8005_0000
BAD_DECODING: Final = 0x8007_0000
BAD_DEVICE_FAILURE: Final = 0x808B_0000
BAD_ENCODING_UNSUPPORTED: Final = 0x8039_0000
BAD_INDEX_RANGE_NO_DATA: Final = 0x8037_0000
BAD_INVALID_STATE: Final = 0x80AF_0000
BAD_NOT_SUPPORTED: Final = 0x803D_0000
BAD_RESOURCE_UNAVAILABLE: Final = 0x8004_0000
BAD_RESPONSE_TOO_LARGE: Final = 0x80B9_0000
BAD_SYNTAX_ERROR: Final = 0x80B6_0000
BAD_TYPE_MISMATCH: Final = 0x8074_0000
BAD_UNEXPECTED: Final = 0x8001_0000

_QUALITY_OF_STATUS: Final = {
    0x01: BAD_COMMUNICATION,
    0x02: BAD_RESOURCE_UNAVAILABLE,
    0x04: BAD_NODE_UNKNOWN,
    0x05: BAD_NODE_UNKNOWN,
    0x06: BAD_RESPONSE_TOO_LARGE,
    0x07: BAD_COMMUNICATION,
    0x08: BAD_NOT_SUPPORTED,
    0x0C: BAD_INVALID_STATE,
    0x0F: BAD_ACCESS_DENIED,
    0x10: BAD_INVALID_STATE,
    0x11: BAD_RESPONSE_TOO_LARGE,
    0x13: BAD_SYNTAX_ERROR,
    0x15: BAD_SYNTAX_ERROR,
    0x16: BAD_NODE_UNKNOWN,
    0x1A: BAD_RESPONSE_TOO_LARGE,
    0x1B: BAD_RESPONSE_TOO_LARGE,
    0x26: BAD_SYNTAX_ERROR,
}
_QUALITY_OF_GENERAL_ERROR: Final = {
    0x2001: BAD_DEVICE_FAILURE,
    0x2104: BAD_INDEX_RANGE_NO_DATA,
    0x2105: BAD_INDEX_RANGE_NO_DATA,
    0x2107: BAD_TYPE_MISMATCH,
}
"""Extended status of 0xFF."""
MISSING: Final = frozenset({BAD_NODE_UNKNOWN, BAD_INDEX_RANGE_NO_DATA})
"""Nothing there: for an element of an array, perhaps because it is one of BOOLs."""

BOOL: Final = 0xC1
DWORD: Final = 0xD3
_STRUCTURE: Final = 0x02A0
STRING82: Final = 0x0FCE
"""The handle of Logix's own STRING structure; strings of other lengths have others."""

_INTEGERS: Final = {
    0xC2: struct.Struct("<b"), 0xC3: struct.Struct("<h"), 0xC4: struct.Struct("<i"),
    0xC5: struct.Struct("<q"), 0xC6: struct.Struct("<B"), 0xC7: struct.Struct("<H"),
    0xC8: struct.Struct("<I"), 0xC9: struct.Struct("<Q"), 0xD1: struct.Struct("<B"),
    0xD2: struct.Struct("<H"), DWORD: struct.Struct("<I"), 0xD4: struct.Struct("<Q"),
}  # fmt: skip
_LENGTH_BYTES: Final = {0xD0: 2, 0xDA: 1}
"""Of CIP's own strings, which controllers other than Logix have."""
_FLOATS: Final = {0xCA: struct.Struct("<f"), 0xCB: struct.Struct("<d")}

Converted = tuple[float | None, str | None, int]
"""Number, text, quality."""


def quality_of(answer: Answer) -> int:
    """The OPC UA status that says the same as a CIP status."""
    if answer.status == DONE:
        return GOOD
    if answer.status == 0xFF:
        return _QUALITY_OF_GENERAL_ERROR.get(answer.extended, BAD_UNEXPECTED)
    return _QUALITY_OF_STATUS.get(answer.status, BAD_UNEXPECTED)


def type_of(answer: Answer) -> int:
    """The type code of a value; the upper byte of a BOOL's says which bit of its host it is."""
    (code,) = struct.unpack_from("<H", answer.data) if len(answer.data) >= 2 else (0,)
    return int(code) if code == _STRUCTURE else int(code) & 0xFF


def handle_of(answer: Answer) -> int | None:
    """Which structure this is; None if it is none."""
    if type_of(answer) != _STRUCTURE or len(answer.data) < 4:
        return None
    return int.from_bytes(answer.data[2:4], "little")


def convert(answer: Answer, bit: int | None, strings: Collection[int], encoding: str) -> Converted:
    """Number or text of one tag. NaN stays NaN: `shape` quarantines it with its reason.

    `strings` are the handles of structures that are strings.
    """
    if answer.status != DONE:
        return None, None, quality_of(answer)
    try:
        return _value(answer, bit, strings, encoding)
    except (struct.error, UnicodeDecodeError, IndexError):
        return None, None, BAD_DECODING


def _value(answer: Answer, bit: int | None, strings: Collection[int], encoding: str) -> Converted:
    code, value = type_of(answer), answer.data[2:]
    if code in _INTEGERS:
        return _whole(code, value, bit)
    if bit is not None:
        return None, None, BAD_TYPE_MISMATCH
    if code == BOOL or code in _FLOATS:
        return _number(code, value), None, GOOD
    head = _LENGTH_BYTES.get(code)
    if head is not None:
        return _text(value[:head], value[head:], encoding)
    if handle_of(answer) in strings:
        return _text(value[2:6], value[6:], encoding)
    return None, None, BAD_ENCODING_UNSUPPORTED


def _number(code: int, value: bytes) -> float:
    return float(value[0] != 0 if code == BOOL else _FLOATS[code].unpack_from(value)[0])


def _whole(code: int, value: bytes, bit: int | None) -> Converted:
    form = _INTEGERS[code]
    (number,) = form.unpack_from(value)
    if bit is not None:
        if bit >= 8 * form.size:
            return None, None, BAD_INDEX_RANGE_NO_DATA
        return float(number >> bit & 1), None, GOOD
    if code == DWORD:
        # Only a BOOL array is made of these, and a tag without an index means all of it.
        return None, None, BAD_TYPE_MISMATCH
    return *integer(number), GOOD


def _text(length: bytes, characters: bytes, encoding: str) -> Converted:
    count = int.from_bytes(length, "little")
    if count > len(characters):
        return None, None, BAD_DECODING
    return None, characters[:count].decode(encoding), GOOD
