"""What people at the machines say about stops: mostly something, later, sometimes nothing."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from isthmus.base.clock import MINUTE, Micros
from isthmus.testing.sim.fleet import SimMachine, events
from isthmus.testing.sim.machine import StateChange

GIVEN = 0.85
SILENT = frozenset({"", "minor", "break"})
"""Nobody says anything about these."""


@dataclass(frozen=True)
class Said:
    """A person gave a reason for a stop."""

    recorded: Micros
    machine: str
    start: Micros
    end: Micros
    reason: str


def said(machine: SimMachine, seed: int, start: Micros, end: Micros) -> Iterator[Said]:
    """Reasons given until `end` for stops since `start`."""
    chance = random.Random(f"{seed}/{machine.path}/people")
    stop: StateChange | None = None
    for event in events(machine, seed, start):
        if event.time >= end:
            return
        if not isinstance(event, StateChange):
            continue
        if stop is not None:
            recorded = event.time + round(chance.uniform(1, 30) * MINUTE)
            if chance.random() < GIVEN and recorded < end:
                yield Said(recorded, machine.path, stop.time, event.time, stop.reason)
        stop = None if event.reason in SILENT else event
