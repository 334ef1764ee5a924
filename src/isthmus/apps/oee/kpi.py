"""KPIs of any scope and window, in any grouping, from facts; the formulas are in kpi.sql."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from isthmus.apps.app import Query
from isthmus.apps.oee.facts import facts
from isthmus.apps.oee.memory import ask
from isthmus.apps.oee.ratios import COUNTS, KPIS, TimeModel, ratios
from isthmus.base.clock import HOUR, Micros, iso, parse_time, to_datetime
from isthmus.model.plant import Machine, Plant

_DAY = "coalesce(shift_day, CAST(timezone(zone, hour) AS DATE))"
_GROUPS: Final[Mapping[str, str]] = {
    "total": "'total'",
    "site": "array_to_string(string_split(machine, '/')[1:2], '/')",
    "area": "array_to_string(string_split(machine, '/')[1:3], '/')",
    "line": "array_to_string(string_split(machine, '/')[1:4], '/')",
    "machine": "machine",
    "month": f"strftime({_DAY}, '%Y-%m')",
    "day": f"strftime({_DAY}, '%Y-%m-%d')",
    "shift": "coalesce(strftime(shift_day, '%Y-%m-%d') || ' ' || shift, 'no shift')",
    "hour": "strftime(timezone('UTC', hour), '%Y-%m-%dT%H:00:00Z')",
    "operation": "coalesce(operation, 'no operation')",
    "order": "coalesce(production_order, 'no order')",
    "material": "coalesce(material, 'no material')",
}
GROUPINGS: Final = tuple(_GROUPS)
_PLACES: Final = {"total", "site", "area", "line", "machine"}
_KEPT: Final = (
    "pot_s", "pbt_s", "apt_s", "aust_s", "adet_s", "adot_s", "unknown_s", "planned_down_s",
    "aoet_s", "produced", "good", "scrap", "rework", "ideal_s", "ideal_good_s", "failures",
    "repair_s", "operating_s", "target",
)  # fmt: skip


class GroupingError(ValueError):
    """`by` names no grouping we know."""


@dataclass(frozen=True)
class KpiRow:
    """The KPIs of one group; `None` is undefined, and `reasons_null` says why."""

    scope: str
    group: str
    """What distinguishes the group; several groupings are joined by ` · `."""
    keys: Mapping[str, str]
    """Grouping → group."""
    start: Micros
    end: Micros
    sums: Mapping[str, float | None]
    """Seconds and quantities, as the columns of `oee_fact`."""
    kpis: Mapping[str, float | None]
    reasons_null: Mapping[str, str]
    """KPI → code of docs/reference/kpi.md."""
    above_one: tuple[str, ...] = ()
    """KPIs whose raw value exceeds 1: ideal cycle times or counts are wrong. Never clipped."""
    time_model: TimeModel = "iso22400"

    def __getitem__(self, name: str) -> float | None:
        return self.kpis[name] if name in self.kpis else self.sums[name]

    def as_dict(self) -> dict[str, Any]:
        """The row as the API and `isthmus kpi` give it."""
        counts = {name: whole(self.sums[name]) for name in COUNTS if name in self.sums}
        return {
            "scope": self.scope,
            "group": self.group,
            "from": iso(self.start),
            "to": iso(self.end),
            **self.kpis,
            **{name: value for name, value in self.sums.items() if name not in counts},
            **counts,
            "reasons_null": dict(self.reasons_null),
            "above_one": list(self.above_one),
            "time_model": self.time_model,
        }


def kpi(  # noqa: PLR0917 - what, where, when, by: all are always given
    query: Query,
    plant: Plant,
    scope: str,
    start: Micros,
    end: Micros,
    by: str | Sequence[str] = "total",
    *,
    now: Micros,
    time_model: TimeModel = "iso22400",
) -> list[KpiRow]:
    """KPIs of the machines at or below `scope` in `[start, end)`, one row per group.

    `by` is one of GROUPINGS or several (`"machine,shift"`). The part of the window that lies
    after `now` counts nothing. Windows that cut an hour are exact: whole hours come from
    `oee_fact`, the rest is computed from the rows.
    """
    machines = plant.scope(scope)
    return kpi_of(
        query,
        plant,
        machines,
        start,
        end,
        scope=scope,
        by=by,
        now=now,
        time_model=time_model,
    )


def kpi_of(
    query: Query,
    plant: Plant,
    machines: Sequence[Machine],
    start: Micros,
    end: Micros,
    *,
    scope: str,
    by: str | Sequence[str],
    now: Micros,
    time_model: TimeModel = "iso22400",
    running: pa.Table | None = None,
) -> list[KpiRow]:
    """As `kpi`, of some machines of a scope.

    `running` are the facts of the running hour up to `now`, of these machines or more, where
    they are known already: a page needs them several times.
    """
    dimensions = _dimensions(by)
    window = _Window(start, max(start, min(end, now)))
    if not machines:
        return []
    known = {} if running is None else {(now // HOUR * HOUR, now): running}

    def cut(start: Micros, end: Micros) -> pa.Table:
        found = known.get((start, end))
        return found if found is not None else facts(query, plant, machines, start, end, now=now)

    sums = _sums(query, machines, window, dimensions=dimensions, cut=cut)
    completed = _complete(sums, machines, window, dimensions)
    return _rows(scope, dimensions, completed, time_model)


def roll_up(
    rows: Sequence[KpiRow], scope: str, keys: Callable[[KpiRow], Sequence[Mapping[str, str]]]
) -> list[KpiRow]:
    """Coarser groups from finer ones: sums are added, ratios computed anew.

    `keys` names the groups a row belongs to, all by the same dimensions.
    """
    dimensions = list(keys(rows[0])[0]) if rows else []
    groups: dict[tuple[str, ...], list[KpiRow]] = {}
    for row in rows:
        for key in keys(row):
            groups.setdefault(tuple(key.values()), []).append(row)
    summed = [
        {f"by_{name}": value for name, value in zip(dimensions, key, strict=True)}
        | {"s": min(row.start for row in group), "e": max(row.end for row in group)}
        | {name: _sum(row.sums[name] for row in group) for name in (*_KEPT, "calendar_s")}
        for key, group in groups.items()
    ]
    table = pa.Table.from_pylist(summed, schema=_schema(dimensions))
    return _rows(scope, dimensions, table, rows[0].time_model) if rows else []


def _sum(values: Iterable[float | None]) -> float | None:
    """A sum of which one part is unknown is unknown."""
    known = 0.0
    for value in values:
        if value is None:
            return None
        known += value
    return known


def _rows(
    scope: str, dimensions: Sequence[str], sums: pa.Table, time_model: TimeModel
) -> list[KpiRow]:
    return [_row(scope, dimensions, found, time_model) for found in ratios(sums, time_model)]


@dataclass(frozen=True)
class _Window:
    start: Micros
    end: Micros

    @property
    def whole(self) -> tuple[Micros, Micros]:
        """The whole hours in it; empty when the first is not before the last."""
        return -(-self.start // HOUR) * HOUR, self.end // HOUR * HOUR

    @property
    def edges(self) -> list[tuple[Micros, Micros]]:
        first, last = self.whole
        edges = (
            [(self.start, first), (last, self.end)] if first < last else [(self.start, self.end)]
        )
        return [(begin, stop) for begin, stop in edges if begin < stop]


def _dimensions(by: str | Sequence[str]) -> list[str]:
    names = [name.strip() for name in by.split(",")] if isinstance(by, str) else list(by)
    unknown = [name for name in names if name not in _GROUPS]
    if unknown or not names:
        raise GroupingError(
            f"cannot group by `{', '.join(unknown)}`; choose from {', '.join(_GROUPS)}"
        )
    return names


def _sums(
    query: Query,
    machines: Sequence[Machine],
    window: _Window,
    *,
    dimensions: Sequence[str],
    cut: Callable[[Micros, Micros], pa.Table],
) -> list[dict[str, Any]]:
    """Sums per group: whole, finished hours as kept; `cut` computes what is cut or running."""
    params: dict[str, object] = {
        "machines": [machine.path for machine in machines],
        "zones": [machine.timezone for machine in machines],
    }
    parts = []
    first, last = window.whole
    if first < last:
        bounds = {"first": to_datetime(first), "last": to_datetime(last)}
        where = "AND hour >= $first AND hour < $last"
        parts.append(query(_grouped("oee_fact", dimensions, where), params | bounds))
    edges = [cut(*edge) for edge in window.edges]
    if edges:
        parts.append(ask(_grouped("edge", dimensions), params, edge=pa.concat_tables(edges)))
    if not parts:
        return []
    keys = ", ".join(_quoted(dimensions))
    sql = f"SELECT {keys}, {_SUMS} FROM part GROUP BY {keys} ORDER BY {keys}"
    both = pa.concat_tables(parts, promote_options="permissive")
    rows: list[dict[str, Any]] = ask(sql, part=both).to_pylist()
    return rows


_UNSURE: Final = frozenset(
    ("produced", "good", "scrap", "rework", "ideal_s", "ideal_good_s", "target")
)


def _total(name: str) -> str:
    """A sum of which one part is unknown is unknown: it must not look like a smaller, sure one."""
    if name in _UNSURE:
        return f"CASE WHEN count({name}) = count(*) THEN sum({name})::DOUBLE END AS {name}"
    return f"sum({name})::DOUBLE AS {name}"


_SUMS: Final = ", ".join(["min(s) AS s", "max(e) AS e", *map(_total, _KEPT)])

# What the names of groups are made of: formatting them for every fact would cost more than adding.
_RAW: Final[Mapping[str, tuple[str, ...]]] = {
    "total": (),
    "site": ("site",),
    "area": ("site", "area"),
    "line": ("site", "area", "line"),
    "machine": ("site", "machine"),
    "month": ("site", "shift_day", "hour"),
    "day": ("site", "shift_day", "hour"),
    "shift": ("shift_day", "shift"),
    "hour": ("hour",),
    "operation": ("operation",),
    "order": ("production_order",),
    "material": ("material",),
}


def _grouped(table: str, dimensions: Sequence[str], where: str = "") -> str:
    raw = dict.fromkeys(part for name in dimensions for part in _RAW[name])
    names = [
        f"{_GROUPS[name]} AS {quoted}"
        for name, quoted in zip(dimensions, _quoted(dimensions), strict=True)
    ]
    # An hour inside a shift belongs to the shift's day: only others need the hour itself.
    parts = [
        "CASE WHEN shift_day IS NULL THEN hour END AS hour"
        if part == "hour" and "shift_day" in raw and "hour" not in dimensions
        else part
        for part in raw
    ]
    any_machine = [] if "machine" in raw else ["any_value(machine) AS machine"]
    keys = ", ".join(_quoted(dimensions))
    return f"""
        WITH fine AS (
            SELECT {", ".join([*parts, *any_machine])}, min(epoch_us("start")) AS s,
                max(epoch_us("end")) AS e, {", ".join(map(_total, _KEPT))}
            FROM {table}
            WHERE machine IN (SELECT unnest($machines::VARCHAR[])) {where}
            GROUP BY ALL HAVING count(*) > 0
        ),
        zones AS (
            SELECT unnest($machines::VARCHAR[]) AS machine, unnest($zones::VARCHAR[]) AS zone
        )
        SELECT {", ".join(names)}, {_SUMS} FROM fine JOIN zones USING (machine) GROUP BY {keys}
    """


def _quoted(dimensions: Sequence[str]) -> list[str]:
    return [f'"by_{name}"' for name in dimensions]


def _complete(
    rows: list[dict[str, Any]],
    machines: Sequence[Machine],
    window: _Window,
    dimensions: Sequence[str],
) -> pa.Table:
    """Add calendar time where the grouping has one, and groups in which nothing was planned."""
    places = [name for name in dimensions if name in _PLACES]
    sizes = Counter(tuple(_place(machine, name) for name in places) for machine in machines)
    others = set(dimensions) - _PLACES
    if not others:
        found = {tuple(row[f"by_{name}"] for name in places) for row in rows}
        rows += [_nothing(dict(zip(places, key, strict=True))) for key in sizes if key not in found]
        rows.sort(key=lambda row: tuple(row[f"by_{name}"] for name in places))
    for row in rows:
        span = window if not others else _hour(row, window) if others == {"hour"} else None
        if span is not None:
            size = sizes[tuple(row[f"by_{name}"] for name in places)]
            row |= {"s": span.start, "e": span.end}
            row["calendar_s"] = size * (span.end - span.start) / 1e6
        else:
            row["calendar_s"] = None
    return pa.Table.from_pylist(rows, schema=_schema(dimensions))


def _place(machine: Machine, grouping: str) -> str:
    parts = machine.path.split("/")
    match grouping:
        case "total":
            return "total"
        case "site":
            return "/".join(parts[:2])
        case "area":
            return "/".join(parts[:3])
        case "line":
            return "/".join(parts[:4])
        case _:
            return machine.path


def _nothing(keys: Mapping[str, str]) -> dict[str, Any]:
    return {f"by_{name}": key for name, key in keys.items()} | dict.fromkeys(_KEPT, 0)


def _hour(row: Mapping[str, Any], window: _Window) -> _Window:
    start = parse_time(row["by_hour"])
    return _Window(max(start, window.start), min(start + HOUR, window.end))


def _schema(dimensions: Sequence[str]) -> pa.Schema:
    return pa.schema(
        [
            *(pa.field(f"by_{name}", pa.string()) for name in dimensions),
            pa.field("s", pa.int64()),
            pa.field("e", pa.int64()),
            *(pa.field(name, pa.float64()) for name in (*_KEPT, "calendar_s")),
        ]
    )


def _row(
    scope: str, dimensions: Sequence[str], found: Mapping[str, Any], time_model: TimeModel
) -> KpiRow:
    keys = {name: found[f"by_{name}"] for name in dimensions}
    return KpiRow(
        scope=scope,
        group=" · ".join(keys.values()),
        keys=keys,
        start=found["s"],
        end=found["e"],
        sums={name: found[name] for name in (*_KEPT, "calendar_s")},
        kpis={name: found[name] for name in KPIS},
        reasons_null=found["reasons_null"],
        above_one=found["above_one"],
        time_model=time_model,
    )


def whole(value: float | None) -> float | int | None:
    """Counts are shown as integers where they are."""
    return int(value) if value is not None and value.is_integer() else value
