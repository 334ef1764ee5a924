"""Whether parts that a counter showed in quarantine are counted all the same.

A block holds increments. If a reading before those in quarantine was believed and one after them
too, and the counter only rose from the one to the other, the later one has counted all between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Parts = Literal["counted", "not_yet", "unproven"]


@dataclass(frozen=True)
class Shown:
    """One reading of a counter, in the order in which it came."""

    value: int
    aside: int | None
    """Number of the sample in quarantine that it is of; None: it was taken."""


def parts(readings: Sequence[Shown]) -> dict[int, Parts]:
    """For each sample in quarantine: what became of its parts."""
    found: dict[int, Parts] = {}
    before: Shown | None = None
    run: list[Shown] = []
    for reading in readings:
        if reading.aside is not None:
            run.append(reading)
            continue
        rises = before is not None and _rises([before, *run, reading])
        found.update(_all(run, "counted" if rises else "unproven"))
        before, run = reading, []
    found.update(_all(run, "not_yet" if before is not None else "unproven"))
    return found


def _rises(readings: Sequence[Shown]) -> bool:
    return all(a.value <= b.value for a, b in pairwise(readings))


def _all(run: Sequence[Shown], word: Parts) -> dict[int, Parts]:
    return {one.aside: word for one in run if one.aside is not None}
