"""One stop: what the machine did around it, its reasons, and the raw signals."""

from typing import Final

from isthmus.apps.app import Query
from isthmus.apps.oee.choices import choices
from isthmus.apps.oee.losses import find_stop, stops
from isthmus.apps.oee.page_oee import timeline
from isthmus.apps.oee.timeline import states
from isthmus.apps.oee.view import Stop, StopPage, TrendSeries
from isthmus.base.clock import DAY, MINUTE, Micros
from isthmus.data.series import series
from isthmus.model.plant import Machine, Plant

AROUND: Final = 10 * MINUTE


def stop_page(query: Query, plant: Plant, stop: str, *, now: Micros) -> StopPage | None:
    """The page of the stop with this id (`machine@start`); None if there is no such stop."""
    found = find_stop(query, plant, stop, now=now)
    if found is None:
        return None
    machine = plant.machines[found.machine]
    start = found.start - AROUND
    end = min(now, (found.end if found.end is not None else now) + AROUND)
    intervals = states(query, plant, machine.path, start, end, now=now)
    return StopPage(
        stop=found,
        timezone=machine.timezone,
        around=timeline(query, plant, machine.path, start, end, intervals),
        trends=trends(query, plant, machine, start, end),
        choices=choices(query, plant, [machine], now=now)[machine.path],
        earlier=_earlier(query, plant, found, now=now),
        later=_later(query, plant, found, now=now),
    )


def trends(
    query: Query, plant: Plant, machine: Machine, start: Micros, end: Micros
) -> tuple[TrendSeries, ...]:
    """Every number this machine sends; dense data as minimum and maximum per step."""
    return tuple(
        TrendSeries(
            block=one.block,
            field=one.field,
            unit=plant.blocks[one.block].fields[one.field].unit or "",
            points=tuple(series(query, machine.path, one.block, one.field, start, end)),
        )
        for one in machine.maps
        if one.type in {"number", "integer"}
    )


def _earlier(query: Query, plant: Plant, stop: Stop, *, now: Micros) -> str:
    before = stops(query, plant, stop.machine, stop.start - DAY, stop.start, now=now)
    found = [one for one in before if not one.minor]
    return max(found, key=_start).id if found else ""


def _later(query: Query, plant: Plant, stop: Stop, *, now: Micros) -> str:
    if stop.end is None:
        return ""
    after = stops(query, plant, stop.machine, stop.end, stop.end + DAY, now=now)
    found = [one for one in after if not one.minor]
    return min(found, key=_start).id if found else ""


def _start(stop: Stop) -> Micros:
    return stop.start
