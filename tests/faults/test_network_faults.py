"""Cables, switches and devices that go off; a small Modbus device behind a cable that fails."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from isthmus.base.clock import HOUR, SystemClock
from isthmus.field.budget import Allowance
from isthmus.runtime.backoff import Backoff
from isthmus.testing.modbus_server import ModbusServer, Request
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

from .hall import SOURCE, Hall, hall, hurried, seconds

STATE, GOOD = 0, 1


@pytest.fixture
async def device() -> AsyncIterator[ModbusServer]:
    async with ModbusServer({"holding": {STATE: 3, GOOD: 100}}) as running:
        yield running


@asynccontextmanager
async def connected(
    folder: Path, port: int, more: str = "interval: 50 ms, timeout: 500 ms", **how: Any
) -> AsyncIterator[Hall]:
    keys = f"host: {LOOPBACK}, port: {port}, {more}"
    tags = {"state": f"holding:{STATE}:uint16", "good": f"holding:{GOOD}:uint16"}
    async with hall(folder, "modbus", keys, **tags, **how) as running:
        await running.back()
        yield running


async def test_half_open_link_is_noticed_within_the_timeout(tmp_path, device):
    async with TcpProxy(device.port) as cable, connected(tmp_path, cable.port) as plant:
        cable.black_hole()
        gap = await plant.shows_unknown("lost")
        device.put("holding", GOOD, [109])
        await cable.heal()
        await plant.back()
        await plant.until(lambda: plant.parts() == 9)
        assert [one.id for one in plant.gaps()] == [gap.id]


async def test_device_that_is_off_every_night_leaves_one_gap_per_night(tmp_path, device):
    clock = hurried(57_600)  # eight hours are half a second
    how = "interval: 10 min, timeout: 500 ms"
    async with (
        TcpProxy(device.port) as cable,
        connected(tmp_path, cable.port, how, clock=clock) as plant,
    ):
        nights = []
        for night in range(1, 4):
            await cable.refuse()
            off = plant.now
            await plant.until(lambda off=off: plant.now > off + 8 * HOUR)
            assert len([gap for gap in plant.gaps() if gap.end is None]) == 1
            device.put("holding", GOOD, [100 + night])
            on = plant.now
            await cable.heal()
            await plant.back()
            nights.append((off, on, plant.now))
            await plant.until(lambda night=night: plant.parts() == night)
        assert [gap.reason for gap in plant.gaps()] == ["lost"] * 3
        for gap, (off, on, seen) in zip(plant.gaps(), nights, strict=True):
            assert gap.start < off + HOUR // 2
            assert on < gap.end < seen
        assert plant.platform.health()["status"] == "ready"  # a machine that is off is not ours


async def test_slow_server_is_said_while_the_read_still_waits(tmp_path, device):
    how = "interval: 50 ms, timeout: 20 s"
    async with TcpProxy(device.port) as cable, connected(tmp_path, cable.port, how) as plant:
        cable.delay(2.5)  # there and back: a read takes 5 s
        await plant.until(lambda: "slow" in plant.told, 2.0 + 3.0)
        assert (plant.health, plant.wrong) == ("slow", ["slow"])
        (gap,) = plant.gaps()
        assert (gap.reason, gap.end) == ("slow", None)
        device.put("holding", GOOD, [104])
        await cable.heal()
        await plant.shows("in_time")
        assert plant.wrong == []
        await plant.until(lambda: plant.parts() == 4)
        assert plant.states() == ["execute"]  # what it said, it said truly
        (gap,) = plant.gaps()
        assert 2.0 < seconds(gap) < 10.0


async def test_server_slower_than_its_timeout_is_lost_not_waited_for(tmp_path, device):
    async with TcpProxy(device.port) as cable, connected(tmp_path, cable.port) as plant:
        cable.delay(2.5)
        await plant.shows_unknown("lost")
        await cable.heal()
        await plant.back()


async def test_our_own_clock_that_is_set_back_hides_no_later_state(tmp_path, device):
    clock = Settable()
    async with connected(tmp_path, device.port, clock=clock) as plant:
        clock.offset = -HOUR
        device.put("holding", STATE, [7])
        await plant.until(lambda: "clock" in plant.told, 3.0)
        await plant.back("aborted")
        assert plant.states()[-1] == "aborted"
        (gap,) = plant.gaps("clock")
        assert "went back by 60 min" in gap.detail
        device.put("holding", STATE, [3])
        await plant.back("execute")
        assert plant.nothing_unaccounted()


class Settable(SystemClock):
    """This computer's clock, which somebody sets."""

    offset = 0

    def now(self) -> int:
        return super().now() + self.offset


async def test_fifty_reconnects_never_hold_a_second_connection(tmp_path, device):
    how = "interval: 1 s, timeout: 25 s"
    async with (
        TcpProxy(device.port) as cable,
        connected(tmp_path, cable.port, how, clock=hurried(50.0)) as plant,
    ):
        for _ in range(50):
            asked = len(device.requests)
            await cable.cut()
            await plant.until(lambda asked=asked: len(device.requests) > asked)
        assert device.most_connections == 1
        assert len(plant.gaps("lost")) >= 45  # a cut right after a cut may be one
        await plant.back()


def test_sources_that_were_lost_together_come_back_one_by_one():
    pauses = sorted(Backoff(1.0, 30.0).pause() for _ in range(200))
    assert 0.8 <= pauses[0] < 0.85
    assert 1.15 < pauses[-1] <= 1.2
    in_any_50_ms = max(sum(at <= other < at + 0.05 for other in pauses) for at in pauses)
    assert in_any_50_ms < 60


def test_pauses_grow_to_half_a_minute_and_no_further():
    waiting = Backoff(1.0, 30.0, jitter=0.0)
    assert [waiting.pause() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


async def test_budget_holds_over_reconnects(tmp_path, device, monkeypatch):
    """By the moments at which requests get their turn: how late one arrives is nobody's choice."""
    turns: list[float] = []
    take = Allowance.take

    def noted(allowance: Allowance) -> float:
        seconds = take(allowance)
        if seconds <= 0:
            turns.append(allowance._sent[-1])
        return seconds

    monkeypatch.setattr(Allowance, "take", noted)
    # Longer than the pause before the next try: what was asked before it counts.
    limits = "budget: {requests_per_second: 10, min_interval: 1500 ms}"
    how = f"interval: 20 ms, timeout: 500 ms, {limits}"
    async with TcpProxy(device.port) as cable, connected(tmp_path, cable.port, how) as plant:
        for cuts in range(1, 3):
            await plant.until(lambda cuts=cuts: len(device.requests) > cuts)
            await cable.cut()
        await plant.until(lambda: len(device.requests) > 3)
    assert len(device.requests) <= len(turns)
    assert all(after - one >= 1.5 - 1e-6 for one, after in pairwise(turns))
    assert device.most_connections == 1


@pytest.mark.parametrize("most", [1, 2])
async def test_pages_open_no_more_connections_than_the_device_has(tmp_path, device, most):
    """Live values and a test at once, beside intake; who finds none free is told what to do."""
    how = f"interval: 50 ms, timeout: 500 ms, budget: {{connections: {most}}}"
    async with TcpProxy(device.port) as cable, connected(tmp_path, cable.port, how) as plant:
        bench = plant.platform.workbench
        tags = [f"holding:{GOOD}:uint16"]

        def heard():
            return bench.listen(SOURCE, tags)

        await plant.until(lambda: heard().open if most > 1 else heard().trouble != "")
        bench.begin_trial(SOURCE, 0.3)
        await plant.until(lambda: not bench.trial(SOURCE).running)
        assert f"allows {most}" in bench.trial(SOURCE).trouble
        assert (f"allows {most}" in heard().trouble) == (most == 1)
        assert plant.health == "connected"
        assert device.most_connections == most
        assert plant.gaps() == []


async def test_a_page_that_looks_takes_its_requests_from_the_budget_of_the_device(tmp_path, device):
    how = "interval: 20 ms, timeout: 2 s, budget: {requests_per_second: 10}"
    stamps = device.requests = Stamps()
    async with TcpProxy(device.port) as cable, connected(tmp_path, cable.port, how) as plant:
        tags = [f"holding:{GOOD}:uint16"]
        seen = len(stamps.at)
        await plant.until(
            lambda: plant.platform.workbench.listen(SOURCE, tags).tags[0].received > 0
        )
        await plant.until(lambda: len(stamps.at) >= seen + 25)
    at = stamps.at
    # Of two sessions one request may arrive a little late: not their bunches count, but their sum.
    assert len(at) <= 10 * (at[-1] - at[0] + 1)
    assert device.most_connections == 2


class Stamps(list[Request]):
    """Requests, and when each came."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []

    def append(self, request: Request) -> None:
        super().append(request)
        self.at.append(time.monotonic())
