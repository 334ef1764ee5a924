"""Where the time went: the waterfall, the Pareto of reasons, the list of stops."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from isthmus.apps.app import Query
from isthmus.apps.oee.kpi import KpiRow, kpi
from isthmus.apps.oee.timeline import fragments, over, parse_stop_id, stop_id
from isthmus.apps.oee.view import Kind, Label, LossKey, LossStep, ParetoRow, ReasonPart, Stop
from isthmus.base.clock import DAY, HOUR, Micros, to_datetime, to_micros
from isthmus.model.plant import Plant

TIME_LOSSES: Final[Mapping[LossKey, Kind]] = {
    "breakdowns": "stopped",
    "setup": "setup",
    "waiting": "idle",
    "unclassified": "unclassified",
    "minor_stops": "stopped",
    "unknown": "offline",
}
"""Losses of time in the order of the waterfall, with the colour of each."""

_NO_LABEL: Label = {}


def losses(
    query: Query, plant: Plant, scope: str, start: Micros, end: Micros, *, now: Micros
) -> tuple[LossStep, ...]:
    """The waterfall; planned busy time minus all losses is productive time, exactly."""
    found = fragments(query, plant, plant.scope(scope), start, end, now=now)
    total = kpi(query, plant, scope, start, end, now=now)
    return waterfall(seconds_lost(found), total[0]) if total else ()


def pareto(
    query: Query, plant: Plant, scope: str, start: Micros, end: Micros, *, now: Micros
) -> tuple[ParetoRow, ...]:
    """Stop reasons by the planned busy time they cost, largest first."""
    found = fragments(query, plant, plant.scope(scope), start, end, now=now)
    return reasons_by_cost(plant, found)


def stops(
    query: Query, plant: Plant, scope: str, start: Micros, end: Micros, *, now: Micros
) -> tuple[Stop, ...]:
    """Stops that touch planned busy time in the window, longest first."""
    found = fragments(query, plant, plant.scope(scope), start, end, now=now)
    return stops_in(query, plant, found)


def find_stop(query: Query, plant: Plant, stop: str, *, now: Micros) -> Stop | None:
    """The stop with this id, with its end however long it lasted; None if there is none."""
    machine, start = parse_stop_id(stop)
    if machine not in plant.machines:
        return None
    for ahead in (HOUR, DAY, 30 * DAY, None):
        end = now if ahead is None else min(now, start + ahead)
        found = [one for one in stops(query, plant, machine, start, end, now=now) if one.id == stop]
        if found and (found[0].end is not None or end == now):
            return found[0]
        if not found:
            return None
    return None


def seconds_lost(found: pa.Table) -> dict[str, float]:
    """Seconds per loss (and `operating`); together they are the planned busy time."""
    sql = "SELECT loss, sum(e - s)::BIGINT AS us FROM fragment WHERE loss IS NOT NULL GROUP BY loss"
    return {row["loss"]: row["us"] / 1e6 for row in over(found, sql)}


def waterfall(seconds: Mapping[str, float], total: KpiRow) -> tuple[LossStep, ...]:
    """Steps from planned busy time to productive time.

    Speed and quality steps are None when the ideal cycle or the good count is unknown. A negative
    speed loss says that machines ran faster than their ideal cycle: shown as it is.
    """
    left: float | None = sum(seconds.values())
    steps = [LossStep("planned_busy", left, total=True, left=left)]
    for key, kind in TIME_LOSSES.items():
        lost = seconds.get(key, 0.0)
        left = _minus(left, lost)
        steps.append(LossStep(key, lost, kind=kind, left=left))
    steps.append(LossStep("operating", left, total=True, left=left))
    speed = _minus(left, total["ideal_s"])
    left = _minus(left, speed)
    steps.append(LossStep("speed", speed, kind="slow", left=left))
    steps.append(LossStep("net_operating", left, total=True, left=left))
    scrap = _minus(left, total["ideal_good_s"])
    left = _minus(left, scrap)
    steps.append(LossStep("scrap_rework", scrap, kind="stopped", left=left))
    steps.append(LossStep("productive", left, total=True, left=left))
    return tuple(steps)


def biggest(steps: Sequence[LossStep]) -> LossStep | None:
    """The loss that costs most; None where nothing is lost."""
    known = [step for step in steps if not step.total and (step.seconds or 0.0) > 0]
    return max(known, key=lambda step: step.seconds or 0.0, default=None)


def _minus(left: float | None, lost: float | None) -> float | None:
    return None if left is None or lost is None else left - lost


_PARETO: Final = """
    SELECT CASE WHEN given_reason <> '' THEN given_reason
                WHEN loss IN ('minor_stops', 'unclassified') THEN loss
                ELSE state END AS reason,
        sum(e - s)::BIGINT / 1e6 AS seconds, count(DISTINCT (machine, stretch_s)) AS stops
    FROM fragment
    WHERE loss IS NOT NULL AND activity IN ('stopped', 'idle')
    GROUP BY 1 ORDER BY seconds DESC, reason
"""


def reasons_by_cost(plant: Plant, found: pa.Table) -> tuple[ParetoRow, ...]:
    """One row per reason; time without one is `unclassified`, `minor_stops` or its own state."""
    known = labels(plant)
    rows, sum_so_far = [], 0.0
    costs = over(found, _PARETO)
    total = sum(row["seconds"] for row in costs)
    for row in costs:
        sum_so_far += row["seconds"]
        rows.append(
            ParetoRow(
                reason=row["reason"],
                label=known.get(row["reason"], _NO_LABEL),
                seconds=row["seconds"],
                stops=row["stops"],
                share=row["seconds"] / total,
                cumulative=sum_so_far / total,
            )
        )
    return tuple(rows)


def labels(plant: Plant) -> Mapping[str, Label]:
    return {
        reason.reason: {str(lang): text for lang, text in reason.label.items()}
        for reason in plant.reasons
    }


_STOPS: Final = """
    SELECT machine, stretch_s, max(stretch_e) AS stretch_e, bool_and(ended) AS ended,
        arg_min(state, s) AS state, arg_min(category, s) AS category,
        bool_and(minor) AS minor, first(production_order ORDER BY s) AS production_order,
        first(material ORDER BY s) AS material,
        coalesce(sum(e - s) FILTER (WHERE busy), 0)::BIGINT / 1e6 AS seconds,
        coalesce(sum(e - s) FILTER (WHERE loss = 'unclassified'), 0)::BIGINT / 1e6 AS unclassified_s
    FROM fragment WHERE activity IN ('stopped', 'idle')
    GROUP BY machine, stretch_s
    HAVING bool_or(busy)
    ORDER BY seconds DESC, machine, stretch_s
"""

_PARTS: Final = """
    SELECT id, machine, reason, "start", "end", comment, author FROM stop_reason
    WHERE machine IN (SELECT unnest($machines::VARCHAR[]))
        AND "start" < $end AND ("end" IS NULL OR "end" > $start)
    ORDER BY "start", id
"""


def stops_in(query: Query, plant: Plant, found: pa.Table) -> tuple[Stop, ...]:
    """Unbroken stretches of standing or waiting, with the reasons given for them."""
    rows = over(found, _STOPS)
    if not rows:
        return ()
    parts = _reason_parts(query, plant, rows)
    return tuple(_stop(plant, row, parts.get(row["machine"], [])) for row in rows)


def _reason_parts(
    query: Query, plant: Plant, rows: Sequence[Mapping[str, Any]]
) -> dict[str, list[ReasonPart]]:
    known = labels(plant)
    params = {
        "machines": sorted({row["machine"] for row in rows}),
        "start": to_datetime(min(row["stretch_s"] for row in rows)),
        "end": to_datetime(max(row["stretch_e"] for row in rows)),
    }
    parts: dict[str, list[ReasonPart]] = {}
    for given in query(_PARTS, params).to_pylist():
        part = ReasonPart(
            id=given["id"],
            reason=given["reason"],
            label=known.get(given["reason"], _NO_LABEL),
            start=to_micros(given["start"]),
            end=None if given["end"] is None else to_micros(given["end"]),
            comment=given["comment"] or "",
            author=given["author"] or "",
        )
        parts.setdefault(given["machine"], []).append(part)
    return parts


def _stop(plant: Plant, row: Mapping[str, Any], parts: Sequence[ReasonPart]) -> Stop:
    start, end = row["stretch_s"], row["stretch_e"]
    return Stop(
        id=stop_id(row["machine"], start),
        machine=row["machine"],
        name=plant.machines[row["machine"]].name,
        start=start,
        end=end if row["ended"] else None,
        seconds=row["seconds"],
        state=row["state"] or None,
        category=row["category"] or None,
        minor=row["minor"],
        unclassified_s=row["unclassified_s"],
        # A reason without an end belongs to the stop it was given in, and to no later one.
        parts=tuple(
            part
            for part in parts
            if part.start < end
            and (part.end > start if part.end is not None else part.start >= start)
        ),
        production_order=row["production_order"] or "",
        material=row["material"] or "",
    )
