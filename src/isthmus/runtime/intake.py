"""Samples of one source into the log: shaped, or raw alone where shaping fails. Blocking."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import Missed
from isthmus.field.note import noted, timed
from isthmus.field.quarantine import AHEAD
from isthmus.field.shape import Mapping, StateError, resume, shape, unknown_rows
from isthmus.field.skew import Skew
from isthmus.flow.contract import Log
from isthmus.flow.parcel import SAMPLES_SCHEMA, Rows, Shaped
from isthmus.model.plant import Plant, Source

_NOTHING = SAMPLES_SCHEMA.empty_table()


@dataclass(frozen=True)
class Taken:
    """What one parcel became; it is on our disk."""

    rows: Sequence[Rows]
    failure: str = ""
    """Why the samples could only be kept raw; empty: they were shaped."""


@dataclass(frozen=True)
class Lost:
    """A gap that has begun."""

    start: Micros
    rows: Sequence[Rows]
    """They say `unknown` of every machine of the source."""


class Intake:
    """Knows what is carried from parcel to parcel; every method is synced when it returns.

    Not to be called from two threads at once. All methods raise Full where there is no room, and
    then nothing has changed.
    """

    def __init__(self, source: Source, plant: Plant, log: Log, clock: Clock) -> None:
        self.source = source
        self.plant = plant
        self.log = log
        self.clock = clock
        self.mapping = Mapping.of(source, plant)
        self.skew = Skew(source.spec, clock.speed)
        self.newest: Micros = 0
        """Latest device time seen: a row that says `unknown` must come after it."""
        self.position = log.position(source.name)
        """Where the source is read on: all before it is on our disk."""
        self._state = log.state(source.name)
        self._reopened: list[tuple[Micros, Micros]] = []
        """Since the last samples; kept with the next ones, for a replay."""

    def take(self, samples: pa.Table, position: bytes | None = None) -> Taken:
        """`position`: where the source is read on after these samples."""
        now = self.clock.now()
        self.skew.look(samples)
        note = replace(self.skew.note, reopened=tuple(self._reopened))
        samples, ours = noted(samples, note), timed(samples, note)
        try:
            shaped = shape(ours, self.mapping, self._state, now=now)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is named and RAW is kept
            failure = f"{type(error).__name__}: {error}"
            self.log.append_raw(self.source.name, samples, failure, now=now, position=position)
            self.position = position or self.position
            self._reopened.clear()
            return Taken((), failure)
        self.log.append(self.source.name, samples, shaped, now=now, position=position)
        self._state = shaped.state
        self.position = position or self.position
        self._reopened.clear()
        self._see(ours)
        return Taken(shaped.rows)

    def tick(self) -> Taken:
        """Rows that follow from silence alone."""
        now = self.clock.now()
        try:
            shaped = shape(_NOTHING, self.mapping, self._state, now=now)
        except Exception as error:  # noqa: BLE001 - as in `take`; there is no RAW to keep
            return Taken((), f"{type(error).__name__}: {error}")
        if shaped.rows:
            self.log.append(self.source.name, None, shaped, now=now)
            self._state = shaped.state
        return Taken(shaped.rows)

    def open_since(self) -> Micros | None:
        """Start of the gap that is open for this source, if one is."""
        now = self.clock.now()
        starts = [
            gap.start
            for gap in self.log.gaps(0, now + 2 * AHEAD)
            if gap.source == self.source.name and gap.end is None
        ]
        return min(starts, default=None)

    def lost(self, reason: str, detail: str, at: Micros) -> Lost:
        """From `at` on everything is unknown, until `opened`."""
        start = max(at, self.newest + 1)
        rows = unknown_rows(self.source, self.plant, start)
        self.log.open_gap(
            self.source.name, reason, detail, start=start, now=self.clock.now(), rows=rows
        )
        return Lost(start, rows)

    def doubted(self, machine: str, reason: str, detail: str, at: Micros) -> Lost:
        """From `at` on everything of one machine is unknown; the source goes on for the others."""
        start = max(at, self.newest + 1)
        rows = unknown_rows(replace(self.source, machines=(machine,)), self.plant, start)
        self.log.open_gap(
            self.source.name, reason, detail, start=start, now=self.clock.now(), rows=rows
        )
        self.log.alive([self.source.name], at)
        return Lost(start, rows)

    def opened(self, since: Micros, at: Micros) -> None:
        """The source was opened at `at`, after a gap that began at `since`."""
        with suppress(StateError):  # `take` names it and keeps RAW until somebody has looked
            self._state = resume(self._state, self.mapping, unknown_since=since, opened=at)
            self._reopened.append((since, at))

    def back(self, at: Micros) -> None:
        """Values come: the gap ended when the source was opened."""
        now = self.clock.now()
        # The state goes first: should we die in between, the gap is still open, as it must be.
        self.log.append(self.source.name, None, Shaped(state=self._state), now=now)
        self.log.close_gap(self.source.name, end=at, now=now)

    def missed(self, missed: Iterable[Missed]) -> None:
        for one in missed:
            self.interval("sequence", one.detail, one.start, one.end)

    def interval(self, reason: str, detail: str, start: Micros, end: Micros) -> None:
        """A gap that is over already."""
        self.begins(reason, detail, start)
        self.ends(reason, end)

    def begins(self, reason: str, detail: str, at: Micros) -> None:
        """A gap in what the source tells, during which its machines are not unknown."""
        self.log.open_gap(self.source.name, reason, detail, start=at, now=self.clock.now())
        self.log.alive([self.source.name], at)  # should we die now, they are from then on

    def ends(self, reason: str, at: Micros) -> None:
        self.log.close_gap(self.source.name, end=at, now=self.clock.now(), reason=reason)

    def _see(self, samples: pa.Table) -> None:
        times, received = samples["device_time"], samples["received_time"]
        if not times.equals(received):
            leads = pc.subtract(times, received).cast(pa.int64())
            if pc.max(leads).as_py() > AHEAD:
                times = times.filter(pc.less_equal(leads, AHEAD))
        self.newest = max(self.newest, pc.max(times).value or 0)
