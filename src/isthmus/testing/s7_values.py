"""Values of every S7 type, for property tests of whatever writes or reads them."""

from datetime import date, datetime
from typing import Final

from hypothesis import strategies as st

from isthmus.field.connectors.s7.address import S7Type
from isthmus.field.connectors.s7.values import ENCODING, Value
from isthmus.field.samples import integer

Values = st.SearchStrategy[Value]

CHARACTERS: Final = 12
"""The longest text of the strings drawn here: what a tag must leave room for."""

S5_BASES: Final = (10, 100, 1_000, 10_000)
"""Milliseconds."""

_MS: Final = 1_000
_NS: Final = 1_000_000_000


def values(kind: S7Type) -> Values:
    """What a tag of this type can hold, as `encode` takes it and as `decode` gives it back."""
    return _VALUES[kind]


def expected(value: Value) -> tuple[float | None, str | None]:
    """Number and text of the sample that a value becomes."""
    match value:
        case str():
            return None, value
        case int():
            return integer(int(value))
        case float():
            return value, None


def _unsigned(size: int) -> Values:
    return st.integers(0, 2**size - 1)


def _signed(size: int) -> Values:
    return st.integers(-(2 ** (size - 1)), 2 ** (size - 1) - 1)


def _narrow(least: int, most: int) -> Values:
    return st.text(
        st.characters(codec=ENCODING, exclude_characters="\0"), min_size=least, max_size=most
    )


def _wide(least: int, most: int, last: int = 0x10FFFF) -> Values:
    characters = st.characters(
        max_codepoint=last, exclude_categories=["Cs"], exclude_characters="\0"
    )
    return st.text(characters, min_size=least, max_size=most)


def _fraction(per_second: int) -> st.SearchStrategy[str]:
    digits = len(str(per_second)) - 1
    return st.integers(0, per_second - 1).map(lambda count: f".{count:0{digits}}")


def _moments(first: int, last: int, per_second: int) -> Values:
    whole = st.datetimes(datetime(first, 1, 1), datetime(last, 12, 31)).map(  # noqa: DTZ001
        lambda at: at.isoformat(timespec="seconds")
    )
    return st.builds(str.__add__, whole, _fraction(per_second))


def _clocks(per_second: int) -> Values:
    whole = st.times().map(lambda at: at.isoformat(timespec="seconds"))
    return st.builds(str.__add__, whole, _fraction(per_second))


_VALUES: Final[dict[S7Type, Values]] = {
    "bool": st.booleans(),
    "byte": _unsigned(8), "word": _unsigned(16), "dword": _unsigned(32), "lword": _unsigned(64),
    "usint": _unsigned(8), "uint": _unsigned(16), "udint": _unsigned(32), "ulint": _unsigned(64),
    "sint": _signed(8), "int": _signed(16), "dint": _signed(32), "lint": _signed(64),
    "time": _signed(32), "ltime": _signed(64),
    "real": st.floats(width=32, allow_nan=False), "lreal": st.floats(allow_nan=False),
    "char": _narrow(1, 1), "wchar": _wide(1, 1, last=0xFFFF),
    "string": _narrow(0, CHARACTERS),
    "wstring": _wide(0, CHARACTERS // 2),  # beyond 0xFFFF a character takes two
    "date": st.dates(date(1990, 1, 1), date(2168, 12, 31)).map(date.isoformat),
    "tod": _clocks(_MS), "ltod": _clocks(_NS),
    "date_and_time": _moments(1990, 2088, _MS),
    "dtl": _moments(1970, 2261, _NS), "ldt": _moments(1970, 2261, _NS),
    "s5time": st.builds(int.__mul__, st.integers(0, 999), st.sampled_from(S5_BASES)),
    "counter": st.integers(0, 999),
}  # fmt: skip
