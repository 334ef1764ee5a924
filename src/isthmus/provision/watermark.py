"""How far a table has been read, by the column that says when a row changed: pure.

Rows become visible later than their time of change says (a transaction commits minutes after it
began), so a part is read again each time; intake notices that nothing differs.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from isthmus.base.clock import Micros, to_datetime
from isthmus.provision.wall import local

Kind = Literal["aware", "naive", "date", "number", "text"]

_WRITTEN: Final = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"), "%Y-%m-%dT%H:%M:%S", 19),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "%Y-%m-%d %H:%M:%S", 19),
    (re.compile(r"\d{14}$"), "%Y%m%d%H%M%S", 14),
    (re.compile(r"\d{4}-\d\d-\d\d$"), "%Y-%m-%d", 10),
    (re.compile(r"\d{8}$"), "%Y%m%d", 8),
)
"""How databases without a type for times write them, so that they still sort as text."""
_UTC: Final = re.compile(r":\d\d(\.\d+)?(Z|[+-]00:?00)$")


class NoOrderError(ValueError):
    """The column holds something by which one cannot tell what is newer."""


@dataclass(frozen=True)
class Watermark:
    """The highest value seen, as text with its kind, so that it can be kept."""

    kind: Kind
    value: str


def highest(
    values: Iterable[Any], last: Watermark | None, now: Micros, zone: ZoneInfo
) -> Watermark | None:
    """The new watermark; never in the future, where one wrong row would hide all later ones."""
    found = [value for value in values if value is not None]
    if not found:
        return last
    kinds = {_kind(value) for value in found}
    if len(kinds) > 1:
        raise NoOrderError(f"holds {' and '.join(sorted(kinds))}; read one kind of value")
    kind = kinds.pop()
    if last is not None and last.kind == kind:
        found.append(_value(last))
    return Watermark(kind, _text(max(min(value, _limit(value, now, zone)) for value in found)))


def lower(last: Watermark, overlap: timedelta, steps: int) -> Any:
    """The value from which on rows are read again."""
    value = _value(last)
    match last.kind:
        case "aware" | "naive":
            return value - overlap
        case "date":
            return value - overlap - timedelta(days=1)
        case "number":
            return value - steps
        case "text":
            at = _read(value)
            return value if at is None else _like(value, at - overlap)


def _kind(value: Any) -> Kind:
    match value:
        case datetime():
            return "naive" if value.tzinfo is None else "aware"
        case date():
            return "date"
        case int() | float() | Decimal() if not isinstance(value, bool):
            return "number"
        case str():
            return "text"
        case _:
            raise NoOrderError(f"holds {type(value).__name__}, which tells no order")


def _value(mark: Watermark) -> Any:
    match mark.kind:
        case "aware" | "naive":
            return datetime.fromisoformat(mark.value)
        case "date":
            return date.fromisoformat(mark.value)
        case "number":
            return int(mark.value) if mark.value.lstrip("-").isdigit() else Decimal(mark.value)
        case "text":
            return mark.value


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _limit(value: Any, now: Micros, zone: ZoneInfo) -> Any:
    """The present, in the kind of the value; itself where it is no time."""
    wall = local(now, zone)
    match value:
        case datetime():
            return wall if value.tzinfo is None else to_datetime(now)
        case date():
            return wall.date()
        case str() if _read(value) is not None:
            return _like(value, to_datetime(now) if _UTC.search(value) else wall)
        case _:
            return value


def _read(text: str) -> datetime | None:
    for pattern, written, length in _WRITTEN:
        if pattern.match(text):
            try:
                return datetime.strptime(text[:length], written)  # noqa: DTZ007 - compared as text
            except ValueError:
                return None
    return None


def _like(text: str, at: datetime) -> str:
    """`at` written as `text` is; fractions are left out, which sorts before any of them."""
    written = next(written for pattern, written, _ in _WRITTEN if pattern.match(text))
    return at.strftime(written)
