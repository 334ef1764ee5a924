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
    UNIX_EPOCH,
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

_LARGE: Final = frozenset({8, 9})
"""Variant types a float64 does not always hold: the 64-bit integers."""


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
        """In columns; a value that is more than a number or a text by itself, in its turn."""
        tags = [self._plain[handle] for handle in run.handles]
        begin = 0
        for at in _odd(run, tags):
            self._take_plain(run.part(begin, at), tags[begin:at], received)
            await self._take_single(_single(run, at), received, dropped)
            begin = at + 1
        rest = run.part(begin, len(tags)) if begin else run
        self._take_plain(rest, tags[begin:], received)

    def _take_plain(self, run: Run, tags: Sequence[str], received: Micros) -> None:
        times = _times(run, received)
        numbers, texts = _numbers_and_texts(run)
        self.samples.extend(tags, times, received, numbers, GOOD, texts=texts)
        for handle, at in zip(run.handles, times, strict=True):
            self.items[handle].last_time = at
        if self.gone:
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


def _odd(run: Run, tags: Sequence[str]) -> list[int]:
    """Which values are more than a good number or text that one tag wants as it comes."""
    odd: set[int] = set()
    if "" in tags:
        odd.update(at for at, tag in enumerate(tags) if not tag)
    if run.statuses is not None and any(run.statuses):
        odd.update(at for at, status in enumerate(run.statuses) if status)
    if not _LARGE.isdisjoint(run.types):
        values = zip(run.types, run.values, strict=True)
        odd.update(
            at
            for at, (kind, value) in enumerate(values)
            if kind in _LARGE and abs(value) > EXACT_INTEGER
        )
    return sorted(odd)


def _numbers_and_texts(run: Run) -> tuple[list[float | None], list[str | None] | None]:
    """No texts where there are none; booleans and integers are floats already, for Arrow."""
    if STRING not in run.types:
        return run.values, None
    numbers: list[float | None] = list(run.values)
    texts: list[str | None] = [None] * len(numbers)
    for at, kind in enumerate(run.types):
        if kind == STRING:
            texts[at], numbers[at] = run.values[at], None
    return numbers, texts


def _times(run: Run, received: Micros) -> list[Micros]:
    """The machine's time, else the server's, else ours."""
    source, server = run.source_times, run.server_times
    if source and min(source) > 0:
        return [ticks // 10 - UNIX_EPOCH for ticks in source]
    nothing = [0] * len(run.handles)
    return [
        ticks_to_micros(ours if ours > 0 else theirs) if ours > 0 or theirs > 0 else received
        for ours, theirs in zip(source or nothing, server or nothing, strict=True)
    ]


def _single(run: Run, at: int) -> Single:
    source, server = (
        None if times is None else tick_time(times[at])
        for times in (run.source_times, run.server_times)
    )
    return Single(
        run.handles[at],
        ua.DataValue(
            ua.Variant(run.values[at], ua.VariantType(run.types[at])),
            ua.StatusCode(ua.UInt32(run.statuses[at] if run.statuses else 0)),
            SourceTimestamp=source,
            ServerTimestamp=server,
        ),
    )
