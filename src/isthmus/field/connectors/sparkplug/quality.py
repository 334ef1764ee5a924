"""The `Quality` property of a metric as an OPC UA status code."""

from typing import Any, Final

from isthmus.flow.parcel import BAD, BAD_NOT_CONNECTED, GOOD, UNCERTAIN

_KEY: Final = "quality"
_STALE: Final = 500
_CLASSES: Final = {0x00: BAD, 0x40: UNCERTAIN, 0xC0: GOOD}
"""The two bits by which OPC tells good from bad: 192 and 0 are Sparkplug's own."""


def quality_of(properties: Any) -> int:
    """GOOD where the metric says nothing of its quality; what is no code we know is uncertain."""
    for key, property_ in zip(properties.keys, properties.values, strict=False):
        if key.lower() == _KEY:
            form = property_.WhichOneof("value")
            return _status(getattr(property_, form) if form else None)
    return GOOD


def _status(code: Any) -> int:
    if code == _STALE:
        return BAD_NOT_CONNECTED
    if isinstance(code, int) and 0 <= code <= 0xFF:
        return _CLASSES.get(code & 0xC0, UNCERTAIN)
    return UNCERTAIN
