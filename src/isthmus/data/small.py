"""Rows of small tables, decoded once and kept: their files never change.

Binding a query over many small files costs more than answering it. A table that has grown large is
read from its files again, where filters skip most of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

MOST_BYTES: Final = 4_000_000
"""Of a table's files; some hundred thousand rows."""
MOST_CHUNKS: Final = 32


@dataclass(frozen=True)
class _Held:
    files: frozenset[str]
    rows: pa.Table | None
    """None: too large."""


class SmallTables:
    """Not safe for several threads at once: the lake holds its lock around it."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def rows(
        self, db: duckdb.DuckDBPyConnection, name: str, files: Sequence[str]
    ) -> pa.Table | None:
        """All rows of these files, the files of one version of a table; None if they are many."""
        wanted = frozenset(files)
        held = self._held.get(name)
        if held is None or held.files != wanted:
            held = self._held[name] = _Held(wanted, self._read(db, held, files))
        return held.rows

    def _read(
        self, db: duckdb.DuckDBPyConnection, held: _Held | None, files: Sequence[str]
    ) -> pa.Table | None:
        if sum(Path(file).stat().st_size for file in files) > MOST_BYTES:
            return None
        # A commit adds a file; only compaction and a first look read the others.
        added = held is not None and held.rows is not None and held.files <= set(files)
        known = held.files if held is not None and added else frozenset()
        new = _decoded(db, [file for file in files if file not in known])
        before = [held.rows] if held is not None and added else []
        rows = pa.concat_tables([*before, new], promote_options="permissive")
        many = rows.num_columns and rows.column(0).num_chunks > MOST_CHUNKS
        return rows.combine_chunks() if many else rows


def _decoded(db: duckdb.DuckDBPyConnection, files: Sequence[str]) -> pa.Table:
    with db.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        return cursor.sql(f"SELECT * FROM {scan(files)}").to_arrow_table()


def scan(files: Sequence[str]) -> str:
    """SQL for the files of a lake table; partition columns come from the folders' names."""
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return (
        f"read_parquet([{listed}], union_by_name = true, hive_partitioning = true,"
        " hive_types = {'_site': VARCHAR, '_date': DATE})"
    )
