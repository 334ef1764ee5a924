"""The public fault matrix: each row names a test that exists, each fault tested has a row."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "concepts" / "faults.md"
ELSEWHERE = ("runtime/test_platform.py", "flow/test_sqlite_log.py")
NO_FAULTS = {
    "test_pauses_grow_to_half_a_minute_and_no_further",
    "test_budget_holds_over_reconnects",
    "test_pages_open_no_more_connections_than_the_device_has",
    "test_a_page_that_looks_takes_its_requests_from_the_budget_of_the_device",
    "test_a_day_in_half_an_hour_leaves_memory_and_handles_as_they_were",
}


def names_in(file: Path) -> set[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.walk(ast.parse(file.read_text()))
    return {n.name for n in tree if isinstance(n, functions) and n.name.startswith("test_")}


def rows() -> list[list[str]]:
    """Cells of the matrix."""
    table = PAGE.read_text().split("| fault |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in table]


def test_every_row_says_what_is_seen_what_is_lost_and_names_a_test_that_exists():
    here = [names_in(file) for file in sorted(Path(__file__).parent.glob("test_*.py"))]
    known = set().union(*here, *(names_in(TESTS / file) for file in ELSEWHERE))
    for row in rows():
        assert len(row) == 4, row
        assert all(row), row
        named = re.findall(r"`(test_\w+)`", row[3])
        assert named, row
        assert set(named) <= known, row


def test_every_fault_that_is_tested_has_a_row():
    files = sorted(Path(__file__).parent.glob("test_*_faults.py"))
    tested = set().union(*map(names_in, files)) | names_in(Path(__file__).parent / "test_soak.py")
    listed = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    assert tested - NO_FAULTS <= listed
