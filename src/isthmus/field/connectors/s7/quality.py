"""Return codes of an S7 to qualities: pure, with what a person can do about each."""

from typing import Final

from isthmus.field.connectors.s7.wire import ACCESS_DENIED, OUT_OF_RANGE
from isthmus.field.values import BAD_USER_ACCESS_DENIED
from isthmus.flow.parcel import BAD_NODE_UNKNOWN

BAD_UNEXPECTED: Final = 0x8001_0000
BAD_OUT_OF_RANGE: Final = 0x803C_0000
BAD_NOT_SUPPORTED: Final = 0x803D_0000
BAD_TYPE_MISMATCH: Final = 0x8074_0000
BAD_DEVICE_FAILURE: Final = 0x808B_0000

HOW_TO_ALLOW: Final = (
    "in TIA Portal, allow PUT/GET in the CPU's properties (Protection & Security > Connection "
    "mechanisms) with a protection level that lets others read, and switch `Optimized block "
    "access` off in the properties of each data block"
)

_ABSENT: Final = 0x0A
_FUNCTION_REFUSED: Final = 0x8104
_PASSWORD_NEEDED: Final = 0xD241

_QUALITIES: Final = {
    0x01: BAD_DEVICE_FAILURE,
    ACCESS_DENIED: BAD_USER_ACCESS_DENIED,
    OUT_OF_RANGE: BAD_OUT_OF_RANGE,
    0x06: BAD_NOT_SUPPORTED,
    0x07: BAD_TYPE_MISMATCH,
    _ABSENT: BAD_NODE_UNKNOWN,
    _FUNCTION_REFUSED: BAD_USER_ACCESS_DENIED,
    _PASSWORD_NEEDED: BAD_USER_ACCESS_DENIED,
}
"""Two digits: of one item. Four: error class and code of the whole request."""

_OPTIMIZED: Final = "is `Optimized block access` off in the properties of the data block"
_ADVICE: Final = {
    OUT_OF_RANGE: f"does it end before that byte, and {_OPTIMIZED}?",
    _ABSENT: f"is it downloaded to this CPU, and {_OPTIMIZED}?",
}


def quality_of(code: int) -> int:
    """The OPC UA status that says the same."""
    return _QUALITIES.get(code, BAD_UNEXPECTED)


def advice(code: int) -> str:
    """What a person can do about it."""
    if quality_of(code) == BAD_USER_ACCESS_DENIED:
        return HOW_TO_ALLOW
    return _ADVICE.get(code, "the manual of the CPU may say what it means")
