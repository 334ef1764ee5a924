"""One calendar's shifts as intervals of elapsed time: pure, of the calendar, a zone, two moments.

A shift is written in local wall time and lasts as long as clocks take to get there: a night
shift in Berlin has seven or nine hours twice a year. See `wall.instant` for the rule at the
change. A shift ends at the latest when the next one starts; only a change from one calendar to
the next can make it so, everything else is refused by `isthmus check`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import zip_longest
from zoneinfo import ZoneInfo

import holidays

from isthmus.base.clock import SECOND, Micros
from isthmus.model.spec.calendar import Calendar, Shift
from isthmus.provision.wall import instant, local

_DAY = timedelta(days=1)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class PlannedDown:
    """Time inside a shift in which no machine is expected to run."""

    start: Micros
    end: Micros
    why: str


@dataclass(frozen=True)
class ShiftInterval:
    """One shift on one day, as elapsed time."""

    shift: str
    day: date
    """The local date it is reported under."""
    start: Micros
    end: Micros
    down: tuple[PlannedDown, ...] = ()
    """Breaks, in order, inside the shift, not overlapping."""

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / SECOND

    @property
    def planned_seconds(self) -> float:
        """Without the breaks: planned busy time (PBT)."""
        return self.seconds - sum(down.end - down.start for down in self.down) / SECOND


def intervals(
    calendars: tuple[Calendar, ...], timezone: str, start: Micros, end: Micros
) -> list[ShiftInterval]:
    """Shifts that overlap `[start, end)`, whole, in order, never two at once."""
    zone = ZoneInfo(timezone)
    # A shift lasts at most a day and may have started the day before; one more day on each side
    # lets the neighbours cut it, and covers zones that skipped a whole date.
    days = _days(local(start, zone).date() - 3 * _DAY, local(end, zone).date() + 2 * _DAY)
    begun = [shift for day in days for shift in _started_on(day, calendars, zone)]
    return [shift for shift in _one_at_a_time(begun) if shift.start < end and start < shift.end]


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + number * _DAY


def _started_on(
    day: date, calendars: tuple[Calendar, ...], zone: ZoneInfo
) -> Iterator[ShiftInterval]:
    calendar = max(
        (item for item in calendars if item.valid_from <= day),
        key=lambda item: item.valid_from,
        default=None,
    )
    if calendar is None or not works_on(calendar, day):
        return
    for name, written in calendar.shifts.items():
        shift = Shift(time=written) if isinstance(written, str) else written
        if _WEEKDAYS[day.weekday()] in shift.days:
            yield _interval(name, shift, day, zone)


def works_on(calendar: Calendar, day: date) -> bool:
    """Whether shifts may start on this date: neither closed nor a holiday, unless opened."""
    if day in calendar.open:
        return True
    if day in calendar.closed:
        return False
    return calendar.holidays is None or day not in _holidays(calendar.holidays, day.year)


@lru_cache(maxsize=512)
def _holidays(region: str, year: int) -> frozenset[date]:
    country, _, subdivision = region.partition("-")
    found = holidays.country_holidays(country, subdiv=subdivision or None, years=year)
    return frozenset(found)


def _interval(name: str, shift: Shift, day: date, zone: ZoneInfo) -> ShiftInterval:
    begin, finish = _span(shift.time, day)
    # A shift until midnight does not cross it: its last moment is still on the first day.
    reported = (finish - timedelta(microseconds=1)).date() if shift.day == "end" else day
    pauses = (_break(pause, begin) for pause in shift.breaks)
    down = (PlannedDown(instant(a, zone), instant(b, zone), "break") for a, b in pauses)
    return ShiftInterval(
        name, reported, instant(begin, zone), instant(finish, zone), _joined(list(down))
    )


def _span(written: str, day: date) -> tuple[datetime, datetime]:
    begin, finish = (_moment(day, part) for part in written.split("-"))
    return begin, finish if finish > begin else finish + _DAY


def _break(written: str, shift_begin: datetime) -> tuple[datetime, datetime]:
    begin, finish = _span(written, shift_begin.date())
    after_midnight = _DAY if begin < shift_begin else timedelta()
    return begin + after_midnight, finish + after_midnight


def _moment(day: date, written: str) -> datetime:
    hour, minute = written.split(":")
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - wall time is naive
    return midnight + timedelta(hours=int(hour), minutes=int(minute))


def _joined(downs: list[PlannedDown]) -> tuple[PlannedDown, ...]:
    """In order; breaks that overlap become one, those a clock change swallowed are left out."""
    joined: list[PlannedDown] = []
    for down in sorted((item for item in downs if item.end > item.start), key=lambda d: d.start):
        if joined and down.start <= joined[-1].end:
            joined[-1] = replace(joined[-1], end=max(joined[-1].end, down.end))
        else:
            joined.append(down)
    return tuple(joined)


def _one_at_a_time(begun: list[ShiftInterval]) -> Iterator[ShiftInterval]:
    # Sorted by end too: of two that a clock change makes start together, the shorter comes first.
    ordered = sorted(begun, key=lambda shift: (shift.start, shift.end))
    for shift, later in zip_longest(ordered, ordered[1:]):
        end = shift.end if later is None else min(shift.end, later.start)
        if end > shift.start:
            yield replace(shift, end=end, down=tuple(_inside(shift, end)))


def _inside(shift: ShiftInterval, end: Micros) -> Iterator[PlannedDown]:
    for down in shift.down:
        clipped = replace(down, start=max(down.start, shift.start), end=min(down.end, end))
        if clipped.end > clipped.start:
            yield clipped
