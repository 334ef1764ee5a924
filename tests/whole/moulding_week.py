"""Drives real OPC UA and Modbus servers through a recorded week, as fast as is safe.

OPC UA values carry the time at which the machine made them, so that parts come up to the last
second of a shift. Modbus values carry the time at which they are read: those machines make their
parts in the first half of each stretch, and there is time to read them before the shift ends.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.whole import moulding
from tests.whole.moulding import Stretch
from tests.whole.running import Running, started

from isthmus.base.clock import DAY, HOUR, SECOND, Micros, ScaledClock, to_micros
from isthmus.cli.demo import free_ports
from isthmus.testing.sim.devices import Device, ModbusDevice, OpcuaDevice
from isthmus.testing.sim.wire import Write

ATTEMPTS = ((7200.0, 12.0), (3600.0, 30.0), (1800.0, 60.0))
"""Speed, and wall seconds for the platform to start before the first shift begins: a computer that
is too busy for one gets more time in the next."""
MODBUS = {"NO.02", "NO.04", "NO.06", "NO.08"}
"""NO.04 and NO.08 have shifts with two items."""
STANDING, WAITING, RUNNING = 0, 1, 2
BEGINS_AT = {"holding:0:uint16": 60_000, "holding:1:uint16": 65_530}
"""Registers of 16 bits are soon full, so that they begin again at 0 during the week."""


class TooSlowError(Exception):
    """This computer, not the platform, would have put parts into the wrong shift."""


class CounterBox(ModbusDevice):
    """Knows whether it was read since it changed."""

    unread = False

    async def apply(self, writes: Sequence[Write]) -> None:
        self.unread = True
        await super().apply(writes)

    async def _show(self, *request: Any) -> None:
        await super()._show(*request)
        self.unread = False


@dataclass
class Machine:
    """A press or a counter box; its counters go up as the records say."""

    name: str
    device: Device
    good: int = 0
    scrap: int = 0

    def show(self, at: Micros, state: int | None = None) -> list[Write]:
        polled = isinstance(self.device, CounterBox)
        root = f"ns=2;s={self.name}"
        if polled:
            values = {
                "holding:0:uint16": BEGINS_AT["holding:0:uint16"] + self.good + self.scrap,
                "holding:1:uint16": BEGINS_AT["holding:1:uint16"] + self.scrap,
            }
        else:
            values = {f"{root}.Good": self.good, f"{root}.Rejects": self.scrap}
        if state is not None:
            values["input:0:uint16" if polled else f"{root}.State"] = state
        return [Write(at, tag, value) for tag, value in values.items()]


@dataclass(frozen=True, order=True)
class Step:
    """Something that happens at a moment of plant time."""

    at: Micros
    deadline: Micros
    """Later than this it would be told of another shift."""
    do: Callable[[], list[Write]] = field(compare=False)
    machine: Machine | None = field(compare=False, default=None)


def steps(machine: Machine, stretch: Stretch) -> Iterator[Step]:
    """State and counters of one stretch of one machine."""
    start, end = to_micros(stretch.start), to_micros(stretch.end)
    if isinstance(machine.device, CounterBox):
        yield Step(start + (end - start) * 7 // 8, end, _check_read(machine.device))
        count, first, last = 10, start + (end - start) // 12, start + (end - start) // 2
        deadline = start + (end - start) * 3 // 4
    else:
        count, first, last = 40, start + SECOND, end - SECOND
        deadline = end + DAY
    if not stretch.produced:
        yield Step(first, deadline, lambda: machine.show(first, STANDING), machine)
        return
    good, scrap = _shares(stretch.good, count), _shares(stretch.scrap, count)
    for number in range(count):
        at = first + (last - first) * number // (count - 1)

        def make(number: int = number, at: Micros = at) -> list[Write]:
            machine.good += good[number]
            machine.scrap += scrap[number]
            return machine.show(at, RUNNING if number < count - 1 else WAITING)

        yield Step(at, deadline, make, machine)


def _check_read(box: CounterBox) -> Callable[[], list[Write]]:
    def check() -> list[Write]:
        if box.unread:
            raise TooSlowError("a counter box was not read for half a shift")
        return []

    return check


def _shares(total: int, count: int) -> list[int]:
    return [total * (n + 1) // count - total * n // count for n in range(count)]


class Week:
    """The plant of the records with its platform, from Sunday on."""

    def __init__(self, folder: Path, stretches: Sequence[Stretch], speed: float) -> None:
        self.stretches = stretches
        self.speed = speed
        self.runs = moulding.order_runs(stretches)
        self.drop = folder / "drop"
        self.drop.mkdir()
        names = sorted({one.machine for one in stretches})
        ports = free_ports([moulding.GATEWAY, *(name for name in names if name in MODBUS)])
        gateway = OpcuaDevice(ports[moulding.GATEWAY])
        boxes = {name: CounterBox(ports[name]) for name in names if name in MODBUS}
        self.devices: list[Device] = [gateway, *boxes.values()]
        self.machines = {name: Machine(name, boxes.get(name, gateway)) for name in names}
        (folder / "model").mkdir()
        text = moulding.model(names, ports, self.drop)
        (folder / "model" / "model.yaml").write_text(text, encoding="utf-8")
        self.first = min(to_micros(one.start) for one in stretches)
        self.last = max(to_micros(one.end) for one in stretches)
        self.folder = folder

    async def live(self, lead: float) -> Running:
        """Everything from the start of the devices to the orderly end of the platform.

        TooSlowError if it would prove nothing about the platform.
        """
        moulding.write_orders(self.drop)
        await self._start_devices()
        wall = time.time_ns() // 1000 + round(lead * SECOND)
        self.clock = ScaledClock(self.first, wall, self.speed)
        clock = f"{self.first},{wall},{self.speed}"
        try:
            with started(self.folder, clock) as platform:
                await asyncio.to_thread(platform.wait_connected, 60)
                if self.clock.now() > self.first:
                    raise TooSlowError("the first shift began before the platform was there")
                await self._work(platform)
                await self._settled(platform)
        finally:
            await asyncio.gather(*(device.stop() for device in self.devices))
        return platform

    async def _start_devices(self) -> None:
        sunday = self.first - 2 * DAY
        for machine in self.machines.values():
            await machine.device.apply(machine.show(sunday, STANDING))
        for device in self.devices:
            await device.start()

    async def _work(self, platform: Running) -> None:
        for step in self._steps():
            ahead = (step.at - self.clock.now()) / SECOND / self.speed
            if ahead > 0:
                await asyncio.sleep(ahead)
            writes = step.do()
            if step.machine is not None:
                await step.machine.device.apply(writes)
            late = (self.clock.now() - step.at) / SECOND / self.speed
            if self.clock.now() > step.deadline:
                raise TooSlowError(f"what should be done now is {late:.1f} s behind")
            platform.check_alive()

    def _steps(self) -> list[Step]:
        found: list[Step] = []
        for name, machine in self.machines.items():
            own = [one for one in self.stretches if one.machine == name]
            found += [step for stretch in own for step in steps(machine, stretch)]
        return sorted([*found, *self._hand_ins()])

    def _hand_ins(self) -> Iterator[Step]:
        """Every morning, after the night shift, somebody hands in what ran on which machine."""
        days = [day for day, _ in groupby(sorted(one.day for one in self.stretches))]
        for day in days:
            morning = datetime(day.year, day.month, day.day, 6, 20, tzinfo=moulding.ZONE)
            at = morning + timedelta(days=1)

            def hand_in(at: datetime = at) -> list[Write]:
                moulding.write_runs(self.drop, self.runs, at)
                return []

            moment = to_micros(at)
            yield Step(moment, moment + 10 * DAY, hand_in)

    async def _settled(self, platform: Running) -> None:
        """Until every file is read and nothing more can come."""

        def read() -> bool:
            return not list(self.drop.glob("*.xlsx")) and self.clock.now() > self.last + HOUR

        await asyncio.to_thread(platform.wait, read, 30, "all workbooks are read")


def lived(folder: Path, stretches: Sequence[Stretch]) -> Running:
    """The platform's data after that week; it has stopped in good order."""
    slow: list[str] = []
    for number, (speed, lead) in enumerate(ATTEMPTS):
        attempt = folder / f"attempt-{number}"
        attempt.mkdir()
        try:
            return asyncio.run(Week(attempt, stretches, speed).live(lead))
        except TooSlowError as error:
            slow.append(f"at {speed:g} times: {error}")
    raise AssertionError(f"this computer is too slow: {'; '.join(slow)}")
