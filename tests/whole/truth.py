"""What really happened, summed per machine and shift, from the simulators' events alone."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from isthmus.base.clock import MINUTE, SECOND, Micros, to_datetime
from isthmus.testing.sim.fleet import MATERIALS, SITE_ZONES, SimMachine, events, shifts_of_day
from isthmus.testing.sim.machine import OrderStart, Part, StateChange

Span = tuple[Micros, Micros]

CATEGORY = {
    "execute": "apt", "setup": "aust", "idle": "adet", "stopped": "adet", "aborted": "adet",
    "off": "adet",
}  # fmt: skip


@dataclass
class Sums:
    """One machine in one shift."""

    produced: int = 0
    good: int = 0
    scrap: int = 0
    ideal_s: float = 0
    ideal_good_s: float = 0
    pbt_s: float = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """apt, aust, adet in planned busy time, where the state was known."""
    transitions: int = 0
    at_the_end: int = 0
    """Parts made in the last minute of the shift or of an order: a device that is polled shows
    them after it."""
    unknown_s: float = 0
    spans: int = 0
    """How many times the state was unknown."""


def truth(
    machine: SimMachine, seed: int, start: Micros, end: Micros, gaps: Sequence[Span]
) -> dict[tuple[str, str], Sums]:
    """(day, shift) → sums; seconds count only outside `gaps`."""
    busy = _busy(machine, start, end)
    found: dict[tuple[str, str], Sums] = defaultdict(Sums)
    for key, spans in busy.items():
        found[key].pbt_s = sum(e - s for s, e in spans) / SECOND
        found[key].spans = sum(any(_overlap(span, gap) for span in spans) for gap in gaps)
        found[key].unknown_s = sum(_overlap(span, gap) for span in spans for gap in gaps) / SECOND
    last: StateChange | None = None
    last_part: tuple[tuple[str, str], Micros] | None = None
    cycle = 0.0
    shifts = _shifts(machine, start, end)
    for event in events(machine, seed, start):
        if event.time > end:
            break
        match event:
            case OrderStart(time=time, order=order):
                if last_part is not None and time - last_part[1] < MINUTE:
                    found[last_part[0]].at_the_end += 1
                cycle = MATERIALS[order.material].ideal_cycle_s
            case Part(time=time, good=good):
                key = next(key for key, (s, e) in shifts.items() if s <= time < e)
                _count(found[key], cycle, good=good)
                last_part = (key, time)
                found[key].at_the_end += min(shifts[key][1], end) - time < MINUTE
            case StateChange():
                if last is not None:
                    _spend(found, busy, last, event.time, gaps)
                last = event
    if last is not None:
        _spend(found, busy, last, end, gaps)
    return dict(found)


def _count(sums: Sums, cycle: float, *, good: bool) -> None:
    sums.produced += 1
    sums.good += good
    sums.scrap += not good
    sums.ideal_s += cycle
    sums.ideal_good_s += cycle * good


def _spend(
    found: dict[tuple[str, str], Sums],
    busy: dict[tuple[str, str], list[Span]],
    state: StateChange,
    until: Micros,
    gaps: Sequence[Span],
) -> None:
    for key, spans in busy.items():
        seconds = sum(
            _overlap(span, (state.time, until))
            - sum(_overlap3(span, (state.time, until), gap) for gap in gaps)
            for span in spans
        )
        if seconds:
            found[key].seconds[CATEGORY[state.state]] += seconds / SECOND
            found[key].transitions += 1


def _shifts(machine: SimMachine, start: Micros, end: Micros) -> dict[tuple[str, str], Span]:
    zone = SITE_ZONES[machine.path.split("/")[1]]
    day = to_datetime(start).astimezone(zone).date() - timedelta(1)
    last = to_datetime(end).astimezone(zone).date()
    found = {}
    while day <= last:
        for shift in shifts_of_day(machine, day):
            if shift.end > start and shift.start < end:
                found[(shift.day.isoformat(), shift.name)] = (shift.start, shift.end)
        day += timedelta(1)
    return found


def _busy(machine: SimMachine, start: Micros, end: Micros) -> dict[tuple[str, str], list[Span]]:
    """Planned busy time per shift: the shift without its breaks, inside the window."""
    zone = SITE_ZONES[machine.path.split("/")[1]]
    day = to_datetime(start).astimezone(zone).date() - timedelta(1)
    found: dict[tuple[str, str], list[Span]] = {}
    while day <= to_datetime(end).astimezone(zone).date():
        for shift in shifts_of_day(machine, day):
            cuts = [shift.start, *(t for span in shift.breaks for t in span), shift.end]
            spans = [
                (max(s, start), min(e, end))
                for s, e in zip(cuts[::2], cuts[1::2], strict=True)
                if s < end and e > start
            ]
            if spans:
                found[(shift.day.isoformat(), shift.name)] = spans
        day += timedelta(1)
    return found


def _overlap(one: Span, other: Span) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


def _overlap3(one: Span, two: Span, three: Span) -> int:
    return max(0, min(one[1], two[1], three[1]) - max(one[0], two[0], three[0]))


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time without overlaps."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
