"""Keeps tables quick to read: few files, fresh checkpoints, nothing that is no longer needed.

Runs in a process of its own (`python -m isthmus.data.maintain LAKE`), because compaction takes
memory and time that intake and queries should not pay for. Writers and readers go on meanwhile.
"""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
from deltalake import DeltaTable, PostCommitHookProperties, WriterProperties
from deltalake.exceptions import CommitFailedError

from isthmus.data import delta
from isthmus.flow.disk import sync

MANY_FILES: Final = 20
"""In one partition; below it compacting costs more than it saves."""
_COMMITS_PER_CHECKPOINT: Final = 50
_KEEP_HOURS: Final = 7 * 24
_TARGET_BYTES: Final = 128_000_000
_NO_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


@dataclass(frozen=True)
class Maintained:
    """What was done to one table."""

    table: str
    files_before: int
    files_after: int
    checkpoint: bool
    deleted: int
    overtaken: bool = False
    """Somebody replaced rows of a partition meanwhile: it is compacted next time."""


class MaintenanceError(Exception):
    """The maintenance process failed; tables are as they were, only slower to read."""


def run_apart(lake: Path, *, seconds: float = 600.0) -> list[Maintained]:
    """Maintain all tables in a new process and wait for it; call it from a thread."""
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "isthmus.data.maintain", str(lake)],
        check=False, capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip
    # The exit code alone does not count: teardown of the library may abort after success.
    lines = done.stdout.splitlines()
    if not lines or lines[-1] != _DONE:
        raise MaintenanceError(f"maintenance of {lake} failed: {done.stderr.strip()[-2000:]}")
    return [Maintained(**json.loads(line)) for line in lines[:-1]]


_DONE: Final = "done"


def maintain(folder: Path, *, many_files: int = MANY_FILES) -> Maintained:
    """Compact partitions with many files, set a checkpoint, delete what expired; all synced."""
    table = delta.open_table(folder)
    before = len(table.file_uris())
    overtaken = False
    for site, date in _crowded(table, many_files):
        try:
            _compact(table, folder, site, date)
        except CommitFailedError:
            overtaken = True
            table.update_incremental()
    checkpoint = _checkpoint(table, folder)
    deleted = table.vacuum(retention_hours=_KEEP_HOURS, dry_run=False)
    after = len(table.file_uris())
    return Maintained(folder.name, before, after, checkpoint, len(deleted), overtaken)


def _crowded(table: DeltaTable, many: int) -> list[tuple[str, str]]:
    files = pa.table(table.get_add_actions(flatten=True))
    if "partition._date" not in files.column_names:
        return []
    found = Counter(
        zip(
            files["partition._site"].to_pylist(),
            map(str, files["partition._date"].to_pylist()),
            strict=True,
        )
    )
    return sorted(key for key, count in found.items() if count >= many)


def _compact(table: DeltaTable, folder: Path, site: str, date: str) -> None:
    before = table.version()
    table.optimize.compact(
        partition_filters=[("_site", "=", site), ("_date", "=", date)],
        target_size=_TARGET_BYTES,
        writer_properties=WriterProperties(compression="ZSTD"),
        post_commithook_properties=_NO_HOOKS,
    )
    table.update_incremental()
    delta.sync_versions(folder, before + 1, table.version())


def _checkpoint(table: DeltaTable, folder: Path) -> bool:
    log = delta.log_folder(folder)
    pointer = log / "_last_checkpoint"
    last = json.loads(pointer.read_text(encoding="utf-8"))["version"] if pointer.exists() else 0
    if table.version() - last < _COMMITS_PER_CHECKPOINT:
        return False
    table.create_checkpoint()
    for file in (*log.glob(f"{table.version():020}.checkpoint*.parquet"), pointer, log):
        sync(file)
    table.cleanup_metadata()
    return True


def main(lake: Path) -> None:
    for folder in delta.table_folders(lake):
        print(json.dumps(asdict(maintain(folder))))  # noqa: T201 - read by `run_apart`
    print(_DONE, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
