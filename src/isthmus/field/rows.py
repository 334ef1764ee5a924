"""Entries become rows of blocks: one per machine and device time, null where nothing came."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

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


@dataclass(frozen=True)
class Making:
    """What entries are read with."""

    pool: pa.Array
    """Strings that positions in `whole` point into."""
    mapping: Mapping
    carried: Carried


def rows_of(entries: pa.RecordBatch, changes: Sequence[StateChange], making: Making) -> list[Rows]:
    """Rows per block: those that samples brought, then those that rules derived."""
    tables: dict[str, list[pa.Table]] = {}
    if entries.num_rows:
        for name, table in _told(entries, making):
            tables.setdefault(name, []).append(table)
    for block in making.mapping.blocks:
        derived = [change for change in changes if change.derived.block == block.name]
        if derived:
            table = _derived_table(derived, block, making.mapping.source)
            tables.setdefault(block.name, []).append(table)
    return [Rows(name, pa.concat_tables(parts)) for name, parts in tables.items()]


def unknown_rows(source: Source, plant: Plant, at: Micros) -> list[Rows]:
    """From `at` on nobody knows anything about the machines of this source."""
    machines: dict[str, list[_Bare]] = {}
    for path in source.machines:
        for block in plant.machines[path].blocks:
            machines.setdefault(block, []).append(_Bare(path, at, at, UNKNOWN))
    return [
        Rows(block, _bare_rows(layout(plant, block), source.name, rows))
        for block, rows in machines.items()
    ]


@dataclass(frozen=True)
class _Frame:
    """The columns that all blocks have, for the rows of one block or of all."""

    machine: pa.Array
    time: pa.Array
    received: pa.Array
    taken: pa.Array
    grade: pa.Array

    def __len__(self) -> int:
        return len(self.machine)

    def part(self, start: int, stop: int) -> "_Frame":
        size = stop - start
        return _Frame(*(getattr(self, f.name).slice(start, size) for f in fields(self)))


def _told(entries: pa.RecordBatch, making: Making) -> Iterator[tuple[str, pa.Table]]:
    """Rows are numbered for all blocks at once, block by block: what costs per call, costs once."""
    mapping = making.mapping
    block_of = mapping.block.take(entries["field"])
    order = pc.sort_indices(block_of)
    entries, block_of = entries.drop_columns(["why"]).take(order), block_of.take(order)
    row, height = _row_of(entries, mapping)
    frame = _frame(entries, row, height, mapping)
    entries = with_columns(entries, row=row, machine=mapping.machine.take(entries["field"]))
    counts = pc.value_counts(block_of)
    first, first_row = 0, 0
    for number, size in zip(*(c.to_pylist() for c in counts.flatten()), strict=True):
        ours = entries.slice(first, size)
        last_row = pc.max(ours["row"]).as_py() + 1
        ours = with_columns(ours, row=pc.subtract(ours["row"], first_row))
        block = mapping.blocks[number]
        yield block.name, _block_table(ours, frame.part(first_row, last_row), block, making)
        first, first_row = first + size, last_row


def _frame(entries: pa.RecordBatch, row: pa.Array, height: int, mapping: Mapping) -> _Frame:
    machine = mapping.machine.take(entries["field"])
    return _Frame(
        machine=pc.scatter(machine, row, max_index=height - 1),
        time=pc.scatter(entries["time"], row, max_index=height - 1),
        received=pc.scatter(entries["received"], row, max_index=height - 1),
        taken=_taken(row, entries["taken"]),
        grade=_worst(row, entries["grade"], height),
    )


def _taken(row: pa.Array, taken: pa.Array) -> pa.Array:
    """Samples per row; rows are numbered in the order of their first entries, as counts are."""
    if pc.min(taken).as_py() == 1:
        return pc.value_counts(row).field("counts").cast(pa.int32())
    return _summed(row, taken, "sum").cast(pa.int32())


def _summed(row: pa.Array, values: pa.Array, how: str) -> pa.Array:
    grouped = pa.table([row, values], names=["row", "value"]).group_by("row", use_threads=False)
    return single(grouped.aggregate([("value", how)])[f"value_{how}"])


def _worst(row: pa.Array, grade: pa.Array, height: int) -> pa.Array:
    if not pc.max(grade).as_py():
        return pa.repeat(pa.scalar(0, grade.type), height)
    return _summed(row, grade, "max")


def _row_of(entries: pa.RecordBatch, mapping: Mapping) -> tuple[pa.Array, int]:
    """Which row each entry goes into, in the order of their first entries.

    A field told twice at one device time makes two rows: nothing is lost. One integer as a key
    is much faster than three columns; it wraps around, but two keys of one parcel could only meet
    if its times were decades apart.
    """
    place = mapping.place.take(entries["field"])
    rows = pc.add(pc.multiply(entries["time"], len(mapping.maps)), place).dictionary_encode()
    height = len(rows.dictionary)
    columns = mapping.widest
    cells = pc.add(
        pc.multiply(rows.indices.cast(pa.int64()), columns), mapping.column.take(entries["field"])
    )
    told = pc.scatter(cells, cells, max_index=height * columns - 1)
    if len(told) - told.null_count == len(cells):
        return rows.indices, height
    met: Counter[int] = Counter()
    again = []
    for cell in cells.to_pylist():
        again.append(met[cell])
        met[cell] += 1
    numbered = pc.add(pc.multiply(rows.indices.cast(pa.int64()), max(again) + 1), pa.array(again))
    rows = numbered.dictionary_encode()
    return rows.indices, len(rows.dictionary)


def _block_table(
    entries: pa.RecordBatch, frame: _Frame, block: BlockLayout, making: Making
) -> pa.Table:
    own = []
    for column, told in zip(block.columns, _by_column(entries, block, making.mapping), strict=True):
        cells = _cells(told, column, making.pool, len(frame))
        if column.name in block.holds:
            path = f"{block.name}.{column.name}"
            known = States(path, told, making.pool, making.mapping, making.carried)
            cells = known.held(cells, frame.machine, frame.time, frame.grade)
        own.append(cells)
    columns = [
        making.mapping.machines.take(frame.machine),
        frame.time.cast(TIME),
        *own,
        _repeat(making.mapping.source, len(frame)),
        frame.received.cast(TIME),
        frame.taken,
        frame.grade,
    ]
    return pa.table(columns, schema=block.schema)


def _by_column(
    entries: pa.RecordBatch, block: BlockLayout, mapping: Mapping
) -> Iterator[pa.RecordBatch]:
    """The entries of each column: ordered once, then cut, not searched for each of them."""
    column_of = mapping.column.take(entries["field"])
    entries = entries.take(pc.sort_indices(column_of))
    counts = pc.value_counts(column_of)
    size_of = dict(zip(*(c.to_pylist() for c in counts.flatten()), strict=True))
    first = 0
    for number in range(len(block.columns)):
        size = size_of.get(number, 0)
        yield entries.slice(first, size)
        first += size


def _cells(told: pa.RecordBatch, column: Column, pool: pa.Array, height: int) -> pa.Array:
    if not told.num_rows:
        return pa.nulls(height, ARROW_TYPES[column.type])
    values = told["amount" if column.type == "number" else "whole"]
    # Where every row has a value, most often they stand in the order of the rows already.
    in_order = told.num_rows == height and told["row"].equals(pa.arange(0, height))
    cells = values if in_order else pc.scatter(values, told["row"], max_index=height - 1)
    if column.type in ("enum", "text"):
        return pool.take(cells)
    return cells if column.type != "boolean" else cells.cast(pa.bool_())


@dataclass(frozen=True)
class _Bare:
    """A row that no sample brought."""

    machine: str
    time: Micros
    received: Micros
    quality: int
    field: str = ""
    state: str | None = None


def _derived_table(changes: Sequence[StateChange], block: BlockLayout, source: str) -> pa.Table:
    return _bare_rows(
        block,
        source,
        [
            _Bare(
                change.derived.machine, change.time, change.known,
                UNKNOWN if change.state is None else 0, change.derived.field, change.state,
            )
            for change in changes
        ],
    )  # fmt: skip


def _bare_rows(block: BlockLayout, source: str, rows: Sequence[_Bare]) -> pa.Table:
    """`_samples` is 0: they were not told by any sample."""
    cells = {
        name: pa.array([row.state if row.field == name else None for row in rows], pa.string())
        for name in {row.field for row in rows}
    }
    nothing = {c.name: pa.nulls(len(rows), ARROW_TYPES[c.type]) for c in block.columns}
    columns = [
        pa.array([row.machine for row in rows], pa.string()),
        pa.array([row.time for row in rows], TIME),
        *(cells.get(column.name, nothing[column.name]) for column in block.columns),
        _repeat(source, len(rows)),
        pa.array([row.received for row in rows], TIME),
        pa.repeat(pa.scalar(0, pa.int32()), len(rows)),
        pa.array([row.quality for row in rows], pa.int16()),
    ]
    return pa.table(columns, schema=block.schema)


def _repeat(value: str, times: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), times)
