"""How far a source's clock is from ours, from the values that change; and correcting it.

A value is told a moment after it changed, so of many changes the freshest tells the difference:
the largest of device time minus time of receipt. First values of a session are as old as the last
change and tell nothing.
"""

from collections import deque
from typing import Final

import pyarrow as pa

from isthmus.base.clock import MINUTE, SECOND, Micros
from isthmus.field.note import Note, timed
from isthmus.flow.parcel import BAD
from isthmus.model.spec.site import SourceSpec

WINDOW: Final[Micros] = 10 * MINUTE
"""Changes older than this say nothing about now."""
ENOUGH: Final = 5
"""Changes that are needed: one may have been delayed."""
SETTLED: Final = 30.0
"""Seconds over which they must come: what was kept while we were away arrives at once."""
PARCELS: Final = 200
LOOKED_AT: Final = 200
"""Samples of a parcel, the last ones: a clock is not off for some of them only."""
MOST_TAGS: Final = 10_000


class Skew:
    """Of one source."""

    def __init__(self, spec: SourceSpec, speed: float = 1.0) -> None:
        """`speed` of a demonstration's clock: then a second on the way is longer."""
        self._spec = spec
        self._speed = speed
        self.live = True
        """Whether values are told when they change; a table or a folder tells old ones."""
        self._seen: dict[str, Micros] = {}
        self._leads: deque[tuple[Micros, Micros, int]] = deque(maxlen=PARCELS)
        """Time of receipt, largest lead, and number of changes of a parcel."""
        self.offset: float | None = None
        """Seconds the device is ahead of us (negative: behind); None before enough changed."""
        self.correction: Micros = 0
        """What is taken from device times."""

    @property
    def is_off(self) -> bool:
        return self.offset is not None and abs(self.offset) > self.tolerance

    @property
    def tolerance(self) -> float:
        """Seconds of plant time."""
        return self._spec.clock_tolerance * self._speed

    @property
    def correction_counts(self) -> bool:
        """Whether rows are written at other times than the device's."""
        return self._spec.clock != "device"

    def forget(self) -> None:
        """A new session tells present values first."""
        self._seen.clear()
        self._leads.clear()
        self.offset = None

    def look(self, samples: pa.Table) -> None:
        """Learn from samples as they came."""
        if not self.live:
            return
        # Times of devices without a clock are ours: a few of them tell what all do.
        ours = samples["device_time"].equals(samples["received_time"])
        samples = samples.slice(max(0, samples.num_rows - (ENOUGH if ours else LOOKED_AT)))
        times, received = (_micros(samples[name]) for name in ("device_time", "received_time"))
        tags, qualities = samples["tag"].to_pylist(), samples["quality"].to_pylist()
        best: Micros | None = None
        changes = 0
        for tag, time, at, quality in zip(tags, times, received, qualities, strict=True):
            before = self._seen.get(tag)
            if before is None and len(self._seen) >= MOST_TAGS:
                continue
            self._seen[tag] = time
            if before is not None and time > before and quality < BAD:
                best = time - at if best is None else max(best, time - at)
                changes += 1
        if best is not None:
            self._leads.append((received[-1], best, changes))
        while self._leads and received and self._leads[0][0] < received[-1] - WINDOW * self._speed:
            self._leads.popleft()
        self.offset = self._measured()
        self._correct()

    @property
    def note(self) -> Note:
        """How the model wants the times of the next samples to be read."""
        corrects = self._spec.clock == "corrected"
        return Note(self._spec.clock == "ours", self.correction if corrects else 0)

    def corrected(self, samples: pa.Table) -> pa.Table:
        """The samples with the times the model asks for."""
        return timed(samples, self.note)

    def _measured(self) -> float | None:
        if sum(changes for _, _, changes in self._leads) < ENOUGH:
            return None
        if self._leads[-1][0] - self._leads[0][0] < SETTLED * SECOND * self._speed:
            return None
        return max(lead for _, lead, _ in self._leads) / SECOND

    def _correct(self) -> None:
        """Held until it is wrong by more than the tolerance: times must not wander."""
        if self.offset is None:
            return
        found = round(self.offset * SECOND) if self.is_off else 0
        if abs(found - self.correction) > self.tolerance * SECOND:
            self.correction = found


def _micros(column: pa.ChunkedArray) -> list[Micros]:
    return column.cast(pa.int64()).to_pylist()  # type: ignore[no-any-return]
