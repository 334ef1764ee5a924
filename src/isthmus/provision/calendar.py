"""The plant's calendars: who works when, as intervals and as the tables that queries see."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from isthmus.base.clock import Micros
from isthmus.flow.parcel import TIME
from isthmus.model.plant import Machine, Plant
from isthmus.model.spec.calendar import Calendar
from isthmus.provision.shift import ShiftInterval, intervals

SHIFT_SCHEMA: Final = pa.schema(
    [
        pa.field("site", pa.string()),
        pa.field("line", pa.string()),
        pa.field("machine", pa.string()),
        pa.field("shift", pa.string()),
        pa.field("day", pa.date32()),
        pa.field("start", TIME),
        pa.field("end", TIME),
    ]
)
PLANNED_DOWN_SCHEMA: Final = pa.schema(
    [
        pa.field("machine", pa.string()),
        pa.field("start", TIME),
        pa.field("end", TIME),
        pa.field("why", pa.string()),
    ]
)


@dataclass(frozen=True)
class Crew:
    """Machines of one line that work by the same calendars."""

    site: str
    line: str
    timezone: str
    calendars: tuple[Calendar, ...]
    machines: tuple[str, ...] = ()
    """Asset paths, in the order of the model."""


def shifts(plant: Plant, path: str, start: Micros, end: Micros) -> list[ShiftInterval]:
    """Shifts of a machine, line or site (by asset path) that overlap `[start, end)`, whole.

    ValueError where the machines below the path work by different calendars, or none is there.
    """
    found = crews(plant, path)
    patterns = {(crew.timezone, _written(crew.calendars)) for crew in found}
    if len(patterns) != 1:
        many = f"below `{path}` are {len(patterns)} different calendars; ask for one machine"
        raise ValueError(many if patterns else f"no machine and no site `{path}`")
    return intervals(found[0].calendars, found[0].timezone, start, end)


def crews(plant: Plant, path: str) -> list[Crew]:
    """Machines at or below an asset path by line and calendar; a site without machines is one."""
    machines = plant.scope(path)
    if machines:
        return _crews(machines)
    site = plant.sites.get(path.removeprefix(f"{plant.enterprise}/"))
    return [Crew(site.name, "", site.timezone, site.calendars)] if site else []


def shift_table(plant: Plant, start: Micros, end: Micros) -> pa.Table:
    """Shifts of every machine that overlap `[start, end)`, whole: the view `shift`."""
    parts = [_for_machines(crew, _shift_rows(found)) for crew, found in _worked(plant, start, end)]
    return pa.concat_tables([SHIFT_SCHEMA.empty_table(), *parts])


def planned_down_table(plant: Plant, start: Micros, end: Micros) -> pa.Table:
    """Planned stops inside those shifts, for every machine: the view `planned_down`."""
    parts = [
        _for_machines(crew, _down_rows(found)).select(PLANNED_DOWN_SCHEMA.names)
        for crew, found in _worked(plant, start, end)
    ]
    return pa.concat_tables([PLANNED_DOWN_SCHEMA.empty_table(), *parts])


def _worked(plant: Plant, start: Micros, end: Micros) -> Iterable[tuple[Crew, list[ShiftInterval]]]:
    """Every crew with its shifts, computed once per distinct calendar."""
    known: dict[tuple[str, str], list[ShiftInterval]] = {}
    for crew in _crews(plant.machines.values()):
        pattern = (crew.timezone, _written(crew.calendars))
        if pattern not in known:
            known[pattern] = intervals(crew.calendars, crew.timezone, start, end)
        yield crew, known[pattern]


def _crews(machines: Iterable[Machine]) -> list[Crew]:
    written: dict[int, str] = {}  # machines of a line share one tuple: dumped once, not 40 times
    groups: dict[tuple[str, ...], list[Machine]] = {}
    for machine in machines:
        shared = id(machine.calendars)
        if shared not in written:
            written[shared] = _written(machine.calendars)
        place = (machine.site, machine.area, machine.line, machine.timezone, written[shared])
        groups.setdefault(place, []).append(machine)
    return [_crew(group) for group in groups.values()]


def _crew(group: Sequence[Machine]) -> Crew:
    first = group[0]
    paths = tuple(machine.path for machine in group)
    return Crew(first.site, first.line, first.timezone, first.calendars, paths)


def _written(calendars: Iterable[Calendar]) -> str:
    """Calendars compare by value but do not hash; their text does."""
    return "\n".join(calendar.model_dump_json() for calendar in calendars)


def _shift_rows(found: Sequence[ShiftInterval]) -> pa.Table:
    return pa.table(
        {
            "shift": pa.array([item.shift for item in found], pa.string()),
            "day": pa.array([item.day for item in found], pa.date32()),
            "start": pa.array([item.start for item in found], TIME),
            "end": pa.array([item.end for item in found], TIME),
        }
    )


def _down_rows(found: Sequence[ShiftInterval]) -> pa.Table:
    down = [item for shift in found for item in shift.down]
    return pa.table(
        {
            "start": pa.array([item.start for item in down], TIME),
            "end": pa.array([item.end for item in down], TIME),
            "why": pa.array([item.why for item in down], pa.string()),
        }
    )


def _for_machines(crew: Crew, rows: pa.Table) -> pa.Table:
    """The same rows for each machine of the crew, with the columns that say whose they are."""
    each = len(rows)
    total = each * len(crew.machines)
    repeated = pa.concat_tables([rows] * len(crew.machines))  # chunks are shared, not copied
    machine = pa.chunked_array([pa.repeat(pa.scalar(path), each) for path in crew.machines])
    return pa.table(
        {
            "site": pa.repeat(pa.scalar(crew.site), total),
            "line": pa.repeat(pa.scalar(crew.line), total),
            "machine": machine,
            **{name: repeated[name] for name in repeated.column_names},
        }
    )
