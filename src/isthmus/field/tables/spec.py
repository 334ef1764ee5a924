"""What a person declares of any source whose values come as rows of a table."""

from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from isthmus.field.tables.address import Address, parse_address
from isthmus.field.tables.times import Reckoning, check_format
from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import TimeZone

_TIME_COLUMNS: Final = 2
"""At most: a date and a time of day."""


def _as_tuple(value: Any) -> Any:
    """One column is a list of one; and strict reading takes no list for a tuple by itself."""
    match value:
        case str():
            return (value,)
        case list():
            return tuple(value)
        case _:
            return value


Column = Annotated[str, Field(min_length=1, max_length=200)]
Columns = Annotated[
    tuple[Column, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=Column | list[Column]),
]
"""One column, or a list of them."""


class TableSource(SourceSpec):
    """A table with a time in every row; wide (a column per tag) or narrow (`tag` and `value`)."""

    time: Columns = Field(min_length=1, max_length=_TIME_COLUMNS)
    """Column with the time of the row; two where date and time of day are apart."""
    time_format: str = "iso"
    """`iso` (also what the database or workbook itself has as a time), `s`, `ms`, `us`, `ns` since
    1970 in UTC, or a pattern such as `%d.%m.%Y %H:%M:%S`."""
    timezone: TimeZone | None = None
    """Of times that name no zone; without it such a time is a mistake, never a guess."""
    keys: Columns = ()
    """Columns that tell which machine a row is of; each tag then says which,
    `melt_temp[machine=M7]`."""
    tag: Column | None = None
    """Narrow table: the column that names the tag."""
    value: Columns = ()
    """Narrow table: the column of the value; of several the first that is not empty."""
    empty: Literal["nothing", "bad"] = "nothing"
    """What an empty cell (NULL) of a wide table says: nothing, or that the value is bad."""
    repeat: bool = False
    """After an outage the newest value of each tag comes once more: for tables of states, in which
    a state holds until its next row. Not for rows that are counted."""

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        check_format(self.time_format)
        if (self.tag is None) != (not self.value):
            raise ValueError("a narrow table needs both `tag` and `value`, a wide one neither")
        if len(self.time) == _TIME_COLUMNS and self.time_format in {"s", "ms", "us", "ns"}:
            raise ValueError(f"`time_format: {self.time_format}` needs one `time` column")
        return self

    @classmethod
    def parse_tag(cls, tag: str) -> Address:
        return parse_address(tag)

    @cached_property
    def reckoning(self) -> Reckoning:
        return Reckoning(self.time_format, ZoneInfo(self.timezone) if self.timezone else None)
