"""The new rows of one table, as samples."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Final, TypeVar

import pyarrow as pa

from isthmus.base.clock import SECOND, Clock, Micros, iso
from isthmus.field.connector import Connector, Missed, Refused, Unreachable
from isthmus.field.connectors.sql.database import Database, place
from isthmus.field.connectors.sql.progress import (
    Fetched,
    NewerError,
    NoOrderError,
    Progress,
    fresh,
    kind_of,
    lowest_again,
    restarted,
    resumed,
)
from isthmus.field.connectors.sql.spec import SqlSource
from isthmus.field.samples import Samples
from isthmus.field.tables.last_values import LastValues
from isthmus.field.tables.layout import BAD_CONFIGURATION, Layout, Row, plain
from isthmus.field.tables.worker import Worker
from isthmus.field.values import BAD_DECODING, add_value
from isthmus.flow.parcel import BAD_NODE_UNKNOWN
from isthmus.model.spec.site import SourceSpec

_READ_WAITS: Final = 1.0
"""Seconds, by the contract of `read()`."""
_FASTEST: Final = 0.02
_MOST_SAMPLES: Final = 10_000
"""Of one `read()`, about."""
_GRACE: Final = 1.0
"""Seconds that a driver gets beyond its own timeout, which is never below two."""
_ENDS_WITHIN: Final = 3.0
"""Seconds that a driver gets when it is interrupted."""

T = TypeVar("T")


class SqlConnector(Connector[SqlSource]):
    """One connection to one database; it paces itself: a full read is followed by the next."""

    Spec: ClassVar[type[SourceSpec]] = SqlSource
    told_at_once: ClassVar[bool] = False

    def __init__(self, name: str, spec: SqlSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._layout = Layout(spec, tags)
        self._database = Database(spec)
        self._worker = Worker(f"sql {name} {hash(spec.url.get_secret_value())}")
        self._kept: bytes | None = None
        self._progress: Progress | None = None
        self._columns: tuple[str, ...] = ()
        self._identity: tuple[str, ...] = ()
        self._since: tuple[str, Any] | None = None
        """Keeps the first read of a long table short: its time column, and its lowest value."""
        self._first = Samples()
        self._last = LastValues()
        self._missed: list[Missed] = []
        self._due = 0.0

    def resume(self, position: bytes) -> None:
        self._kept = position

    def position(self) -> bytes | None:
        return self._progress.encode() if self._progress is not None else None

    async def open(self) -> None:
        there = await self._ask(self._database.columns)
        self._look_at(there)
        self._progress = await self._where_to_begin()

    async def read(self) -> pa.Table | None:
        if self._progress is None:
            raise RuntimeError(f"source `{self.name}` is read before it is open")
        loop = asyncio.get_running_loop()
        if (wait := self._due - loop.time()) > 0:
            await asyncio.sleep(min(wait, _READ_WAITS))
            if wait > _READ_WAITS:
                return None
        began = loop.time()
        fetched = await self._ask(partial(self._fetch, self._progress))
        samples, self._progress = self._taken(fetched, self._progress)
        if not fetched.rows:
            self._progress = await self._not_cleared(self._progress)
        pause = 0.0 if fetched.full else max(_FASTEST, self.spec.interval / self.clock.speed)
        self._due = began + pause
        return samples

    def missed(self) -> list[Missed]:
        missed, self._missed = self._missed, []
        return missed

    async def close(self) -> None:
        idle = await self._worker.ended(0)
        if not idle:
            self._database.interrupt()
            idle = await self._worker.ended(_ENDS_WITHIN)
        self._database.close(idle=idle)

    # Opening ----------------------------------------------------------------------------------

    def _look_at(self, there: Sequence[str]) -> None:
        """Which columns are read; tags without one come once, as bad."""
        spec, layout, now = self.spec, self._layout, self.clock.now()
        asked = [*layout.needed, *([spec.order] if spec.order else []), *spec.key]
        if gone := [name for name in dict.fromkeys(asked) if name not in there]:
            raise Refused(
                f"source `{self.name}`: no column `{gone[0]}` in {self._what()}; "
                f"there are {', '.join(there[:40])}"
            )
        unknown = [tag for tag, column in layout.columns.items() if column not in there]
        layout.without(unknown)
        for tag in layout.misfits:
            self._first.add(tag, now, now, None, None, BAD_CONFIGURATION)
        for tag in unknown:
            self._first.add(tag, now, now, None, None, BAD_NODE_UNKNOWN)
        wide = [column for tag, column in layout.columns.items() if tag not in unknown]
        self._columns = tuple(dict.fromkeys([*asked, *sorted(wide)]))

    async def _where_to_begin(self) -> Progress:
        spec, now = self.spec, self.clock.now()
        newest = await self._ask(partial(self._database.newest, spec.ordered_by))
        numbered = newest is not None and spec.order is not None and self._kind(newest) == "number"
        self._identity = spec.key or ((spec.ordered_by, *spec.time) if numbered else self._columns)
        # Not the host nor the text of a query: a change of them must not count rows twice.
        about = f"{spec.table or 'query'} by {spec.ordered_by}"
        identity = " ".join(self._identity)
        start = now - round(spec.history * SECOND)
        progress = self._resumed(about, identity) or Progress(about, identity, start)
        if progress.mark is None:
            self._since = await self._from(progress.start)
        self._last = LastValues.of(progress.last)
        if spec.repeat:
            self._last.repeat(self._first, self.tags, now)
        return progress

    def _resumed(self, about: str, identity: str) -> Progress | None:
        if self._kept is None:
            return None
        try:
            return resumed(self._kept, about, identity)
        except NewerError as error:
            raise Refused(
                f"source `{self.name}`: {error}. Start the version of Isthmus that wrote it."
            ) from error

    async def _from(self, start: Micros) -> tuple[str, Any] | None:
        """A limit on the time column where the database can compare it."""
        column = self.spec.time[0]
        if len(self.spec.time) > 1 or not self.spec.reckoning.sorts():
            return None
        example = await self._ask(partial(self._database.newest, column))
        if example is None:
            return None
        try:
            return column, self.spec.reckoning.like(example, start, self.clock.now())
        except (ValueError, KeyError):
            return None  # its rows will say what is wrong

    # Reading ----------------------------------------------------------------------------------

    def _fetch(self, progress: Progress) -> Fetched:
        """In the worker's thread."""
        most = min(self.spec.rows, max(10, _MOST_SAMPLES // self._layout.widest))
        limit = most + len(progress.seen) + len(progress.ahead)
        lowest = None
        if progress.mark is not None:
            lowest = lowest_again(progress.mark, self.spec, self.clock.now())
        since = self._since if progress.mark is None else None
        rows = self._database.rows(self._columns, lowest, since, limit)
        return Fetched(rows, full=len(rows) == limit)

    def _taken(self, fetched: Fetched, progress: Progress) -> tuple[pa.Table | None, Progress]:
        now = self.clock.now()
        try:
            new, after = fresh(progress, fetched, self.spec, self._identity, now)
        except NoOrderError as error:
            raise self._no_order(error) from error
        except ValueError as error:
            raise Refused(
                f"source `{self.name}`: column `{self.spec.ordered_by}`: {error}"
            ) from error
        samples = self._first
        latest = progress.latest
        for row in new:
            moment = self._add(samples, row, after, now)
            latest = max(latest, min(moment, now))
        table = samples.take()
        after = replace(after, latest=latest)
        if self.spec.repeat:
            self._last.see(table)
            after = replace(after, last=self._last.content())
        return table, after

    def _add(self, samples: Samples, row: Row, progress: Progress, now: Micros) -> Micros:
        """The samples of one row; what has no time that can be read goes to quarantine."""
        cells = [row[column] for column in self.spec.time]
        try:
            moment = self.spec.reckoning.moment(cells, now)
        except ValueError as error:
            self._add_untimed(samples, row, str(error), now)
            return 0
        if moment.at >= progress.start:
            self._layout.add(samples, row, moment.at, now, certain=moment.certain)
        return moment.at

    def _add_untimed(self, samples: Samples, row: Row, why: str, now: Micros) -> None:
        for tag, cell, _ in self._layout.cells(row):
            said = f"{plain(cell)[0]}; time: {why}"
            add_value(samples, tag, said, now, now, BAD_DECODING)

    async def _not_cleared(self, progress: Progress) -> Progress:
        """None of the rows we know is there: the table may have been cleared, to begin anew."""
        if progress.mark is None:
            return progress
        newest = await self._ask(partial(self._database.newest, self.spec.ordered_by))
        now = self.clock.now()
        anew = restarted(progress, newest, self.spec, now)
        if anew is None:
            return progress
        last = f"; the last row that was read is of {iso(progress.latest)}" if anew.start else ""
        detail = f"`{self.spec.ordered_by}` of {self._what()} starts anew at a lower number{last}"
        self._missed.append(Missed(progress.latest or now, now, detail))
        return anew

    # Asking -----------------------------------------------------------------------------------

    async def _ask(self, work: Callable[[], T]) -> T:
        seconds = max(2.0, self.spec.timeout) + _GRACE
        await self.allowance.turn()
        try:
            return await self._worker.call(work, seconds, self._database.interrupt)
        except TimeoutError as error:
            raise self._unreachable(str(error)) from error
        except Unreachable as error:
            raise self._unreachable(str(error)) from error
        except Refused as error:
            raise Refused(f"source `{self.name}`, {self._what()}: {error}") from error

    def _kind(self, value: Any) -> str:
        try:
            return kind_of(value)
        except NoOrderError as error:
            raise self._no_order(error) from error

    def _no_order(self, error: NoOrderError) -> Refused:
        return Refused(
            f"source `{self.name}`: column `{self.spec.ordered_by}` {error}. "
            "Name a number or a time that only grows as `order`."
        )

    def _what(self) -> str:
        return f"table `{self.spec.table}`" if self.spec.table else "the query"

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(
            f"source `{self.name}`: the database {place(self.spec)} does not answer ({why}). "
            f"Is it on and on this network? `isthmus probe {self.name}` tries now."
        )
