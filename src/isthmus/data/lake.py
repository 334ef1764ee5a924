"""Answers SQL over the tables' files united with the tail: exact, and fresh with every append.

A query sees one moment: what the logs held when it began. Per table and epoch, rows up to the
table's transaction version come from its files and those after it from the log, so no row is
missing or twice while the writer commits.
"""

import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.problem import Problem
from isthmus.data.catalog import catalog
from isthmus.data.restricted import Limits, run_restricted
from isthmus.data.small import SmallTables, scan
from isthmus.data.stored import StoredTable
from isthmus.data.sums import SampleSums
from isthmus.data.tail import Tail
from isthmus.data.views import (
    EVER,
    LEDGER,
    LEDGER_COUNT,
    Window,
    dimensions,
    gap_table,
    needed,
    quarantine_table,
    since_table,
    valid_versions,
)
from isthmus.flow.contract import Failure
from isthmus.flow.log_reader import LogReader, LogView
from isthmus.flow.parcel import TIME
from isthmus.model.plant import Plant

Params = Mapping[str, object]

_RENEW: Final = 500
"""Queries of one DuckDB. It keeps a note of every block of memory that a query had, and looks them
through when there are some ten thousand of each kind: tens of megabytes."""
# It means well: our answers are small, the copy costs less than binding the statement again.
warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)

_QUARANTINED: Final = 100_000
"""The newest ones of each site; how many there were at all is in the ledger."""
_COUNTS: Final = "ledger_count"
_SUMS: Final = "ledger_stored"
_SINCE: Final = "ledger_since"
_LOG_TABLES: Final = ("gap", "quarantine", _COUNTS, _SUMS, _SINCE)


@dataclass(frozen=True)
class Moment:
    """What one query reads: for each name, files and rows in memory, or SQL over others."""

    order: list[str]
    files: Mapping[str, list[str]]
    memory: Mapping[str, pa.Table]
    sql: Mapping[str, str]

    def create(self, db: duckdb.DuckDBPyConnection) -> None:
        """Make the names known to this connection alone."""
        for name in self.order:
            if name in self.sql:
                db.execute(f'CREATE TEMP VIEW "{name}" AS {self.sql[name]}')
            elif self.files.get(name):
                db.register(f"{name}__tail", self.memory[name])
                db.execute(f'CREATE TEMP VIEW "{name}" AS {_united(name, self.files[name])}')
            else:
                db.register(name, self.memory[name])


def _united(name: str, files: Sequence[str]) -> str:
    return f'SELECT * FROM "{name}__tail" UNION ALL BY NAME SELECT * FROM {scan(files)}'


@dataclass
class _Now:
    """The lake and the logs at one moment."""

    tail: dict[str, list[pa.Table]] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)
    views: list[LogView] = field(default_factory=list)


class Lake:
    """Safe to call from threads. Only reads: files, logs, and what is registered in memory."""

    def __init__(self, folder: Path, logs: Mapping[str, LogReader], plant: Plant) -> None:
        self._folder = folder
        self._logs = dict(logs)
        self._lock = threading.RLock()
        self._idle = threading.Condition()
        self._queries = 0
        self._asked = 0
        self._stored: dict[str, StoredTable] = {}
        self._registered: dict[str, pa.Table] = {}
        self._defined: dict[str, str] = {"ledger": LEDGER}
        self._sums = SampleSums()
        self._small = SmallTables()
        folder.mkdir(parents=True, exist_ok=True)
        self._db = _connect(folder)
        self.adopt(plant)

    def adopt(self, plant: Plant) -> None:
        """Take over a changed model."""
        with self._lock:
            self._plant = plant
            self._schemas = catalog(self._folder, plant)
            self._tails = {site: Tail(self._schemas) for site in self._logs}
            self._dimensions = dimensions(plant)
            self._stored = {
                name: self._stored.get(name) or StoredTable(self._folder / name)
                for name in self._schemas
            }
            versions = {
                name: valid_versions(schema) for name, schema in self._schemas.items() if schema.key
            }
            self._versions = versions

    def register(self, name: str, table: pa.Table) -> None:
        """Make a table in memory known to SQL, in place of one of that name."""
        with self._lock:
            self._registered[name.lower()] = table

    def define(self, name: str, sql: str) -> None:
        """Make a view known to SQL; it may use every other name."""
        with self._lock:
            self._defined[name.lower()] = sql

    def query(self, sql: str, params: Params | None = None, *, ledger: Window = EVER) -> pa.Table:
        """For our own SQL; `$name` in the text is `params["name"]`.

        `ledger`: of the ledger, only hours that begin in there; who asks for a window gives it,
        because counts of years take long to read.
        """
        moment = self.moment(sql, ledger)
        with self._working(), self._db.cursor() as db:
            db.execute("SET TimeZone = 'UTC'")
            moment.create(db)
            # `execute` binds a statement once, `sql` twice: a fifth of a large statement's time.
            found = db.execute(sql, dict(params) if params else None).to_arrow_table()
        self._renew_if_due()
        return found

    def user_query(
        self,
        sql: str,
        *,
        max_rows: int = 10_000,
        timeout: float = 10.0,
        memory: str = "512MB",
    ) -> pa.Table:
        """For people's SQL: one SELECT, nothing outside the lake, bounded; RefusedError says why.

        The schema's metadata says `truncated` = `true` if there were more than `max_rows`.
        """
        limits = Limits(max_rows, timeout, memory)
        return run_restricted(sql, self._folder, self.moment(sql).create, limits)

    def problems(self) -> list[Problem]:
        """Rows in the logs that no query can show, because they fit no table."""
        with self._lock:
            self.moment(" ".join(self._schemas))
            return [problem for tail in self._tails.values() for problem in tail.problems]

    def sequences(self) -> pa.Table:
        """`_site, _epoch, first, last, parcels` over all tables: complete if they fit."""
        names = sorted(self._base_names())
        parts = " UNION ALL ".join(f"SELECT DISTINCT _site, _epoch, _seq FROM {n}" for n in names)
        return self.query(
            "SELECT _site, _epoch, min(_seq) AS first, max(_seq) AS last,"
            f" count(DISTINCT _seq) AS parcels FROM ({parts}) GROUP BY ALL ORDER BY ALL"
        )

    def failures(self) -> list[Failure]:
        """Samples that are RAW alone because shaping them failed."""
        return [failure for log in self._logs.values() for failure in log.failures()]

    def close(self) -> None:
        """Waits for queries under way in other threads; they could not go on."""
        with self._idle:
            self._idle.wait_for(lambda: not self._queries)
            self._asked = 0  # nothing is due any more
            self._db.close()

    def _renew_if_due(self) -> None:
        """While many threads ask at once it waits for a moment in which none does."""
        if self._asked < _RENEW:
            return
        with self._lock, self._idle:
            if self._asked >= _RENEW and not self._queries:
                self._db.close()
                self._db = _connect(self._folder)
                self._asked = 0

    @contextmanager
    def _working(self) -> Iterator[None]:
        with self._idle:
            self._queries += 1
            self._asked += 1
        try:
            yield
        finally:
            with self._idle:
                self._queries -= 1
                self._idle.notify_all()

    # One moment -----------------------------------------------------------------------------

    def moment(self, sql: str, ledger: Window = EVER) -> Moment:
        """What this query needs, as of now."""
        with self._lock:
            definitions = self._definitions()
            base = self._base_names()
            memory = {**self._dimensions, **self._registered}
            known = {*definitions, *base, *memory, *_LOG_TABLES}
            order = needed(sql, known, definitions)
            tables_read = {base[name] for name in order if name in base}
            if _SUMS in order:
                tables_read |= {name for name in self._schemas if name in self._stored}
            with self._now(sorted(tables_read)) as now:
                memory |= self._log_tables(order, now, ledger)
                files = {}
                for name in order:
                    if name in base and name not in definitions and name not in memory:
                        files[name], memory[name] = self._read(base[name], now)
            used = {name: memory[name] for name in order if name not in definitions}
            return Moment(
                order, files, used, {n: definitions[n] for n in order if n in definitions}
            )

    def _definitions(self) -> dict[str, str]:
        defined = {**self._versions, **self._defined}
        return {name: sql for name, sql in defined.items() if name not in self._registered}

    def _base_names(self) -> dict[str, str]:
        """SQL name → lake table; the table of an entity is its history."""
        return {
            f"{name}_history" if schema.key else name: name
            for name, schema in self._schemas.items()
        }

    @contextmanager
    def _now(self, names: Sequence[str]) -> Iterator[_Now]:
        """Logs first, tables second: whatever a table does not have yet, the tail has.

        If a table is meanwhile ahead of the log's moment, both are looked at again.
        """
        with ExitStack() as stack:
            while True:
                now = _Now(views=[stack.enter_context(log.view()) for log in self._logs.values()])
                for view in now.views:
                    self._tails[view.site].load(view)
                if self._read_tables(names, now):
                    yield now
                    return
                stack.close()

    def _read_tables(self, names: Sequence[str], now: _Now) -> bool:
        for name in names:
            stored = self._stored[name]
            stored.refresh()
            now.files[name] = list(stored.files)
            now.tail[name] = []
            for view in now.views:
                tail = self._tails[view.site]
                committed = stored.committed(view.site, tail.epochs)
                if committed.get(tail.epoch, 0) > view.last("rows"):
                    return False
                now.tail[name] += tail.rows(name, committed)
        return True

    def _read(self, name: str, now: _Now) -> tuple[list[str], pa.Table]:
        """What is left in files, and what is in memory."""
        files, tail = now.files[name], self._tail_table(name, now)
        small = self._small.rows(self._db, name, files) if files else None
        if small is None:
            return files, tail
        return [], pa.concat_tables([tail, small], promote_options="permissive")

    def _tail_table(self, name: str, now: _Now) -> pa.Table:
        schema = self._schemas[name].schema
        return pa.concat_tables([schema.empty_table(), *now.tail[name]])

    def _log_tables(self, order: Sequence[str], now: _Now, ledger: Window) -> dict[str, pa.Table]:
        found = {}
        if "gap" in order:
            found["gap"] = gap_table(
                (view.site, gap) for view in now.views for gap in view.gaps(*EVER)
            )
        if "quarantine" in order:
            found["quarantine"] = quarantine_table(
                (view.site, one)
                for view in now.views
                for one in view.quarantined(*EVER, _QUARANTINED)
            )
        if _SINCE in order:
            found[_SINCE] = since_table((view.site, view.counted_since()) for view in now.views)
        if _COUNTS in order:
            found[_COUNTS] = _count_table(now.views, ledger)
        if _SUMS in order:
            # The ledger compares both: bounded alike, or all that is stored would be too much.
            found[_SUMS] = _within(self._sums.table(self._db, now.files, now.tail), ledger)
        return found


def _within(sums: pa.Table, window: Window) -> pa.Table:
    start, end = (pa.scalar(bound, TIME) for bound in window)
    return sums.filter((pc.field("hour") >= start) & (pc.field("hour") < end))


def _count_table(views: Sequence[LogView], window: Window) -> pa.Table:
    counts = [(view.site, view.count_table(*window)) for view in views]
    return pa.concat_tables(
        [
            LEDGER_COUNT.empty_table(),
            *(
                one.append_column("site", pa.repeat(site, one.num_rows)).cast(LEDGER_COUNT)
                for site, one in counts
            ),
        ]
    )


def _connect(folder: Path) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect(config={"threads": 2})
    db.execute("SET python_enable_replacements = false")
    db.execute("SET autoinstall_known_extensions = false")
    db.execute("SET autoload_known_extensions = false")
    db.execute("SET temp_directory = ''")
    db.execute("SET parquet_metadata_cache = true")
    db.execute("SET allowed_directories = [$folder]", {"folder": str(folder.resolve())})
    db.execute("SET enable_external_access = false")
    return db
