"""A Logix controller on loopback that remembers every write request; for tests.

It speaks what a reader needs: sessions, connections, reading tags by name or by their instance,
whole or in pieces, many in one message, and the tag list with its templates. Everything that
would change a controller is refused and remembered.
"""

import asyncio
import struct
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from isthmus.testing.logix_types import LogixType, Types, Udt
from isthmus.testing.tcp_proxy import LOOPBACK

REGISTER, UNREGISTER, RR_DATA, UNIT_DATA, IDENTITY = 0x65, 0x66, 0x6F, 0x70, 0x63
CONNECTION_MANAGER, SYMBOLS, TEMPLATES, MESSAGE_ROUTER = 0x06, 0x6B, 0x6C, 0x02
IDENTITY_CLASS: Final = 0x01
PROGRAM_NAME: Final = 0x64

OK, NO_PATH, PARTIAL, NOT_SUPPORTED, TOO_LARGE = 0x00, 0x05, 0x06, 0x08, 0x11
GENERAL_ERROR: Final = 0xFF
BEYOND_END: Final = 0x2105

READS: Final = frozenset({0x01, 0x03, 0x0A, 0x0E, 0x4C, 0x52, 0x55})
ON_CONNECTION_MANAGER: Final = {0x4E: "close", 0x52: "send", 0x54: "open", 0x5B: "open large"}
_SESSION: Final = 0x1234
_CONNECTION: Final = 0x5678


class Request(NamedTuple):
    """One CIP service as it came."""

    service: int
    path: "Path"
    data: bytes

    @property
    def writes(self) -> bool:
        if self.path.class_id == CONNECTION_MANAGER:
            return self.service not in ON_CONNECTION_MANAGER
        return self.service not in READS


class Path(NamedTuple):
    """Symbols with their element numbers, or class and instance; both in a program's tag list."""

    symbols: tuple[tuple[str, tuple[int, ...]], ...]
    class_id: int | None
    instance: int | None


class Reply(NamedTuple):
    """Status, extended status and data of one service."""

    status: int = OK
    extended: int | None = None
    data: bytes = b""


class EthernetIpController:
    """`tags` are names with types (`Counts: DINT[4]`), `values` their contents by name."""

    def __init__(
        self,
        tags: Mapping[str, str],
        values: Mapping[str, Any],
        *,
        udts: tuple[Udt, ...] = (),
        slot: int = 0,
        largest_connection: int = 4000,
    ) -> None:
        self.port = 0
        self.types = Types(udts)
        self.tags = {name: self.types.parse(text) for name, text in tags.items()}
        self.values = dict(values)
        self.requests: list[Request] = []
        self.failures: dict[str, tuple[int, int | None]] = {}
        """Tag → the status, and extended status, it answers instead of its value."""
        self.multiple_services = True
        self.connections = 0
        self.connection_failure: int | None = None
        """While set, every connection is refused with this extended status."""
        self._slot = slot
        self._largest = largest_connection
        self._size = 500
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def writes(self) -> list[Request]:
        """Every request that would have changed something."""
        return [request for request in self.requests if request.writes]

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

    def drop(self, tag: str) -> None:
        """A download without this tag."""
        del self.tags[tag], self.values[tag]

    def define(self, tag: str, text: str, value: Any) -> None:
        """A download with this tag, perhaps of another type than before."""
        self.tags[tag] = self.types.parse(text)
        self.values[tag] = value

    # Encapsulation -------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    header = await reader.readexactly(24)
                    command, length = struct.unpack_from("<HH", header)
                    body = await reader.readexactly(length)
                    answer = self._encapsulated(command, body)
                    if answer is None:
                        break
                    size, session = struct.pack("<H", len(answer)), struct.pack("<I", _SESSION)
                    writer.write(header[:2] + size + session + header[8:] + answer)
                    await writer.drain()
        finally:
            writer.close()
            self._writers.discard(writer)

    def _encapsulated(self, command: int, body: bytes) -> bytes | None:
        """The answer's body; None hangs up."""
        if command == REGISTER:
            return body
        if command == IDENTITY:
            about = struct.pack("<H16x", 1) + _identity() + b"\x03"
            return struct.pack("<HHH", 1, 0x0C, len(about)) + about
        if command == RR_DATA:
            return body[:6] + _items(0, b"", 0xB2, self._answer(_item(body, 1)))
        if command == UNIT_DATA:
            sent = _item(body, 1)
            answer = sent[:2] + self._answer(sent[2:])
            return body[:6] + _items(0xA1, struct.pack("<I", _CONNECTION), 0xB1, answer)
        return None

    # CIP -----------------------------------------------------------------------------------

    def _answer(self, service: bytes) -> bytes:
        request = _request(service)
        self.requests.append(request)
        reply = Reply(NOT_SUPPORTED) if request.writes else self._reply(request)
        extended = b"" if reply.extended is None else struct.pack("<H", reply.extended)
        head = struct.pack("BBBB", request.service | 0x80, 0, reply.status, len(extended) // 2)
        return head + extended + reply.data

    def _reply(self, request: Request) -> Reply:
        services = {
            (CONNECTION_MANAGER, 0x54): self._open,
            (CONNECTION_MANAGER, 0x5B): self._open,
            (CONNECTION_MANAGER, 0x4E): self._close,
            (CONNECTION_MANAGER, 0x52): self._unwrapped,
            (IDENTITY_CLASS, 0x01): lambda _: Reply(data=_identity()),
            (PROGRAM_NAME, 0x01): lambda _: Reply(data=struct.pack("<H", 4) + b"Demo"),
            (MESSAGE_ROUTER, 0x0A): self._many,
            (SYMBOLS, 0x55): self._tag_list,
            (TEMPLATES, 0x03): self._template_attributes,
            (TEMPLATES, 0x4C): self._template,
            **dict.fromkeys([(c, s) for c in (None, SYMBOLS) for s in (0x4C, 0x52)], self._read),
        }
        service = services.get((request.path.class_id, request.service))
        return Reply(NOT_SUPPORTED) if service is None else service(request)

    def _close(self, _request: Request) -> Reply:
        self.connections -= 1
        return Reply(data=bytes(10))

    def _unwrapped(self, wrapped: Request) -> Reply:
        (size,) = struct.unpack_from("<H", wrapped.data, 2)
        request = _request(wrapped.data[4 : 4 + size])
        self.requests.append(request)
        return Reply(NOT_SUPPORTED) if request.writes else self._reply(request)

    def _open(self, request: Request) -> Reply:
        large = request.service == 0x5B
        size = struct.unpack_from("<I" if large else "<H", request.data, 26)[0]
        size &= 0xFFFF if large else 0x1FF
        if large and self._largest <= 500:
            return Reply(NOT_SUPPORTED)
        if self.connection_failure is not None:
            return Reply(0x01, self.connection_failure)
        route = request.data[40 if large else 36 :]
        if route[:2] not in {bytes([1, self._slot]), b"\x20\x02"}:
            return Reply(0x01, 0x0312)
        self._size = min(size, self._largest)
        self.connections += 1
        return Reply(data=struct.pack("<I", _CONNECTION) + request.data[6:] + bytes(26))

    def _many(self, request: Request) -> Reply:
        if not self.multiple_services:
            return Reply(NOT_SUPPORTED)
        data = request.data
        (count,) = struct.unpack_from("<H", data)
        offsets = struct.unpack_from(f"<{count}H", data, 2)
        ends = (*offsets[1:], len(data))
        answers = [self._answer(data[a:b]) for a, b in zip(offsets, ends, strict=True)]
        room = self._size - 8
        for number, answer in enumerate(answers):
            room -= 2
            if len(answer) > room:
                answers[number] = struct.pack("BBBB", answer[0], 0, TOO_LARGE, 0)
            room -= len(answers[number])
        start, starts = 2 + 2 * count, []
        for answer in answers:
            starts.append(start)
            start += len(answer)
        failed = any(answer[2] != OK for answer in answers)
        head = struct.pack(f"<{1 + count}H", count, *starts)
        return Reply(0x1E if failed else OK, data=head + b"".join(answers))

    def _read(self, request: Request) -> Reply:
        path = request.path
        name = ".".join(symbol for symbol, _ in path.symbols)
        if name in self.failures:
            return Reply(*self.failures[name])
        (count,) = struct.unpack_from("<H", request.data)
        found = self._find(path, count)
        if isinstance(found, Reply):
            return found
        kind, value = found
        offset = struct.unpack_from("<I", request.data, 2)[0] if request.service == 0x52 else 0
        prefix = kind.prefix()
        room = self._size - 6 - len(prefix)
        piece = value[offset : offset + room]
        status = PARTIAL if offset + len(piece) < len(value) else OK
        return Reply(status, data=prefix + piece)

    def _find(self, path: Path, count: int) -> "tuple[LogixType, bytes] | Reply":
        symbols = list(path.symbols)
        if path.class_id == SYMBOLS:
            index = symbols[0][1] if symbols and not symbols[0][0] else ()
            names = [n for n in self.tags if self._instance(n) == path.instance]
            symbols = [(names[0], index), *(s for s in symbols if s[0])] if names else []
        if len(symbols) > 1 and symbols[0][0].lower().startswith("program:"):
            (program, _), (name, index), *rest = symbols
            symbols = [(f"{program}.{name}", index), *rest]
        if not symbols or symbols[0][0] not in self.tags:
            return Reply(NO_PATH, 0)
        name, index = symbols[0]
        return self._below(self.tags[name], self.values[name], index, symbols[1:], count)

    def _below(
        self,
        kind: LogixType,
        value: Any,
        index: tuple[int, ...],
        rest: list[tuple[str, tuple[int, ...]]],
        count: int,
    ) -> "tuple[LogixType, bytes] | Reply":
        elements = value if kind.dimensions else [value]
        first = 0
        for number, size in zip(index, kind.dimensions, strict=False):
            first = first * size + number
        if len(index) not in {0, len(kind.dimensions)} or first + count > len(elements):
            return Reply(GENERAL_ERROR, BEYOND_END)
        if not rest:
            return kind, b"".join(kind.packed(e) for e in elements[first : first + count])
        name, index = rest[0]
        members = {} if kind.udt is None else {m.name: m.type for m in kind.udt.members}
        if name not in members:
            return Reply(NO_PATH, 0)
        return self._below(members[name], elements[first][name], index, rest[1:], count)

    # Tag list ------------------------------------------------------------------------------

    def _tag_list(self, request: Request) -> Reply:
        program = request.path.symbols[0][0] if request.path.symbols else ""
        if program:
            names = [name for name in self.tags if name.startswith(f"{program}.")]
        else:
            names = [name for name in self.tags if not name.startswith("Program:")]
            names += self._programs()
        data = b""
        for name in sorted(names, key=self._instance):
            if self._instance(name) < (request.path.instance or 0):
                continue
            entry = self._entry(name, name.removeprefix(f"{program}."))
            if len(data) + len(entry) > self._size - 6:
                return Reply(PARTIAL, data=data)
            data += entry
        return Reply(data=data)

    def _entry(self, name: str, shown: str) -> bytes:
        kind = self.tags.get(name)
        code = 0x1068 if kind is None else kind.code | len(kind.dimensions) << 13
        sizes = (*(() if kind is None else kind.dimensions), 0, 0, 0)[:3]
        text = shown.encode()
        head = struct.pack("<IH", self._instance(name), len(text)) + text
        return head + struct.pack("<HIII3IB", code, 0, 0, 1 << 26, *sizes, 0)

    def _instance(self, name: str) -> int:
        """Instances are numbered anew with every download, as in a controller."""
        return [*self.tags, *self._programs()].index(name) + 1

    def _programs(self) -> list[str]:
        return sorted({n.partition(".")[0] for n in self.tags if n.startswith("Program:")})

    def _layout(self, template: int | None) -> Any:
        return next(v for v in self.types.layouts.values() if v.udt.template == template)

    def _template_attributes(self, request: Request) -> Reply:
        of = self._layout(request.path.instance)
        parts = [(4, "I", of.definition_size), (5, "I", of.size), (2, "H", len(of.members)),
                 (1, "H", of.udt.handle)]  # fmt: skip
        data = b"".join(struct.pack(f"<HH{form}", number, 0, v) for number, form, v in parts)
        return Reply(data=struct.pack("<H", len(parts)) + data)

    def _template(self, request: Request) -> Reply:
        offset, size = struct.unpack("<IH", request.data)
        definition = self._layout(request.path.instance).definition.ljust(offset + size, b"\0")
        piece = definition[offset : offset + min(size, self._size - 6)]
        return Reply(OK if len(piece) == size else PARTIAL, data=piece)


def write_requests(sent: bytes) -> list[str]:
    """Requests among these bytes of a client that would change a controller."""
    found: list[str] = []
    while sent:
        command, length = struct.unpack_from("<HH", sent)
        body, sent = sent[24 : 24 + length], sent[24 + length :]
        if command in {RR_DATA, UNIT_DATA}:
            service = _item(body, 1)[2 if command == UNIT_DATA else 0 :]
            found += [f"service 0x{r.service:02X}" for r in _all_requests(service) if r.writes]
    return found


def _all_requests(service: bytes) -> list[Request]:
    """The service and all it carries."""
    request = _request(service)
    if request.path.class_id == CONNECTION_MANAGER and request.service == 0x52:
        (size,) = struct.unpack_from("<H", request.data, 2)
        return [request, *_all_requests(request.data[4 : 4 + size])]
    if request.service != 0x0A:
        return [request]
    (count,) = struct.unpack_from("<H", request.data)
    offsets = struct.unpack_from(f"<{count}H", request.data, 2)
    ends = (*offsets[1:], len(request.data))
    parts = [request.data[a:b] for a, b in zip(offsets, ends, strict=True)]
    return [request, *(inner for part in parts for inner in _all_requests(part))]


def _request(service: bytes) -> Request:
    end = 2 + 2 * service[1]
    return Request(service[0], _path(service[2:end]), service[end:])


def _path(path: bytes) -> Path:
    symbols: list[tuple[str, tuple[int, ...]]] = []
    ids: dict[int, int] = {}
    while path:
        kind = path[0]
        if kind == 0x91:
            size = path[1]
            symbols.append((path[2 : 2 + size].decode(), ()))
            path = path[2 + size + size % 2 :]
            continue
        width = {0: 1, 1: 2, 2: 4}[kind & 0x03]
        start = 1 if width == 1 else 2
        number = int.from_bytes(path[start : start + width], "little")
        path = path[start + width :]
        if kind & 0xFC == 0x28:
            name, index = symbols.pop() if symbols else ("", ())
            symbols.append((name, (*index, number)))
        else:
            ids[kind & 0xFC] = number
    return Path(tuple(symbols), ids.get(0x20), ids.get(0x24))


def _item(body: bytes, wanted: int) -> bytes:
    """Contents of an item of the common packet format."""
    at = 8
    for _ in range(wanted):
        at += 4 + struct.unpack_from("<H", body, at + 2)[0]
    (size,) = struct.unpack_from("<H", body, at + 2)
    return body[at + 4 : at + 4 + size]


def _items(kind: int, first: bytes, other: int, second: bytes) -> bytes:
    head = struct.pack("<HHH", 2, kind, len(first)) + first
    return head + struct.pack("<HH", other, len(second)) + second


def _identity() -> bytes:
    """A 1756-L85E of firmware 33."""
    name = b"1756-L85E/B"
    numbers = struct.pack("<HHHBBHI", 1, 14, 167, 33, 11, 0x3060, 0x00C0FFEE)
    return numbers + bytes([len(name)]) + name
