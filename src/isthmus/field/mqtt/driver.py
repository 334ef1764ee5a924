"""paho's client on a wire of ours, which takes publications out before paho reads.

paho reads a packet with three system calls, one packet per turn of the event loop, and makes a
dozen objects of each. At thousands of messages a second that is most of what reading costs. All
else (sessions, acknowledgements, keep-alive, TLS) is paho's. Imported in `client()` only.
"""

import ssl
import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from paho.mqtt.client import Client

from isthmus.field.mqtt.publications import Publications, Published
from isthmus.field.mqtt.turns import AT_ONCE

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

PUBACK: Final = 0x40
_PUBACK_OF_TWO: Final = PUBACK << 8 | 2
"""How each begins; with nothing to explain it is the same in MQTT 3.1.1 and 5."""


class Wire:
    """What paho takes for its socket. `fill()` reads; paho then finds what is not a publication."""

    def __init__(self, sock: Any, publications: Publications) -> None:
        self._sock = sock
        self._publications = publications
        self._others = bytearray()
        self._ended: OSError | bool = False
        """True: the broker has closed the connection; an error that paho has not seen yet."""

    def fill(self) -> tuple[list[Published], int]:
        """Read what is there: the publications among it, and how many bytes came."""
        found, size = self._read()
        # TLS may hold decoded bytes the selector knows nothing of.
        while isinstance(self._sock, ssl.SSLSocket) and not self._ended and self._sock.pending():
            more, bytes_more = self._read()
            found += more
            size += bytes_more
        return found, size

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

    def _read(self) -> tuple[list[Published], int]:
        try:
            data = self._sock.recv(AT_ONCE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return [], 0
        except OSError as error:
            self._ended = error
            return [], 0
        if not data:
            self._ended = True
            return [], 0
        found, others = self._publications.feed(data)
        self._others += others
        return found, len(data)


class Driver(Client):
    """`read()` in place of `loop_read()`, `acknowledge()` in place of `ack()`.

    It overrides and calls what is private to paho, which is pinned in our lock file.
    """

    on_published: Callable[[list[Published]], None]
    with_properties: bool
    """Whether this is MQTT 5."""

    def read(self) -> int:
        """What is there; says how many bytes that was."""
        wire: Any = self.socket()
        if wire is None:
            return 0
        found, size = wire.fill()
        if found:
            self.on_published(found)
        while wire.unread and self.socket() is wire:
            self.loop_read()
        return int(size)

    def acknowledge(self, identifiers: Sequence[int]) -> None:
        """Say PUBACK for each, all in one write."""
        if not identifiers:
            return
        words = [_PUBACK_OF_TWO] * (2 * len(identifiers))
        words[1::2] = identifiers
        self._packet_queue(PUBACK, struct.pack(f">{len(words)}H", *words), 0, 0)

    def _create_socket(self) -> "SocketLike":
        publications = Publications(with_properties=self.with_properties)
        return Wire(super()._create_socket(), publications)
