"""Whether the times a source gives can be believed; pure, told by what each parcel says."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
        owners: dict[str, int] = {}
        for number, own in enumerate(tags.values()):
            for tag in own:
                owners.setdefault(tag, number)
        self._tags = pa.array(owners, pa.string())
        self._owners = pa.array(owners.values(), pa.int32())

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
        leads = _leads(samples)
        ahead = pc.max(leads).as_py() > AHEAD or any(clock.is_ahead for clock in self._clocks)
        if not live and not ahead:
            return []  # as almost always, also of a hundred thousand tags
        numbers = self._owners.take(pc.index_in(samples["tag"], value_set=self._tags))
        found: list[Judged] = []
        simple: list[tuple[int, int, int]] = []
        for number, lead, first, last in _by_machine(numbers, leads):
            if lead > AHEAD or self._clocks[number].is_ahead:
                own = samples.filter(pc.equal(numbers, number))
                found += self._judged(number, self._clocks[number].judge(own, live=live))
            elif live:
                simple.append((number, first, last))
        places = [place for _, first, last in simple for place in (first, last)]
        witnesses = iter(_told(samples, places))
        for number, _, _ in simple:
            order = (next(witnesses), next(witnesses))
            found += self._judged(number, self._clocks[number].judge_order(order))
        return found

    def _judged(self, number: int, verdict: Verdict) -> list[Judged]:
        if verdict == "fine":
            return []
        return [Judged(self._machines[number], verdict, self._clocks[number].by)]

    def forget(self) -> None:
        """A new session."""
        for clock in self._clocks:
            clock.forget()


def _leads(samples: pa.Table) -> pa.ChunkedArray:
    times, received = (samples[name].cast(pa.int64()) for name in ("device_time", "received_time"))
    return pc.subtract(times, received)


def _by_machine(
    numbers: pa.ChunkedArray, leads: pa.ChunkedArray
) -> Iterator[tuple[int, Micros, int, int]]:
    """Number of a machine, its largest lead, places of its first and last sample."""
    columns = {"machine": numbers, "lead": leads, "row": pa.arange(0, len(numbers))}
    grouped = pa.table(columns).group_by("machine")
    summed = grouped.aggregate([("lead", "max"), ("row", "min"), ("row", "max")])
    names = ("machine", "lead_max", "row_min", "row_max")
    for row in zip(*(summed[name].to_pylist() for name in names), strict=True):
        if row[0] is not None:
            yield row


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
        return self.judge_order(_told(samples, [0, samples.num_rows - 1])) if live else "fine"

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


def _told(samples: pa.Table, places: Sequence[int]) -> list[tuple[str, Micros]]:
    """Tag and time of these samples."""
    chosen = samples.select(["tag", "device_time"]).take(pa.array(places, pa.int64()))
    times = chosen["device_time"].cast(pa.int64()).to_pylist()
    return list(zip(chosen["tag"].to_pylist(), times, strict=True))
