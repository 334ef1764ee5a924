"""What is checked before a log is trusted again: pages, sequence, checksums of the tail."""

import sqlite3
from pathlib import Path
from typing import Final

from isthmus.flow.contract import Stream
from isthmus.flow.log_reader import damaged
from isthmus.flow.parcel import checksum, signed

_TAIL: Final = 256
"""Parcels per stream whose payload is read again; the writer checks each one it moves anyway."""


def check_integrity(db: sqlite3.Connection, file: Path, site: str) -> None:
    """DamagedError names what is broken and what to do; nothing is repaired."""
    try:
        found = [row[0] for row in db.execute("PRAGMA quick_check(5)")]
        if found != ["ok"]:
            raise damaged(file, "SQLite's quick_check says " + "; ".join(found))
        for stream in ("raw", "rows"):
            _check_tail(db, file, stream)
        _check_unconfirmed(db, file, site)
    except sqlite3.DatabaseError as error:
        raise damaged(file, str(error)) from error


def _check_tail(db: sqlite3.Connection, file: Path, stream: Stream) -> None:
    tail = db.execute(
        f"SELECT seq, checksum, payload FROM {stream} ORDER BY seq DESC LIMIT ?", (_TAIL,)
    )
    for seq, stored, payload in tail:
        if signed(checksum(payload)) != stored:
            raise damaged(file, f"the checksum of {stream} parcel {seq} differs from its payload")


def _check_unconfirmed(db: sqlite3.Connection, file: Path, site: str) -> None:
    """Rows that only this log has must all be here, one after the other."""
    confirmed = db.execute("SELECT confirmed FROM stream WHERE name = 'rows'").fetchone()[0]
    given = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'rows'").fetchone()
    last = given[0] if given else 0
    kept = db.execute("SELECT count(*) FROM rows WHERE seq > ?", (confirmed,)).fetchone()[0]
    if kept != last - confirmed:
        raise damaged(
            file,
            f"{kept} rows parcels of `{site}` are kept after {confirmed}, there should be"
            f" {last - confirmed} (up to {last})",
        )
