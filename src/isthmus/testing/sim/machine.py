"""How a simulated machine lives: a seeded, endless, deterministic stream of what happens to it.

Pure: no sockets, no clock. The same seed and start give the same life, so history and live
operation are one story, and the truth is known exactly.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from isthmus.base.clock import SECOND, Micros

State = Literal["execute", "setup", "idle", "stopped", "aborted", "off"]


@dataclass(frozen=True)
class StateChange:
    """The machine is in `state` from `time` on."""

    time: Micros
    state: State
    reason: str = ""
    """Why, as a person at the machine would say it; empty while it runs."""


@dataclass(frozen=True)
class Part:
    """One part was finished."""

    time: Micros
    good: bool
    cycle_s: float
    melt_temp: float
    """Degrees Celsius; machining: spindle load in percent."""


@dataclass(frozen=True)
class OrderStart:
    """From here on (set-up included) the machine works for this order."""

    time: Micros
    order: "Order"


@dataclass(frozen=True)
class OrderEnd:
    """The order's quantity is done."""

    time: Micros
    order: "Order"


@dataclass(frozen=True)
class CounterReset:
    """Somebody set the machine's counters to zero."""

    time: Micros


Event = StateChange | Part | OrderStart | OrderEnd | CounterReset


@dataclass(frozen=True)
class Order:
    """What the ERP wants from one machine."""

    number: str
    material: str
    quantity: int
    ideal_cycle_s: float


@dataclass(frozen=True)
class Character:
    """How well a machine runs; times are means in seconds of production between disturbances."""

    scrap: float = 0.02
    breakdown_every: float = 4 * 3600
    breakdown_lasts: float = 15 * 60
    waiting_every: float = 3 * 3600
    waiting_lasts: float = 6 * 60
    minor_every: float = 30 * 60
    minor_lasts: float = 40
    slow_every: float = 5 * 3600
    slow_lasts: float = 25 * 60
    slow_factor: float = 1.6
    setup_lasts: float = 30 * 60
    pauses: bool = True
    """Stands during breaks."""
    reset_at_setup: float = 0.2
    """Probability that the counters are set to zero when an order changes."""
    breakdown_reasons: tuple[str, ...] = ("hydraulics", "robot_gripper", "sensor_fault")
    waiting_reasons: tuple[str, ...] = ("material_missing", "operator_missing")


Planned = Callable[[Micros], tuple[Literal["work", "break", "off"], Micros]]
"""What is planned at a time, and until when."""


@dataclass
class _Life:
    """The machine between two events; only `live` below reads it."""

    random: random.Random
    planned: Planned
    character: Character
    orders: Iterator[Order]
    time: Micros
    state: State | None = None
    order: Order | None = None
    done: int = 0
    slow_left: float = 0.0
    until: dict[str, float] = field(default_factory=dict)
    """Seconds of production left before the next disturbance of each kind."""

    def draw(self, mean: float) -> float:
        return self.random.expovariate(1 / mean)

    def lasting(self, mean: float) -> float:
        """A duration that is rarely short and sometimes long."""
        return max(5.0, mean * self.random.lognormvariate(-0.32, 0.8))

    def change(self, state: State, reason: str = "") -> Iterator[Event]:
        if state != self.state:
            self.state = state
            yield StateChange(self.time, state, reason)

    def spend(self, state: State, seconds: float, reason: str = "") -> Iterator[Event]:
        """Stay in a state for so many seconds of planned time; breaks and nights interrupt it."""
        left = _whole(seconds)
        while left > 0:
            what, until = self.planned(self.time)
            if what == "off":
                yield from self.change("off")
                self.time = until
                continue
            if what == "break" and self.character.pauses:
                yield from self.change("idle", "break")
                self.time = until
                continue
            yield from self.change(state, reason)
            step = min(left, until - self.time)
            self.time += step
            left -= step


def live(
    seed: str, start: Micros, planned: Planned, character: Character, orders: Iterator[Order]
) -> Iterator[Event]:
    """All events of one machine from `start` on, in order, for ever."""
    life = _Life(random.Random(seed), planned, character, orders, start)
    kinds = ("breakdown", "waiting", "minor", "slow")
    life.until = {kind: life.draw(_every(character, kind)) for kind in kinds}
    while True:
        yield from _rest(life)
        if life.order is None:
            yield from _set_up(life)
        yield from _produce(life)


def _every(character: Character, kind: str) -> float:
    every: float = getattr(character, f"{kind}_every")
    return every


def _rest(life: _Life) -> Iterator[Event]:
    """Nights and breaks, until there is planned time to work in."""
    while True:
        what, until = life.planned(life.time)
        if what == "work" or (what == "break" and not life.character.pauses):
            return
        if what == "off":
            yield from life.change("off")
        else:
            yield from life.change("idle", "break")
        life.time = until


def _set_up(life: _Life) -> Iterator[Event]:
    life.order = next(life.orders)
    life.done = 0
    yield OrderStart(life.time, life.order)
    if life.random.random() < life.character.reset_at_setup:
        yield CounterReset(life.time)
    yield from life.spend("setup", life.lasting(life.character.setup_lasts))


def _produce(life: _Life) -> Iterator[Event]:
    """One cycle, or the disturbance that comes before it ends."""
    order = life.order
    if order is None:
        return
    pace = life.character.slow_factor if life.slow_left > 0 else 1.0
    cycle = order.ideal_cycle_s * pace * max(0.9, life.random.gauss(1.02, 0.015))
    nearest = min(life.until, key=lambda kind: life.until[kind])
    _, until = life.planned(life.time)
    yield from life.change("execute")
    boundary = (until - life.time) / SECOND
    if min(life.until[nearest], boundary) < cycle:
        ran = min(life.until[nearest], boundary)
        _ran(life, ran)
        if life.until[nearest] <= 0:
            yield from _disturb(life, nearest)
        return  # the cycle that was running is lost: no part
    _ran(life, cycle)
    good = life.random.random() >= life.character.scrap
    yield Part(life.time, good, round(cycle, 3), round(life.random.gauss(230, 1.5), 2))
    life.done += good
    if life.done >= order.quantity:
        yield OrderEnd(life.time, order)
        life.order = None


def _ran(life: _Life, seconds: float) -> None:
    life.time += _whole(seconds)
    life.slow_left -= seconds
    for kind in life.until:
        life.until[kind] -= seconds


def _whole(seconds: float) -> Micros:
    """Whole milliseconds, as the coarsest device clock of the fleet has them; at least one."""
    return max(1, round(seconds * 1000)) * 1000


def _disturb(life: _Life, kind: str) -> Iterator[Event]:
    character = life.character
    life.until[kind] = life.draw(_every(character, kind))
    lasts = life.lasting(float(getattr(character, f"{kind}_lasts")))
    match kind:
        case "slow":
            life.slow_left = lasts
        case "minor":
            yield from life.spend("stopped", min(lasts, 110.0), "minor")
        case "waiting":
            yield from life.spend("idle", lasts, life.random.choice(character.waiting_reasons))
        case _:
            reason = life.random.choice(character.breakdown_reasons)
            yield from life.spend("aborted", lasts, reason)
