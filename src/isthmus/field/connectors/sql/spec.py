"""What a person declares of a database that machines write."""

from typing import ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from isthmus.field.connectors.sql.query import single_select
from isthmus.field.tables.spec import Column, Columns, TableSource
from isthmus.model.spec.words import Seconds, host_and_port


class SqlSource(TableSource):
    """A table, view or query of a database, read by what is new in it."""

    counts_requests: ClassVar[bool] = True

    kind: Literal["sql"] = "sql"
    url: SecretStr
    """SQLAlchemy URL, such as `postgresql+psycopg://cell7.plant/mes` or
    `mysql+pymysql://cell7.plant/mes`."""
    user: str | None = None
    password: SecretStr | None = None
    table: str | None = Field(default=None, min_length=1)
    """Table or view; `schema.table` where it has a schema."""
    query: str | None = None
    """One SELECT instead of a table."""
    order: Column | None = None
    """Column that only grows, such as a serial number or the time a row was written. Without it
    the `time` column tells what is new."""
    overlap: Seconds = Field(default=600.0, ge=0)
    """So much is read again each time, because rows become visible later than they say; what was
    read before is recognised."""
    overlap_rows: int = Field(default=100, ge=0)
    """The same where `order` is a number: so many numbers are read again."""
    key: Columns = ()
    """Columns that tell one row from every other; without them `order` does if it is a number,
    else the whole row."""
    history: Seconds = Field(default=86400.0, ge=0)
    """How far back the first connection reads."""
    rows: int = Field(default=5000, ge=10, le=100_000)
    """New rows of one read, at most."""
    timeout: Seconds = Field(default=10.0, gt=0)
    """For connecting, and for each query."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("needs either a `table` or a `query`")
        if self.query is not None:
            single_select(self.query)
        if self.order is None and (len(self.time) > 1 or not self.reckoning.sorts()):
            raise ValueError(
                "times written like this do not sort: name an `order` column that only grows, "
                "such as a serial number"
            )
        return self

    @property
    def reaches(self) -> str | None:
        return host_and_port(self.url.get_secret_value())

    @property
    def ordered_by(self) -> str:
        return self.order or self.time[0]
