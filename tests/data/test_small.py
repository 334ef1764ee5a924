"""Small tables are kept in memory: the same answers, without opening their files again."""

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
