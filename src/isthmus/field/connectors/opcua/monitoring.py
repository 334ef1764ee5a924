"""Monitored items: which nodes and notifiers a subscription watches, and what the server granted.

A node the server does not know is asked for again and again: after a download to a controller its
nodes are gone for a while, or come back with another number for their namespace.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from isthmus.base.clock import Clock, Micros
from isthmus.field.connectors.opcua import events
from isthmus.field.connectors.opcua.address import Events, EventTag, NodeAddress, NodeTag, Reading
from isthmus.field.connectors.opcua.arrivals import (
    NO_SUCH_NODE,
    Arrivals,
    Item,
    NodeItem,
    Reader,
)
from isthmus.field.connectors.opcua.asking import Asking
from isthmus.field.connectors.opcua.events import EventItem
from isthmus.field.connectors.opcua.granted import Granted
from isthmus.field.connectors.opcua.spec import OpcuaSource

ITEMS_PER_CALL: Final = 500
LOOK_AGAIN: Final = 30.0
"""Seconds between two questions for nodes that the server did not know."""

_ELSEWHERE: Final = NO_SUCH_NODE | {StatusCodes.BadAttributeIdInvalid}
"""A folder has no value either: then a shorter name may be meant."""

Pending = Mapping[str, tuple[Reading, ...]]
T = TypeVar("T")


@dataclass
class Monitoring:
    """The items of one subscription."""

    session: Asking
    spec: OpcuaSource
    arrivals: Arrivals
    clock: Clock
    granted: Granted = field(default_factory=Granted)
    attention: list[str] = field(default_factory=list)
    _subscription: int = 0
    _namespaces: Sequence[str] = ()
    _per_call: int = ITEMS_PER_CALL
    _watched: list[EventItem] = field(default_factory=list)
    _waiting: dict[str, NodeTag] = field(default_factory=dict)
    """Tags whose node the server does not know."""
    _asked: float = 0.0

    async def start(
        self, subscription: int, tags: Mapping[str, NodeTag | EventTag], server_time: Micros
    ) -> None:
        """Every tag of a node comes once: with its value, or with the server's reason why not."""
        self._subscription = subscription
        await self._about_server()
        nodes = {tag: parsed for tag, parsed in tags.items() if isinstance(parsed, NodeTag)}
        refused = await self._monitor({tag: parsed.readings for tag, parsed in nodes.items()})
        for tag, status in refused.items():
            self._unreadable(tag, status)
        self._waiting = {
            tag: nodes[tag] for tag, status in refused.items() if status in NO_SUCH_NODE
        }
        fields = [(tag, one) for tag, one in tags.items() if isinstance(one, EventTag)]
        if fields:
            await self._watch(fields, server_time)
            await self.refresh()
        self._asked = time.monotonic()

    async def look_again(self) -> None:
        """Now and then, for nodes that were unknown or have gone."""
        gone = [
            item
            for item in (self.arrivals.items[handle] for handle in self.arrivals.gone)
            if isinstance(item, NodeItem)
        ]
        if not (self._waiting or gone) or time.monotonic() - self._asked < LOOK_AGAIN:
            return
        self._asked = time.monotonic()
        await self._about_server()
        for item in gone:
            self._waiting |= await self._give_up(item)
        self.arrivals.gone.clear()
        asked = {tag: parsed.readings for tag, parsed in self._waiting.items()}
        refused = await self._monitor(asked)
        self._waiting = {tag: one for tag, one in self._waiting.items() if tag in refused}

    async def refresh(self) -> None:
        """Have the server tell the state of all conditions; only that tells what stood before."""
        for item in self._watched:
            item.wants_refresh = False
        (result,) = await self.session.call([events.refresh(self._subscription)])
        if not result.StatusCode.is_good():
            self.attention.append(
                f"the server does not refresh conditions ({result.StatusCode.name}): alarms that "
                "stood before the connection are not seen until they change"
            )

    def wants_refresh(self) -> bool:
        return any(item.wants_refresh for item in self._watched)

    # Nodes -------------------------------------------------------------------------------------

    async def _about_server(self) -> None:
        """Its namespaces, and how many items it takes in one call."""
        wanted = (
            ObjectIds.Server_NamespaceArray,
            ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
        )
        answers = await self.session.read_attributes(
            [ua.NodeId(ua.Int32(node)) for node in wanted], AttributeIds.Value
        )
        uris, limit = (answer.Value.Value if answer.Value else None for answer in answers)
        self._namespaces = list(uris or ())
        self._per_call = min(limit or ITEMS_PER_CALL, ITEMS_PER_CALL)

    async def _monitor(self, pending: Pending) -> dict[str, int]:
        """Watch the first reading of each tag that the server knows.

        Returns the tags of which it knows none, with its reason for the first.
        """
        refused: dict[str, int] = {}
        while pending:
            readers = await self._readers(pending)
            again: dict[str, tuple[Reading, ...]] = {}
            for chunk in _chunks(list(readers), self._per_call):
                items = [
                    NodeItem(node, self._node(node), readers[node], self.clock.now())
                    for node in chunk
                ]
                for item, status in zip(items, await self._create(items), strict=True):
                    for tag in [reader.tag for reader in readers[item.node]]:
                        if status == 0:
                            refused.pop(tag, None)
                            continue
                        refused.setdefault(tag, status)
                        if status in _ELSEWHERE and len(pending[tag]) > 1:
                            again[tag] = pending[tag][1:]
            pending = again
        return refused

    async def _readers(self, pending: Pending) -> dict[NodeAddress, list[Reader]]:
        readers: dict[NodeAddress, list[Reader]] = {}
        for tag, (reading, *_) in pending.items():
            names = None
            if reading.as_name:
                names = await self.arrivals.structures.names(self._node(reading.node))
            readers.setdefault(reading.node, []).append(Reader(tag, reading, names))
        return readers

    async def _create(self, items: Sequence[NodeItem]) -> list[int]:
        """One CreateMonitoredItems call; values may come before its answer does."""
        requests = [
            self._request(
                self.arrivals.add(item),
                ua.ReadValueId(NodeId=item.asked, AttributeId=AttributeIds.Value),
            )
            for item in items
        ]
        results = await self._ask_for(requests)
        for item, result in zip(items, results, strict=True):
            if result.StatusCode.is_good():
                item.id = result.MonitoredItemId
                sampling = result.RevisedSamplingInterval / 1000
                self.granted.note(sampling, result.RevisedQueueSize, self.spec)
            else:
                self.arrivals.forget(item)
        return [0 if one.StatusCode.is_good() else one.StatusCode.value for one in results]

    async def _ask_for(
        self, requests: list[ua.MonitoredItemCreateRequest]
    ) -> list[ua.MonitoredItemCreateResult]:
        return await self.session.create_monitored_items(
            ua.CreateMonitoredItemsParameters(
                SubscriptionId=self._subscription,
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                ItemsToCreate=requests,
            )
        )

    def _request(
        self, handle: int, what: ua.ReadValueId, chosen: ua.EventFilter | None = None
    ) -> ua.MonitoredItemCreateRequest:
        sampling = self.spec.sampling
        return ua.MonitoredItemCreateRequest(
            ItemToMonitor=what,
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=ua.MonitoringParameters(
                ClientHandle=handle,
                SamplingInterval=-1.0 if sampling is None else sampling * 1000,
                Filter=chosen,
                QueueSize=self.spec.queue_size,
                DiscardOldest=True,
            ),
        )

    async def _give_up(self, item: NodeItem) -> dict[str, NodeTag]:
        """The server may watch the node again by itself: then it would come twice."""
        tags = {}
        for reader in item.readers:
            parsed = self.spec.parse_tag(reader.tag)
            if isinstance(parsed, NodeTag):
                tags[reader.tag] = parsed
        self.arrivals.forget(item)
        parameters = ua.DeleteMonitoredItemsParameters(self._subscription, [item.id])
        with suppress(UaStatusCodeError):  # it is gone there, too
            await self.session.delete_monitored_items(parameters)
        return tags

    # Events ------------------------------------------------------------------------------------

    async def _watch(self, fields: Iterable[tuple[str, EventTag]], since: Micros) -> None:
        wanted: dict[Events, list[tuple[str, EventTag]]] = {}
        for tag, parsed in fields:
            wanted.setdefault(parsed.events, []).append((tag, parsed))
        items = [EventItem(of, tuple(tags), since) for of, tags in wanted.items()]
        self._watched += items
        results = await self._ask_for([self._event_request(item) for item in items])
        for item, result in zip(items, results, strict=True):
            for tag, _ in () if result.StatusCode.is_good() else item.tags:
                self._unreadable(tag, result.StatusCode.value)

    def _event_request(self, item: EventItem) -> ua.MonitoredItemCreateRequest:
        of_type = item.events.type
        what = ua.ReadValueId(
            NodeId=self._node(item.events.notifier), AttributeId=AttributeIds.EventNotifier
        )
        chosen = item.filter(None if of_type is None else self._node(of_type))
        added: Item = item
        return self._request(self.arrivals.add(added), what, chosen)

    # Both --------------------------------------------------------------------------------------

    def _node(self, address: NodeAddress) -> ua.NodeId:
        return node_id(address, self._namespaces)

    def _unreadable(self, tag: str, quality: int) -> None:
        now = self.clock.now()
        self.arrivals.samples.add(tag, now, now, None, None, quality)


def node_id(node: NodeAddress, namespaces: Sequence[str]) -> ua.NodeId:
    """The driver's NodeId. A namespace the server does not have becomes one it cannot have."""
    identifier: Any = node.identifier
    namespace = node.namespace
    if isinstance(namespace, str):
        namespace = namespaces.index(namespace) if namespace in namespaces else 0xFFFF
    return ua.NodeId(identifier, ua.Int16(namespace))


def _chunks(nodes: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (nodes[start : start + size] for start in range(0, len(nodes), size))
