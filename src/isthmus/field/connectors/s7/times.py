"""The S7's dates and durations, bytes to values and back. ValueError: the bytes are none.

A moment is text as the CPU's clock shows it: the CPU does not tell its time zone. A duration is a
number in the unit the CPU counts in: milliseconds, or nanoseconds for the long types.
"""

import struct
from datetime import date, datetime, time, timedelta
from typing import Final

_FIRST_DATE: Final = date(1990, 1, 1)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the CPU's clock has no zone
_MS: Final = 1_000
_NS: Final = 1_000_000_000
_DAY: Final = 86_400
_LDT_END: Final = 2**63
"""Nanoseconds since 1970 are signed: 2262-04-11."""
_DTL: Final = struct.Struct(">HBBBBBBI")
_S5_BASES: Final = (10, 100, 1_000, 10_000)
"""Milliseconds per step."""
_S5_STEPS: Final = 999
_CENTURY_TURNS: Final = 90
"""DATE_AND_TIME has two digits for the year, 90 is 1990 and 89 is 2089."""


def date_text(contents: bytes) -> str:
    return (_FIRST_DATE + timedelta(days=int.from_bytes(contents))).isoformat()


def date_bytes(text: str) -> bytes:
    return _unsigned((date.fromisoformat(text) - _FIRST_DATE).days, 2)


def tod_text(contents: bytes) -> str:
    return _clock(int.from_bytes(contents), _MS)


def tod_bytes(text: str) -> bytes:
    return _unsigned(_since_midnight(text, _MS), 4)


def ltod_text(contents: bytes) -> str:
    return _clock(int.from_bytes(contents), _NS)


def ltod_bytes(text: str) -> bytes:
    return _unsigned(_since_midnight(text, _NS), 8)


def ldt_text(contents: bytes) -> str:
    count = int.from_bytes(contents)
    if count >= _LDT_END:
        raise ValueError(f"{count} ns are beyond 2262")
    seconds, nanoseconds = divmod(count, _NS)
    return _moment(_EPOCH + timedelta(seconds=seconds), nanoseconds, _NS)


def ldt_bytes(text: str) -> bytes:
    moment, nanoseconds = _parse_moment(text, _NS)
    since = moment - _EPOCH
    count = (since.days * _DAY + since.seconds) * _NS + nanoseconds
    if not 0 <= count < _LDT_END:
        raise ValueError(f"`{text}` is outside of 1970 to 2262")
    return _unsigned(count, 8)


def dtl_text(contents: bytes) -> str:
    year, month, day, _, hour, minute, second, nanoseconds = _DTL.unpack(contents)
    if nanoseconds >= _NS:
        raise ValueError(f"{nanoseconds} ns are a second or more")
    return _moment(_datetime(year, month, day, hour, minute, second), nanoseconds, _NS)


def dtl_bytes(text: str) -> bytes:
    at, nanoseconds = _parse_moment(text, _NS)
    return _DTL.pack(
        at.year, at.month, at.day, _weekday(at), at.hour, at.minute, at.second, nanoseconds
    )


def date_and_time_text(contents: bytes) -> str:
    year, month, day, hour, minute, second = (bcd(contents[index], 2) for index in range(6))
    year += 1900 if year >= _CENTURY_TURNS else 2000
    # Three digits of milliseconds; the last half byte is the day of the week.
    milliseconds = bcd(int.from_bytes(contents[6:8]) >> 4, 3)
    return _moment(_datetime(year, month, day, hour, minute, second), milliseconds, _MS)


def date_and_time_bytes(text: str) -> bytes:
    at, milliseconds = _parse_moment(text, _MS)
    if not 1900 + _CENTURY_TURNS <= at.year < 2000 + _CENTURY_TURNS:
        raise ValueError(f"`{text}` is outside of 1990 to 2089")
    parts = (at.year % 100, at.month, at.day, at.hour, at.minute, at.second)
    tail = to_bcd(milliseconds, 3) << 4 | _weekday(at)
    return bytes(to_bcd(part, 2) for part in parts) + tail.to_bytes(2)


def s5time_milliseconds(contents: bytes) -> int:
    word = int.from_bytes(contents)
    return bcd(word & 0xFFF, 3) * _S5_BASES[word >> 12 & 0b11]


def s5time_bytes(milliseconds: int) -> bytes:
    for number, base in enumerate(_S5_BASES):
        steps, rest = divmod(milliseconds, base)
        if rest == 0 and 0 <= steps <= _S5_STEPS:
            return (number << 12 | to_bcd(steps, 3)).to_bytes(2)
    raise ValueError(f"{milliseconds} ms are no S5TIME: three digits of 10 ms, 100 ms, 1 s or 10 s")


def bcd(word: int, digits: int) -> int:
    """Decimal digits, four bits each; ValueError where one of them is A to F."""
    return int(f"{word:0{digits}x}")


def to_bcd(number: int, digits: int) -> int:
    if not 0 <= number < 10**digits:
        raise ValueError(f"{number} has not {digits} digits")
    return int(str(number), 16)


def _unsigned(number: int, width: int) -> bytes:
    if not 0 <= number < 256**width:
        raise ValueError(f"{number} does not fit into {width} bytes")
    return number.to_bytes(width)


def _weekday(at: datetime) -> int:
    """Sunday is 1."""
    return at.isoweekday() % 7 + 1


def _datetime(  # noqa: PLR0917 - in their order, as everybody knows it
    year: int, month: int, day: int, hour: int, minute: int, second: int
) -> datetime:
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - it has no zone


def _moment(at: datetime, fraction: int, per_second: int) -> str:
    return f"{at.isoformat()}{_fraction(fraction, per_second)}"


def _clock(count: int, per_second: int) -> str:
    if count >= _DAY * per_second:
        raise ValueError(f"{count} is a day or more")
    seconds, fraction = divmod(count, per_second)
    at = time(seconds // 3600, seconds // 60 % 60, seconds % 60)
    return f"{at.isoformat()}{_fraction(fraction, per_second)}"


def _fraction(count: int, per_second: int) -> str:
    return f".{count:0{_digits(per_second)}}"


def _parse_moment(text: str, per_second: int) -> tuple[datetime, int]:
    whole, fraction = _parse_fraction(text, per_second)
    at = datetime.fromisoformat(whole)
    if at.tzinfo is not None:
        raise ValueError(f"`{text}` has a time zone, the CPU's clock has none")
    return at, fraction


def _since_midnight(text: str, per_second: int) -> int:
    whole, fraction = _parse_fraction(text, per_second)
    at = time.fromisoformat(whole)
    return (at.hour * 3600 + at.minute * 60 + at.second) * per_second + fraction


def _parse_fraction(text: str, per_second: int) -> tuple[str, int]:
    whole, _, fraction = text.partition(".")
    digits = _digits(per_second)
    if len(fraction) > digits:
        raise ValueError(f"`{text}` has more than {digits} digits behind the second")
    return whole, int(fraction.ljust(digits, "0"))


def _digits(per_second: int) -> int:
    return len(str(per_second)) - 1
