"""The connection to a broker: paho's client driven by the event loop, acknowledging by hand."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Sequence
from typing import Any, Final

from isthmus.base.clock import Clock
from isthmus.field.connector import Refused, Unreachable
from isthmus.field.mqtt.client import (
    MOST_UNACKNOWLEDGED,
    Publication,
    Settings,
    Version,
    client,
    dial,
)
from isthmus.field.mqtt.inbox import Inbox
from isthmus.field.mqtt.publications import Published
from isthmus.field.mqtt.turns import Turns

_FILTERS_PER_REQUEST: Final = 100
_CLOSE_WAITS: Final = 2.0
"""Seconds for a connection that is just being made."""
_TRY_AGAIN: Final = frozenset({
    "Server unavailable", "Server busy", "Use another server", "Server moved", "Quota exceeded",
    "Connection rate exceeded", "Unspecified error",
})  # fmt: skip
"""Reasons of a broker that pass by themselves; all others need a person."""

_FEW: Final = 8
"""Unacknowledged messages: brokers we know of that have a limit let 10 to 32 wait."""
_WINDOWS: Final[dict[Version, int]] = {"3.1.1": _FEW, "5": MOST_UNACKNOWLEDGED // 2}
"""Unacknowledged messages at which a broker may be near the limit of the protocol: with 5 we say
it, with 3.1.1 it is the broker's own."""
_SILENCE: Final = 0.03
"""Seconds after which more than a few unacknowledged messages may be all the broker lets wait:
a limit of its own, below ours, is told in no version."""
_UNKNOWN_VERSION: Final = "Unsupported protocol version"


class _VersionRefused(Refused):
    """The broker does not speak this version of MQTT."""


class _ClosedEarly(Unreachable):
    """The connection ended before a greeting: so some brokers answer to an unknown version."""


class Link:
    """One connection. `inbox` fills by itself while the event loop runs."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.inbox = Inbox(clock)
        self.arrived = asyncio.Event()
        """Set when a message came or the link is lost."""
        self.stalled = asyncio.Event()
        """Set when the broker may be waiting for our acknowledgement before it sends more."""
        self._settings = settings
        self._unacknowledged = 0
        self._loop = asyncio.get_running_loop()
        self._connecting: asyncio.Future[Any] | None = None
        self._turns: Turns | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._speak("3.1.1" if settings.protocol == "3.1.1" else "5")

    def _speak(self, version: Version) -> None:
        """Get ready to connect with this version of MQTT."""
        self._version: Version = version
        self._window = _WINDOWS[version]
        self._lost = ""
        self._greeting: asyncio.Future[str] = self._loop.create_future()
        self._granted: dict[int, asyncio.Future[list[bool]]] = {}
        self._published: dict[int, asyncio.Future[str]] = {}
        self._client = client(self._settings, version)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.on_published = self._on_published

    async def connect(self) -> None:
        """Connect and log in; Unreachable, or Refused by the broker or its certificate."""
        try:
            await self._connect()
        except (_VersionRefused, _ClosedEarly):
            if self._settings.protocol != "auto":
                raise
            await self.close()
            self._speak("3.1.1")
            await self._connect()

    async def _connect(self) -> None:
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            # Name lookup, TCP and TLS block in paho; they end by its own timeout.
            self._connecting = self._loop.run_in_executor(
                None, dial, self._client, self._settings, self._version
            )
            await asyncio.shield(self._connecting)
            self._watch()
            refusal = await asyncio.wait_for(self._greeting, self._settings.timeout)
        except ssl.SSLCertVerificationError as error:
            raise Refused(f"{where}: certificate not trusted ({error.verify_message})") from error
        except _ClosedEarly as error:
            tls = self._settings.tls
            if tls is None or not tls.refusal:
                raise
            what = f"the broker refuses our certificate ({tls.refusal})"
            raise Refused(f"{where}: {what}") from error
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"{where}: {_text_of(error)}") from error
        if refusal:
            raise _refused(refusal)(f"{where}: the broker says `{refusal}`")

    async def publish(self, publication: Publication) -> None:
        """Say something; with QoS 1 returns when the broker has it, Refused if it does not take it.

        Nothing a connector may do lightly: see the permissions of its spec.
        """
        topic, payload, qos, retain = publication
        sent = self._client.publish(topic, payload, qos, retain)
        if sent.rc != 0:
            raise Unreachable(self._lost or f"publishing failed with code {sent.rc}")
        if not qos:
            return
        answer = self._published[sent.mid] = self._loop.create_future()
        try:
            refusal = await asyncio.wait_for(answer, self._settings.timeout)
        except TimeoutError as error:
            raise Unreachable(f"no answer to what we published on `{topic}`") from error
        finally:
            self._published.pop(sent.mid, None)
        if refusal:
            raise Refused(f"the broker does not let us publish on `{topic}`: `{refusal}`")

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

    def acknowledge(self, identifiers: Sequence[int]) -> None:
        """Tell the broker that it may forget these. On a lost link it delivers them again."""
        self._client.acknowledge(identifiers)
        self._unacknowledged -= len(identifiers)
        if self._unacknowledged < self._window:
            self.stalled.clear()
        self._listen_for_silence()

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
        if self._silence is not None:
            self._silence.cancel()
        self._greeting.cancel()
        for granted in self._granted.values():
            granted.cancel()
        for published in self._published.values():
            published.cancel()

    # In the event loop -------------------------------------------------------------------------

    def _watch(self) -> None:
        sock: Any = self._client.socket()
        if sock is None:
            raise _ClosedEarly("the broker closed the connection")
        self._client.on_socket_close = lambda _client, _data, gone: self._forget(gone)
        self._client.on_socket_register_write = lambda _client, _data, open_: self._loop.add_writer(
            open_, self._client.loop_write
        )
        self._client.on_socket_unregister_write = lambda _client, _data, open_: self._remove_writer(
            open_
        )
        self._turns = Turns(self._loop, sock, self._client.read, self._may_rest)
        if self._client.want_write():
            self._loop.add_writer(sock, self._client.loop_write)

    def _forget(self, sock: Any) -> None:
        if self._turns is not None:
            self._turns.close()
        self._loop.remove_writer(sock)

    def _remove_writer(self, sock: Any) -> None:
        self._loop.remove_writer(sock)

    # What paho calls ---------------------------------------------------------------------------

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if not self._greeting.done():
            self._greeting.set_result(str(reason) if reason.is_failure else "")

    def _on_disconnect(self, client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if client is not self._client:
            return  # of the attempt with another version
        self._lost = f"the connection to the broker ended: {reason}"
        if not self._greeting.done():
            self._greeting.set_exception(_ClosedEarly(self._lost))
        self._fail(self._granted.values())
        self._fail(self._published.values())
        self.arrived.set()
        self.stalled.set()

    def _fail(self, answers: Iterable[asyncio.Future[Any]]) -> None:
        for answer in answers:
            if not answer.done():
                answer.set_exception(Unreachable(self._lost))

    def _on_subscribe(
        self, _client: Any, _data: Any, request: int, reasons: Any, _more: Any
    ) -> None:
        answer = self._granted.get(request)
        if answer is not None and not answer.done():
            answer.set_result([not reason.is_failure for reason in reasons])

    def _on_publish(self, _client: Any, _data: Any, request: int, reason: Any, _more: Any) -> None:
        answer = self._published.get(request)
        if answer is not None and not answer.done():
            answer.set_result(str(reason) if reason.is_failure else "")

    def _on_published(self, published: list[Published]) -> None:
        self._unacknowledged += self.inbox.add(published)
        self.arrived.set()
        if self._unacknowledged >= self._window:
            self.stalled.set()
        self._listen_for_silence()

    def _listen_for_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if _FEW <= self._unacknowledged < self._window:
            self._silence = self._loop.call_later(_SILENCE, self.stalled.set)

    def _may_rest(self) -> bool:
        """Whether the broker has leave to send more; with 3.1.1 we do not know of how much."""
        if self._version == "5":
            return self._unacknowledged < MOST_UNACKNOWLEDGED
        return not self._unacknowledged


def _refused(reason: str) -> type[Exception]:
    if reason == _UNKNOWN_VERSION:
        return _VersionRefused
    return Unreachable if reason in _TRY_AGAIN else Refused


def _text_of(error: Exception) -> str:
    return str(error) or type(error).__name__


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event, at most so long."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return  # nothing came: that is normal
