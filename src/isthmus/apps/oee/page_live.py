"""Live line: what stands now, since when and why; how the shift and the orders are doing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa

from isthmus.apps.app import Query
from isthmus.apps.oee.choices import choices
from isthmus.apps.oee.facts import facts
from isthmus.apps.oee.figures import scope_name, zone
from isthmus.apps.oee.kpi import KpiRow, kpi_of
from isthmus.apps.oee.losses import labels, stops_in
from isthmus.apps.oee.memory import once
from isthmus.apps.oee.page_oee import timeline
from isthmus.apps.oee.timeline import fragments, last, merged, stop_id
from isthmus.apps.oee.view import (
    LiveMachine,
    LivePage,
    OrderNow,
    ReasonChoice,
    ShiftSpan,
    Stop,
)
from isthmus.base.clock import HOUR, Micros, to_datetime
from isthmus.model.plant import Machine, Plant

SHOWN: Final = 8 * HOUR

_URGENCY: Final = {"stopped": 0, "unclassified": 0, "offline": 1, "idle": 2}
"""Standing before silent before waiting; everything else is normal."""


def live_page(query: Query, plant: Plant, scope: str, *, now: Micros) -> LivePage:
    query = once(query)
    seen = _see(query, plant, plant.scope(scope), now)
    machines = _live(query, plant, seen)
    first = now - SHOWN
    intervals = [
        replace(one, start=max(one.start, first)) for one in merged(seen.found) if one.end > first
    ]
    planned = [machine for machine in machines if machine.machine in seen.shifts]
    return LivePage(
        scope=scope,
        name=scope_name(plant, scope),
        now=now,
        timezone=zone(plant, scope),
        shift=next(iter(seen.shifts.values()), None),
        produced=_total([machine.produced for machine in planned]),
        target=_total([machine.target for machine in planned]),
        unclassified_s=sum(machine.unclassified_s for machine in machines),
        machines=machines,
        timeline=timeline(query, plant, scope, first, now, intervals),
    )


def live(
    query: Query, plant: Plant, scope: str, *, now: Micros, asking: bool = True
) -> tuple[LiveMachine, ...]:
    """Every machine of the scope now: abnormal first, longest first, then the normal ones.

    Without `asking` it is not looked up which stops need a reason, and which are at hand.
    """
    query = once(query)
    return _live(query, plant, _see(query, plant, plant.scope(scope), now), asking=asking)


@dataclass(frozen=True)
class _Seen:
    """What was read once for all machines."""

    now: Micros
    machines: Sequence[Machine]
    shifts: Mapping[str, ShiftSpan]
    """Machine → its running shift."""
    found: pa.Table
    """Fragments of the last hours, at least since the running shifts began."""
    running: pa.Table
    """Facts of the running hour."""


def _see(query: Query, plant: Plant, machines: Sequence[Machine], now: Micros) -> _Seen:
    shifts = _running_shifts(query, machines, now)
    start = min([now - SHOWN, *(span.start for span in shifts.values())])
    return _Seen(
        now,
        machines,
        shifts,
        found=fragments(query, plant, machines, start, now, now=now),
        running=facts(query, plant, machines, now // HOUR * HOUR, now, now=now),
    )


def _live(
    query: Query, plant: Plant, seen: _Seen, *, asking: bool = True
) -> tuple[LiveMachine, ...]:
    present = last(seen.found)
    counts = _shift_sums(query, plant, seen)
    orders = _orders(query, plant, seen)
    tiles = choices(query, plant, seen.machines, now=seen.now) if asking else {}
    open_stops = _open_stops(query, plant, seen) if asking else {}
    rows = [
        _machine(
            plant,
            machine,
            present[machine.path],
            now=seen.now,
            sums=counts.get(machine.path),
            order=orders.get(machine.path),
            unclassified=open_stops.get(machine.path, ()),
            tiles=tiles.get(machine.path, ()),
        )
        for machine in seen.machines
        if machine.path in present
    ]
    return tuple(sorted(rows, key=_urgency))


def _urgency(machine: LiveMachine) -> tuple[int, float]:
    # Normal machines keep the order of the model: sorting is stable.
    place = _URGENCY.get(machine.kind, len(_URGENCY))
    return (place, -machine.seconds if place < len(_URGENCY) else 0.0)


def _machine(
    plant: Plant,
    machine: Machine,
    state: Mapping[str, Any],
    *,
    now: Micros,
    sums: KpiRow | None,
    order: OrderNow | None,
    unclassified: tuple[Stop, ...],
    tiles: tuple[ReasonChoice, ...],
) -> LiveMachine:
    stands = state["activity"] in {"idle", "stopped"}
    return LiveMachine(
        machine=machine.path,
        name=machine.name,
        line=machine.path.rpartition("/")[0],
        kind=state["kind"],
        state=state["state"] or None,
        category=state["category"] or None,
        since=state["stretch_s"],
        seconds=(now - state["stretch_s"]) / 1e6,
        reason=state["given_reason"],
        label=labels(plant).get(state["given_reason"], {}),
        stop=stop_id(machine.path, state["stretch_s"]) if stands else "",
        order=order,
        produced=sums["produced"] if sums else None,
        good=sums["good"] if sums else None,
        target=sums["target"] if sums else None,
        unclassified_s=sum(stop.unclassified_s for stop in unclassified),
        unclassified=unclassified,
        choices=tiles,
    )


_RUNNING: Final = """
    SELECT machine, site, shift, CAST("day" AS VARCHAR) AS day,
        epoch_us("start") AS "start", epoch_us("end") AS "end"
    FROM shift
    WHERE machine IN (SELECT unnest($machines::VARCHAR[])) AND "start" <= $now AND "end" > $now
"""


def _running_shifts(query: Query, machines: Sequence[Machine], now: Micros) -> dict[str, ShiftSpan]:
    params = {"machines": [machine.path for machine in machines], "now": to_datetime(now)}
    found = {row.pop("machine"): row for row in query(_RUNNING, params).to_pylist()}
    order = [machine.path for machine in machines if machine.path in found]
    return {path: ShiftSpan(line=path.rpartition("/")[0], **found[path]) for path in order}


def _shift_sums(query: Query, plant: Plant, seen: _Seen) -> dict[str, KpiRow]:
    """Counts and target of each machine since its running shift began."""
    by_start: dict[Micros, list[Machine]] = {}
    for machine in seen.machines:
        if machine.path in seen.shifts:
            by_start.setdefault(seen.shifts[machine.path].start, []).append(machine)
    found: dict[str, KpiRow] = {}
    for start, group in by_start.items():
        rows = kpi_of(
            query,
            plant,
            group,
            start,
            seen.now,
            scope="",
            by="machine",
            now=seen.now,
            running=seen.running,
        )
        found |= {row.keys["machine"]: row for row in rows}
    return found


def _open_stops(query: Query, plant: Plant, seen: _Seen) -> dict[str, tuple[Stop, ...]]:
    """Stops of the running shift that still need a reason, newest first."""
    found: dict[str, tuple[Stop, ...]] = {}
    newest_first = sorted(stops_in(query, plant, seen.found), key=lambda stop: -stop.start)
    for stop in newest_first:
        shift = seen.shifts.get(stop.machine)
        behind = stop.end is not None and shift is not None and stop.end <= shift.start
        if stop.unclassified_s > 0 and not behind:
            found[stop.machine] = (*found.get(stop.machine, ()), stop)
    return found


_ORDERS: Final = """
    WITH due AS (SELECT key, min(due) AS due FROM production_order GROUP BY key),
    named AS (SELECT key, arg_max(name, recorded) AS name FROM material GROUP BY key)
    SELECT machine, production_order, operation, material,
        coalesce(named.name, '') AS material_name, epoch_us("start") AS "start",
        quantity, epoch_us(due) AS due
    FROM order_run
    LEFT JOIN due ON production_order = due.key
    LEFT JOIN named ON material = named.key
    WHERE machine IN (SELECT unnest($machines::VARCHAR[]))
        AND "start" <= $now AND ("end" IS NULL OR "end" > $now)
"""


def _orders(query: Query, plant: Plant, seen: _Seen) -> dict[str, OrderNow]:
    """The order each machine works on, with what it has made of it so far."""
    params = {"machines": [m.path for m in seen.machines], "now": to_datetime(seen.now)}
    runs = query(_ORDERS, params).to_pylist()
    if not runs:
        return {}
    working = {run["machine"] for run in runs}
    machines = [machine for machine in seen.machines if machine.path in working]
    # An operation is summed since it began, wherever that is: whole hours come from the facts.
    first = min(run["start"] for run in runs) // HOUR * HOUR
    sums = {
        (row.keys["machine"], row.keys["operation"]): row
        for row in kpi_of(
            query,
            plant,
            machines,
            first,
            seen.now,
            scope="",
            by=("machine", "operation"),
            now=seen.now,
            running=seen.running,
        )
    }
    return {
        run["machine"]: _order(plant, run, sums.get((run["machine"], run["operation"])), seen.now)
        for run in runs
    }


def _order(plant: Plant, run: Mapping[str, Any], sums: KpiRow | None, now: Micros) -> OrderNow:
    material = plant.materials.get(run["material"])
    good = sums["good"] if sums else None
    quantity = run["quantity"]
    return OrderNow(
        production_order=run["production_order"] or "",
        operation=run["operation"] or "",
        material=run["material"] or "",
        material_name=(material.name if material else "") or run["material_name"],
        start=run["start"],
        quantity=quantity,
        produced=sums["produced"] if sums else None,
        good=good,
        progress=good / quantity if good is not None and quantity else None,
        due=run["due"],
        finish=_finish(quantity, good, sums, now),
    )


def _finish(
    quantity: float | None, good: float | None, sums: KpiRow | None, now: Micros
) -> Micros | None:
    """When the rest is made at the ideal cycle of what was made so far."""
    if quantity is None or good is None or sums is None:
        return None
    produced, ideal_s = sums["produced"], sums["ideal_s"]
    if not produced or ideal_s is None:
        return None
    return now + int(max(0.0, quantity - good) * ideal_s / produced * 1e6)


def _total(values: Sequence[float | None]) -> float | None:
    """The sum of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
