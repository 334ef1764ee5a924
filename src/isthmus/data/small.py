"""Rows of small tables, decoded once and kept: their files never change.

Binding a query over many small files costs more than answering it. A table that has grown large is
read from its files again, where filters skip most of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

MOST_BYTES: Final = 4_000_000
"""Of a table's files; some hundred thousand rows."""
MOST_HELD: Final = 32_000_000
"""Of all rows in memory, where they take about eight times what they take in files."""


@dataclass(frozen=True)
class _Held:
    files: frozenset[str]
    size: int
    """Bytes of the files."""
    rows: pa.Table | None
    """None: too large."""

    @property
    def in_memory(self) -> int:
        return self.rows.nbytes if self.rows is not None else 0


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
            size = sum(Path(file).stat().st_size for file in files)
            self._held[name] = _Held(wanted, size, _read(db, held, files, size))
            self._make_room()
        return self._held[name].rows

    def _make_room(self) -> None:
        """The largest table goes first, and is not tried again unless it shrinks."""
        while sum(held.in_memory for held in self._held.values()) > MOST_HELD:
            name = max(self._held, key=lambda name: self._held[name].in_memory)
            self._held[name] = replace(self._held[name], rows=None)


def _read(
    db: duckdb.DuckDBPyConnection, held: _Held | None, files: Sequence[str], size: int
) -> pa.Table | None:
    was_too_large = held is not None and held.rows is None and held.size <= size
    if size > MOST_BYTES or was_too_large:
        return None
    # A commit adds a file; only compaction and a first look read the others.
    added = held is not None and held.rows is not None and held.files <= set(files)
    known = held.files if held is not None and added else frozenset()
    new = _decoded(db, [file for file in files if file not in known])
    before = held.rows if held is not None and added else new.slice(0, 0)
    # Combined they take what they need; DuckDB's own buffers hold up to four times that.
    return pa.concat_tables([before, new], promote_options="permissive").combine_chunks()


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
