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
from isthmus.field.connectors.mqtt.payload import Subscribed, readings
from isthmus.field.connectors.mqtt.spec import MqttSource
from isthmus.field.first_values import FirstValues
from isthmus.field.json_path import json_path
from isthmus.field.json_samples import Reading
from isthmus.field.mqtt.broker import settings
from isthmus.field.mqtt.link import Link, Message, wait
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
"""Taken by one `read()`."""
_MOST_TOPICS: Final = 50_000
"""Whose tags are remembered: a wildcard may meet any number of them."""


class MqttConnector(Connector[MqttSource]):
    """One session at one broker."""

    Spec: ClassVar[type[SourceSpec]] = MqttSource

    def __init__(self, name: str, spec: MqttSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._by_filter = _by_filter(spec, tags)
        self._wildcards = [name for name in self._by_filter if has_wildcard(name)]
        self._by_topic: dict[str, tuple[Subscribed, ...]] = {}
        self._retained: set[str] = set()
        self._buffer = Samples()
        self._unacknowledged: list[Message] = []
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
        messages = [link.inbox.popleft() for _ in range(min(len(link.inbox), _MOST_MESSAGES))]
        for message in messages:
            came = self._take(message)
            if self._waiting:
                self._waiting.came((reading.tag for reading in came), loop.time())
        self._add_bad(self._waiting.due(loop.time()), BAD_WAITING_FOR_INITIAL_DATA)
        table = self._buffer.take()
        if table is None and not self._unacknowledged:
            link.acknowledge(messages)  # nothing in them is for us
        else:
            self._unacknowledged += messages
        return table

    async def gather(self, seconds: float) -> None:
        await wait(self._opened().stalled, seconds)

    async def acknowledge(self) -> None:
        self._opened().acknowledge(self._unacknowledged)
        self._unacknowledged = []

    def missed(self) -> list[Missed]:
        since, self._last_read = self._last_read, self.clock.now()
        lost = self._link.overflowed - self._overflowed if self._link else 0
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

    def _take(self, message: Message) -> Sequence[Reading]:
        """Put a message's values into the buffer."""
        if message.retained:
            # Overlapping filters bring it once for each: it is one present value.
            if message.topic in self._retained:
                return ()
            self._retained.add(message.topic)
        found = readings(
            self._tags_of(message.topic),
            message.payload,
            message.received,
            longest=self.spec.max_payload_kb * 1024,
            partial=self.spec.partial,
        )
        for tag, value, device_time, quality in found:
            add_value(self._buffer, tag, value, device_time, message.received, quality)
        return found

    def _tags_of(self, topic: str) -> tuple[Subscribed, ...]:
        tags = self._by_topic.get(topic)
        if tags is None:
            meant = [name for name in self._wildcards if topic and topic_matches(name, topic)]
            tags = tuple(tag for name in (topic, *meant) for tag in self._by_filter.get(name, ()))
            if len(self._by_topic) < _MOST_TOPICS:
                self._by_topic[topic] = tags
        return tags

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
