"""What business systems exchange with us: material, production order, operation.

The same for the whole company (ISA-95 terms), whatever the system calls its columns. Here is
what an entity consists of; `reading` turns a system's values into it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import pyarrow as pa

from isthmus.flow.parcel import TIME

EntityName = Literal["material", "production_order", "operation"]
FieldKind = Literal["key", "text", "quantity", "seconds", "time", "machine", "state", "flag"]
Value = str | float | int | bool | None
"""A checked value: text, number, or microseconds UTC for a time."""

ORDER_STATES: Final = (
    "planned",
    "released",
    "started",
    "interrupted",
    "completed",
    "closed",
    "cancelled",
)
"""In which states a production order can be, in the order of its life."""

_ARROW: Final[Mapping[FieldKind, pa.DataType]] = MappingProxyType(
    {
        "key": pa.string(),
        "text": pa.string(),
        "machine": pa.string(),
        "state": pa.string(),
        "quantity": pa.float64(),
        "seconds": pa.float64(),
        "time": TIME,
        "flag": pa.bool_(),
    }
)


@dataclass(frozen=True)
class EntityField:
    """One column that a system may fill."""

    name: str
    kind: FieldKind
    required: bool = False
    """Without it the record says nothing."""


@dataclass(frozen=True)
class Entity:
    """One kind of record, identified by its system and key."""

    name: EntityName
    fields: tuple[EntityField, ...]
    """What systems fill; `system` and `recorded` are ours."""
    spans: tuple[tuple[str, str], ...] = ()
    """Pairs of times of which the second must not be before the first."""

    @property
    def content(self) -> tuple[str, ...]:
        """Columns in which two versions of one record can differ; `withdrawn` is the last."""
        return tuple(field.name for field in self.fields if field.kind != "key")

    @property
    def schema(self) -> pa.Schema:
        """The lake table's own columns."""
        columns = [(field.name, _ARROW[field.kind]) for field in self.fields]
        return pa.schema(
            [
                ("system", pa.string()),
                *columns[:-1],
                ("recorded", TIME),
                columns[-1],
            ]
        )

    def field(self, name: str) -> EntityField:
        return next(field for field in self.fields if field.name == name)


_KEY = EntityField("key", "key", required=True)
_WITHDRAWN = EntityField("withdrawn", "flag")

ENTITIES: Final[Mapping[EntityName, Entity]] = MappingProxyType({
    "material": Entity("material", (
        _KEY,
        EntityField("name", "text"),
        EntityField("unit", "text"),
        EntityField("ideal_cycle_s", "seconds"),
        _WITHDRAWN,
    )),
    "production_order": Entity("production_order", (
        _KEY,
        EntityField("material", "text", required=True),
        EntityField("quantity", "quantity"),
        EntityField("unit", "text"),
        EntityField("due", "time"),
        EntityField("state", "state"),
        _WITHDRAWN,
    )),
    "operation": Entity("operation", (
        _KEY,
        EntityField("production_order", "text", required=True),
        EntityField("operation", "text"),
        EntityField("machine", "machine"),
        EntityField("material", "text"),
        EntityField("quantity", "quantity"),
        EntityField("planned_start", "time"),
        EntityField("planned_end", "time"),
        EntityField("actual_start", "time"),
        EntityField("actual_end", "time"),
        EntityField("ideal_cycle_s", "seconds"),
        _WITHDRAWN,
    ), spans=(("planned_start", "planned_end"), ("actual_start", "actual_end"))),
})  # fmt: skip
