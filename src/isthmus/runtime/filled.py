"""What is known of a gap from the source's own history; decides whether nothing is missing.

History is written before the first live value, in the order of device time. So a counter's
increments are taken from one reading to the next and never twice: what comes again, from history
or live, is not later than the reading before it and counts nothing.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import HOUR, SECOND, Micros

WINDOW: Final = HOUR
"""Read at once: what bounds memory, and what is read again when the link breaks meanwhile."""


@dataclass
class Filled:
    """Of the gap that began at `since`."""

    since: Micros
    until: Micros = 0
    """Everything before is on our disk."""
    samples: int = 0
    trouble: str = ""
    """Why history could not be read to its end."""
    first: dict[str, Micros] = field(default_factory=dict)
    """Tag → time of its earliest value."""

    def windows(self, end: Micros) -> Iterator[tuple[Micros, Micros]]:
        """What is still to be read, in steps."""
        start = max(self.since, self.until)
        while start < end:
            stop = min(start + WINDOW, end)
            yield start, stop
            start = stop

    def new(self, kept: pa.Table) -> pa.Table:
        """Without the values before the window that an earlier window has brought already."""
        return kept.filter(pc.greater_equal(_times(kept), self.until))

    def wrote(self, samples: pa.Table, until: Micros) -> None:
        earliest = samples.append_column("at", _times(samples)).group_by("tag")
        for row in earliest.aggregate([("at", "min")]).to_pylist():
            self.first.setdefault(row["tag"], row["at_min"])
        self.samples += samples.num_rows
        self.until = until

    def covers(self, tags: Collection[str]) -> bool:
        """Whether each tag is known from the beginning of the gap on."""
        return not self.trouble and self._known(tags) == len(tags)

    def told(self, tags: Collection[str]) -> str:
        if self.trouble:
            return f"the gap was not filled from the source's history: {self.trouble}"
        seconds = (self.until - self.since) / SECOND
        if self.covers(tags):
            return f"the gap of {seconds:.0f} s is filled: {self.samples} values from its history"
        return (
            f"the gap of {seconds:.0f} s stays: only {self._known(tags)} of {len(tags)} tags are "
            f"known from its beginning on ({self.samples} values from the source's history)"
        )

    def _known(self, tags: Collection[str]) -> int:
        return sum(self.first.get(tag, self.since + 1) <= self.since for tag in tags)


def _times(samples: pa.Table) -> pa.ChunkedArray:
    return samples["device_time"].cast(pa.int64())
