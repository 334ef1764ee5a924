"""One Sparkplug host application: births, data and deaths in, samples out; STATE is all it says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import ClassVar, Final

import pyarrow as pa

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import Connector, Missed, Node, Refused, Unreachable
from isthmus.field.connectors.sparkplug.edge import Edge
from isthmus.field.connectors.sparkplug.payload import decode, rebirth_request
from isthmus.field.connectors.sparkplug.rebirths import Rebirths
from isthmus.field.connectors.sparkplug.session import Message
from isthmus.field.connectors.sparkplug.spec import SparkplugSource
from isthmus.field.connectors.sparkplug.state import says_offline, state
from isthmus.field.connectors.sparkplug.topics import (
    NodeId,
    command_topic,
    filters,
    parse_topic,
    state_topic,
)
from isthmus.field.connectors.sparkplug.tree import children
from isthmus.field.first_values import FirstValues
from isthmus.field.mqtt.broker import settings
from isthmus.field.mqtt.client import Publication
from isthmus.field.mqtt.inbox import Message as Arrived
from isthmus.field.mqtt.link import Link, wait
from isthmus.field.samples import Samples
from isthmus.field.values import BAD_WAITING_FOR_INITIAL_DATA, add_value
from isthmus.model.spec.site import SourceSpec

_READ_WAITS: Final = 1.0
"""Seconds, by the contract of `read()`."""
_MOST_MESSAGES: Final = 2_000
"""Taken by one `read()`."""
_QOS: Final = 1
"""Of our subscriptions: data is published with 0, deaths and STATE with 1."""
_GOODBYE_WAITS: Final = 1.0


class SparkplugConnector(Connector[SparkplugSource]):
    """One host application at one broker."""

    Spec: ClassVar[type[SourceSpec]] = SparkplugSource

    def __init__(self, name: str, spec: SparkplugSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._buffer = Samples()
        self._edges: dict[NodeId, Edge] = {}
        for tag in tags:
            address = spec.parse_tag(tag)
            self._edge(address.node).metrics.want(tag, address)
        self._state = state_topic(spec.host_id)
        self._connected_at: Micros = 0
        self._online = False
        self._denied = False
        """Somebody says in our name that we are offline."""
        self._link: Link | None = None
        self._rebirths = Rebirths()
        self._waiting = FirstValues((), 0.0, 0.0)
        self._asks_at: float | None = None
        """When nodes that did not come by themselves are asked for a rebirth."""
        self._missed: list[Missed] = []
        self._overflowed = 0
        self._last_read: Micros = 0

    async def open(self) -> None:
        self._connected_at = self._last_read = self.clock.now()
        will = state(self._state, online=False, at=self._connected_at) if self.spec.speaks else None
        how = await settings(self.spec, self.name, session_expiry=0.0, will=will)
        link = self._link = Link(how, self.clock)
        await link.connect()
        await self._subscribe(link)
        if self.spec.speaks:
            await link.publish(self._birth())
            self._online = True
        now = asyncio.get_running_loop().time()
        self._waiting = FirstValues(self.tags, self.spec.first_value, now)
        self._asks_at = now + self.spec.first_value / 2

    async def read(self) -> pa.Table | None:
        link = self._opened()
        now = asyncio.get_running_loop().time
        if not link.inbox and not self._buffer:
            await wait(link.arrived, self._wait(now()))
        link.tick()
        link.arrived.clear()
        self._take_waiting(link, now)
        self._look_at_clock(now())
        await self._speak_if_heard(link, now())
        for tag in self._waiting.due(now()):
            at = self.clock.now()
            add_value(self._buffer, tag, None, at, at, BAD_WAITING_FOR_INITIAL_DATA)
        self._count_overflow(link)
        return self._buffer.take()

    def missed(self) -> list[Missed]:
        missed, self._missed = self._missed, []
        return missed

    async def browse(self, parent: str = "") -> AsyncIterator[Node]:
        """What births told so far; the first call listens to all nodes for a while."""
        if not parent:
            await self._listen_to_all()
        for node in children(self._edges, parent):
            yield node

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        if self._online:
            self._online = False
            death = state(self._state, online=False, at=self.clock.now())
            with suppress(Unreachable, Refused, TimeoutError):
                await asyncio.wait_for(link.publish(death), _GOODBYE_WAITS)
        await link.close()

    # Opening -------------------------------------------------------------------------------------

    def _opened(self) -> Link:
        if self._link is None:
            raise RuntimeError("read before open, or after close")
        return self._link

    async def _subscribe(self, link: Link) -> None:
        """To our own STATE first, as the specification wants it."""
        wanted = filters(self._edges)
        if self.spec.speaks:
            wanted.insert(0, self._state)
        granted = await link.subscribe(wanted, _QOS)
        denied = [name for name, given in zip(wanted, granted, strict=True) if not given]
        if denied:
            raise Refused(
                f"the broker does not let us read `{denied[0]}`: "
                f"may `{self.spec.user or 'anonymous'}` read it?"
            )

    def _birth(self) -> Publication:
        return state(self._state, online=True, at=self._connected_at)

    # Reading -------------------------------------------------------------------------------------

    def _edge(self, node: NodeId) -> Edge:
        found = self._edges.get(node)
        if found is None:
            spec = self.spec
            found = Edge(
                node,
                self._buffer,
                spec.reorder_timeout,
                spec.first_value,
                may_ask=spec.rebirth,
            )
            self._edges[node] = found
        return found

    def _take_waiting(self, link: Link, now: Callable[[], float]) -> None:
        for batch in link.inbox.take(_MOST_MESSAGES):
            for arrived in batch.messages():
                self._take(arrived, now())
            # A clean session brings nothing again: there is no use in waiting for the disk.
            link.acknowledge(batch.identifiers)

    def _take(self, arrived: Arrived, now: float) -> None:
        if arrived.topic == self._state:
            # A retained one is older than our birth.
            self._denied |= not arrived.retained and says_offline(arrived.payload)
            return
        topic = parse_topic(arrived.topic)
        if topic is None or topic.kind in {"NCMD", "DCMD"}:
            return
        edge = self._edge(topic.node)
        try:
            payload = decode(arrived.payload, self.spec.max_payload_kb * 1024)
        except ValueError as error:
            why = f"{arrived.topic}: {error}"
            self._missed.append(Missed(arrived.received, arrived.received + 1, why))
            return
        before = len(self._buffer)
        edge.take(Message(topic, payload, arrived.received), now)
        self._follow(edge, before, now)

    def _look_at_clock(self, now: float) -> None:
        """What follows from silence."""
        for edge in self._edges.values():
            if edge.due is not None and edge.due <= now:
                before = len(self._buffer)
                edge.tick(now)
                self._follow(edge, before, now)
        if self._asks_at is not None and now >= self._asks_at:
            self._asks_at = None
            for node, edge in self._edges.items():
                if not edge.online:
                    self._rebirths.want(node, now)

    def _follow(self, edge: Edge, before: int, now: float) -> None:
        self._waiting.came(self._buffer.tag[before:], now)
        self._missed += edge.missed()
        if edge.wants_birth():
            self._rebirths.want(edge.node, now)
        elif edge.online:
            self._rebirths.born(edge.node)

    async def _speak_if_heard(self, link: Link, now: float) -> None:
        """On a broken link what was already read goes first; the next `read()` says so."""
        try:
            await self._speak(link, now)
        except Unreachable:
            if not self._buffer:
                raise

    async def _speak(self, link: Link, now: float) -> None:
        """Our two publications: STATE, and a rebirth where that is allowed."""
        if self._denied and self._online:
            await link.publish(self._birth())
        self._denied = False
        for node in self._rebirths.take(now) if self.spec.rebirth else ():
            request = rebirth_request(self.clock.now())
            await link.publish(Publication(command_topic(node), request, qos=0, retain=False))

    def _wait(self, now: float) -> float:
        """Seconds until something is due, at most as long as a `read()` may wait."""
        times = [edge.due for edge in self._edges.values()]
        times += [self._asks_at, self._rebirths.due() if self.spec.rebirth else None]
        due = min((at - now for at in times if at is not None), default=_READ_WAITS)
        return self._waiting.wait(now, max(0.0, min(due, _READ_WAITS)))

    def _count_overflow(self, link: Link) -> None:
        since, self._last_read = self._last_read, self.clock.now()
        lost = link.inbox.overflowed - self._overflowed
        if lost:
            self._overflowed = link.inbox.overflowed
            why = f"{lost} messages came faster than they could be stored"
            self._missed.append(Missed(since, self._last_read, why))

    async def _listen_to_all(self) -> None:
        link = self._opened()
        await link.subscribe(filters(()), _QOS)
        loop = asyncio.get_running_loop()
        end = loop.time() + self.spec.first_value
        while loop.time() < end:
            await wait(link.arrived, min(0.1, end - loop.time()))
            link.tick()
            link.arrived.clear()
            self._take_waiting(link, loop.time)
            await self._speak(link, loop.time())
