"""States of machines that only count: they run while parts come, else they stand.

The truth is in device times: a machine runs from the first pulse of a row of pulses to the last.
That it stands is only known once `after` has passed; should a delayed pulse then show that it did
run, `running` is written again at the same time, and the later word holds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from isthmus.base.clock import SECOND, Micros
from isthmus.field.carried import Carried, Held, Pulses
from isthmus.field.mapping import DerivedState


@dataclass(frozen=True)
class Pulse:
    """One reading of the counter that a rule watches."""

    time: Micros
    received: Micros
    pieces: int | None
    """How many were counted; None: the reading was bad."""


@dataclass(frozen=True)
class StateChange:
    """A row that no sample brought."""

    derived: DerivedState
    time: Micros
    known: Micros
    """When it could be known."""
    state: str | None
    """None: nobody knows."""


def changes(
    derived: DerivedState, readings: Iterable[Pulse], carried: Carried, now: Micros
) -> list[StateChange]:
    """State changes that follow from readings in order of arrival and from silence until `now`."""
    key = f"{derived.machine}|{derived.block}.{derived.field}"
    watch = _Watch(derived, carried.pulses.get(key, Pulses()))
    found: list[StateChange] = []
    for reading in readings:
        found += watch.silence(reading.received)
        found += watch.reading(reading)
    found += watch.silence(now)
    carried.pulses[key] = watch.now
    if found:
        carried.held[key] = Held(found[-1].time, found[-1].state)
    return found


class _Watch:
    """Walks one machine's readings."""

    def __init__(self, derived: DerivedState, start: Pulses) -> None:
        self.derived = derived
        self.after = int(derived.rule.after * SECOND)
        self.now = start

    def silence(self, until: Micros) -> Iterator[StateChange]:
        if self.now.status in ("running", "watching") and until - self.now.seen > self.after:
            yield self._change(self.now.at, self.derived.rule.standing, self.now.seen + self.after)
            # Silence since the source was opened has no last pulse that a later one could be near.
            at = self.now.at if self.now.status == "running" else 0
            self.now = Pulses("standing", at, self.now.seen)

    def reading(self, reading: Pulse) -> Iterator[StateChange]:
        if reading.pieces is None:
            if self.now.status != "unknown":
                yield self._change(reading.time, None, reading.received)
            self.now = Pulses("unknown", reading.time, reading.received)
        elif self.now.status == "unknown":
            # Parts counted while nobody could see are no sign that it runs now.
            self.now = Pulses("watching", reading.received, reading.received)
        elif reading.pieces > 0:
            yield from self._pulse(reading)

    def _pulse(self, pulse: Pulse) -> Iterator[StateChange]:
        rule, before = self.derived.rule, self.now
        near = pulse.time - before.at <= self.after
        match before.status:
            case "running" if not near:
                yield self._change(before.at, rule.standing, pulse.received)
                yield self._change(pulse.time, rule.running, pulse.received)
            case "standing" if near:
                yield self._change(before.at, rule.running, pulse.received)
            case "standing" | "watching":
                yield self._change(pulse.time, rule.running, pulse.received)
        self.now = Pulses("running", pulse.time, pulse.received)

    def _change(self, time: Micros, state: str | None, known: Micros) -> StateChange:
        return StateChange(self.derived, time, known, state)
