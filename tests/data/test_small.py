"""Small tables are kept in memory: the same answers, without opening their files again."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isthmus.data import small
from isthmus.testing.small_company import House


def test_a_commit_adds_its_rows_to_what_is_kept(house: House) -> None:
    for first in (0, 10, 20):
        house.add(first, 10)
        house.writer.write_once()
        assert house.numbers() == list(range(first + 10))


def test_files_are_not_opened_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    decoded = small._decoded
    monkeypatch.setattr(
        small, "_decoded", lambda db, files: opened.append(len(files)) or decoded(db, files)
    )
    for first in (0, 10):
        house.add(first, 10)
        house.writer.write_once()
        assert house.numbers() == house.numbers()
    assert opened == [1, 1]


def test_a_large_table_is_read_from_its_files(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small, "MOST_BYTES", 10)
    house.add(0, 10)
    house.writer.write_once()
    house.add(10, 10)
    assert house.lake.moment("SELECT * FROM cycle").files["cycle"]
    assert house.numbers() == list(range(20))


def test_both_ways_give_the_same_columns(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.add(0, 3)
    house.writer.write_once()
    sql = "SELECT * FROM cycle ORDER BY time"
    kept = house.lake.query(sql)
    monkeypatch.setattr(small, "MOST_BYTES", 10)
    house.lake._small = small.SmallTables()
    assert house.lake.query(sql).equals(kept)


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as db:
        yield db


def numbers(folder: Path, name: str, count: int) -> str:
    """A file of so many rows of about 23 bytes, where the lake would put it."""
    file = folder / "_site=hamburg" / "_date=2026-03-02" / f"{name}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"number": range(count)}), file)
    return str(file)


def test_what_is_kept_of_all_tables_has_a_bound_and_the_largest_makes_room(
    tmp_path: Path, db: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small, "MOST_HELD", 13_000)
    tables = small.SmallTables()
    large = [numbers(tmp_path, "large", 500)]
    assert tables.rows(db, "large", large) is not None
    assert tables.rows(db, "little", [numbers(tmp_path, "little", 200)]) is not None
    assert tables.rows(db, "large", large) is None


def test_a_table_that_made_room_is_tried_again_once_it_has_shrunk(
    tmp_path: Path, db: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small, "MOST_HELD", 13_000)
    opened: list[int] = []
    decoded = small._decoded
    monkeypatch.setattr(
        small, "_decoded", lambda db, files: opened.append(len(files)) or decoded(db, files)
    )
    tables = small.SmallTables()
    files = [numbers(tmp_path, "first", 700), numbers(tmp_path, "second", 10)]
    assert tables.rows(db, "large", files[:1]) is None
    assert tables.rows(db, "large", files) is None  # grown: not even looked at
    shrunk = tables.rows(db, "large", files[1:])
    assert shrunk is not None
    assert (shrunk.num_rows, opened) == (10, [1, 1])


def test_what_is_kept_takes_no_more_than_its_rows_need(
    tmp_path: Path, db: duckdb.DuckDBPyConnection
) -> None:
    files = [numbers(tmp_path, str(number), 10) for number in range(20)]
    tables = small.SmallTables()
    for last in range(20):
        rows = tables.rows(db, "cycle", files[: last + 1])
    assert rows is not None
    assert (rows.num_rows, rows.column(0).num_chunks) == (200, 1)
    assert rows.get_total_buffer_size() < 2 * 200 * 23
