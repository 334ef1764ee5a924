"""Keeps a fact table up to date: recomputes the dirty hours of a machine, and nothing else.

It knows nothing of what the facts mean: a use case hands in how they are computed and which rows
they depend on (`FactSpec`). Recomputed hours are held in an overlay in memory that hides the same
hours of the stored table, and are written to it from time to time. The stored table remembers up
to which sequence of every log it is complete, in the commit itself: after a crash everything
newer is dirty again.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import DAY, HOUR, MINUTE, Micros, to_datetime, to_micros
from isthmus.data.fact_table import FactTable, LogId
from isthmus.data.spans import Spans
from isthmus.flow.parcel import Rows
from isthmus.model.plant import Machine, Plant

Query = Callable[[str, Mapping[str, object] | None], pa.Table]


class FactLake(Protocol):
    """What the keeper needs from a lake."""

    def query(self, sql: str, params: Mapping[str, object] | None = None) -> pa.Table: ...

    def register(self, name: str, table: pa.Table) -> None: ...

    def define(self, name: str, sql: str) -> None: ...


class Compute(Protocol):
    """How facts are computed from rows."""

    def __call__(
        self,
        query: Query,
        plant: Plant,
        machines: Sequence[Machine],
        start: Micros,
        end: Micros,
        *,
        now: Micros,
    ) -> pa.Table:
        """Facts of these machines in `[start, min(end, now))`; both are whole hours, or `now`."""
        ...


@dataclass(frozen=True)
class Input:
    """Rows of one lake table that facts depend on."""

    table: str
    """As the log names it; also the view in which all its rows (all versions) are found."""
    columns: tuple[str, ...]
    """What `touched` needs to know of a row."""
    touched: str
    """SQL: parameters `$<column>` (lists; times in microseconds) and `$now`; answers the columns
    `machine, s, e`, the time in microseconds for which facts may be others than before."""
    history: str = ""
    """View with all versions, if it is not called `table`."""
    live: str = ""
    """Time column: a row in the running hour needs no question, that hour is computed anyway."""

    @property
    def rows(self) -> str:
        return self.history or self.table


@dataclass(frozen=True)
class FactSpec:
    """A fact table: one row per machine × hour × whatever else the use case cuts by."""

    name: str
    schema: pa.Schema
    """With the columns `machine`, `site` and `hour`."""
    inputs: tuple[Input, ...]
    compute: Compute
    reach: Micros = 60 * DAY
    """Hours older than this are not computed again: the calendar is laid out no further back."""


@dataclass
class Refreshed:
    """What one round did."""

    hours: int = 0
    """Machine hours computed."""
    out_of_reach: int = 0
    """Dirty machine hours that were too old to be computed again."""


@dataclass
class _Work:
    """What must be computed, and why it cannot be lost."""

    spans: dict[str, Spans] = field(default_factory=dict)

    def add(self, machine: str, start: Micros, end: Micros) -> None:
        self.spans.setdefault(machine, Spans()).add(start, end)


class FactKeeper:
    """Owns one fact table. `take` may be called from any thread; one thread at a time refreshes."""

    PERSIST_EVERY: Final = 10 * MINUTE

    def __init__(
        self,
        lake: FactLake,
        spec: FactSpec,
        plant: Plant,
        folder: Path,
        *,
        writable: bool = True,
    ) -> None:
        """`folder` is where the stored table is, or will be.

        Not `writable`: what the stored table lacks is computed and kept in memory only.
        """
        self._lake = lake
        self._spec = spec
        self._plant = plant
        self._arrived: deque[Rows] = deque()
        self._dirty = _Work()
        self._overlay = _empty_overlay(spec)
        self._lock = Lock()
        self._writable = writable
        self._table = FactTable(folder, spec.schema, writable=writable)
        self._until = self._table.until()
        self._persisted = self._until
        self._checked = False
        self._show()

    # Telling it what changed ----------------------------------------------------------------

    def take(self, rows: Sequence[Rows]) -> None:
        """These rows were appended to a log and can be queried."""
        self._arrived.extend(rows)

    def touch(self, machines: Iterable[str], start: Micros, end: Micros) -> None:
        """Facts of these machines in `[start, end)` may be others than before."""
        with self._lock:
            for machine in machines:
                self._dirty.add(machine, start, end)

    def adopt(self, plant: Plant, now: Micros) -> None:
        """Another model: what machines have, make and when they are planned may have changed."""
        before, self._plant = self._plant, plant
        shared = ("materials", "state_categories", "blocks")
        everything = any(getattr(before, name) != getattr(plant, name) for name in shared)
        changed = [
            path
            for path, machine in plant.machines.items()
            if everything or before.machines.get(path) != machine
        ]
        self.touch(changed, now - self._spec.reach, now)

    # Keeping up -----------------------------------------------------------------------------

    def refresh(self, now: Micros) -> Refreshed:
        """Compute what is dirty; the running hour always is. Persists every ten minutes."""
        due = self._persisted is None or now - self._persisted >= self.PERSIST_EVERY
        return self._refresh(now, persist=due and self._writable)

    def persist(self, now: Micros) -> Refreshed:
        """Compute what is dirty and write it to the stored table."""
        return self._refresh(now, persist=True)

    def close(self, now: Micros | None = None) -> None:
        """Write what is known; without `now`, up to the last refresh."""
        moment = self._until if now is None else now
        if moment is not None and self._writable:
            self.persist(moment)

    def _refresh(self, now: Micros, *, persist: bool) -> Refreshed:
        # After a start the rows a crash left behind must be found, whether it is time or not.
        seen = self._find_unseen(now) if persist or not self._checked else {}
        self._checked = True
        self._question_arrived(now)
        self._add_running(now)
        with self._lock:
            work, self._dirty = self._dirty, _Work()
        try:
            done = self._compute(work, now)
        except BaseException:
            self._put_back(work)
            raise
        self._until = now
        if persist:
            self._store(now, seen, now)
            self._persisted = now
        return done

    def _put_back(self, work: _Work) -> None:
        with self._lock:
            for machine, spans in work.spans.items():
                for start, end in spans:
                    self._dirty.add(machine, start, end)

    def _add_running(self, now: Micros) -> None:
        """Time passes for every machine, whether it says something or not."""
        start = self._first(now) if self._until is None else min(self._until, now)
        self.touch(self._plant.machines, start // HOUR * HOUR, now)

    def _first(self, now: Micros) -> Micros:
        """Where the rows begin; nothing was ever computed yet."""
        oldest = []
        for one in self._inputs():
            if one.live:
                sql = f"SELECT min({one.live}) AS t FROM {one.rows}"
                oldest += [row["t"] for row in self._lake.query(sql, None).to_pylist() if row["t"]]
        return max(now - self._spec.reach, min(map(to_micros, oldest), default=now))

    # What rows touch ------------------------------------------------------------------------

    def _inputs(self) -> list[Input]:
        """Those this company has: not every company declares every block."""
        return [one for one in self._spec.inputs if not one.live or one.table in self._plant.blocks]

    def _question_arrived(self, now: Micros) -> None:
        inputs = {one.table: one for one in self._inputs()}
        arrived: dict[str, list[pa.Table]] = {}
        while self._arrived:
            rows = self._arrived.popleft()
            if rows.name in inputs:
                columns = list(inputs[rows.name].columns)
                arrived.setdefault(rows.name, []).append(rows.table.select(columns))
        for name, tables in arrived.items():
            self._touch_by(inputs[name], pa.concat_tables(tables), now)

    def _touch_by(self, one: Input, rows: pa.Table, now: Micros) -> None:
        if one.live:
            running = pa.scalar(to_datetime(now // HOUR * HOUR), rows.schema.field(one.live).type)
            rows = rows.filter(pc.less(rows[one.live], running))
        if not rows.num_rows:
            return
        params: dict[str, object] = {name: _plain(rows[name]) for name in one.columns}
        touched = self._lake.query(one.touched, params | {"now": now})
        with self._lock:
            for row in touched.to_pylist():
                self._dirty.add(row["machine"], row["s"], min(row["e"], now))

    def _find_unseen(self, now: Micros) -> dict[LogId, int]:
        """Mark what rows touch that the stored facts do not know; returns how far was looked."""
        newest: dict[LogId, int] = {}
        for one in self._inputs():
            for row in self._lake.query(_NEWEST.format(table=one.rows), None).to_pylist():
                log = (row["_site"], row["_epoch"])
                newest[log] = max(newest.get(log, 0), row["seq"])
        if self._until is not None:
            params = {
                "sites": [site for site, _ in newest],
                "epochs": [epoch for _, epoch in newest],
                "seqs": [self._table.seen(log) for log in newest],
            }
            for one in self._inputs():
                columns = ", ".join(f'"{name}"' for name in one.columns)
                sql = _UNSEEN.format(columns=columns, table=one.rows)
                self._touch_by(one, self._lake.query(sql, params), now)
        return newest

    # Computing ------------------------------------------------------------------------------

    def _compute(self, work: _Work, now: Micros) -> Refreshed:
        done = Refreshed()
        reach = (now - self._spec.reach) // HOUR * HOUR
        plan: dict[tuple[Micros, Micros], list[str]] = {}
        for machine, spans in work.spans.items():
            if machine not in self._plant.machines:
                continue
            for start, end in spans.whole_hours():
                first = max(start, reach)
                done.out_of_reach += max(0, (min(end, first) - start) // HOUR)
                if first < min(end, now):
                    plan.setdefault((first, end), []).append(machine)
        for (start, end), machines in plan.items():
            for first in range(start, min(end, now), _STEP):
                done.hours += self._recompute(machines, first, min(first + _STEP, end), now)
        return done

    def _recompute(self, machines: Sequence[str], start: Micros, end: Micros, now: Micros) -> int:
        chosen = [self._plant.machines[path] for path in machines]
        facts = self._spec.compute(self._lake.query, self._plant, chosen, start, end, now=now)
        marks = _marks(self._spec, chosen, range(start, min(end, now), HOUR))
        self._overlay = _renewed(self._overlay, facts, marks)
        self._lake.register(self._overlay_name, self._overlay)
        if self._writable and self._overlay.num_rows > _LARGE:
            self._store(now, {}, None)
        return len(machines) * -(-(min(end, now) - start) // HOUR)

    @property
    def _overlay_name(self) -> str:
        return f"{self._spec.name}_overlay"

    # Storing --------------------------------------------------------------------------------

    def _store(self, now: Micros, seen: Mapping[LogId, int], until: Micros | None) -> None:
        """Everything but the running hour goes to the stored table; then the overlay is short."""
        running = pa.scalar(to_datetime(now // HOUR * HOUR), self._overlay["hour"].type)
        finished = pc.less(self._overlay["hour"], running)
        self._table.replace(self._overlay.filter(finished), seen, until)
        # The new files first: until the overlay shrinks, it hides what is in them.
        self._define()
        self._overlay = self._overlay.filter(pc.invert(finished))
        self._lake.register(self._overlay_name, self._overlay)

    def _show(self) -> None:
        self._lake.register(self._overlay_name, self._overlay)
        self._define()

    def _define(self) -> None:
        """The view: stored facts whose hour is not in the overlay, and the overlay's facts."""
        columns = ", ".join(f'"{name}"' for name in self._spec.schema.names)
        sql = f"SELECT {columns} FROM {self._overlay_name} WHERE _fact"
        stored = self._table.sql()
        if stored:
            hidden = f"(SELECT DISTINCT machine, hour FROM {self._overlay_name})"
            sql = f"""
                SELECT {columns} FROM {stored} ANTI JOIN {hidden} AS hidden USING (machine, hour)
                UNION ALL {sql}
            """
        self._lake.define(self._spec.name, sql)


_LARGE: Final = 200_000
"""Rows in the overlay beyond which it is stored at once: a rebuild must not fill the memory."""

_STEP: Final = 10 * DAY
"""At most this much time is computed at once: memory stays small in a full rebuild."""

_NEWEST: Final = """
    SELECT _site, _epoch, max(_seq) AS seq FROM {table} WHERE _seq IS NOT NULL GROUP BY ALL
"""

_UNSEEN: Final = """
    WITH seen AS (
        SELECT unnest($sites::VARCHAR[]) AS _site, unnest($epochs::VARCHAR[]) AS _epoch,
            unnest($seqs::BIGINT[]) AS seen
    )
    SELECT {columns} FROM {table} LEFT JOIN seen USING (_site, _epoch)
    WHERE _seq > coalesce(seen, 0)
"""


def _plain(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()  # type: ignore[no-any-return]
    return column.to_pylist()  # type: ignore[no-any-return]


def _empty_overlay(spec: FactSpec) -> pa.Table:
    return pa.schema([*spec.schema, pa.field("_fact", pa.bool_())]).empty_table()


def _marks(spec: FactSpec, machines: Sequence[Machine], hours: Iterable[Micros]) -> pa.Table:
    """A row per computed machine hour, so that an hour without facts hides stored ones too."""
    pairs = [(machine, to_datetime(hour)) for machine in machines for hour in hours]
    columns = {
        "machine": pa.array([machine.path for machine, _ in pairs], pa.string()),
        "site": pa.array([machine.site for machine, _ in pairs], pa.string()),
        "hour": pa.array([hour for _, hour in pairs], spec.schema.field("hour").type),
        "_fact": pa.repeat(pa.scalar(value=False), len(pairs)),
    }
    table = pa.table(columns)
    for one in spec.schema:
        if one.name not in columns:
            table = table.append_column(one, pa.nulls(len(pairs), one.type))
    return table.select([*spec.schema.names, "_fact"])


def _renewed(overlay: pa.Table, facts: pa.Table, marks: pa.Table) -> pa.Table:
    """The overlay with these machine hours taken out and put in anew."""
    keys = marks.select(["machine", "hour"])
    kept = overlay.join(keys, ["machine", "hour"], join_type="left anti")
    new = facts.append_column("_fact", pa.repeat(pa.scalar(value=True), facts.num_rows))
    names = overlay.column_names
    return pa.concat_tables([kept.select(names), marks.select(names), new.select(names)])
