"""Whether the times a source gives can be believed; pure, told by what each parcel says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import MINUTE, SECOND, Micros
from isthmus.field.columns import single
from isthmus.field.quarantine import AHEAD

BACK: Final[Micros] = 5 * MINUTE
"""A tag whose time goes back by more than this tells of a clock that jumped."""
QUIET: Final[Micros] = 30 * SECOND
"""Without a time beyond belief, while others come: the clock was set."""
MOST_TAGS: Final = 1_000
"""Remembered: if a clock jumps, all of its tags jump."""

Verdict = Literal["fine", "ahead", "right_again", "back"]


@dataclass(frozen=True)
class Judged:
    """What was found of one machine's clock; never `fine`."""

    machine: str
    verdict: Verdict
    by: Micros
    """How far it is off."""


class Clocks:
    """Of all machines behind a source, each judged by the tags that are its own."""

    def __init__(self, tags: Mapping[str, Iterable[str]]) -> None:
        """Machine → its tags; one that several machines read tells of the first one's clock."""
        self._machines = list(tags)
        self._clocks = [DeviceClock() for _ in self._machines]
        self._ahead: set[int] = set()
        """Numbers of those that are."""
        owners: dict[str, int] = {}
        for number, own in enumerate(tags.values()):
            for tag in own:
                owners.setdefault(tag, number)
        self._tags = pa.array(owners, pa.string())
        self._owners = pa.array(owners.values(), pa.int32())
        self._placed: tuple[pa.ChunkedArray, _Placed] | None = None
        """Tags of the last parcel, and where its machines stand: a whole poll has the same ones."""
        self._newest: Micros | None = None
        """Of the last parcel, if the order of all of its times was fine."""
        self._passed: pa.Table | None = None
        """That parcel, if its times are not among those seen yet."""

    @property
    def are_one(self) -> bool:
        """Whatever the source tells, tells of its one machine."""
        return len(self._clocks) == 1

    @property
    def none_is_believed(self) -> bool:
        return self.are_one and self._clocks[0].is_ahead

    def judge(self, samples: pa.Table, *, live: bool) -> list[Judged]:
        """What these samples tell that was not known before."""
        if self.are_one:
            return self._judged(0, self._clocks[0].judge(samples, live=live))
        ahead = bool(self._ahead) or _largest_lead(samples) > AHEAD
        if not live and not ahead:
            return []  # as almost always, also of a hundred thousand tags
        placed = self._places(samples["tag"])
        apart = self._apart(placed, samples) if ahead else set()
        if live and not apart and self._goes_on(samples):
            return []
        self._catch_up()
        found: list[Judged] = []
        for number in apart:
            own = samples.filter(pc.equal(placed.numbers, number))
            found += self._judged(number, self._clocks[number].judge(own, live=live))
        if apart or not live:
            self._newest = None
        return found + self._judge_order(samples, placed, apart) if live else found

    def _apart(self, placed: "_Placed", samples: pa.Table) -> set[int]:
        """Machines of this parcel whose clock was ahead, or of which a value is."""
        leads = _leads(samples)
        ahead = set(placed.numbers.filter(pc.greater(leads, AHEAD)).unique().to_pylist())
        return (ahead | self._ahead) & placed.ends.keys()

    def _judge_order(self, samples: pa.Table, placed: "_Placed", apart: set[int]) -> list[Judged]:
        told = iter(_told(samples, placed.witnesses))
        found: list[Judged] = []
        for number in placed.ends:
            order = (next(told), next(told))
            if number not in apart:
                found += self._judged(number, self._clocks[number].judge_order(order))
        return found

    def _goes_on(self, samples: pa.Table) -> bool:
        """Whether the tags of the last parcel have come again, and no time is before any of it.

        Nor may one go back within this parcel: its times are too close together for that.
        """
        bounds = pc.min_max(samples["device_time"])
        first, last = bounds["min"].value, bounds["max"].value
        newest, self._newest = self._newest, last
        if newest is None or first < newest or last - first > BACK:
            return False
        self._passed = samples
        return True

    def _catch_up(self) -> None:
        """What went on is seen, before anything is judged by it."""
        passed, self._passed = self._passed, None
        if passed is not None:
            self._judge_order(passed, self._places(passed["tag"]), set())

    def _places(self, tags: pa.ChunkedArray) -> "_Placed":
        if self._placed is None or not self._placed[0].equals(tags):
            self._catch_up()
            self._newest = None
            numbers = single(self._owners.take(pc.index_in(tags, value_set=self._tags)))
            self._placed = tags, _Placed.of(numbers)
        return self._placed[1]

    def _judged(self, number: int, verdict: Verdict) -> list[Judged]:
        if verdict == "fine":
            return []
        if verdict == "ahead":
            self._ahead.add(number)
        elif verdict == "right_again":
            self._ahead.discard(number)
        return [Judged(self._machines[number], verdict, self._clocks[number].by)]

    def forget(self) -> None:
        """A new session."""
        self._ahead.clear()
        for clock in self._clocks:
            clock.forget()


def _leads(samples: pa.Table) -> pa.ChunkedArray:
    return pc.subtract(samples["device_time"], samples["received_time"]).cast(pa.int64())


def _largest_lead(samples: pa.Table) -> Micros:
    """Times of devices without a clock are ours: none of them leads."""
    if samples["device_time"].equals(samples["received_time"]):
        return 0
    return int(pc.max(_leads(samples)).as_py())


@dataclass(frozen=True)
class _Placed:
    """Which machine each sample of a parcel is of."""

    numbers: pa.Array
    ends: Mapping[int, tuple[int, int]]
    """Number of a machine → places of its first and last sample."""
    witnesses: pa.Array
    """These places, machine by machine."""

    @classmethod
    def of(cls, numbers: pa.Array) -> "_Placed":
        runs = pc.run_end_encode(numbers)
        ends: dict[int, tuple[int, int]] = {}
        start = 0
        for number, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            if number is not None:
                first, _ = ends.get(number, (start, start))
                ends[number] = (first, end - 1)
            start = end
        return cls(numbers, ends, pa.array(chain.from_iterable(ends.values()), pa.int64()))


class DeviceClock:
    """Of one machine."""

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
        leads = _leads(samples)
        lead = pc.min_max(leads).as_py()
        if self._ahead:
            return self._judge_ahead(samples, leads)
        if lead["min"] > AHEAD:
            self._ahead, self.by = set(samples["tag"].to_pylist()[:MOST_TAGS]), lead["min"]
            self._last = pc.max(samples["received_time"].cast(pa.int64())).as_py()
            return "ahead"
        if lead["max"] > AHEAD:
            return "fine"  # single values: quarantine names each of them
        ends = pa.array([0, samples.num_rows - 1])
        return self.judge_order(_told(samples, ends)) if live else "fine"

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

    def judge_order(self, told: Sequence[tuple[str, Micros]]) -> Verdict:
        """Of the first and the last sample of a parcel, tag and time: they are witness enough."""
        back = max((self._went_back(tag, time) for tag, time in told), default=0)
        if back <= BACK:
            return "fine"
        self._seen.clear()
        self._went_back(*told[-1])
        self.by = back
        return "back"

    def _went_back(self, tag: str, time: Micros) -> Micros:
        """By how much, and remember it."""
        before = self._seen.get(tag)
        if before is not None or len(self._seen) < MOST_TAGS:
            self._seen[tag] = time
        return 0 if before is None else before - time


def _told(samples: pa.Table, places: pa.Array) -> list[tuple[str, Micros]]:
    """Tag and time of these samples."""
    times = samples["device_time"].take(places).cast(pa.int64())
    return list(zip(samples["tag"].take(places).to_pylist(), times.to_pylist(), strict=True))
