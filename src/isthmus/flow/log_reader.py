"""The reading half of a site's SQLite log: any number of readers, in any process, at any time."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import pyarrow as pa

from isthmus.base.clock import Micros
from isthmus.flow import tally
from isthmus.flow.contract import Failure, Gap, Stream
from isthmus.flow.parcel import Count, DamagedError, Parcel, Quarantined

FORMAT: Final = "1"
_COUNTS: Final = "received, good, uncertain, bad, unmapped, quarantined, late, shaped"
_QUARANTINED: Final = (
    "source, tag, machine, block, field, device_time, received_time, value, code, reason"
)


@dataclass(frozen=True)
class Epoch:
    """Sequences from `first_raw` and `first_rows` on belong to it, up to the next epoch's."""

    epoch: str
    first_raw: int
    first_rows: int

    def first(self, stream: Stream) -> int:
        return self.first_raw if stream == "raw" else self.first_rows


@dataclass(frozen=True)
class PutAside:
    """One entry of the quarantine."""

    id: int
    counted: bool | None
    """Whether the ledger counts a quarantined sample for it; None: an earlier version wrote it."""
    what: Quarantined


@dataclass(frozen=True)
class QuarantineGroup:
    """Entries of one code, source and tag; the rest is of the newest one."""

    code: str
    source: str
    tag: str
    machine: str
    block: str
    field: str
    value: str
    reason: str
    count: int
    newest: Micros


class LogView:
    """One moment of a log: everything read through it fits together."""

    def __init__(self, db: sqlite3.Connection, site: str) -> None:
        self._db = db
        self.site = site

    def read(self, stream: Stream, after: int, limit: int = 256) -> list[Parcel]:
        return self._parcels(stream, "seq > ?", (after,), limit)

    def _parcels(
        self, stream: Stream, which: str, values: tuple[int | str, ...], limit: int
    ) -> list[Parcel]:
        epochs = self.epochs()
        found = self._db.execute(
            f"SELECT seq, name, payload, checksum, recorded FROM {stream}"
            f" WHERE {which} ORDER BY seq LIMIT ?",
            (*values, limit),
        )
        return [
            Parcel(
                self.site, _epoch_of(epochs, stream, seq), seq, name, payload,
                checksum % 2**64, recorded,
            )
            for seq, name, payload, checksum, recorded in found
        ]  # fmt: skip

    def epochs(self) -> list[Epoch]:
        found = self._db.execute("SELECT epoch, first_raw, first_rows FROM epoch ORDER BY rowid")
        return [Epoch(*row) for row in found]

    def last(self, stream: Stream) -> int:
        """The last sequence ever given, whether its parcel is still kept or not."""
        found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (stream,))
        row = found.fetchone()
        return int(row[0]) if row else 0

    def confirmed(self, stream: Stream) -> int:
        found = self._db.execute("SELECT confirmed FROM stream WHERE name = ?", (stream,))
        return int(found.fetchone()[0])

    def size(self, stream: Stream) -> int:
        """Bytes of all parcels kept."""
        found = self._db.execute("SELECT bytes FROM stream WHERE name = ?", (stream,))
        return int(found.fetchone()[0])

    def state(self, source: str) -> bytes | None:
        found = self._db.execute("SELECT state FROM state WHERE source = ?", (source,)).fetchone()
        return bytes(found[0]) if found else None

    def position(self, source: str) -> bytes | None:
        found = self._db.execute("SELECT position FROM position WHERE source = ?", (source,))
        row = found.fetchone()
        return bytes(row[0]) if row else None

    def last_alive(self) -> dict[str, Micros]:
        return dict(self._db.execute("SELECT source, at FROM alive ORDER BY source"))

    def gaps(self, start: Micros, end: Micros) -> list[Gap]:
        found = self._db.execute(
            'SELECT id, source, start, "end", reason, detail FROM gap'
            ' WHERE start < ? AND ("end" IS NULL OR "end" > ?) ORDER BY start, source',
            (end, start),
        )
        return [Gap(*row) for row in found]

    def running_gaps(self) -> list[Gap]:
        """Of all sources: those that have no end yet."""
        found = self._db.execute(
            'SELECT id, source, start, "end", reason, detail FROM gap'
            ' WHERE "end" IS NULL ORDER BY start, source'
        )
        return [Gap(*row) for row in found]

    def counts(self, start: Micros, end: Micros) -> list[Count]:
        order = [(name, "ascending") for name in ("hour", "source", "tag")]
        return [Count(*row) for row in tally.rows(self.count_table(start, end).sort_by(order))]

    def count_table(self, start: Micros, end: Micros) -> pa.Table:
        """COUNTS_SCHEMA, in no order: a month of tags is half a million of them."""
        thinned = "thinned" if "thinned" in columns(self._db, "count") else "0"
        added = self._db.execute(
            f"SELECT source, tag, hour, {_COUNTS}, {thinned} FROM count"
            " WHERE hour >= ? AND hour < ? ORDER BY hour",
            (start, end),
        )
        return tally.with_waiting(self._db, tally.table(added), start, end)

    def counted_since(self) -> dict[str, Micros]:
        """Per source the first hour that `counts` has of it, without reading them all."""
        return tally.since(self._db)

    def quarantined(self, start: Micros, end: Micros, limit: int = 1000) -> list[Quarantined]:
        """Received in [start, end) and still in quarantine, the newest first."""
        found = self._db.execute(
            f"SELECT {_QUARANTINED} FROM quarantine WHERE {self._unreplayed}"
            " AND received_time >= ? AND received_time < ? ORDER BY id DESC LIMIT ?",
            (start, end, limit),
        )
        return [Quarantined(*row) for row in found]

    def put_aside(self, source: str, start: Micros, end: Micros) -> list[PutAside]:
        """Entries of one source, received in [start, end) and still in quarantine, in order."""
        counted = "counted" if "counted" in columns(self._db, "quarantine") else "NULL"
        found = self._db.execute(
            f"SELECT id, {counted}, {_QUARANTINED} FROM quarantine WHERE {self._unreplayed}"
            " AND source = ? AND received_time >= ? AND received_time < ? ORDER BY id",
            (source, start, end),
        )
        return [
            PutAside(number, None if counts is None else bool(counts), Quarantined(*row))
            for number, counts, *row in found
        ]

    def quarantine_groups(self, start: Micros) -> list[QuarantineGroup]:
        """What is still in quarantine since `start`, by code, source and tag; the most first."""
        # With `max` alone, SQLite takes the other columns from the row that has it.
        found = self._db.execute(
            "SELECT code, source, tag, machine, block, field, value, reason, count(*) AS n,"
            f" max(received_time) FROM quarantine WHERE {self._unreplayed} AND received_time >= ?"
            " GROUP BY code, source, tag ORDER BY n DESC, code, source, tag",
            (start,),
        )
        return [QuarantineGroup(*row) for row in found]

    @property
    def _unreplayed(self) -> str:
        known = "replayed" in columns(self._db, "quarantine")
        return "replayed IS NULL" if known else "true"

    def raw_of(self, source: str, recorded: Micros, after: int, limit: int = 64) -> list[Parcel]:
        """RAW of one source with `seq > after` that was recorded at `recorded` or later."""
        return self._parcels(
            "raw", "seq > ? AND name = ? AND recorded >= ?", (after, source, recorded), limit
        )

    def failures(self) -> list[Failure]:
        found = self._db.execute(
            "SELECT raw, source, samples, recorded, failure FROM failure ORDER BY raw"
        )
        return [Failure(*row) for row in found]


def _epoch_of(epochs: list[Epoch], stream: Stream, seq: int) -> str:
    return next(epoch.epoch for epoch in reversed(epochs) if epoch.first(stream) <= seq)


class LogReader:
    """Opens a log that another process may be writing; every read sees one moment of it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._idle: list[sqlite3.Connection] = []
        self._idle_lock = threading.Lock()
        self._closed = False
        with self._connection() as db:
            self.site = read_site(db, file)

    @property
    def epoch(self) -> str:
        with self.view() as view:
            return view.epochs()[-1].epoch

    @contextmanager
    def view(self) -> Iterator[LogView]:
        with self._connection() as db:
            db.execute("BEGIN")
            try:
                yield LogView(db, self.site)
            finally:
                db.execute("ROLLBACK")

    def read(self, stream: Stream, after: int, limit: int = 256) -> list[Parcel]:
        with self.view() as view:
            return view.read(stream, after, limit)

    def last(self, stream: Stream) -> int:
        with self.view() as view:
            return view.last(stream)

    def confirmed(self, stream: Stream) -> int:
        with self.view() as view:
            return view.confirmed(stream)

    def state(self, source: str) -> bytes | None:
        with self.view() as view:
            return view.state(source)

    def position(self, source: str) -> bytes | None:
        with self.view() as view:
            return view.position(source)

    def gaps(self, start: Micros, end: Micros) -> list[Gap]:
        with self.view() as view:
            return view.gaps(start, end)

    def counts(self, start: Micros, end: Micros) -> list[Count]:
        with self.view() as view:
            return view.counts(start, end)

    def quarantined(self, start: Micros, end: Micros, limit: int = 1000) -> list[Quarantined]:
        with self.view() as view:
            return view.quarantined(start, end, limit)

    def failures(self) -> list[Failure]:
        with self.view() as view:
            return view.failures()

    def epochs(self) -> list[Epoch]:
        with self.view() as view:
            return view.epochs()

    def close(self) -> None:
        with self._idle_lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for db in idle:
            db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Hand a connection to one thread at a time; threads come and go."""
        with self._idle_lock:
            db = self._idle.pop() if self._idle else None
        db = db or _open_readonly(self.file)
        try:
            yield db
        except BaseException as error:
            db.close()
            if type(error) is sqlite3.DatabaseError:  # its subclasses say something else
                raise damaged(self.file, str(error)) from error
            raise
        with self._idle_lock:
            if not self._closed:
                self._idle.append(db)
                return
        db.close()


def _open_readonly(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None,
        check_same_thread=False, timeout=30.0,
    )  # fmt: skip
    db.execute("PRAGMA query_only = ON")
    return db


def read_site(db: sqlite3.Connection, file: Path) -> str:
    meta = dict(db.execute("SELECT key, value FROM meta"))
    if meta.get("format") != FORMAT:
        raise DamagedError(
            f"log {file} has format {meta.get('format')!r}, this version reads {FORMAT!r}."
            " Start it with the version that wrote it."
        )
    return str(meta["site"])


def columns(db: sqlite3.Connection, table: Literal["count", "quarantine"]) -> set[str]:
    """A log that an earlier version wrote, and nobody has opened since, lacks some."""
    return {name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")}


def damaged(file: Path, what: str) -> DamagedError:
    return DamagedError(
        f"log {file}: {what}. Nothing was read over. Restore the file from a backup, or move it"
        " (with its -wal and -shm) aside and start again: a new log begins with a new epoch, rows"
        " that the lake has stay, and the file you moved can still be read for the rest."
    )
