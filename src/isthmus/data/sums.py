"""How many samples the lake's rows took in, per source and hour: summed once per file."""

import threading
from collections.abc import Mapping, Sequence
from typing import Final

import duckdb
import pyarrow as pa

from isthmus.data.views import LEDGER_STORED

_SUM: Final = """
SELECT {file} AS file, _source AS source, date_trunc('hour', _received) AS hour,
    sum(_samples)::BIGINT AS samples
FROM {rows} WHERE _samples > 0 GROUP BY ALL
"""
_FILES_AT_ONCE: Final = 500


class SampleSums:
    """Files never change, so neither do their sums."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, pa.Table] = {}

    def table(
        self,
        db: duckdb.DuckDBPyConnection,
        files: Mapping[str, Sequence[str]],
        tail: Mapping[str, Sequence[pa.Table]],
    ) -> pa.Table:
        """One row per file, source and hour, and per tail table, source and hour."""
        with self._lock, db.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            present = [file for listed in files.values() for file in listed]
            self._sums = {file: self._sums[file] for file in present if file in self._sums}
            missing = [file for file in present if file not in self._sums]
            for start in range(0, len(missing), _FILES_AT_ONCE):
                self._add(cursor, missing[start : start + _FILES_AT_ONCE])
            waiting = [_of_tail(cursor, rows) for parts in tail.values() for rows in _joined(parts)]
        return pa.concat_tables([LEDGER_STORED.empty_table(), *self._sums.values(), *waiting])

    def _add(self, db: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
        self._sums |= {file: LEDGER_STORED.empty_table() for file in files}
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        rows = f"read_parquet([{listed}], union_by_name = true, filename = true)"
        found = db.sql(_SUM.format(file="filename", rows=rows)).to_arrow_table()
        by_name: dict[str, list[dict[str, object]]] = {file: [] for file in files}
        for row in found.to_pylist():
            by_name[row.pop("file")].append(row)
        self._sums |= {
            file: pa.Table.from_pylist(sums, schema=LEDGER_STORED)
            for file, sums in by_name.items()
            if sums
        }


def _joined(parts: Sequence[pa.Table]) -> list[pa.Table]:
    return [pa.concat_tables(parts)] if parts else []


def _of_tail(db: duckdb.DuckDBPyConnection, rows: pa.Table) -> pa.Table:
    db.register("waiting", rows)
    found = db.sql(_SUM.format(file="''", rows="waiting")).to_arrow_table()
    db.unregister("waiting")
    return found.select(LEDGER_STORED.names).cast(LEDGER_STORED)
