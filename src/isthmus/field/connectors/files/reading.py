"""One file, read in small steps: first checked as a whole, then row by row. Blocking."""

import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any, Final, Literal

import xxhash

from isthmus.base.clock import Micros
from isthmus.field.connectors.files.folder import Drop
from isthmus.field.connectors.files.formats import FileRow, UnreadableError, rows_of
from isthmus.field.connectors.files.progress import Begun, Progress, Ranges, holds
from isthmus.field.connectors.files.spec import FilesSource
from isthmus.field.samples import Samples
from isthmus.field.tables.layout import Layout
from isthmus.field.values import BAD_DECODING, add_value, cut

_CHUNK: Final = 2**22
_ROWS: Final = 100
"""Between two looks at the clock."""

Outcome = Literal["going on", "ended", "known", "unreadable"]


class _BadRowError(ValueError):
    """A row that cannot be taken; where and why."""


class Reading:
    """Where the reading of one file stands."""

    def __init__(self, drop: Drop, spec: FilesSource, layout: Layout, progress: Progress) -> None:
        self.drop = drop
        self.begun = Begun(drop.size, drop.modified, "")
        self.taken = 0
        """Rows of which we have samples."""
        self.outcome: Outcome = "going on"
        self.why = ""
        """Of an outcome that brings nothing: why."""
        self.columns: frozenset[str] = frozenset()
        """That its first row has."""
        self._spec = spec
        self._layout = layout
        self._progress = progress
        self._only: Ranges = ()
        self._plain = {*spec.time, *spec.keys, *spec.text, *([spec.tag] if spec.tag else [])}
        self._names = tuple(dict.fromkeys([*layout.needed, *layout.columns.values()]))
        self._signs = spec.signs
        self._samples = Samples()
        self._now: Micros = 0
        self._most = 0
        self._steps = self._run()

    def step(self, samples: Samples, most: int, deadline: float, now: Micros) -> None:
        """Go on until there are so many samples, time is up (monotonic), or the file ends."""
        self._samples, self._now, self._most = samples, now, most
        while self.outcome == "going on" and len(samples) < most and time.monotonic() < deadline:
            try:
                next(self._steps, None)
            except UnreadableError as error:
                self.outcome, self.why = "unreadable", str(error)

    def close(self) -> None:
        """Its generators hold the file open."""
        self._steps.close()

    def _run(self) -> Generator[None, None, None]:
        name = self.drop.path.name
        content = yield from self._content()
        old = self._progress.begun.get(name)
        known = self._progress.taken.get(content)
        self.begun = replace(self.begun, content=content)
        if old is not None and old.content == content:
            self.begun = replace(old, size=self.drop.size, modified=self.drop.modified)
            if old.ended:
                self.outcome, self.why = "known", "the same content was read before"
                return
        elif known is not None:
            if not known:
                self.outcome, self.why = "known", "the same content was taken before"
                return
            self._only = known
        if self.begun.rows == 0:
            yield from self._check(old)
        yield from self._take_rows()
        self.begun = replace(self.begun, ended=True)
        self.outcome = "ended"

    def _content(self) -> Generator[None, None, str]:
        """The checksum of all bytes."""
        digest = xxhash.xxh3_64()
        with self.drop.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                yield
        return digest.hexdigest()

    def _check(self, old: Begun | None) -> Iterator[None]:
        """Whether all of it can be read, and begins with what we read before under this name."""
        digest = xxhash.xxh3_64()
        for number, row in enumerate(self._rows(), 1):
            if number == 1:
                self.columns = frozenset(row.cells)
            digest.update(repr(row).encode())
            if old is not None and number == old.rows and digest.hexdigest() == old.prefix:
                self.begun = replace(self.begun, rows=number, bad=old.bad, problems=old.problems)
            if number % _ROWS == 0:
                yield

    def _take_rows(self) -> Iterator[None]:
        digest = xxhash.xxh3_64()
        first = self.begun.rows + 1
        number = 0
        for number, row in enumerate(self._rows(), 1):
            digest.update(repr(row).encode())
            if number >= first:
                if not self._only or holds(self._only, number):
                    self._take(row, number)
                if number % _ROWS == 0 or len(self._samples) >= self._most:
                    self.begun = replace(self.begun, rows=number, prefix=digest.hexdigest())
                    yield
            elif number % _ROWS == 0:
                yield
        self.begun = replace(self.begun, rows=max(number, first - 1), prefix=digest.hexdigest())

    def _rows(self) -> Iterator[FileRow]:
        return rows_of(self.drop.path, self._spec, self._layout.needed)

    # One row ----------------------------------------------------------------------------------

    def _take(self, row: FileRow, ordinal: int) -> None:
        try:
            cells = self._cells(row)
            moment = self._moment(row, cells)
        except _BadRowError as error:
            self.begun = self.begun.with_bad(ordinal, str(error))
            self._add_bad(row, str(error))
            return
        self._layout.add(self._samples, cells, moment[0], self._now, certain=moment[1])
        self.taken += 1

    def _cells(self, row: FileRow) -> dict[str, Any]:
        if row.problem:
            raise _BadRowError(f"row {row.number} {row.problem}")
        cells: dict[str, Any] = {}
        for name in self._names:
            cell = row.cells.get(name)
            if isinstance(cell, str):
                cell = cell.strip()
                if name not in self._plain:
                    cell = self._number(row, name, cell)
            cells[name] = cell
        return cells

    def _number(self, row: FileRow, name: str, cell: str) -> Any:
        try:
            return self._signs.read(cell)
        except ValueError as error:
            raise _BadRowError(f"row {row.number}, column `{name}`: {error}") from None

    def _moment(self, row: FileRow, cells: dict[str, Any]) -> tuple[Micros, bool]:
        try:
            found = self._spec.reckoning.moment(
                [cells[name] for name in self._spec.time], self._now
            )
        except ValueError as error:
            column = "`, `".join(self._spec.time)
            raise _BadRowError(f"row {row.number}, column `{column}`: {error}") from None
        return found.at, found.certain

    def _add_bad(self, row: FileRow, why: str) -> None:
        """To quarantine, under the tags the row would have had, as far as one can tell."""
        name = self.drop.path.name
        cells = {column: row.cells.get(column) for column in self._names}
        for tag, column in self._layout.tags_of(cells):
            shown = "" if cells.get(column) is None else f"{cells[column]} – "
            text = cut(f"{shown}{name}, {why}")
            add_value(self._samples, tag, text, self._now, self._now, BAD_DECODING)
