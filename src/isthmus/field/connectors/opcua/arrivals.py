"""From what was published to samples: the values of all monitored items of one subscription."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

from isthmus.base.clock import Micros
from isthmus.field.connector import Missed
from isthmus.field.connectors.opcua.address import NodeAddress, Reading
from isthmus.field.connectors.opcua.events import EventItem
from isthmus.field.connectors.opcua.publications import (
    STRING,
    Run,
    Single,
    tick_time,
    ticks_to_micros,
)
from isthmus.field.connectors.opcua.structures import Structures, UnknownTypeError
from isthmus.field.connectors.opcua.values import (
    Converted,
    convert,
    device_time,
    overflowed,
)
from isthmus.field.samples import EXACT_INTEGER, Samples
from isthmus.flow.parcel import GOOD

NO_SUCH_NODE: Final = frozenset({StatusCodes.BadNodeIdUnknown, StatusCodes.BadNodeIdInvalid})

_EXACT_TYPES: Final = frozenset({1, 2, 3, 4, 5, 6, 7, 10, 11, STRING})
"""Variant types that lose nothing: a float64 holds all of fixed size but the 64-bit integers."""


@dataclass
class Reader:
    """One tag that reads an item."""

    tag: str
    reading: Reading
    names: Mapping[int, str] | None = None
    """Of an enumeration whose names are wanted."""
    last: Converted | None = None
    """Of a part: its whole is published also when another part changed."""


@dataclass
class NodeItem:
    """One monitored node and who reads it."""

    node: NodeAddress
    asked: ua.NodeId
    """The node as the server knows it."""
    readers: list[Reader]
    last_time: Micros
    id: int = 0
    """What the server calls the item."""


Item = NodeItem | EventItem


@dataclass
class Arrivals:
    """Items by their handle; `samples` and `missed` grow until somebody takes them."""

    samples: Samples
    structures: Structures
    items: list[Item] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)
    """Handles of items of which the server says that there is no such node any more."""
    _plain: list[str] = field(default_factory=list)
    """By handle: the tag of an item that one tag reads as it comes; else empty."""

    def add(self, item: Item) -> int:
        """The handle of the item."""
        plain = ""
        if isinstance(item, NodeItem) and len(item.readers) == 1:
            reader = item.readers[0]
            plain = reader.tag if reader.reading.plain else ""
        self.items.append(item)
        self._plain.append(plain)
        return len(self.items) - 1

    def forget(self, item: NodeItem) -> None:
        """Whatever still comes for this item is nobody's."""
        item.readers = []
        self._plain[self.items.index(item)] = ""

    async def take(self, parts: Iterable[Run | Single | Any], received: Micros) -> None:
        dropped: list[tuple[Micros, Micros]] = []
        for part in parts:
            match part:
                case Run():
                    await self._take_run(part, received, dropped)
                case Single():
                    await self._take_single(part, received, dropped)
                case ua.EventNotificationList():
                    self._take_events(part, received, dropped)
        if dropped:
            starts, ends = zip(*dropped, strict=True)
            detail = f"the server's queue was too short for {len(dropped)} values' nodes"
            self.missed.append(Missed(min(starts), max(ends), detail))

    # Values ------------------------------------------------------------------------------------

    async def _take_run(
        self, run: Run, received: Micros, dropped: list[tuple[Micros, Micros]]
    ) -> None:
        plain, items = self._plain, self.items
        tags = [plain[handle] for handle in run.handles]
        odd = run.statuses is not None and any(run.statuses)
        if odd or "" in tags or not _exact(run):
            for single in _one_by_one(run):
                await self._take_single(single, received, dropped)
            return
        times = _times(run, received)
        if run.type == STRING:
            for tag, at, text in zip(tags, times, run.values, strict=True):
                self.samples.add(tag, at, received, None, text, GOOD)
        else:
            self.samples.extend(tags, times, received, list(map(float, run.values)), GOOD)
        for handle, at in zip(run.handles, times, strict=True):
            items[handle].last_time = at
        self.gone.difference_update(run.handles)

    async def _take_single(
        self, single: Single, received: Micros, dropped: list[tuple[Micros, Micros]]
    ) -> None:
        item, data = self.items[single.handle], single.value
        if not isinstance(item, NodeItem):
            return
        at = device_time(data, received)
        if overflowed(data):
            dropped.append((min(item.last_time, at), at))
        item.last_time = at
        if data.StatusCode is not None and data.StatusCode.value in NO_SUCH_NODE:
            self.gone.add(single.handle)
        else:
            self.gone.discard(single.handle)
        for reader in item.readers:
            converted = await self.converted(data, reader, item.asked)
            if reader.reading.path and reader.last == converted:
                continue
            if reader.reading.path:
                reader.last = converted
            self.samples.add(reader.tag, at, received, *converted)

    async def converted(self, data: ua.DataValue, reader: Reader, node: ua.NodeId) -> Converted:
        """Structures are learnt when the first of them comes."""
        while True:
            try:
                return convert(data, reader.reading.path, reader.names, self.structures.decode)
            except UnknownTypeError as unknown:
                await self.structures.learn(unknown.encoding, node)

    # Events ------------------------------------------------------------------------------------

    def _take_events(
        self,
        events: ua.EventNotificationList,
        received: Micros,
        dropped: list[tuple[Micros, Micros]],
    ) -> None:
        for event in events.Events or ():
            item = self.items[event.ClientHandle]
            if not isinstance(item, EventItem):
                continue
            before = item.last_time
            for tag, at, converted in item.samples(event.EventFields or (), received):
                self.samples.add(tag, at, received, *converted)
            if item.overflowed:
                item.overflowed = False
                dropped.append((before or received, received))


def _exact(run: Run) -> bool:
    if run.type in _EXACT_TYPES:
        return True
    smallest: int = min(run.values)
    largest: int = max(run.values)
    return smallest >= -EXACT_INTEGER and largest <= EXACT_INTEGER


def _times(run: Run, received: Micros) -> list[Micros]:
    """The machine's time, else the server's, else ours."""
    stamps: Sequence[int] | None = run.source_times
    if stamps is not None and min(stamps) > 0:
        return [ticks_to_micros(ticks) for ticks in stamps]
    nothing = (0,) * len(run.handles)
    both = zip(run.source_times or nothing, run.server_times or nothing, strict=True)
    return [
        ticks_to_micros(source if source > 0 else server)
        if source > 0 or server > 0
        else received
        for source, server in both
    ]  # fmt: skip


def _one_by_one(run: Run) -> Iterable[Single]:
    kind = ua.VariantType(run.type)
    nothing = (0,) * len(run.handles)
    columns = (
        run.statuses or nothing,
        run.source_times or nothing,
        run.server_times or nothing,
    )
    for handle, value, status, *ticks in zip(run.handles, run.values, *columns, strict=True):
        source, server = (tick_time(one) for one in ticks)
        yield Single(
            handle,
            ua.DataValue(
                ua.Variant(value, kind),
                ua.StatusCode(ua.UInt32(status)),
                SourceTimestamp=source,
                ServerTimestamp=server,
            ),
        )
