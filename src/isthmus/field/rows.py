"""Entries become rows of blocks: one per machine and device time, null where nothing came."""

from collections.abc import Mapping as Cells
from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from isthmus.base.clock import Micros
from isthmus.field.carried import Carried
from isthmus.field.holding import held
from isthmus.field.mapping import ARROW_TYPES, BlockLayout, Column, Mapping, layout
from isthmus.field.rules import StateChange
from isthmus.flow.parcel import TIME, Rows
from isthmus.model.plant import Plant, Source

UNKNOWN = 2
"""`_quality` of a row that says: nobody knows."""


def rows_of(
    entries: pl.DataFrame, pool: pa.Array, changes: Sequence[StateChange],
    mapping: Mapping, carried: Carried,
) -> list[Rows]:  # fmt: skip
    """Rows per block, in the order in which their first sample came."""
    present = set(entries["block"].unique()) if entries.height else set()
    found = []
    for number, block in enumerate(mapping.blocks):
        derived = [change for change in changes if change.derived.block == block.name]
        tables = []
        if number in present:
            ours = entries.filter(pl.col("block") == number) if len(present) > 1 else entries
            tables.append(_block_table(ours, pool, block, mapping, carried))
        if derived:
            tables.append(_derived_table(derived, block, mapping.source))
        if tables:
            found.append(Rows(block.name, pa.concat_tables(tables)))
    return found


def unknown_rows(source: Source, plant: Plant, at: Micros) -> list[Rows]:
    """From `at` on nobody knows anything about the machines of this source."""
    machines: dict[str, list[str]] = {}
    for path in source.machines:
        for block in plant.machines[path].blocks:
            machines.setdefault(block, []).append(path)
    return [
        Rows(block, _bare_rows(layout(plant, block), source.name, paths, [at] * len(paths),
                               [at] * len(paths), [UNKNOWN] * len(paths), {}))
        for block, paths in machines.items()
    ]  # fmt: skip


def block_schema(block: BlockLayout) -> pa.Schema:
    """The columns of a block's rows before the log adds its own."""
    return pa.schema([
        ("machine", pa.string()),
        ("time", TIME),
        *((column.name, ARROW_TYPES[column.type]) for column in block.columns),
        ("_source", pa.string()),
        ("_received", TIME),
        ("_samples", pa.int32()),
        ("_quality", pa.int16()),
    ])  # fmt: skip


def _block_table(
    entries: pl.DataFrame, pool: pa.Array, block: BlockLayout, mapping: Mapping, carried: Carried
) -> pa.Table:
    keyed, keys = _keyed(entries, len(mapping.fields))
    here = set(keyed["column"].unique())
    wide = keyed.group_by(keys, maintain_order=True).agg(
        pl.col(*({"row", "again"} - set(keys)), "machine", "time").first(),
        pl.col("received").max(),
        pl.col("taken").sum(),
        pl.col("grade").max(),
        *(_cell(column, n, alone=len(here) == 1) for n, column in enumerate(block.columns)
          if n in here),
    )  # fmt: skip
    texts = {c.name: _text(wide, c, pool) for c in block.columns if c.name in wide.columns}
    for name in block.holds:
        texts[name] = held(name, wide, keyed, texts.get(name), pool, block, mapping, carried)
    columns = [
        mapping.machines.take(wide["machine"].to_arrow()),
        _times(wide["time"]),
        *(texts.get(c.name, pa.nulls(wide.height, ARROW_TYPES[c.type])) for c in block.columns),
        _repeat(mapping.source, wide.height),
        _times(wide["received"]),
        wide["taken"].cast(pl.Int32).to_arrow(),
        wide["grade"].to_arrow(),
    ]
    return pa.table(columns, schema=block_schema(block))


def _keyed(entries: pl.DataFrame, fields: int) -> tuple[pl.DataFrame, list[str]]:
    """What makes a row. A field told twice at one device time makes two rows: nothing is lost.

    One integer instead of two columns groups twice as fast. It wraps around, but two keys of one
    parcel only meet if its times are decades apart.
    """
    keyed = entries.with_columns(
        row=pl.col("time") * fields + pl.col("machine"),
        cell=pl.col("time") * fields + pl.col("field"),
        again=pl.lit(0, pl.UInt32),
    )
    if keyed["cell"].n_unique() == keyed.height:
        return keyed, ["row"]
    again = pl.int_range(pl.len(), dtype=pl.UInt32).over("cell")
    return keyed.with_columns(again=again), ["row", "again"]


def _cell(column: Column, number: int, *, alone: bool) -> pl.Expr:
    value = pl.col("amount" if column.type == "number" else "whole")
    if alone:
        return value.first().alias(column.name)
    return value.filter(pl.col("column") == number).first().alias(column.name)


def _text(wide: pl.DataFrame, column: Column, pool: pa.Array) -> pa.Array:
    values = wide[column.name].to_arrow()
    if column.type in ("enum", "text"):
        return pool.take(values)
    return values.cast(ARROW_TYPES[column.type])


def _derived_table(changes: Sequence[StateChange], block: BlockLayout, source: str) -> pa.Table:
    cells: dict[str, list[str | None]] = {
        name: [change.state if change.derived.field == name else None for change in changes]
        for name in dict.fromkeys(change.derived.field for change in changes)
    }
    return _bare_rows(
        block,
        source,
        [change.derived.machine for change in changes],
        [change.time for change in changes],
        [change.known for change in changes],
        [UNKNOWN if change.state is None else 0 for change in changes],
        cells,
    )


def _bare_rows(
    block: BlockLayout,
    source: str,
    machines: Sequence[str],
    times: Sequence[Micros],
    received: Sequence[Micros],
    quality: Sequence[int],
    cells: Cells[str, Sequence[str | None]],
) -> pa.Table:
    """Rows that no sample brought: `_samples` is 0."""
    height = len(machines)
    columns = [
        pa.array(machines, pa.string()),
        pa.array(times, TIME),
        *(pa.array(cells[c.name], pa.string()) if c.name in cells
          else pa.nulls(height, ARROW_TYPES[c.type]) for c in block.columns),
        _repeat(source, height),
        pa.array(received, TIME),
        pa.repeat(pa.scalar(0, pa.int32()), height),
        pa.array(quality, pa.int16()),
    ]  # fmt: skip
    return pa.table(columns, schema=block_schema(block))


def _times(series: pl.Series) -> pa.Array:
    return series.to_arrow().cast(TIME)


def _repeat(value: str, times: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), times)
