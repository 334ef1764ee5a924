"""After an outage the gap is filled from the server's own history, and nothing counts twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.server.history import HistoryDict
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from isthmus.base.clock import DAY, SECOND, Micros, SystemClock, to_datetime, to_micros
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource, history
from isthmus.field.connectors.opcua.address import NodeAddress, Reading
from isthmus.field.connectors.opcua.arrivals import Arrivals, NodeItem, Reader
from isthmus.field.connectors.opcua.asking import Asking
from isthmus.field.connectors.opcua.structures import Structures
from isthmus.field.samples import Samples
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import Rows
from isthmus.model.spec.machine_type import Counter
from isthmus.model.spec.site import Keep
from isthmus.runtime.filled import Filled
from isthmus.runtime.sources import SourceEvent, SourceRunner
from isthmus.testing.connector_suite import opened, read_until
from isthmus.testing.one_source import T0, plant, readable, sample, samples
from isthmus.testing.one_source import field as mapped
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.peer import node_peer
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

Kind = ua.VariantType
STATE = "ns=2;s=IM07.State"
SHOTS = "ns=2;s=IM07.Shots"
MELT = "ns=2;s=IM07.Melt"
KEPT = "nsu=urn:peer:machine;s=Kept"
"""At node-opcua."""
BRIEF = "nsu=urn:peer:machine;s=Brief"
"""There, too: of this it stores the last three values alone."""
MOMENT = timedelta(milliseconds=1)
PEERS = Path(__file__).parent / "peers"
PATIENCE = 20.0


class Remembering(HistoryDict):
    """Gives bounds, as the standard wants it: the value that held at the start comes first."""

    async def read_node_history(
        self, node_id: ua.NodeId, start: Any, end: Any, nb_values: int
    ) -> tuple[list[ua.DataValue], Any]:
        kept = self._datachanges.get(node_id, [])
        before = [value for value in kept if value.SourceTimestamp < start]
        inside, rest = await super().read_node_history(node_id, start, end, nb_values)
        missing = ua.DataValue(
            ua.Variant(None),
            ua.StatusCode(StatusCodes.BadBoundNotFound),
            SourceTimestamp=start,
        )
        return [before[-1] if before else missing, *inside], rest


@pytest.fixture(scope="module")
def running_server() -> Iterator[OpcuaServer]:
    variables = {
        STATE: ua.Variant(3, Kind.Int32),
        SHOTS: ua.Variant(65_530, Kind.UInt16),
        MELT: ua.Variant(210.0, Kind.Double),
    }
    with OpcuaServer(variables) as running:
        yield running


@pytest.fixture
async def server(running_server: OpcuaServer) -> AsyncIterator[OpcuaServer]:
    """As it was before it began to store anything."""
    for tag, value in ((STATE, 3), (SHOTS, 65_530), (MELT, 210.0)):
        await running_server.set(tag, value)
    yield running_server

    async def forget(server: Any) -> None:
        manager = server.iserver.history_manager
        for node in list(manager._handlers):
            await manager.dehistorize(node)
        manager.storage._datachanges.clear()
        if manager._sub is not None:  # it fills the storage there was when it began
            await manager._sub.delete()
            manager._sub = None

    await running_server.run(forget)


async def keep(device: OpcuaServer, *tags: str, storage: type[HistoryDict] = Remembering) -> None:
    """The server stores the history of these from now on."""

    async def there(server: Any) -> None:
        manager = server.iserver.history_manager
        if type(manager.storage) is not storage:
            manager.set_storage(storage())
        for tag in tags:
            node = server.get_node(tag)
            await node.set_attr_bit(ua.AttributeIds.AccessLevel, ua.AccessLevel.HistoryRead)
            await server.historize_node_data_change(node, period=None, count=1_000)

    await device.run(there)


async def stored(device: OpcuaServer, tag: str, value: float) -> None:
    """Wait until the server itself has stored this value of a node."""
    node = ua.NodeId.from_string(tag)

    async def last(server: Any) -> Any:
        kept = server.iserver.history_manager.storage._datachanges[node]
        return kept[-1].Value.Value if kept else None

    async with asyncio.timeout(PATIENCE):
        while await device.run(last) != value:  # noqa: ASYNC110 - it is another thread's
            await asyncio.sleep(0.01)


class FromTheFirst(HistoryDict):
    """Takes the two times of a question in their order, so what comes first is the oldest."""

    async def read_node_history(
        self, node_id: ua.NodeId, start: Any, end: Any, nb_values: int
    ) -> tuple[list[ua.DataValue], Any]:
        first, last = sorted((start, end))
        return await super().read_node_history(node_id, first, last, nb_values)


class ForwardsAlone(HistoryDict):
    """Says no to a question that goes back, and counts those."""

    refused = 0

    async def read_node_history(
        self, node_id: ua.NodeId, start: Any, end: Any, nb_values: int
    ) -> tuple[list[ua.DataValue], Any]:
        if start > end:
            self.refused += 1
            raise ua.UaStatusCodeError(StatusCodes.BadInvalidArgument)
        return await super().read_node_history(node_id, start, end, nb_values)


class Plant:
    """A source runner over a cable, and what became of its samples."""

    def __init__(self, folder: Path, port: int, *tags: str) -> None:
        keys: dict[str, Any] = {"interval": "50 ms", "timeout": "1 s", "history": True}
        spec = OpcuaSource(endpoint=f"opc.tcp://{LOOPBACK}:{port}", **keys)
        every = {
            STATE: mapped(
                "a", "machine_state.state", STATE, codes=(("3", "execute"), ("7", "held"))
            ),
            SHOTS: mapped("a", "part_count.good", SHOTS, counter=Counter(bits=16)),
            MELT: mapped("a", "cycle.melt_temp", MELT),
            KEPT: mapped("a", "part_count.good", KEPT, counter=Counter(bits=16)),
            BRIEF: mapped("a", "part_count.good", BRIEF, counter=Counter(bits=16)),
        }
        source, whole = plant(*(every[tag] for tag in tags), spec=spec)
        self.log = SqliteLog(folder / "hamburg.sqlite", "hamburg", Keep())
        self.events: list[SourceEvent] = []
        self.runner = SourceRunner(
            source, whole, self.log, SystemClock(),
            on_rows=self._rows, on_event=self.events.append,
        )  # fmt: skip

    def _rows(self, rows: Sequence[Rows]) -> None:
        del rows

    def rows(self, block: str) -> list[dict[str, Any]]:
        return [
            readable(row)
            for parcel in self.log.read("rows", 0, 10_000)
            if parcel.name == block
            for row in parcel.table().to_pylist()
        ]

    def parts(self) -> int:
        return sum(row.get("good", 0) for row in self.rows("part_count"))

    def increments(self, began: Micros, ended: Micros) -> list[int]:
        """Of rows from that time."""
        return [
            row["good"]
            for row in self.rows("part_count")
            if row.get("good") and began <= T0 + row["time"] * SECOND <= ended
        ]

    def gap(self) -> float:
        """Seconds of the one gap of an outage."""
        gaps = self.log.gaps(0, SystemClock().now() + DAY)
        (found,) = (gap for gap in gaps if gap.reason == "lost")
        assert found.end is not None
        return (found.end - found.start) / SECOND

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, [event.what for event in self.events]
            await asyncio.sleep(0.01)

    def said(self, what: str) -> bool:
        return any(event.what == what for event in self.events)


@asynccontextmanager
async def running(folder: Path, port: int, *tags: str) -> AsyncIterator[Plant]:
    made = Plant(folder, port, *tags)
    task = asyncio.create_task(made.runner.run())
    try:
        yield made
    finally:
        made.runner.stop()
        await task
        made.log.close()


@dataclass(frozen=True)
class Outcome:
    """What was on disk when the source was back."""

    parts: int
    meanwhile: list[int]
    """Increments of rows from the time of the outage."""
    states: list[dict[str, Any]]
    gap: float
    """Seconds."""
    said: str
    """When it was back."""


async def outage(
    device: OpcuaServer,
    folder: Path,
    tags: Sequence[str],
    kept: Sequence[str],
    storage: type[HistoryDict] = Remembering,
) -> Outcome:
    """Cut the cable, let the machine work, heal it."""
    await keep(device, *kept, storage=storage)
    async with TcpProxy(device.port) as cable, running(folder, cable.port, *tags) as made:
        await made.until(lambda: made.said("connected"))
        await device.set(SHOTS, 65_535)
        await made.until(lambda: made.parts() == 5)
        await cable.refuse()
        await made.until(lambda: made.said("lost"))
        began = SystemClock().now()
        for shots in (2, 4, 7):
            await device.set(SHOTS, shots)
            await asyncio.sleep(0.02)
        ended = SystemClock().now()
        await stored(device, SHOTS, 7)
        await cable.heal()
        await made.until(lambda: made.said("back"))
        await device.set(SHOTS, 9)
        await made.until(lambda: made.parts() >= 15)
        during = made.increments(began, ended)
        said = [event.detail for event in made.events if event.what == "back"]
        return Outcome(made.parts(), during, made.rows("machine_state"), made.gap(), said[-1])


@pytest.mark.parametrize("storage", [Remembering, HistoryDict])
async def test_a_gap_that_history_covers_is_filled_and_no_part_counts_twice(
    server: OpcuaServer, tmp_path: Path, storage: type[HistoryDict]
) -> None:
    """The second one gives no bounds, so it is asked once more, backwards."""
    after = await outage(server, tmp_path, [STATE, SHOTS], [STATE, SHOTS], storage)
    assert after.parts == 15
    assert after.meanwhile == [3, 2, 3]
    assert after.gap == 0.0
    assert "is filled" in after.said
    unknown = [row["time"] for row in after.states if "state" not in row]
    known = [row["time"] for row in after.states if "state" in row and row["time"] > unknown[0]]
    assert min(known) - unknown[0] < 0.001


@pytest.mark.parametrize(("storage", "known"), [(FromTheFirst, 1), (ForwardsAlone, 0)])
async def test_a_gap_stays_where_no_question_goes_back(
    server: OpcuaServer, tmp_path: Path, storage: type[HistoryDict], known: int
) -> None:
    """Of the state the server holds one value alone: the first it tells is the last as well."""
    after = await outage(server, tmp_path, [STATE, SHOTS], [STATE, SHOTS], storage)
    assert (after.parts, after.meanwhile) == (15, [3, 2, 3])
    assert after.gap > 0.0
    assert f"stays: only {known} of 2 tags are known" in after.said


async def test_a_gap_in_which_the_server_itself_was_off_stays(tmp_path: Path) -> None:
    """Its archive outlives it, but says nothing of what it did not see."""

    async def archive(server: Any, kept: Any = None) -> Any:
        manager = server.iserver.history_manager
        if kept is not None:
            manager.set_storage(kept)
            node = server.get_node(STATE)
            await node.set_attr_bit(ua.AttributeIds.AccessLevel, ua.AccessLevel.HistoryRead)
        return manager.storage

    with OpcuaServer({STATE: ua.Variant(3, Kind.Int32)}) as device:
        await keep(device, STATE)
        async with TcpProxy(device.port) as cable, running(tmp_path, cable.port, STATE) as made:
            await made.until(lambda: made.said("connected"))
            await stored(device, STATE, 3)
            kept = await device.run(archive)
            await cable.refuse()
            await asyncio.to_thread(device.stop)
            await made.until(lambda: made.said("lost"))
            off_until = SystemClock().now()
            await asyncio.to_thread(device.start)
            await device.run(lambda server: archive(server, kept))
            await cable.heal()
            await made.until(lambda: made.said("back"))
            await device.set(STATE, 7)
            await made.until(lambda: made.rows("machine_state")[-1].get("state") == "held")
            (said,) = (event.detail for event in made.events if event.what == "back")
            states = [row.get("state") for row in made.rows("machine_state")]
            back, gap = made.rows("machine_state")[2]["time"], made.gap()
    assert states == ["execute", None, "execute", "held"]
    assert T0 + back * SECOND >= off_until
    assert gap > 0.0
    assert "stays: only 0 of 1 tags are known" in said


async def held_by(port: int, name: str) -> list[tuple[Micros, float]]:
    """What node-opcua itself stores of a number, with its times."""
    async with Client(f"opc.tcp://{LOOPBACK}:{port}") as client:
        index = await client.get_namespace_index("urn:peer:machine")
        stored = await client.get_node(f"ns={index};s={name}").read_raw_history(
            datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(minutes=1)
        )
    return [(to_micros(one.SourceTimestamp), one.Value.Value) for one in stored]


@dataclass(frozen=True)
class Shown:
    """What an outage of node-opcua became."""

    rows: list[tuple[Micros, int]]
    """Parts, with their times; the last four are those of the outage, and after it."""
    stored: list[tuple[Micros, float]]
    """By the server itself, of its counter, before it was back."""
    gap: float
    said: str
    rests: int
    """Continuation points that the server still keeps for us."""


async def outage_of_node_opcua(folder: Path, tag: str) -> Shown:
    name = tag.rpartition("=")[2]
    papers = folder / "node-opcua"
    papers.mkdir()
    with node_peer(PEERS, "opcua_machine.mjs", "node-opcua", str(papers)) as machine:
        async with TcpProxy(machine.port) as cable, running(folder, cable.port, tag) as made:
            await made.until(lambda: made.said("connected"))
            for shots in (1, 3, 5):
                await asyncio.sleep(0.02)  # its clock counts in milliseconds
                machine.tell(set=name, value=shots)
            await made.until(lambda: made.parts() == 5)
            await cable.refuse()
            await made.until(lambda: made.said("lost"))
            for shots in (7, 10, 11):
                await asyncio.sleep(0.02)
                machine.tell(set=name, value=shots)
            stored = await held_by(machine.port, name)
            await cable.heal()
            await made.until(lambda: made.said("back"))
            machine.tell(set=name, value=13)
            await made.until(lambda: made.parts() >= 13)
            (said,) = (event.detail for event in made.events if event.what == "back")
            rows = [
                (T0 + round(row["time"] * SECOND), row["good"])
                for row in made.rows("part_count")
                if row.get("good")
            ]
            rests = int(machine.tell(rests=True))
            return Shown(rows, stored, made.gap(), said, rests)


@pytest.mark.peer
async def test_an_outage_of_node_opcua_is_filled_with_what_it_holds_though_it_gives_no_bounds(
    tmp_path: Path,
) -> None:
    after = await outage_of_node_opcua(tmp_path, KEPT)
    counted = [(at, round(now - before)) for (_, before), (at, now) in pairwise(after.stored)]
    assert [parts for _, parts in counted] == [1, 2, 2, 2, 3, 1]
    assert after.rows[-4:-1] == counted[-3:]
    assert after.gap == 0.0
    assert "is filled: 4 values" in after.said
    assert after.rests == 0


@pytest.mark.peer
async def test_a_gap_stays_when_node_opcua_no_longer_holds_what_was_there_at_its_beginning(
    tmp_path: Path,
) -> None:
    after = await outage_of_node_opcua(tmp_path, BRIEF)
    assert [value for _, value in after.stored] == [7, 10, 11]
    assert [parts for _, parts in after.rows[-4:]] == [2, 3, 1, 2]
    assert after.gap > 0.0
    assert "stays: only 0 of 1 tags are known from its beginning on (3 values" in after.said


async def test_a_gap_stays_when_one_tag_has_no_history(server: OpcuaServer, tmp_path: Path) -> None:
    after = await outage(server, tmp_path, [STATE, SHOTS, MELT], [SHOTS])
    assert (after.parts, after.meanwhile) == (15, [3, 2, 3])
    assert after.gap > 0.0
    assert "stays: only 1 of 3 tags are known" in after.said


async def test_a_server_whose_clock_is_wrong_fills_nothing(
    server: OpcuaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "CLOCKS_AGREE", -1)
    await keep(server, SHOTS)
    spec = OpcuaSource(endpoint=f"opc.tcp://{LOOPBACK}:{server.port}", interval=0.05, timeout=5.0)
    reading = OpcuaConnector("im07", spec, (SHOTS,), SystemClock())
    async with opened(reading):
        await read_until(reading, lambda seen: len(seen) >= 1)
        now = SystemClock().now()
        with pytest.raises(Exception, match=r"the server's clock is \d s") as unsupported:
            await reading.history(now - SECOND, now)
    assert type(unsupported.value).__name__ == "Unsupported"


async def test_history_comes_in_order_of_time_led_by_what_held_at_the_start(
    server: OpcuaServer,
) -> None:
    await keep(server, SHOTS, MELT)
    before = datetime.now(UTC)
    for tag, minutes, value in ((SHOTS, 1, 10), (MELT, 2, 1.5), (SHOTS, 3, 11), (MELT, 4, 2.5)):
        kind = Kind.UInt16 if tag == SHOTS else Kind.Double
        stamp: Any = before + timedelta(milliseconds=minutes)
        await server.write(tag, ua.DataValue(ua.Variant(value, kind), SourceTimestamp=stamp))
    await stored(server, SHOTS, 11)
    await stored(server, MELT, 2.5)
    spec = OpcuaSource(endpoint=f"opc.tcp://{LOOPBACK}:{server.port}", interval=0.05, timeout=5.0)
    reading = OpcuaConnector("im07", spec, (SHOTS, MELT), SystemClock())
    start = to_micros(before) + 2_500
    async with opened(reading):
        table = await reading.history(start, to_micros(before) + 1_000_000)
    assert [(row["tag"], row["number"]) for row in table.to_pylist()] == [
        (SHOTS, 10.0),
        (MELT, 1.5),
        (SHOTS, 11.0),
        (MELT, 2.5),
    ]
    assert to_datetime(start) > table["device_time"][1].as_py()


class Hesitant(Asking):
    """A server that needs too long to look back."""

    def __init__(self) -> None:
        self.backwards = 0

    async def read_attributes(
        self, nodes: Sequence[ua.NodeId], attribute: AttributeIds
    ) -> list[ua.DataValue]:
        now, levels = datetime.now(UTC), ua.Variant(0xFF, Kind.Byte)
        value = ua.Variant(now, Kind.DateTime) if attribute is AttributeIds.Value else levels
        return [ua.DataValue(value) for _ in nodes]

    async def history_read(self, parameters: ua.HistoryReadParameters) -> list[Any]:
        details = parameters.HistoryReadDetails
        assert isinstance(details, ua.ReadRawModifiedDetails)
        if details.EndTime < details.StartTime:
            self.backwards += 1
            raise TimeoutError
        value = ua.DataValue(ua.Variant(7, Kind.Int32), SourceTimestamp=details.EndTime - MOMENT)
        return [
            ua.HistoryReadResult(HistoryData=ua.HistoryData(DataValues=[value]))
            for _ in parameters.NodesToRead
        ]


async def test_a_look_back_that_takes_too_long_costs_nothing_else_and_is_not_tried_again() -> None:
    session, reader = Hesitant(), Reader("t", Reading(NodeAddress("IM07.Shots", 2)))
    arrivals = Arrivals(Samples(), Structures(session))
    arrivals.add(NodeItem(reader.reading.node, ua.NodeId("IM07.Shots", 2), [reader], 0))
    asked = history.History(session, arrivals, SystemClock())
    for hour in (1, 2):
        table = await asked.read(hour * 3_600 * SECOND, (hour + 1) * 3_600 * SECOND)
        assert [row["number"] for row in table.to_pylist()] == [7.0]
    assert session.backwards == 1


# What is known of a gap --------------------------------------------------------------------------


def test_a_gap_is_read_in_hours_and_goes_on_where_the_link_broke() -> None:
    hour = 3_600 * SECOND
    filled = Filled(0)
    assert list(filled.windows(2 * hour + 1)) == [
        (0, hour), (hour, 2 * hour), (2 * hour, 2 * hour + 1),
    ]  # fmt: skip
    filled.wrote(samples(), hour)
    assert list(filled.windows(2 * hour)) == [(hour, 2 * hour)]


def test_a_later_window_does_not_bring_its_leading_value_again() -> None:
    kept = samples(sample("good", 1, 0.0), sample("good", 2, 20.0))
    filled = Filled(sample("good", 0, 5.0)["device_time"])
    assert filled.new(kept).num_rows == 2
    filled.wrote(kept, sample("good", 0, 10.0)["device_time"])
    assert filled.new(kept)["number"].to_pylist() == [2.0]


def test_only_tags_known_from_the_beginning_of_the_gap_close_it() -> None:
    filled = Filled(sample("", 0, 5.0)["device_time"])
    filled.wrote(samples(sample("good", 1, 5.0), sample("state", 3, 6.0)), filled.since)
    assert filled.covers(["good"])
    assert not filled.covers(["good", "state"])
    assert not filled.covers(["good", "melt"])
    filled.trouble = "the server's clock is wrong"
    assert not filled.covers(["good"])
