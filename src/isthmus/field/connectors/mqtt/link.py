"""The connection to a broker: paho's client driven by the event loop, acknowledging by hand."""

import asyncio
import contextlib
import math
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from isthmus.base.clock import SECOND, Clock, Micros
from isthmus.field.connector import Refused, Unreachable

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

Version = Literal["5", "3.1.1"]

MOST_WAITING: Final = 100_000
"""Messages kept in memory. With QoS 1 the broker stops long before; QoS 0 knows no such brake."""
_FILTERS_PER_REQUEST: Final = 100
_CLOSE_WAITS: Final = 2.0
"""Seconds for a connection that is just being made."""
_TRY_AGAIN: Final = frozenset({
    "Server unavailable", "Server busy", "Use another server", "Server moved", "Quota exceeded",
    "Connection rate exceeded", "Unspecified error",
})  # fmt: skip
"""Reasons of a broker that pass by themselves; all others need a person."""


_MOST_UNACKNOWLEDGED: Final = 1_000
"""Sent to us before we acknowledge (MQTT 5): so fast may a source be between two writes to disk."""
_UNKNOWN_VERSION: Final = "Unsupported protocol version"


class VersionRefused(Refused):
    """The broker does not speak this version of MQTT."""


class ClosedEarly(Unreachable):
    """The connection ended before a greeting: so some brokers answer to an unknown version."""


@dataclass(frozen=True)
class Settings:
    """How to reach a broker and who we are."""

    host: str
    port: int
    client_id: str
    version: Version
    persistent: bool
    session_expiry: float
    keepalive: float
    timeout: float
    user: str | None
    password: str | None
    tls: ssl.SSLContext | None


class Message(NamedTuple):
    """One publication as it came."""

    topic: str
    payload: bytes
    retained: bool
    received: Micros
    id: int
    qos: int


class Link:
    """One connection. `inbox` fills by itself while the event loop runs."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.inbox: deque[Message] = deque()
        self.arrived = asyncio.Event()
        """Set when a message came or the link is lost."""
        self.overflowed = 0
        """QoS 0 messages that found no room in memory since the connection was opened."""
        self._settings = settings
        self._clock = clock
        self._last = 0
        self._lost = ""
        self._loop = asyncio.get_running_loop()
        self._greeting: asyncio.Future[str] = self._loop.create_future()
        self._granted: dict[int, asyncio.Future[list[bool]]] = {}
        self._connecting: asyncio.Future[Any] | None = None
        self._client = _client(settings)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    async def connect(self) -> None:
        """Connect and log in; Unreachable, or Refused by the broker or its certificate."""
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            # Name lookup, TCP and TLS block in paho; they end by its own timeout.
            self._connecting = self._loop.run_in_executor(None, self._dial)
            await asyncio.shield(self._connecting)
            self._watch()
            refusal = await asyncio.wait_for(self._greeting, self._settings.timeout)
        except ssl.SSLCertVerificationError as error:
            raise Refused(f"{where}: certificate not trusted ({error.verify_message})") from error
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"{where}: {_text_of(error)}") from error
        if refusal:
            raise _refused(refusal)(f"{where}: the broker says `{refusal}`")

    async def subscribe(self, filters: Sequence[str], qos: int) -> list[bool]:
        """Subscribe; for each filter whether the broker granted it."""
        granted: list[bool] = []
        for start in range(0, len(filters), _FILTERS_PER_REQUEST):
            wanted = [(name, qos) for name in filters[start : start + _FILTERS_PER_REQUEST]]
            code, request = self._client.subscribe(wanted)
            if code != 0 or request is None:
                raise Unreachable(self._lost or f"subscribing failed with code {code}")
            answer = self._granted[request] = self._loop.create_future()
            try:
                granted += await asyncio.wait_for(answer, self._settings.timeout)
            except TimeoutError as error:
                raise Unreachable("no answer to our subscription") from error
        return granted

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that it may forget these. On a lost link it delivers them again."""
        for message in messages:
            if message.qos:
                self._client.ack(message.id, message.qos)

    def tick(self) -> None:
        """Keep the link alive; Unreachable once it is lost. Call it every second or so."""
        self._client.loop_misc()
        if self._lost and not self.inbox:
            raise Unreachable(self._lost)

    async def close(self) -> None:
        """Say goodbye and leave no socket, also when connecting is still under way."""
        connecting = self._connecting
        if connecting is not None and not connecting.done():
            await asyncio.wait({connecting}, timeout=_CLOSE_WAITS)
        if connecting is not None and not connecting.done():
            # A name lookup cannot be interrupted; what comes of it is closed when it ends.
            connecting.add_done_callback(lambda _: self._leave())
        else:
            self._leave()

    def _leave(self) -> None:
        if self._connecting is not None:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                self._connecting.result()
        # Without this the goodbye would wait for the event loop, which forgets us below.
        self._client.on_socket_register_write = None
        self._client.disconnect()
        sock: Any = self._client.socket()
        if sock is not None:
            self._forget(sock)
            sock.close()
        self._greeting.cancel()
        for answer in self._granted.values():
            answer.cancel()

    # In the event loop -------------------------------------------------------------------------

    def _dial(self) -> None:
        settings = self._settings
        clean_start: dict[str, Any] = {}
        if settings.version == "5":
            clean_start = {
                "clean_start": not settings.persistent,
                "properties": _session(settings),
            }
        self._client.connect(
            settings.host, settings.port, max(1, math.ceil(settings.keepalive)), **clean_start
        )

    def _watch(self) -> None:
        sock: Any = self._client.socket()
        if sock is None:
            raise ClosedEarly("the broker closed the connection")
        self._client.on_socket_close = lambda _client, _data, gone: self._forget(gone)
        self._client.on_socket_register_write = lambda _client, _data, open_: self._loop.add_writer(
            open_, self._client.loop_write
        )
        self._client.on_socket_unregister_write = lambda _client, _data, open_: self._remove_writer(
            open_
        )
        self._loop.add_reader(sock, self._read)
        if self._client.want_write():
            self._loop.add_writer(sock, self._client.loop_write)

    def _read(self) -> None:
        self._client.loop_read()
        sock: Any = self._client.socket()
        # TLS may hold decoded bytes the selector knows nothing of.
        while sock is not None and isinstance(sock, ssl.SSLSocket) and sock.pending():
            self._client.loop_read()
            sock = self._client.socket()

    def _forget(self, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    def _remove_writer(self, sock: Any) -> None:
        self._loop.remove_writer(sock)

    # What paho calls ---------------------------------------------------------------------------

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if not self._greeting.done():
            self._greeting.set_result(str(reason) if reason.is_failure else "")

    def _on_disconnect(
        self, _client: Any, _data: Any, _flags: Any, reason: Any, _more: Any
    ) -> None:
        self._lost = f"the connection to the broker ended: {reason}"
        if not self._greeting.done():
            self._greeting.set_exception(ClosedEarly(self._lost))
        for answer in self._granted.values():
            if not answer.done():
                answer.set_exception(Unreachable(self._lost))
        self.arrived.set()

    def _on_subscribe(
        self, _client: Any, _data: Any, request: int, reasons: Any, _more: Any
    ) -> None:
        answer = self._granted.get(request)
        if answer is not None and not answer.done():
            answer.set_result([not reason.is_failure for reason in reasons])

    def _on_message(self, _client: Any, _data: Any, message: "MQTTMessage") -> None:
        if len(self.inbox) >= MOST_WAITING:
            # QoS 1 is not acknowledged: the broker keeps it for the next connection.
            self.overflowed += message.qos == 0
            return
        self.inbox.append(
            Message(
                _topic(message),
                bytes(message.payload),
                bool(message.retain),
                self._now(),
                message.mid,
                message.qos,
            )
        )
        self.arrived.set()

    def _now(self) -> Micros:
        """Time of receipt, never twice the same: (tag, device time) tells samples apart."""
        now = self._clock.now()
        if self._last - SECOND < now <= self._last:
            now = self._last + 1
        self._last = now
        return now


def _client(settings: Settings) -> "Client":
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    version_5 = settings.version == "5"
    client = Client(
        callback_api_version=CallbackAPIVersion.VERSION2,
        client_id=settings.client_id,
        clean_session=None if version_5 else not settings.persistent,
        protocol=MQTTProtocolVersion.MQTTv5 if version_5 else MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,  # the runtime reconnects, with a new connector
        manual_ack=True,
    )
    client.connect_timeout = settings.timeout
    if settings.user is not None:
        client.username_pw_set(settings.user, settings.password)
    if settings.tls is not None:
        client.tls_set_context(settings.tls)
    return client


def _refused(reason: str) -> type[Exception]:
    if reason == _UNKNOWN_VERSION:
        return VersionRefused
    return Unreachable if reason in _TRY_AGAIN else Refused


def _session(settings: Settings) -> Any:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = _MOST_UNACKNOWLEDGED
    if settings.persistent:
        properties.SessionExpiryInterval = int(settings.session_expiry)
    return properties


def _topic(message: "MQTTMessage") -> str:
    try:
        return message.topic
    except UnicodeDecodeError:
        return ""  # against the standard; it matches no tag


def _text_of(error: Exception) -> str:
    return str(error) or type(error).__name__
