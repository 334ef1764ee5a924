"""One TCP connection to a TwinCAT router, shared by all sources of this process that lead there.

TwinCAT takes one connection per host: with a second it hangs up on the first.
"""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Final

from isthmus.field.connectors.ads.frames import (
    REQUEST,
    TCP_HEADER,
    Address,
    Command,
    Frame,
    Stamped,
    body_length,
    notified,
    pack,
    unpack,
)

_OWN_PORTS: Final = cycle(range(32_768, 65_536))
"""AMS ports of ours, one per source: answers and notifications find their way by it."""


class AdsError(Exception):
    """The router or the controller answers with an error."""

    def __init__(self, code: int) -> None:
        super().__init__(f"ADS error 0x{code:X}")
        self.code = code


Listener = Callable[[Stamped], None]


class Link:
    """Requests and their answers, many at a time; notifications go to who asked for them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._invokes = count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._listeners: dict[int, Listener] = {}
        self._ended: dict[int, Callable[[], None]] = {}
        self._broken: Exception | None = None
        self._heard = 0
        """Frames that have come so far."""
        self._receiving = asyncio.create_task(self._receive())

    @property
    def broken(self) -> Exception | None:
        """Why nothing comes any more."""
        return self._broken

    @property
    def local_host(self) -> str:
        host: str = self._writer.get_extra_info("sockname")[0]
        return host

    def listen(self, listener: Listener, ended: Callable[[], None]) -> int:
        """A port of our own; `ended` is called once when the link breaks."""
        port = next(port for port in _OWN_PORTS if port not in self._listeners)
        self._listeners[port], self._ended[port] = listener, ended
        return port

    def forget(self, port: int) -> None:
        self._listeners.pop(port, None)
        self._ended.pop(port, None)

    async def ask(
        self, target: Address, source: Address, command: Command, data: bytes, within: float
    ) -> bytes:
        """The answer behind its error code; AdsError, ConnectionError or TimeoutError."""
        if self._broken is not None:
            raise ConnectionError(str(self._broken))
        invoke = next(self._invokes) & 0xFFFF_FFFF
        heard = self._heard
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[invoke] = answer
        try:
            self._writer.write(pack(Frame(target, source, command, REQUEST, 0, invoke, data)))
            async with asyncio.timeout(within):
                return await answer
        except TimeoutError:
            if self._heard == heard:
                self._break(TimeoutError("nothing comes from the router any more"))
            raise
        finally:
            del self._waiting[invoke]

    async def close(self) -> None:
        self._receiving.cancel()
        await asyncio.wait([self._receiving])
        self._writer.transport.abort()

    async def _receive(self) -> None:
        try:
            while True:
                header = await self._reader.readexactly(TCP_HEADER)
                self._dispatch(unpack(await self._reader.readexactly(body_length(header))))
        except asyncio.IncompleteReadError:
            self._break(ConnectionError("the router closed the connection"))
        except (OSError, ValueError, struct.error) as error:
            self._break(error)

    def _dispatch(self, frame: Frame) -> None:
        self._heard += 1
        if frame.command == Command.NOTIFICATION:
            listener = self._listeners.get(frame.target.port)
            if listener is not None:
                for stamped in notified(frame.data):
                    listener(stamped)
            return
        answer = self._waiting.get(frame.invoke)
        if answer is None or answer.done():
            return  # it came too late, and who asked has given up
        error = frame.error or int.from_bytes(frame.data[:4], "little")
        if error:
            answer.set_exception(AdsError(error))
        else:
            answer.set_result(frame.data[4:])

    def _break(self, error: Exception) -> None:
        self._broken = error
        self._writer.transport.abort()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionError(str(error)))
        for ended in list(self._ended.values()):
            ended()


@dataclass
class _Shared:
    """A link, and how many sources use it."""

    connecting: asyncio.Task[Link]
    users: int = 0

    @property
    def usable(self) -> bool:
        if not self.connecting.done():
            return True
        failed = self.connecting.cancelled() or self.connecting.exception() is not None
        return not failed and self.connecting.result().broken is None


_Key = tuple[int, str, int, str | None]
_shared: dict[_Key, _Shared] = {}
"""By event loop, host, port and our own Net Id."""


@dataclass
class Joined:
    """One source's share of a link."""

    host: str
    port: int
    local_net_id: str | None
    _entry: _Shared | None = field(default=None, init=False)

    async def link(self, within: float) -> Link:
        """Connect, or join who is connected; OSError or TimeoutError if nobody is there."""
        key = (id(asyncio.get_running_loop()), self.host, self.port, self.local_net_id)
        entry = _shared.get(key)
        if entry is None or not entry.usable:
            connecting = asyncio.create_task(_connect(self.host, self.port))
            entry = _shared[key] = _Shared(connecting)
        entry.users += 1
        self._entry = entry
        async with asyncio.timeout(within):
            return await asyncio.shield(entry.connecting)

    async def leave(self) -> None:
        """The last one hangs up."""
        entry, self._entry = self._entry, None
        if entry is None:
            return
        entry.users -= 1
        if entry.users:
            return
        for key in [key for key, other in _shared.items() if other is entry]:
            del _shared[key]
        entry.connecting.cancel()
        await asyncio.wait([entry.connecting])
        if not entry.connecting.cancelled() and entry.connecting.exception() is None:
            await entry.connecting.result().close()


async def _connect(host: str, port: int) -> Link:
    return Link(*await asyncio.open_connection(host, port))
