"""`isthmus calendar`: the shifts of a site as elapsed time, so that anybody can check them."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from isthmus.base.clock import Micros, iso, parse_time
from isthmus.base.problem import ProblemsError
from isthmus.cli.screen import screen
from isthmus.model.plant import Plant
from isthmus.provision.calendar import Crew, crews
from isthmus.provision.shift import ShiftInterval, intervals
from isthmus.provision.wall import instant, local
from isthmus.runtime.open import load_plant, model_folder


@dataclass(frozen=True)
class ShiftRow:
    """One shift of one line; the keys of the JSON output."""

    site: str
    line: str
    shift: str
    day: str
    start: str
    end: str
    seconds: int
    planned_seconds: int
    machines: list[str]
    """Whose shift it is: machines of one line may have calendars of their own."""


def calendar(
    folder: Annotated[
        Path | None, typer.Argument(help="The model: a folder of YAML files; default: what runs.")
    ] = None,
    *,
    site: Annotated[str, typer.Option(help="Site, such as `hamburg`.")] = "",
    line: Annotated[str, typer.Option(help="Only this line.")] = "",
    first: Annotated[
        str, typer.Option("--from", help="First day (2026-03-28), or a time with its zone.")
    ] = "",
    last: Annotated[
        str, typer.Option("--to", help="Last day, included; or a time with its zone, excluded.")
    ] = "",
    output: Annotated[Literal["table", "json"], typer.Option("--format")] = "table",
) -> None:
    """Print shifts with their start and end in UTC and their length in seconds."""
    console = screen(errors=True)
    try:
        rows = list(shift_rows(load_plant(model_folder(folder)), site, line, first, last))
    except (ProblemsError, CalendarError) as error:
        console.print(str(error))
        raise typer.Exit(1) from None
    if output == "json":
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        _print_table(rows)


class CalendarError(ValueError):
    """What was asked for cannot be answered; the text says what can."""


def shift_rows(plant: Plant, site: str, line: str, first: str, last: str) -> Iterator[ShiftRow]:
    """Shifts of all lines of a site, or of one, in the order of the model and of time."""
    if site not in plant.sites:
        raise CalendarError(_unknown("site", site, list(plant.sites)))
    found = crews(plant, f"{plant.enterprise}/{site}")
    lines = list(dict.fromkeys(crew.line for crew in found))
    if line and line not in lines:
        raise CalendarError(_unknown(f"line of {site}", line, lines))
    window = _Window.parse(first, last or first, plant.sites[site].timezone)
    for crew in found:
        if line in ("", crew.line):
            for shift in window.shifts(crew):
                yield _row(crew, shift)


@dataclass(frozen=True)
class _Window:
    """What `--from` and `--to` select: shifts reported under these days, or at these times."""

    start: Micros
    end: Micros
    days: tuple[date, date] | None

    @classmethod
    def parse(cls, first: str, last: str, timezone: str) -> "_Window":
        if not first:
            raise CalendarError("give the first day with `--from 2026-03-28`")
        zone = ZoneInfo(timezone)
        begin, end = _moment(first, zone), _moment(last, zone)
        if end < begin:
            raise CalendarError(f"`--to {last}` is before `--from {first}`")
        if not (_is_day(first) and _is_day(last)):
            return cls(begin, end, None)
        days = local(begin, zone).date(), local(end, zone).date()
        # A shift may be reported under the day on which it ends.
        margin = timedelta(days=2)
        return cls(_midnight(days[0] - margin, zone), _midnight(days[1] + margin, zone), days)

    def shifts(self, crew: Crew) -> list[ShiftInterval]:
        found = intervals(crew.calendars, crew.timezone, self.start, self.end)
        if self.days is None:
            return found
        return [shift for shift in found if self.days[0] <= shift.day <= self.days[1]]


def _moment(text: str, zone: ZoneInfo) -> Micros:
    try:
        return _midnight(date.fromisoformat(text), zone) if _is_day(text) else parse_time(text)
    except ValueError as error:
        wanted = "write a day (2026-03-28) or a time with its zone (2026-03-28T21:00:00Z)"
        raise CalendarError(f"`{text}`: {wanted}") from error


def _is_day(text: str) -> bool:
    return len(text) == len("2026-03-28")


def _midnight(day: date, zone: ZoneInfo) -> Micros:
    return instant(datetime.combine(day, time()), zone)


def _row(crew: Crew, shift: ShiftInterval) -> ShiftRow:
    return ShiftRow(
        crew.site, crew.line, shift.shift, shift.day.isoformat(), iso(shift.start),
        iso(shift.end), round(shift.seconds), round(shift.planned_seconds), list(crew.machines),
    )  # fmt: skip


def _unknown(what: str, name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"there is {', '.join(known) or 'none'}"
    return f"no {what} `{name}`: {hint}" if name else f"give a {what}: there is {', '.join(known)}"


def _print_table(rows: list[ShiftRow]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("line", "shift", "day", "start (UTC)", "end (UTC)"):
        table.add_column(name, no_wrap=True)
    for name in ("seconds", "planned"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        start, end = (moment[:16].replace("T", " ") for moment in (row.start, row.end))
        lengths = (f"{row.seconds:,}", f"{row.planned_seconds:,}")
        table.add_row(row.line, row.shift, row.day, start, end, *lengths)
    screen().print(table)
