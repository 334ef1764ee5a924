"""An MTConnect adapter on a socket: tells its present values, then every change; can replay."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime

from isthmus.base.clock import SystemClock, iso

HOST = "127.0.0.1"

LONGEST_SILENCE = 60.0
"""Seconds; a longer jump between two lines of a recording is a cut, and nobody waits for it."""


class ShdrAdapter:
    """Serves any number of agents. `heartbeat_ms` None: an old one that answers no ping."""

    def __init__(self, port: int = 0, heartbeat_ms: int | None = 10_000) -> None:
        self.port = port
        self.heartbeat_ms = heartbeat_ms
        self._present: dict[str, str] = {}
        self._server: asyncio.Server | None = None
        self._writers: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    @property
    def listeners(self) -> int:
        return len(self._writers)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Gone from the network; `start` brings it back on the same port."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        serving = list(self._writers.values())
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*serving)

    def put(self, key: str, *fields: str, time: str | None = None) -> None:
        """A key gets its fields; remembered for those who connect later."""
        at = iso(SystemClock().now()) if time is None else time
        self._present[key] = "|".join((at, key, *fields))
        self.send(self._present[key])

    def send(self, line: str) -> None:
        """Any line, to all who are connected."""
        self.send_raw(line.encode() + b"\n")

    def send_raw(self, data: bytes) -> None:
        for writer in self._writers:
            writer.write(data)

    async def replay(self, lines: Iterable[str], speed: float) -> None:
        """Send a recording, `speed` times as fast as it was made."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for offset, line in paced(lines):
            ahead = start + offset / speed - loop.time()
            if ahead > 0.001:
                await asyncio.sleep(ahead)
            self.send(line)
            for writer in list(self._writers):
                await writer.drain()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in self._present.values():
            writer.write(line.encode() + b"\n")
        serving = asyncio.current_task()
        assert serving is not None
        self._writers[writer] = serving
        try:
            while line_in := await reader.readline():
                if line_in.startswith(b"* PING") and self.heartbeat_ms is not None:
                    writer.write(f"* PONG {self.heartbeat_ms}\n".encode())
        except ConnectionError:
            pass  # the agent is gone
        finally:
            del self._writers[writer]
            writer.transport.abort()


def paced(lines: Iterable[str]) -> Iterator[tuple[float, str]]:
    """Each line with the seconds after the first one at which it was recorded.

    Assets carry times of their own, and lines are not strictly in order: only a line of data that
    is later than all before it moves the time on.
    """
    offset, latest = 0.0, None
    for line in lines:
        at = _recorded(line)
        if at is not None:
            if latest is None or abs(at - latest) > LONGEST_SILENCE:
                latest = at
            elif at > latest:
                offset, latest = offset + at - latest, at
        yield offset, line


def _recorded(line: str) -> float | None:
    time, _, rest = line.partition("|")
    if not rest or rest.startswith("@"):
        return None
    try:
        return datetime.fromisoformat(time.partition("@")[0]).timestamp()
    except ValueError:
        return None
