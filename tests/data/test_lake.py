"""Queries: lake and tail united exactly, entities by version, parameters, views."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from isthmus.base.clock import SECOND
from isthmus.data import lake
from isthmus.data.lake import Lake
from isthmus.flow.log_reader import LogReader
from isthmus.flow.parcel import TIME, Rows
from isthmus.testing.small_company import MACHINE, T0, House, cycles, samples, shaped

VERSIONED = ("material", "production_order", "operation", "stop_reason")
OTHERS = ("cycle", "gap", "ledger", "quarantine", "source", "machine", "state_category")


def test_every_table_exists_when_nothing_was_written_yet(house: House) -> None:
    names = [*VERSIONED, *(f"{name}_history" for name in VERSIONED), *OTHERS]
    found = {name: house.lake.query(f"SELECT * FROM {name}").num_columns for name in names}
    assert min(found.values()) > 1


def test_rows_are_visible_at_once_and_not_twice_after_the_commit(house: House) -> None:
    house.add(0, 3)
    before = house.numbers()
    house.writer.write_once()
    house.add(3, 2)
    after = house.numbers()
    assert (before, after) == ([0, 1, 2], [0, 1, 2, 3, 4])


def test_rows_in_files_are_let_go_from_memory_although_nobody_asks_for_their_table(
    house: House,
) -> None:
    house.add(0, 10)
    house.lake.query("SELECT * FROM source")  # of any table: the tail is read as a whole
    before = sum(piece.rows.num_rows for piece in house.lake._tails["hamburg"]._pieces["cycle"])
    house.writer.write_once()
    house.lake.query("SELECT * FROM source")
    assert (before, house.lake._tails["hamburg"]._pieces["cycle"]) == (10, [])
    assert house.numbers() == list(range(10))


def test_columns_have_the_types_of_the_contract_from_files_and_from_the_tail(house: House) -> None:
    house.add(0)
    from_tail = house.lake.query("SELECT * FROM cycle")
    house.writer.write_once()
    from_files = house.lake.query("SELECT * FROM cycle")
    assert from_tail.schema.names == from_files.schema.names
    assert from_tail.equals(from_files.cast(from_tail.schema))
    assert str(from_files.schema.field("time").type) == "timestamp[us, tz=UTC]"


def test_parameters_are_named(house: House) -> None:
    house.add(0, 10)
    found = house.lake.query(
        "SELECT count(*) AS n FROM cycle WHERE machine = $machine AND time >= $start",
        {"machine": MACHINE, "start": datetime.fromtimestamp(T0 / SECOND + 4, UTC)},
    )
    assert found["n"].to_pylist() == [6]


def test_own_tables_and_views_are_known_by_name(house: House) -> None:
    house.add(0, 4)
    house.lake.register("limit_of", pa.table({"machine": [MACHINE], "most": [2.0]}))
    house.lake.define("hot", "SELECT cycle.* FROM cycle JOIN limit_of USING (machine)"
                             " WHERE melt_temp > most")  # fmt: skip
    house.lake.define("hot_count", "SELECT count(*) AS n FROM hot")
    assert house.lake.query("SELECT n FROM hot_count")["n"].to_pylist() == [1]


def order(key: str, quantity: float, recorded: int, *, withdrawn: bool = False) -> Rows:
    at = pa.array([T0 + recorded * SECOND], TIME)
    return Rows(
        "production_order",
        pa.table(
            {
                "system": ["sap"], "key": [key], "quantity": [quantity], "recorded": at,
                "withdrawn": [withdrawn], "_received": at,
            }
        ),
    )  # fmt: skip


def test_the_latest_version_of_an_order_holds_unless_it_was_withdrawn(house: House) -> None:
    house.log.append_rows([order("1", 10.0, 0), order("2", 5.0, 0)], now=T0)
    house.writer.write_once()
    house.log.append_rows([order("1", 12.0, 1), order("2", 5.0, 1, withdrawn=True)], now=T0)
    valid = house.lake.query("SELECT key, quantity FROM production_order")
    versions = house.lake.query("SELECT count(*) AS n FROM production_order_history")
    assert valid.to_pylist() == [{"key": "1", "quantity": 12.0}]
    assert versions["n"].to_pylist() == [4]


def test_no_row_is_missing_or_twice_while_the_writer_commits(house: House) -> None:
    """A reader asks again and again while another thread appends and a third one commits."""
    rounds, seen = 60, []
    done = threading.Event()

    def intake() -> None:
        for number in range(rounds):
            house.add(number)
        done.set()

    def commits() -> None:
        while not done.is_set():
            house.writer.write_once()

    threads = [threading.Thread(target=intake), threading.Thread(target=commits)]
    for thread in threads:
        thread.start()
    while not done.is_set():
        seen.append(house.numbers())
    for thread in threads:
        thread.join()
    house.writer.write_once()
    seen.append(house.numbers())
    assert all(found == list(range(len(found))) for found in seen)
    assert len(seen[-1]) == rounds
    assert [len(found) for found in seen] == sorted(len(found) for found in seen)


@pytest.mark.parametrize("renew", [500, 3])
def test_queries_of_many_threads_at_once_see_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch, renew: int
) -> None:
    """Also while the database behind them is begun anew."""
    monkeypatch.setattr(lake, "_RENEW", renew)
    house.add(0, 50)
    house.writer.write_once()
    house.add(50, 50)
    found: list[int] = []

    def ask() -> None:
        found.extend(len(house.numbers()) for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [100] * 30


def test_after_many_queries_the_database_begins_anew_and_keeps_what_it_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake, "_RENEW", 2)
    begun: list[Path] = []
    connect = lake._connect
    monkeypatch.setattr(lake, "_connect", lambda folder: begun.append(folder) or connect(folder))
    house.add(0, 3)
    house.writer.write_once()
    house.add(3, 2)
    assert [house.numbers() for _ in range(6)] == [[0, 1, 2, 3, 4]] * 6
    assert len(begun) == 3


def test_gap_and_quarantine_are_tables(house: House) -> None:
    house.log.open_gap("im07", "lost", "no answer", start=T0, now=T0)
    house.log.close_gap("im07", end=T0 + 5 * SECOND, now=T0)
    found = house.lake.query('SELECT source, site, reason, "end" - start AS lasted FROM gap')
    assert found["reason"].to_pylist() == ["lost"]
    assert found["site"].to_pylist() == ["hamburg"]


def test_a_second_process_reads_the_same_files_and_log(house: House) -> None:
    house.add(0, 3)
    house.writer.write_once()
    house.add(3, 3)
    with LogReader(house.log.file) as reader:
        other = Lake(house.root / "lake", {"hamburg": reader}, house.plant)
        found = other.query("SELECT count(*) AS n FROM cycle")["n"].to_pylist()
        other.close()
    assert found == [6]


@pytest.mark.parametrize("name", ["cycle", "ledger"])
def test_names_are_found_whatever_their_case(house: House, name: str) -> None:
    house.log.append("im07", samples(0), shaped(0), now=T0)
    assert house.lake.query(f"SELECT * FROM {name.upper()}").num_rows == 1


def test_rows_that_fit_no_table_are_named_and_hide_nothing_else(house: House) -> None:
    house.log.append_rows([cycles(0, melt_temp=["hot"])], now=T0)
    house.add(1)
    written = house.writer.write_once()
    assert house.numbers() == [1]
    assert ["melt_temp" in problem.message for problem in house.lake.problems()] == [True]
    assert [problem.code for problem in written.problems] == ["D003"]


def test_closing_waits_for_a_query_under_way(house: House) -> None:
    lake = Lake(house.root / "lake", {}, house.plant)
    begun = threading.Event()
    found: list[pa.Table] = []

    def ask() -> None:
        begun.set()
        long = "SELECT count(*) AS n FROM range(40_000_000) AS a (i) WHERE i % 7 = 3"
        found.append(lake.query(long))

    asking = threading.Thread(target=ask)
    asking.start()
    begun.wait()
    while not lake._queries and asking.is_alive():  # the thread has begun, its query soon has
        pass
    lake.close()
    asking.join()
    assert found[0]["n"].to_pylist() == [5_714_286]
