"""Machine time joined with its context: views on read, so a correction rewrites no row."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from isthmus.base.clock import Micros

_BLOCK: Final = re.compile(r"^-- view (\w+)\n", re.MULTILINE)
_HISTORIES: Final = ("material", "production_order", "operation", "stop_reason")


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    _, *parts = _BLOCK.split(text)
    for name, sql in zip(parts[::2], parts[1::2], strict=True):
        yield name, sql.strip()


VIEWS: Final[Mapping[str, str]] = MappingProxyType(
    dict(_blocks(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")))
)
"""View → its query over `material_history`, `production_order_history`, `operation_history` and
`stop_reason_history`; each may use the ones before it."""


def as_of(name: str) -> str:
    """The query of a view as we knew it at `$as_of` (microseconds UTC)."""
    known = [
        f"{entity}_history AS (SELECT * FROM {entity}_history "
        "WHERE recorded <= make_timestamptz($as_of::BIGINT))"
        for entity in _HISTORIES
    ]
    views = [f"{view} AS (\n{sql}\n)" for view, sql in VIEWS.items()]
    return "WITH " + ",\n".join([*known, *views]) + f"\nSELECT * FROM {name}"


def affected(before: pa.Table, after: pa.Table) -> list[tuple[str, Micros, Micros | None]]:
    """Machine time for which two versions of an interval view say different things.

    Takes tables with `machine, start, "end"` and any further columns, such as `order_run` or
    `stop_reason`, before and after new rows arrived. An end of None means: until now and on.
    """
    was, is_ = _intervals(before), _intervals(after)
    changes: dict[str, list[tuple[Micros, Micros | None, Any, int]]] = {}
    for sign, rows in ((-1, was - is_), (+1, is_ - was)):
        for (machine, start, end, said), count in rows.items():
            changes.setdefault(machine, []).append((start, end, said, sign * count))
    return [
        (machine, start, end)
        for machine in sorted(changes)
        for start, end in _differing(changes[machine])
    ]


_Interval = tuple[str, Micros, Micros | None, Any]


def _intervals(table: pa.Table) -> Counter[_Interval]:
    said = [name for name in table.column_names if name not in ("machine", "start", "end")]
    moments = [_micros(table[name]) for name in ("start", "end")]
    payload = (tuple(row.values()) for row in table.select(said).to_pylist())
    return Counter(zip(table["machine"].to_pylist(), *moments, payload, strict=True))


def _micros(column: pa.ChunkedArray) -> list[Any]:
    return list(column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_pylist())


def _differing(
    changes: Iterable[tuple[Micros, Micros | None, Any, int]],
) -> Iterator[tuple[Micros, Micros | None]]:
    """Sweep over the changed intervals; the time in which what is gone and what is new differ."""
    edges: dict[Micros, list[tuple[Any, int]]] = {}
    for start, end, said, count in changes:
        edges.setdefault(start, []).append((said, count))
        if end is not None:
            edges.setdefault(end, []).append((said, -count))
    balance: Counter[Any] = Counter()
    since: Micros | None = None
    for moment in sorted(edges):
        for said, count in edges[moment]:
            balance[said] += count
        differs = any(balance.values())
        if differs and since is None:
            since = moment
        elif not differs and since is not None:
            yield since, moment
            since = None
    if since is not None:
        yield since, None
