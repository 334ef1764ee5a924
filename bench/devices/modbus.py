"""A Modbus device that does next to nothing per request, so that it never limits the reader."""

import asyncio
import struct
from multiprocessing.connection import Connection

from isthmus.testing.tcp_proxy import LOOPBACK

CHANGES_EVERY = 0.01
_HEAD = struct.Struct(">HHHBBHH")
"""Transaction, protocol, length, unit; function, start, count."""


class Registers:
    """All holding registers, as they stand on the wire; the same for every unit."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.contents = bytes(2 * count)

    def change(self, round_: int) -> None:
        self.contents = struct.pack(">H", round_ % 65_536) * self.count

    def answer(self, request: bytes) -> bytes:
        transaction, _, _, unit, function, start, count = _HEAD.unpack(request)
        data = self.contents[2 * start : 2 * (start + count)]
        head = struct.pack(">HHHBBB", transaction, 0, len(data) + 3, unit, function, len(data))
        return head + data


class _Connection(asyncio.Protocol):
    def __init__(self, registers: Registers) -> None:
        self._registers = registers
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= _HEAD.size:
            request, self._waiting = self._waiting[: _HEAD.size], self._waiting[_HEAD.size :]
            self._transport.write(self._registers.answer(request))


def serve(pipe: Connection, count: int) -> None:
    """`count` registers that all change every CHANGES_EVERY seconds."""
    asyncio.run(_serve(pipe, Registers(count)))


async def _serve(pipe: Connection, registers: Registers) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(registers), LOOPBACK, 0)
    pipe.send(server.sockets[0].getsockname()[1])
    round_ = 0
    while not pipe.poll():
        round_ += 1
        registers.change(round_)
        await asyncio.sleep(CHANGES_EVERY)
    server.close()
