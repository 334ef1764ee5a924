"""One folder per problem code: what a person reads when it happens."""

from pathlib import Path

import pytest

from isthmus.model.catalogue import CATALOGUE
from isthmus.model.load import read
from isthmus.model.report import report

from .fakes import ENV, KINDS

FOLDERS = sorted(path.parent for path in (Path(__file__).parent / "golden").rglob("expected.txt"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_problem_reads_as_reviewed(folder: Path, *, golden: bool):
    told = report(read(folder, KINDS, ENV).problems, "text") + "\n"
    expected = folder / "expected.txt"
    if golden:
        expected.write_text(told, encoding="utf-8")
    assert told == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_golden_folder_shows_the_code_it_is_named_after(folder: Path):
    code = folder.name.partition("_")[0]
    severity = CATALOGUE[code].severity
    assert f"{severity}[{code}]" in (folder / "expected.txt").read_text(encoding="utf-8")


def test_every_code_has_a_golden_folder():
    assert {folder.name.partition("_")[0] for folder in FOLDERS} == set(CATALOGUE)
