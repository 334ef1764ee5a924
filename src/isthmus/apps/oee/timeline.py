"""What machines did, as people see it: intervals of states, computed from the rows in one query."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import pyarrow as pa

from isthmus.apps.app import Query
from isthmus.apps.oee.inputs import statement, window_params
from isthmus.apps.oee.memory import ask
from isthmus.apps.oee.options import minor_stop
from isthmus.apps.oee.view import StateInterval
from isthmus.base.clock import Micros
from isthmus.model.plant import Machine, Plant

_ALIKE: Final = (
    "kind", "state", "busy", "stretch_s", "given_reason", "production_order", "material",
)  # fmt: skip


def states(
    query: Query, plant: Plant, scope: str, start: Micros, end: Micros, *, now: Micros
) -> list[StateInterval]:
    """What the machines of the scope (or the one machine) did, by machine and time.

    The intervals of a machine tile `[start, min(end, now))` without gap or overlap.
    """
    return merged(fragments(query, plant, plant.scope(scope), start, end, now=now))


def fragments(
    query: Query,
    plant: Plant,
    machines: Sequence[Machine],
    start: Micros,
    end: Micros,
    *,
    now: Micros,
) -> pa.Table:
    """The finest intervals: cut at hours, shifts, orders, reasons and slow running.

    Columns as `state_interval` in states.sql. The rows are read a little beyond the window, so
    that a stop that goes on behind it is not mistaken for a minor one.
    """
    until = max(start, min(end, now))
    minor_stops = [minor_stop(plant, machine) for machine in machines]
    beyond = int(max(minor_stops, default=0.0) * 1e6) + 1
    read_to = max(start, min(end + beyond, now))
    params = window_params(query, plant, machines, start, read_to, beginnings=True) | {
        "until": until,
        "minor_stops": minor_stops,
        "reasons": [reason.reason for reason in plant.reasons],
        "reason_categories": [reason.category for reason in plant.reasons],
    }
    text = "SELECT * FROM state_interval ORDER BY machine, s"
    return query(statement(plant, "window", "states") + text, params)


def merged(found: pa.Table) -> list[StateInterval]:
    """Neighbours that look the same become one."""

    def alike(row: dict[str, Any]) -> tuple[Any, ...]:
        return (row["machine"], *(row[name] for name in _ALIKE))

    runs = (list(run) for _, run in groupby(found.to_pylist(), key=alike))
    return [_interval(run[0], run[-1]["e"]) for run in runs]


def _interval(first: dict[str, Any], end: Micros) -> StateInterval:
    stop = first["activity"] in {"idle", "stopped"}
    return StateInterval(
        machine=first["machine"],
        start=first["s"],
        end=end,
        kind=first["kind"],
        state=first["state"] or None,
        category=first["category"] or None,
        busy=first["busy"],
        stop=stop_id(first["machine"], first["stretch_s"]) if stop else "",
        reason=first["given_reason"],
        production_order=first["production_order"] or "",
        material=first["material"] or "",
    )


def stop_id(machine: str, start: Micros) -> str:
    return f"{machine}@{start}"


def parse_stop_id(text: str) -> tuple[str, Micros]:
    """Machine and start; ValueError if it is no such id."""
    machine, _, start = text.rpartition("@")
    return machine, int(start)


def last(found: pa.Table) -> dict[str, dict[str, Any]]:
    """Machine → the last of its fragments."""
    newest = "SELECT * FROM fragment QUALIFY e = max(e) OVER (PARTITION BY machine)"
    return {row["machine"]: row for row in over(found, newest)}


def over(found: pa.Table, sql: str, **params: object) -> list[dict[str, Any]]:
    """Ask something about fragments already read; they are the table `fragment`."""
    rows: list[dict[str, Any]] = ask(sql, params, fragment=found).to_pylist()
    return rows
