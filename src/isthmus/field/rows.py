"""Entries become rows of blocks: one per machine and device time, null where nothing came."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import Micros
from isthmus.field.carried import Carried
from isthmus.field.columns import equals, single, with_columns
from isthmus.field.holding import States
from isthmus.field.mapping import ARROW_TYPES, BlockLayout, Column, Mapping, layout
from isthmus.field.rules import StateChange
from isthmus.flow.parcel import TIME, Rows
from isthmus.model.plant import Plant, Source
from isthmus.model.spec.block import FieldType

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
class _Sheet:
    """The rows of all blocks, one block below the other: what costs per call, costs once."""

    machine: pa.Array
    time: pa.Array
    received: pa.Array
    taken: pa.Array
    grade: pa.Array
    amount: pa.Array
    """Column by column, each as high as the sheet; as wide as the widest block."""
    whole: pa.Array

    def column(self, number: int, kind: FieldType, rows: slice) -> pa.Array:
        cells = self.amount if kind == "number" else self.whole
        first = number * len(self.time)
        return cells[first + rows.start : first + rows.stop]


def _told(entries: pa.RecordBatch, making: Making) -> Iterator[tuple[str, pa.Table]]:
    mapping = making.mapping
    entries, sizes = _by_block(entries, mapping)
    row, inside = _placed(entries, mapping)
    sheet = _sheet(entries, row, inside, mapping)
    first, top = 0, 0
    for number, size in sizes:
        ours = row[first : first + size]
        rows = slice(top, pc.max(ours).as_py() + 1)
        states = with_columns(entries[first : first + size], row=pc.subtract(ours, top))
        block = mapping.blocks[number]
        yield block.name, _block_table(states, sheet, rows, block, making)
        first, top = first + size, rows.stop


def _by_block(
    entries: pa.RecordBatch, mapping: Mapping
) -> tuple[pa.RecordBatch, list[tuple[int, int]]]:
    """The entries block by block; number of each block that has some, and how many."""
    if len(mapping.blocks) == 1:
        return entries, [(0, entries.num_rows)]
    block_of = mapping.block.take(entries["field"])
    order = pc.sort_indices(block_of)
    counts = pc.value_counts(block_of.take(order))
    sizes = zip(*(c.to_pylist() for c in counts.flatten()), strict=True)
    return entries.take(order), list(sizes)


def _sheet(entries: pa.RecordBatch, row: pa.Array, inside: pa.Array, mapping: Mapping) -> _Sheet:
    height = len(inside) // mapping.widest
    one_of = pc.inverse_permutation(row, max_index=height - 1)
    return _Sheet(
        machine=mapping.machine.take(entries["field"].take(one_of)),
        time=entries["time"].take(one_of),
        received=entries["received"].take(one_of),
        taken=_taken(row, entries["taken"]),
        grade=_worst(row, entries["grade"], height),
        amount=entries["amount"].take(inside),
        whole=entries["whole"].take(inside),
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


def _placed(entries: pa.RecordBatch, mapping: Mapping) -> tuple[pa.Array, pa.Array]:
    """Which row each entry goes into, in the order of first entries; which entry is in each cell.

    Cells stand column by column, each as high as there are rows; null where nothing came.

    A field told twice at one device time makes two rows: nothing is lost. One integer as a key
    is much faster than three columns; it wraps around, but two keys of one parcel could only meet
    if its times were decades apart.
    """
    field = entries["field"]
    column = mapping.column.take(field)
    place = mapping.place.take(field)
    rows = pc.add(pc.multiply(entries["time"], len(mapping.maps)), place).dictionary_encode()
    inside = _inside(rows, column, mapping.widest)
    if len(inside) - inside.null_count == len(column):
        return rows.indices, inside
    met: Counter[tuple[int, int]] = Counter()
    again = []
    for cell in zip(rows.indices.to_pylist(), column.to_pylist(), strict=True):
        again.append(met[cell])
        met[cell] += 1
    numbered = pc.add(pc.multiply(rows.indices.cast(pa.int64()), max(again) + 1), pa.array(again))
    rows = numbered.dictionary_encode()
    return rows.indices, _inside(rows, column, mapping.widest)


def _inside(rows: pa.DictionaryArray, column: pa.Array, width: int) -> pa.Array:
    height = len(rows.dictionary)
    cells = pc.add(pc.multiply(column.cast(pa.int64()), height), rows.indices)
    return pc.inverse_permutation(cells, max_index=height * width - 1, output_type=pa.int64())


def _block_table(
    entries: pa.RecordBatch, sheet: _Sheet, rows: slice, block: BlockLayout, making: Making
) -> pa.Table:
    machine, time, grade = sheet.machine[rows], sheet.time[rows], sheet.grade[rows]
    own = []
    for number, column in enumerate(block.columns):
        cells = _cells(sheet.column(number, column.type, rows), column, making.pool)
        if column.name in block.holds:
            path = f"{block.name}.{column.name}"
            told = _of_column(number, entries, making.mapping)
            known = States(path, told, making.pool, making.mapping, making.carried)
            cells = known.held(cells, machine, time, grade)
        own.append(cells)
    columns = [
        making.mapping.machines.take(machine),
        time.cast(TIME),
        *own,
        _repeat(making.mapping.source, len(time)),
        sheet.received[rows].cast(TIME),
        sheet.taken[rows],
        grade,
    ]
    return pa.table(columns, schema=block.schema)


def _cells(told: pa.Array, column: Column, pool: pa.Array) -> pa.Array:
    if column.type in ("enum", "text"):
        return pool.take(told)
    return told if column.type != "boolean" else told.cast(pa.bool_())


def _of_column(number: int, entries: pa.RecordBatch, mapping: Mapping) -> pa.RecordBatch:
    told = entries.filter(equals(mapping.column.take(entries["field"]), number))
    return with_columns(told, machine=mapping.machine.take(told["field"]))


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
