"""Databases, folders and posts are never written to either: whatever a model says of them.

A database is asked what it holds before and after, and every statement on the wire is read; a
folder is compared file by file; a webhook must not be the first to speak.
"""

import asyncio
import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from isthmus.base.clock import SystemClock
from isthmus.field.connectors.files import FilesConnector, FilesSource
from isthmus.field.connectors.files.folder import SHELVES
from isthmus.field.connectors.sql import SqlConnector, SqlSource
from isthmus.field.connectors.webhook import WebhookConnector, WebhookSource
from isthmus.testing import sql_wire
from isthmus.testing.connector_suite import PATIENCE, opened, read_until
from isthmus.testing.mosquitto import free_port
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

from .drawn import keys_of, use

FEW: Final = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))

# Databases ---------------------------------------------------------------------------------------

CYCLES = sa.Table(
    "cycles", sa.MetaData(),
    sa.Column("nr", sa.Integer, primary_key=True), sa.Column("at", sa.DateTime),
    sa.Column("temp", sa.Double),
)  # fmt: skip
SETUP: Mapping[str, tuple[str, ...]] = {
    "postgresql": (
        "CREATE SEQUENCE serial",
        (
            "CREATE FUNCTION sneak() RETURNS int LANGUAGE sql"
            " AS $$ UPDATE cycles SET temp = 0 RETURNING nr $$"
        ),
        "CREATE VIEW sneaking AS SELECT sneak() AS nr, at, temp FROM cycles",
        "CREATE VIEW counting AS SELECT nextval('serial') AS nr, at, temp FROM cycles",
    ),
    "mariadb": (
        "CREATE SEQUENCE serial",
        "CREATE FUNCTION sneak() RETURNS int BEGIN UPDATE cycles SET temp = 0; RETURN 1; END",
        "CREATE VIEW sneaking AS SELECT sneak() AS nr, `at`, temp FROM cycles",
        "CREATE VIEW counting AS SELECT nextval(serial) AS nr, `at`, temp FROM cycles",
    ),
    "sqlite": (
        "CREATE VIEW sneaking AS SELECT nr, at, temp FROM cycles",
        "CREATE VIEW counting AS SELECT nr, at, temp FROM cycles",
        "CREATE TABLE serial (next_value INTEGER)",
    ),
}
DROPS = {
    "postgresql": ("DROP VIEW sneaking, counting", "DROP FUNCTION sneak", "DROP SEQUENCE serial"),
    "mariadb": ("DROP VIEW sneaking, counting", "DROP FUNCTION sneak", "DROP SEQUENCE serial"),
    "sqlite": (),
}
COUNTER = {
    "postgresql": "SELECT last_value, is_called FROM serial",
    "mariadb": "SELECT next_not_cached_value FROM serial",
    "sqlite": "SELECT next_value FROM serial",
}
ORIGINS: tuple[dict[str, str], ...] = (
    {"table": "cycles"},
    {"table": "sneaking"},
    {"table": "counting"},
    {"table": "nothing"},
    {"query": "SELECT nr, at, temp FROM cycles"},
    {"query": "SELECT sneak() AS nr, at, temp FROM cycles"},
    {"query": "SELECT nr, at, temp FROM cycles WHERE sneak() > 0"},
    {"query": "SELECT nextval('serial') AS nr, at, temp FROM cycles"},
    {"query": "SELECT NEXT VALUE FOR serial AS nr, at, temp FROM cycles"},
    {"query": "SELECT nr, at, temp FROM cycles FOR UPDATE"},
    {"query": "SELECT nr, at, temp FROM cycles FOR SHARE"},
    {"query": "WITH gone AS (DELETE FROM cycles RETURNING *) SELECT nr, at, temp FROM gone"},
    {"query": "SELECT nr, at, temp INTO copied FROM cycles"},
    {"query": "UPDATE cycles SET temp = 0"},
)
READS: Final = re.compile(
    r"\s*(SELECT|SHOW|BEGIN|ROLLBACK|SAVEPOINT|RELEASE|DEALLOCATE)\b", re.IGNORECASE
)
OF_THE_SESSION: Final = re.compile(
    r"SET (NAMES \w+|AUTOCOMMIT = 0|SESSION TRANSACTION READ ONLY)", re.IGNORECASE
)
CHANGES: Final = re.compile(
    r"\b(INSERT|UPDATE|DELETE|INTO|CREATE|DROP|SHARE|NEXT\s*VAL(UE)?)\b", re.IGNORECASE
)
SPOKEN: Mapping[str, Callable[[bytes], Iterator[str]]] = {
    "postgresql": sql_wire.postgresql,
    "mariadb": sql_wire.mysql,
}


def other_than_reading(statement: str) -> bool:
    reads = READS.match(statement) or OF_THE_SESSION.fullmatch(statement)
    return not reads or bool(CHANGES.search(statement))


@pytest.fixture
def database(empty_database: sa.Engine, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    name = request.node.callspec.params["empty_database"]
    CYCLES.create(empty_database)
    at = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=1)
    with empty_database.begin() as connection:
        rows = [{"nr": number, "at": at, "temp": 230.0 + number} for number in range(1, 6)]
        connection.execute(sa.insert(CYCLES), rows)
        for statement in SETUP[name]:
            connection.exec_driver_sql(statement)
    yield empty_database
    with empty_database.begin() as connection:
        for statement in DROPS[name]:
            connection.exec_driver_sql(statement)
    CYCLES.drop(empty_database)


def held(engine: sa.Engine, name: str) -> tuple[Any, ...]:
    """All tables there are, all rows, and how far the sequence has counted."""
    with engine.connect() as connection:
        tables = sorted(sa.inspect(connection).get_table_names())
        rows = connection.execute(sa.select(CYCLES).order_by(CYCLES.c.nr)).all()
        return tables, rows, connection.exec_driver_sql(COUNTER[name]).all()


async def test_no_configuration_changes_a_database(
    database: sa.Engine, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.params["empty_database"]
    loop = asyncio.get_running_loop()
    before = held(database, name)
    given_already = {"url", "user", "password", "table", "query", "time", "time_format", "timezone"}
    read: set[str] = set()

    @FEW
    @given(keys_of(SqlSource, given_already), st.sampled_from(ORIGINS))
    def nothing_is_written(keys: dict[str, Any], origin: dict[str, str]) -> None:
        asked = asyncio.run_coroutine_threadsafe(statements(database, name, origin | keys), loop)
        found = asked.result(PATIENCE)
        assert [statement for statement in found if other_than_reading(statement)] == []
        read.update(found)

    await asyncio.to_thread(nothing_is_written)
    assert held(database, name) == before
    assert name == "sqlite" or any("FROM cycles" in statement for statement in read)


async def statements(engine: sa.Engine, name: str, keys: Mapping[str, Any]) -> list[str]:
    """All that a source so configured sends; SQLite has no wire, its file is compared instead."""
    async with contextlib.AsyncExitStack() as stack:
        url = engine.url
        proxy = None
        if url.port is not None:
            proxy = await stack.enter_async_context(TcpProxy(url.port))
            url = url.set(host=LOOPBACK, port=proxy.port)
        try:
            spec = SqlSource.model_validate(
                {
                    "url": url.render_as_string(hide_password=False), "time": "at", "order": "nr",
                    "timezone": "UTC", "interval": "50 ms", **keys,
                }
            )  # fmt: skip
        except ValidationError:
            return []
        file = Path(url.database or "") if proxy is None else None
        before = (file.read_bytes(), file.stat().st_mtime_ns) if file else None
        await use(SqlConnector("cell_7", spec, ("temp", "nothing"), SystemClock()))
        assert before == ((file.read_bytes(), file.stat().st_mtime_ns) if file else None)
        assert file is None or [entry.name for entry in file.parent.iterdir()] == [file.name]
        return list(SPOKEN[name](bytes(proxy.sent))) if proxy is not None else []


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("postgresql", b"P\x00\x00\x00\x1c\x00UPDATE cycles SET a=1\x00\x00\x00"),
        ("mariadb", b"\x16\x00\x00\x00\x03UPDATE cycles SET a=1"),
    ],
)
def test_a_statement_that_writes_would_be_recognised(name: str, sent: bytes) -> None:
    assert [other_than_reading(statement) for statement in SPOKEN[name](sent)] == [True]


@pytest.mark.parametrize(
    ("empty_database", "setting", "value"),
    [
        ("postgresql", "current_setting('transaction_read_only')", "on"),
        ("mariadb", "@@tx_read_only", 1.0),
    ],
    indirect=["empty_database"],
)
async def test_the_database_itself_says_that_the_session_is_read_only(
    database: sa.Engine, setting: str, value: object
) -> None:
    spec = SqlSource.model_validate(
        {
            "url": database.url.render_as_string(hide_password=False), "time": "at",
            "timezone": "UTC", "order": "nr",
            "query": f"SELECT nr, at, {setting} AS temp FROM cycles",
        }
    )  # fmt: skip
    async with opened(SqlConnector("cell_7", spec, ("temp",), SystemClock())) as cell:
        samples = await read_until(cell, lambda seen: len(seen) >= 5)
    assert {sample.value for sample in samples} == {value}


# Folders -----------------------------------------------------------------------------------------

ROWS = "at,temp\n2026-11-17T08:00:00Z,231.5\n2026-11-17T08:00:01Z,232\n"
Files = dict[str, tuple[bytes, int]]
"""Path below the folder → content and time of its last change."""


def fill(folder: Path) -> None:
    """Drops of every form: good, with bad rows, unreadable, not finished, nobody's."""
    (folder / "good.csv").write_text(ROWS)
    (folder / "marked.csv").write_text(ROWS)
    (folder / "marked.csv.done").write_text("")
    (folder / "bad_rows.csv").write_text(ROWS + "yesterday,hot\n")
    (folder / "no_workbook.xlsx").write_bytes(b"PK\x03\x04 not really")
    (folder / "lines.jsonl").write_text('{"at": "2026-11-17T08:00:00Z", "temp": 1}\n{"at": ')
    (folder / "half.csv.part").write_text("at,te")
    (folder / ".hidden").write_text("x")
    (folder / "below").mkdir()
    (folder / "below" / "deep.csv").write_text(ROWS)
    table = pa.table({"at": ["2026-11-17T08:00:00Z"], "temp": [231.5]})
    pq.write_table(table, folder / "drop.parquet")


def contents(folder: Path) -> Files:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in found
    }


def times(folder: Path) -> dict[str, int]:
    """Of the folder and those in it: a file that came and went again would show in them."""
    return {str(path): path.stat().st_mtime_ns for path in (folder, folder / "below")}


@pytest.mark.parametrize("after", ["leave", "move"])
async def test_no_configuration_changes_a_file(tmp_path: Path, after: str) -> None:
    """Whatever else is declared: `leave` touches nothing, `move` moves and says why."""
    loop = asyncio.get_running_loop()
    count = iter(range(1_000_000))
    moved: set[str] = set()

    @FEW
    @given(
        keys_of(FilesSource, {"folder", "after", "time", "time_format", "timezone"}),
        st.lists(st.sampled_from(["*", "*.csv", "bad*", "*.xlsx"]), min_size=1, unique=True),
    )
    def nothing_is_written(keys: dict[str, Any], patterns: list[str]) -> None:
        folder = tmp_path / str(next(count))
        folder.mkdir()
        fill(folder)
        files, changed = contents(folder), times(folder)
        given = {"folder": str(folder), "time": "at", "files": patterns, "settle": 0.0} | keys
        with contextlib.suppress(ValidationError):
            spec = FilesSource.model_validate(given | {"after": after})
            read = use(FilesConnector("press", spec, ("temp", "nothing"), SystemClock()))
            asyncio.run_coroutine_threadsafe(read, loop).result(PATIENCE)
        found = contents(folder)
        if after == "leave":
            assert (found, times(folder)) == (files, changed)
        else:
            assert_only_moved(files, found)
        moved.update(name for name in found if name not in files)

    await asyncio.to_thread(nothing_is_written)
    assert ("done/good.csv" in moved and "failed/bad_rows.csv" in moved) == (after == "move")


def assert_only_moved(before: Files, after: Files) -> None:
    """Each file is where it was or on a shelf, as it was; new are only reasons on a shelf."""
    for name, content in before.items():
        places = [place for place in (name, *(f"{shelf}/{name}" for shelf in SHELVES))
                  if after.get(place) == content]  # fmt: skip
        gone_with_its_file = name == "marked.csv.done" and "marked.csv" not in after
        assert len(places) == 1 or gone_with_its_file, name
    expected = {f"{shelf}/{name}{end}" for shelf in SHELVES for name in before
                for end in ("", ".reason.txt")}  # fmt: skip
    assert {*after} <= {*before} | expected


# Posts -------------------------------------------------------------------------------------------

_SENT: list[tuple[str, Any]] = []
"""Where this process has connected to, or sent something without a connection."""


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        _SENT.append((event, arguments[1]))


@pytest.fixture(scope="module")
def outgoing() -> list[tuple[str, Any]]:
    sys.addaudithook(_note)  # stays for the life of the process; nobody else reads the list
    return _SENT


async def test_no_configuration_speaks_without_being_asked(
    outgoing: list[tuple[str, Any]],
) -> None:
    """Our side of a connection is answers to posts, and there is no connection of our own."""
    loop = asyncio.get_running_loop()
    outgoing.clear()
    ports: list[int] = []
    answered: set[bytes] = set()

    @FEW
    @given(keys_of(WebhookSource, {"host", "port", "timeout"}), st.sampled_from(POSTS))
    def nothing_is_said(keys: dict[str, Any], posts: tuple[bytes, ...]) -> None:
        ports.append(free_port())
        asked = asyncio.run_coroutine_threadsafe(answers(ports[-1], keys, posts), loop)
        said, silent = asked.result(PATIENCE)
        assert silent == b""
        assert all(answer.startswith(b"HTTP/1.1 ") for answer in said if answer)
        answered.update(answer[:12] for answer in said)

    await asyncio.to_thread(nothing_is_said)
    assert {where for _, where in outgoing} <= {(LOOPBACK, port) for port in ports}
    assert answered >= {b"HTTP/1.1 200", b"HTTP/1.1 404"}


def post(path: str, body: bytes, method: str = "POST") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


POSTS = (
    (post("/", b'{"state": "RUN"}'),),
    (post("/", b'{"state": {"reply_to": "http://127.0.0.1:9/hook"}}'), post("/", b"{")),
    (post("/nowhere", b"{}"), post("/", b"", "GET")),
    (b"nonsense\r\n\r\n",),
)


async def answers(
    port: int, keys: Mapping[str, Any], posts: tuple[bytes, ...]
) -> tuple[list[bytes], bytes]:
    """What each post is answered, and what is said to somebody who connects and says nothing."""
    spec = WebhookSource.model_validate({"port": port, "timeout": 1.0, "stored_within": 0.5} | keys)
    hook = WebhookConnector("press_1", spec, ("$.state", "below#$.parts"), SystemClock())
    async with opened(hook):
        reading = asyncio.create_task(_read(hook))
        silent, writer = await asyncio.open_connection(LOOPBACK, port)
        said = [await _answer(port, one) for one in posts]
        before = b""
        with contextlib.suppress(TimeoutError):
            before = await asyncio.wait_for(silent.read(1000), 0.05)
        writer.close()
        reading.cancel()
        await asyncio.wait({reading})
    return said, before


async def _read(hook: WebhookConnector) -> None:
    while True:
        await hook.read()
        await hook.acknowledge()


async def _answer(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(sent)
    said = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    return said
