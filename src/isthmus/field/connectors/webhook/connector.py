"""The webhook connector: posts in, samples out; a sender hears 200 when they are on disk."""

import asyncio
import errno
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

import pyarrow as pa

from isthmus.base.clock import Clock
from isthmus.field.connector import Connector, Refused, Unreachable
from isthmus.field.connectors.webhook.belief import key_of
from isthmus.field.connectors.webhook.deliveries import Delivery
from isthmus.field.connectors.webhook.reception import Arrived, Reception
from isthmus.field.connectors.webhook.spec import (
    Hmac,
    Tls,
    WebhookSource,
    WebhookTag,
    parse_address,
)
from isthmus.field.first_values import FirstValues
from isthmus.field.json_path import json_path
from isthmus.field.samples import Samples
from isthmus.field.values import BAD_WAITING_FOR_INITIAL_DATA, add_value
from isthmus.model.spec.site import SourceSpec

if TYPE_CHECKING:
    from isthmus.field.connectors.webhook.receiver import Receiver

BAD_NO_COMMUNICATION: Final = 0x8031_0000
_READ_WAITS: Final = 1.0
"""Seconds, by the contract of `read()`."""
_MOST_SAMPLES: Final = 10_000
"""Of one `read()`."""
_WARN_EVERY: Final = 60.0
"""Seconds between two warnings of refused posts."""

_log = logging.getLogger(__name__)


class WebhookConnector(Connector[WebhookSource]):
    """Listens on one port."""

    Spec: ClassVar[type[SourceSpec]] = WebhookSource
    told_at_once: ClassVar[bool] = False

    def __init__(self, name: str, spec: WebhookSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._receiver: Receiver | None = None
        self._reception: Reception | None = None
        self._position: bytes | None = None
        self._buffer = Samples()
        self._unacknowledged: list[Delivery] = []
        self._first = FirstValues((), 0.0, 0.0)
        self._silent_since = 0.0
        """What was heard last when silence was said."""
        self._warn_at = 0.0
        self._warned_of = 0

    @property
    def refused(self) -> Mapping[str, int]:
        """Posts that were not taken since we began to listen, by why."""
        return self._opened().refused

    def resume(self, position: bytes) -> None:
        self._position = position

    async def open(self) -> None:
        from isthmus.field.connectors.webhook.receiver import Receiver

        self._check_secret()
        tls = await asyncio.to_thread(_tls, self.spec.tls)
        reception = Reception(self.spec, _by_path(self.spec, self.tags), self.clock)
        if self._position is not None:
            reception.deliveries.resume(self._position)
        self._reception = reception
        self._receiver = Receiver(self.spec, reception.answer)
        try:
            await self._receiver.start(tls)
        except OSError as error:
            raise self._cannot_listen(error) from error
        self._first = FirstValues(self.tags, self.spec.first_value, _now())

    async def read(self) -> pa.Table | None:
        reception = self._opened()
        if not reception:
            await _wait(reception.arrived, self._first.wait(_now(), _READ_WAITS))
        reception.arrived.clear()
        while reception and len(self._buffer) < _MOST_SAMPLES:
            self._take(reception.take())
        self._say_bad(self._first.due(_now()), BAD_WAITING_FOR_INITIAL_DATA)
        self._mind_silence(reception)
        self._warn(reception)
        return self._buffer.take()

    def position(self) -> bytes | None:
        if self.spec.id is None:
            return None
        return self._opened().deliveries.pack(self._unacknowledged)

    async def acknowledge(self) -> None:
        self._settle(stored=True)

    async def close(self) -> None:
        self._settle(stored=False)
        reception = self._reception
        while reception:
            reception.deliveries.end(reception.take().delivery, stored=False)
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            await receiver.stop()

    def _opened(self) -> Reception:
        if self._reception is None:
            raise RuntimeError("read before open")
        return self._reception

    def _settle(self, *, stored: bool) -> None:
        settled, self._unacknowledged = self._unacknowledged, []
        for delivery in settled:
            self._opened().deliveries.end(delivery, stored=stored)

    def _take(self, arrived: Arrived) -> None:
        for tag, value, at, quality in arrived.readings:
            add_value(self._buffer, tag, value, at, arrived.received, quality)
        self._first.came((reading.tag for reading in arrived.readings), _now())
        self._unacknowledged.append(arrived.delivery)

    def _mind_silence(self, reception: Reception) -> None:
        """A sender that says nothing cannot be told from one that is off."""
        limit = self.spec.silence
        if limit is None or self._silent_since == reception.heard:
            return
        if _now() - reception.heard >= limit:
            self._silent_since = reception.heard
            self._say_bad(self.tags, BAD_NO_COMMUNICATION)

    def _say_bad(self, tags: Sequence[str], quality: int) -> None:
        now = self.clock.now()
        for tag in tags:
            add_value(self._buffer, tag, None, now, now, quality)

    def _warn(self, reception: Reception) -> None:
        """How many were refused, and why; never what was in them."""
        total = reception.refused.total()
        if total == self._warned_of or _now() < self._warn_at:
            return
        self._warned_of, self._warn_at = total, _now() + _WARN_EVERY
        counts = ", ".join(f"{count} ({why})" for why, count in sorted(reception.refused.items()))
        _log.warning("source `%s`: posts refused since it was opened: %s", self.name, counts)

    def _check_secret(self) -> None:
        if not isinstance(self.spec.auth, Hmac):
            return
        try:
            key = key_of(self.spec.auth)
        except ValueError:
            form = self.spec.auth.secret_form
            raise Refused(f"source `{self.name}`: its `secret` is no {form}") from None
        if not key:
            raise Refused(f"source `{self.name}`: its `secret` is empty")

    def _cannot_listen(self, error: OSError) -> Exception:
        where = f"{self.spec.host}:{self.spec.port}"
        if error.errno == errno.EADDRINUSE:
            return Unreachable(
                f"source `{self.name}`: another program, or Isthmus itself, listens on {where}"
            )
        return Refused(f"source `{self.name}`: cannot listen on {where}: {error.strerror}")


def _by_path(spec: WebhookSource, tags: Sequence[str]) -> dict[str, list[tuple[str, WebhookTag]]]:
    """Which tags are in the posts to which path, with the source's own time settings."""
    found: dict[str, list[tuple[str, WebhookTag]]] = {}
    default = json_path(spec.time) if spec.time is not None else None
    for tag in tags:
        address = parse_address(tag)
        address = replace(
            address,
            time=address.time or default,
            time_format=address.time_format or spec.time_format,
        )
        path = f"{spec.path.rstrip('/')}/{address.path}" if address.path else spec.path
        found.setdefault(path, []).append((tag, address))
    return found


def _tls(tls: Tls | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    password = tls.key_password.get_secret_value() if tls.key_password else None
    try:
        context.load_cert_chain(tls.cert, tls.key, password)
    except (OSError, ssl.SSLError) as error:
        raise Refused(f"`tls`: cannot read the certificate ({error})") from error
    return context


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return  # nothing came: that is normal


def _now() -> float:
    return asyncio.get_running_loop().time()
