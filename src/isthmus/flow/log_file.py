"""The file of a site's log: who may write it, how it is opened, created, given a new epoch."""

import fcntl
import secrets
import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Final

from isthmus.base.clock import Micros
from isthmus.flow import tally
from isthmus.flow.log_reader import FORMAT, columns, damaged, read_site

_POSITION: Final = """
-- Where a source that is read from a place on (a table, a file, pages) goes on.
CREATE TABLE IF NOT EXISTS position (
    source TEXT PRIMARY KEY, position BLOB NOT NULL
) WITHOUT ROWID
"""


class BusyError(Exception):
    """Another process writes this log."""


class OnlyWriter:
    """A lock that the kernel gives back when the process ends, however it ends."""

    def __init__(self, file: Path) -> None:
        self._stream = file.open("a")
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._stream.close()
            raise BusyError(
                f"{file.stem}: another Isthmus writes this log. Is one running on {file.parent}?"
            ) from None

    def close(self) -> None:
        self._stream.close()


def open_file(file: Path, site: str, now: Micros) -> sqlite3.Connection:
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=30.0)
    try:
        db.execute("PRAGMA page_size = 16384")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_autocheckpoint = 2000")
        db.execute("PRAGMA cache_size = -4000")  # 16 MB were no faster (bench ingest)
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'alive'").fetchone():
            _create(db, site, now)
        db.execute(_POSITION)  # logs of earlier versions have none
        if "thinned" not in columns(db, "count"):
            db.execute("ALTER TABLE count ADD COLUMN thinned INTEGER NOT NULL DEFAULT 0")
        tally.prepare(db)
        for name in {"counted", "replayed"} - columns(db, "quarantine"):
            db.execute(f"ALTER TABLE quarantine ADD COLUMN {name} INTEGER")
        found = read_site(db, file)
    except sqlite3.DatabaseError as error:
        db.close()
        raise damaged(file, str(error)) from error
    if found != site:
        db.close()
        raise damaged(file, f"it is the log of `{found}`, not of `{site}`")
    return db


def _create(db: sqlite3.Connection, site: str, now: Micros) -> None:
    script = files("isthmus.flow").joinpath("tables.sql").read_text(encoding="utf-8")
    db.executescript(
        f"BEGIN IMMEDIATE; {script}"
        f" INSERT INTO meta VALUES ('format', '{FORMAT}'), ('site', '{site}'); COMMIT;"
    )
    db.execute("BEGIN IMMEDIATE")
    mint_epoch(db, "created", now)
    db.execute("COMMIT")


def mint_epoch(db: sqlite3.Connection, why: str, now: Micros) -> str:
    epoch = secrets.token_hex(8)
    given = dict(db.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    db.execute(
        "INSERT INTO epoch VALUES (?, ?, ?, ?, ?)",
        (epoch, given.get("raw", 0) + 1, given.get("rows", 0) + 1, now, why),
    )
    return epoch
