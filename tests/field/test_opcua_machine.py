"""Structures, enumerations, events and alarms of a PackML machine that node-opcua plays."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from asyncua.ua.status_codes import StatusCodes
from tests.field.plc.reading import plant_with

from isthmus.base.clock import SECOND, SystemClock, to_micros
from isthmus.field.connector import AnyConnector
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource, monitoring
from isthmus.field.shape import Mapping, shape
from isthmus.flow.parcel import GOOD, SAMPLES_SCHEMA
from isthmus.model.plant import Plant
from isthmus.testing.connector_suite import PATIENCE, Sample, opened, read_until
from isthmus.testing.opcua_wire import write_requests
from isthmus.testing.peer import Peer, node_peer
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

pytestmark = pytest.mark.peer

PEERS = Path(__file__).parent / "peers"
NODE = "nsu=urn:peer:machine;s="
EVENT = f"event({NODE}IM07)."
FIELDS = ("SourceName", "Severity", "Message", "ActiveState/Id", "AckedState/Id", "ConditionId")
JOB = {
    "order": "4711",
    "quantity": 1200,
    "mode": 1,
    "started": "2026-11-22T06:00:00Z",
    "title": {"locale": "de", "text": "Deckel 12"},
    "items": [{"cavity": 1, "weight": 4.5}, {"cavity": 2, "weight": 4.25}],
    "limits": [1.5, 2.5],
}


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder = str(tmp_path_factory.mktemp("node-opcua"))
    with node_peer(PEERS, "opcua_machine.mjs", "node-opcua", folder) as running:
        yield running


def connector(port: int, *tags: str, **keys: Any) -> OpcuaConnector:
    usual: dict[str, Any] = {"interval": "50 ms", "timeout": "2 s"}
    spec = OpcuaSource(endpoint=f"opc.tcp://{LOOPBACK}:{port}", **(usual | keys))
    return OpcuaConnector("im07", spec, tags, SystemClock())


def events_of(samples: list[Sample]) -> list[dict[str, Any]]:
    """Each event's fields by their names, in the order of their times."""
    events: dict[int, dict[str, Any]] = {}
    for sample in samples:
        name = sample.tag.removeprefix(EVENT)
        events.setdefault(sample.device_time, {"time": sample.device_time})[name] = sample.value
    return [event for _, event in sorted(events.items())]


async def event_like(reading: OpcuaConnector, **fields: Any) -> dict[str, Any]:
    """The first event that comes with these fields: conditions of before are told, too."""

    def found(samples: list[Sample]) -> list[dict[str, Any]]:
        return [event for event in events_of(samples) if fields.items() <= event.items()]

    return found(await read_until(reading, lambda seen: bool(found(seen))))[0]


ACTIVE = "ActiveState/Id"


# Structures and enumerations ---------------------------------------------------------------------


async def test_members_of_a_structure_are_tags(peer: Peer) -> None:
    expected = {
        "Job.Order": "4711",
        "Job.Quantity": 1200.0,
        "Job.Mode": 1.0,
        "Job.Mode#name": "Automatic",
        "Job.Started": "2026-11-22T06:00:00Z",
        "Job.Title": "Deckel 12",
        "Job.Items[1].Weight": 4.25,
        "Job.Limits[0]": 1.5,
        "Jobs[1].Quantity": 1200.0,
    }
    tags = [NODE + name for name in expected]
    peer.tell(job=JOB)
    async with opened(connector(peer.port, *tags)) as reading:
        samples = await read_until(reading, lambda seen: len(seen) >= len(tags))
    assert {sample.tag.removeprefix(NODE): sample.value for sample in samples} == expected
    assert {sample.quality for sample in samples} == {GOOD}


async def test_only_the_members_that_changed_come(peer: Peer) -> None:
    tags = [f"{NODE}Job.{name}" for name in ("Order", "Quantity", "Items[0].Weight")]
    peer.tell(job=JOB)
    async with opened(connector(peer.port, *tags)) as reading:
        await read_until(reading, lambda seen: len(seen) >= len(tags))
        peer.tell(job=JOB | {"quantity": 500})
        samples = await read_until(reading, lambda seen: len(seen) >= 1)
    assert [(sample.tag, sample.value) for sample in samples] == [(f"{NODE}Job.Quantity", 500.0)]


async def test_a_whole_structure_is_text(peer: Peer) -> None:
    peer.tell(job=JOB)
    async with opened(connector(peer.port, f"{NODE}Job")) as reading:
        (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
    assert sample.value == (
        '{"Order": "4711", "Quantity": 1200, "Mode": 1, "Started": "2026-11-22T06:00:00Z", '
        '"Title": "Deckel 12", "Items": [{"Cavity": 1, "Weight": 4.5}, '
        '{"Cavity": 2, "Weight": 4.25}], "Limits": [1.5, 2.5]}'
    )


async def test_a_member_or_element_that_is_not_there_says_so(peer: Peer) -> None:
    tags = [f"{NODE}Job.NoSuchMember", f"{NODE}Job.Items[7].Weight"]
    async with opened(connector(peer.port, *tags)) as reading:
        samples = await read_until(reading, lambda seen: len(seen) >= 2)
    assert {sample.tag: (sample.value, sample.quality) for sample in samples} == {
        tags[0]: (None, StatusCodes.BadNotFound),
        tags[1]: (None, StatusCodes.BadIndexRangeNoData),
    }


async def test_an_enumeration_comes_by_number_and_by_name(peer: Peer) -> None:
    tags = [f"{NODE}Mode", f"{NODE}Mode#name"]
    async with opened(connector(peer.port, *tags)) as reading:
        samples = await read_until(reading, lambda seen: len(seen) >= 2)
    assert {sample.tag: sample.value for sample in samples} == {tags[0]: 4.0, tags[1]: "Setup"}


async def test_a_packml_machine_is_browsed_down_to_its_state(peer: Peer) -> None:
    reading = connector(peer.port)
    async with opened(reading):
        top = {node.name: node async for node in reading.browse()}
        machine = {node.name: node async for node in reading.browse(top["IM07"].tag)}
        packml = {node.name: node async for node in reading.browse(machine["PackML"].tag)}
    assert {"Status", "Admin", "BaseStateMachine"} <= packml.keys()
    assert packml["BaseStateMachine"].has_children


# Events ------------------------------------------------------------------------------------------


async def test_an_event_becomes_one_row_of_its_fields(peer: Peer) -> None:
    tags = [EVENT + field for field in FIELDS]
    async with opened(connector(peer.port, *tags)) as reading:
        peer.tell(event="Tool changed", severity=200)
        event = await event_like(reading, Message="Tool changed")
    del event["time"]
    assert event == {"SourceName": "IM07", "Severity": 200.0, "Message": "Tool changed"}


async def test_an_alarm_comes_when_it_begins_and_when_it_ends(peer: Peer) -> None:
    tags = [EVENT + field for field in FIELDS]
    peer.tell(set="Temperature", value=20)
    async with opened(connector(peer.port, *tags)) as reading:
        peer.tell(set="Temperature", value=95)
        begun = await event_like(reading, **{ACTIVE: 1.0})
        peer.tell(set="Temperature", value=20)
        ended = await event_like(reading, **{ACTIVE: 0.0})
    assert begun["AckedState/Id"] == 0.0
    assert begun["ConditionId"] == ended["ConditionId"]
    assert "High" in begun["Message"]


async def test_an_alarm_that_stood_before_is_told_at_opening_as_of_now(peer: Peer) -> None:
    tags = [EVENT + field for field in FIELDS]
    peer.tell(set="Temperature", value=20)
    peer.tell(set="Temperature", value=95)
    before = SystemClock().now()
    async with TcpProxy(peer.port) as proxy:
        async with opened(connector(proxy.port, *tags)) as reading:
            event = await event_like(reading, **{ACTIVE: 1.0})
            assert reading.attention() == []
        assert write_requests(bytes(proxy.sent)) == []
    peer.tell(set="Temperature", value=20)
    assert event["time"] >= before


async def test_only_events_of_the_type_asked_for_come(peer: Peer) -> None:
    tag = f"event({NODE}IM07, i=2915).Message"
    peer.tell(set="Temperature", value=20)
    async with opened(connector(peer.port, tag)) as reading:
        peer.tell(event="Tool changed", severity=200)
        peer.tell(set="Temperature", value=95)
        (sample, *_) = await read_until(reading, lambda seen: len(seen) >= 1)
    peer.tell(set="Temperature", value=20)
    assert "Tool" not in str(sample.value)


async def test_a_notifier_that_is_none_is_bad(peer: Peer) -> None:
    tag = f"event({NODE}NoSuchNode).Message"
    async with opened(connector(peer.port, tag)) as reading:
        (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
    assert sample.quality >> 30 == 2


# Downloads ---------------------------------------------------------------------------------------


async def test_a_node_that_goes_and_comes_back_is_read_again(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "LOOK_AGAIN", 0.05)
    tag, never = f"{NODE}Pressure", f"{NODE}Never"
    async with opened(connector(peer.port, tag, never)) as reading:
        first = await read_until(reading, lambda seen: len(seen) >= 2)
        peer.tell(add="Pressure", value=3.5)
        (there,) = await read_until(reading, lambda seen: len(seen) >= 1)
        peer.tell(remove="Pressure")
        (gone,) = await read_until(reading, lambda seen: len(seen) >= 1)
        peer.tell(add="Pressure", value=4.5)
        (back,) = await read_until(reading, lambda seen: len(seen) >= 1)
    assert {sample.quality for sample in first} == {StatusCodes.BadNodeIdUnknown}
    assert (there.tag, there.value) == (tag, 3.5)
    assert (gone.tag, gone.value, gone.quality >> 30) == (tag, None, 2)
    assert (back.tag, back.value) == (tag, 4.5)


# History -----------------------------------------------------------------------------------------


async def test_history_of_another_implementation_comes_in_order_with_its_own_times(
    peer: Peer,
) -> None:
    tag = f"{NODE}Kept"
    async with opened(connector(peer.port, tag, history=True)) as reading:
        await read_until(reading, lambda seen: len(seen) >= 1)
        since = SystemClock().now() - SECOND  # its clock counts in milliseconds
        seen: list[Sample] = []
        for value in range(1, 6):  # one by one, so that each has a time of its own
            peer.tell(set="Kept", value=value)
            seen += await read_until(reading, lambda seen: len(seen) >= 1)
        kept = await reading.history(since, SystemClock().now())
    inside = [
        (to_micros(row["device_time"]), row["number"])
        for row in kept.to_pylist()
        if to_micros(row["device_time"]) >= seen[0].device_time and row["quality"] == GOOD
    ]
    assert inside == [(sample.device_time, sample.value) for sample in seen]
    assert [value for _, value in inside] == [1, 2, 3, 4, 5]


# From the wire to rows ---------------------------------------------------------------------------

ALARMS = """
machine_type: press
kind: opcua
blocks: [alarm]
map:
  alarm.source: {tag: "event(nsu=urn:peer:machine;s=IM07).SourceName"}
  alarm.name: {tag: "event(nsu=urn:peer:machine;s=IM07).ConditionName"}
  alarm.severity: {tag: "event(nsu=urn:peer:machine;s=IM07).Severity"}
  alarm.active: {tag: "event(nsu=urn:peer:machine;s=IM07).ActiveState/Id"}
  alarm.acknowledged: {tag: "event(nsu=urn:peer:machine;s=IM07).AckedState/Id"}
  alarm.message: {tag: "event(nsu=urn:peer:machine;s=IM07).Message"}
"""


async def alarm_row(reading: AnyConnector, plant: Plant, *, active: bool) -> dict[str, Any]:
    """The next row of the block `alarm` that says so."""
    mapping, samples = Mapping.of(plant.sources["plc"], plant), SAMPLES_SCHEMA.empty_table()
    async with asyncio.timeout(PATIENCE):
        while True:
            if (table := await reading.read()) is not None:
                samples = pa.concat_tables([samples, table])
            shaped = shape(samples, mapping, None, now=SystemClock().now())
            rows = [row for part in shaped.rows for row in part.table.to_pylist()]
            if found := [row for row in rows if row["active"] is active]:
                return found[0]


async def test_an_alarm_that_begins_and_ends_is_two_whole_rows_of_the_ready_block(
    peer: Peer,
) -> None:
    keys = {"endpoint": f"opc.tcp://{LOOPBACK}:{peer.port}", "interval": "50 ms"}
    plant = plant_with(ALARMS, {"kind": "opcua"} | keys)
    peer.tell(set="Temperature", value=20)
    async with opened(connector(peer.port, *plant.sources["plc"].tags)) as reading:
        peer.tell(set="Temperature", value=95)
        begun = await alarm_row(reading, plant, active=True)
        peer.tell(set="Temperature", value=20)
        ended = await alarm_row(reading, plant, active=False)
    assert begun["time"] < ended["time"]
    assert begun["acknowledged"] is False
    assert "High" in begun["message"]
    assert begun["severity"] > 0
    assert (ended["source"], ended["name"]) == (begun["source"], begun["name"])
    assert None not in (begun["source"], begun["name"])
