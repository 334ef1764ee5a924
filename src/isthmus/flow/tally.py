"""The ledger's counts in a log: those of few tags are added at once, those of many wait a while.

A parcel of thousands of tags would change thousands of rows of `count`. Instead its counts become
one row of `tally`, and what waits there is added to `count` together. Both happen in transactions
of the parcels that are counted, and whoever reads counts sees the sum of both.
"""

import sqlite3
from typing import Final

import pyarrow as pa

from isthmus.flow.parcel import (
    COUNTED,
    Counts,
    DamagedError,
    checksum,
    decode,
    encode,
    signed,
)

FEW: Final = 64
"""So many rows are changed as fast as one is written that holds them all."""
WAITING: Final = 64
"""Rows of `tally` at most, before they are added to `count`."""

TABLE: Final = """
-- Counts that are not yet added to `count`: one Arrow IPC stream per parcel, lz4.
CREATE TABLE IF NOT EXISTS tally (
    id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, payload BLOB NOT NULL
)
"""

_KEY: Final = ["hour", "source", "tag"]
_ADD: Final = f"""
INSERT INTO count (hour, source, tag, {", ".join(COUNTED)})
VALUES (?, ?, ?, {", ".join("?" * len(COUNTED))})
ON CONFLICT (hour, source, tag) DO UPDATE SET
    {", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTED)}
"""

Row = tuple[int, str, str, *tuple[int, ...]]
"""Hour, source, tag, and what was counted of it in the order of COUNTED."""


def add(db: sqlite3.Connection, counts: Counts) -> None:
    """Inside a transaction of the caller's."""
    if len(counts) <= FEW:
        _add(db, counts.table)
        return
    payload = encode(counts.table)
    values = (signed(checksum(payload)), payload)
    number = db.execute("INSERT INTO tally (checksum, payload) VALUES (?, ?)", values).lastrowid
    if number is not None and number >= WAITING:
        settle(db)


def settle(db: sqlite3.Connection) -> None:
    """Add to `count` what waits; inside a transaction of the caller's."""
    found = _waiting(db)
    if found is not None:
        _add(db, found)
        db.execute("DELETE FROM tally")


def waiting(db: sqlite3.Connection) -> list[Row]:
    """What readers must add to what stands in `count`; a row per hour, source and tag."""
    found = _waiting(db) if _is_known(db) else None
    return [] if found is None else _rows(found)


def _waiting(db: sqlite3.Connection) -> pa.Table | None:
    found = db.execute("SELECT id, checksum, payload FROM tally").fetchall()
    for number, stored, payload in found:
        if signed(checksum(payload)) != stored:
            raise DamagedError(f"the checksum of counts {number} that wait to be added differs")
    if not found:
        return None
    whole = pa.concat_tables([decode(payload) for *_, payload in found])
    sums = whole.group_by(_KEY, use_threads=False).aggregate([(name, "sum") for name in COUNTED])
    return sums.rename_columns([*_KEY, *COUNTED])


def _is_known(db: sqlite3.Connection) -> bool:
    """A log that an earlier version wrote, and nobody has opened since, has no such table."""
    return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'tally'").fetchone())


def _add(db: sqlite3.Connection, counts: pa.Table) -> None:
    db.executemany(_ADD, _rows(counts))


def _rows(counts: pa.Table) -> list[Row]:
    columns = (counts[name].to_pylist() for name in (*_KEY, *COUNTED))
    return list(zip(*columns, strict=True))
