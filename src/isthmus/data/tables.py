"""What the lake's tables look like: one per block of the company, and the fixed ones.

Here is the schema alone; `delta` creates and widens the tables, `contract` checks rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from isthmus.flow.parcel import SYSTEM_FIELDS, TIME
from isthmus.model.plant import Plant
from isthmus.model.spec.block import Block, FieldType

_ARROW: Final[Mapping[FieldType, pa.DataType]] = MappingProxyType(
    {
        "number": pa.float64(),
        "integer": pa.int64(),
        "boolean": pa.bool_(),
        "text": pa.string(),
        "enum": pa.string(),
        "counter": pa.int64(),
    }
)

PARTITION: Final = ("_site", "_date")
PARCEL_COLUMNS: Final = tuple(field.name for field in SYSTEM_FIELDS[:4])
"""System columns that come with the rows; the others are the parcel's own identity."""


@dataclass(frozen=True)
class TableSchema:
    """One lake table: its own columns, and which of them says when."""

    name: str
    own: pa.Schema
    time: str
    """The column `_date` is taken from."""
    required: tuple[str, ...]
    """Columns that are never null."""
    key: tuple[str, ...] = ()
    """Versioned tables: the latest `recorded` per key holds. Empty: every row holds."""

    @property
    def schema(self) -> pa.Schema:
        """All columns, as SQL sees them."""
        return pa.schema([*self.own, *SYSTEM_FIELDS])

    @property
    def file_schema(self) -> pa.Schema:
        """What stands in the files: Delta keeps partition columns in the folder names."""
        return pa.schema([field for field in self.schema if field.name not in PARTITION])


def _fixed(
    name: str, time: str, key: tuple[str, ...], columns: dict[str, pa.DataType]
) -> TableSchema:
    return TableSchema(name, pa.schema(list(columns.items())), time, (*key, time, "recorded"), key)


_TEXT, _NUMBER, _FLAG = pa.string(), pa.float64(), pa.bool_()
_SYSTEM_KEY: Final = {"system": _TEXT, "key": _TEXT}
_VERSION: Final = {"recorded": TIME, "withdrawn": _FLAG}

FIXED: Final = (
    _fixed("material", "recorded", ("system", "key"), {
        **_SYSTEM_KEY, "name": _TEXT, "unit": _TEXT, "ideal_cycle_s": _NUMBER, **_VERSION,
    }),
    _fixed("production_order", "recorded", ("system", "key"), {
        **_SYSTEM_KEY, "material": _TEXT, "quantity": _NUMBER, "unit": _TEXT, "due": TIME,
        "state": _TEXT, **_VERSION,
    }),
    _fixed("operation", "recorded", ("system", "key"), {
        **_SYSTEM_KEY, "production_order": _TEXT, "operation": _TEXT, "machine": _TEXT,
        "material": _TEXT, "quantity": _NUMBER, "planned_start": TIME, "planned_end": TIME,
        "actual_start": TIME, "actual_end": TIME, "ideal_cycle_s": _NUMBER, **_VERSION,
    }),
    _fixed("stop_reason", "start", ("id",), {
        "id": _TEXT, "machine": _TEXT, "start": TIME, "end": TIME, "reason": _TEXT,
        "comment": _TEXT, "author": _TEXT, **_VERSION,
    }),
)  # fmt: skip
"""Entities and intervals of ARCHITECTURE.md."""


def tables(plant: Plant) -> Mapping[str, TableSchema]:
    """Every table that rows of this company may be written to, by name."""
    found = {table.name: table for table in FIXED}
    found |= {name: _block(block) for name, block in plant.blocks.items()}
    return MappingProxyType(found)


def _block(block: Block) -> TableSchema:
    columns = [(name, _ARROW[field.type]) for name, field in block.fields.items()]
    own = pa.schema([("machine", pa.string()), ("time", TIME), *columns])
    return TableSchema(block.block, own, "time", ("machine", "time"))
