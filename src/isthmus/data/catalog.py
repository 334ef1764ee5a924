"""Every table there is: those of the model, and what the lake still has from earlier models."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from deltalake.exceptions import DeltaError

from isthmus.data import delta
from isthmus.data.tables import TableSchema, tables
from isthmus.flow.parcel import SYSTEM_FIELDS
from isthmus.model.plant import Plant

_SYSTEM = {field.name for field in SYSTEM_FIELDS}


def catalog(lake: Path, plant: Plant) -> dict[str, TableSchema]:
    """By name. A field or a block that left the model keeps its column, its table, its rows."""
    found = dict(tables(plant))
    for folder in delta.table_folders(lake):
        try:
            stored = pa.schema(delta.open_table(folder).schema().to_arrow())
        except DeltaError:
            continue  # damaged: whoever reads or writes it says how, before doing so
        if not set(stored.names) >= _SYSTEM:
            continue  # not fed by a log: a fact table
        found[folder.name] = _with_stored(found.get(folder.name), folder.name, stored)
    return found


def _with_stored(table: TableSchema | None, name: str, stored: pa.Schema) -> TableSchema:
    own = [field for field in stored if field.name not in _SYSTEM]
    if table is None:
        return TableSchema(name, pa.schema(own), "time", ("machine", "time"))
    left = [field for field in own if field.name not in table.own.names]
    return replace(table, own=pa.schema([*table.own, *left]))
