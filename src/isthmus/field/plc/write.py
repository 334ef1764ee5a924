"""Generated files into a folder: all of them or none, and never over what somebody else wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from isthmus.base.problem import Problem, ProblemsError
from isthmus.field.plc.findings import error
from isthmus.field.plc.target import File

Outcome = Literal["written", "overwritten", "unchanged"]


@dataclass(frozen=True)
class Written:
    """What became of one file."""

    path: Path
    outcome: Outcome


def write(files: Sequence[File], folder: Path, *, force: bool) -> list[Written]:
    """ProblemsError names every file that is in the way, and then nothing was written."""
    outcomes = {file: _outcome(folder / file.name, file.content) for file in files}
    in_the_way = [file for file, outcome in outcomes.items() if outcome == "overwritten"]
    if in_the_way and not force:
        raise ProblemsError([_in_the_way(folder / file.name) for file in in_the_way])
    folder.mkdir(parents=True, exist_ok=True)
    for file, outcome in outcomes.items():
        if outcome != "unchanged":
            (folder / file.name).write_bytes(file.content)
    return [Written(folder / file.name, outcome) for file, outcome in outcomes.items()]


def _outcome(path: Path, content: bytes) -> Outcome:
    if not path.exists():
        return "written"
    return "unchanged" if path.is_file() and path.read_bytes() == content else "overwritten"


def _in_the_way(path: Path) -> Problem:
    hint = "`--force` overwrites it; or name another folder with `--out`"
    return error("P007", "", f"{path} exists and says something else", hint)
