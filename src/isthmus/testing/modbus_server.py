"""A strict Modbus device or gateway that remembers everything it was asked, over TCP."""

import asyncio
import struct
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self

from isthmus.field.connectors.modbus.rtu import checksum
from isthmus.testing.tcp_proxy import LOOPBACK

FUNCTIONS: Final = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
MOST_BITS: Final = 2000
MOST_REGISTERS: Final = 125

ILLEGAL_FUNCTION: Final = 1
ILLEGAL_ADDRESS: Final = 2
ILLEGAL_VALUE: Final = 3
NO_ANSWER: Final = 0x0B
"""Of the device behind the gateway."""

Framing = Literal["tcp", "rtu"]
Contents = Mapping[str, Mapping[int, int]]
"""Area (`coil`, `discrete`, `holding`, `input`) → address → register or bit."""


class Request(NamedTuple):
    """A PDU as it came; writes are refused but remembered."""

    function: int
    start: int
    quantity: int
    unit: int = 1


class ModbusServer:
    """Answers reads of the addresses it has; everything else gets the standard's exception."""

    def __init__(
        self,
        contents: Contents,
        *,
        unit: int = 1,
        others: Mapping[int, Contents] | None = None,
        framing: Framing = "tcp",
        most_registers: int = MOST_REGISTERS,
    ) -> None:
        self.port = 0
        self.units = {
            number: {area: dict(of.get(area, {})) for area in FUNCTIONS.values()}
            for number, of in {unit: contents, **(others or {})}.items()
        }
        self.contents = self.units[unit]
        self.requests: list[Request] = []
        self.exception: int | None = None
        """While set, every request gets this exception code."""
        self.exceptions: dict[int, int] = {}
        """As `exception`, of single units."""
        self.silent: set[int] = set()
        """Units that do not answer at all."""
        self.late: dict[int, bytes] = {}
        """Answers of silent units that come in front of the next one, as slow devices do."""
        self.broken = 0
        """So many of the next answers have a wrong checksum (`rtu`)."""
        self.most_connections = 0
        self._framing = framing
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

    def put(self, area: str, start: int, values: Iterable[int], unit: int | None = None) -> None:
        """Registers (or bits) from an address on."""
        contents = self.contents if unit is None else self.units[unit]
        contents[area].update(enumerate(values, start))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.most_connections = max(self.most_connections, len(self._writers))
        try:
            while True:
                answer = await (self._rtu(reader) if self._framing == "rtu" else self._tcp(reader))
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            self._writers.discard(writer)

    async def _tcp(self, reader: asyncio.StreamReader) -> bytes:
        transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
        answer = self._answer(unit, await reader.readexactly(length - 1))
        framed = struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer
        return b"" if unit in self.silent else framed

    async def _rtu(self, reader: asyncio.StreamReader) -> bytes:
        """A request to read is eight bytes; nothing else is ever sent to us."""
        request = await reader.readexactly(8)
        assert checksum(request[:6]) == request[6:], "the request's checksum is wrong"
        unit = request[0]
        answer = bytes([unit]) + self._answer(unit, request[1:6])
        framed = answer + checksum(answer)
        if unit in self.silent:
            self.late[unit] = framed
            return b""
        if self.broken:
            self.broken -= 1
            return answer + bytes(byte ^ 0x5A for byte in checksum(answer))
        late, self.late = b"".join(self.late.values()), {}
        return late + framed

    def _answer(self, unit: int, pdu: bytes) -> bytes:
        function, start, count = struct.unpack_from(">BHH", pdu)
        self.requests.append(Request(function, start, count, unit))
        code = self._wrong(unit, function, start, count)
        if code is not None:
            return struct.pack(">BB", function | 0x80, code)
        area = self.units[unit][FUNCTIONS[function]]
        values = [area[address] for address in range(start, start + count)]
        data = _bits(values) if function in {1, 2} else struct.pack(f">{count}H", *values)
        return struct.pack(">BB", function, len(data)) + data

    def _wrong(self, unit: int, function: int, start: int, count: int) -> int | None:
        code = self.exceptions.get(unit, self.exception)
        if code is not None:
            return code
        if unit not in self.units:
            return NO_ANSWER
        if function not in FUNCTIONS:
            return ILLEGAL_FUNCTION
        if not 0 < count <= (MOST_BITS if function in {1, 2} else self._most_registers):
            return ILLEGAL_VALUE
        area = self.units[unit][FUNCTIONS[function]]
        known = all(address in area for address in range(start, start + count))
        return None if known else ILLEGAL_ADDRESS


def _bits(values: Iterable[int]) -> bytes:
    """Eight to a byte, the first in the lowest bit."""
    values = list(values)
    packed = sum(value << index for index, value in enumerate(values))
    return packed.to_bytes((len(values) + 7) // 8, "little")


def write_requests(sent: bytes, framing: Framing = "tcp") -> list[str]:
    """Requests among these bytes of a client that are no reads of registers or bits."""
    found: list[str] = []
    while sent:
        if framing == "rtu":
            if sent[1] not in FUNCTIONS:
                return [*found, f"function {sent[1]}"]  # how long it is only that function knows
            sent = sent[8:]
            continue
        (length,) = struct.unpack_from(">H", sent, 4)
        if sent[7] not in FUNCTIONS:
            found.append(f"function {sent[7]}")
        sent = sent[6 + length :]
    return found
