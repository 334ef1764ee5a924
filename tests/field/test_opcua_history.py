"""After an outage the gap is filled from the server's own history, and nothing counts twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.history import HistoryDict
from asyncua.ua.status_codes import StatusCodes

from isthmus.base.clock import DAY, SECOND, Micros, SystemClock, to_datetime, to_micros
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource, history
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

    await running_server.run(forget)


async def keep(device: OpcuaServer, *tags: str) -> None:
    """The server stores the history of these from now on."""

    async def there(server: Any) -> None:
        manager = server.iserver.history_manager
        if not isinstance(manager.storage, Remembering):
            manager.set_storage(Remembering())
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
    device: OpcuaServer, folder: Path, tags: Sequence[str], kept: Sequence[str]
) -> Outcome:
    """Cut the cable, let the machine work, heal it."""
    await keep(device, *kept)
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


async def test_a_gap_that_history_covers_is_filled_and_no_part_counts_twice(
    server: OpcuaServer, tmp_path: Path
) -> None:
    after = await outage(server, tmp_path, [STATE, SHOTS], [STATE, SHOTS])
    assert after.parts == 15
    assert after.meanwhile == [3, 2, 3]
    assert after.gap == 0.0
    assert "is filled" in after.said
    unknown = [row["time"] for row in after.states if "state" not in row]
    known = [row["time"] for row in after.states if "state" in row and row["time"] > unknown[0]]
    assert min(known) - unknown[0] < 0.001


@pytest.mark.peer
async def test_parts_of_an_outage_come_from_node_opcua_but_the_gap_stays(tmp_path: Path) -> None:
    """It gives no bounds, whatever is asked: what held when the gap began, nobody knows."""
    papers = tmp_path / "node-opcua"
    papers.mkdir()
    with node_peer(PEERS, "opcua_machine.mjs", "node-opcua", str(papers)) as machine:
        async with TcpProxy(machine.port) as cable, running(tmp_path, cable.port, KEPT) as made:
            await made.until(lambda: made.said("connected"))
            machine.tell(set="Kept", value=5)
            await made.until(lambda: made.parts() == 5)
            await cable.refuse()
            await made.until(lambda: made.said("lost"))
            began = SystemClock().now()
            for shots in (7, 10, 11):
                await asyncio.sleep(0.02)  # its clock counts in milliseconds
                machine.tell(set="Kept", value=shots)
            ended = SystemClock().now()
            await cable.heal()
            await made.until(lambda: made.said("back"))
            machine.tell(set="Kept", value=13)
            await made.until(lambda: made.parts() >= 13)
            assert made.increments(began, ended) == [2, 3, 1]
            (said,) = (event.detail for event in made.events if event.what == "back")
            assert made.parts() == 13
            assert made.gap() > 0.0
            assert "stays: only 0 of 1 tags are known from its beginning on (3 values" in said


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
    before = datetime.now(UTC) - timedelta(minutes=1)
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
