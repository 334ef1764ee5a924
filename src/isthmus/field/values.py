"""Values of protocols that write text (JSON, MTConnect, SHDR), and the status codes they need."""

from typing import Final

from isthmus.base.clock import Micros
from isthmus.field.samples import EXACT_INTEGER, Samples, integer
from isthmus.flow.parcel import GOOD

Value = float | int | str | bool | None

BAD_DECODING: Final = 0x8007_0000
"""It came and could not be understood; `text` holds what came. `shape` quarantines it."""
BAD_WAITING_FOR_INITIAL_DATA: Final = 0x8032_0000
BAD_NO_DATA: Final = 0x809B_0000
"""The source itself says that there is no value: JSON null, a removed entry."""
BAD_USER_ACCESS_DENIED: Final = 0x801F_0000
BAD_NAME_DUPLICATED: Final = 0x8061_0000
"""The tag names more than one signal of the source."""

LONGEST_BAD_TEXT: Final = 1_000
"""Characters kept of what could not be decoded."""


def add_value(  # noqa: PLR0917 - the columns in their order
    samples: Samples,
    tag: str,
    value: Value,
    device_time: Micros,
    received_time: Micros,
    quality: int = GOOD,
) -> None:
    """Add one value; booleans become 0 and 1, integers a double cannot hold become text."""
    if type(value) is float or (type(value) is int and abs(value) <= EXACT_INTEGER):  # most are
        samples.add(tag, device_time, received_time, float(value), None, quality)
        return
    number: float | None = None
    text: str | None = None
    match value:
        case None:
            pass
        case str():
            text = value
        case int():
            number, text = integer(int(value))
        case float():
            number = value
    if text is not None and not text.isascii():
        text, quality = _encodable(text, quality)
    samples.add(tag, device_time, received_time, number, text, quality)


def from_text(text: str) -> int | float | str:
    """A number where the text is exactly how that number is written, else the text.

    `5` and `5742.856` are numbers; `007`, `1.10` and `1E5` may be names and stay text. `shape`
    reads them as numbers where a field wants one.
    """
    if not text or text[-1] not in "0123456789":
        return text
    try:
        number = float(text) if "." in text else int(text)
    except ValueError:
        return text
    return number if str(number) == text else text


def cut(text: str) -> str:
    """What is kept of a text that could not be understood."""
    return text[:LONGEST_BAD_TEXT]


def _encodable(text: str, quality: int) -> tuple[str, int]:
    r"""Half a surrogate pair (`"\ud800"` in JSON) has no UTF-8 form: it came broken."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return cut(text.encode("utf-8", "backslashreplace").decode()), BAD_DECODING
    return text, quality
