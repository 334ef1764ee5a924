"""Damaged tables are found at start and never read over; what nobody relied on is taken back."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from isthmus.base.problem import Problem, ProblemsError
from isthmus.data import delta
from isthmus.data.verify import check_table
from isthmus.testing.small_company import House

VERSIONS = 4


@pytest.fixture
def table(house: House) -> Path:
    """A table with four commits of one row each."""
    for number in range(VERSIONS):
        house.add(number)
        house.writer.write_once()
    return house.table


def problems(house: House) -> list[Problem]:
    with pytest.raises(ProblemsError) as caught:
        house.writer.verify()
    return caught.value.problems


def test_a_healthy_table_has_no_problem(house: House, table: Path) -> None:
    assert check_table(table) == []
    assert house.writer.verify() == []


@pytest.mark.parametrize("version", [1, 2, VERSIONS])
def test_an_empty_commit_is_found(house: House, table: Path, version: int) -> None:
    delta.commit_file(table, version).write_bytes(b"")
    (problem, *_) = problems(house)
    assert (problem.code, problem.address) == ("D001", "lake.cycle")
    assert problem.message.startswith(f"commit {version} is empty")
    assert "restore cycle from a backup" in problem.hint


@pytest.mark.parametrize("version", [0, 2, VERSIONS])
def test_half_a_commit_is_found(house: House, table: Path, version: int) -> None:
    file = delta.commit_file(table, version)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    (problem, *_) = problems(house)
    assert problem.message.startswith(f"commit {version} is not whole")


@pytest.mark.parametrize("version", [0, 2, VERSIONS])
def test_a_missing_commit_is_found(house: House, table: Path, version: int) -> None:
    delta.commit_file(table, version).unlink()
    (problem, *_) = problems(house)
    assert problem.message.startswith(f"commit {version} is missing")


def test_a_commit_of_zeros_is_found(house: House, table: Path) -> None:
    file = delta.commit_file(table, 2)
    file.write_bytes(bytes(file.stat().st_size))
    (problem, *_) = problems(house)
    assert problem.message.startswith("commit 2 is not whole")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda file: file.unlink(), "a data file is missing"),
        (lambda file: file.write_bytes(b""), "a data file has 0 bytes"),
        (lambda file: file.write_bytes(file.read_bytes()[:-50]), "its commit says"),
        (lambda file: file.write_bytes(bytes(file.stat().st_size)), "does not end as Parquet"),
    ],
)
def test_a_broken_data_file_is_found(
    house: House, table: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(sorted(table.rglob("*.parquet"))[1])
    (problem,) = problems(house)
    assert said in problem.message
    assert problem.place is not None


def test_a_broken_checkpoint_is_found(house: House, table: Path) -> None:
    delta.open_table(table).create_checkpoint()
    (checkpoint,) = (table / "_delta_log").glob("*.checkpoint.parquet")
    checkpoint.write_bytes(b"PAR1")
    (problem, *_) = problems(house)
    assert "the checkpoint cannot be read" in problem.message


def tear_last(table: Path, content: bytes) -> None:
    """As after a power cut: the last commit was never synced and only part of it is there."""
    delta.commit_file(table, VERSIONS).write_bytes(content)
    (table / "_synced").write_bytes(b"%020d\n" % (VERSIONS - 1))


@pytest.mark.parametrize("content", [b"", b'{"commitInfo"'])
def test_a_torn_commit_that_nobody_relied_on_is_taken_back_and_named(
    house: House, table: Path, content: bytes
) -> None:
    tear_last(table, content)
    # The log was not told either: its watermark is where the last synced commit was.
    house.log._db.execute("UPDATE stream SET confirmed = 3 WHERE name = 'rows'")
    (problem,) = house.writer.verify()
    assert (problem.code, problem.severity) == ("D002", "warning")
    assert delta.open_table(table).version() == VERSIONS - 1
    assert (table.parent / "_torn" / "cycle" / delta.commit_file(table, VERSIONS).name).exists()


def test_a_commit_whose_files_never_reached_the_disk_is_taken_back(
    house: House, table: Path
) -> None:
    last = json.loads(delta.commit_file(table, VERSIONS).read_text().splitlines()[1])
    (table / last["add"]["path"]).write_bytes(b"")
    (table / "_synced").write_bytes(b"%020d\n" % (VERSIONS - 1))
    house.log._db.execute("UPDATE stream SET confirmed = 3 WHERE name = 'rows'")
    assert [problem.code for problem in house.writer.verify()] == ["D002"]
    assert house.lake.query("SELECT count(*) AS n FROM cycle")["n"].to_pylist() == [3]


def test_a_whole_commit_beyond_the_mark_stays(house: House, table: Path) -> None:
    (table / "_synced").write_bytes(b"%020d\n" % (VERSIONS - 1))
    assert house.writer.verify() == []
    assert delta.synced_version(table) == VERSIONS


def test_without_a_mark_nothing_is_taken_back(house: House, table: Path) -> None:
    (table / "_synced").unlink()
    delta.commit_file(table, VERSIONS).write_bytes(b"")
    (problem, *_) = problems(house)
    assert problem.code == "D001"


@pytest.mark.parametrize("content", [b"", b'{"commitInfo"'])
@pytest.mark.parametrize("version", [0, 2, VERSIONS])
def test_no_query_reads_over_the_damage_either(
    house: House, table: Path, make_house: Callable[..., House], version: int, content: bytes
) -> None:
    delta.commit_file(table, version).write_bytes(content)
    reader = make_house()
    with pytest.raises(ProblemsError, match=f"commit {version} is"):
        reader.numbers()
    assert reader.lake.query("SELECT * FROM gap").num_rows == 0
