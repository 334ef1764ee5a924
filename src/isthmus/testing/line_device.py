"""The smallest honest device and its connectors: lines of `tag value` over TCP.

For tests of the source runtime that should not depend on any real protocol. A client sends
`listen` and gets every value once and then each change, or `all` and gets all values and a dot.
`no` as an answer means that the device refuses.
"""

import asyncio
from types import TracebackType
from typing import ClassVar, Self

import pyarrow as pa

from isthmus.base.clock import Micros
from isthmus.field.connector import Connector, Missed, Refused, Unreachable
from isthmus.flow.parcel import GOOD, SAMPLES_SCHEMA
from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Host, Port

Row = tuple[str, Micros, Micros, float, None, int]


class LineSource(SourceSpec):
    """A line device."""

    kind: str = "line"
    host: Host = "127.0.0.1"
    port: Port


class LineDevice:
    """Serves values; keeps what clients acknowledged."""

    def __init__(self, values: dict[str, float]) -> None:
        self.values = dict(values)
        self.acknowledged = 0
        self.clients = 0
        self.most_clients = 0
        self.asked = 0
        self.refuses = False
        self.silent = False
        self.port = 0
        self._alone = asyncio.Event()
        self._alone.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._listening: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.off()

    async def off(self) -> None:
        """Power goes: nobody answers any more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        await self._alone.wait()

    async def on(self) -> None:
        await self.__aenter__()

    def set(self, tag: str, value: float) -> None:
        self.values[tag] = value
        for writer in self._listening:
            writer.write(f"{tag} {value!r}\n".encode())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.clients += 1
        self._alone.clear()
        self.most_clients = max(self.most_clients, self.clients)
        try:
            while line := await reader.readline():
                self._answer(line.decode().strip(), writer)
        except ConnectionError:
            pass  # the client or the test has cut the link
        finally:
            self._writers.discard(writer)
            self._listening.discard(writer)
            writer.transport.abort()
            self.clients -= 1
            if not self.clients:
                self._alone.set()

    def _answer(self, line: str, writer: asyncio.StreamWriter) -> None:
        match line:
            case "ack":
                self.acknowledged += 1
                return
            case _ if self.silent:
                return
            case _ if self.refuses:
                writer.write(b"no\n")
                return
            case "listen":
                self._listening.add(writer)
            case "all":
                self.asked += 1
        for tag, value in self.values.items():
            writer.write(f"{tag} {value!r}\n".encode())
        if line == "all":
            writer.write(b".\n")


class _Lines(Connector[LineSource]):
    """What both ways of reading share."""

    Spec = LineSource
    overflow: Missed | None = None
    """Set by a test: what the device says that it had to drop."""

    async def open(self) -> None:
        try:
            self._reader, self._writer = await asyncio.open_connection(
                self.spec.host, self.spec.port
            )
        except OSError as error:
            raise Unreachable(f"no answer from {self.spec.host}:{self.spec.port}.") from error

    async def acknowledge(self) -> None:
        self._writer.write(b"ack\n")
        await self._writer.drain()

    def missed(self) -> list[Missed]:
        told, self.overflow = self.overflow, None
        return [] if told is None else [told]

    async def close(self) -> None:
        writer = getattr(self, "_writer", None)
        if writer is not None:
            writer.transport.abort()

    async def _line(self) -> str:
        try:
            line = (await self._reader.readline()).decode().strip()
        except ConnectionError as error:
            raise Unreachable("the device has cut the link.") from error
        if not line:
            raise Unreachable("the device has closed the link.")
        if line == "no":
            raise Refused("the device says no.")
        return line

    def _row(self, line: str) -> Row:
        tag, value = line.split()
        now = self.clock.now()
        return (tag, now, now, float(value), None, GOOD)


class ListeningConnector(_Lines):
    """Subscribes: values come when they change."""

    async def open(self) -> None:
        await super().open()
        self._writer.write(b"listen\n")

    async def read(self) -> pa.Table | None:
        try:
            async with asyncio.timeout(0.05):
                first = await self._line()
        except TimeoutError:
            return None
        rows = [self._row(first)]
        while b"\n" in self._buffered():
            rows.append(self._row(await self._line()))
        return _table(rows)

    def _buffered(self) -> bytes:
        buffer: bytes = self._reader._buffer  # type: ignore[attr-defined]  # noqa: SLF001
        return buffer


class PollingConnector(_Lines):
    """Asks for all values and yields those that changed."""

    polled: ClassVar[bool] = True

    async def read(self) -> pa.Table | None:
        last = self.__dict__.setdefault("_last", {})
        self._writer.write(b"all\n")
        rows = []
        while (line := await self._line()) != ".":
            row = self._row(line)
            if last.get(row[0]) != row[3]:
                last[row[0]] = row[3]
                rows.append(row)
        return _table(rows) if rows else None


def _table(rows: list[Row]) -> pa.Table:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, SAMPLES_SCHEMA, strict=True)]
    return pa.table(arrays, schema=SAMPLES_SCHEMA)
