"""Maintenance changes how tables are kept, never what they say."""

import threading

import pytest

from isthmus.data import delta
from isthmus.data.ledger import check
from isthmus.data.maintain import MaintenanceError, maintain, run_apart
from isthmus.data.verify import check_table
from isthmus.testing.small_company import House


def fill(house: House, first: int, count: int) -> None:
    for number in range(first, first + count):
        house.add(number)
        house.writer.write_once()


def test_many_files_become_few_and_say_the_same(house: House) -> None:
    fill(house, 0, 60)
    done = maintain(house.table)
    assert (done.files_before, done.files_after, done.checkpoint) == (60, 1, True)
    assert house.numbers() == list(range(60))
    assert (check(house.lake), check_table(house.table)) == ([], [])


def test_the_writer_goes_on_from_its_offset_after_compaction(house: House) -> None:
    fill(house, 0, 25)
    maintain(house.table)
    fill(house, 25, 3)
    assert house.writer.write_once().commits == 0
    assert house.numbers() == list(range(28))
    assert house.writer.verify() == []


def test_compaction_and_writer_at_the_same_time_lose_nothing(house: House) -> None:
    fill(house, 0, 30)
    going = threading.Thread(target=lambda: [maintain(house.table, many_files=2) for _ in range(5)])
    going.start()
    number = 30
    while going.is_alive():
        fill(house, number, 1)
        number += 1
    going.join()
    while house.writer.write_once().problems:
        pass
    assert house.numbers() == list(range(number))
    assert (check(house.lake), house.writer.verify()) == ([], [])


def test_it_runs_in_a_process_of_its_own(house: House) -> None:
    fill(house, 0, 25)
    done = {one.table: one for one in run_apart(house.root / "lake")}
    assert done["cycle"].files_after == 1
    assert set(done) == {folder.name for folder in delta.table_folders(house.root / "lake")}
    assert house.numbers() == list(range(25))


def test_a_failure_is_told_and_not_swallowed(house: House) -> None:
    delta.commit_file(house.table, 0).write_bytes(b"{")
    with pytest.raises(MaintenanceError):
        run_apart(house.root / "lake")


def test_files_that_expired_are_deleted_also_from_partition_folders(house: House) -> None:
    """With nothing kept: the old files go, the data stays."""
    fill(house, 0, 25)
    maintain(house.table)
    table = delta.open_table(house.table)
    gone = table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    assert len(gone) == 25
    assert len(list(house.table.rglob("*.parquet"))) == 1
    assert house.numbers() == list(range(25))
    assert (house.table / "_synced").exists()
