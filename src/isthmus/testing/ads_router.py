"""A TwinCAT router with one runtime on loopback that remembers every write request; for tests.

Symbols by name and handle, sum commands, notifications with the controller's own time, the symbol
and type tables, states, downloads. Everything that would change a controller is refused and
remembered. Structures are laid out without gaps.
"""

import asyncio
import re
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from isthmus.testing.tcp_proxy import LOOPBACK

_READ, _WRITE, _STATE, _CONTROL, _ADD, _DELETE, _NOTE, _READ_WRITE = 2, 3, 4, 5, 6, 7, 8, 9
_HANDLE, _VALUE, _RELEASE, _VERSION, _INFO = 0xF003, 0xF005, 0xF006, 0xF008, 0xF009
_UPLOAD, _TYPES, _UPLOAD_INFO, _SUM_READ, _SUM_READ_WRITE = 0xF00B, 0xF00E, 0xF00F, 0xF080, 0xF082
_MEMORY, _APART = 0x4040, 0x10000
_ASKS: Final = {_HANDLE, _INFO, _SUM_READ, _SUM_READ_WRITE}
"""Groups whose read-write only asks."""

NO_PORT, NO_MACHINE = 0x6, 0x7
NOT_SUPPORTED, NO_GROUP, NOT_FOUND, STALE = 0x701, 0x702, 0x710, 0x711
RUN, STOP = 5, 6

ELEMENTARY: Final = {
    "BOOL": (33, "?"), "SINT": (16, "b"), "USINT": (17, "B"), "BYTE": (17, "B"), "INT": (2, "h"),
    "UINT": (18, "H"), "WORD": (18, "H"), "DINT": (3, "i"), "UDINT": (19, "I"), "DWORD": (19, "I"),
    "LINT": (20, "q"), "ULINT": (21, "Q"), "LWORD": (21, "Q"), "REAL": (4, "f"), "LREAL": (5, "d"),
    "TIME": (19, "I"), "TOD": (19, "I"), "DATE": (19, "I"), "DT": (19, "I"), "LTIME": (21, "Q"),
    "E_State": (2, "h"),
}  # fmt: skip
"""Name → ADS type, layout."""
_STRING: Final = re.compile(r"(W?)STRING(?:\((\d+)\))?")
_ARRAY: Final = re.compile(r"ARRAY \[(.+)\] OF (.+)")
_STEP: Final = re.compile(r"\.?([^.\[]+)|\[([-\d,]+)\]")


class Request(NamedTuple):
    """One ADS command as it came; `group` of those that have one."""

    command: int
    group: int
    data: bytes

    @property
    def writes(self) -> bool:
        """To give a handle back is no write: it changes nothing of the program."""
        if self.command == _WRITE:
            return self.group != _RELEASE
        return self.command == _CONTROL or (self.command == _READ_WRITE and self.group not in _ASKS)


class Frame(NamedTuple):
    """Addresses and contents of a request."""

    target: bytes
    source: bytes
    command: int
    flags: int
    error: int
    invoke: int
    data: bytes


@dataclass
class _Notification:
    """Who wants to hear of which handle."""

    writer: asyncio.StreamWriter
    frame: Frame
    variable: int


class _AdsError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(hex(code))
        self.code = code


class AdsRouter:
    """`symbols` are names with types (`GVL.aCounts: ARRAY [0..3] OF INT`), `values` contents."""

    def __init__(
        self,
        symbols: Mapping[str, str],
        values: Mapping[str, Any],
        *,
        structs: Mapping[str, Mapping[str, str]] | None = None,
        net_id: str = "127.0.0.1.1.1",
        ams_port: int = 851,
    ) -> None:
        self.port = 0
        self.symbols = dict(symbols)
        self.values = dict(values)
        self.structs = structs or {}
        self.state = RUN
        self.version: int | None = 1
        """None: this controller does not count its downloads."""
        self.sums = True
        self.most_notifications = 1024
        self.silent = False
        """True: notifications are granted and never come."""
        self.early = False
        """True: the first notification comes before the answer that grants it."""
        self.clock_offset = 0.0
        """Seconds by which the controller's clock is ahead."""
        self.requests: list[Request] = []
        self.connections = 0
        self.handles: dict[int, str] = {}
        self._placed: list[str] = []
        """Symbols by their place in memory."""
        self._next_handle = 0x100
        self._notifications: dict[int, _Notification] = {}
        self._address = bytes(int(part) for part in net_id.split("."))
        self._ams_port = ams_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def writes(self) -> list[Request]:
        """Every request that would have changed something."""
        return [request for request in self.requests if request.writes]

    @property
    def notifications(self) -> int:
        """How many are granted at this moment."""
        return len(self._notifications)

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

    def put(self, name: str, value: Any) -> None:
        """The program changes one of its variables."""
        self.values[name] = value
        for number, notification in self._notifications.items():
            variable = self.handles.get(notification.variable, "")
            if re.split(r"[.\[]", variable)[:2] == re.split(r"[.\[]", name)[:2]:
                self._send_notification(number, notification)

    def download(self, symbols: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """Another program: handles and notifications of the old one mean nothing any more."""
        self.symbols, self.values = dict(symbols), dict(values)
        self.version = None if self.version is None else (self.version + 1) % 256
        self.handles.clear()
        self._notifications.clear()

    def lose_notifications(self) -> None:
        """They end, and nobody is told."""
        self._notifications.clear()

    # Frames --------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    (length,) = struct.unpack("<2xI", await reader.readexactly(6))
                    frame = parse_frame(await reader.readexactly(length))
                    self._answer(frame, writer)
                    await writer.drain()
        finally:
            writer.close()
            self._writers.discard(writer)
            gone = [n for n, one in self._notifications.items() if one.writer is writer]
            for number in gone:
                del self._notifications[number]

    def _answer(self, frame: Frame, writer: asyncio.StreamWriter) -> None:
        self.requests.append(_request(frame))
        error, data = self._routed(frame)
        if not error:
            try:
                data = struct.pack("<I", 0) + self._done(frame, writer)
            except _AdsError as refused:
                data = struct.pack("<I", refused.code)
        writer.write(_packed(frame, frame.command, 5, error, data))
        if not error and frame.command == _ADD and not self.early and len(data) == 8:
            number = int.from_bytes(data[4:], "little")
            self._send_notification(number, self._notifications[number])

    def _routed(self, frame: Frame) -> tuple[int, bytes]:
        if frame.target[:6] != self._address:
            return NO_MACHINE, b""
        if frame.target[6:] != struct.pack("<H", self._ams_port):
            return NO_PORT, b""
        return 0, b""

    def _done(self, frame: Frame, writer: asyncio.StreamWriter) -> bytes:
        """What follows the result; raises what the result says instead."""
        if self.requests[-1].writes:
            raise _AdsError(NOT_SUPPORTED)
        match frame.command:
            case 2:
                return _sized(self._read(*struct.unpack("<III", frame.data)))
            case 3:
                self.handles.pop(int.from_bytes(frame.data[12:], "little"), None)
                return b""
            case 4:
                return struct.pack("<HH", self.state, 0)
            case 6:
                return self._add_notification(frame, writer)
            case 7:
                self._notifications.pop(int.from_bytes(frame.data, "little"), None)
                return b""
            case 9:
                group, offset, length, _ = struct.unpack_from("<IIII", frame.data)
                return _sized(self._read_write(group, offset, length, frame.data[16:]))
        raise _AdsError(NOT_SUPPORTED)

    def _add_notification(self, frame: Frame, writer: asyncio.StreamWriter) -> bytes:
        group, variable, *_ = struct.unpack_from("<IIIIII", frame.data)
        if len(self._notifications) >= self.most_notifications or group != _VALUE:
            raise _AdsError(NOT_SUPPORTED)
        self._value(variable)
        self._next_handle += 1
        self._notifications[self._next_handle] = _Notification(writer, frame, variable)
        if self.early:
            self._send_notification(self._next_handle, self._notifications[self._next_handle])
        return struct.pack("<I", self._next_handle)

    def _send_notification(self, number: int, notification: _Notification) -> None:
        if self.silent:
            return
        value = self._value(notification.variable)
        seconds = time.time() + self.clock_offset
        stamp = struct.pack("<QI", int(seconds * 1e7) + 116_444_736_000_000_000, 1)
        sample = stamp + struct.pack("<II", number, len(value)) + value
        data = struct.pack("<II", 4 + len(sample), 1) + sample
        notification.writer.write(_packed(notification.frame, _NOTE, 4, 0, data))

    # Reading -------------------------------------------------------------------------------

    def _read(self, group: int, offset: int, length: int) -> bytes:
        if group == _VALUE:
            return self._value(offset)[:length]
        if group == _MEMORY and offset // _APART < len(self._placed):
            return self._packed(*self._find(self._placed[offset // _APART]))[:length]
        if group == _VERSION and self.version is not None:
            return bytes([self.version])
        tables = {_UPLOAD: self._symbol_table, _TYPES: self._type_table}
        if group in tables:
            return b"".join(tables[group]())[:length]
        if group == _UPLOAD_INFO:
            found, types = list(self._symbol_table()), list(self._type_table())
            sizes = (sum(map(len, found)), len(types), sum(map(len, types)))
            return struct.pack("<IIIIII", len(found), *sizes, 0, 0)[:length]
        raise _AdsError(NO_GROUP)

    def _read_write(self, group: int, offset: int, length: int, data: bytes) -> bytes:
        if group == _SUM_READ and self.sums:
            items = struct.iter_unpack("<III", data)
            answers = [self._tried(lambda i=item: self._read(*i), item[2]) for item in items]
            errors = struct.pack(f"<{offset}I", *(error for error, _ in answers))
            return errors + b"".join(answer for _, answer in answers)
        if group == _SUM_READ_WRITE and self.sums:
            return self._many(offset, data)
        if group not in {_HANDLE, _INFO}:
            raise _AdsError(NO_GROUP)
        name = data.rstrip(b"\0").decode("ascii")
        if group == _HANDLE:
            self._find(name)
            self._next_handle += 1
            self.handles[self._next_handle] = name
            return struct.pack("<I", self._next_handle)
        return self._entry(name, self._find(name)[0])[:length]

    def _many(self, count: int, data: bytes) -> bytes:
        at, heads, found = 16 * count, b"", b""
        for number in range(count):
            group, offset, length, size = struct.unpack_from("<IIII", data, 16 * number)
            written = data[at : at + size]
            at += size
            error, answer = self._tried(
                lambda g=group, o=offset, n=length, w=written: self._read_write(g, o, n, w), 0
            )
            heads += struct.pack("<II", error, len(answer))
            found += answer
        return heads + found

    @staticmethod
    def _tried(asking: Any, size: int) -> tuple[int, bytes]:
        """The answer, padded as a failed one is."""
        try:
            return 0, asking().ljust(size, b"\0")
        except _AdsError as refused:
            return refused.code, bytes(size)

    def _value(self, handle: int) -> bytes:
        if handle not in self.handles:
            raise _AdsError(STALE)
        return self._packed(*self._find(self.handles[handle]))

    # Symbols -------------------------------------------------------------------------------

    def _find(self, path: str) -> tuple[str, Any]:
        """Type and value of a symbol, or of an element or member below it."""
        for name, kind in self.symbols.items():
            rest = path[len(name) :]
            if path.lower().startswith(name.lower()) and rest[:1] in {"", ".", "["}:
                return self._below(kind, self.values[name], rest)
        raise _AdsError(NOT_FOUND)

    def _below(self, kind: str, value: Any, rest: str) -> tuple[str, Any]:
        for member, index in _STEP.findall(rest):
            array = _ARRAY.fullmatch(kind)
            if index and array is not None:
                kind, value = array[2], _element(array[1], value, index)
            elif member and member in self.structs.get(kind, {}):
                kind, value = self.structs[kind][member], value[member]
            else:
                raise _AdsError(NOT_FOUND)
        return kind, value

    def _packed(self, kind: str, value: Any) -> bytes:
        if (array := _ARRAY.fullmatch(kind)) is not None:
            return b"".join(self._packed(array[2], element) for element in value)
        if kind in self.structs:
            members = self.structs[kind].items()
            return b"".join(self._packed(inner, value[name]) for name, inner in members)
        if (string := _STRING.fullmatch(kind)) is not None:
            width, length = (2, "utf-16-le") if string[1] else (1, "cp1252")
            size = width * (int(string[2] or 80) + 1)
            return bytes(value.encode(length).ljust(size, b"\0"))
        return struct.pack("<" + ELEMENTARY[kind][1], value)

    def _ads_type(self, kind: str) -> int:
        if (array := _ARRAY.fullmatch(kind)) is not None:
            return self._ads_type(array[2])
        if (string := _STRING.fullmatch(kind)) is not None:
            return 31 if string[1] else 30
        return 65 if kind in self.structs else ELEMENTARY[kind][0]

    def _size(self, kind: str) -> int:
        if (array := _ARRAY.fullmatch(kind)) is not None:
            return self._size(array[2]) * len(list(_indexes(array[1])))
        if kind in self.structs:
            return sum(map(self._size, self.structs[kind].values()))
        if (string := _STRING.fullmatch(kind)) is not None:
            return (2 if string[1] else 1) * (int(string[2] or 80) + 1)
        return struct.calcsize("<" + ELEMENTARY[kind][1])

    def _symbol_table(self) -> Iterator[bytes]:
        for name, kind in self.symbols.items():
            yield self._entry(name, kind)

    def _entry(self, name: str, kind: str) -> bytes:
        texts = _texts(name, kind, "")
        lengths = struct.pack("<HHH", len(name), len(kind), 0)
        if name not in self._placed:
            self._placed.append(name)
        offset = self._placed.index(name) * _APART
        numbers = (_MEMORY, offset, self._size(kind), self._ads_type(kind), 0)
        return struct.pack("<IIIIII", 30 + len(texts), *numbers) + lengths + texts

    def _type_table(self) -> Iterator[bytes]:
        for name, members in self.structs.items():
            inner, offset = b"", 0
            for member, kind in members.items():
                inner += self._type_entry(member, kind, offset, 0, b"")
                offset += self._size(kind)
            yield self._type_entry(name, "", 0, len(members), inner, self._size(name))

    def _type_entry(  # noqa: PLR0917 - the fields in their order
        self, name: str, kind: str, offset: int, members: int, inner: bytes, size: int = 0
    ) -> bytes:
        texts = _texts(name, kind, "")
        size = size or self._size(kind)
        ads_type = self._ads_type(kind or name)
        counts = struct.pack("<HHHHH", len(name), len(kind), 0, 0, members)
        length = 42 + len(texts) + len(inner)
        numbers = struct.pack("<IIIIIIII", length, 1, 0, 0, size, offset, ads_type, 0)
        return numbers + counts + texts + inner


def write_requests(sent: bytes) -> list[str]:
    """Requests among these bytes of a client that would change a controller."""
    found: list[str] = []
    while sent:
        (length,) = struct.unpack_from("<2xI", sent)
        request = _request(parse_frame(sent[6 : 6 + length]))
        if request.writes:
            found.append(f"command {request.command}, group 0x{request.group:X}")
        sent = sent[6 + length :]
    return found


def parse_frame(body: bytes) -> Frame:
    """A frame without its TCP header."""
    command, flags, _, error, invoke = struct.unpack_from("<HHIII", body, 16)
    return Frame(body[:8], body[8:16], command, flags, error, invoke, body[32:])


def _packed(to: Frame, command: int, flags: int, error: int, data: bytes) -> bytes:
    head = struct.pack("<HHIII", command, flags, len(data), error, to.invoke)
    body = to.source + to.target + head + data
    return struct.pack("<HI", 0, len(body)) + body


def _request(frame: Frame) -> Request:
    has_group = frame.command in {_READ, _WRITE, _READ_WRITE, _ADD}
    group = int.from_bytes(frame.data[:4], "little") if has_group else 0
    return Request(frame.command, group, frame.data)


def _sized(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def _texts(*texts: str) -> bytes:
    return b"".join(text.encode("cp1252") + b"\0" for text in texts)


def _bounds(declared: str) -> list[tuple[int, int]]:
    pairs = (part.split("..") for part in declared.split(","))
    return [(int(low), int(high)) for low, high in pairs]


def _indexes(declared: str) -> range:
    total = 1
    for low, high in _bounds(declared):
        total *= high - low + 1
    return range(total)


def _element(declared: str, value: Any, index: str) -> Any:
    at = 0
    for number, (low, high) in zip(map(int, index.split(",")), _bounds(declared), strict=True):
        if not low <= number <= high:
            raise _AdsError(NOT_FOUND)
        at = at * (high - low + 1) + number - low
    return value[at]
