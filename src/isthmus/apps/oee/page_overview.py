"""Overview: what is abnormal now, then every place with its numbers and its biggest loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import pyarrow as pa

from isthmus.apps.app import Query
from isthmus.apps.oee.figures import figure, scope_name
from isthmus.apps.oee.kpi import KpiRow, kpi, roll_up
from isthmus.apps.oee.losses import biggest, labels, waterfall
from isthmus.apps.oee.memory import once
from isthmus.apps.oee.page_oee import Compare
from isthmus.apps.oee.timeline import fragments, last, over, stop_id
from isthmus.apps.oee.view import (
    Attention,
    Kind,
    LossStep,
    OverviewPage,
    OverviewRow,
    ScopeLosses,
    SparkPoint,
)
from isthmus.base.clock import DAY, HOUR, MINUTE, Micros
from isthmus.model.plant import Plant

LEVELS: Final[tuple[Literal["enterprise", "site", "area", "line", "machine"], ...]] = (
    "enterprise", "site", "area", "line", "machine",
)  # fmt: skip
SPARK_DAYS: Final = 28
LOOK: Final = 15 * MINUTE
"""How much of the past tells what a machine does now: enough to see that it runs slow."""

RUNNING: Final[frozenset[Kind]] = frozenset({"running", "slow"})
URGENT: Final[Mapping[str, Literal["stopped", "unclassified", "offline"]]] = {
    "stopped": "stopped",
    "unclassified": "unclassified",
    "offline": "offline",
}


def overview_page(  # noqa: PLR0917 - what, where, when: all are always given
    query: Query,
    plant: Plant,
    scope: str,
    start: Micros,
    end: Micros,
    compare: Compare = None,
    *,
    now: Micros,
) -> OverviewPage:
    query = once(query)
    paths = _listed(plant, scope)
    places = _Places(
        now=_by_place(kpi(query, plant, scope, start, end, "machine", now=now), scope),
        before=_by_place(kpi(query, plant, scope, *compare, "machine", now=now), scope)
        if compare
        else {},
    )
    did = fragments(query, plant, plant.scope(scope), start, end, now=now)
    lost = _lost(did, paths)
    steps = {path: waterfall(lost[path], places.now[path]) for path in paths}
    shows_now = start <= now - LOOK and now <= end
    current = last(did) if shows_now else present(query, plant, scope, now=now)
    sparks = _sparks(query, plant, scope, paths, end, now=now)
    depth = scope.count("/")
    return OverviewPage(
        scope=scope,
        name=scope_name(plant, scope),
        start=start,
        end=end,
        now=now,
        attention=attention(plant, current, now=now),
        rows=tuple(
            _row(
                plant,
                path,
                depth=depth,
                places=places,
                steps=steps[path],
                spark=sparks.get(path, ()),
                current=current,
            )
            for path in paths
        ),
        losses=tuple(
            ScopeLosses(path, scope_name(plant, path), steps[path])
            for path in paths
            if path.count("/") == depth + 1
        ),
    )


def attention(
    plant: Plant, current: Mapping[str, Mapping[str, Any]], *, now: Micros
) -> tuple[Attention, ...]:
    """Machines that stand or are silent in planned busy time; standing ones first, then longest."""
    known = labels(plant)
    found = [
        Attention(
            what=URGENT[row["kind"]],
            machine=path,
            name=plant.machines[path].name,
            scope=path.rpartition("/")[0],
            since=row["stretch_s"],
            seconds=(now - row["stretch_s"]) / 1e6,
            reason=row["given_reason"],
            label=known.get(row["given_reason"], {}),
            stop=stop_id(path, row["stretch_s"]) if row["activity"] == "stopped" else "",
        )
        for path, row in current.items()
        if row["kind"] in URGENT and row["busy"] and (row["kind"] == "offline" or not row["minor"])
    ]
    return tuple(sorted(found, key=lambda one: (one.what == "offline", -one.seconds)))


def present(query: Query, plant: Plant, scope: str, *, now: Micros) -> dict[str, dict[str, Any]]:
    """What each machine does now: the last fragment of its timeline."""
    return last(fragments(query, plant, plant.scope(scope), now - LOOK, now, now=now))


@dataclass(frozen=True)
class _Places:
    """KPIs by place, now and in the window that is compared."""

    now: Mapping[str, KpiRow]
    before: Mapping[str, KpiRow]


def _by_place(rows: Sequence[KpiRow], scope: str) -> dict[str, KpiRow]:
    """KPIs of every place from the scope down to its machines."""
    levels = range(scope.count("/") + 1, len(LEVELS) + 1)

    def places(row: KpiRow) -> list[dict[str, str]]:
        paths = dict.fromkeys(_prefix(row.keys["machine"], level) for level in levels)
        return [{"place": path} for path in paths]

    return {row.group: replace(row, scope=row.group) for row in roll_up(rows, scope, places)}


def _prefix(path: str, level: int) -> str:
    return "/".join(path.split("/")[:level])


def _listed(plant: Plant, scope: str) -> list[str]:
    """The scope and the places below it down to the lines, depth first, in plant order."""
    depth = scope.count("/") + 1
    deepest = max(depth, LEVELS.index("line") + 1)
    order: dict[str, int] = {}
    for machine in plant.scope(scope):
        for level in range(depth, deepest + 1):
            order.setdefault(_prefix(machine.path, level), len(order))

    def lineage(path: str) -> list[int]:
        return [order[_prefix(path, level)] for level in range(depth, path.count("/") + 2)]

    return sorted(order, key=lineage)


_LOST: Final = """
    SELECT machine, loss, sum(e - s)::BIGINT / 1e6 AS seconds
    FROM fragment WHERE loss IS NOT NULL GROUP BY machine, loss
"""


def _lost(found: pa.Table, paths: Sequence[str]) -> dict[str, dict[str, float]]:
    """Seconds per loss of every place."""
    lost: dict[str, dict[str, float]] = {path: {} for path in paths}
    for row in over(found, _LOST):
        for path in paths:
            if below(row["machine"], path):
                seconds = lost[path]
                seconds[row["loss"]] = seconds.get(row["loss"], 0.0) + row["seconds"]
    return lost


def below(machine: str, path: str) -> bool:
    return machine == path or machine.startswith(path + "/")


def _sparks(
    query: Query,
    plant: Plant,
    scope: str,
    paths: Sequence[str],
    end: Micros,
    *,
    now: Micros,
) -> dict[str, tuple[SparkPoint, ...]]:
    """OEE by production day of the last four weeks."""
    last = min(end, now)
    first = (last - SPARK_DAYS * DAY) // HOUR * HOUR
    rows = kpi(query, plant, scope, first, last, ("machine", "day"), now=now)
    levels = sorted({path.count("/") + 1 for path in paths})

    def places(row: KpiRow) -> list[dict[str, str]]:
        machine, day = row.keys["machine"], row.keys["day"]
        return [{"place": _prefix(machine, level), "day": day} for level in levels]

    found: dict[str, tuple[SparkPoint, ...]] = {}
    for row in sorted(roll_up(rows, scope, places), key=lambda row: row.keys["day"]):
        point = SparkPoint(row.keys["day"], row["oee"], row["coverage"])
        place = row.keys["place"]
        found[place] = (*found.get(place, ()), point)[-SPARK_DAYS:]
    return found


def _row(
    plant: Plant,
    path: str,
    *,
    depth: int,
    places: _Places,
    steps: Sequence[LossStep],
    spark: tuple[SparkPoint, ...],
    current: Mapping[str, Mapping[str, Any]],
) -> OverviewRow:
    row, before = places.now[path], places.before.get(path)
    kinds = [
        (state["kind"], state["busy"]) for machine, state in current.items() if below(machine, path)
    ]
    level = path.count("/")
    return OverviewRow(
        scope=path,
        name=scope_name(plant, path),
        level=LEVELS[level],
        depth=level - depth,
        oee=figure(plant, "oee", row, before),
        availability=figure(plant, "availability", row, before),
        effectiveness=figure(plant, "effectiveness", row, before),
        quality_ratio=figure(plant, "quality_ratio", row, before),
        good=row["good"],
        biggest_loss=biggest(steps),
        spark=spark,
        machines=len(plant.scope(path)),
        running=sum(kind in RUNNING for kind, _ in kinds),
        abnormal=sum(kind in URGENT and busy for kind, busy in kinds),
    )
