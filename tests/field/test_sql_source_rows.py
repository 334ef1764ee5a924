"""Which rows of a table are new: late ones, those read again, those after a restart."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from isthmus.base.clock import (
    HOUR,
    MINUTE,
    SECOND,
    Micros,
    SystemClock,
    parse_time,
    to_datetime,
    to_micros,
)
from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.sql import SqlConnector, SqlSource
from isthmus.field.connectors.sql.progress import Fetched, Progress, fresh, lowest_again, resumed
from isthmus.field.connectors.sql.query import single_select
from isthmus.flow.parcel import BAD, GOOD, UNCERTAIN

T0 = parse_time("2026-11-17T08:00:00Z")
META = sa.MetaData()
LOG = sa.Table(
    "Cycle Log", META,
    sa.Column("nr", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Zeit", sa.DateTime),
    sa.Column("machine", sa.String(10)),
    sa.Column("melt temp", sa.Numeric(8, 2)),
    sa.Column("good", sa.Boolean),
    sa.Column("serial", sa.BigInteger),
)  # fmt: skip
READINGS = sa.Table(
    "reading", META,
    sa.Column("at", sa.DateTime), sa.Column("press", sa.Integer),
    sa.Column("signal", sa.String(40)), sa.Column("number", sa.Double),
    sa.Column("word", sa.String(40)),
)  # fmt: skip
BY_NUMBER = {"table": "Cycle Log", "time": "Zeit", "order": "nr", "timezone": "UTC"}
BY_TIME = {"table": "Cycle Log", "time": "Zeit", "timezone": "UTC"}


@dataclass
class Cell:
    """A cell's database, its clock, and our connector to it."""

    engine: sa.Engine
    now: Micros = T0
    speed: float = 1e9
    position: bytes | None = None
    tags: list[str] = field(default_factory=lambda: ["melt temp"])
    options: dict[str, Any] = field(default_factory=lambda: dict(BY_NUMBER))
    open: SqlConnector | None = None
    number: int = 0

    def write(self, at: Micros | None = None, **values: Any) -> None:
        """One row; `at` is what the cell says, in UTC."""
        self.number = values.pop("nr", self.number + 1)
        wall = to_datetime(self.now if at is None else at).replace(tzinfo=None)
        values = {name.replace("_", " "): value for name, value in values.items()}
        self.insert(LOG, {"nr": self.number, "Zeit": wall, **values})

    def insert(self, table: sa.Table, *rows: dict[str, Any]) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.insert(table), list(rows))

    async def connect(self, **options: Any) -> SqlConnector:
        """A new connector that goes on where the last one stopped, as after a restart."""
        await self.disconnect()
        url = self.engine.url.render_as_string(hide_password=False)
        spec = SqlSource.model_validate({"url": url, **self.options, **options})
        connector = SqlConnector("cell", spec, self.tags, CellClock(self))
        if self.position is not None:
            connector.resume(self.position)
        self.open = connector
        await connector.open()
        return connector

    async def disconnect(self) -> None:
        if self.open is not None:
            await self.open.close()
            self.open = None

    async def read(self) -> list[dict[str, Any]]:
        """What one read brings, acknowledged; a second later."""
        connector = self.open or await self.connect()
        self.now += SECOND
        table = await connector.read()
        self.position = connector.position()
        return [] if table is None else table.to_pylist()

    async def values(self) -> list[Any]:
        return [row["number"] if row["text"] is None else row["text"] for row in await self.read()]


@dataclass
class CellClock:
    """The cell's, so that a test may set it; reads follow each other without a pause."""

    cell: Cell

    @property
    def speed(self) -> float:
        return self.cell.speed

    def now(self) -> Micros:
        return self.cell.now


@pytest.fixture
def engine(empty_database: sa.Engine) -> Iterator[sa.Engine]:
    META.create_all(empty_database)
    yield empty_database
    META.drop_all(empty_database)


@pytest.fixture
async def cell(engine: sa.Engine):
    made = Cell(engine)
    yield made
    await made.disconnect()


@pytest.fixture
async def local(tmp_path: Path):
    """Where the database makes no difference."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'cell.db'}", poolclass=sa.NullPool)
    META.create_all(engine)
    made = Cell(engine)
    yield made
    await made.disconnect()
    engine.dispose()


@pytest.mark.parametrize("options", [BY_NUMBER, BY_TIME])
async def test_each_row_comes_once_with_its_own_time(cell, options):
    cell.options = options
    cell.write(melt_temp=231.5)
    [first] = await cell.read()
    cell.now += MINUTE
    cell.write(melt_temp=232)
    [second] = await cell.read()
    assert (first["number"], second["number"]) == (231.5, 232.0)
    assert to_micros(second["device_time"]) == T0 + MINUTE + SECOND
    assert await cell.read() == []


@pytest.mark.parametrize("options", [BY_NUMBER, BY_TIME])
async def test_after_a_restart_nothing_is_missing_and_nothing_comes_twice(cell, options):
    cell.options = options
    cell.write(melt_temp=1)
    assert await cell.values() == [1]
    await cell.disconnect()
    cell.write(melt_temp=2)
    assert await cell.values() == [2]
    await cell.connect()
    assert await cell.values() == []


@pytest.mark.parametrize("options", [BY_NUMBER, BY_TIME])
async def test_a_row_that_becomes_visible_late_is_taken_once(cell, options):
    cell.options = options
    cell.write(melt_temp=1)
    cell.now += 5 * MINUTE
    cell.write(melt_temp=3, nr=3)
    assert await cell.values() == [1, 3]
    cell.write(at=T0 + MINUTE, melt_temp=2, nr=2)
    assert await cell.values() == [2]
    assert await cell.values() == []


async def test_rows_that_are_alike_count_each(cell):
    same = {"at": datetime(2026, 11, 17, 8, 0, 1, tzinfo=UTC).replace(tzinfo=None),
            "press": 1, "signal": "part", "number": 1.0}  # fmt: skip
    cell.tags = ["part"]
    cell.options = {"table": "reading", "time": "at", "timezone": "UTC", "tag": "signal",
                    "value": "number"}  # fmt: skip
    cell.insert(READINGS, same, same)
    assert await cell.values() == [1, 1]
    cell.insert(READINGS, same)
    assert await cell.values() == [1]
    assert await cell.values() == []


async def test_one_table_of_several_machines_is_told_apart_by_its_keys(cell):
    cell.tags = ["melt temp[machine=M1]", "melt temp[machine=M2]", "serial[machine=M2]", "good"]
    cell.options = {**BY_NUMBER, "keys": ["machine"]}
    cell.write(machine="M1", melt_temp=1)
    cell.write(machine="M2", melt_temp=2, serial=2**60)
    cell.write(machine="M3", melt_temp=3)
    found = {row["tag"]: (row["number"], row["text"]) for row in await cell.read()}
    assert found == {
        "good": (None, None),
        "melt temp[machine=M1]": (1.0, None),
        "melt temp[machine=M2]": (2.0, None),
        "serial[machine=M2]": (None, str(2**60)),
    }


async def test_narrow_table_has_numbers_and_texts_of_each_machine(cell):
    cell.tags = ["Temp[press=7]", "Program[press=7]", "Temp[press=8]"]
    cell.options = {"table": "reading", "time": "at", "timezone": "Europe/Berlin", "keys": "press",
                    "tag": "signal", "value": ["number", "word"]}  # fmt: skip
    at = datetime(2026, 11, 17, 9, 0, 0)  # noqa: DTZ001 - as the cell writes it
    row = {"at": at, "press": 7, "signal": "Temp", "number": 231.5, "word": None}
    cell.insert(READINGS, row, row | {"signal": "Program", "number": None, "word": "lid 4"},
                row | {"press": 8, "number": None}, row | {"press": 9})  # fmt: skip
    rows = await cell.read()
    assert {(r["tag"], r["number"], r["text"], r["quality"] & BAD) for r in rows} == {
        ("Temp[press=7]", 231.5, None, GOOD),
        ("Program[press=7]", None, "lid 4", GOOD),
        ("Temp[press=8]", None, None, BAD),
    }
    assert {to_micros(r["device_time"]) for r in rows} == {T0}


async def test_a_function_that_writes_is_stopped_by_the_database(cell):
    if cell.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no stored functions")
    body = {
        "postgresql": "CREATE OR REPLACE FUNCTION sneak() RETURNS int LANGUAGE sql"
        " AS $$ INSERT INTO reading (press) VALUES (1) RETURNING press $$",
        "mysql": "CREATE OR REPLACE FUNCTION sneak() RETURNS int"
        " BEGIN INSERT INTO reading (press) VALUES (1); RETURN 1; END",
        "mariadb": "CREATE OR REPLACE FUNCTION sneak() RETURNS int"
        " BEGIN INSERT INTO reading (press) VALUES (1); RETURN 1; END",
    }
    with cell.engine.begin() as connection:
        connection.exec_driver_sql(body[cell.engine.dialect.name])
    cell.write(melt_temp=1)
    quote = "`" if cell.engine.dialect.name != "postgresql" else '"'
    table = f"{quote}Cycle Log{quote}"
    cell.options = {"query": f"SELECT sneak() AS nr, {quote}Zeit{quote} AS at FROM {table}",
                    "time": "at", "order": "nr", "timezone": "UTC"}  # fmt: skip
    with pytest.raises((Refused, Unreachable), match=r"(?i)read.only"):
        await cell.read()
    with cell.engine.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(READINGS)) == 0
        connection.exec_driver_sql("DROP FUNCTION sneak")


async def test_a_query_may_join_compute_and_name_what_it_likes(cell):
    quote = "`" if cell.engine.dialect.name in {"mysql", "mariadb"} else '"'
    cell.write(melt_temp=200, machine="M1")
    cell.options = {
        "query": f"SELECT nr, {quote}Zeit{quote} AS at, {quote}melt temp{quote} * 2 AS twice"
        f" FROM {quote}Cycle Log{quote} WHERE machine = 'M1' AND machine <> ':x'",
        "time": "at", "order": "nr", "timezone": "UTC",
    }  # fmt: skip
    cell.tags = ["twice"]
    assert await cell.values() == [400]


async def test_a_long_backlog_is_read_in_parts_and_without_pause(local):
    wall = to_datetime(T0).replace(tzinfo=None)
    local.insert(LOG, *({"nr": n, "Zeit": wall, "melt temp": n} for n in range(1, 2501)))
    connector = await local.connect(rows=1000, interval="1 h")
    local.speed = 1.0
    found: list[float] = []
    for _ in range(3):
        table = await connector.read()
        assert table is not None
        assert table.num_rows <= 1000
        found += table["number"].to_pylist()
    assert found == list(range(1, 2501))


async def test_rows_older_than_the_history_are_left_out_also_when_they_come_late(local):
    local.write(at=T0 - 3 * HOUR, melt_temp=1)
    local.write(at=T0 - HOUR, melt_temp=2)
    await local.connect(history="2 h")
    assert await local.values() == [2]
    local.write(at=T0 - 3 * HOUR, melt_temp=3)
    assert await local.values() == []


async def test_a_row_of_the_future_does_not_hide_those_of_today(local):
    local.options = BY_TIME
    local.write(at=parse_time("2199-01-01T00:00:00Z"), melt_temp=9)
    assert await local.values() == [9]
    local.now += HOUR
    local.write(melt_temp=1)
    assert await local.values() == [1]
    await local.connect()
    assert await local.values() == []


async def test_a_table_that_was_cleared_and_begins_anew_is_a_gap_and_goes_on(local):
    local.write(nr=100_000, melt_temp=1)
    assert await local.values() == [1]
    with local.engine.begin() as connection:
        connection.execute(sa.delete(LOG))
    assert await local.values() == []
    local.now += MINUTE
    local.write(nr=1, melt_temp=2)
    assert await local.values() == []  # sees that the numbers start anew
    assert await local.values() == [2]
    assert local.open is not None
    [missed] = local.open.missed()
    assert missed.start == T0
    assert "starts anew at a lower number" in missed.detail
    assert local.open.missed() == []


async def test_numbers_that_begin_anew_inside_the_overlap_are_new_rows(local):
    for _ in range(3):
        local.write(melt_temp=1)
    assert await local.values() == [1, 1, 1]
    with local.engine.begin() as connection:
        connection.execute(sa.delete(LOG))
    local.now += MINUTE
    local.write(nr=1, melt_temp=2)
    assert await local.values() == [2]


async def test_a_tag_that_was_added_to_the_model_makes_no_row_come_twice(local):
    local.options = {**BY_TIME}
    local.write(melt_temp=1, serial=5)
    assert await local.values() == [1]
    local.tags = ["melt temp", "serial"]
    await local.connect()
    assert await local.values() == []
    local.now += SECOND
    local.write(melt_temp=2, serial=6)
    assert await local.values() == [2, 6]


async def test_another_table_is_read_from_its_own_beginning(local):
    local.write(melt_temp=1)
    assert await local.values() == [1]
    local.options = {**BY_NUMBER, "table": None, "query": 'SELECT * FROM "Cycle Log"'}
    await local.connect()
    assert await local.values() == [1]


async def test_a_query_that_was_changed_goes_on_where_it_was(local):
    local.options = {**BY_NUMBER, "table": None, "query": 'SELECT * FROM "Cycle Log"'}
    local.write(melt_temp=1)
    assert await local.values() == [1]
    local.options["query"] = 'SELECT * FROM "Cycle Log" WHERE nr > 0'
    await local.connect()
    assert await local.values() == []


async def test_a_state_is_repeated_after_an_outage_where_that_is_declared(local):
    local.options = {**BY_NUMBER, "repeat": True, "keys": "machine"}
    local.tags = ["melt temp[machine=M1]", "melt temp[machine=M2]"]
    local.write(melt_temp=3, machine="M1")
    local.write(melt_temp=4, machine="M1")
    local.write(melt_temp=7, machine="M2")
    assert await local.values() == [3, 4, 7]
    assert await local.values() == []
    local.now += HOUR
    await local.connect()
    rows = await local.read()
    assert [(row["number"], to_micros(row["device_time"])) for row in rows] == [(4, T0), (7, T0)]
    assert await local.values() == []


async def test_the_hour_that_comes_twice_loses_no_row_and_says_it_is_uncertain(local):
    local.options = {**BY_TIME, "timezone": "Europe/Berlin"}
    local.now = parse_time("2026-10-25T00:58:00Z")  # 02:58, the first time
    walls = ["02:58:00", "02:02:00", "03:01:00"]
    for number, wall in enumerate(walls, 1):
        at = parse_time(f"2026-10-25T{wall}Z")  # `write` writes it as it is
        local.write(at=at, melt_temp=number)
        [row] = await local.read()
        assert row["number"] == number
        expected = to_micros(row["device_time"])
        assert abs(expected - local.now) < 5 * SECOND
        assert (row["quality"] == UNCERTAIN) == (number == 2)
        local.now += 4 * MINUTE if number == 1 else 59 * MINUTE
        local.now -= SECOND
    assert await local.read() == []


async def test_a_time_without_a_zone_is_refused_with_what_to_declare(local):
    local.write(melt_temp=1)
    local.options = {"table": "Cycle Log", "time": "Zeit"}
    with pytest.raises(Refused, match="declare `timezone`"):
        await local.read()


async def test_a_row_whose_time_cannot_be_read_goes_to_quarantine_and_holds_up_nothing(local):
    local.write(melt_temp=1)
    local.insert(LOG, {"nr": 2, "Zeit": None, "melt temp": 2})
    local.write(nr=3, melt_temp=3)
    rows = await local.read()
    assert [(row["number"], row["text"]) for row in rows] == [
        (1.0, None), (None, "2; time: there is no time"), (3.0, None),
    ]  # fmt: skip
    assert rows[1]["quality"] & BAD


async def test_a_column_of_the_source_that_is_not_there_is_refused_with_those_there_are(local):
    with pytest.raises(Refused, match="no column `uhr` in table `Cycle Log`; there are nr, Zeit"):
        await local.connect(time="uhr")


async def test_a_database_that_is_not_there_is_refused_and_not_made(tmp_path):
    missing = Cell(sa.create_engine(f"sqlite:///{tmp_path / 'no.db'}"))
    with pytest.raises(Refused, match="unable to open"):
        await missing.connect()
    await missing.disconnect()
    assert not (tmp_path / "no.db").exists()


async def test_a_password_is_in_no_error(postgres_url):
    url = postgres_url.set(port=1).render_as_string(hide_password=False)
    spec = SqlSource.model_validate({"url": url, **BY_NUMBER, "password": "hush", "timeout": "2 s"})
    connector = SqlConnector("cell", spec, ["x"], SystemClock())
    with pytest.raises(Unreachable) as caught:
        await connector.open()
    await connector.close()
    assert "geheim" not in f"{caught.value}{spec!r}"
    assert "hush" not in f"{caught.value}{spec!r}"


# The check -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM t",
        " select a, REPLACE(b, ',', '.') AS b from t; ",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
        "SELECT 'DELETE FROM t; DROP' AS said, \"update\" FROM t",
        "SELECT updated, deleted_at, creates FROM insert_log",
    ],
)
def test_one_select_is_accepted(query):
    assert single_select(query)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("DELETE FROM t", "must begin with SELECT"),
        ("SELECT 1; DELETE FROM t", "only one statement"),
        ("SELECT 1 --1; DELETE FROM t", "comments"),
        ("SELECT /*! 1 INTO OUTFILE 'x' */ 1", "comments"),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "DELETE"),
        ("SELECT * INTO copy FROM t", "INTO"),
        ("SELECT * FROM t FOR UPDATE", "UPDATE"),
        ("SELECT * FROM t FOR KEY SHARE", "FOR KEY SHARE"),
        ("SELECT nextval('s')", "nextval"),
        ("SELECT NEXT VALUE FOR s", "NEXT VALUE"),
        (r"SELECT '\'; DELETE FROM t; SELECT '", "backslash"),
        ("SELECT $$a$$", "dollar"),
        ("SELECT 'a", "never closed"),
        ("", "must begin with SELECT"),
    ],
)
def test_anything_but_one_select_is_refused_at_check(query, why):
    with pytest.raises(ValidationError, match=why):
        SqlSource.model_validate({"url": "sqlite://", "query": query, "time": "at", "order": "n"})


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "either a `table` or a `query`"),
        ({"table": "t", "tag": "x"}, "both `tag` and `value`"),
        ({"table": "t", "time_format": "%d.%m.%Y %H:%M"}, "do not sort: name an `order`"),
        ({"table": "t", "time_format": "minutes"}, "there are iso, s, ms, us, ns"),
        ({"table": "t", "time_format": "%H:%M"}, "no whole date"),
        ({"table": "t", "time": ["day", "clock"]}, "name an `order`"),
    ],
)
def test_a_source_that_could_not_work_is_refused_at_check(options, why):
    with pytest.raises(ValidationError, match=why):
        SqlSource.model_validate({"url": "sqlite://", "time": "at", **options})


# The rule, whatever happens in the table -------------------------------------------------------

SPEC = SqlSource.model_validate(
    {"url": "sqlite://", "table": "t", "time": "at", "overlap": "5 s", "timezone": "UTC"}
)


@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=60),
    limit=st.integers(1, 8),
    restarts=st.sets(st.integers(0, 200)),
)
def test_every_row_is_taken_once_in_whatever_order_they_become_visible(rows, limit, restarts):
    """Row `n` becomes visible `delay` reads late, within the overlap, or it is of the future."""
    progress = Progress("t", "nr at", 0)
    taken: list[int] = []
    for step in range(len(rows) * 2 + 10):
        table = sorted(
            (T0 + 10**9 + n * SECOND if ahead else T0 - (99 - n) * SECOND, n)
            for n, (delay, ahead) in enumerate(rows)
            if n + delay <= step
        )
        written = [{"at": to_datetime(at).isoformat(), "nr": n} for at, n in table]
        low = lowest_again(progress.mark, SPEC, T0) if progress.mark is not None else ""
        most = limit + len(progress.seen) + len(progress.ahead)
        found = [row for row in written if row["at"] >= low][:most]
        fetched = Fetched(found, full=len(found) == most)
        new, progress = fresh(progress, fetched, SPEC, ("nr", "at"), T0)
        taken += [row["nr"] for row in new]
        if step in restarts:
            again = resumed(progress.encode(), "t", "nr at")
            assert again == progress
    assert sorted(taken) == list(range(len(rows)))
