"""How a system's columns become our fields: what a person declares in the model."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from isthmus.model.spec.words import Spec
from isthmus.provision.entities import ENTITIES, EntityField, EntityName

DurationUnit = Literal["s", "min", "h", "/s", "/min", "/h"]
ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


class Column(Spec):
    """Where one field of an entity comes from."""

    column: ColumnName | Annotated[list[ColumnName], Field(min_length=2)] | None = None
    """The system's own column. Several are joined: `/` in texts (order and operation number make
    a key), a blank in times (date and time of day)."""
    value: str | int | float | bool | None = None
    """The same for every record, instead of a column."""
    codes: dict[str | int, str] | None = None
    """The system's own codes to ours; other codes go to quarantine."""
    empty: list[str] = Field(default_factory=list)
    """Values that mean "nothing", such as `00000000` or `9999-12-31`."""
    format: str | None = None
    """Of a time: as in `%d.%m.%Y %H:%M`, or `excel` (days since 1899-12-30), `epoch_s`,
    `epoch_ms`. Without it: ISO 8601, or what the system itself holds as a time."""
    unit: DurationUnit | None = None
    """Of a time per piece: `s`, `min`, `h`; or of a rate in pieces: `/s`, `/min`, `/h`."""
    scale: float = Field(default=1.0, gt=0)
    """Numbers are multiplied by it; `0.01` where the system gives a time per 100 pieces."""

    @model_validator(mode="after")
    def _one_origin(self) -> "Column":
        if (self.column is None) == (self.value is None):
            raise ValueError("needs either a `column` or a `value`")
        return self

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The system's columns this field needs."""
        match self.column:
            case None:
                return ()
            case str(name):
                return (name,)
            case names:
                return tuple(names)


def _written_short(value: Any) -> Any:
    return {"column": value} if isinstance(value, str | list) else value


_Written = ColumnName | list[ColumnName] | Column
ColumnMap = dict[
    str, Annotated[Column, BeforeValidator(_written_short, json_schema_input_type=_Written)]
]
"""Our field → the system's column; `quantity: MENGE` is short for `quantity: {column: MENGE}`."""


def check_columns(entity: EntityName, columns: Mapping[str, Column]) -> None:
    """ValueError says which field is unknown, missing, or declared with what it cannot have."""
    fields = {field.name: field for field in ENTITIES[entity].fields}
    for name, column in columns.items():
        if name not in fields:
            raise ValueError(f"`{entity}` has no field `{name}`{_did_you_mean(name, fields)}")
        _check_options(entity, fields[name], column)
    for field in fields.values():
        if field.required and field.name not in columns:
            raise ValueError(f"`{entity}` needs a column for `{field.name}`")


def _check_options(entity: str, field: EntityField, column: Column) -> None:
    address = f"`{entity}.{field.name}`"
    if column.format is not None and field.kind != "time":
        raise ValueError(f"{address} is no time: it has no `format`")
    if column.unit is not None and field.kind != "seconds":
        raise ValueError(f"{address} is no time per piece: it has no `unit`")
    if column.scale != 1.0 and field.kind not in ("quantity", "seconds"):
        raise ValueError(f"{address} is no number: it has no `scale`")
    if len(column.reads) > 1 and field.kind not in ("key", "text", "machine", "time"):
        raise ValueError(f"{address} cannot be joined from {len(column.reads)} columns")


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; it has {', '.join(known)}"
