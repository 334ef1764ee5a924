"""One connection to an adapter: pings it as an agent does, and reads the lines it sends."""

import asyncio
import contextlib
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import pyarrow as pa

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import Connector, Missed, Refused, Unreachable
from isthmus.field.connectors.shdr.interpret import Interpreter
from isthmus.field.connectors.shdr.lines import LineSplitter
from isthmus.field.connectors.shdr.spec import ShdrSource
from isthmus.field.first_values import FirstValues
from isthmus.field.mtconnect.documents import DataItem, MalformedError, data_items, parse
from isthmus.field.samples import Samples
from isthmus.field.values import BAD_WAITING_FOR_INITIAL_DATA, add_value
from isthmus.model.spec.site import SourceSpec

_READ_WAITS: Final = 1.0
"""Seconds, by the contract of `read()`."""
_PIECE: Final = 65_536
_PING: Final = b"* PING\n"
_PONG: Final = re.compile(rb"\* PONG (?P<heartbeat>\d{1,9})\s*")
_SHORTEST_HEARTBEAT: Final = 0.1


class ShdrConnector(Connector[ShdrSource]):
    """One adapter."""

    Spec: ClassVar[type[SourceSpec]] = ShdrSource

    def __init__(self, name: str, spec: ShdrSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._samples = Samples()
        self._lines = LineSplitter(spec.max_line_kb * 1024)
        self._interpreter = Interpreter(tags, spec.device)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._waiting = FirstValues((), 0.0, 0.0)
        self._heartbeat: float | None = None
        """Seconds; None until the adapter answers our ping."""
        self._heard = 0.0
        self._silent = True
        self._next_ping = 0.0
        self._missed_lines = 0
        self._last_read: Micros = 0

    @property
    def skipped_assets(self) -> int:
        """Assets (tool data and the like) are no samples; so many were passed over."""
        return self._interpreter.skipped_assets

    async def open(self) -> None:
        items = await asyncio.to_thread(_items, self.spec.devices, self.spec.device)
        self._interpreter = Interpreter(self.tags, self.spec.device, items)
        where = f"{self.spec.host}:{self.spec.port}"
        try:
            async with asyncio.timeout(self.spec.timeout):
                self._reader, self._writer = await asyncio.open_connection(
                    self.spec.host, self.spec.port
                )
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"{where}: {error or 'no answer'}") from error
        _keep_alive(self._writer)
        now = asyncio.get_running_loop().time()
        self._heard = now
        self._ping(now)
        self._waiting = FirstValues(self.tags, self.spec.first_value, now)
        self._last_read = self.clock.now()
        await self._await_pong(now + self.spec.first_value)

    async def read(self) -> pa.Table | None:
        now = asyncio.get_running_loop().time()
        if not len(self._samples):
            now = await self._listen(self._waiting.wait(now, self._longest_wait(now)))
            self._check_alive(now)
        received = self.clock.now()
        for tag in self._waiting.due(now):
            add_value(self._samples, tag, None, received, received, BAD_WAITING_FOR_INITIAL_DATA)
        return self._samples.take()

    def missed(self) -> list[Missed]:
        since, self._last_read = self._last_read, self.clock.now()
        skipped = self._lines.too_long - self._missed_lines
        if not skipped:
            return []
        self._missed_lines += skipped
        detail = f"{skipped} lines longer than {self.spec.max_line_kb} kB were skipped"
        return [Missed(since, self._last_read, detail)]

    async def close(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _await_pong(self, until: float) -> None:
        """Learn whether this adapter has a heartbeat: only then a dead link is known for sure."""
        now = asyncio.get_running_loop().time()
        while self._heartbeat is None and now < until:
            now = await self._listen(until - now)

    async def _listen(self, seconds: float) -> float:
        """Take in what comes, at most so long; the time on the event loop's clock then."""
        data = await self._receive(seconds)
        now = asyncio.get_running_loop().time()
        if data:
            self._heard, self._silent = now, False
        for line in self._lines.feed(data):
            self._take(line, now)
        return now

    async def _receive(self, seconds: float) -> bytes:
        if self._reader is None:
            raise RuntimeError("read before open, or after close")
        try:
            async with asyncio.timeout(seconds):
                data = await self._reader.read(_PIECE)
        except TimeoutError:
            return b""  # nothing came: that is normal
        except OSError as error:
            raise Unreachable(f"the connection to the adapter broke: {error}") from error
        if not data:
            raise Unreachable("the adapter closed the connection")
        return data

    def _take(self, line: bytes, now: float) -> None:
        if line.startswith(b"*"):
            pong = _PONG.fullmatch(line)
            if pong is not None and self._heartbeat is None:
                self._heartbeat = max(_SHORTEST_HEARTBEAT, int(pong["heartbeat"]) / 1000)
                self._next_ping = now + self._heartbeat
        elif line.strip():
            came = self._interpreter.read(line, self.clock.now(), self._samples)
            self._waiting.came(came, now)

    def _check_alive(self, now: float) -> None:
        """An adapter that answers pings must be heard in time; one that does not, has none."""
        if self._silent and now - self._heard > self.spec.timeout:
            raise Unreachable("the adapter takes the connection but says nothing")
        if self._heartbeat is None:
            return
        if now - self._heard > 2 * self._heartbeat:
            raise Unreachable(f"the adapter was not heard for {2 * self._heartbeat:g} s")
        if now >= self._next_ping:
            self._ping(now)

    def _ping(self, now: float) -> None:
        if self._writer is not None:
            self._writer.write(_PING)
        if self._heartbeat is not None:
            self._next_ping = now + self._heartbeat

    def _longest_wait(self, now: float) -> float:
        if self._heartbeat is None:
            return _READ_WAITS
        return max(0.0, min(_READ_WAITS, self._next_ping - now))


def _items(path: str | None, device: str) -> list[DataItem]:
    if path is None:
        return []
    try:
        found = list(data_items(parse(Path(path).read_bytes())))
    except (OSError, MalformedError) as error:
        raise Refused(f"`devices`: cannot read {path}: {error}") from error
    return [item for item in found if device in ("", item.device, item.device_uuid)]


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Let the system notice a dead link, for adapters that know no ping."""
    sock: Any = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):  # not on every system
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
