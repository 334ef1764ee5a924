"""A SIMATIC S7 for tests: python-snap7's server, whose memory the test writes.

What the library leaves out and a real CPU has is added here: one slot, refusals by block or of
everything, a length of messages, and a record of every request.
"""

import logging
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from snap7.datatypes import S7Area
from snap7.server import Server
from snap7.type import SrvArea

from isthmus.field.connectors.s7.address import parse_tag
from isthmus.field.connectors.s7.values import Value, store
from isthmus.testing.tcp_proxy import LOOPBACK

READ: Final = 0x04
SET_UP: Final = 0xF0
ACCESS_DENIED: Final = 0x03
LARGEST: Final = 960
"""Bytes of a message an S7-1500 grants; an S7-400 grants 480, S7-300 and S7-1200 240."""

_HARMLESS: Final = frozenset({READ, SET_UP})
_AREAS: Final[dict[str, SrvArea]] = {
    "M": SrvArea.MK, "I": SrvArea.PE, "Q": SrvArea.PA,
    "T": SrvArea.TM, "C": SrvArea.CT,
}  # fmt: skip
_CONNECT_REQUEST: Final = 0xE0
_CALLED_TSAP_PARAMETER: Final = b"\xc2\x02"
_SLOT_BITS: Final = 0x1F
_REQUEST: Final = 1
_DISCONNECT_REQUEST: Final = bytes([3, 0, 0, 11, 6, 0x80, 0, 1, 0, 0, 1])
_ITEMS_AT: Final = 12
_ITEM_SIZE: Final = 12
_AREA_IN_ITEM: Final = 8
_FUNCTION_AT: Final = 10
"""Where the function code stands behind the head of a request."""


class S7Server:
    """Memory areas behind a socket on loopback; `put` is the program of the PLC.

    `sizes` gives areas as a tag writes them: `{"DB10": 200, "M": 64, "T": 16}`, in bytes (of
    timers and counters: two each).
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        *,
        slot: int | None = None,
        pdu: int = LARGEST,
        port: int = 0,
    ) -> None:
        self.port = port
        self.memory = {area: bytearray(size) for area, size in sizes.items()}
        self.requests: list[bytes] = []
        """Every S7 request as it came, without its transport."""
        self.longest_answer = 0
        """Bytes of the longest S7 message that was sent."""
        self.denied: set[int] = set()
        """Data blocks that nobody may read."""
        self.refuses: int | None = None
        """While set, a read as a whole gets this error (class and code)."""
        self.refuses_only_blocks = False
        """Refuse only reads in which a data block occurs."""
        self.slot = slot
        """The CPU's; None: whichever is asked for."""
        self.hangs_up = False
        """To a wrong slot: rather than refuse it politely, as some CPUs do."""
        self.pdu = pdu
        self._plc = _Plc(self)

    def __enter__(self) -> Self:
        # The library logs every connection and every refusal.
        logging.getLogger("snap7").setLevel(logging.CRITICAL + 1)
        for name, memory in self.memory.items():
            self._register(name, memory)
        self._plc.start(self.port)
        self.port = self._plc.listens_on
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._plc.stop()

    def download(self, name: str, size: int) -> None:
        """A new block, or one that gets another size; it begins with zeros."""
        self.memory[name] = bytearray(size)
        self._register(name, self.memory[name])

    def put(self, tag: str, value: Value) -> None:
        """The PLC's program changes a value."""
        address = parse_tag(tag)
        name = f"DB{address.db}" if address.area == "DB" else address.area
        store(self.memory[name], address, value)

    @property
    def write_requests(self) -> list[str]:
        """Requests that were more than reads."""
        return [f"function {request.hex(' ')}" for request in self.requests if _may_write(request)]

    def _register(self, name: str, memory: bytearray) -> None:
        if name.startswith("DB"):
            self._plc.register_area(SrvArea.DB, int(name[2:]), memory)
        else:
            self._plc.register_area(_AREAS[name], 0, memory)


class _Plc(Server):
    """The library's server; its hooks are private, and it is pinned in our lock file."""

    def __init__(self, device: S7Server) -> None:
        super().__init__(log=False)
        self.host = LOOPBACK
        self._device = device
        self._sockets: set[socket.socket] = set()

    @property
    def listens_on(self) -> int:
        if self.server_socket is None:
            raise RuntimeError("the server has not started")
        port: int = self.server_socket.getsockname()[1]
        return port

    def stop(self) -> int:
        """Hang up first: the library would wait until each client says something."""
        for client in list(self._sockets):
            with suppress(OSError):  # it has just gone by itself
                client.shutdown(socket.SHUT_RDWR)
        return super().stop()

    def _handle_client(self, client_socket: socket.socket, address: tuple[str, int]) -> None:
        self._sockets.add(client_socket)
        with suppress(OSError):  # it may have gone already; the library sees that, too
            if self._device.slot not in {None, _slot_asked_for(client_socket)}:
                if not self._device.hangs_up:
                    client_socket.sendall(_DISCONNECT_REQUEST)
                client_socket.shutdown(socket.SHUT_WR)
        super()._handle_client(client_socket, address)
        self._sockets.discard(client_socket)

    def _process_request(
        self, request_data: bytes, client_address: tuple[str, int]
    ) -> bytes | None:
        self._device.requests.append(request_data)
        error = self._device.refuses
        if error is not None and self._is_refused(request_data):
            answer: bytes | None = _refusal(request_data, error)
        else:
            answer = super()._process_request(request_data, client_address)
        self._device.longest_answer = max(self._device.longest_answer, len(answer or b""))
        return answer

    def _is_refused(self, request: bytes) -> bool:
        blocks = request[_ITEMS_AT + _AREA_IN_ITEM :: _ITEM_SIZE]
        return _function(request) == READ and (
            not self._device.refuses_only_blocks or S7Area.DB in blocks
        )

    def _handle_setup_communication(self, request: dict[str, Any]) -> bytes:
        answer = super()._handle_setup_communication(request)
        asked: int = request["parameters"]["pdu_length"]
        return answer[:-2] + struct.pack(">H", min(asked, self._device.pdu))

    def _read_from_memory_area(
        self, area: S7Area, db_number: int, start: int, count: int
    ) -> tuple[int, bytearray]:
        if area is S7Area.DB and db_number in self._device.denied:
            return ACCESS_DENIED, bytearray()
        return super()._read_from_memory_area(area, db_number, start, count)


def write_requests(sent: bytes) -> list[str]:
    """Requests among these bytes of a client that are more than reads."""
    found: list[str] = []
    while sent:
        (length,) = struct.unpack_from(">H", sent, 2)
        frame, sent = sent[:length], sent[length:]
        if frame[5] != _CONNECT_REQUEST and _may_write(frame[7:]):
            found.append(frame.hex(" "))
    return found


def _slot_asked_for(client: socket.socket) -> int | None:
    """Read from the connection request, which stays where it is for the library."""
    head = client.recv(4, socket.MSG_PEEK | socket.MSG_WAITALL)
    if len(head) < 4:
        return None
    request = client.recv(int.from_bytes(head[2:]), socket.MSG_PEEK | socket.MSG_WAITALL)
    at = request.find(_CALLED_TSAP_PARAMETER)
    return None if at < 0 else request[at + 3] & _SLOT_BITS


def _refusal(request: bytes, error: int) -> bytes:
    (sequence,) = struct.unpack_from(">H", request, 4)
    return struct.pack(">BBHHHHH", 0x32, 2, 0, sequence, 0, 0, error)


def _function(request: bytes) -> int:
    return request[_FUNCTION_AT]


def _may_write(request: bytes) -> bool:
    return request[1] != _REQUEST or _function(request) not in _HARMLESS
