"""paho's client on a wire of ours, which takes publications out before paho reads.

paho reads a packet with three system calls, one packet per turn of the event loop, and makes a
dozen objects of each. At thousands of messages a second that is most of what reading costs. All
else (sessions, acknowledgements, keep-alive, TLS) is paho's. Imported in `client()` only.
"""

import ssl
import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTProtocolVersion

from isthmus.field.mqtt.publications import Publications, Published

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

PUBACK: Final = 0x40
_PUBACK: Final = struct.Struct(">BBH")
"""With nothing to explain it is the same in MQTT 3.1.1 and 5."""
_AT_ONCE: Final = 65_536
"""Bytes per system call; what is more waits for the next turn of the event loop."""


class Wire:
    """What paho takes for its socket. `fill()` reads; paho then finds what is not a publication."""

    def __init__(self, sock: Any, publications: Publications) -> None:
        self._sock = sock
        self._publications = publications
        self._others = bytearray()
        self._ended: OSError | bool = False
        """True: the broker has closed the connection; an error that paho has not seen yet."""

    def fill(self) -> list[Published]:
        """Read what is there; the publications among it."""
        found = self._read()
        # TLS may hold decoded bytes the selector knows nothing of.
        while isinstance(self._sock, ssl.SSLSocket) and not self._ended and self._sock.pending():
            found += self._read()
        return found

    @property
    def unread(self) -> bool:
        """There is something for paho."""
        return bool(self._others or self._ended)

    def recv(self, size: int) -> bytes:
        if self._others:
            data = bytes(self._others[:size])
            del self._others[:size]
            return data
        match self._ended:
            case True:
                return b""
            case False:
                raise BlockingIOError
            case error:
                self._ended = False
                raise error

    def send(self, data: bytes | bytearray) -> int:
        sent: int = self._sock.send(data)
        return sent

    def close(self) -> None:
        self._sock.close()

    def fileno(self) -> int:
        number: int = self._sock.fileno()
        return number

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - as sockets have it
        self._sock.setblocking(flag)

    def _read(self) -> list[Published]:
        try:
            data = self._sock.recv(_AT_ONCE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return []
        except OSError as error:
            self._ended = error
            return []
        if not data:
            self._ended = True
            return []
        found, others = self._publications.feed(data)
        self._others += others
        return found


class Driver(Client):
    """`read()` in place of `loop_read()`, `acknowledge()` in place of `ack()`.

    It overrides and calls what is private to paho, which is pinned in our lock file.
    """

    on_published: Callable[[Published], None]

    def read(self) -> None:
        wire: Any = self.socket()
        if wire is None:
            return
        for published in wire.fill():
            self.on_published(published)
        while wire.unread and self.socket() is wire:
            self.loop_read()

    def acknowledge(self, identifiers: Iterable[int]) -> None:
        """Say PUBACK for each, all in one write."""
        packets = b"".join(_PUBACK.pack(PUBACK, 2, identifier) for identifier in identifiers)
        if packets:
            self._packet_queue(PUBACK, packets, 0, 0)

    def _create_socket(self) -> "SocketLike":
        with_properties = self._protocol == MQTTProtocolVersion.MQTTv5
        return Wire(super()._create_socket(), Publications(with_properties=with_properties))
