"""What every connector must do, as tests: subclass `ConnectorContract` in the connector's own test.

The device speaks its protocol over a socket; a `TcpProxy` stands between it and the connector, so
that the suite can cut the link and see every byte that was asked of the device.
"""

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import psutil
import pytest

from isthmus.base.clock import SECOND, Micros, SystemClock, to_micros
from isthmus.field.browse import Crawl
from isthmus.field.connector import AnyConnector, Connector, Refused, Unreachable, Unsupported
from isthmus.flow.parcel import BAD, BAD_NODE_UNKNOWN, GOOD, SAMPLES_SCHEMA
from isthmus.model.spec.site import SourceSpec
from isthmus.testing.tcp_proxy import TcpProxy

Value = float | str | None

PATIENCE = 10.0
"""Seconds after which a condition that has not come true fails its test."""
PAUSE = 0.01
_TICK = 0.02
FEW = 20


class Device(Protocol):
    """What the suite needs of a device; servers in the same or in another process."""

    port: int
    """On loopback."""

    async def set(self, tag: str, value: Value) -> None:
        """The machine itself changes one of its values."""
        ...


class Sample(NamedTuple):
    """One row of SAMPLES_SCHEMA; `value` is whichever of `number` and `text` is there."""

    tag: str
    device_time: Micros
    received_time: Micros
    value: Value
    quality: int


@dataclass(frozen=True)
class Line:
    """A device behind a cable that can be cut."""

    device: Device
    proxy: TcpProxy


class ConnectorContract(ABC):
    """Subclass it as `class TestModbus(ConnectorContract)` and fill in what differs."""

    connector: ClassVar[type[AnyConnector]]
    tags: ClassVar[Mapping[str, Value]]
    """At least two tags of the device with the values they have when it starts."""
    change: ClassVar[tuple[str, Value]]
    """One of the tags and another value for it."""
    unknown: ClassVar[str] = ""
    """A well-formed tag the device does not have; empty where a protocol cannot tell."""
    patience: ClassVar[float] = 5.0
    """Seconds for an answer where the link lives, however busy this computer is."""
    lost_within: ClassVar[float] = 5.0
    """Seconds in which `spec()` promises to notice a link that is open but dead."""

    @abstractmethod
    def device(self) -> AbstractAsyncContextManager[Device]:
        """Start a device with `tags`; it is gone when the context ends."""

    @abstractmethod
    def spec(self, host: str, port: int) -> SourceSpec:
        """Fast intervals, and a short `timeout`: it holds where a link is dead, see `make`."""

    @abstractmethod
    def write_requests(self, sent: bytes) -> list[str]:
        """Names of all requests among these bytes that would change the device."""

    def refused_spec(self, host: str, port: int) -> SourceSpec | None:
        """Build a spec that this device refuses as a whole; None if the protocol has no such."""
        del host, port
        return None

    # What the tests stand on -------------------------------------------------------------------

    @pytest.fixture
    async def line(self) -> AsyncIterator[Line]:
        async with self.device() as device, TcpProxy(device.port) as proxy:
            yield Line(device, proxy)

    def make(self, line: Line, *more_tags: str, dies: bool = False) -> AnyConnector:
        """Patient, so that a busy computer is no lost link; but where the link `dies`."""
        spec = self.spec(line.proxy.host, line.proxy.port)
        if "timeout" in type(spec).model_fields and not dies:
            spec = spec.model_copy(update={"timeout": self.patience})
        return self.connector("source", spec, [*self.tags, *more_tags], SystemClock())

    # The contract ------------------------------------------------------------------------------

    async def test_every_tag_comes_once_after_open(self, line: Line) -> None:
        async with opened(self.make(line)) as connector:
            samples = await read_until(connector, lambda seen: len(seen) >= len(self.tags))
            samples += await read_for(connector, 0.3)
        assert sorted(sample.tag for sample in samples) == sorted(self.tags)
        assert {sample.tag: sample.value for sample in samples} == dict(self.tags)
        assert {sample.quality for sample in samples} == {GOOD}

    async def test_times_are_those_of_the_device_and_of_receipt(self, line: Line) -> None:
        before = SystemClock().now()
        async with opened(self.make(line)) as connector:
            samples = await read_until(connector, lambda seen: len(seen) >= len(self.tags))
        after = SystemClock().now()
        assert all(before <= sample.received_time <= after for sample in samples)
        assert all(before - 600 * SECOND <= sample.device_time <= after for sample in samples)

    async def test_unknown_tag_comes_with_a_bad_quality(self, line: Line) -> None:
        if not self.unknown:
            pytest.skip("this protocol cannot tell a tag that does not exist from a silent one")
        async with opened(self.make(line, self.unknown)) as connector:
            samples = await read_until(connector, lambda seen: len(seen) > len(self.tags))
        bad = [sample for sample in samples if sample.tag == self.unknown]
        assert [(sample.value, sample.quality & BAD) for sample in bad] == [(None, BAD)]
        good = [sample.tag for sample in samples if sample.quality == GOOD]
        assert sorted(good) == sorted(self.tags)

    async def test_a_change_comes_as_one_sample(self, line: Line) -> None:
        tag, value = self.change
        async with opened(self.make(line)) as connector:
            await read_until(connector, lambda seen: len(seen) >= len(self.tags))
            await line.device.set(tag, value)
            samples = await read_until(connector, lambda seen: len(seen) >= 1)
            samples += await read_for(connector, 0.3)
        assert [(sample.tag, sample.value, sample.quality) for sample in samples] == [
            (tag, value, GOOD)
        ]

    async def test_what_a_crawl_finds_can_be_read(self, line: Line) -> None:
        connector = self.make(line)
        if type(connector).browse is Connector.browse:
            pytest.skip("this protocol has no address space to look around in")
        async with opened(connector):
            crawl = Crawl(connector.browse, at_once=connector.browses_at_once)
            with suppress(Unsupported):
                await crawl.run()
        crawled = crawl.so_far()
        if not crawled.nodes:
            pytest.skip("this device tells no list of its tags")
        assert crawled.complete
        found = [node.tag for node in crawled.nodes if not node.has_children][:FEW]
        assert len(found) > 1
        spec = self.spec(line.proxy.host, line.proxy.port)
        async with opened(self.connector("source", spec, found, SystemClock())) as connector:
            samples = await read_until(connector, lambda seen: len(seen) >= len(found))
        assert sorted(sample.tag for sample in samples) == sorted(found)
        assert BAD_NODE_UNKNOWN not in {sample.quality for sample in samples}

    async def test_nobody_listening_is_unreachable(self, line: Line) -> None:
        await line.proxy.refuse()
        await self._never_reads(self.make(line), Unreachable)

    async def test_device_that_never_answers_is_unreachable_in_time(self, line: Line) -> None:
        line.proxy.black_hole()
        with stopwatch() as took:
            await self._never_reads(self.make(line, dies=True), Unreachable)
            assert took() < self.lost_within

    async def test_cut_link_is_unreachable_and_a_new_connector_reads_again(
        self, line: Line
    ) -> None:
        async with opened(self.make(line)) as connector:
            await read_until(connector, lambda seen: len(seen) >= len(self.tags))
            await line.proxy.refuse()
            with pytest.raises(Unreachable):
                await read_forever(connector)
        await line.proxy.heal()
        await self.test_every_tag_comes_once_after_open(line)

    async def test_half_open_link_is_unreachable_in_the_time_declared(self, line: Line) -> None:
        before = asyncio.all_tasks()
        async with opened(self.make(line, dies=True)) as connector:
            await read_until(connector, lambda seen: len(seen) >= len(self.tags))
            line.proxy.black_hole()
            with stopwatch() as took, pytest.raises(Unreachable):
                await read_forever(connector)
            assert took() < self.lost_within
        await self._left_nothing(line, before)

    async def test_slow_link_is_no_lost_link(self, line: Line) -> None:
        line.proxy.delay(0.02)
        async with opened(self.make(line)) as connector:
            samples = await read_until(connector, lambda seen: len(seen) >= len(self.tags))
        assert {sample.tag: sample.value for sample in samples} == dict(self.tags)

    async def test_a_source_that_says_no_is_refused(self, line: Line) -> None:
        spec = self.refused_spec(line.proxy.host, line.proxy.port)
        if spec is None:
            pytest.skip("this protocol has no refusal of a whole source")
        connector = self.connector("source", spec, list(self.tags), SystemClock())
        await self._never_reads(connector, Refused)

    async def test_closes_twice_and_without_open(self, line: Line) -> None:
        connector = self.make(line)
        await connector.close()
        connector = self.make(line)
        await connector.open()
        await connector.close()
        await connector.close()

    async def test_leaves_no_socket_and_no_task(self, line: Line) -> None:
        before = asyncio.all_tasks()
        async with opened(self.make(line)) as connector:
            await read_until(connector, lambda seen: len(seen) >= len(self.tags))
        await self._left_nothing(line, before)

    async def test_open_that_is_cancelled_leaves_nothing(self, line: Line) -> None:
        before = asyncio.all_tasks()
        line.proxy.black_hole()
        connector = self.make(line, dies=True)
        await cancelled(connector.open())
        await connector.close()
        await self._left_nothing(line, before)

    async def test_read_that_is_cancelled_leaves_nothing(self, line: Line) -> None:
        before = asyncio.all_tasks()
        async with opened(self.make(line, dies=True)) as connector:
            await read_until(connector, lambda seen: len(seen) >= len(self.tags))
            line.proxy.black_hole()
            await cancelled(connector.read())
        await self._left_nothing(line, before)

    async def test_logs_nothing_in_normal_operation(
        self, line: Line, caplog: pytest.LogCaptureFixture
    ) -> None:
        tag, value = self.change
        with caplog.at_level(logging.INFO):
            async with opened(self.make(line)) as connector:
                await read_until(connector, lambda seen: len(seen) >= len(self.tags))
                await line.device.set(tag, value)
                await read_until(connector, lambda seen: len(seen) >= 1)
        assert [record.getMessage() for record in caplog.records] == []

    async def test_never_writes(self, line: Line) -> None:
        tag, value = self.change
        async with opened(self.make(line)) as connector:
            await read_until(connector, lambda seen: len(seen) >= len(self.tags))
            await line.device.set(tag, value)
            await read_until(connector, lambda seen: len(seen) >= 1)
        assert len(line.proxy.sent) > 0
        assert self.write_requests(bytes(line.proxy.sent)) == []

    # Helpers of the tests above ----------------------------------------------------------------

    async def _never_reads(self, connector: AnyConnector, error: type[Exception]) -> None:
        try:
            with pytest.raises(error):
                await open_and_read(connector)
        finally:
            await connector.close()

    async def _left_nothing(self, line: Line, before: set[asyncio.Task[Any]]) -> None:
        await until(lambda: not client_sockets(line.proxy.port), "a socket is left open")
        await line.proxy.heal()  # a black hole does not see that the client has gone
        await until(lambda: not asyncio.all_tasks() - before, "a task is left running")


@asynccontextmanager
async def opened(connector: AnyConnector) -> AsyncIterator[AnyConnector]:
    """Open, and close whatever happens."""
    try:
        await connector.open()
        yield connector
    finally:
        await connector.close()


async def read_once(connector: AnyConnector) -> list[Sample]:
    """One `read()`, acknowledged; checks the schema of what came."""
    table = await connector.read()
    if table is None:
        return []
    assert table.schema == SAMPLES_SCHEMA
    assert table.num_rows > 0
    await connector.acknowledge()
    return [_sample(row) for row in table.to_pylist()]


async def read_until(
    connector: AnyConnector,
    complete: Callable[[list[Sample]], bool],
    seconds: float = PATIENCE,
) -> list[Sample]:
    """Read, as the runtime does, until what came so far is complete."""
    seen: list[Sample] = []
    deadline = time.monotonic() + seconds
    while not complete(seen):
        if time.monotonic() > deadline:
            pytest.fail(f"not complete after {seconds} s: {seen}")
        seen += await read_once(connector)
        if connector.polled:
            await asyncio.sleep(PAUSE)
    return seen


async def read_for(connector: AnyConnector, seconds: float) -> list[Sample]:
    """All that comes in this time."""
    deadline = time.monotonic() + seconds
    return await read_until(connector, lambda _: time.monotonic() > deadline, seconds + PATIENCE)


async def read_forever(connector: AnyConnector) -> None:
    """Read until it raises, at most PATIENCE seconds."""
    await read_for(connector, PATIENCE)


async def open_and_read(connector: AnyConnector) -> None:
    """Open and read until it raises: some protocols have no greeting that could fail."""
    await connector.open()
    await read_forever(connector)


async def cancelled(work: Coroutine[Any, Any, Any]) -> None:
    """Begin it, and take it back while it waits."""
    task = asyncio.create_task(work)
    await asyncio.sleep(PAUSE)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], otherwise: str, seconds: float = PATIENCE) -> None:
    """Wait for a condition; `otherwise` says what is wrong when it never comes true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{otherwise} after {seconds} s")
        await asyncio.sleep(PAUSE)


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Seconds since its begin in which this process ran, also if something in it did nothing else.

    Its thread is not woken while the whole process is stopped, or starved by others: such a stretch
    says nothing about what is measured.
    """
    ran, last, over = 0.0, time.monotonic(), threading.Event()

    def tick() -> None:
        nonlocal ran, last
        while not over.wait(_TICK):
            now = time.monotonic()
            ran, last = ran + min(now - last, 4 * _TICK), now

    ticking = threading.Thread(target=tick, name="stopwatch")
    ticking.start()
    try:
        yield lambda: ran
    finally:
        over.set()
        ticking.join()


def client_sockets(port: int) -> list[Any]:
    """TCP connections of this process to a port."""
    connections = psutil.Process().net_connections("tcp")
    return [link for link in connections if link.raddr and link.raddr.port == port]


def _sample(row: Mapping[str, Any]) -> Sample:
    assert row["number"] is None or row["text"] is None
    return Sample(
        tag=row["tag"],
        device_time=to_micros(row["device_time"]),
        received_time=to_micros(row["received_time"]),
        value=row["text"] if row["number"] is None else row["number"],
        quality=row["quality"],
    )
