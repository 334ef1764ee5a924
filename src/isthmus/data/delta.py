"""Delta tables on a local disk: created before written, widened safely, synced by name.

deltalake does not sync what it writes and does not enforce transaction identifiers, so both are
done here. `synced` remembers up to which version a table is known to be on the disk: what is
broken beyond it was never relied on, what is broken up to it is damage.
"""

import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.transaction import AddAction, RemoveAction

from isthmus.data.tables import PARTITION
from isthmus.flow.disk import make_folder, sync
from isthmus.flow.failpoint import reach

_CONFIGURATION: Final = {
    "delta.checkpointInterval": "100",
    "delta.logRetentionDuration": "interval 7 days",
    "delta.deletedFileRetentionDuration": "interval 7 days",
}
_NO_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""Checkpoints are made, and synced, by maintenance in its own process."""
_STATISTICS: Final = (pa.types.is_string, pa.types.is_integer, pa.types.is_timestamp)
_LONG: Final = 64


@dataclass(frozen=True)
class Stamp:
    """Delta's transaction identifier: `app` has written everything up to `version`."""

    app: str
    version: int


def app_id(table: str, site: str, epoch: str) -> str:
    return f"{table}/{site}/{epoch}"


def open_table(folder: Path) -> DeltaTable:
    return DeltaTable(folder)


def log_folder(table: Path) -> Path:
    return table / "_delta_log"


def commit_file(table: Path, version: int) -> Path:
    return log_folder(table) / f"{version:020}.json"


def table_folders(lake: Path) -> list[Path]:
    return sorted(log.parent for log in lake.glob("*/_delta_log"))


def create(folder: Path, schema: pa.Schema) -> DeltaTable:
    """Create an empty table, on the disk when this returns."""
    make_folder(folder.parent)
    names = [name for name in PARTITION if name in schema.names]
    table = DeltaTable.create(
        folder, schema, partition_by=names, configuration=_CONFIGURATION, name=folder.name
    )
    sync(folder.parent)
    sync(folder)
    sync_versions(folder, 0, table.version())
    sync(folder)  # the mark itself is new
    return table


def append(
    table: DeltaTable, folder: Path, rows: pa.Table, stamp: Stamp, *, compression: str = "snappy"
) -> None:
    """Put files, then commit them through this handle: a stale handle is refused by Delta.

    Everything is on the disk when this returns. `rows` must have the table's schema.
    """
    before = table.version()
    actions: list[AddAction | RemoveAction] = [
        _put(folder, part, compression) for part in _partitions(rows)
    ]
    reach("put.after")
    reach("commit.before")
    table.create_write_transaction(
        actions,
        "append",
        table.schema(),
        list(PARTITION),
        commit_properties=CommitProperties(
            app_transactions=[Transaction(stamp.app, stamp.version)]
        ),
        post_commithook_properties=_NO_HOOKS,
    )
    reach("commit.after")
    table.update_incremental()
    sync_versions(folder, before + 1, table.version())
    reach("sync.after")


def sync_versions(folder: Path, first: int, last: int) -> None:
    """Sync these commits with all they refer to, whoever made them, and remember that."""
    folders = {log_folder(folder)}
    for version in range(first, last + 1):
        for action in read_commit(folder, version):
            if "add" in action:
                file = folder / action["add"]["path"]
                sync(file)
                folders |= {parent for parent in file.parents if folder in parent.parents}
        sync(commit_file(folder, version))
    for touched in sorted(folders):
        sync(touched)
    sync(folder)
    _remember(folder, last)


def read_commit(folder: Path, version: int) -> list[dict[str, Any]]:
    """A commit's actions; ValueError if it is not valid JSON, one object per line."""
    text = commit_file(folder, version).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def synced_version(folder: Path) -> int:
    """Up to which version the table is known to be on the disk; -1 if nothing is known.

    The mark is empty where the power went while the table was being created.
    """
    mark = folder / "_synced"
    digits = mark.read_bytes().strip() if mark.exists() else b""
    return int(digits) if digits.isdigit() else -1


def _remember(folder: Path, version: int) -> None:
    """In place: twenty digits are one sector, so the number is the old or the new one."""
    handle = os.open(folder / "_synced", os.O_CREAT | os.O_WRONLY, 0o644)
    try:
        os.pwrite(handle, b"%020d\n" % version, 0)
        os.fsync(handle)
    finally:
        os.close(handle)


def _partitions(rows: pa.Table) -> Iterator[pa.Table]:
    """One table per site and date, in the order of the rows."""
    keys = rows.select(list(PARTITION)).group_by(list(PARTITION)).aggregate([])
    for key in keys.to_pylist():
        if keys.num_rows == 1:
            yield rows
            return
        mask = pc.and_(*(pc.equal(rows[name], pa.scalar(key[name])) for name in PARTITION))
        yield rows.filter(mask)


def _put(folder: Path, rows: pa.Table, compression: str) -> AddAction:
    values = {name: str(rows[name][0].as_py()) for name in PARTITION}
    place = "/".join(f"{name}={value}" for name, value in values.items())
    path = f"{place}/part-{time.time_ns():020}-{secrets.token_hex(4)}.parquet"
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    content = rows.drop_columns(list(PARTITION))
    pq.write_table(content, file, compression=compression, store_schema=False)
    sync(file)
    return AddAction(
        path=path,
        size=file.stat().st_size,
        partition_values=values,
        modification_time=time.time_ns() // 1_000_000,
        data_change=True,
        stats=_stats(content),
    )


def _stats(rows: pa.Table) -> str:
    """Delta's file statistics: engines skip files by them."""
    least: dict[str, Any] = {}
    most: dict[str, Any] = {}
    for field in rows.schema:
        if any(known(field.type) for known in _STATISTICS):
            limits = pc.min_max(rows[field.name]).as_py()
            if limits["min"] is not None:
                least[field.name] = _bound(limits["min"])
                most[field.name] = _bound(limits["max"], above="\U0010ffff")
    nulls = {name: rows[name].null_count for name in rows.column_names}
    return json.dumps(
        {"numRecords": rows.num_rows, "minValues": least, "maxValues": most, "nullCount": nulls}
    )


def _bound(value: Any, above: str = "") -> Any:
    """A long text is cut; `above` keeps the cut one not less than any of the values."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, str) and len(value) > _LONG:
        return value[: _LONG - 1] + above
    return value
