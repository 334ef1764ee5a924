"""The time range of a page, as its URL says it: a shift, `24h`, `2026-W46`, `from..to`."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from isthmus.base.clock import DAY, HOUR, Micros, to_datetime, to_micros
from isthmus.web.platform import Lake
from isthmus.web.scope import Scope

Kind = Literal["shift", "rolling", "day", "week", "span"]

ROLLING = {"8h": 8 * HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
LONGEST = 400 * DAY


class RangeError(ValueError):
    """The URL's range says nothing we understand."""


@dataclass(frozen=True)
class TimeRange:
    """A resolved range; `text` is what goes back into the URL."""

    text: str
    kind: Kind
    start: Micros
    end: Micros
    shift: str = ""
    day: date | None = None


@dataclass(frozen=True)
class Neighbours:
    """The ranges `[` and `]` lead to."""

    previous: str | None
    next: str | None


def resolve(text: str, scope: Scope, lake: Lake, now: Micros) -> TimeRange:
    """`text` as start and end; `shift` alone is the running shift, else the last one."""
    if text == "shift":
        return current_shift(scope, lake, now)
    if text.startswith("shift:"):
        return _named_shift(text, scope, lake)
    if text in ROLLING:
        return TimeRange(text, "rolling", now - ROLLING[text], now)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return _days(text, "day", _date(text), 1, scope)
    if re.fullmatch(r"\d{4}-W\d\d", text):
        return _days(text, "week", _week(text), 7, scope)
    if ".." in text:
        return _span(text, scope)
    raise RangeError(text)


def current_shift(scope: Scope, lake: Lake, now: Micros) -> TimeRange:
    """The running shift, else the last that ran, else the last 24 hours."""
    shifts = _shifts(scope, lake, now - 7 * DAY, now)
    if not shifts:
        return TimeRange("24h", "rolling", now - DAY, now)
    return max(shifts, key=lambda shift: (shift.end > now, shift.start))


def neighbours(chosen: TimeRange, scope: Scope, lake: Lake) -> Neighbours:
    """For a shift the shifts before and after; else the same length of time before and after."""
    if chosen.kind == "shift":
        around = _shifts(scope, lake, chosen.start - 4 * DAY, chosen.end + 4 * DAY)
        before = [shift for shift in around if shift.start < chosen.start]
        after = [shift for shift in around if shift.start > chosen.start]
        return Neighbours(before[-1].text if before else None, after[0].text if after else None)
    if chosen.kind == "day" and chosen.day:
        return Neighbours(f"{chosen.day - timedelta(1)}", f"{chosen.day + timedelta(1)}")
    if chosen.kind == "week" and chosen.day:
        return Neighbours(
            f"{chosen.day - timedelta(7):%G-W%V}", f"{chosen.day + timedelta(7):%G-W%V}"
        )
    length = chosen.end - chosen.start
    return Neighbours(
        span_text(chosen.start - length, chosen.start), span_text(chosen.end, chosen.end + length)
    )


def span_text(start: Micros, end: Micros) -> str:
    """`2026-11-17T06:00Z..2026-11-17T14:00Z`: the same picture for whoever opens the link."""
    return f"{_utc(start)}..{_utc(end)}"


def recent_shifts(scope: Scope, lake: Lake, now: Micros) -> list[TimeRange]:
    """Shifts of the last days that have begun, oldest first."""
    return _shifts(scope, lake, now - 3 * DAY, now)


def _utc(at: Micros) -> str:
    text = to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text.removesuffix(':00')}Z"


def _named_shift(text: str, scope: Scope, lake: Lake) -> TimeRange:
    try:
        _, day_text, name = text.split(":", 2)
    except ValueError as error:
        raise RangeError(text) from error
    day = _date(day_text)
    noon = to_micros(datetime.combine(day, time(12), ZoneInfo(scope.timezone)))
    for shift in _shifts(scope, lake, noon - 2 * DAY, noon + 2 * DAY):
        if (shift.day, shift.shift) == (day, name):
            return shift
    raise RangeError(text)


_SHIFTS = """
    select shift, day, epoch_us(min(start)) as start, epoch_us(max("end")) as "end"
    from shift
    where (machine = $scope or starts_with(machine, $scope || '/'))
      and start < $to and "end" > $from
    group by shift, day order by start, shift
"""


def _shifts(scope: Scope, lake: Lake, start: Micros, end: Micros) -> list[TimeRange]:
    rows = lake.query(
        _SHIFTS, {"scope": scope.path, "from": to_datetime(start), "to": to_datetime(end)}
    ).to_pylist()
    return [
        TimeRange(
            f"shift:{row['day']}:{row['shift']}",
            "shift",
            row["start"],
            row["end"],
            row["shift"],
            row["day"],
        )
        for row in rows
    ]


def _days(text: str, kind: Kind, first: date, days: int, scope: Scope) -> TimeRange:
    """Local midnights: a day of 23 or 25 hours is one day."""
    zone = ZoneInfo(scope.timezone)
    start = datetime.combine(first, time(), zone)
    end = datetime.combine(first + timedelta(days), time(), zone)
    return TimeRange(text, kind, to_micros(start), to_micros(end), day=first)


def _span(text: str, scope: Scope) -> TimeRange:
    first, _, last = text.partition("..")
    start, end = _moment(first, scope), _moment(last, scope)
    if not start < end <= start + LONGEST:
        raise RangeError(text)
    return TimeRange(span_text(start, end), "span", start, end)


def _moment(text: str, scope: Scope) -> Micros:
    """ISO 8601; without a zone it is plant time, as a person types it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise RangeError(text) from error
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(scope.timezone)))


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise RangeError(text) from error


def _week(text: str) -> date:
    try:
        return date.fromisocalendar(int(text[:4]), int(text[6:]), 1)
    except ValueError as error:
        raise RangeError(text) from error
