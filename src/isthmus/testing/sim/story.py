"""One source's machines, event by event: the same story for history, live devices and truth."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from isthmus.base.clock import Micros
from isthmus.testing.sim.fleet import FLEET, SimMachine, events
from isthmus.testing.sim.machine import Event
from isthmus.testing.sim.wire import Panel, Write, snapshot, writes

_Entry = tuple[Micros, int, SimMachine, Event]


@dataclass(frozen=True)
class Happening:
    """An event of one machine and what it changes on the wire."""

    machine: SimMachine
    event: Event
    writes: list[Write]


@dataclass
class Story:
    """All that happens to the machines of one source from `start` on, in order of time."""

    source: str
    seed: int
    start: Micros
    panels: dict[str, Panel] = field(init=False)
    machines: tuple[SimMachine, ...] = field(init=False)
    _stream: Iterator[_Entry] = field(init=False)
    _next: _Entry | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.machines = tuple(machine for machine in FLEET if machine.source == self.source)
        self.panels = {machine.path: Panel() for machine in self.machines}
        streams = [self._of(number, machine) for number, machine in enumerate(self.machines)]
        self._stream = heapq.merge(*streams, key=lambda entry: entry[:2])

    def _of(self, number: int, machine: SimMachine) -> Iterator[_Entry]:
        for event in events(machine, self.seed, self.start):
            yield event.time, number, machine, event

    def next_time(self) -> Micros:
        if self._next is None:
            self._next = next(self._stream)
        return self._next[0]

    def until(self, now: Micros) -> Iterator[Happening]:
        """What has happened since the last call, up to `now`."""
        while self.next_time() <= now:
            if self._next is None:  # next_time has just filled it
                raise AssertionError
            _, _, machine, event = self._next
            self._next = None
            yield Happening(machine, event, writes(machine, self.panels[machine.path], event))

    def snapshot(self, time: Micros) -> list[Write]:
        """What a controller shows to somebody who connects at `time`."""
        shown: list[Write] = []
        for machine in self.machines:
            shown += snapshot(machine, self.panels[machine.path], time)
        return shown


SOURCES: tuple[str, ...] = tuple(dict.fromkeys(machine.source for machine in FLEET))
