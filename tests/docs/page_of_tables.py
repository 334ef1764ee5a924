"""The reference page of what SQL sees, made from what an empty lake answers."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
from tests.docs.pages import ROOT, made_from

from isthmus.apps.oee.facts import FACT_SCHEMA
from isthmus.data.catalog import catalog
from isthmus.data.lake import Lake
from isthmus.flow.log import SqliteLog
from isthmus.provision.join import VIEWS
from isthmus.runtime.dimensions import dimensions
from isthmus.runtime.open import load_plant

WHAT_IT_IS: Final = {
    "material": "what is produced, as the systems say now",
    "production_order": "orders, as the systems say now",
    "operation": "what an order does on which machine; actual times are the order runs",
    "stop_reason": "why a machine stood, as people say now; a part of a stop may have its own",
    "order_run": "which order a machine worked on; at most one at a time",
    "withdrawn_order": "orders that their system took back",
    "unresolved": "operations whose production order nobody has delivered yet",
    "shift": "shifts of every machine, 70 days back and two weeks ahead",
    "planned_down": "breaks and other planned stops inside shifts",
    "machine": "the machines of the model",
    "source": "the sources of the model",
    "state_category": "which time category a state of `machine_state` has",
    "ledger": "what became of every sample, per source, tag and hour of receipt",
    "ledger_count": "the counts behind `ledger`, as the logs wrote them",
    "ledger_stored": "samples that the tables and the tail have, per source and hour",
    "ledger_since": "the first hour in which a source was counted, per site",
    "gap": 'time in which a source could not be read; `"end"` is null while it lasts',
    "quarantine": "what broke a contract and was not replayed, newest 100,000 of each site",
    "oee_fact": "sums per machine × hour × shift × order; every KPI is a ratio of sums of these",
}
"""View → what a row is."""

SYSTEM_COLUMNS: Final = {
    "_source": "source, system or `web`", "_received": "when we got it",
    "_samples": "how many samples are in this row; the ledger counts with it",
    "_quality": "0 good, 1 uncertain, 2 bad: with null fields it means *unknown*",
    "_site": "whose log took it", "_date": "day of the row's time, UTC; partition",
    "_epoch": "which life of that log", "_seq": "parcel, without holes per site and epoch",
}  # fmt: skip


def tables_page(folder: Path) -> str:
    """`folder` is for an empty lake, so that the columns are those that SQL really shows."""
    plant = load_plant(ROOT / "examples" / "acme")
    logs = {site.name: SqliteLog(folder / f"{site.name}.sqlite", site.name, site.keep)
            for site in plant.sites.values()}  # fmt: skip
    lake = Lake(folder / "lake", logs, plant)
    for name, table in dimensions(plant, 0).items():
        lake.register(name, table)
    for name, sql in VIEWS.items():
        lake.define(name, sql)
    schemas = {name: lake.query(f"SELECT * FROM {name}").schema for name in views()}
    blocks = {name: lake.query(f"SELECT * FROM {name}").schema for name in plant.blocks}
    lake.close()
    for log in logs.values():
        log.close()
    return "\n".join(_tables(schemas | {"oee_fact": FACT_SCHEMA}, blocks))


def views() -> list[str]:
    return [name for name in WHAT_IT_IS if name != "oee_fact"]


def versioned() -> list[str]:
    plant = load_plant(ROOT / "examples" / "acme")
    return [name for name, table in catalog(Path("none"), plant).items() if table.key]


def _tables(schemas: Mapping[str, pa.Schema], blocks: Mapping[str, pa.Schema]) -> Iterator[str]:
    yield from (made_from("the lake's own answer"), "# Tables", "")
    yield (
        'What `isthmus sql` and `POST /api/v1/sql` see. Times are UTC; `start` and `"end"` need'
        " quotes where SQL wants them."
    )
    yield from ("", "## Blocks", "")
    yield (
        "Each block of the model is a table of its name with `machine` (asset path), `time`"
        " (device time) and one column per field; null means *not told at this time*, and all null"
        " with `_quality` 2 means *unknown from here on*. A counter's column holds increments. The"
        " reference company has:"
    )
    yield ""
    for name, schema in blocks.items():
        own = [f"`{one.name}` {_sql_type(one.type)}" for one in schema if one.name[0] != "_"]
        yield f"* `{name}`: {', '.join(own)}"
    yield from ("", "## Entities, intervals, sums", "")
    for name, schema in schemas.items():
        own = [one for one in schema if not one.name.startswith("_")]
        history = f" All versions: `{name}_history`." if name in versioned() else ""
        what = WHAT_IT_IS[name]
        yield from (f"### {name}", "", f"{what[0].upper()}{what[1:]}.{history}", "")
        yield from (", ".join(f"`{one.name}` {_sql_type(one.type)}" for one in own) + ".", "")
    yield from (
        "## System columns",
        "",
        "Every row of a block, an entity or `stop_reason` has:",
        "",
    )
    yield from ("| column | |", "|---|---|")
    yield from (f"| `{name}` | {what} |" for name, what in SYSTEM_COLUMNS.items())
    yield ""


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "timestamptz"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_floating(kind):
        return "double"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "bigint" if kind.bit_width == 64 else "integer"
    return "varchar"
