"""Entries become rows of blocks: one per machine and device time, null where nothing came."""

from collections import Counter
from collections.abc import Mapping as Cells
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import Micros
from isthmus.field.carried import Carried
from isthmus.field.columns import single, with_columns
from isthmus.field.holding import States
from isthmus.field.mapping import ARROW_TYPES, BlockLayout, Column, Mapping, layout
from isthmus.field.rules import StateChange
from isthmus.flow.parcel import TIME, Rows
from isthmus.model.plant import Plant, Source

UNKNOWN = 2
"""`_quality` of a row that says: nobody knows."""


def rows_of(
    entries: pa.RecordBatch, pool: pa.Array, changes: Sequence[StateChange],
    mapping: Mapping, carried: Carried,
) -> list[Rows]:  # fmt: skip
    """Rows per block: those that samples brought, then those that rules derived."""
    block_of = mapping.block.take(entries["field"])
    present = set(block_of.unique().to_pylist())
    found = []
    for number, block in enumerate(mapping.blocks):
        derived = [change for change in changes if change.derived.block == block.name]
        tables = []
        if number in present:
            ours = entries if len(present) == 1 else entries.filter(pc.equal(block_of, number))
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
    entries: pa.RecordBatch, pool: pa.Array, block: BlockLayout, mapping: Mapping, carried: Carried
) -> pa.Table:
    row, height = _row_of(entries, mapping)
    column = mapping.column.take(entries["field"])
    entries = with_columns(entries, row=row, machine=mapping.machine.take(entries["field"]))
    machine = pc.scatter(entries["machine"], row, max_index=height - 1)
    time = pc.scatter(entries["time"], row, max_index=height - 1)
    sums = pa.table(entries.select(["row", "received", "taken", "grade"])).group_by(
        "row", use_threads=False
    ).aggregate([("received", "max"), ("taken", "sum"), ("grade", "max")])  # fmt: skip
    quality = single(sums["grade_max"])
    own = []
    for number, kind in enumerate(block.columns):
        told = entries.filter(pc.equal(column, number))
        cells = _cells(told, kind, pool, height)
        if kind.name in block.holds:
            known = States(f"{block.name}.{kind.name}", told, pool, mapping, carried)
            cells = known.held(cells, machine, time, quality)
        own.append(cells)
    columns = [
        mapping.machines.take(machine),
        time.cast(TIME),
        *own,
        _repeat(mapping.source, height),
        single(sums["received_max"]).cast(TIME),
        single(sums["taken_sum"]).cast(pa.int32()),
        quality,
    ]
    return pa.table(columns, schema=block_schema(block))


def _row_of(entries: pa.RecordBatch, mapping: Mapping) -> tuple[pa.Array, int]:
    """Which row each entry goes into, in the order of their first entries.

    A field told twice at one device time makes two rows: nothing is lost. One integer as a key
    is much faster than two columns; it wraps around, but two keys of one parcel could only meet
    if its times were decades apart.
    """
    span = max(len(mapping.maps), len(mapping.machines))
    times = pc.multiply(entries["time"], span)
    machine = mapping.machine.take(entries["field"]).cast(pa.int64())
    rows = pc.add(times, machine).dictionary_encode()
    cells = pc.add(times, entries["field"].cast(pa.int64()))
    if pc.count_distinct(cells).as_py() == len(cells):
        return rows.indices, len(rows.dictionary)
    told: Counter[int] = Counter()
    again = []
    for cell in cells.to_pylist():
        again.append(told[cell])
        told[cell] += 1
    numbered = pc.add(pc.multiply(rows.indices.cast(pa.int64()), max(again) + 1), pa.array(again))
    rows = numbered.dictionary_encode()
    return rows.indices, len(rows.dictionary)


def _cells(told: pa.RecordBatch, column: Column, pool: pa.Array, height: int) -> pa.Array:
    if not told.num_rows:
        return pa.nulls(height, ARROW_TYPES[column.type])
    values = told["amount" if column.type == "number" else "whole"]
    cells = pc.scatter(values, told["row"], max_index=height - 1)
    if column.type in ("enum", "text"):
        return pool.take(cells)
    return cells.cast(ARROW_TYPES[column.type])


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


def _repeat(value: str, times: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), times)
