"""One session at an MQTT broker: messages in, samples out, acknowledged when they are on disk."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar, Final

import pyarrow as pa

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import Connector, Missed, Refused
from isthmus.field.connectors.mqtt.address import (
    Address,
    has_wildcard,
    is_covered,
    parse_address,
    topic_matches,
)
from isthmus.field.connectors.mqtt.payload import Subscribed
from isthmus.field.connectors.mqtt.reader import Manner, Reader, reader
from isthmus.field.connectors.mqtt.spec import MqttSource
from isthmus.field.first_values import FirstValues
from isthmus.field.json_path import json_path
from isthmus.field.mqtt.broker import settings
from isthmus.field.mqtt.inbox import Batch
from isthmus.field.mqtt.link import Link, wait
from isthmus.field.mqtt.publications import RETAINED, topic_name
from isthmus.field.samples import Samples
from isthmus.field.values import (
    BAD_USER_ACCESS_DENIED,
    BAD_WAITING_FOR_INITIAL_DATA,
    add_value,
)
from isthmus.model.spec.site import SourceSpec

_READ_WAITS: Final = 1.0
"""Seconds, by the contract of `read()`."""
_MOST_MESSAGES: Final = 5_000
"""Taken by one `read()`; more only if they came together."""
_MOST_TOPICS: Final = 50_000
"""Remembered at most, beside those the tags name: a wildcard may meet any number of them."""


class MqttConnector(Connector[MqttSource]):
    """One session at one broker."""

    Spec: ClassVar[type[SourceSpec]] = MqttSource

    def __init__(self, name: str, spec: MqttSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._by_filter = _by_filter(spec, tags)
        self._wildcards = [name for name in self._by_filter if has_wildcard(name)]
        self._manner = Manner(spec.max_payload_kb * 1024, spec.partial)
        self._readers: dict[bytes, Reader] = {}
        """Of each topic that came."""
        self._of_wildcards: dict[tuple[str, ...], Reader] = {}
        """Of topics that only wildcards mean: they share it."""
        self._retained: set[bytes] = set()
        self._buffer = Samples()
        self._unacknowledged: list[int] = []
        self._link: Link | None = None
        self._waiting = FirstValues((), 0.0, 0.0)
        self._overflowed = 0
        self._last_read: Micros = 0

    async def open(self) -> None:
        expiry = self.spec.session_expiry if self.spec.session == "persistent" else 0.0
        how = await settings(self.spec, self.name, session_expiry=expiry)
        link = self._link = Link(how, self.clock)
        await link.connect()
        wanted = _widest(self._by_filter)
        granted = await link.subscribe(wanted, self.spec.qos)
        denied = [name for name, given in zip(wanted, granted, strict=True) if not given]
        if denied and len(denied) == len(wanted):
            raise Refused(
                f"the broker grants none of our topics, such as `{denied[0]}`: "
                f"may `{self.spec.user or 'anonymous'}` read them?"
            )
        deaf = self._add_denied(denied)
        now = asyncio.get_running_loop().time()
        heard = [tag for tag in self.tags if tag not in deaf]
        self._waiting = FirstValues(heard, self.spec.first_value, now)
        self._last_read = self.clock.now()

    async def read(self) -> pa.Table | None:
        link = self._opened()
        loop = asyncio.get_running_loop()
        if not link.inbox and not self._buffer:
            await wait(link.arrived, self._waiting.wait(loop.time(), _READ_WAITS))
        link.tick()
        link.arrived.clear()
        before, identifiers = len(self._buffer), []
        for batch in link.inbox.take(_MOST_MESSAGES):
            self._take(batch)
            identifiers += batch.identifiers
            if self._waiting:
                self._waiting.came(self._buffer.tag[before:], loop.time())
                before = len(self._buffer)
        self._add_bad(self._waiting.due(loop.time()), BAD_WAITING_FOR_INITIAL_DATA)
        table = self._buffer.take()
        if table is None and not self._unacknowledged:
            link.acknowledge(identifiers)  # nothing in them is for us
        else:
            self._unacknowledged += identifiers
        return table

    async def gather(self, seconds: float) -> None:
        await wait(self._opened().stalled, seconds)

    async def acknowledge(self) -> None:
        self._opened().acknowledge(self._unacknowledged)
        self._unacknowledged = []

    def missed(self) -> list[Missed]:
        since, self._last_read = self._last_read, self.clock.now()
        lost = self._link.inbox.overflowed - self._overflowed if self._link else 0
        if not lost:
            return []
        self._overflowed += lost
        detail = f"{lost} messages with QoS 0 came faster than they could be stored"
        return [Missed(since, self._last_read, detail)]

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def _opened(self) -> Link:
        if self._link is None:
            raise RuntimeError("read before open, or after close")
        return self._link

    def _take(self, batch: Batch) -> None:
        """Put the messages' values into the buffer."""
        known, buffer = self._readers, self._buffer
        for received, (topic, payload, head, _) in enumerate(batch.publications, batch.received):
            if head & RETAINED and self._is_known_already(topic):
                continue
            found = known.get(topic) or self._reader(topic)
            found.take(payload, received, buffer)

    def _is_known_already(self, topic: bytes) -> bool:
        """Overlapping filters bring a retained message once for each: it is one present value."""
        known = topic in self._retained
        self._retained.add(topic)
        return known

    def _reader(self, topic: bytes) -> Reader:
        """Of a topic that is not known, or not remembered for want of room."""
        name = topic_name(topic)
        meant = tuple(one for one in self._wildcards if name and topic_matches(one, name))
        found = self._of_wildcards.get(meant) if name not in self._by_filter else None
        if found is None:
            tags = [tag for one in (name, *meant) for tag in self._by_filter.get(one, ())]
            found = reader(tags, self._manner)
        if name in self._by_filter:
            self._readers[topic] = found
        else:
            self._of_wildcards[meant] = found
            if len(self._readers) < _MOST_TOPICS:
                self._readers[topic] = found
        return found

    def _add_denied(self, denied: Sequence[str]) -> set[str]:
        tags = {
            tag.tag
            for name, subscribed in self._by_filter.items()
            if any(name == filter_ or is_covered(name, filter_) for filter_ in denied)
            for tag in subscribed
        }
        self._add_bad(sorted(tags), BAD_USER_ACCESS_DENIED)
        return tags

    def _add_bad(self, tags: Iterable[str], quality: int) -> None:
        now = self.clock.now()
        for tag in tags:
            add_value(self._buffer, tag, None, now, now, quality)


def _by_filter(spec: MqttSource, tags: Sequence[str]) -> dict[str, list[Subscribed]]:
    by_filter: dict[str, list[Subscribed]] = {}
    for tag in tags:
        address = _with_defaults(parse_address(tag), spec)
        by_filter.setdefault(address.topic, []).append(Subscribed(tag, address))
    return by_filter


def _with_defaults(address: Address, spec: MqttSource) -> Address:
    time = address.time
    if time is None and address.value is not None and spec.time is not None:
        time = json_path(spec.time)
    return replace(address, time=time, time_format=address.time_format or spec.time_format)


def _widest(filters: Iterable[str]) -> list[str]:
    """Without those that another one covers: else some brokers send a message twice."""
    names = list(filters)
    wide = [name for name in names if has_wildcard(name)]
    return [name for name in names if not any(is_covered(name, other) for other in wide)]
