"""One subscription of an OPC UA session: tags become monitored items, publications samples.

The driver's own subscription makes a task per value and drops values when its queue is full; this
one takes the publications as they come and lets the server wait when nobody reads.
"""

import asyncio
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import Missed
from isthmus.field.connectors.opcua.spec import NodeAddress, OpcuaSource, Reading
from isthmus.field.connectors.opcua.values import Converted, convert, device_time, overflowed
from isthmus.field.samples import Samples

MAX_PENDING: Final = 200_000
"""Samples we hold unread; beyond it the server keeps the rest, in its own queues."""
ITEMS_PER_CALL: Final = 500
KEEP_ALIVES_PER_LIFETIME: Final = 10

_UNKNOWN: Final = frozenset({StatusCodes.BadNodeIdUnknown, StatusCodes.BadNodeIdInvalid})
_LAST_SEQUENCE: Final = 0xFFFF_FFFF


@dataclass(frozen=True)
class Revised:
    """What the server made of our wishes."""

    publishing_interval: float
    keep_alive: float
    """Seconds after which the server speaks even when nothing has changed."""


@dataclass
class _Item:
    """One monitored node and who reads it."""

    readers: list[tuple[str, tuple[int, ...]]]
    """Tag and element."""
    last_time: Micros
    last: dict[str, Converted] = field(default_factory=dict)
    """Of elements: their array is published as a whole, also when another element changed."""


class Subscription:
    """Fills `samples` until it is `lost`."""

    def __init__(self, client: Client, spec: OpcuaSource, samples: Samples, clock: Clock) -> None:
        self.lost = ""
        """Why nothing more will come; empty while all is well."""
        self.failure: Exception | None = None
        """A bug of ours that a publication brought to light; the driver would swallow it."""
        self.missed: list[Missed] = []
        self._client = client
        self._spec = spec
        self._samples = samples
        self._clock = clock
        self._items: list[_Item] = []
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._sequence: int | None = None
        self._silence_allowed = math.inf
        self._heard = time.monotonic()
        self._heard_time = clock.now()

    async def start(self, tags: Mapping[str, tuple[Reading, ...]]) -> Revised:
        """Every tag comes once: with its value, or with the server's reason why not."""
        namespaces, items_per_call = await self._about_server()
        parameters = self._parameters()
        created = await self._client.uaclient.session.create_subscription(
            parameters, self._on_publish
        )
        interval = created.RevisedPublishingInterval / 1000
        revised = Revised(interval, interval * created.RevisedMaxKeepAliveCount)
        self._silence_allowed = revised.keep_alive + self._spec.timeout
        pending = dict(tags)
        while pending:
            pending = await self._monitor(
                created.SubscriptionId, pending, namespaces, items_per_call
            )
        self._heard = time.monotonic()
        return revised

    async def wait(self, seconds: float) -> None:
        """Until there are samples, the subscription is lost, or the time is up."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            silence = time.monotonic() - self._heard
            if self._room.is_set() and silence > self._silence_allowed:
                self._lose(f"the server published nothing for {silence:.1f} s")
        if not self.lost:
            self._news.clear()

    def drained(self) -> None:
        """The samples were taken: there is room for more."""
        self._room.set()

    # Setting up --------------------------------------------------------------------------------

    async def _about_server(self) -> tuple[list[str], int]:
        """Its namespaces, and how many items it takes in one call."""
        wanted = (
            ObjectIds.Server_NamespaceArray,
            ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
        )
        answers = await self._client.uaclient.session.read_attributes(
            [ua.NodeId(ua.Int32(node)) for node in wanted], AttributeIds.Value
        )
        uris, limit = (answer.Value.Value if answer.Value else None for answer in answers)
        return list(uris or ()), min(limit or ITEMS_PER_CALL, ITEMS_PER_CALL)

    def _parameters(self) -> ua.CreateSubscriptionParameters:
        interval = max(self._spec.interval, 0.001)
        keep_alives = max(1, math.ceil(self._spec.timeout / interval))
        return ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=interval * 1000,
            RequestedLifetimeCount=KEEP_ALIVES_PER_LIFETIME * keep_alives,
            RequestedMaxKeepAliveCount=keep_alives,
            MaxNotificationsPerPublish=0,
            PublishingEnabled=True,
        )

    async def _monitor(
        self,
        subscription: int,
        pending: Mapping[str, tuple[Reading, ...]],
        namespaces: Sequence[str],
        items_per_call: int,
    ) -> dict[str, tuple[Reading, ...]]:
        """Ask for the first reading of each tag; returns what is to be tried next."""
        readers: dict[NodeAddress, list[tuple[str, tuple[int, ...]]]] = {}
        for tag, (reading, *_) in pending.items():
            readers.setdefault(reading.node, []).append((tag, reading.element))
        again: dict[str, tuple[Reading, ...]] = {}
        for chunk in _chunks(list(readers), items_per_call):
            statuses = await self._create(subscription, chunk, readers, namespaces)
            for node, status in zip(chunk, statuses, strict=True):
                if status.is_good():
                    continue
                for tag, _ in readers[node]:
                    if status.value in _UNKNOWN and len(pending[tag]) > 1:
                        again[tag] = pending[tag][1:]
                    else:
                        self._unreadable(tag, status.value)
        return again

    async def _create(
        self,
        subscription: int,
        nodes: Sequence[NodeAddress],
        readers: Mapping[NodeAddress, list[tuple[str, tuple[int, ...]]]],
        namespaces: Sequence[str],
    ) -> list[ua.StatusCode]:
        """One CreateMonitoredItems call; values may come before its answer does."""
        now = self._clock.now()
        first = len(self._items)
        self._items += [_Item(readers[node], now) for node in nodes]
        requests = [
            self._request(first + offset, node_id(node, namespaces))
            for offset, node in enumerate(nodes)
        ]
        results = await self._client.uaclient.session.create_monitored_items(
            ua.CreateMonitoredItemsParameters(
                SubscriptionId=subscription,
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                ItemsToCreate=requests,
            )
        )
        return [result.StatusCode for result in results]

    def _request(self, handle: int, node: ua.NodeId) -> ua.MonitoredItemCreateRequest:
        sampling = self._spec.sampling
        return ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.Value),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=ua.MonitoringParameters(
                ClientHandle=handle,
                SamplingInterval=-1.0 if sampling is None else sampling * 1000,
                QueueSize=self._spec.queue_size,
                DiscardOldest=True,
            ),
        )

    def _unreadable(self, tag: str, quality: int) -> None:
        now = self._clock.now()
        self._samples.add(tag, now, now, None, None, quality)
        self._news.set()

    # Publications ------------------------------------------------------------------------------

    async def _on_publish(self, result: ua.PublishResult) -> None:
        """Called by the driver for each publication; it asks for the next one when we return."""
        received = self._clock.now()
        try:
            self._digest(result.NotificationMessage, received)
        except Exception as error:
            self.failure = error
            self._news.set()
            raise
        self._heard = time.monotonic()
        self._heard_time = received
        if len(self._samples) > MAX_PENDING:
            self._room.clear()
            await self._room.wait()

    def _digest(self, message: ua.NotificationMessage, received: Micros) -> None:
        for notification in message.NotificationData or ():
            if isinstance(notification, ua.DataChangeNotification):
                self._check_sequence(message.SequenceNumber, received)
                self._take(notification.MonitoredItems, received)
                self._news.set()
            elif isinstance(notification, ua.StatusChangeNotification):
                self._lose(_ended(message.SequenceNumber, notification.Status))

    def _take(
        self, notifications: Iterable[ua.MonitoredItemNotification], received: Micros
    ) -> None:
        dropped: list[tuple[Micros, Micros]] = []
        for notification in notifications:
            item = self._items[notification.ClientHandle]
            data = notification.Value
            at = device_time(data, received)
            if overflowed(data):
                dropped.append((min(item.last_time, at), at))
            item.last_time = at
            for tag, element in item.readers:
                converted = convert(data, element)
                if element and item.last.get(tag) == converted:
                    continue
                if element:
                    item.last[tag] = converted
                self._samples.add(tag, at, received, *converted)
        if dropped:
            starts, ends = zip(*dropped, strict=True)
            detail = f"the server's queue was too short for {len(dropped)} values' nodes"
            self.missed.append(Missed(min(starts), max(ends), detail))

    def _check_sequence(self, sequence: int, received: Micros) -> None:
        """Publications are numbered without holes; one we could not read leaves a hole."""
        expected, self._sequence = self._sequence, sequence % _LAST_SEQUENCE + 1
        if expected is not None and sequence != expected:
            detail = f"publication {expected} was expected, {sequence} came"
            self.missed.append(Missed(self._heard_time, received, detail))

    def _lose(self, reason: str) -> None:
        self.lost = self.lost or reason
        self._news.set()


def _ended(sequence: int, status: ua.StatusCode) -> str:
    """The driver reports a dead link as an unnumbered publication of its own."""
    if sequence == 0:
        return "the link broke, or the server no longer answers"
    return f"the server ended the subscription ({status.name})"


def node_id(node: NodeAddress, namespaces: Sequence[str]) -> ua.NodeId:
    """The driver's NodeId. A namespace the server does not have becomes one it cannot have."""
    identifier: Any = node.identifier
    namespace = node.namespace
    if isinstance(namespace, str):
        namespace = namespaces.index(namespace) if namespace in namespaces else 0xFFFF
    return ua.NodeId(identifier, ua.Int16(namespace))


def _chunks(nodes: Sequence[NodeAddress], size: int) -> Iterable[Sequence[NodeAddress]]:
    return (nodes[start : start + size] for start in range(0, len(nodes), size))
