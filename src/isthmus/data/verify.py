"""What is checked before a lake is trusted again: every commit, every file, nothing read over."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from isthmus.base.problem import Place, Problem
from isthmus.data.delta import (
    commit_file,
    log_folder,
    open_table,
    read_commit,
    sync_versions,
    synced_version,
    table_folders,
)
from isthmus.flow.disk import sync

_MAGIC: Final = b"PAR1"


def verify(lake: Path) -> list[Problem]:
    """Check every table. Errors are damage; warnings name commits that were taken back.

    A commit beyond the synced mark may be torn by a power cut: nobody relied on it and the log
    still has its rows, so it is moved aside and written again. Anything else stays as it is.
    """
    problems: list[Problem] = []
    for folder in _tables(lake):
        problems += _take_back(folder)
        if log_folder(folder).exists():
            problems += check_table(folder)
    return problems


def _tables(lake: Path) -> list[Path]:
    return table_folders(lake) if lake.exists() else []


def check_table(folder: Path) -> list[Problem]:
    """Only looks. Empty list: every commit is whole and every file it refers to is there."""
    # In this order: a writer may commit, maintenance may clean up, while we look.
    checkpoint, problems = _checkpoint(folder)
    synced = synced_version(folder)
    versions = _versions(folder)
    problems += _holes(folder, versions, checkpoint, synced)
    for version in versions:
        if version > checkpoint or _size(folder, version) == 0:
            problems += _check_commit(folder, version)
    if not problems:
        problems = _check_live_files(folder)
    return problems


def _versions(folder: Path) -> list[int]:
    return sorted(
        int(file.stem) for file in log_folder(folder).glob("*.json") if file.stem.isdigit()
    )


def _size(folder: Path, version: int) -> int:
    return commit_file(folder, version).stat().st_size


def _checkpoint(folder: Path) -> tuple[int, list[Problem]]:
    """Version of the checkpoint readers start from (-1: none), read to be sure that it is whole."""
    pointer = log_folder(folder) / "_last_checkpoint"
    if not pointer.exists():
        return -1, []
    try:
        version = int(json.loads(pointer.read_text(encoding="utf-8"))["version"])
        pq.read_metadata(log_folder(folder) / f"{version:020}.checkpoint.parquet")
    except (ValueError, KeyError, OSError, pa.ArrowException) as error:
        return -1, [_damage(folder, pointer, f"the checkpoint cannot be read ({error})")]
    return version, []


def _holes(folder: Path, versions: list[int], checkpoint: int, synced: int) -> list[Problem]:
    """Commits must follow each other from the checkpoint, or 0, to the last one synced."""
    last = max([*versions, synced, 0])
    return [
        _damage(folder, commit_file(folder, version), f"commit {version} is missing")
        for version in range(checkpoint + 1, last + 1)
        if version not in versions
    ]


def _check_commit(folder: Path, version: int) -> list[Problem]:
    what = _torn(folder, version)
    return [_damage(folder, commit_file(folder, version), what)] if what else []


def _torn(folder: Path, version: int) -> str:
    """What is wrong with one commit by itself; empty if nothing is."""
    try:
        actions = read_commit(folder, version)
    except ValueError:
        return f"commit {version} is not whole: a line of it is not valid JSON"
    if not actions:
        return f"commit {version} is empty"
    return ""


def _check_live_files(folder: Path) -> list[Problem]:
    try:
        actions = pa.table(open_table(folder).get_add_actions(flatten=True))
    except DeltaError as error:
        return [_damage(folder, log_folder(folder), f"the table does not open ({error})")]
    problems = []
    for path, size in zip(
        actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True
    ):
        what = _broken_file(folder / path, size)
        if what:
            problems.append(_damage(folder, folder / path, what))
    return problems


def _broken_file(file: Path, size: int) -> str:
    if not file.exists():
        return "a data file is missing"
    if file.stat().st_size != size:
        return f"a data file has {file.stat().st_size} bytes, its commit says {size}"
    with file.open("rb") as stream:
        stream.seek(-4, 2)
        if stream.read() != _MAGIC:
            return "a data file does not end as Parquet does"
    return ""


def _take_back(folder: Path) -> list[Problem]:
    """Move torn commits beyond the synced mark aside, with everything after the first of them."""
    synced, versions = synced_version(folder), _versions(folder)
    if synced < 0 and versions != [0]:
        return []  # not a creation that was torn: without a mark nothing may be taken back
    loose = [version for version in versions if version > synced]
    torn = next((version for version in loose if _needs_undo(folder, version)), None)
    if torn is None:
        if loose and loose == list(range(synced + 1, loose[-1] + 1)):
            sync_versions(folder, loose[0], loose[-1])
        return []
    undone = [version for version in loose if version >= torn]
    aside = folder.parent / "_torn" / folder.name
    aside.mkdir(parents=True, exist_ok=True)
    for version in undone:
        file = commit_file(folder, version)
        shutil.move(file, aside / file.name)
    sync(log_folder(folder))
    if torn == 0:
        log_folder(folder).rmdir()  # nothing was ever written: the table is created again
    return [_taken_back(folder, undone, aside)]


def _needs_undo(folder: Path, version: int) -> bool:
    if _torn(folder, version):
        return True
    added: Iterator[dict[str, Any]] = (
        action["add"] for action in read_commit(folder, version) if "add" in action
    )
    return any(_broken_file(folder / add["path"], add["size"]) for add in added)


def _taken_back(folder: Path, versions: list[int], aside: Path) -> Problem:
    listed = ", ".join(str(version) for version in versions)
    return Problem(
        code="D002",
        address=f"lake.{folder.name}",
        message=f"commit {listed} was torn before it was synced and has been taken back",
        hint=f"nothing is lost: the log still has its rows and writes them again; see {aside}",
        severity="warning",
    )


def _damage(folder: Path, file: Path, what: str) -> Problem:
    return Problem(
        code="D001",
        address=f"lake.{folder.name}",
        message=f"{what} ({file.relative_to(folder.parent)})",
        place=Place(str(file), 1, 1),
        hint=(
            f"restore {folder.name} from a backup, or move its folder aside: rows that the log"
            " still has are written again, RAW within its horizon can be replayed"
        ),
    )
