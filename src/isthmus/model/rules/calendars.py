"""Calendars: shifts, breaks, holidays, and from when they hold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from isthmus.base.problem import Problem
from isthmus.model.declaration import CalendarList, Declaration
from isthmus.model.document import Path
from isthmus.model.plant import Kinds
from isthmus.model.rules.holiday_regions import complaint
from isthmus.model.spec.calendar import Calendar, Shift, Weekday

_DAY: Final = 24 * 60
_WEEK: Final = 7 * _DAY
_WEEKDAYS: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class _Span:
    """A stretch of the week in minutes since Monday 00:00; may run into the next week."""

    name: str
    start: int
    end: int

    def overlaps(self, other: "_Span") -> bool:
        return self.start < other.end and other.start < self.end

    def later(self, minutes: int) -> "_Span":
        return _Span(self.name, self.start + minutes, self.end + minutes)


def shifts(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for listed, path, calendar in _each(declaration):
        for name, shift in calendar.shifts.items():
            where = (*path, "shifts", name)
            time = shift.time if isinstance(shift, Shift) else shift
            at = (*where, "time") if isinstance(shift, Shift) else where
            if said := _impossible(time):
                yield listed.owner.problem("M055", at, said)
        yield from _overlaps(listed, path, calendar)


def _overlaps(listed: CalendarList, path: Path, calendar: Calendar) -> Iterator[Problem]:
    """One problem for each pair of shifts, however many days they meet on."""
    spans = sorted(_week(calendar), key=lambda span: span.start)
    seen: set[tuple[str, str]] = set()
    order = list(calendar.shifts)
    for span, other in _pairs(spans):
        pair = (span.name, other.name)
        first, second = sorted(pair, key=order.index)
        if (first, second) in seen:
            continue
        seen.add((first, second))
        begin, end = max(span.start, other.start), min(span.end, other.end)
        said = f"`{second}` overlaps `{first}` from {_clock(begin)} to {_clock(end)}"
        hint = "end one where the other begins"
        where = (*path, "shifts", second)
        yield listed.owner.problem("M050", where, said, hint, at_key=True)


def _pairs(spans: Sequence[_Span]) -> Iterator[tuple[_Span, _Span]]:
    for position, span in enumerate(spans):
        for other in spans[position + 1 :]:
            if span.overlaps(other):
                yield span, other
            elif span.overlaps(other.later(-_WEEK)):
                yield span, other.later(-_WEEK)


def _week(calendar: Calendar) -> Iterator[_Span]:
    for name, shift in calendar.shifts.items():
        spec = shift if isinstance(shift, Shift) else Shift(time=shift)
        if _impossible(spec.time):
            continue
        start, end = _minutes(spec.time)
        for day in dict.fromkeys(spec.days):
            offset = _WEEKDAYS.index(day) * _DAY
            yield _Span(name, offset + start, offset + end)


def breaks(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for listed, path, calendar in _each(declaration):
        for name, shift in calendar.shifts.items():
            if isinstance(shift, Shift) and not _impossible(shift.time):
                yield from _breaks(listed, (*path, "shifts", name, "breaks"), name, shift)


def _breaks(listed: CalendarList, path: Path, name: str, shift: Shift) -> Iterator[Problem]:
    start, end = _minutes(shift.time)
    taken: list[_Span] = []
    for position, text in enumerate(shift.breaks):
        at = (*path, position)
        if said := _impossible(text):
            yield listed.owner.problem("M055", at, said)
            continue
        span = _Span(text, *_minutes(text))
        if span.start < start:  # after midnight
            span = span.later(_DAY)
        if span.end > end:
            said = f"the break {text} lies outside shift `{name}` ({shift.time})"
            yield listed.owner.problem("M051", at, said)
        elif other := next((each for each in taken if each.overlaps(span)), None):
            said = f"the break {text} overlaps {other.name}"
            yield listed.owner.problem("M056", at, said)
        taken.append(span)


def dates(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for listed in declaration.calendars():
        seen = set()
        for position, calendar in enumerate(listed.calendars):
            if calendar.valid_from in seen:
                said = f"two calendars begin on {calendar.valid_from}"
                hint = "give the later one its own `from`"
                yield listed.owner.problem("M052", listed.at(position), said, hint, at_key=True)
            seen.add(calendar.valid_from)
    for listed, path, calendar in _each(declaration):
        for position, day in enumerate(calendar.open):
            if day in calendar.closed:
                said = f"{day} is open and closed"
                yield listed.owner.problem("M057", (*path, "open", position), said)


def holiday_regions(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for listed, path, calendar in _each(declaration):
        if calendar.holidays is None:
            continue
        said, hint = complaint(calendar.holidays)
        if said:
            yield listed.owner.problem("M053", (*path, "holidays"), said, hint)


def sites_without(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    covered = {
        (site.name, area, line)
        for site, area, line, spec in declaration.lines()
        if spec.calendar is not None or site.spec.calendar is not None
    }
    bare = {
        machine.site
        for machine in declaration.machines
        if machine.spec.calendar is None
        and (machine.site, machine.area, machine.line) not in covered
    }
    for site in declaration.sites.values():
        if site.name in bare:
            said = f"machines of `{site.name}` have no calendar, so none of their time is planned"
            hint = 'add `calendar: {shifts: {early: "06:00-14:00"}}` to the site or its lines'
            yield site.problem("M054", ("site",), said, hint)


def _each(declaration: Declaration) -> Iterator[tuple[CalendarList, Path, Calendar]]:
    for listed in declaration.calendars():
        for position, calendar in enumerate(listed.calendars):
            yield listed, listed.at(position), calendar


def _impossible(text: str) -> str:
    begin, end = text.split("-")
    if end > "24:00":
        return f"`{end}` is no time of day; a day ends at 24:00"
    if begin == end:
        return f"`{text}` is empty; write `00:00-24:00` for a whole day"
    return ""


def _minutes(text: str) -> tuple[int, int]:
    """Start and end since midnight; what ends before it starts ends on the next day."""
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in text.split("-"))
    return start, end if end > start else end + _DAY


def _clock(minutes: int) -> str:
    minutes %= _WEEK
    return f"{_WEEKDAYS[minutes // _DAY]} {minutes % _DAY // 60:02d}:{minutes % 60:02d}"
