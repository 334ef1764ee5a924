"""One ISO-on-TCP connection to a CPU: asks for ranges of memory, one request after the other."""

import asyncio
from collections.abc import Sequence
from typing import Self

from isthmus.field.budget import Allowance
from isthmus.field.connectors.s7 import wire
from isthmus.field.connectors.s7.spec import S7Source
from isthmus.field.connectors.s7.wire import Answer, Item

_SEQUENCES = 0x1_0000


class ConnectionRefused(Exception):  # noqa: N818 - the condition, not a bug
    """The CPU answers, and takes no such connection."""


class RequestRefused(Exception):  # noqa: N818
    """The CPU refuses a request as a whole."""

    def __init__(self, code: int) -> None:
        super().__init__(f"error {code:04X}")
        self.code = code


class Link:
    """Everything it does raises OSError (TimeoutError too), EOFError or ValueError if it is lost.

    After one of them, or after a cancellation, it can only be closed: an answer may be under way.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        timeout: float,
        allowance: Allowance,
    ) -> None:
        self.pdu = 0
        """Longest message that both sides take, in bytes."""
        self._reader = reader
        self._writer = writer
        self._timeout = timeout
        self._allowance = allowance
        self._sequence = 0

    @classmethod
    async def open(cls, source: S7Source, allowance: Allowance) -> Self:
        """Connect and agree on the length of messages; ConnectionRefused if the CPU says no."""
        async with asyncio.timeout(source.timeout):
            reader, writer = await asyncio.open_connection(source.host, source.port)
            link = cls(reader, writer, source.timeout, allowance)
            try:
                await link._set_up(source)
            except BaseException:  # cancelled too: nobody else can close it yet
                link.close()
                raise
        return link

    async def read(self, items: Sequence[Item]) -> list[bytes | int]:
        """Contents or return code of each; RequestRefused if the CPU answers for none."""
        await self._allowance.turn()
        async with asyncio.timeout(self._timeout):
            answer = await self._ask(wire.read_request(self._next(), items))
        if answer.error:
            raise RequestRefused(answer.error)
        return wire.read_answers(answer, items)

    def close(self) -> None:
        """Give the connection back at once: a CPU has few."""
        self._writer.transport.abort()

    async def _set_up(self, source: S7Source) -> None:
        self._writer.write(wire.connect_request(source.connection, source.rack, source.slot))
        if not wire.is_confirmed(await self._frame()):
            raise ConnectionRefused("it takes no such connection")
        answer = await self._ask(wire.set_up_request(self._next(), source.pdu))
        if answer.error:
            raise ConnectionRefused(f"error {answer.error:04X} to the set-up")
        self.pdu = min(source.pdu, wire.granted_pdu(answer))

    async def _ask(self, request: bytes) -> Answer:
        self._writer.write(request)
        answer = wire.parse_answer(await self._message())
        if answer.sequence != self._sequence:
            raise ValueError(f"an answer to request {answer.sequence}, not to {self._sequence}")
        return answer

    async def _message(self) -> bytes:
        """An S7 message, put together from its pieces."""
        message, last = wire.data_piece(await self._frame())
        while not last:
            piece, last = wire.data_piece(await self._frame())
            message += piece
        return message

    async def _frame(self) -> bytes:
        head = await self._reader.readexactly(wire.TPKT.size)
        return await self._reader.readexactly(wire.frame_length(head))

    def _next(self) -> int:
        self._sequence = (self._sequence + 1) % _SEQUENCES
        return self._sequence
