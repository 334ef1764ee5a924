"""Whether the times a source gives can be believed; pure, told by what each parcel says."""

from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import MINUTE, SECOND, Micros
from isthmus.field.quarantine import AHEAD

BACK: Final[Micros] = 5 * MINUTE
"""A tag whose time goes back by more than this tells of a clock that jumped."""
QUIET: Final[Micros] = 30 * SECOND
"""Without a time beyond belief, while others come: the clock was set."""
MOST_TAGS: Final = 1_000
"""Remembered: if a clock jumps, all of its tags jump."""

Verdict = Literal["fine", "ahead", "right_again", "back"]


class DeviceClock:
    """Of the one machine behind a source."""

    def __init__(self) -> None:
        self.by: Micros = 0
        """How far it is off, after a verdict that is not `fine`."""
        self._ahead: set[str] = set()
        """Tags whose times were beyond belief when it was found to be ahead."""
        self._last: Micros = 0
        """When a time beyond belief was received last."""
        self._seen: dict[str, Micros] = {}

    @property
    def is_ahead(self) -> bool:
        return bool(self._ahead)

    def judge(self, samples: pa.Table, *, live: bool) -> Verdict:
        """What these samples tell that was not known before.

        `live` is false where older values may come after newer ones for good reason.
        """
        times = samples["device_time"].cast(pa.int64())
        leads = pc.subtract(times, samples["received_time"].cast(pa.int64()))
        lead = pc.min_max(leads).as_py()
        if self._ahead:
            return self._judge_ahead(samples, leads)
        if lead["min"] > AHEAD:
            self._ahead, self.by = set(samples["tag"].to_pylist()[:MOST_TAGS]), lead["min"]
            self._last = pc.max(samples["received_time"].cast(pa.int64())).as_py()
            return "ahead"
        if lead["max"] > AHEAD:
            return "fine"  # single values: quarantine names each of them
        return self._judge_order(samples, times) if live else "fine"

    def forget(self) -> None:
        """A new session: each tag tells its present value first, however old that is."""
        self._ahead.clear()

    def _judge_ahead(self, samples: pa.Table, leads: pa.ChunkedArray) -> Verdict:
        """Right again when one of those tags says so, or when none of them goes on being ahead.

        Another device behind the same source must not end it at once.
        """
        received = samples["received_time"].cast(pa.int64())
        believed = pc.less_equal(leads, AHEAD)
        ahead = received.filter(pc.invert(believed))
        self._last = max(self._last, pc.max(ahead).as_py() or 0)
        quiet = len(ahead) == 0 and pc.max(received).as_py() - self._last > QUIET
        if self._ahead.isdisjoint(samples["tag"].filter(believed).to_pylist()) and not quiet:
            return "fine"
        self._ahead.clear()
        return "right_again"

    def _judge_order(self, samples: pa.Table, times: pa.ChunkedArray) -> Verdict:
        back = max((self._went_back(samples, times, at) for at in (0, -1)), default=0)
        if back <= BACK:
            return "fine"
        self._seen.clear()
        self._went_back(samples, times, -1)
        self.by = back
        return "back"

    def _went_back(self, samples: pa.Table, times: pa.ChunkedArray, at: int) -> Micros:
        """By how much, and remember it. First and last of each parcel are witness enough."""
        tag, time = samples["tag"][at].as_py(), times[at].as_py()
        before = self._seen.get(tag)
        if before is not None or len(self._seen) < MOST_TAGS:
            self._seen[tag] = time
        return 0 if before is None else before - time
