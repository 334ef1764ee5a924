"""What a device may be asked: each polling connector counts its requests and waits its turn."""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from isthmus.base.clock import SystemClock
from isthmus.field import budget
from isthmus.field.budget import Allowance, strictest
from isthmus.field.connector import AnyConnector, Unsupported
from isthmus.field.connectors.ads import AdsConnector, AdsSource
from isthmus.field.connectors.ethernetip import EthernetIpConnector, EthernetIpSource
from isthmus.field.connectors.http import HttpConnector, HttpSource
from isthmus.field.connectors.modbus import ModbusConnector, ModbusSource
from isthmus.field.connectors.mqtt import MqttSource
from isthmus.field.connectors.mtconnect import MtconnectConnector, MtconnectSource
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource
from isthmus.field.connectors.s7 import S7Connector, S7Source
from isthmus.field.connectors.sql import SqlConnector, SqlSource
from isthmus.field.connectors.webhook import WebhookSource
from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.spec.site import Budget, SourceSpec
from isthmus.model.spec.words import host_and_port
from isthmus.testing.ads_router import AdsRouter
from isthmus.testing.ethernetip_controller import EthernetIpController
from isthmus.testing.modbus_server import ModbusServer
from isthmus.testing.mtconnect_agent import Device as Machine
from isthmus.testing.mtconnect_agent import Item, MtconnectAgent
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.opcua_wire import services
from isthmus.testing.rest_server import Response, RestServer
from isthmus.testing.s7_server import S7Server
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

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


PAUSE = 0.02
COUNTED = {"Read", "Browse", "BrowseNext", "TranslateBrowsePathsToNodeIds", "CreateMonitoredItems",
           "CreateSubscription"}  # fmt: skip
Asked = tuple[AnyConnector, Callable[[], int]]
"""A connector, and how many requests of it the device has seen."""


@asynccontextmanager
async def opcua() -> AsyncIterator[Asked]:
    """The look at its service level belongs to connecting, as to sign in does."""
    values = {f"ns=2;s=Press.{name}": ua.Variant(3, ua.VariantType.Int32) for name in "abcdef"}
    server = await asyncio.to_thread(OpcuaServer(values).__enter__)
    try:
        async with TcpProxy(server.port) as proxy:
            url = f"opc.tcp://{LOOPBACK}:{proxy.port}"
            spec = OpcuaSource(endpoint=url, budget={"min_interval": PAUSE})
            connector = OpcuaConnector("m", spec, tuple(values), SystemClock())
            yield connector, lambda: sum(s in COUNTED for s in services(bytes(proxy.sent))) - 1
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


@asynccontextmanager
async def ads() -> AsyncIterator[Asked]:
    symbols = {f"MAIN.n{number}": "INT" for number in range(8)}
    async with AdsRouter(symbols, dict.fromkeys(symbols, 1)) as device:
        spec = AdsSource(
            host=LOOPBACK, port=device.port, net_id=None, budget={"min_interval": PAUSE}
        )
        connector = AdsConnector("m", spec, tuple(symbols), SystemClock())
        yield connector, lambda: len(device.requests)


@asynccontextmanager
async def mtconnect() -> AsyncIterator[Asked]:
    items = (Item("exec", "EXECUTION", name="execution"),)
    device = MtconnectAgent([Machine("m1", "M1", "m1", items)])
    await device.start()
    try:
        spec = MtconnectSource(
            url=f"http://{LOOPBACK}:{device.port}", budget={"min_interval": PAUSE}
        )
        connector = MtconnectConnector("m", spec, ("execution",), SystemClock())
        yield connector, lambda: len(device.asked)
    finally:
        await device.stop()


@asynccontextmanager
async def sql() -> AsyncIterator[Asked]:
    """Counted by SQLAlchemy, before the database gets them."""
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/cell.db"
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE cycles (nr INTEGER, at TEXT, temp REAL)")
        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        try:
            keys = {"url": url, "table": "cycles", "time": "at", "order": "nr", "timezone": "UTC",
                    "interval": 0.01, "budget": {"min_interval": PAUSE}}  # fmt: skip
            reader = SqlConnector("m", SqlSource.model_validate(keys), ("temp",), SystemClock())
            yield reader, lambda: sum(" FROM " in one.replace("\n", " ") for one in statements)
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("device", [opcua, ads, mtconnect, sql])
async def test_what_is_asked_in_a_session_waits_for_its_turn_too(device):
    """Opening, reading and browsing; what the device sends by itself is no request."""
    async with device() as (connector, asked):
        began = time.monotonic()
        try:
            await connector.open()
            while time.monotonic() < began + READING:
                with suppress(TimeoutError):
                    await asyncio.wait_for(connector.read(), READING)
            with suppress(Unsupported):
                async for _ in connector.browse():
                    pass
            took, seen = time.monotonic() - began, asked()
            assert seen == connector.allowance.requests
            assert 2 <= seen <= took / PAUSE + 1
        finally:
            await connector.close()


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
    asking=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 0.3)), min_size=5, max_size=40),
)
def test_those_who_wait_for_one_device_keep_its_budget_together(rate, pause, asking):
    """`asking`: when somebody begins to ask, and how late he wakes each time when he waits."""
    with pytest.MonkeyPatch.context() as patch:
        clock = _Clock()
        patch.setattr(budget, "time", clock)
        allowance = Allowance(Budget(requests_per_second=rate, min_interval=pause))
        waiting = [(begins, number) for number, (begins, _) in enumerate(asking)]
        heapq.heapify(waiting)
        sent = []
        while waiting:
            at, number = heapq.heappop(waiting)
            clock.now = max(clock.now, at)
            if (seconds := allowance.take()) > 0:
                heapq.heappush(waiting, (clock.now + seconds + asking[number][1], number))
            else:
                sent.append(clock.now)
    count = max(1, int(rate))
    for first, after in zip(sent, sent[count:], strict=False):
        assert after - first >= count / rate - 1e-6
    for first, after in pairwise(sent):
        assert after - first >= pause - 1e-6
    assert allowance.requests == len(sent) == len(asking)


class _Clock:
    """In place of the module `time`."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("url", "device"),
    [
        ("opc.tcp://10.1.4.7/path", "10.1.4.7:4840"),
        ("https://API.example/v1?a=b:1", "api.example:443"),
        ("http://[fe80::1]:8080/current", "[fe80::1]:8080"),
        ("postgresql+psycopg://cell:pa/ss:w?rd@db.plant/mes", "db.plant:5432"),
        ("mysql+pymysql://db.plant:3307/mes", "db.plant:3307"),
        ("firebird://db.plant/mes", "db.plant"),
        ("sqlite:////data/cell.db", None),
        ("not an address", None),
    ],
)
def test_a_device_is_named_by_host_and_port_and_never_by_a_password(url, device):
    assert host_and_port(url) == device


def test_every_kind_that_opens_connections_says_where_to():
    """A webhook is reached itself, and a folder is a matter of the operating system."""
    kinds = {name for name, spec in SOURCE_KINDS.items() if spec.reaches is SourceSpec.reaches}
    assert kinds == {"files", "webhook"}


def test_connections_are_refused_where_none_are_opened():
    with pytest.raises(ValidationError, match="cannot limit what a `webhook` source does not open"):
        WebhookSource(port=8443, budget={"connections": 1})
