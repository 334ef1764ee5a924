"""One agent: probe and current to begin with, then its stream of samples without a break."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pyarrow as pa

from isthmus.base.clock import Clock, Micros, to_micros
from isthmus.field.connector import Connector, Missed, Node, Refused, Unreachable
from isthmus.field.connectors.mtconnect.answers import BrokenOffError, OutOfRangeError
from isthmus.field.connectors.mtconnect.asset_tags import parse_asset
from isthmus.field.connectors.mtconnect.following import Assets
from isthmus.field.connectors.mtconnect.interpret import Interpreter
from isthmus.field.connectors.mtconnect.place import Place, place, unpack
from isthmus.field.connectors.mtconnect.spec import MtconnectSource
from isthmus.field.mtconnect import documents
from isthmus.field.mtconnect.documents import DataItem, Header, MalformedError
from isthmus.field.samples import Samples
from isthmus.flow.parcel import SAMPLES_SCHEMA
from isthmus.model.spec.site import SourceSpec

if TYPE_CHECKING:
    from isthmus.field.connectors.mtconnect.agent import Agent

_READ_WAITS: Final = 1.0
"""Seconds, by the contract of `read()`."""
_MOST_OBSERVATIONS: Final = 1_000
"""Asked for in one document; never more than the agent's buffer holds."""
_MOST_BREAKS: Final = 3
"""A stream that ends so often without a document is a lost agent."""
_MOST_OUT_OF_RANGE: Final = 3
"""An agent that refuses so many positions it has just told us does not work."""


class MtconnectConnector(Connector[MtconnectSource]):
    """Follows one agent."""

    Spec: ClassVar[type[SourceSpec]] = MtconnectSource

    def __init__(self, name: str, spec: MtconnectSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._samples = Samples()
        self._missed: list[Missed] = []
        self._agent: Agent | None = None
        self._items: list[DataItem] = []
        assets = [tag for tag in tags if parse_asset(tag) is not None]
        self._signals = [tag for tag in tags if tag not in set(assets)]
        self._assets = Assets(assets, clock)
        self._interpreter = Interpreter((), ())
        self._header: Header | None = None
        """Of the last document; its `next` is where we go on."""
        self._place: Place | None = None
        """Where we were before an outage."""
        self._heard: Micros = 0
        self._out_of_range = 0
        self._stream: AsyncGenerator[Any, None] | None = None
        self._coming: asyncio.Task[Any] | None = None

    def resume(self, position: bytes) -> None:
        self._place = unpack(self._of(), position)

    async def open(self) -> None:
        from isthmus.field.connectors.mtconnect.agent import Agent

        self._agent = Agent(self.spec, self.allowance)
        await self._begin()

    async def read(self) -> pa.Table | None:
        if not len(self._samples):
            document = await self._next_document()
            if document is not None:
                await self._take(document)
        return self._samples.take()

    def position(self) -> bytes | None:
        return place(self._of(), self._expected()).pack()

    def missed(self) -> list[Missed]:
        missed, self._missed = self._missed, []
        return missed

    async def close(self) -> None:
        await self._stop_stream()
        agent, self._agent = self._agent, None
        if agent is not None:
            await agent.close()

    async def browse(self, parent: str = "") -> AsyncIterator[Node]:
        """Components and data items below `parent`, a component's tag such as `OKUMA/Axes/`."""
        parent = parent.removesuffix("/")
        prefix = f"{parent}/" if parent else ""
        below = [item for item in self._items if f"{item.path}/".startswith(prefix)]
        components = dict.fromkeys(
            item.path[len(prefix) :].partition("/")[0] for item in below if item.path != parent
        )
        for component in components:
            path = prefix + component
            # Ends with a slash, as no data item's tag does: a component has no value.
            yield Node(tag=f"{path}/", name=component, path=path, has_children=True)
        known = Counter(item.id for item in self._items)
        for item in below:
            if item.path == parent:
                yield _node(item, unique=known[item.id] == 1)

    async def history(self, start: Micros, end: Micros) -> pa.Table:
        """What the agent's buffer still has of this time, by device time."""
        samples = Samples()
        interpreter = Interpreter(self._signals, self._items)
        async for root in self._buffered():
            interpreter.changes(documents.observations(root), self.clock.now(), samples)
        table = samples.take()
        if table is None:
            return SAMPLES_SCHEMA.empty_table()
        times = (to_micros(time) for time in table["device_time"].to_pylist())
        return table.filter(pa.array([start <= time < end for time in times]))

    async def _buffered(self) -> AsyncIterator[Any]:
        """All documents the agent's buffer can give, oldest first; it may move on meanwhile."""
        agent = self._opened()
        header = documents.header(await agent.get("current"))
        position, last = header.first, header.last
        while position <= last:
            try:
                root = await agent.get("sample", {"from": position, "count": _count(header)})
            except OutOfRangeError:
                position = max(position + 1, documents.header(await agent.get("current")).first)
                continue
            yield root
            position = max(position + 1, documents.header(root).next)

    def _of(self) -> str:
        return f"{self.spec.url} {self.spec.device}"

    def _opened(self) -> "Agent":
        if self._agent is None:
            raise RuntimeError("read before open, or after close")
        return self._agent

    # Beginning, and beginning again --------------------------------------------------------------

    async def _begin(self) -> None:
        """Learn what there is (probe) and what is true now (current)."""
        agent = self._opened()
        probe = await agent.get("probe")
        self._items = list(documents.data_items(probe))
        self._interpreter = Interpreter(self._signals, self._items)
        try:
            current = await agent.get("current")
            self._header = documents.header(current)
        except (OutOfRangeError, MalformedError) as error:
            raise Unreachable(f"{self.spec.url}: {error}") from error
        received = self._heard = self.clock.now()
        before, self._place = self._place, None
        if before is None or not await self._go_back(before, current):
            self._interpreter.present(documents.observations(current), received, self._samples)
        await self._assets.begin(agent, probe, self._items, self._samples)

    async def _go_back(self, before: Place, current: Any) -> bool:
        """Go on where we were, if the agent still can.

        What has changed since then comes with the stream, from its first change on; what has not
        comes now. Conditions and sets start as they were then.
        """
        if not before.is_in(self._expected()):
            return False
        try:
            then = await self._opened().get("current", {"at": before.next - 1})
        except (OutOfRangeError, Refused):  # agents of version 1.0 know no `at`
            return False
        was = Samples()
        self._interpreter.present(documents.observations(then), self._heard, was)
        unchanged = Interpreter(self._signals, self._items)
        observations = documents.observations(current)
        unchanged.present(observations, self._heard, self._samples, before.next)
        _copy(was, self._samples, self._interpreter.entries() - set(self._samples.tag))
        self._header = replace(self._expected(), next=before.next)
        return True

    async def _begin_again(self, why: str) -> None:
        since = self._heard
        await self._stop_stream()
        await self._begin()
        self._missed.append(Missed(since, self._heard, why))

    # Following -----------------------------------------------------------------------------------

    async def _next_document(self) -> Any:
        """The next document of the stream; None if none came within a second."""
        if self._stream is None:
            self._stream = self._follow()
        if self._coming is None:
            self._coming = asyncio.ensure_future(anext(self._stream))
        await asyncio.wait({self._coming}, timeout=_READ_WAITS)
        if not self._coming.done():
            return None
        coming, self._coming = self._coming, None
        try:
            return coming.result()
        except OutOfRangeError as error:
            self._out_of_range += 1
            if self._out_of_range >= _MOST_OUT_OF_RANGE:
                raise Refused(f"{self.spec.url}: {error}") from error
            await self._begin_again(f"the agent's buffer has gone past us: {error}")
            return None

    async def _follow(self) -> AsyncGenerator[Any, None]:
        """Documents without end: a stream that ends is asked for again from where we are."""
        breaks = 0
        while True:
            try:
                async for document in self._opened().sample(self._request(), self.spec.heartbeat):
                    breaks = 0
                    yield document
            except BrokenOffError as error:
                breaks += 1
                if breaks >= _MOST_BREAKS:
                    raise Unreachable(f"{self.spec.url}: the stream breaks off: {error}") from error
            await asyncio.sleep(self.spec.interval)

    def _request(self) -> dict[str, Any]:
        header = self._expected()
        return {
            "from": header.next,
            "interval": round(self.spec.interval * 1000),
            "heartbeat": round(self.spec.heartbeat * 1000),
            "count": _count(header),
        }

    def _expected(self) -> Header:
        if self._header is None:
            raise RuntimeError("read before open")
        return self._header

    async def _take(self, root: Any) -> None:
        before = self._expected()
        try:
            header = documents.header(root)
            observations = list(documents.observations(root))
        except MalformedError as error:
            raise Unreachable(f"{self.spec.url}: {error}") from error
        if header.instance != before.instance:
            await self._begin_again("the agent was restarted")
            return
        oldest = min((seen.sequence for seen in observations), default=header.first)
        if header.first > before.next and oldest > before.next:
            lost = header.first - before.next
            await self._begin_again(f"{lost} observations had left the agent's buffer")
            return
        if header.model_changed != before.model_changed:
            await self._begin_again("the agent's devices were described anew")
            return
        received = self._heard = self.clock.now()
        self._out_of_range = 0
        self._header = header
        self._interpreter.changes(observations, received, self._samples)
        await self._assets.follow(self._opened(), observations, self._samples)

    async def _stop_stream(self) -> None:
        coming, self._coming = self._coming, None
        stream, self._stream = self._stream, None
        if coming is not None:
            coming.cancel()
            await asyncio.wait({coming})
            if not coming.cancelled():
                coming.exception()  # we go anyway: it is of no interest any more
        if stream is not None:
            await stream.aclose()


def _copy(samples: Samples, into: Samples, tags: Collection[str]) -> None:
    """Those of these tags."""
    columns = zip(
        samples.tag, samples.device_time, samples.received_time, samples.number, samples.text,
        samples.quality, strict=True,
    )  # fmt: skip
    for sample in columns:
        if sample[0] in tags:
            into.add(*sample)


def _count(header: Header) -> int:
    return min(_MOST_OBSERVATIONS, header.size) if header.size else _MOST_OBSERVATIONS


def _node(item: DataItem, *, unique: bool = False) -> Node:
    """As short as it is clear, so that a mapping with the machine in its ids serves all of them."""
    return Node(
        tag=item.id if unique or not item.device else f"{item.device}/{item.id}",
        name=item.name or item.id,
        path=item.path,
        type=f"{item.category} {item.type} {item.sub_type}".strip(),
        unit=item.units,
    )
