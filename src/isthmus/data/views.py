"""The names SQL knows, and which of them one query needs: pure text and Arrow."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import pyarrow as pa

from isthmus.base.clock import Micros
from isthmus.data.tables import TableSchema
from isthmus.flow.contract import Gap
from isthmus.flow.parcel import TIME, Quarantined
from isthmus.model.plant import Plant

Window = tuple[Micros, Micros]
"""From, and up to but without."""

EVER: Final[Window] = (-(2**62), 2**62)

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

LEDGER: Final = """
WITH stored AS (
    SELECT source, hour, sum(samples)::BIGINT AS samples FROM ledger_stored GROUP BY ALL
), counted AS (
    SELECT site, source, hour, sum(shaped)::BIGINT AS samples FROM ledger_count GROUP BY ALL
)
SELECT source, site, tag, hour, received, good, uncertain, bad, unmapped, quarantined, late,
    shaped, thinned, shaped AS stored
FROM ledger_count
UNION ALL
-- What is stored too much or too little cannot be told to a tag: it stands on a row of its own.
SELECT source, coalesce(site, '') AS site, '' AS tag, hour, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    coalesce(stored.samples, 0) - coalesce(counted.samples, 0)
FROM stored FULL JOIN counted USING (source, hour)
WHERE coalesce(stored.samples, 0) <> coalesce(counted.samples, 0)
"""
"""`ledger`: what became of the samples, per source, tag and hour, and what the lake has of them."""

LEDGER_COUNT: Final = pa.schema(
    [
        ("source", pa.string()),
        ("tag", pa.string()),
        ("hour", TIME),
        *[
            (name, pa.int64())
            for name in (
                "received", "good", "uncertain", "bad", "unmapped", "quarantined", "late",
                "shaped", "thinned",
            )
        ],
        ("site", pa.string()),
    ]
)  # fmt: skip
LEDGER_SINCE: Final = pa.schema([("source", pa.string()), ("site", pa.string()), ("hour", TIME)])
LEDGER_STORED: Final = pa.schema([("source", pa.string()), ("hour", TIME), ("samples", pa.int64())])


def valid_versions(table: TableSchema) -> str:
    """The latest `recorded` per key holds, unless it was withdrawn."""
    key = ", ".join(table.key)
    return (
        f"SELECT * FROM {table.name}_history QUALIFY row_number() OVER"
        f" (PARTITION BY {key} ORDER BY recorded DESC, _seq DESC) = 1"
        " AND NOT coalesce(withdrawn, false)"
    )


def needed(sql: str, known: Iterable[str], definitions: Mapping[str, str]) -> list[str]:
    """Known names that a query mentions, directly or through views, in the order to create them."""
    names = set(known)
    ordered: list[str] = []

    def visit(text: str, above: frozenset[str]) -> None:
        for name in {word.lower() for word in _WORD.findall(text)} & names - above:
            if name in ordered:
                continue  # a view above has brought it
            if name in definitions:
                visit(definitions[name], above | {name})
            ordered.append(name)

    visit(sql, frozenset())
    return ordered


def dimensions(plant: Plant) -> dict[str, pa.Table]:
    """The model as tables: machine, source, state_category."""
    return {
        "machine": _machines(plant),
        "source": pa.table(
            {
                "source": [source.name for source in plant.sources.values()],
                "site": [source.site for source in plant.sources.values()],
                "kind": [source.spec.kind for source in plant.sources.values()],
            },
            schema=pa.schema([(name, pa.string()) for name in ("source", "site", "kind")]),
        ),
        "state_category": pa.table(
            {
                "state": list(plant.state_categories),
                "category": list(plant.state_categories.values()),
            },
            schema=pa.schema([("state", pa.string()), ("category", pa.string())]),
        ),
    }


def _machines(plant: Plant) -> pa.Table:
    text = ("machine", "site", "area", "line", "type", "name", "timezone")
    number = ("ideal_cycle_s", "minor_stop_s", "slow_factor")
    schema = pa.schema(
        [*((one, pa.string()) for one in text), *((n, pa.float64()) for n in number)]
    )
    rows = [
        (
            one.path, one.site, one.area, one.line, one.type, one.name, one.timezone,
            one.ideal_cycle, one.minor_stop, one.slow_factor,
        )
        for one in plant.machines.values()
    ]  # fmt: skip
    return pa.Table.from_pylist(
        [dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema
    )


def gap_table(gaps: Iterable[tuple[str, Gap]]) -> pa.Table:
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("source", pa.string()),
            ("site", pa.string()),
            ("start", TIME),
            ("end", TIME),
            ("reason", pa.string()),
            ("detail", pa.string()),
        ]
    )
    rows = [
        {
            "id": gap.id, "source": gap.source, "site": site, "start": gap.start, "end": gap.end,
            "reason": gap.reason, "detail": gap.detail,
        }
        for site, gap in gaps
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema)


def since_table(first: Iterable[tuple[str, Mapping[str, Micros]]]) -> pa.Table:
    rows = [
        {"source": source, "site": site, "hour": hour}
        for site, hours in first
        for source, hour in hours.items()
    ]
    return pa.Table.from_pylist(rows, schema=LEDGER_SINCE)


def quarantine_table(found: Iterable[tuple[str, Quarantined]]) -> pa.Table:
    text = ("source", "tag", "machine", "block", "field")
    schema = pa.schema(
        [
            ("site", pa.string()),
            *((name, pa.string()) for name in text),
            ("device_time", TIME),
            ("received_time", TIME),
            *((name, pa.string()) for name in ("value", "code", "reason")),
        ]
    )
    return pa.Table.from_pylist([{"site": site, **vars(one)} for site, one in found], schema=schema)
