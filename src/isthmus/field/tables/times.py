"""Times as tables hold them, in whatever form and zone, as microseconds in UTC: pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from isthmus.base.clock import Micros, to_datetime, to_micros

UNITS: Final[dict[str, Decimal]] = {
    "s": Decimal(1_000_000),
    "ms": Decimal(1_000),
    "us": Decimal(1),
    "ns": Decimal("0.001"),
}
"""Microseconds of one, for numbers that count from 1970 in UTC."""
_ZONED: Final = re.compile(r"(?:[Zz]|[+-]\d\d:?\d\d)$")
_SORTS: Final = re.compile(r"%Y.?%m.?%d.?%H.?%M.?%S(?:.?%f)?")
_MOST: Final = 1e17
"""Microseconds; a number beyond it is no time in the declared unit."""


@dataclass(frozen=True)
class Moment:
    """A time as the row has it."""

    at: Micros
    certain: bool = True
    """False: the local time occurs twice, or never, because the clocks were changed."""


@dataclass(frozen=True)
class Reckoning:
    """How a source writes its times."""

    form: str = "iso"
    """`iso`: a time of the database, or text such as `2026-11-17 08:00:00`; `s`, `ms`, `us`, `ns`
    since 1970; or a pattern such as `%d.%m.%Y %H:%M:%S`."""
    zone: ZoneInfo | None = None
    """Of times that name none."""

    def moment(self, cells: Sequence[Any], now: Micros) -> Moment:
        """The time of a row, from one cell or from a date and a time of day.

        ValueError says what is wrong. `now`: of a time that occurred twice, the later one that
        is not ahead of it.
        """
        found = self._read(cells)
        if isinstance(found, int):
            return Moment(found)
        if found.tzinfo is not None:
            return Moment(to_micros(found))
        if self.zone is None:
            raise ValueError(
                f"`{found}` names no time zone: declare `timezone`, such as `Europe/Berlin`"
            )
        return _local(found, self.zone, now)

    def sorts(self) -> bool:
        """Whether later times are greater values, as a database compares them."""
        return "%" not in self.form or _SORTS.fullmatch(self.form) is not None

    def like(self, example: Any, at: Micros, now: Micros) -> Any:
        """A value of the kind of `example` that is not above any written from `at` until `now`."""
        if isinstance(example, int | float | Decimal):
            return int(at / UNITS[self.form])
        wall = self._earliest_wall(at, now)
        match example:
            case str():
                return self._like_text(example, at, wall)
            case datetime():
                return wall if example.tzinfo is None else to_datetime(at)
            case date():
                return wall.date()
        raise ValueError(f"`{example}` ({type(example).__name__}) is no time")

    def _like_text(self, example: str, at: Micros, wall: datetime) -> str:
        if "%" in self.form:
            return wall.strftime(self.form)
        sign = example[10:11] or "T"
        if _ZONED.search(example) is None:
            return wall.isoformat(sep=sign, timespec="seconds")
        # Texts with an offset are compared as wall time, which may go back an hour once a year.
        offset = datetime.fromisoformat(example).utcoffset() or timedelta()
        slack = timedelta(hours=1) if offset else timedelta()
        zoned = to_datetime(at).replace(tzinfo=None) + offset - slack
        return zoned.isoformat(sep=sign, timespec="seconds")

    def _earliest_wall(self, at: Micros, now: Micros) -> datetime:
        """What the clock on the wall showed at `at`; an hour less where it was set back since."""
        zone = self.zone or UTC
        then, today = to_datetime(at).astimezone(zone), to_datetime(now).astimezone(zone)
        before, after = then.utcoffset() or timedelta(), today.utcoffset() or timedelta()
        return then.replace(tzinfo=None, fold=0) - max(before - after, timedelta())

    def _read(self, cells: Sequence[Any]) -> datetime | Micros:
        if any(cell is None or cell == "" for cell in cells):
            raise ValueError("there is no time")
        if self.form in UNITS:
            return _counted(cells, self.form)
        if all(isinstance(cell, str) for cell in cells):
            return self._written(" ".join(cell.strip() for cell in cells))
        return _native(cells)

    def _written(self, text: str) -> datetime:
        try:
            if "%" in self.form:
                return datetime.strptime(text, self.form)  # noqa: DTZ007 - the zone comes later
            return datetime.fromisoformat(text)
        except ValueError:
            form = "ISO 8601" if self.form == "iso" else f"the form `{self.form}`"
            raise ValueError(
                f"`{text}` is no time in {form}: declare `time_format`, such as "
                "`%d.%m.%Y %H:%M:%S` or `ms`"
            ) from None


def check_format(form: str) -> None:
    """ValueError where no time could ever be read in this form."""
    if form == "iso" or form in UNITS:
        return
    if "%" not in form:
        known = ", ".join(["iso", *UNITS])
        raise ValueError(f"`time_format: {form}`: there are {known}, or a pattern of `%` signs")
    example = datetime(2026, 11, 17, 8, 30, 59)  # noqa: DTZ001 - an example
    try:
        again = datetime.strptime(example.strftime(form), form)  # noqa: DTZ007
    except ValueError as error:
        raise ValueError(f"`time_format: {form}`: {error}") from None
    if again.date() != example.date():
        raise ValueError(f"`time_format: {form}` has no whole date, such as `%Y-%m-%d`")


def _counted(cells: Sequence[Any], unit: str) -> Micros:
    (cell,) = cells
    try:
        micros = Decimal(str(cell).strip()) * UNITS[unit]
        at = int(micros)
    except (ArithmeticError, ValueError):
        raise ValueError(f"`{cell}` is no number of {unit} since 1970") from None
    if abs(at) > _MOST:
        raise ValueError(f"`{cell}` {unit} since 1970 is no time; is the unit right?")
    return at


def _native(cells: Sequence[Any]) -> datetime:
    match list(cells):
        case [datetime() as whole]:
            return whole
        case [date() as day]:
            return datetime.combine(day, time())
        case [datetime() as day, datetime() as clock]:  # Excel: 1899-12-31 and the time of day
            return datetime.combine(day.date(), clock.time())
        case [datetime() | date() as day, time() as clock]:
            return datetime.combine(_day(day), clock)
        case [datetime() | date() as day, timedelta() as clock]:
            return datetime.combine(_day(day), time()) + clock
        case [datetime() | date() as day, str() as clock]:
            return datetime.combine(_day(day), time.fromisoformat(clock.strip()))
    shown = " ".join(map(str, cells))
    raise ValueError(f"`{shown}` is a number: declare `time_format` as `s`, `ms`, `us` or `ns`")


def _day(day: date) -> date:
    return day.date() if isinstance(day, datetime) else day


def _local(wall: datetime, zone: ZoneInfo, now: Micros) -> Moment:
    first = to_micros(wall.replace(tzinfo=zone, fold=0))
    second = to_micros(wall.replace(tzinfo=zone, fold=1))
    if first == second:
        return Moment(first)
    if first > second:  # the hour that the clocks skipped in spring
        return Moment(second, certain=False)
    return Moment(second, certain=False) if second <= now else Moment(first)
