"""The rows of a folder's files, as samples; a file is moved when all of it is on our disk."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, TypeVar

import pyarrow as pa

from isthmus.base.clock import SECOND, Clock
from isthmus.field.connector import Connector, Missed, Refused, Unreachable
from isthmus.field.connectors.files import folder
from isthmus.field.connectors.files.folder import Drop, Folder, told
from isthmus.field.connectors.files.progress import NewerError, Progress, resumed
from isthmus.field.connectors.files.reading import Reading
from isthmus.field.connectors.files.spec import FilesSource
from isthmus.field.samples import Samples
from isthmus.field.tables.last_values import LastValues
from isthmus.field.tables.layout import BAD_CONFIGURATION, Layout
from isthmus.field.tables.worker import Worker
from isthmus.flow.parcel import BAD_NODE_UNKNOWN
from isthmus.model.spec.site import SourceSpec

_READ_WAITS: Final = 1.0
"""Seconds, by the contract of `read()`."""
_WORKS: Final = 0.5
"""Seconds of work at files in one `read()`."""
_ENDS_WITHIN: Final = 2.0
_FASTEST: Final = 0.02
_MOST_SAMPLES: Final = 10_000
_A_STEP: Final = 50.0
"""Seconds that one step may take at most: opening a large workbook is one."""

T = TypeVar("T")


@dataclass(frozen=True)
class _Work:
    """What one `read()` brought."""

    samples: pa.Table | None
    progress: Progress
    more: bool
    """There is work left that need not wait for the next look at the folder."""


class FilesConnector(Connector[FilesSource]):
    """One folder; it paces itself, since a full read is followed by the next."""

    Spec: ClassVar[type[SourceSpec]] = FilesSource
    told_at_once: ClassVar[bool] = False

    def __init__(self, name: str, spec: FilesSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._layout = Layout(spec, tags)
        self._folder = Folder(name, spec)
        self._worker = Worker(f"files {name} {spec.folder}")
        self._progress = Progress(spec.folder)
        self._resumes = False
        self._stored = True
        """Whether all that `read()` returned is on our disk."""
        self._drops: list[Drop] = []
        self._reading: Reading | None = None
        self._without_column: set[str] | None = None
        self._first = Samples()
        self._last = LastValues()
        self._missed: list[Missed] = []
        self._due = 0.0

    def resume(self, position: bytes) -> None:
        try:
            found = resumed(position)
        except NewerError as error:
            raise Refused(
                f"source `{self.name}`: {error}. Start the version of Isthmus that wrote it."
            ) from error
        # A file with bad rows that is still here, or here again: they are tried once more.
        again = [name for name, b in found.begun.items() if b.ended and b.bad]
        moves = self.spec.after == "move"
        self._resumes = found.folder == self.spec.folder
        self._progress = replace(found.without(again if moves else []), folder=self.spec.folder)
        self._last = LastValues.of(found.last)

    def position(self) -> bytes | None:
        return self._progress.encode()

    async def open(self) -> None:
        if self.spec.repeat:
            self._last.repeat(self._first, self.tags, self.clock.now())
        known = self._resumes and bool(self._progress.taken)
        await self._ask(lambda: self._folder.prepare(known=known), self.spec.timeout)

    async def read(self) -> pa.Table | None:
        loop = asyncio.get_running_loop()
        if (wait := self._due - loop.time()) > 0:
            await asyncio.sleep(min(wait, _READ_WAITS))
            if wait > _READ_WAITS:
                return None
        began = loop.time()
        if self._stored:
            await self._tidy()
        if self._reading is None and not self._drops:
            if (wait := self.allowance.take()) > 0:
                self._due = loop.time() + wait
                return None
            self._drops = self._new(await self._ask(self._folder.complete, self.spec.timeout))
            self._name_overdue()
        work = await self._ask(self._work, _A_STEP)
        self._progress = work.progress
        self._stored = self._stored and work.samples is None
        pause = 0.0 if work.more else max(_FASTEST, self.spec.interval / self.clock.speed)
        self._due = began + pause
        return work.samples

    async def acknowledge(self) -> None:
        self._stored = True
        await self._tidy()

    def missed(self) -> list[Missed]:
        missed, self._missed = self._missed, []
        return missed

    async def close(self) -> None:
        await self._worker.ended(_ENDS_WITHIN)
        reading, self._reading = self._reading, None
        if reading is not None and await self._worker.ended(0):
            reading.close()

    # Filing away ------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        """Everything that was read to its end is on our disk by now."""
        if self.spec.after == "leave" or not any(b.ended for b in self._progress.begun.values()):
            return
        self._progress = await self._ask(self._file_away, self.spec.timeout)

    def _file_away(self) -> Progress:
        gone = []
        for name, begun in self._progress.begun.items():
            if not begun.ended:
                continue
            why = told(name, begun, begun.rows - begun.bad_rows, self.clock.now())
            if self._folder.file_away(
                name, begun, why if begun.bad else [], failed=bool(begun.bad)
            ):
                gone.append(name)
        return self._progress.without(gone)

    # Reading, in the worker's thread ------------------------------------------------------------

    def _new(self, drops: list[Drop]) -> list[Drop]:
        begun = self._progress.begun
        return [
            drop
            for drop in drops
            if (old := begun.get(drop.path.name)) is None or not (old.ended and drop.is_still(old))
        ]

    def _name_overdue(self) -> None:
        """A file that never becomes complete must not be passed over in silence."""
        now = self.clock.now()
        awaited = f"its `{self.spec.marker}` has not come"
        if self.spec.ready == "settled":
            awaited = f"it was never left alone for `settle`, {self.spec.settle:g} s"
        for name in self._folder.overdue():
            detail = f"{name} is not read for {folder.OVERDUE / 60:.0f} min: {awaited}"
            since = now - round(folder.OVERDUE * SECOND)
            self._missed.append(Missed(since, now, detail))

    def _work(self) -> _Work:
        samples, progress, now = self._first, self._progress, self.clock.now()
        deadline = time.monotonic() + _WORKS
        while len(samples) < _MOST_SAMPLES and time.monotonic() < deadline:
            reading = self._reading or self._next(progress)
            if reading is None:
                break
            self._reading = reading
            try:
                reading.step(samples, _MOST_SAMPLES, deadline, now)
            except FileNotFoundError:
                self._reading = None  # taken away by somebody else; should it come back, it goes on
                continue
            if reading.columns and self._without_column is None:
                self._say_what_is_missing(reading, samples)
            progress = self._after(reading, progress)
        more = self._reading is not None or bool(self._drops)
        table = samples.take()
        if self.spec.repeat:
            self._last.see(table)
            progress = replace(progress, last=self._last.content())
        return _Work(table, progress, more)

    def _next(self, progress: Progress) -> Reading | None:
        if not self._drops:
            return None
        return Reading(self._drops.pop(0), self.spec, self._layout, progress)

    def _after(self, reading: Reading, progress: Progress) -> Progress:
        name, begun = reading.drop.path.name, reading.begun
        if reading.outcome == "going on":
            return progress.with_file(name, begun) if begun.rows else progress
        self._reading = None
        if reading.outcome == "ended":
            return progress.with_taken(begun.content, begun.bad).with_file(name, begun)
        if reading.outcome == "unreadable":
            at = reading.drop.modified // 1_000
            detail = f"nothing of {name} was taken: it {reading.why}"
            self._missed.append(Missed(at - SECOND, at, detail))
        if self.spec.after == "leave":
            return progress.with_file(name, replace(begun, ended=True))
        failed = reading.outcome == "unreadable"
        why = f"Nothing of {name} was taken: {'it ' if failed else ''}{reading.why}."
        self._folder.file_away(name, begun, [why], failed=failed)
        return progress.without([name])

    def _say_what_is_missing(self, reading: Reading, samples: Samples) -> None:
        """Tags that the first file has no column for, and those whose keys do not fit; once."""
        now = self.clock.now()
        columns = self._layout.columns.items()
        self._without_column = {tag for tag, column in columns if column not in reading.columns}
        if self.spec.format_of(reading.drop.path.name) == "jsonl":
            self._without_column = set()  # its rows may each have other names
        for tag in self._layout.misfits:
            samples.add(tag, now, now, None, None, BAD_CONFIGURATION)
        for tag in sorted(self._without_column):
            samples.add(tag, now, now, None, None, BAD_NODE_UNKNOWN)

    # Asking -----------------------------------------------------------------------------------

    async def _ask(self, work: Callable[[], T], seconds: float) -> T:
        try:
            return await self._worker.call(work, seconds)
        except OSError as error:  # TimeoutError is one of them
            why = error.strerror or str(error)
            raise Unreachable(
                f"source `{self.name}`: {self.spec.folder} does not answer ({why}). Is the share "
                f"mounted? `isthmus probe {self.name}` tries now."
            ) from error
