"""What is wrong with a source that answers: polls take too long, or none of its tags is trusted.

Pure; each finding is told once when it begins and once when it is over.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.flow.parcel import BAD
from isthmus.runtime.source_events import What

LATE_INTERVALS: Final = 3.0
LATE_SECONDS: Final = 2.0
"""A poll that takes longer than both is slow: what came and went meanwhile nobody saw."""


@dataclass(frozen=True)
class Finding:
    """A gap of this reason begins, or ends."""

    reason: Literal["slow", "bad"]
    begins: bool
    what: What
    detail: str


class Impaired:
    """Of one source."""

    def __init__(self, tags: Collection[str], interval: float) -> None:
        self._tags = frozenset(tags)
        self._interval = interval
        self._late = False
        """The poll under way, or the last one, took too long."""
        self._slow = False
        self._bad = False
        self._bad_tags: set[str] = set()

    def forget(self) -> None:
        """A new session; the gaps of the one before end with its loss."""
        self._slow = self._bad = False
        self._bad_tags.clear()

    def began_to_read(self) -> None:
        self._late = False

    def waits_long(self) -> Finding | None:
        """The poll under way takes longer than it should."""
        self._late = True
        if self._slow:
            return None
        self._slow = True
        detail = (
            f"one poll takes longer than {LATE_INTERVALS:g} times the `interval` of"
            f" {self._interval:g} s, what changed and changed back meanwhile was not seen: a longer"
            " `interval` or fewer tags, or is the device or its network overloaded?"
        )
        return Finding("slow", begins=True, what="slow", detail=detail)

    def has_read(self) -> Finding | None:
        if self._late or not self._slow:
            return None
        self._slow = False
        detail = "polls are as quick as the `interval` says again"
        return Finding("slow", begins=False, what="in_time", detail=detail)

    def take(self, samples: pa.Table) -> Finding | None:
        """Rows say which field is unknown; here is found that none of them is known."""
        if not self._bad_tags and pc.max(samples["quality"]).as_py() < BAD:
            return None  # as almost always
        status = 0
        columns = (samples[name].to_pylist() for name in ("tag", "quality"))
        for tag, quality in zip(*columns, strict=True):
            if quality < BAD:
                self._bad_tags.discard(tag)
            elif tag in self._tags:
                self._bad_tags.add(tag)
                status = quality
        return self._all_bad(status)

    def _all_bad(self, status: int) -> Finding | None:
        before, self._bad = self._bad, len(self._bad_tags) == len(self._tags) > 0
        if self._bad == before:
            return None
        if not self._bad:
            detail = "values that can be trusted come again"
            return Finding("bad", begins=False, what="good", detail=detail)
        detail = (
            f"it answers, but none of its {len(self._tags)} tag(s) has a value that can be trusted"
            f" (last status 0x{status:08X}): was its program changed, or is what feeds it off?"
        )
        return Finding("bad", begins=True, what="bad", detail=detail)
