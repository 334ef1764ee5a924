"""The cable that can be cut does what it says: everybody's fault tests stand on it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Self

import pytest

from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy, answering


@pytest.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    async with answering(bytes.upper) as port, TcpProxy(port) as cable:
        yield cable


class Talk:
    """A client of the device behind the proxy."""

    def __init__(self, proxy: TcpProxy) -> None:
        self._port = proxy.port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(LOOPBACK, self._port)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._writer.close()

    async def say(self, text: bytes, seconds: float = 5) -> bytes:
        self._writer.write(text)
        return await asyncio.wait_for(self._reader.read(100), seconds)


async def test_both_directions_flow_and_what_was_sent_is_kept(proxy: TcpProxy) -> None:
    async with Talk(proxy) as talk:
        assert await talk.say(b"ping") == b"PING"
        assert await talk.say(b"pong") == b"PONG"
        assert proxy.connections == 1
    assert bytes(proxy.sent) == b"pingpong"


async def test_a_cut_tears_what_is_open_and_takes_new_connections(proxy: TcpProxy) -> None:
    async with Talk(proxy) as talk:
        await talk.say(b"a")
        await proxy.cut()
        assert proxy.connections == 0
        with pytest.raises(ConnectionError):
            await talk.say(b"b")
    async with Talk(proxy) as talk:
        assert await talk.say(b"c") == b"C"


async def test_refusing_takes_no_connection_until_it_is_healed(proxy: TcpProxy) -> None:
    await proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await Talk(proxy).__aenter__()
    await proxy.heal()
    async with Talk(proxy) as talk:
        assert await talk.say(b"a") == b"A"


async def test_a_black_hole_keeps_the_connection_and_swallows_what_is_said(
    proxy: TcpProxy,
) -> None:
    async with Talk(proxy) as talk:
        await talk.say(b"a")
        proxy.black_hole()
        with pytest.raises(TimeoutError):
            await talk.say(b"b", 0.1)
        assert proxy.connections == 1
        await proxy.heal()
        assert await talk.say(b"c") in {b"BC", b"B", b"C"}


async def test_delay_is_felt_both_ways(proxy: TcpProxy) -> None:
    proxy.delay(0.05)
    async with Talk(proxy) as talk:
        started = time.monotonic()
        assert await talk.say(b"a") == b"A"
    assert time.monotonic() - started >= 0.1
