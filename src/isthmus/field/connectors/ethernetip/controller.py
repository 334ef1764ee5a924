"""One session with a controller, by pycomm3; every call blocks, so it has a thread of its own."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from pycomm3 import LogixDriver
from pycomm3.exceptions import CommError, PycommError
from pycomm3.packets import RequestPacket, ResponsePacket, SendUnitDataRequestPacket

from isthmus.field.budget import Allowance
from isthmus.field.connector import Refused, Unreachable, Unsupported
from isthmus.field.connectors.ethernetip.messages import (
    DONE,
    PARTIAL,
    TOO_LARGE,
    Answer,
    answer,
    answers,
    groups,
    many,
    read_fragment,
    read_tag,
)
from isthmus.field.connectors.ethernetip.spec import EthernetIpSource
from isthmus.field.connectors.ethernetip.values import handle_of

_HEADER: Final = 24
_SERVICE_NOT_SUPPORTED: Final = 0x08
_EMBEDDED_ERROR: Final = 0x1E
"""Status of a message of which some services failed."""
_CONNECTION_FAILURE: Final = 0x01
_NO_SUCH_WAY: Final = frozenset({0x0311, 0x0312, 0x0315, 0x0316, 0x0317, 0x0318, 0x031A, 0x031B})
"""Extended status: the route ends nowhere. Other failures (no free connection …) pass."""
_LONGEST: Final = 65_536
"""Bytes of one value: a structure that is longer is no string."""

Result = TypeVar("Result")
TagDefinition = dict[str, Any]


class Controller:
    """What the connector asks of a controller. Not one of these methods writes."""

    def __init__(self, name: str, spec: EthernetIpSource, allowance: Allowance) -> None:
        # The driver logs every refusal and every lost link; the runtime says it once.
        logging.getLogger("pycomm3").setLevel(logging.CRITICAL + 1)
        self._name = name
        self._spec = spec
        self._wire = _Wire(spec.timeout)
        path = f"{spec.host}:{spec.port}/{spec.route}".rstrip("/")
        self._driver = _Driver(path, self._wire, allowance)
        self._driver._cfg["connection_size"] = spec.connection_size  # noqa: SLF001 - no other way
        self._driver._cfg["extended forward open"] = spec.connection_size > 500  # noqa: SLF001
        self._answer_sizes: dict[bytes, int] = {}
        self._takes_many = True

    def open(self) -> None:
        try:
            if not self._driver.open():
                raise self._unreachable("it grants no session")
            if not self._driver.connect_to_controller():
                raise self._no_connection()
        except PycommError as error:
            raise self._unreachable(_reason(error)) from error

    def read(self, paths: Sequence[bytes]) -> list[Answer]:
        """The present value of each path, or why there is none."""
        found: dict[bytes, Answer] = {}
        for group in groups(paths, self._answer_sizes, self._driver.connection_size):
            found.update(zip(group, self._read_group(group), strict=True))
        for path, got in found.items():
            if got.status in {PARTIAL, TOO_LARGE}:
                found[path] = self._read_in_pieces(path)
            self._answer_sizes[path] = len(found[path].data)
        return [found[path] for path in paths]

    def tag_list(self) -> list[TagDefinition]:
        """All tags with their types; Unsupported where the controller keeps no such list."""
        try:
            self._driver.learn_revision()
            found: list[TagDefinition] = self._driver.get_tag_list(program="*")
        except PycommError as error:
            if _link_broke(error):
                raise self._unreachable(_reason(error)) from error
            raise Unsupported(
                f"source `{self._name}`: the controller tells no list of its tags "
                f"({_reason(error)}); write their names from its project"
            ) from error
        return found

    def string_handles(self) -> frozenset[int]:
        """Handles of all structures that are strings; empty where the controller does not tell."""
        try:
            self.tag_list()
        except Unsupported:
            return frozenset()
        types = self._driver.data_types.values()
        return frozenset(t["template"]["structure_handle"] for t in types if "string" in t)

    def close(self) -> None:
        """Give the connection back and hang up; a link that is broken is only hung up."""
        try:
            self._driver.close()
        except PycommError:
            return  # nobody is there to be told
        finally:
            self._wire.close()

    def abort(self) -> None:
        """End whatever waits; may be called from any thread."""
        self._wire.close()

    def _read_group(self, group: Sequence[bytes]) -> list[Answer]:
        services = [read_tag(path) for path in group]
        if len(services) == 1 or not self._takes_many:
            return [self._ask(service) for service in services]
        got = self._ask(many(services))
        if got.status == _SERVICE_NOT_SUPPORTED:
            self._takes_many = False
            return self._read_group(group)
        if got.status not in {DONE, PARTIAL, _EMBEDDED_ERROR}:
            return [got] * len(group)
        return self._understood(lambda: answers(got.data, len(services)))

    def _read_in_pieces(self, path: bytes) -> Answer:
        """A value that is longer than the connection."""
        value = kind = b""
        while len(value) < _LONGEST:
            got = self._ask(read_fragment(path, len(value)))
            if got.status not in {DONE, PARTIAL}:
                return got
            head = 2 if handle_of(got) is None else 4
            kind, piece = got.data[:head], got.data[head:]
            value += piece
            if got.status == DONE or not piece:
                return Answer(got.status, got.extended, kind + value)
        return Answer(TOO_LARGE)

    def _ask(self, service: bytes) -> Answer:
        """One message over the connection; Unreachable when its answer does not come."""
        request = SendUnitDataRequestPacket(self._driver.next_sequence())
        request.add(service)
        try:
            response = self._driver.send(request)
        except PycommError as error:
            raise self._unreachable(_reason(error)) from error
        if response.command_status != DONE or response.raw[44:46] != request.message[:2]:
            raise self._unreachable(f"it answered out of turn, status {response.command_status}")
        return self._understood(lambda: answer(response.raw[46:]))

    def _understood(self, parse: Callable[[], Result]) -> Result:
        try:
            return parse()
        except ValueError as error:
            raise self._unreachable(str(error)) from error

    def _no_connection(self) -> Refused | Unreachable:
        said = self._driver.said
        got = self._understood(lambda: answer(said.raw[40:])) if said is not None else Answer(0)
        if got.status == _CONNECTION_FAILURE and got.extended not in _NO_SUCH_WAY:
            return self._unreachable(f"no connection is free, CIP status 01-{got.extended:04X}")
        return Refused(
            f"source `{self._name}`: {self._spec.host} leads to no controller at "
            f"`{self._spec.route}` (CIP status {got.status:02X}-{got.extended:04X}). In which "
            "slot is it? See `slot` and `path`."
        )

    def _unreachable(self, why: str) -> Unreachable:
        spec = self._spec
        return Unreachable(
            f"source `{self._name}`: no answer from {spec.host}:{spec.port} within "
            f"{spec.timeout:g} s ({why}). Is it on and on this network? "
            f"`isthmus probe {self._name}` tries now."
        )


class _Driver(LogixDriver):  # type: ignore[misc] # the driver's types are not complete
    """pycomm3's driver, without what it asks unasked when it opens, and over our own socket."""

    _auto_slot_cip_path = False

    def __init__(self, path: str, wire: "_Wire", allowance: Allowance) -> None:
        super().__init__(path, init_tags=False)
        self._wire = wire
        self._allowance = allowance
        self._sock = wire
        self.said: ResponsePacket | None = None
        """The last answer that came outside a connection."""

    def _initialize_driver(self, *_: Any, **__: Any) -> None:
        """Tags are read by their names: nothing has to be known beforehand."""

    def connect_to_controller(self) -> bool:
        """Large connection first; a controller before version 20 only has the small one."""
        if self._forward_open():
            return True
        if not self._cfg["extended forward open"]:
            return False
        self._cfg["extended forward open"] = False
        self._cfg["connection_size"] = 500
        return bool(self._forward_open())

    def learn_revision(self) -> None:
        """How a tag list looks depends on the firmware."""
        if not self.revision_major:
            self._info: dict[str, Any] = self.get_plc_info()

    def next_sequence(self) -> int:
        number: int = next(self._sequence)
        return number

    def send(self, request: RequestPacket) -> ResponsePacket:
        while (seconds := self._allowance.take()) > 0 and self._wire.rest(seconds):
            pass
        response = super().send(request)
        if not isinstance(request, SendUnitDataRequestPacket) and response.raw is not None:
            self.said = response
        return response


class _Wire:
    """The driver's socket: an answer has one deadline as a whole, and anybody may hang up."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._closed = threading.Event()

    def connect(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), self._timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._closed.is_set():
            self._hang_up(self._socket)
            raise ConnectionAbortedError("closed while connecting")

    def rest(self, seconds: float) -> bool:
        """Leave the controller alone; False, and earlier, when somebody hangs up."""
        return not self._closed.wait(seconds)

    def send(self, message: bytes) -> None:
        link = self._open_link()
        link.settimeout(self._timeout)
        link.sendall(message)

    def receive(self) -> bytes:
        deadline = time.monotonic() + self._timeout
        header = self._receive(_HEADER, deadline)
        return header + self._receive(int.from_bytes(header[2:4], "little"), deadline)

    def close(self) -> None:
        self._closed.set()
        link, self._socket = self._socket, None
        if link is not None:
            self._hang_up(link)

    def _receive(self, size: int, deadline: float) -> bytes:
        link = self._open_link()
        data = b""
        while len(data) < size:
            link.settimeout(max(deadline - time.monotonic(), 0.001))
            piece = link.recv(size - len(data))
            if not piece:
                raise ConnectionResetError("the controller closed the connection")
            data += piece
        return data

    def _open_link(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionAbortedError("closed")
        return self._socket

    @staticmethod
    def _hang_up(link: socket.socket) -> None:
        """Wakes a thread that waits in `recv`, which closing alone would not."""
        try:
            link.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it was not connected any more
        finally:
            link.close()


def _link_broke(error: BaseException | None) -> bool:
    """The driver hides a lost link behind errors of what it was doing."""
    return error is not None and (isinstance(error, CommError) or _link_broke(error.__cause__))


def _reason(error: BaseException) -> str:
    """What the innermost error says: the driver wraps them."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
