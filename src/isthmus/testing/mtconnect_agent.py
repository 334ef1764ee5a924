"""A small MTConnect agent over HTTP: probe, current, sample (also as a stream), ring buffer."""

import asyncio
import gzip
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from isthmus.base.clock import SECOND, Clock, Micros, SystemClock
from isthmus.testing import mtconnect_documents as xml
from isthmus.testing.mtconnect_documents import (
    Component,
    Device,
    Item,
    Observed,
    Standing,
    Tool,
    Value,
)

__all__ = ["Component", "Device", "Item", "MtconnectAgent", "Tool"]

HOST: Final = "127.0.0.1"
_BOUNDARY: Final = "next-document"
_LONGEST_HEAD: Final = 65_536
_STATUS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 400: "Bad Request"}

_ACTIVE: Final = frozenset({"Warning", "Fault"})

Level = Literal["Normal", "Warning", "Fault", "Unavailable"]
Present = dict[str, dict[str, Observed]]
"""Data item → code of an active condition (else empty) → what was observed."""


class RequestError(Exception):
    """An MTConnectError document is the answer."""

    def __init__(self, code: str, text: str, status: int = 404) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


class MtconnectAgent:
    """Serves devices on loopback; values come by `put` and `condition`."""

    def __init__(
        self,
        devices: Sequence[Device],
        *,
        port: int = 0,
        clock: Clock | None = None,
        buffer_size: int = 131_072,
        version: str = "2.7",
    ) -> None:
        self.port = port
        self.devices = tuple(devices)
        self._clock = clock or SystemClock()
        self._version = version
        self._items = {
            item.id: item for device in devices for part in device.parts() for item in part.items
        }
        self._buffer: deque[Observed] = deque(maxlen=buffer_size)
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._wake: asyncio.Event = asyncio.Event()
        self.tools: dict[str, Tool] = {}
        self.asked: list[str] = []
        """Targets of all requests."""
        self.instance = 0
        self.restart()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port, limit=_LONGEST_HEAD)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Gone from the network with its buffer kept; `start` brings it back on the same port."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        serving = list(self._clients.values())
        self.cut()
        await asyncio.gather(*serving, return_exceptions=True)

    def cut(self) -> None:
        """Break all present connections."""
        for client, serving in self._clients.items():
            client.transport.abort()
            serving.cancel()

    def restart(self) -> None:
        """As after a restart of the program: a new instance, empty buffer, nothing available."""
        self.instance = max(self.instance + 1, self._clock.now() // SECOND)
        self._next = 1
        self._buffer.clear()
        self._started = self._clock.now()
        self._present: Present = {}
        self._before: Present = {}
        """What was true before the oldest observation in the buffer."""
        for item in self._items.values():
            level: Level | None = "Unavailable" if item.category == "CONDITION" else None
            self._add(Observed(0, item, self._started, None, level))

    def put(
        self, item_id: str, value: Value, time: Micros | None = None, *, reset: bool = False
    ) -> None:
        """A data item has a new value; None: it has none. A mapping changes entries of a set."""
        at = self._clock.now() if time is None else time
        self._add(Observed(0, self._items[item_id], at, value, reset=reset))

    def condition(
        self,
        item_id: str,
        level: Level,
        code: str = "",
        text: str = "",
        time: Micros | None = None,
    ) -> None:
        at = self._clock.now() if time is None else time
        self._add(Observed(0, self._items[item_id], at, text, level, code))

    def put_tool(self, tool: Tool) -> None:
        """An asset is new or has changed; every device that tells so tells it."""
        self.tools[tool.id] = tool
        self._tell("ASSET_CHANGED", tool.id)

    def remove_tool(self, tool: str) -> None:
        del self.tools[tool]
        self._tell("ASSET_REMOVED", tool)

    def _tell(self, event: str, asset: str) -> None:
        for item in self._items.values():
            if item.type == event:
                self.put(item.id, asset)

    # The buffer ----------------------------------------------------------------------------------

    def _add(self, observed: Observed) -> None:
        numbered = replace(observed, sequence=self._next)
        self._next += 1
        if len(self._buffer) == self._buffer.maxlen:
            _remember(self._before, self._buffer[0])
        self._buffer.append(numbered)
        _remember(self._present, numbered)
        self._wake.set()

    def _standing(self) -> Standing:
        return Standing(
            instance=self.instance,
            created=self._clock.now(),
            model_changed=self._started,
            buffer_size=self._buffer.maxlen or 0,
            first=self._buffer[0].sequence if self._buffer else 1,
            last=self._next - 1,
            next=self._next,
            version=self._version,
            assets=len(self.tools),
        )

    # Documents -----------------------------------------------------------------------------------

    def _answer(self, request: str, devices: Sequence[Device], query: Mapping[str, str]) -> bytes:
        match request:
            case "probe" | "":
                return xml.probe(devices, self._standing())
            case "current":
                present = [one for active in self._at(query).values() for one in active.values()]
                return xml.streams(devices, present, self._standing())
            case "sample":
                document, _ = self._sample(devices, *self._range(query))
                return document
            case "assets" if self._version >= "1.2":
                return self._assets(self.tools)
            case _:
                raise RequestError("UNSUPPORTED", f"`{request}` is not served here", 400)

    def _assets(self, ids: Iterable[str]) -> bytes:
        gone = [one for one in ids if one not in self.tools]
        if gone:
            raise RequestError("ASSET_NOT_FOUND", f"no asset `{gone[0]}`")
        found = [self.tools[one] for one in ids]
        return xml.assets(found, self.devices[0], self._standing())

    def _at(self, query: Mapping[str, str]) -> Present:
        """What was true at a sequence number; now, if none is given."""
        if "at" not in query:
            return self._present
        standing, at = self._standing(), _number(query, "at", 0)
        if not standing.first <= at <= standing.last:
            raise RequestError(
                "OUT_OF_RANGE", f"'at' must be between {standing.first} and {standing.last}"
            )
        present = dict(self._before)
        for observed in self._buffer:
            if observed.sequence <= at:
                _remember(present, observed)
        return present

    def _range(self, query: Mapping[str, str]) -> tuple[int, int]:
        standing = self._standing()
        start = _number(query, "from", standing.first)
        count = _number(query, "count", 100)
        if not standing.first <= start <= standing.next:
            raise RequestError(
                "OUT_OF_RANGE", f"'from' must be between {standing.first} and {standing.next}"
            )
        if not 0 < count <= standing.buffer_size:
            raise RequestError("OUT_OF_RANGE", f"'count' must be 1 to {standing.buffer_size}")
        return start, count

    def _sample(self, devices: Sequence[Device], start: int, count: int) -> tuple[bytes, int]:
        """The document and the sequence number to go on from."""
        standing = self._standing()
        at = start - standing.first
        found = list(islice(self._buffer, at, at + count))
        standing = replace(standing, next=start + len(found))
        return xml.streams(devices, found, standing), standing.next

    async def _stream(
        self, devices: Sequence[Device], query: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        start, count = self._range(query)
        interval = _number(query, "interval", 0) / 1000
        heartbeat = _number(query, "heartbeat", 10_000) / 1000
        instance = self.instance
        while True:
            await self._news(start, heartbeat)
            standing = self._standing()
            if instance != self.instance or start < standing.first:
                yield xml.error("OUT_OF_RANGE", f"{start} is no longer there", standing)
                return
            document, start = self._sample(devices, start, count)
            yield document
            await asyncio.sleep(interval)

    async def _news(self, start: int, heartbeat: float) -> None:
        """Until there is something from `start` on, at most one heartbeat."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + heartbeat
        while self._next <= start and loop.time() < deadline:
            self._wake.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._wake.wait()
            except TimeoutError:
                return

    # HTTP ----------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._clients[writer] = serving
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await self._respond(head, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client is gone
        except asyncio.CancelledError:
            pass  # cut
        finally:
            del self._clients[writer]
            writer.transport.abort()

    async def _respond(self, head: str, writer: asyncio.StreamWriter) -> None:
        method, target, _ = head.partition("\r\n")[0].split(" ")
        parts = urlsplit(target)
        self.asked.append(target)
        *device, request = unquote(parts.path).strip("/").split("/")
        query = dict(parse_qsl(parts.query))
        try:
            if device == ["asset"]:
                self._devices(method, [])
                await _send(writer, head, 200, self._assets([request]))
                return
            devices = self._devices(method, device)
            if request == "sample" and "interval" in query:
                self._range(query)
                await self._respond_stream(writer, self._stream(devices, query))
                return
            status, body = 200, self._answer(request, devices, query)
        except RequestError as error:
            status, body = error.status, xml.error(error.code, str(error), self._standing())
        await _send(writer, head, status, body)

    async def _respond_stream(
        self, writer: asyncio.StreamWriter, documents: AsyncIterator[bytes]
    ) -> None:
        writer.write(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
            f"Content-Type: multipart/x-mixed-replace;boundary={_BOUNDARY}\r\n\r\n".encode()
        )
        async for document in documents:
            part = (
                f"\r\n--{_BOUNDARY}\r\nContent-type: text/xml\r\n"
                f"Content-length: {len(document)}\r\n\r\n"
            ).encode() + document
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            await writer.drain()
        end = f"\r\n--{_BOUNDARY}--\r\n".encode()
        writer.write(f"{len(end):x}\r\n".encode() + end + b"\r\n0\r\n\r\n")
        await writer.drain()

    def _devices(self, method: str, path: Sequence[str]) -> tuple[Device, ...]:
        if method != "GET":
            raise RequestError("UNSUPPORTED", "an agent is only read", 405)
        if not path:
            return self.devices
        found = tuple(
            device for device in self.devices if path[0] in (device.name, device.uuid, device.id)
        )
        if not found or len(path) > 1:
            raise RequestError("NO_DEVICE", f"could not find the device `{'/'.join(path)}`")
        return found


async def _send(writer: asyncio.StreamWriter, head: str, status: int, body: bytes) -> None:
    compressed = "gzip" in head.lower()
    body = gzip.compress(body) if compressed else body
    coding = "Content-Encoding: gzip\r\n" if compressed else ""
    writer.write(
        f"HTTP/1.1 {status} {_STATUS[status]}\r\nContent-Type: text/xml\r\n{coding}"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
    )
    writer.write(body)
    await writer.drain()


def _remember(presents: Present, new: Observed) -> None:
    """Put it in the place of what it replaces."""
    present = presents.get(new.item.id, {})
    active = {key: old for key, old in present.items() if old.level in _ACTIVE}
    if new.level in _ACTIVE:
        presents[new.item.id] = active | {new.code: new}
    elif new.level == "Normal" and new.code and active.keys() - {new.code}:
        active.pop(new.code, None)
        presents[new.item.id] = active
    else:
        kept = replace(new, value=_merged(present.get(""), new), code="")
        presents[new.item.id] = {"": kept}


def _merged(old: Observed | None, new: Observed) -> Value:
    """What `current` shows of a data set: all entries, not only those that changed."""
    if not isinstance(new.value, Mapping):
        return new.value
    before = old.value if old is not None and not new.reset else None
    entries = {**(before if isinstance(before, Mapping) else {}), **new.value}
    return {key: value for key, value in entries.items() if value is not None}


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(query.get(name, default))
    except ValueError:
        raise RequestError("INVALID_REQUEST", f"'{name}' must be a number", 400) from None
