"""Register contents to number or text: pure functions of what the device answered."""

import struct
from collections.abc import Sequence
from typing import Final

from isthmus.field.connectors.modbus.spec import ModbusSource, Order, Register, RegisterType
from isthmus.field.samples import integer
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD

BAD_DECODING: Final = 0x8007_0000
BAD_NOT_SUPPORTED: Final = 0x803D_0000
BAD_OUT_OF_RANGE: Final = 0x803C_0000
BAD_DEVICE_FAILURE: Final = 0x808B_0000
BAD_RESOURCE_UNAVAILABLE: Final = 0x8004_0000
BAD_TIMEOUT: Final = 0x800A_0000
BAD_NO_COMMUNICATION: Final = 0x8031_0000
BAD_UNEXPECTED: Final = 0x8001_0000

_QUALITY_OF_EXCEPTION: Final = {
    1: BAD_NOT_SUPPORTED,
    2: BAD_NODE_UNKNOWN,
    3: BAD_OUT_OF_RANGE,
    4: BAD_DEVICE_FAILURE,
    5: BAD_RESOURCE_UNAVAILABLE,
    6: BAD_RESOURCE_UNAVAILABLE,
    7: BAD_DEVICE_FAILURE,
    8: BAD_DEVICE_FAILURE,
    10: BAD_NO_COMMUNICATION,
    11: BAD_TIMEOUT,
}

_FORMATS: Final[dict[RegisterType, struct.Struct]] = {
    "int16": struct.Struct(">h"), "uint16": struct.Struct(">H"),
    "int32": struct.Struct(">i"), "uint32": struct.Struct(">I"),
    "int64": struct.Struct(">q"), "uint64": struct.Struct(">Q"),
    "float32": struct.Struct(">f"), "float64": struct.Struct(">d"),
}  # fmt: skip

Converted = tuple[float | None, str | None, int]
"""Number, text, quality."""


def quality_of(exception_code: int) -> int:
    """The OPC UA status that says the same as a Modbus exception."""
    return _QUALITY_OF_EXCEPTION.get(exception_code, BAD_UNEXPECTED)


def raw_value(register: Register, contents: Sequence[int], byte_order: Order) -> Sequence[int]:
    """What must change for the tag to have changed: its registers, or its one bit."""
    if register.bit is None:
        return contents
    shift = register.bit if byte_order == "big" else (register.bit + 8) % 16
    return [contents[0] >> shift & 1]


def convert(register: Register, raw: Sequence[int], source: ModbusSource) -> Converted:
    """Number or text of one tag. NaN stays NaN: `shape` quarantines it with its reason."""
    if register.type == "bit":
        return float(raw[0]), None, GOOD
    if register.type == "string":
        return _text(register, raw, source)
    order = register.word_order or source.word_order
    words = raw if order == "big" else raw[::-1]
    (value,) = _FORMATS[register.type].unpack(_bytes(words, source.byte_order))
    if isinstance(value, float):
        return value, None, GOOD
    return *integer(value), GOOD


def _text(register: Register, raw: Sequence[int], source: ModbusSource) -> Converted:
    """Up to the first NUL, without the blanks that fill it up."""
    contents = _bytes(raw, source.byte_order)[: register.length]
    try:
        text = contents.partition(b"\0")[0].decode(source.encoding)
    except UnicodeDecodeError:
        return None, None, BAD_DECODING
    return None, text.rstrip(" "), GOOD


def _bytes(words: Sequence[int], order: Order) -> bytes:
    return b"".join(word.to_bytes(2, order) for word in words)
