"""A cable that can be cut: a small TCP proxy between a connector and its device."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

LOOPBACK = "127.0.0.1"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""`struct linger` with no time to linger: the other side gets RST instead of a polite FIN."""


class TcpProxy:
    """Forwards a free loopback port to a device, until a fault is asked for.

    `sent` is every byte that clients sent since the start: what was asked of the device.
    """

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._delay = 0.0
        self.host = LOOPBACK
        self.port = 0
        self.sent = bytearray()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.refuse()

    @property
    def connections(self) -> int:
        """Connections that are open at this moment."""
        return len(self._links)

    async def cut(self) -> None:
        """Tear all present connections (RST); new ones are taken."""
        links = list(self._links)
        for link in links:
            link.tear()
        await asyncio.gather(*(link.finished.wait() for link in links))

    async def refuse(self) -> None:
        """Tear all connections and take no new ones, as if the device were off."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()

    def black_hole(self) -> None:
        """Nothing arrives on either side any more, though every connection stays open."""
        self._flows.clear()

    def delay(self, seconds: float) -> None:
        """Each piece of data waits this long, in both directions."""
        self._delay = seconds

    async def heal(self) -> None:
        """All faults end; what a black hole has held back flows on."""
        self._delay = 0.0
        self._flows.set()
        if self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)
        try:
            await self._forward(link, reader)
        finally:
            link.tear()
            self._links.discard(link)
            link.finished.set()

    async def _forward(self, link: "_Link", reader: asyncio.StreamReader) -> None:
        """Both directions, until one side ends or the link is torn."""
        await link.until_torn(self._flows.wait())
        try:
            from_device, to_device = await asyncio.open_connection(*self._target)
        except OSError:
            return  # the device is off: the client sees its connection end
        link.writers.append(to_device)
        await link.until_torn(
            self._pump(reader, to_device, self.sent.extend),
            self._pump(from_device, link.writers[0], _ignore),
        )

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        witness: Callable[[bytes], None],
    ) -> None:
        try:
            while data := await reader.read(65_536):
                witness(data)
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return  # one side is gone; the other is closed by `_forward`


@asynccontextmanager
async def answering(answer: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """Somebody who answers whatever is sent with `answer(sent)`, and hangs up if that is empty.

    Yields the port: for devices that talk nonsense.
    """
    links: set[_Link] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        links.add(link)
        await link.until_torn(_talk(reader, writer, answer))
        link.tear()
        link.finished.set()

    async with await asyncio.start_server(serve, LOOPBACK, 0) as server:
        yield server.sockets[0].getsockname()[1]
        for link in links:
            link.tear()
        await asyncio.gather(*(link.finished.wait() for link in links))


async def _talk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Callable[[bytes], bytes]
) -> None:
    while (sent := await reader.read(65_536)) and (reply := answer(sent)):
        writer.write(reply)
        await writer.drain()


class _Link:
    """One client's connection and ours to the device."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.writers = [client]
        self.torn = asyncio.Event()
        self.finished = asyncio.Event()

    def tear(self) -> None:
        """Drop both sides at once; data under way is lost, as with a real cable."""
        self.torn.set()
        for writer in self.writers:
            if (link := writer.get_extra_info("socket")) is not None and link.fileno() >= 0:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()

    async def until_torn(self, *work: Coroutine[Any, Any, Any]) -> None:
        """Run until the first piece of work ends, or somebody cuts the link."""
        tasks = {asyncio.ensure_future(piece) for piece in (*work, self.torn.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _ignore(_data: bytes) -> None:
    """What the device answers is not kept."""
