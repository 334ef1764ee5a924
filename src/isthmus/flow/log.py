"""`SqliteLog`: the log of one site in one SQLite file, every append one synced transaction."""

import json
import secrets
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import MINUTE, SECOND, Micros
from isthmus.flow import tally
from isthmus.flow.contract import Full, Gap, OvertakenError, Release, Stream
from isthmus.flow.disk import free_bytes, make_folder, replace_text
from isthmus.flow.failpoint import reach
from isthmus.flow.log_file import BusyError, OnlyWriter, mint_epoch, open_file
from isthmus.flow.log_reader import LogReader, damaged
from isthmus.flow.log_start import check_integrity
from isthmus.flow.parcel import (
    Counts,
    DamagedError,
    Quarantined,
    Rows,
    Shaped,
    checksum,
    encode,
    signed,
)
from isthmus.model.spec.site import Keep

_FORGET: Final = 8
"""Raw parcels forgotten per append at most: a clock that jumps cannot wipe the horizon at once."""
_KEEP_QUARANTINED: Final = 1_000_000

_STREAMS: Final[tuple[Stream, ...]] = ("raw", "rows")
_Parcel = tuple[str, bytes]
"""Name and payload."""
_ALIVE_SQL: Final = """
INSERT INTO alive VALUES (?, ?) ON CONFLICT (source) DO UPDATE SET at = max(at, excluded.at)
"""
_AHEAD: Final = 5 * MINUTE
"""A device clock that is further ahead of ours is not believed."""
_QUARANTINE_SQL: Final = """
INSERT INTO quarantine
    (source, tag, machine, block, field, device_time, received_time, value, code, reason, counted)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

__all__ = ["BusyError", "SqliteLog"]


class SqliteLog(LogReader):
    """The only writer of its file; append returns once the transaction is on disk.

    `DamagedError` at opening says what is broken; `BusyError` that another process writes it.
    `free` tells the free bytes of a folder's disk.
    """

    def __init__(
        self,
        file: Path,
        site: str,
        keep: Keep,
        *,
        now: Micros = 0,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        make_folder(file.parent)
        self._only = OnlyWriter(file.with_suffix(".lock"))
        self._keep = keep
        self._free = free
        self._lock = threading.Lock()
        self._watermark = file.with_suffix(".watermark")
        with ExitStack() as undo:
            undo.callback(self._only.close)
            self._db = open_file(file, site, now)
            undo.callback(self._db.close)
            check_integrity(self._db, file, site)
            super().__init__(file)
            undo.callback(super().close)
            with self.view() as view:
                self._last: dict[Stream, int] = {name: view.last(name) for name in _STREAMS}
            self._epoch = self._current_epoch(now)
            undo.pop_all()

    @property
    def epoch(self) -> str:
        return self._epoch

    def last(self, stream: Stream) -> int:
        return self._last[stream]

    # Intake ---------------------------------------------------------------------------------

    def append(
        self,
        source: str,
        samples: pa.Table | None,
        shaped: Shaped,
        *,
        now: Micros,
        position: bytes | None = None,
    ) -> int:
        raw = _raw_parcels(source, samples)
        rows = _row_parcels(shaped.rows)
        with self._intake() as db:
            seq = self._insert(db, "raw", raw, now)
            self._insert(db, "rows", rows, now)
            _insert_quarantined(db, shaped.quarantined)
            tally.add(db, source, Counts.of(shaped.counts))
            if shaped.state is not None:
                db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (source, shaped.state))
            _keep_position(db, source, position)
            if samples is not None:
                # In the same transaction: after a crash, `unknown` must come after these rows.
                db.execute(_ALIVE_SQL, (source, _heard(samples, now)))
            self._forget(db, now)
        return seq

    def append_raw(
        self,
        source: str,
        samples: pa.Table,
        failure: str,
        *,
        now: Micros,
        position: bytes | None = None,
    ) -> int:
        raw = _raw_parcels(source, samples)
        with self._intake() as db:
            seq = self._insert(db, "raw", raw, now)
            db.execute(
                "INSERT INTO failure VALUES (?, ?, ?, ?, ?)",
                (seq, source, samples.num_rows, now, failure),
            )
            _keep_position(db, source, position)
        return seq

    def append_rows(self, rows: Sequence[Rows], *, now: Micros) -> int:
        parcels = _row_parcels(rows)
        with self._intake() as db:
            return self._insert(db, "rows", parcels, now)

    def release(self, release: Release, *, now: Micros) -> None:
        parcels = _row_parcels(release.rows)
        with self._intake() as db:
            left = db.executemany(
                "UPDATE quarantine SET replayed = ? WHERE id = ? AND replayed IS NULL",
                [(now, one) for one in release.replayed],
            ).rowcount
            shaped = db.executemany(
                "DELETE FROM failure WHERE raw = ?", [(one,) for one in release.failures]
            ).rowcount
            if max(left, 0) + max(shaped, 0) != len(release.replayed) + len(release.failures):
                raise OvertakenError(
                    "what was to be replayed has changed meanwhile, nothing was done: try again"
                )
            db.executemany(
                "UPDATE quarantine SET counted = 0 WHERE id = ?",
                [(one,) for one in release.uncounted],
            )
            reach("release.middle")
            self._insert(db, "rows", parcels, now)
            _insert_quarantined(db, release.quarantined)
            tally.add_at_once(db, Counts.of(release.counts))

    # Gaps -----------------------------------------------------------------------------------

    def alive(self, sources: Iterable[str], now: Micros) -> None:
        with self._transaction() as db:
            db.executemany(_ALIVE_SQL, [(name, now) for name in sources])

    def open_gap(
        self,
        source: str,
        reason: str,
        detail: str,
        *,
        start: Micros,
        now: Micros,
        rows: Sequence[Rows] = (),
    ) -> Gap:
        """As the contract says; a gap of the same reason that is open already goes on."""
        parcels = _row_parcels(rows)
        with self._transaction() as db:
            return self._open_gap(db, Gap("", source, start, None, reason, detail), parcels, now)

    def close_gap(self, source: str, *, end: Micros, now: Micros, reason: str = "") -> None:
        with self._transaction() as db:
            db.execute(
                'UPDATE gap SET "end" = max(start, ?), recorded = ?'
                " WHERE source = ? AND \"end\" IS NULL AND ? IN (reason, '')",
                (end, now, source, reason),
            )
            db.execute("INSERT OR REPLACE INTO alive VALUES (?, ?)", (source, end))

    def recover(self, now: Micros, unknown: Callable[[str, Micros], Sequence[Rows]]) -> list[Gap]:
        """After a stop of any kind: every source that was connected gets a gap from then on.

        `unknown(source, at)` are the rows that say so of its machines; all in one transaction.
        """
        with self.view() as view:
            alive = view.last_alive()
        parcels = {source: _row_parcels(unknown(source, at)) for source, at in alive.items()}
        detail = "the platform was not running"
        with self._transaction() as db:
            return [
                self._open_gap(
                    db, Gap("", source, at, None, "stopped", detail), parcels[source], now
                )
                for source, at in alive.items()
            ]

    def retire(self, known: Collection[str], *, now: Micros) -> list[Gap]:
        with self.view() as view:
            running = [gap for gap in view.running_gaps() if gap.source not in known]
        gone = [
            Gap(
                gap.id, gap.source, gap.start, max(gap.start, now), "removed",
                f"the source is not in the model any more; before: {gap.detail or gap.reason}",
            )
            for gap in running
        ]  # fmt: skip
        if gone:
            with self._transaction() as db:
                db.executemany(
                    'UPDATE gap SET "end" = ?, reason = ?, detail = ?, recorded = ? WHERE id = ?',
                    [(gap.end, gap.reason, gap.detail, now, gap.id) for gap in gone],
                )
        return gone

    def _open_gap(self, db: sqlite3.Connection, gap: Gap, rows: list[_Parcel], now: Micros) -> Gap:
        found = db.execute(
            'SELECT id, start, detail FROM gap WHERE source = ? AND reason = ? AND "end" IS NULL',
            (gap.source, gap.reason),
        ).fetchone()
        db.execute("DELETE FROM alive WHERE source = ?", (gap.source,))
        self._insert(db, "rows", rows, now)
        if found:
            return Gap(found[0], gap.source, found[1], None, gap.reason, found[2])
        opened = Gap(secrets.token_hex(8), gap.source, gap.start, None, gap.reason, gap.detail)
        db.execute(
            "INSERT INTO gap VALUES (?, ?, ?, NULL, ?, ?, ?)",
            (opened.id, opened.source, opened.start, opened.reason, opened.detail, now),
        )
        return opened

    # Keeping and forgetting -----------------------------------------------------------------

    def confirm(self, stream: Stream, seq: int) -> None:
        """Everything up to `seq` is safe elsewhere; its rows parcels may be forgotten now."""
        reach("confirm.before")
        with self._transaction() as db:
            db.execute(
                "UPDATE stream SET confirmed = max(confirmed, ?) WHERE name = ?", (seq, stream)
            )
            if stream == "rows":
                self._delete(db, stream, seq)
        self._write_watermark()
        reach("confirm.after")

    def trim(self, stream: Stream, before: int) -> int:
        """As the contract says, but rows that are not confirmed are never forgotten."""
        with self._transaction() as db:
            return self._delete(db, stream, before - 1)

    def fence(self, why: str, now: Micros) -> str:
        """Begin a new epoch: sequences given so far may have been given before."""
        with self._transaction() as db:
            self._epoch = mint_epoch(db, why, now)
        self._write_watermark()
        return self._epoch

    def _delete(self, db: sqlite3.Connection, stream: Stream, upto: int) -> int:
        if stream == "rows":
            row = db.execute("SELECT confirmed FROM stream WHERE name = 'rows'").fetchone()
            upto = min(upto, row[0])
        freed = db.execute(
            f"SELECT coalesce(sum(bytes), 0) FROM {stream} WHERE seq <= ?", (upto,)
        ).fetchone()[0]
        gone = db.execute(f"DELETE FROM {stream} WHERE seq <= ?", (upto,)).rowcount
        db.execute("UPDATE stream SET bytes = bytes - ? WHERE name = ?", (freed, stream))
        return gone

    def _forget(self, db: sqlite3.Connection, now: Micros) -> None:
        """Drop the oldest RAW beyond the limits of `keep`, a few parcels at a time."""
        size = db.execute("SELECT bytes FROM stream WHERE name = 'raw'").fetchone()[0]
        oldest = db.execute(
            "SELECT seq, recorded, bytes FROM raw ORDER BY seq LIMIT ?", (_FORGET,)
        ).fetchall()
        horizon = now - int(self._keep.age * SECOND)
        upto = 0
        for seq, recorded, length in oldest:
            if recorded >= horizon and size <= self._keep.size_mb * 1_000_000:
                break
            upto, size = seq, size - length
        if upto:
            self._delete(db, "raw", upto)
        db.execute(
            "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?",
            (_KEEP_QUARANTINED,),
        )

    def _current_epoch(self, now: Micros) -> str:
        """The log's epoch, or a new one if the log is shorter than what was once confirmed."""
        with self.view() as view:
            epoch, last = view.epochs()[-1].epoch, view.last("rows")
        if self._watermark.exists():
            known = self._read_watermark()
            if known["epoch"] == epoch and known["rows"] <= last:
                return epoch
            why = f"log ends at {last}, {known['rows']} of epoch {known['epoch']} were confirmed"
            return self.fence(why, now)
        self._epoch = epoch
        self._write_watermark()
        return epoch

    def _read_watermark(self) -> dict[str, Any]:
        try:
            known = json.loads(self._watermark.read_text(encoding="utf-8"))
            return {"epoch": str(known["epoch"]), "rows": int(known["rows"])}
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(self.file, f"its watermark {self._watermark} is broken") from error

    def _write_watermark(self) -> None:
        confirmed: dict[str, int] = {stream: self.confirmed(stream) for stream in _STREAMS}
        mark = {"site": self.site, "epoch": self._epoch, **confirmed}
        replace_text(self._watermark, json.dumps(mark) + "\n")

    def close(self) -> None:
        # An earlier version of Isthmus may open it next, which knows nothing of what waits.
        with suppress(Full, DamagedError, sqlite3.Error), self._transaction() as db:
            tally.settle(db)
        super().close()
        with self._lock:
            self._db.close()
            self._only.close()

    # Transactions ---------------------------------------------------------------------------

    @contextmanager
    def _intake(self) -> Iterator[sqlite3.Connection]:
        free = self._free(self.file.parent) // 1_000_000
        if free < self._keep.free_mb:
            raise Full(
                f"{free} MB are free where the log of `{self.site}` is kept, {self._keep.free_mb}"
                " MB must stay free: intake waits until there is room (`keep.free_mb`)"
            )
        reach("append.before")
        with self._transaction() as db:
            yield db
        reach("append.after")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and synced; Full if SQLite finds no room."""
        with self._lock:
            self._given: dict[Stream, int] = {}
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.DatabaseError):
                    raise self._explained(error) from error
                raise
            self._last = {**self._last, **self._given}  # readers may look only now

    def _explained(self, error: sqlite3.DatabaseError) -> Exception:
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_FULL" or name.startswith("SQLITE_IOERR_WRITE"):
            return Full(f"the disk of the log of `{self.site}` is full: intake waits for room")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return damaged(self.file, str(error))
        return error

    def _insert(
        self, db: sqlite3.Connection, stream: Stream, parcels: list[_Parcel], now: Micros
    ) -> int:
        """Returns the last position given, 0 if there was nothing to write."""
        seq = 0
        for name, payload in parcels:
            values = (name, now, len(payload), signed(checksum(payload)), payload)
            seq = (
                db.execute(
                    f"INSERT INTO {stream} (name, recorded, bytes, checksum, payload)"
                    " VALUES (?, ?, ?, ?, ?)",
                    values,
                ).lastrowid
                or 0
            )
        if parcels:
            total = sum(len(payload) for _, payload in parcels)
            db.execute("UPDATE stream SET bytes = bytes + ? WHERE name = ?", (total, stream))
            self._given[stream] = seq
        return seq


def _raw_parcels(source: str, samples: pa.Table | None) -> list[_Parcel]:
    return [(source, encode(samples))] if samples is not None and samples.num_rows else []


def _heard(samples: pa.Table, now: Micros) -> Micros:
    """When the source was last alive: now, or just after its newest value if its clock is ahead."""
    newest = pc.max(samples["device_time"]).value
    if newest is not None and newest > now + _AHEAD:
        times = samples["device_time"].cast(pa.int64())
        newest = pc.max(times.filter(pc.less_equal(times, now + _AHEAD))).as_py()
    return max(now, newest + 1) if newest is not None else now


def _row_parcels(rows: Sequence[Rows]) -> list[_Parcel]:
    return [(part.name, encode(part.table)) for part in rows if part.table.num_rows]


def _keep_position(db: sqlite3.Connection, source: str, position: bytes | None) -> None:
    if position is not None:
        db.execute("INSERT OR REPLACE INTO position VALUES (?, ?)", (source, position))


def _insert_quarantined(db: sqlite3.Connection, quarantined: Sequence[Quarantined]) -> None:
    db.executemany(
        _QUARANTINE_SQL,
        [
            (
                one.source, one.tag, one.machine, one.block, one.field, one.device_time,
                one.received_time, one.value[:1000], one.code, one.reason, one.counted,
            )
            for one in quarantined
        ],
    )  # fmt: skip
