"""The ledger's counts in a log: those of many tags are summed up over the hour in one row.

A parcel of thousands of tags would change thousands of rows of `count`. Instead the sums of its
source and hour are one row of `sums`, which becomes rows of `count` when the next hour begins.
Both happen in transactions of the parcels that are counted, and who reads counts sees both.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import Micros
from isthmus.flow.parcel import (
    COUNTED,
    COUNTS_SCHEMA,
    Counts,
    DamagedError,
    checksum,
    decode,
    encode,
    signed,
)

FEW: Final = 64
"""So many rows of `count` are changed as fast as the one that holds all sums."""

_WAITING: Final = """
-- Sums of the hour that are not yet in `count`: one Arrow IPC stream per source, lz4.
CREATE TABLE IF NOT EXISTS sums (
    source TEXT PRIMARY KEY, checksum INTEGER NOT NULL, payload BLOB NOT NULL
)
"""

_SINCE: Final = """
-- The first hour in which a source was counted. The trigger also works for an earlier version.
CREATE TABLE since (source TEXT PRIMARY KEY, hour INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO since SELECT source, min(hour) FROM count GROUP BY source;
CREATE TRIGGER since_when AFTER INSERT ON count
WHEN NOT EXISTS (SELECT 1 FROM since WHERE source = new.source AND hour <= new.hour)
BEGIN
    INSERT INTO since VALUES (new.source, new.hour)
    ON CONFLICT (source) DO UPDATE SET hour = excluded.hour;
END;
"""

_KEY: Final = ["source", "tag", "hour"]
_ROWS: Final = 8192
"""Are Python's at once while they are read: a hundred thousand tags would be tens of megabytes."""
_ADD: Final = f"""
INSERT INTO count (source, tag, hour, {", ".join(COUNTED)})
VALUES (?, ?, ?, {", ".join("?" * len(COUNTED))})
ON CONFLICT (hour, source, tag) DO UPDATE SET
    {", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTED)}
"""

CountRow = tuple[str, str, int, *tuple[int, ...]]
"""The fields of a `Count`."""


def prepare(db: sqlite3.Connection) -> None:
    """Logs of earlier versions lack these tables."""
    db.execute(_WAITING)
    if not _has(db, "since"):
        db.executescript(f"BEGIN IMMEDIATE; {_SINCE} COMMIT;")


def add(db: sqlite3.Connection, source: str, counts: Counts) -> None:
    """What was counted of one source; inside a transaction of the caller's."""
    if len(counts) <= FEW:
        add_at_once(db, counts)
        return
    found = db.execute("SELECT * FROM sums WHERE source = ?", (source,)).fetchone()
    sums = counts.table if found is None else _sum(_sums(*found), counts.table)
    if _is_of_one_hour(sums):
        payload = encode(sums)
        values = (source, signed(checksum(payload)), payload)
        db.execute("INSERT OR REPLACE INTO sums VALUES (?, ?, ?)", values)
    else:
        add_at_once(db, Counts(sums))
        db.execute("DELETE FROM sums WHERE source = ?", (source,))


def add_at_once(db: sqlite3.Connection, counts: Counts) -> None:
    """Counts of any sources; inside a transaction of the caller's."""
    db.executemany(_ADD, rows(counts.table))


def settle(db: sqlite3.Connection) -> None:
    """Leave nothing outside `count`; inside a transaction of the caller's."""
    for row in db.execute("SELECT * FROM sums").fetchall():
        add_at_once(db, Counts(_sums(*row)))
    db.execute("DELETE FROM sums")


def table(rows: sqlite3.Cursor) -> pa.Table:
    """COUNTS_SCHEMA, of a cursor whose rows have these fields."""
    parts = [_columns(some) for some in iter(lambda: rows.fetchmany(_ROWS), [])]
    return pa.concat_tables([COUNTS_SCHEMA.empty_table(), *parts])


def with_waiting(db: sqlite3.Connection, added: pa.Table, start: Micros, end: Micros) -> pa.Table:
    """The counts of `count` from `start` to `end`, by hour, and what is not yet in there."""
    waiting = _waiting(db)
    waiting = waiting.filter((pc.field("hour") >= start) & (pc.field("hour") < end))
    if not waiting.num_rows:
        return added
    # Only the hours of what waits, usually the last one, may have both.
    earlier = pc.sum(pc.less(added["hour"], pc.min(waiting["hour"])), min_count=0).as_py()
    both = added.slice(earlier)
    return pa.concat_tables([added.slice(0, earlier), _sum(both, waiting) if both else waiting])


def since(db: sqlite3.Connection) -> dict[str, Micros]:
    """Per source the first hour of all its counts, whichever way they are kept."""
    first = "since" if _has(db, "since") else "count"
    found = dict(db.execute(f"SELECT source, min(hour) FROM {first} GROUP BY source"))
    waiting = _waiting(db).group_by("source").aggregate([("hour", "min")])
    for source, hour in zip(*(column.to_pylist() for column in waiting.columns), strict=True):
        found[source] = min(hour, found.get(source, hour))
    return found


def rows(counts: pa.Table) -> list[CountRow]:
    """Of a table of COUNTS_SCHEMA."""
    return list(zip(*(column.to_pylist() for column in counts.columns), strict=True))


def _columns(rows: Sequence[CountRow]) -> pa.Table:
    return Counts.of_columns(zip(*rows, strict=True)).table


def _waiting(db: sqlite3.Connection) -> pa.Table:
    found = db.execute("SELECT * FROM sums").fetchall() if _has(db, "sums") else []
    return pa.concat_tables([COUNTS_SCHEMA.empty_table(), *(_sums(*row) for row in found)])


def _has(db: sqlite3.Connection, name: Literal["sums", "since"]) -> bool:
    """A log that an earlier version wrote, and nobody has opened since, has no such table."""
    found = db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,))
    return found.fetchone() is not None


def _sums(source: str, stored: int, payload: bytes) -> pa.Table:
    if signed(checksum(payload)) != stored:
        raise DamagedError(f"the checksum of the counts of `{source}` differs from its payload")
    return decode(payload)


def _sum(before: pa.Table, counts: pa.Table) -> pa.Table:
    if before.select(_KEY).equals(counts.select(_KEY)):  # all tags came again, as most often
        sums = [pc.add(before[name], counts[name]) for name in COUNTED]
        return pa.table([*before.select(_KEY).columns, *sums], schema=COUNTS_SCHEMA)
    whole = pa.concat_tables([before, counts])
    sums = whole.group_by(_KEY, use_threads=False).aggregate([(name, "sum") for name in COUNTED])
    return sums.rename_columns(COUNTS_SCHEMA.names).cast(COUNTS_SCHEMA)


def _is_of_one_hour(counts: pa.Table) -> bool:
    bounds = pc.min_max(counts["hour"]).as_py()
    return bool(bounds["min"] == bounds["max"])
