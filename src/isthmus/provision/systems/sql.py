"""Any SQL database that SQLAlchemy knows: reads tables or queries, never writes."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from isthmus.base.clock import SECOND, Micros
from isthmus.model.spec.words import Seconds, Spec
from isthmus.provision.columns import Column, ColumnMap, check_columns
from isthmus.provision.entities import EntityName
from isthmus.provision.system import (
    BusinessSpec,
    Changes,
    Delivery,
    Record,
    Refused,
    System,
    Unreachable,
)
from isthmus.provision.watermark import NoOrderError, Watermark, highest, lower

if TYPE_CHECKING:
    import sqlalchemy as sa

_MARK = "_isthmus_changed"
_HOPELESS: tuple[str, ...] = (
    "no such table", "no such column", "syntax error", "file is not a database", "authentication",
    "does not exist", "permission denied", "access denied", "login failed", "no pg_hba.conf",
)  # fmt: skip
"""What drivers say when trying again alone will not help; their codes differ, their words do."""


class Changed(Spec):
    """The column that tells which rows are new."""

    column: str = Field(min_length=1)
    """Time of the last change, or a number that only grows."""
    overlap: Seconds = 600.0
    """Of a time: so much is read again, because rows become visible later than they say."""
    steps: int = Field(default=1000, ge=0)
    """Of a number: so many are read again, for the same reason."""


def _written_short(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class SqlEntity(Spec):
    """Which table or query holds an entity, and in which columns."""

    table: str | None = None
    """Table or view; `schema.table` where it has a schema."""
    query: str | None = None
    """A SELECT instead of a table."""
    columns: ColumnMap
    changed: Annotated[
        Changed | None,
        BeforeValidator(_written_short, json_schema_input_type=str | Changed | None),
    ] = None
    """Without it every pull reads everything."""
    full: Seconds = 3600.0
    """How often everything is read and compared, with `changed`: it finds what the changed rows
    alone do not tell."""
    missing: Literal["keep", "withdraw"] = "keep"
    """What it means when a row is gone at a full comparison: nothing (the ERP archives what is
    done), or that the record is withdrawn."""

    @model_validator(mode="after")
    def _one_origin(self) -> "SqlEntity":
        if (self.table is None) == (self.query is None):
            raise ValueError("needs either a `table` or a `query`")
        return self

    @property
    def needed(self) -> tuple[str, ...]:
        names = [name for column in self.columns.values() for name in column.reads]
        return tuple(dict.fromkeys(names))


class SqlSpec(BusinessSpec):
    """A database of an ERP or another system, read through SQLAlchemy."""

    kind: Literal["sql"] = "sql"
    url: SecretStr
    """SQLAlchemy URL, such as `postgresql+psycopg://erp.example/prod` or `sqlite:///erp.db`."""
    user: str | None = None
    password: SecretStr | None = None
    timeout: Seconds = 30.0
    """For connecting, and for one query."""
    entities: dict[EntityName, SqlEntity] = Field(min_length=1)

    @model_validator(mode="after")
    def _columns_fit(self) -> "SqlSpec":
        for name, entity in self.entities.items():
            check_columns(name, entity.columns)
        return self

    def columns(self, entity: EntityName) -> Mapping[str, Column]:
        return self.entities[entity].columns

    @property
    def declared(self) -> tuple[EntityName, ...]:
        return tuple(self.entities)


@dataclass(frozen=True)
class _Bookmark:
    full: Micros | None = None
    """When everything was last read."""
    last: Watermark | None = None

    @classmethod
    def parse(cls, text: str) -> "_Bookmark":
        if not text:
            return cls()
        found = json.loads(text)
        return cls(found["full"], Watermark(*found["last"]) if found["last"] else None)

    def text(self) -> str:
        last = [self.last.kind, self.last.value] if self.last else None
        return json.dumps({"full": self.full, "last": last})


class SqlSystem(System[SqlSpec]):
    """Reads changed rows by a watermark with overlap, and everything at a slower pace."""

    Spec: ClassVar[type[BusinessSpec]] = SqlSpec
    _engine: "sa.Engine | None" = None

    def pull(self, entity: EntityName, since: str) -> Changes:
        wanted = self.spec.entities[entity]
        now = self.clock.now()
        mark = _Bookmark.parse(since)
        full = (
            wanted.changed is None or mark.full is None or (now - mark.full >= wanted.full * SECOND)
        )
        from_value = None
        if wanted.changed is not None and mark.last is not None and not full:
            overlap = timedelta(seconds=wanted.changed.overlap)
            from_value = lower(mark.last, overlap, wanted.changed.steps)
        rows = self._read(wanted, from_value)
        delivery = Delivery(
            wanted.table or entity,
            tuple(Record("", {name: row[name] for name in wanted.needed}) for row in rows),
            complete=full and wanted.missing == "withdraw",
        )
        try:
            last = highest((row.get(_MARK) for row in rows), mark.last, now, self.zone)
        except NoOrderError as error:
            raise Refused(f"`{entity}`: the `changed` column {error}") from error
        return Changes((delivery,), _Bookmark(now if full else mark.full, last).text())

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _read(self, wanted: SqlEntity, from_value: Any) -> list[Mapping[str, Any]]:
        import sqlalchemy as sa  # noqa: PLC0415 - an optional driver

        try:
            if self._engine is None:
                self._engine = engine(self.spec)
            with self._engine.connect() as connection:
                found = _read_only(connection).execute(_statement(wanted, from_value))
                return [dict(row) for row in found.mappings()]
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
            raise Refused(f"`url` is none that SQLAlchemy knows: {self._safe(error)}") from error
        except ModuleNotFoundError as error:
            raise Refused(f"the driver `{error.name}` is not installed") from error
        except sa.exc.DBAPIError as error:
            raise self._said(error) from error

    def _said(self, error: "sa.exc.DBAPIError") -> Exception:
        import sqlalchemy as sa  # noqa: PLC0415 - an optional driver

        text = self._safe(error.orig)
        temporary = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
        hopeless = not temporary or any(words in text.lower() for words in _HOPELESS)
        return Refused(text) if hopeless else Unreachable(text)

    def _safe(self, error: BaseException | None) -> str:
        """The first line of what the driver says, never with a password in it."""
        import sqlalchemy as sa  # noqa: PLC0415 - an optional driver

        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        secrets = [self.spec.url.get_secret_value()]
        if self.spec.password is not None:
            secrets.append(self.spec.password.get_secret_value())
        with suppress(sa.exc.ArgumentError):  # then the whole text is masked already
            secrets.append(str(sa.make_url(secrets[0]).password or ""))
        for secret in filter(None, secrets):
            text = text.replace(secret, "***")
        return text


def engine(spec: SqlSpec) -> "sa.Engine":
    """An engine that only reads, with the time limits of the spec."""
    import sqlalchemy as sa  # noqa: PLC0415 - an optional driver

    url = sa.make_url(spec.url.get_secret_value())
    if spec.user is not None:
        url = url.set(username=spec.user)
    if spec.password is not None:
        url = url.set(password=spec.password.get_secret_value())
    options: dict[str, Any] = {}
    match url.get_backend_name():
        case "postgresql":
            options["connect_timeout"] = max(1, round(spec.timeout))
            options["options"] = f"-c statement_timeout={round(spec.timeout * 1000)}"
        case "sqlite":
            url = _existing(url)
            options["timeout"] = spec.timeout
    return sa.create_engine(url, poolclass=sa.NullPool, connect_args=options)


def _existing(url: "sa.URL") -> "sa.URL":
    """SQLite makes an empty database where there is none; `mode=rw` opens only what is there."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return url
    return url.set(database=f"file:{url.database}", query={"mode": "rw", "uri": "true"})


def _read_only(connection: "sa.Connection") -> "sa.Connection":
    import sqlalchemy as sa  # noqa: PLC0415 - an optional driver

    match connection.dialect.name:
        case "postgresql":
            return connection.execution_options(postgresql_readonly=True)
        case "sqlite":
            connection.execute(sa.text("PRAGMA query_only = ON"))
    return connection


def _statement(wanted: SqlEntity, lower: Any) -> "sa.Select[Any]":
    import sqlalchemy as sa  # noqa: PLC0415 - an optional driver

    columns: list[Any] = [sa.column(name) for name in wanted.needed]
    origin: Any
    if wanted.table is not None:
        schema, _, name = wanted.table.rpartition(".")
        origin = sa.table(name, *columns, schema=schema or None)
    else:
        query = str(wanted.query).strip().rstrip(";")
        origin = sa.text(f"({query}) AS isthmus_query")
    if wanted.changed is None:
        return sa.select(*columns).select_from(origin)
    changed: Any = sa.column(wanted.changed.column)
    statement = sa.select(*columns, changed.label(_MARK)).select_from(origin)
    if lower is None:
        return statement
    # A row without a time of change would never be seen again.
    return statement.where(sa.or_(changed >= sa.literal(lower), changed.is_(None)))
