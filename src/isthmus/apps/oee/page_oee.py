"""OEE & losses: fills the view model of that page."""

from collections.abc import Sequence
from typing import Final

from isthmus.apps.app import Query
from isthmus.apps.oee.figures import figure, good_parts, scope_name, zone
from isthmus.apps.oee.kpi import KpiRow, kpi
from isthmus.apps.oee.losses import reasons_by_cost, seconds_lost, stops_in, waterfall
from isthmus.apps.oee.memory import once
from isthmus.apps.oee.timeline import fragments, merged
from isthmus.apps.oee.view import (
    GridCell,
    GridRow,
    GroupRow,
    HourRow,
    OeePage,
    ShiftGrid,
    ShiftSpan,
    StateInterval,
    Timeline,
    TimelineRow,
)
from isthmus.base.clock import DAY, HOUR, Micros, iso, to_datetime
from isthmus.model.plant import Machine, Plant

MOST_STOPS: Final = 50
MOST_GRID_MACHINES: Final = 40
GRID_DAYS: Final = 10

Compare = tuple[Micros, Micros] | None
"""The window to compare with."""


def oee_page(  # noqa: PLR0917 - what, where, when: all are always given
    query: Query,
    plant: Plant,
    scope: str,
    start: Micros,
    end: Micros,
    compare: Compare = None,
    *,
    now: Micros,
    by: str = "machine",
) -> OeePage:
    query = once(query)
    machines = plant.scope(scope)
    total = kpi(query, plant, scope, start, end, now=now)[0]
    before = kpi(query, plant, scope, *compare, now=now)[0] if compare else None
    found = fragments(query, plant, machines, start, end, now=now)
    seconds = seconds_lost(found)
    return OeePage(
        scope=scope,
        name=scope_name(plant, scope),
        start=start,
        end=end,
        now=now,
        oee=figure(plant, "oee", total, before),
        availability=figure(plant, "availability", total, before),
        effectiveness=figure(plant, "effectiveness", total, before),
        quality_ratio=figure(plant, "quality_ratio", total, before),
        good=good_parts(total, before),
        unclassified_s=seconds.get("unclassified", 0.0),
        coverage=total["coverage"],
        timeline=timeline(query, plant, scope, start, end, merged(found)),
        losses=waterfall(seconds, total),
        pareto=reasons_by_cost(plant, found),
        hours=hourly(query, plant, scope, start, end, now=now),
        grid=shift_grid(query, plant, scope, end, now=now),
        groups=_groups(query, plant, scope, start, end, compare, now=now, by=by),
        stops=stops_in(query, plant, found)[:MOST_STOPS],
    )


def timeline(  # noqa: PLR0917
    query: Query,
    plant: Plant,
    scope: str,
    start: Micros,
    end: Micros,
    intervals: Sequence[StateInterval],
) -> Timeline:
    """One row per machine of the scope, in the order of the model."""
    by_machine: dict[str, list[StateInterval]] = {}
    for interval in intervals:
        by_machine.setdefault(interval.machine, []).append(interval)
    rows = tuple(
        TimelineRow(m.path, m.name, _line(m), tuple(by_machine.get(m.path, ())))
        for m in plant.scope(scope)
    )
    shifts = shift_spans(query, scope, start, end)
    return Timeline(start, end, zone(plant, scope), rows, shifts)


def hourly(
    query: Query,
    plant: Plant,
    scope: str,
    start: Micros,
    end: Micros,
    *,
    now: Micros,
) -> tuple[HourRow, ...]:
    """Every hour of the window that has begun: what came out against what could have."""
    rows = {row.keys["hour"]: row for row in kpi(query, plant, scope, start, end, "hour", now=now)}
    hours = range(start // HOUR * HOUR, min(end, now), HOUR)
    return tuple(
        _hour(rows.get(iso(hour)), max(hour, start), min(hour + HOUR, end)) for hour in hours
    )


def _hour(row: KpiRow | None, start: Micros, end: Micros) -> HourRow:
    if row is None:
        return HourRow(start, end, 0.0, 0.0, 0.0, 0.0, None)
    return HourRow(
        start=start,
        end=end,
        produced=row["produced"],
        good=row["good"],
        target=row["target"],
        pbt_s=row["pbt_s"] or 0.0,
        oee=row["oee"],
    )


_SPANS: Final = """
    SELECT min(site) AS site, shift, CAST("day" AS VARCHAR) AS day,
        epoch_us(min("start")) AS "start", epoch_us(max("end")) AS "end"
    FROM shift
    WHERE (machine = $scope OR starts_with(machine, $scope || '/'))
        AND "start" < $to AND "end" > $from
    GROUP BY shift, CAST("day" AS VARCHAR) ORDER BY "start", shift
"""


def shift_spans(query: Query, scope: str, start: Micros, end: Micros) -> tuple[ShiftSpan, ...]:
    """Shifts of the scope that touch the window; `line` is empty, they hold for all of it."""
    params = {"scope": scope, "from": to_datetime(start), "to": to_datetime(end)}
    return tuple(ShiftSpan(line="", **row) for row in query(_SPANS, params).to_pylist())


def shift_grid(
    query: Query,
    plant: Plant,
    scope: str,
    end: Micros,
    *,
    now: Micros,
) -> ShiftGrid:
    """OEE of the last ten days by shift; per machine, or per line where machines are many."""
    grouping = "machine" if len(plant.scope(scope)) <= MOST_GRID_MACHINES else "line"
    last = min(end, now)
    first = (last - GRID_DAYS * DAY) // HOUR * HOUR
    # A shift that began before is cut off by the window and would compare unfairly.
    spans = tuple(s for s in shift_spans(query, scope, first, last) if s.start >= first)
    if not spans:
        return ShiftGrid((), ())
    by = (grouping, "shift")
    rows = kpi(query, plant, scope, spans[0].start, last, by, now=now)
    cells = {(row.keys[grouping], row.keys["shift"]): row for row in rows}
    columns = [f"{span.day} {span.shift}" for span in spans]
    scopes = dict.fromkeys(row.keys[grouping] for row in rows)
    return ShiftGrid(
        spans,
        tuple(
            GridRow(
                path, scope_name(plant, path), tuple(_cell(cells.get((path, c))) for c in columns)
            )
            for path in scopes
        ),
    )


def _cell(row: KpiRow | None) -> GridCell:
    if row is None:
        return GridCell(None, "no_planned_busy_time")
    return GridCell(row["oee"], row.reasons_null.get("oee", ""), row["coverage"])


def _groups(  # noqa: PLR0917
    query: Query,
    plant: Plant,
    scope: str,
    start: Micros,
    end: Micros,
    compare: Compare,
    *,
    now: Micros,
    by: str,
) -> tuple[GroupRow, ...]:
    rows = kpi(query, plant, scope, start, end, by, now=now)
    past = kpi(query, plant, scope, *compare, by, now=now) if compare else []
    before = {row.group: row for row in past}
    return tuple(_group(plant, by, row, before.get(row.group)) for row in rows)


def _group(plant: Plant, by: str, row: KpiRow, before: KpiRow | None) -> GroupRow:
    place = by in {"site", "area", "line", "machine"}
    return GroupRow(
        scope=row.group if place else row.scope,
        group=row.group,
        name=scope_name(plant, row.group) if place else row.group,
        oee=figure(plant, "oee", row, before),
        availability=figure(plant, "availability", row, before),
        effectiveness=figure(plant, "effectiveness", row, before),
        quality_ratio=figure(plant, "quality_ratio", row, before),
        produced=row["produced"],
        good=row["good"],
        pbt_s=row["pbt_s"] or 0.0,
        unknown_s=row["unknown_s"] or 0.0,
    )


def _line(machine: Machine) -> str:
    return machine.path.rpartition("/")[0]
