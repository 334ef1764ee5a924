"""What a device may be asked: each polling connector counts its requests and waits its turn."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from isthmus.base.clock import SystemClock
from isthmus.field import budget
from isthmus.field.budget import Allowance, strictest
from isthmus.field.connector import AnyConnector
from isthmus.field.connectors.ethernetip import EthernetIpConnector, EthernetIpSource
from isthmus.field.connectors.http import HttpConnector, HttpSource
from isthmus.field.connectors.modbus import ModbusConnector, ModbusSource
from isthmus.field.connectors.mqtt import MqttSource
from isthmus.field.connectors.s7 import S7Connector, S7Source
from isthmus.model.spec.site import Budget
from isthmus.testing.ethernetip_controller import EthernetIpController
from isthmus.testing.modbus_server import ModbusServer
from isthmus.testing.rest_server import Response, RestServer
from isthmus.testing.s7_server import S7Server
from isthmus.testing.tcp_proxy import LOOPBACK

LIMITS: dict[str, Any] = {"budget": {"requests_per_second": 8.0}}
READING = 0.7
"""Seconds; without a budget each of them is asked hundreds of times meanwhile."""


@asynccontextmanager
async def modbus() -> AsyncIterator[tuple[AnyConnector, list[Any]]]:
    async with ModbusServer({"holding": {0: 1, 500: 2}}) as device:
        spec = ModbusSource(host=LOOPBACK, port=device.port, **LIMITS)
        tags = ("holding:0:uint16", "holding:500:uint16")  # two requests a poll
        yield ModbusConnector("m", spec, tags, SystemClock()), device.requests


@asynccontextmanager
async def s7() -> AsyncIterator[tuple[AnyConnector, list[Any]]]:
    with S7Server({"DB1": 100}) as device:
        spec = S7Source(host=LOOPBACK, port=device.port, **LIMITS)
        yield S7Connector("m", spec, ("DB1.DBW0",), SystemClock()), device.requests


@asynccontextmanager
async def http() -> AsyncIterator[tuple[AnyConnector, list[Any]]]:
    async with RestServer(lambda _: Response.json({"good": 1})) as device:
        spec = HttpSource(url=device.url, **LIMITS)
        yield HttpConnector("m", spec, ("count#$.good",), SystemClock()), device.requests


@asynccontextmanager
async def ethernetip() -> AsyncIterator[tuple[AnyConnector, list[Any]]]:
    async with EthernetIpController({"Good": "DINT"}, {"Good": 41}) as device:
        spec = EthernetIpSource(host=LOOPBACK, port=device.port, **LIMITS)
        yield EthernetIpConnector("m", spec, ("Good",), SystemClock()), device.requests


@pytest.mark.parametrize("device", [modbus, s7, http, ethernetip])
async def test_device_is_never_asked_more_often_than_it_may_be(device):
    async with device() as (connector, requests):
        await connector.open()
        opened = len(requests)
        end = time.monotonic() + READING
        try:
            while time.monotonic() < end:
                await connector.read()
                await asyncio.sleep(0)
        finally:
            await connector.close()
        # What opening sends has been counted too, or comes before all reading.
        assert 6 <= len(requests) - opened <= 10
        assert connector.allowance.requests >= len(requests) - opened


async def test_sources_of_one_device_share_what_it_may_be_asked():
    async with ModbusServer({"holding": {0: 1}}) as device:
        spec = ModbusSource(host=LOOPBACK, port=device.port, **LIMITS)
        shared = Allowance(strictest([spec.budget, Budget(requests_per_second=50.0)]))
        readers = [ModbusConnector(n, spec, ("holding:0:uint16",), SystemClock()) for n in "abc"]
        for one in readers:
            one.allowance = shared
            await one.open()
        opened, end = len(device.requests), time.monotonic() + READING
        try:
            await asyncio.gather(*(_read_until(one, end) for one in readers))
        finally:
            await asyncio.gather(*(one.close() for one in readers))
        # Each of the three may have begun to wait for one that is due after the end.
        assert 5 <= len(device.requests) - opened <= 13


async def _read_until(connector: AnyConnector, end: float) -> None:
    while time.monotonic() < end:
        await connector.read()


async def test_waiting_for_its_turn_does_not_outlast_a_hang_up():
    keys: dict[str, Any] = {"budget": {"min_interval": 60.0}}
    async with EthernetIpController({"Good": "DINT"}, {"Good": 41}) as device:
        spec = EthernetIpSource(host=LOOPBACK, port=device.port, **keys)
        connector = EthernetIpConnector("m", spec, ("Good",), SystemClock())
        opening = asyncio.create_task(connector.open())
        async with asyncio.timeout(5):
            while not connector.allowance.requests:  # noqa: ASYNC110 - it waits in a thread
                await asyncio.sleep(0.01)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        async with asyncio.timeout(5):
            await connector.close()


def test_budget_of_requests_is_refused_where_it_cannot_be_kept():
    with pytest.raises(ValidationError, match="cannot limit the requests of a `mqtt` source"):
        MqttSource(host=LOOPBACK, **LIMITS)


@given(
    rate=st.floats(0.2, 50),
    pause=st.sampled_from([0.0, 0.01, 0.5]),
    idle=st.lists(st.floats(0, 3), min_size=5, max_size=60),
)
def test_no_stretch_of_time_has_more_requests_than_allowed(rate, pause, idle):
    """`idle`: how long the connector has nothing to ask before each request."""
    with pytest.MonkeyPatch.context() as patch:
        clock = _Clock()
        patch.setattr(budget, "time", clock)
        allowance = Allowance(Budget(requests_per_second=rate, min_interval=pause))
        sent = []
        for seconds in idle:
            clock.now += seconds
            clock.now += allowance.wait()
            allowance.sent()
            sent.append(clock.now)
    count = max(1, int(rate))
    for first, after in zip(sent, sent[count:], strict=False):
        assert after - first >= count / rate - 1e-6
    for first, after in pairwise(sent):
        assert after - first >= pause - 1e-6


@given(
    rate=st.floats(0.2, 50),
    pause=st.sampled_from([0.0, 0.01, 0.5]),
    asking=st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(["ask", "ask", "give up"])),
        min_size=5, max_size=60,
    ),
)  # fmt: skip
def test_those_who_wait_at_the_same_time_are_told_different_turns(rate, pause, asking):
    """Of one device, from any thread; a turn that nobody takes is given to no two others."""
    with pytest.MonkeyPatch.context() as patch:
        clock = _Clock()
        patch.setattr(budget, "time", clock)
        allowance = Allowance(Budget(requests_per_second=rate, min_interval=pause))
        turns: list[float] = []
        for seconds, what in asking:
            clock.now += seconds
            if what == "ask" or not turns or turns[-1] <= clock.now:
                turns.append(allowance.reserve())
            else:
                allowance.give_back(turns.pop())
    count = max(1, int(rate))
    for first, after in zip(turns, turns[count:], strict=False):
        assert after - first >= count / rate - 1e-6
    for first, after in pairwise(turns):
        assert after - first >= pause - 1e-6
    assert allowance.requests == len(turns)


class _Clock:
    """In place of the module `time`."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now
