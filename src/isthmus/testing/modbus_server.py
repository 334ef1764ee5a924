"""A strict Modbus TCP device that remembers everything it was asked; for tests and benchmarks."""

import asyncio
import struct
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self

from isthmus.testing.tcp_proxy import LOOPBACK

FUNCTIONS: Final = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
MOST_BITS: Final = 2000
MOST_REGISTERS: Final = 125

ILLEGAL_FUNCTION: Final = 1
ILLEGAL_ADDRESS: Final = 2
ILLEGAL_VALUE: Final = 3


class Request(NamedTuple):
    """A PDU as it came; writes are refused but remembered."""

    function: int
    start: int
    quantity: int


class ModbusServer:
    """Answers reads of the addresses it has; everything else gets the standard's exception."""

    def __init__(
        self,
        contents: Mapping[str, Mapping[int, int]],
        *,
        unit: int = 1,
        most_registers: int = MOST_REGISTERS,
    ) -> None:
        self.port = 0
        self.contents = {area: dict(contents.get(area, {})) for area in FUNCTIONS.values()}
        """Area (`coil`, `discrete`, `holding`, `input`) → address → register or bit."""
        self.requests: list[Request] = []
        self.exception: int | None = None
        """While set, every request gets this exception code."""
        self._unit = unit
        self._most_registers = most_registers
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        while self._writers:  # noqa: ASYNC110 - ends with the connections just torn
            await asyncio.sleep(0)

    def put(self, area: str, start: int, values: Iterable[int]) -> None:
        """Registers (or bits) from an address on."""
        self.contents[area].update(enumerate(values, start))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                answer = self._answer(unit, await reader.readexactly(length - 1))
                writer.write(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            self._writers.discard(writer)

    def _answer(self, unit: int, pdu: bytes) -> bytes:
        function, start, count = struct.unpack_from(">BHH", pdu)
        self.requests.append(Request(function, start, count))
        code = self._wrong(unit, function, start, count)
        if code is not None:
            return struct.pack(">BB", function | 0x80, code)
        area = self.contents[FUNCTIONS[function]]
        values = [area[address] for address in range(start, start + count)]
        data = _bits(values) if function in {1, 2} else struct.pack(f">{count}H", *values)
        return struct.pack(">BB", function, len(data)) + data

    def _wrong(self, unit: int, function: int, start: int, count: int) -> int | None:
        if self.exception is not None:
            return self.exception
        if unit != self._unit:
            return 0x0B
        if function not in FUNCTIONS:
            return ILLEGAL_FUNCTION
        if not 0 < count <= (MOST_BITS if function in {1, 2} else self._most_registers):
            return ILLEGAL_VALUE
        area = self.contents[FUNCTIONS[function]]
        known = all(address in area for address in range(start, start + count))
        return None if known else ILLEGAL_ADDRESS


def _bits(values: Iterable[int]) -> bytes:
    """Eight to a byte, the first in the lowest bit."""
    values = list(values)
    packed = sum(value << index for index, value in enumerate(values))
    return packed.to_bytes((len(values) + 7) // 8, "little")


def write_requests(sent: bytes) -> list[str]:
    """Requests among these bytes of a client that are no reads of registers or bits."""
    found: list[str] = []
    while sent:
        (length,) = struct.unpack_from(">H", sent, 4)
        if sent[7] not in FUNCTIONS:
            found.append(f"function {sent[7]}")
        sent = sent[6 + length :]
    return found
