"""What the guide on backups promises holds."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from isthmus.base.problem import ProblemsError
from isthmus.testing.small_company import T0, House


@pytest.fixture
def house(tmp_path: Path):
    opened = House(tmp_path / "data")
    opened.writer.verify(T0)
    yield opened
    opened.close()


def copied(house: House, copy: Path, *, between: range = range(0)) -> Path:
    """As the guide says: SQLite's own backup of the log first, the lake after it."""
    (copy / "log").mkdir(parents=True)
    source = sqlite3.connect(house.log.file)
    target = sqlite3.connect(copy / "log" / "hamburg.sqlite")
    source.backup(target)
    source.close()
    target.close()
    shutil.copy(house.log.file.with_suffix(".watermark"), copy / "log")
    for number in between:
        house.add(number)
        house.writer.write_once()
    shutil.copytree(house.root / "lake", copy / "lake")
    return copy


def restored(copy: Path) -> tuple[list[int], list[str]]:
    """The numbers of all rows, and the codes of what was said at the start."""
    again = House(copy)
    try:
        said = [problem.code for problem in again.writer.verify(T0)]
        again.writer.write_once()
        return again.numbers(), said
    finally:
        again.close()


def test_copy_of_a_running_platform_loses_nothing_and_doubles_nothing(house, tmp_path):
    for number in range(4):
        house.add(number)
    house.writer.write_once()
    house.add(4)
    found, said = restored(copied(house, tmp_path / "copy"))
    assert found == [0, 1, 2, 3, 4]
    assert said == []


def test_lake_copied_later_than_the_log_keeps_its_rows_and_begins_a_new_epoch(house, tmp_path):
    house.add(0)
    house.writer.write_once()
    found, said = restored(copied(house, tmp_path / "copy", between=range(1, 4)))
    assert found == [0, 1, 2, 3]
    assert said == ["D005"]


def test_older_lake_under_a_newer_log_is_not_started_until_the_log_is_moved_aside(house, tmp_path):
    house.add(0)
    house.writer.write_once()
    old = shutil.copytree(house.root / "lake", tmp_path / "old")
    house.add(1)
    house.writer.write_once()
    copy = copied(house, tmp_path / "copy")
    shutil.rmtree(copy / "lake")
    shutil.copytree(old, copy / "lake")
    with pytest.raises(ProblemsError, match="D006"):
        restored(copy)
    shutil.move(copy / "log", tmp_path / "aside")
    assert restored(copy) == ([0], [])
