"""One connection to one database, over which nothing but SELECT is sent. Blocking."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, Final

from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.sql.query import single_select
from isthmus.field.connectors.sql.spec import SqlSource
from isthmus.field.tables.layout import Row

if TYPE_CHECKING:
    import sqlalchemy as sa

_HOPELESS: Final = (
    "no such table", "no such column", "syntax", "file is not a database", "authentication",
    "does not exist", "doesn't exist", "permission denied", "access denied", "login failed",
    "no pg_hba.conf", "unknown database", "unknown column", "unable to open database", "cast",
    "operator does not exist", "is encrypted", "denied",
)  # fmt: skip
"""What drivers say when trying again alone will not help; their codes differ, their words do."""


class Database:
    """Connects when it is first asked; `close` and `interrupt` may come from another thread."""

    def __init__(self, spec: SqlSource) -> None:
        self._spec = spec
        self._connection: sa.Connection | None = None
        self._link: Any = None
        """The driver's connection."""
        self._engine: sa.Engine | None = None

    def columns(self) -> list[str]:
        """Of the table or query, as the database names them."""
        import sqlalchemy as sa

        statement = sa.select(sa.text("*")).select_from(_origin(self._spec, ())).where(sa.false())
        return list(self._run(statement)[0])

    def newest(self, column: str) -> Any:
        """The highest value of a column; None of an empty table."""
        import sqlalchemy as sa

        wanted: Any = sa.column(column)
        origin = _origin(self._spec, (column,))
        rows = self._run(sa.select(sa.func.max(wanted).label("newest")).select_from(origin))[1]
        return rows[0]["newest"]

    def rows(
        self, columns: Sequence[str], lowest: Any, since: tuple[str, Any] | None, limit: int
    ) -> list[Row]:
        """Rows from `lowest` on, by rising order; `since`: a second column and its lowest value."""
        import sqlalchemy as sa

        order: Any = sa.column(self._spec.ordered_by)
        wanted: list[Any] = [sa.column(name) for name in columns]
        statement = sa.select(*wanted).select_from(_origin(self._spec, columns))
        statement = statement.where(order.is_not(None) if lowest is None else order >= lowest)
        if since is not None:
            other: Any = sa.column(since[0])
            statement = statement.where(sa.or_(other >= since[1], other.is_(None)))
        return self._run(statement.order_by(order).limit(limit))[1]

    def interrupt(self) -> None:
        """Make a call that waits end at once."""
        connection, link = self._connection, self._link
        if connection is None or link is None:
            return
        with suppress(Exception):  # whatever a driver's connection is by now: it is given up
            # Not through SQLAlchemy: asked for a link that has just broken, it makes another one.
            match connection.dialect.name:
                case "sqlite":
                    link.interrupt()
                case "postgresql":
                    _shut(link.fileno())
                case "mysql" | "mariadb":
                    _shut(link._sock.fileno())  # noqa: SLF001 - the driver has no other way

    def close(self, *, idle: bool = True) -> None:
        """`idle`: no call is under way, so that nothing of the driver is in use."""
        link, self._link = self._link, None
        connection, self._connection = self._connection, None
        engine, self._engine = self._engine, None
        if connection is not None:
            with suppress(Exception):  # the link may be gone; then there is nothing to close
                connection.invalidate()
                connection.close()
        if engine is not None:
            engine.dispose()
        if idle and hasattr(link, "pgconn"):
            # psycopg takes a broken link for closed, and keeps its socket until it is collected.
            with suppress(Exception):
                link.pgconn.finish()

    def _run(self, statement: "sa.Select[Any]") -> tuple[list[str], list[Row]]:
        """Names and rows. The transaction ends with it: nothing stays locked or pinned."""
        failure: Exception
        try:
            return self._sent(statement)
        except Exception as error:  # noqa: BLE001 - `_said` lets through what is a fault of ours
            failure = self._said(error)
            _release(error)
        raise failure  # out here, so that the driver's error is not kept as its context

    def _sent(self, statement: "sa.Select[Any]") -> tuple[list[str], list[Row]]:
        connection = self._connected()
        with connection.begin() as transaction:
            found = connection.execute(statement)
            names = [str(name) for name in found.keys()]  # noqa: SIM118 - no mapping
            rows: list[Row] = [dict(zip(names, row, strict=True)) for row in found]
            transaction.rollback()
        return names, rows

    def _connected(self) -> "sa.Connection":
        if self._engine is None:
            self._engine = _engine(self._spec)
        if self._connection is None:
            self._connection = self._engine.connect()
            self._link = self._connection.connection.driver_connection
            if self._connection.dialect.name == "sqlite":
                self._connection.exec_driver_sql("PRAGMA query_only = ON")
                self._connection.rollback()
        return self._connection

    def _said(self, error: Exception) -> Exception:
        """Refused or Unreachable, in the driver's words and without a password in them."""
        import sqlalchemy as sa

        match error:
            case sa.exc.ArgumentError() | sa.exc.NoSuchModuleError():
                return Refused(f"`url` is none that SQLAlchemy knows: {self._safe(error)}")
            case ModuleNotFoundError():
                return Refused(f"the driver `{error.name}` is not installed")
            case OSError():
                return Unreachable(self._safe(error))
            case sa.exc.DBAPIError():
                text = self._safe(error.orig or error)
                temporary = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
                hopeless = not temporary or any(words in text.lower() for words in _HOPELESS)
                lost = error.connection_invalidated
                return Refused(text) if hopeless and not lost else Unreachable(text)
            case sa.exc.SQLAlchemyError():
                return Refused(self._safe(error))
        return error

    def _safe(self, error: BaseException) -> str:
        import sqlalchemy as sa

        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        secrets = [self._spec.url.get_secret_value()]
        if self._spec.password is not None:
            secrets.append(self._spec.password.get_secret_value())
        with suppress(sa.exc.ArgumentError):  # then the whole text is masked already
            secrets.append(str(sa.make_url(secrets[0]).password or ""))
        for secret in filter(None, secrets):
            text = text.replace(secret, "•••")
        return text


def place(spec: SqlSource) -> str:
    """Host and database, as a person may see them."""
    import sqlalchemy as sa

    try:
        url = sa.make_url(spec.url.get_secret_value())
    except sa.exc.ArgumentError:
        return "its `url`"
    port = f":{url.port}" if url.port else ""
    return f"{url.host or ''}{port}/{url.database or ''}"


def _origin(spec: SqlSource, columns: Sequence[str]) -> Any:
    import sqlalchemy as sa

    if spec.table is not None:
        schema, _, name = spec.table.rpartition(".")
        wanted: list[Any] = [sa.column(column) for column in columns]
        return sa.table(name, *wanted, schema=schema or None)
    return _literal(f"({single_select(spec.query or '')}) AS isthmus_query")


def _literal(text: str) -> Any:
    """As it is written: a colon in it is no parameter of ours."""
    import sqlalchemy as sa

    return sa.text(text.replace(":", r"\:"))


def _engine(spec: SqlSource) -> "sa.Engine":
    """With the time limits of the spec, and in the database's own read-only mode."""
    import sqlalchemy as sa

    url = sa.make_url(spec.url.get_secret_value())
    if spec.user is not None:
        url = url.set(username=spec.user)
    if spec.password is not None:
        url = url.set(password=spec.password.get_secret_value())
    seconds = max(2, round(spec.timeout))  # libpq takes no less
    options: dict[str, Any] = {}
    match url.get_backend_name():
        case "postgresql":
            options["connect_timeout"] = seconds
            options["application_name"] = "isthmus"
            options["options"] = (
                f"-c default_transaction_read_only=on -c statement_timeout={seconds * 1000}"
            )
        case "mysql" | "mariadb":
            options["init_command"] = "SET SESSION TRANSACTION READ ONLY"
            options["connect_timeout"] = seconds
            if url.get_driver_name() == "pymysql":
                options["read_timeout"] = options["write_timeout"] = seconds
        case "sqlite":
            url = _existing(url)
            options["timeout"] = spec.timeout
            options["check_same_thread"] = False  # one thread at a time, but not always the same
    return sa.create_engine(url, poolclass=sa.NullPool, connect_args=options)


def _existing(url: "sa.URL") -> "sa.URL":
    """SQLite makes an empty database where there is none; `mode=ro` opens only what is there."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return url
    return url.set(database=f"file:{url.database}", query={"mode": "ro", "uri": "true"})


def _release(error: BaseException | None) -> None:
    """Drop what an error's frames hold: psycopg ties itself and its socket into a circle there."""
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__context__


def _shut(descriptor: int) -> None:
    """End a connection under a driver that waits for an answer: it then sees that it is over."""
    with socket.socket(fileno=descriptor) as link:
        try:
            link.shutdown(socket.SHUT_RDWR)
        finally:
            link.detach()  # the driver closes its own descriptor
