"""SQL of people: nothing but SELECT, nothing outside the lake, never without an end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.data.restricted import RefusedError, truncated
from isthmus.testing.small_company import House

REFUSED = (
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM '/etc/passwd.csv'",
    "SELECT * FROM read_parquet('{lake}/cycle/**/*.parquet')",
    "SELECT * FROM parquet_scan('{lake}/cycle/**/*.parquet')",
    "SELECT * FROM '{lake}/cycle/_delta_log/00000000000000000000.json'",
    "SELECT (SELECT max(content) FROM read_text('/etc/hostname'))",
    "WITH a AS (SELECT * FROM glob('/*')) SELECT * FROM a",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM duckdb_settings()",
    "SELECT current_setting('temp_directory')",
    "COPY (SELECT 1) TO '{lake}/out.csv'",
    "COPY cycle TO '/dev/null'",
    "EXPORT DATABASE '{lake}/out'",
    "ATTACH '{lake}/other.db'",
    "SET threads = 8",
    "SET lock_configuration = false",
    "RESET lock_configuration",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "CREATE TABLE t AS SELECT 1",
    "CREATE OR REPLACE TEMP VIEW cycle AS SELECT 1",
    "INSERT INTO cycle SELECT * FROM cycle",
    "DELETE FROM cycle",
    "DROP VIEW cycle",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY (SELECT 1) TO '/dev/null'",
    "BEGIN",
    "",
    "-- nothing",
    "SELEC 1",
    "SELECT * FROM house",
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two rows in files and one in the tail, for all questions of this module."""
    opened = House(tmp_path_factory.mktemp("house"))
    opened.writer.verify()
    opened.add(0, 2)
    opened.writer.write_once()
    opened.add(2)
    yield opened
    opened.close()


@pytest.mark.parametrize("sql", REFUSED)
def test_this_is_refused(house: House, sql: str) -> None:
    with pytest.raises(RefusedError):
        house.lake.user_query(sql.format(lake=house.root / "lake"))
    assert not list(Path(house.root / "lake").glob("out*"))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT count(*) FROM cycle", 3),
        ("WITH a AS (SELECT good FROM cycle) SELECT sum(good)::BIGINT FROM a;", 3),
        ("FROM cycle SELECT count(*)", 3),
        ("SELECT count(*) FROM range(5) JOIN cycle ON range = melt_temp", 3),
        ("SELECT extract(hour FROM min(time)) FROM cycle", 5),
        ("SELECT stored FROM ledger", 3),
    ],
)
def test_selects_over_the_tables_are_answered(house: House, sql: str, expected: int) -> None:
    assert house.lake.user_query(sql).column(0).to_pylist() == [expected]


def test_a_cross_join_without_end_is_stopped(house: House) -> None:
    endless = "SELECT sum(a.range * b.range) FROM range(1000000000) a, range(1000000000) b"
    with pytest.raises(RefusedError, match=r"stopped after 0.2 s"):
        house.lake.user_query(endless, timeout=0.2)


def test_memory_is_bounded(house: House) -> None:
    large = "SELECT list(range) FROM range(100000000)"
    with pytest.raises(RefusedError, match=r"[Oo]ut of [Mm]emory|memory"):
        house.lake.user_query(large, memory="50MB", timeout=30)


def test_more_rows_than_asked_for_are_cut_and_that_is_said(house: House) -> None:
    cut = house.lake.user_query("SELECT * FROM range(100)", max_rows=10)
    whole = house.lake.user_query("SELECT * FROM range(10)", max_rows=10)
    assert (cut.num_rows, truncated(cut)) == (10, True)
    assert (whole.num_rows, truncated(whole)) == (10, False)
