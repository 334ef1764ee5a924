"""The stored part of a fact table: a Delta table in which whole months of a site are replaced.

Facts are few, so a month is one file (`_date` is its first day): a year of a thousand machines in
daily files would cost more to open than to read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    write_deltalake,
)

from isthmus.base.clock import Micros
from isthmus.data.delta import create, open_table, sync_versions

LogId = tuple[str, str]
"""(site, epoch)."""

_MONTH: Final = ["_site", "_date"]
_HOUR: Final = ["machine", "hour"]
_NO_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""Checkpoints are made, and synced, by maintenance in its own process."""


class FactTable:
    """One writer, many readers. How far it is complete is said in the commits themselves."""

    def __init__(self, folder: Path, schema: pa.Schema, *, writable: bool = True) -> None:
        self._folder = folder
        self._name = folder.name
        self._schema = pa.schema(
            [*schema, pa.field("_site", pa.string()), pa.field("_date", pa.date32())]
        )
        self._table: DeltaTable | None = None
        if DeltaTable.is_deltatable(str(folder)):
            self._table = open_table(folder)
        elif writable:
            self._table = create(folder, self._schema)

    def seen(self, log: LogId) -> int:
        """The last sequence of this log whose rows are in the stored facts; 0 if none."""
        return self._stamp(*log) or 0

    def until(self) -> Micros | None:
        """The moment up to which time has been accounted for; None if never."""
        return self._stamp("", "")

    def sql(self) -> str:
        """What stands behind FROM; empty while nothing is stored."""
        files = self._table.file_uris() if self._table is not None else []
        if not files:
            return ""
        names = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        types = "{'_site': VARCHAR, '_date': DATE}"
        return f"read_parquet([{names}], hive_partitioning = true, hive_types = {types})"

    def replace(self, renewed: pa.Table, seen: Mapping[LogId, int], until: Micros | None) -> None:
        """Put these machine hours in the place of the stored ones, in one synced commit.

        `renewed` has the columns of the facts and `_fact`; a machine hour without a row that is
        a fact is emptied. The commit carries `seen` and `until`.
        """
        if self._table is None:
            raise ValueError(f"{self._folder} was opened for reading")
        if not renewed.num_rows:
            return
        placed = renewed.append_column("_site", renewed["site"]).append_column(
            "_date", pc.floor_temporal(renewed["hour"], unit="month").cast(pa.date32())
        )
        months = placed.group_by(_MONTH).aggregate([])
        kept = _stored(self._table, months).join(
            placed.group_by(_HOUR).aggregate([]), _HOUR, join_type="left anti"
        )
        new = placed.filter(placed["_fact"])
        rows = pa.concat_tables([one.select(self._schema.names) for one in (kept, new)])
        stamps = [Transaction(self._app(*log), seq) for log, seq in seen.items()]
        if until is not None:
            stamps.append(Transaction(self._app("", ""), until))
        self._commit(self._table, rows.cast(self._schema), _predicate(months), stamps)

    def _commit(
        self, table: DeltaTable, rows: pa.Table, where: str, stamps: list[Transaction]
    ) -> None:
        before = table.version()
        write_deltalake(
            table,
            rows,
            mode="overwrite",
            predicate=where,
            commit_properties=CommitProperties(app_transactions=stamps),
            post_commithook_properties=_NO_HOOKS,
        )
        table.update_incremental()
        sync_versions(self._folder, before + 1, table.version())

    def _stamp(self, site: str, epoch: str) -> int | None:
        if self._table is None:
            return None
        return self._table.transaction_version(self._app(site, epoch))

    def _app(self, site: str, epoch: str) -> str:
        return f"{self._name}/{site}/{epoch}"


def _stored(table: DeltaTable, months: pa.Table) -> pa.Table:
    filters: Any = [
        ("_site", "in", set(months["_site"].to_pylist())),
        ("_date", "in", set(months["_date"].to_pylist())),
    ]
    found = table.to_pyarrow_table(filters=filters)
    return found.join(months, _MONTH, join_type="left semi")


def _predicate(months: pa.Table) -> str:
    by_site: dict[str, list[str]] = {}
    for row in months.to_pylist():
        by_site.setdefault(row["_site"], []).append(f"'{row['_date']}'")
    return " OR ".join(
        f"(_site = '{site}' AND _date IN ({', '.join(sorted(found))}))"
        for site, found in sorted(by_site.items())
    )
