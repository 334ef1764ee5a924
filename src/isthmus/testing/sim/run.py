"""Runs the reference company's devices, broker and ERP in one process, until it is told to stop.

`python -m isthmus.testing.sim.run SETTINGS.json` is what the demonstration starts as a child.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from isthmus.base.clock import SECOND, Clock, Micros, ScaledClock
from isthmus.runtime.supervisor import orphaned
from isthmus.testing.sim.agent import AgentDevice
from isthmus.testing.sim.broker import Broker
from isthmus.testing.sim.devices import CellDevice, Device, ModbusDevice, OpcuaDevice
from isthmus.testing.sim.erp import Erp
from isthmus.testing.sim.outages import outages
from isthmus.testing.sim.story import SOURCES, Story
from isthmus.testing.sim.truth import TruthFile
from isthmus.testing.sim.wire import Write

BROKER = "broker"


@dataclass(frozen=True)
class Settings:
    """Everything the child needs; the platform computes history from the same numbers."""

    seed: int
    start: Micros
    """Plant time at which the machines' lives begin."""
    clock_start: Micros
    clock_wall: Micros
    speed: float
    ports: dict[str, int]
    """Source (and `broker`) → TCP port on loopback."""
    erp_url: str
    folder: str
    """For the broker's store and the truth file."""
    faults: bool = True
    end: Micros | None = None
    """Plant time after which the machines stand still; None: never."""

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2))

    @staticmethod
    def load(path: Path) -> "Settings":
        return Settings(**json.loads(path.read_text()))

    @property
    def clock(self) -> ScaledClock:
        return ScaledClock(self.clock_start, self.clock_wall, self.speed)


class Company:
    """All devices of the reference company, driven by their stories."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock: Clock = settings.clock
        folder = Path(settings.folder)
        self.truth = TruthFile(folder / "truth.jsonl")
        self.broker = Broker(settings.ports[BROKER], folder / "broker")
        self.stories = {name: Story(name, settings.seed, settings.start) for name in SOURCES}
        self.devices: dict[str, Device] = {name: self._device(name) for name in SOURCES}
        self.erp = Erp(settings.erp_url, settings.seed, settings.start)

    def _device(self, source: str) -> Device:
        story = self.stories[source]
        wire = story.machines[0].wire
        match wire:
            case "opcua_k" | "opcua_a":
                return OpcuaDevice(self.settings.ports[source])
            case "modbus":
                return ModbusDevice(self.settings.ports[source])
            case "mtconnect":
                return AgentDevice(self.settings.ports[source], story.machines)
            case "mqtt_cell" | "mqtt_robot":
                return CellDevice(self.settings.ports[BROKER], source)

    async def start(self) -> None:
        now = self.now()
        self.erp.create()
        self.erp.advance(now)
        await self.broker.start()
        for name, device in self.devices.items():
            self._live(name, now)  # the past: the panel remembers it, history told it
            await device.apply(self.stories[name].snapshot(now))
        await asyncio.gather(*(device.start() for device in self.devices.values()))
        self.truth.flush()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name in SOURCES:
                tasks.create_task(self._source(name))
                if self.settings.faults and not isinstance(self.devices[name], CellDevice):
                    tasks.create_task(self._cut(name))
            if self.settings.faults:
                tasks.create_task(self._restart_broker())
            tasks.create_task(self._erp())

    async def stop(self) -> None:
        await asyncio.gather(*(device.stop() for device in self.devices.values()))
        await self.broker.stop()
        self.erp.close()
        self.truth.close()

    def now(self) -> Micros:
        now = self.clock.now()
        return now if self.settings.end is None else min(now, self.settings.end)

    def _live(self, source: str, now: Micros) -> list[Write]:
        """What the machines of a source did up to `now`, written into the truth."""
        changes: list[Write] = []
        for happening in self.stories[source].until(now):
            self.truth.write(happening.machine.path, happening.event)
            changes += happening.writes
        return changes

    async def _source(self, name: str) -> None:
        story = self.stories[name]
        while True:
            ahead = (story.next_time() - self.now()) / SECOND / self.clock.speed
            await asyncio.sleep(min(max(ahead, 0.02), 1.0))
            changes = self._live(name, self.now())
            if changes:
                # The device may be off the network; what it shows afterwards is up to date.
                await self.devices[name].apply(changes)
                self.truth.flush()

    async def _sleep_until(self, at: Micros) -> None:
        while (ahead := at - self.clock.now()) > 0:  # noqa: ASYNC110 - plant time, not ours
            await asyncio.sleep(min(ahead / SECOND / self.clock.speed, 1.0))

    async def _cut(self, name: str) -> None:
        device = self.devices[name]
        for start, end in outages(name, self.settings.seed, self.settings.start):
            if end <= self.clock.now():
                continue
            await self._sleep_until(start)
            await device.stop()
            await self._sleep_until(end)
            await device.start()

    async def _restart_broker(self) -> None:
        cells = [device for device in self.devices.values() if isinstance(device, CellDevice)]
        for start, end in outages(BROKER, self.settings.seed, self.settings.start):
            if end <= self.clock.now():
                continue
            await self._sleep_until(start)
            for cell in cells:
                await cell.stop()
            await self.broker.stop()
            await self._sleep_until(end)
            await self.broker.start()
            for cell in cells:
                await cell.start()

    async def _erp(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            await asyncio.to_thread(self.erp.advance, self.clock.now())


async def _main(settings: Settings) -> None:
    company = Company(settings)
    try:
        await company.start()
        # Until here SIGTERM ends us at once: the days before now take seconds, nothing of them is
        # worth waiting for, and whoever started us ends the broker, too.
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        print("ready", flush=True)  # noqa: T201 - the parent waits for this line
        running = asyncio.create_task(company.run())
        ends = {running, *map(asyncio.create_task, (stop.wait(), orphaned()))}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    finally:
        await company.stop()


def main(arguments: Sequence[str]) -> None:
    asyncio.run(_main(Settings.load(Path(arguments[0]))))
    # All is closed. Python would take the nodes of the OPC UA servers apart one by one: a second,
    # and on a busy machine so many that the supervisor kills us.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
