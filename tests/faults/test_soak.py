"""A day of a plant in a few seconds: nothing grows, nothing is lost, whatever the cable does."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from isthmus.base.clock import HOUR, Micros, SystemClock
from isthmus.testing.modbus_server import ModbusServer
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

from ..whole.running import Running, unbalanced  # noqa: TID252 - tests are not installed
from .hall import MODEL

DAY_HOURS = 24.0
CUTS = 12
"""So often does the cable break on that day."""
MOST_GROWTH_MB = 15.0
"""Between the second quarter of the day and the last; a leak of 400 bytes a poll would be more."""
MOST_GROWTH_IN_SECONDS_MB = 25.0
"""The same of a day of seconds, whose second quarter is still warming up."""
MOST_HANDLES = 3
"""The log keeps a few readers open once they were needed; a leak of one per cut would be six."""


@dataclass
class Seen:
    """What was measured of the platform's process, in order."""

    process: psutil.Process
    memory_mb: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)

    def look(self) -> None:
        self.memory_mb.append(self.process.memory_info().rss / 1e6)
        self.handles.append(self.process.num_fds())

    def growth(self, values: list[float] | list[int]) -> float:
        """Median of the last quarter minus that of the second: the first is warming up."""
        quarter = len(values) // 4
        return statistics.median(values[-quarter:]) - statistics.median(
            values[quarter : 2 * quarter]
        )


async def soak(folder: Path, speed: float) -> Seen:
    """A day at this speed: parts all the time, and a cable that breaks every two hours."""
    device = ModbusServer({"holding": {0: 3, 1: 0}})
    async with device, TcpProxy(device.port) as cable, platform(folder, cable.port, speed) as plant:
        child = plant._child
        assert child is not None
        seen, made, began = Seen(psutil.Process(child.pid)), 0, time.monotonic()
        seconds = DAY_HOURS * 3600 / speed
        cuts = [seconds * (n + 0.5) / CUTS for n in range(CUTS)]
        while (passed := time.monotonic() - began) < seconds:
            if cuts and passed > cuts[0]:
                del cuts[0]
                await cable.cut()
            made += 1
            device.put("holding", 0, [3 if made % 20 else 7, made])
            seen.look()
            await asyncio.sleep(0.05)
        await asyncio.to_thread(settled, plant, made)
        assert device.most_connections == 1
    return seen


def settled(plant: Running, made: int) -> None:
    """All parts are there, the ledger adds up, every cut is a gap that has ended."""
    parts = "SELECT coalesce(sum(good), 0)::BIGINT AS n FROM part_count"
    plant.wait(lambda: plant.sql(parts)[0]["n"] == made, 20, f"{made} parts are counted")
    assert unbalanced(plant) == []
    gaps = plant.sql('SELECT reason, "end" FROM gap ORDER BY start')
    assert [gap["reason"] for gap in gaps] == ["lost"] * CUTS
    assert all(gap["end"] is not None for gap in gaps)


@asynccontextmanager
async def platform(folder: Path, port: int, speed: float) -> AsyncIterator[Running]:
    keys = f"host: {LOOPBACK}, port: {port}, interval: 1 s, timeout: 1 h"
    tags = {"state": "holding:0:uint16", "good": "holding:1:uint16"}
    (folder / "model").mkdir()
    text = MODEL.format(kind="modbus", source=keys, free_mb=0, watch="", **tags)
    (folder / "model" / "model.yaml").write_text(text)
    now: Micros = SystemClock().now()
    running = Running(folder, f"{now - now % HOUR},{now},{speed}")
    running.start()
    try:
        await asyncio.to_thread(running.wait_connected)
        yield running
    except BaseException:
        running.kill()
        raise
    await asyncio.to_thread(running.stop)


def check(seen: Seen, most_mb: float) -> None:
    what = json.dumps({"memory": seen.memory_mb[::20], "handles": seen.handles[::20]})
    assert seen.growth(seen.memory_mb) < most_mb, what
    assert seen.growth(seen.handles) <= MOST_HANDLES, what


async def test_a_day_in_twenty_seconds_leaves_memory_and_handles_as_they_were(tmp_path):
    check(await soak(tmp_path, speed=DAY_HOURS * 3600 / 20), MOST_GROWTH_IN_SECONDS_MB)


@pytest.mark.long
async def test_a_day_in_half_an_hour_leaves_memory_and_handles_as_they_were(tmp_path):
    check(await soak(tmp_path, speed=48.0), MOST_GROWTH_MB)
