"""A table follows its block: new columns are added, integers may become doubles, nothing else.

What cannot be done without changing the meaning of stored rows is refused, with what to do.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable, Field, Schema, write_deltalake

from isthmus.base.problem import Problem, ProblemsError
from isthmus.data import delta
from isthmus.data.tables import PARTITION, TableSchema

_EXACT = 2**53


def open_for(folder: Path, table: TableSchema) -> DeltaTable:
    """The table, created or widened where that is safe; ProblemsError where it is not."""
    if not delta.log_folder(folder).exists():
        return delta.create(folder, table.schema)
    found = delta.open_table(folder)
    stored = pa.schema(found.schema().to_arrow())
    problems = _refusals(stored, table)
    if problems:
        raise ProblemsError(problems)
    _check_protocol(found, table)
    wider = [
        field.name
        for field in table.schema
        if field.name in stored.names and stored.field(field.name).type != field.type
    ]
    if wider:
        _rewrite(found, folder, table, stored, wider)
    added = [field for field in table.schema if field.name not in stored.names]
    if added:
        _add_columns(found, folder, added)
    return found


def _refusals(stored: pa.Schema, table: TableSchema) -> list[Problem]:
    return [
        Problem(
            code="D010",
            address=f"blocks.{table.name}.fields.{field.name}",
            message=(
                f"the lake keeps `{field.name}` as {_said(stored.field(field.name).type)}, the"
                f" model now says {_said(field.type)}"
            ),
            hint="give the changed field a new name; rows that are stored keep their meaning",
        )
        for field in table.schema
        if field.name in stored.names
        and stored.field(field.name).type != field.type
        and not _widens(stored.field(field.name).type, field.type)
    ]


def _widens(stored: pa.DataType, wanted: pa.DataType) -> bool:
    return bool(pa.types.is_int64(stored) and pa.types.is_float64(wanted))


def _said(kind: pa.DataType) -> str:
    names = {pa.int64(): "bigint", pa.float64(): "double", pa.string(): "varchar"}
    return names.get(kind, str(kind))


def _check_protocol(found: DeltaTable, table: TableSchema) -> None:
    protocol = found.protocol()
    if (protocol.min_reader_version, protocol.min_writer_version) > (1, 2):
        raise ProblemsError(
            [
                Problem(
                    code="D011",
                    address=f"lake.{table.name}",
                    message=(
                        f"the table was lifted to reader {protocol.min_reader_version} / writer"
                        f" {protocol.min_writer_version}; Isthmus keeps 1 / 2, which every engine"
                        " reads"
                    ),
                    hint="another program changed its features; restore it or move it aside",
                )
            ]
        )


def _add_columns(found: DeltaTable, folder: Path, added: list[pa.Field]) -> None:
    before = found.version()
    schema = Schema.from_arrow(pa.schema(added))
    found.alter.add_columns([Field(one.name, one.type, nullable=True) for one in schema.fields])
    found.update_incremental()
    delta.sync_versions(folder, before + 1, found.version())


def _rewrite(
    found: DeltaTable, folder: Path, table: TableSchema, stored: pa.Schema, wider: list[str]
) -> None:
    """Every row once more, the integers as doubles, in one commit; transactions stay."""
    rows = found.to_pyarrow_dataset()
    _check_exact(rows, table, wider)
    target = pa.schema(
        [table.schema.field(one.name) if one.name in wider else one for one in stored]
    )
    batches = pa.RecordBatchReader.from_batches(
        target,
        (
            pa.RecordBatch.from_arrays(
                [batch[one.name].cast(one.type) for one in target], schema=target
            )
            for batch in rows.to_batches()
        ),
    )
    before = found.version()
    write_deltalake(
        found, batches, mode="overwrite", schema_mode="overwrite", partition_by=list(PARTITION)
    )
    found.update_incremental()
    delta.sync_versions(folder, before + 1, found.version())


def _check_exact(rows: ds.Dataset, table: TableSchema, wider: list[str]) -> None:
    for name in wider:
        large = rows.count_rows(
            filter=(pc.field(name) > _EXACT) | (pc.field(name) < -_EXACT),
        )
        if large:
            raise ProblemsError(
                [
                    Problem(
                        code="D010",
                        address=f"blocks.{table.name}.fields.{name}",
                        message=f"{large} stored integers of `{name}` have no exact double",
                        hint="give the changed field a new name",
                    )
                ]
            )
