"""Rows against the table they are for: pure, no silent cast, every refusal names the column."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.data.tables import PARCEL_COLUMNS, TableSchema
from isthmus.flow.parcel import Parcel

_EXACT: Final = 2**53
"""Integers beyond it have no exact double."""


class ContractError(Exception):
    """A parcel that does not fit its table."""


def lake_rows(parcel: Parcel, table: TableSchema) -> pa.Table:
    """A parcel's rows exactly as the lake keeps them: own columns, then the system columns.

    DamagedError if the bytes are not those that were written, ContractError if they do not fit.
    """
    where = f"parcel {parcel.site}/{parcel.epoch}/{parcel.seq} for table `{table.name}`"
    rows = _conform(parcel.table(), table, where)
    count = rows.num_rows
    date = pc.cast(rows[table.time], pa.date32(), safe=False)  # cuts the time of day
    columns = {
        **{name: rows[name] for name in rows.column_names},
        "_site": pa.repeat(parcel.site, count),
        "_date": date,
        "_epoch": pa.repeat(parcel.epoch, count),
        "_seq": pa.repeat(pa.scalar(parcel.seq, pa.int64()), count),
    }
    return pa.table([columns[name] for name in table.schema.names], schema=table.schema)


def known_table(name: str, schemas: Mapping[str, TableSchema]) -> TableSchema:
    """ContractError if the model has no such table."""
    if name not in schemas:
        raise ContractError(f"no block, entity or interval of the model is called `{name}`")
    return schemas[name]


def _conform(rows: pa.Table, table: TableSchema, where: str) -> pa.Table:
    wanted = [*table.own, *(table.schema.field(name) for name in PARCEL_COLUMNS)]
    known = {field.name for field in wanted}
    strange = [name for name in rows.column_names if name not in known]
    if strange:
        raise ContractError(f"{where}: the table has no column `{strange[0]}`")
    columns = {}
    for field in wanted:
        if field.name not in rows.column_names:
            columns[field.name] = pa.nulls(rows.num_rows, field.type)
        else:
            columns[field.name] = _as_type(rows[field.name], field, where)
    for name in table.required:
        if columns[name].null_count:
            raise ContractError(f"{where}: `{name}` is null in {columns[name].null_count} rows")
    return pa.table(columns)


def _as_type(column: pa.ChunkedArray, field: pa.Field, where: str) -> pa.ChunkedArray:
    """The same values in the column's type; only ways that lose nothing are open."""
    if column.type == field.type:
        return column
    if pa.types.is_null(column.type) or _same_values(column.type, field.type):
        return column.cast(field.type)
    if pa.types.is_integer(column.type) and pa.types.is_float64(field.type):
        limits = pc.min_max(column).as_py()
        if all(limit is None or abs(limit) <= _EXACT for limit in limits.values()):
            return column.cast(field.type)
    raise ContractError(
        f"{where}: `{field.name}` is {field.type} in the table and {column.type} in the rows"
    )


def _same_values(come: pa.DataType, wanted: pa.DataType) -> bool:
    """Another layout of the same values: text as view or dictionary, a smaller integer."""
    if pa.types.is_dictionary(come):
        come = come.value_type
    if pa.types.is_string(wanted):
        return bool(
            pa.types.is_string(come) or pa.types.is_large_string(come)
            or pa.types.is_string_view(come)
        )  # fmt: skip
    if pa.types.is_integer(come) and pa.types.is_integer(wanted):
        return bool(pa.types.is_signed_integer(come) and come.bit_width <= wanted.bit_width)
    if pa.types.is_timestamp(come) and pa.types.is_timestamp(wanted):
        return come.tz == wanted.tz and come.unit in {"s", "ms", "us"}
    return bool(come == wanted)
