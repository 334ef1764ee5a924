"""Sparkplug B against mosquitto, with an edge node that keeps the rules or breaks them."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr, ValidationError

from isthmus.base.clock import SECOND, SystemClock
from isthmus.field.connector import AnyConnector, Missed, Refused
from isthmus.field.connectors.sparkplug import SparkplugConnector, SparkplugSource
from isthmus.field.connectors.sparkplug import connector as module
from isthmus.field.connectors.sparkplug.proto import messages
from isthmus.field.values import BAD_DECODING, BAD_NO_DATA, BAD_WAITING_FOR_INITIAL_DATA
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import BAD, BAD_NODE_UNKNOWN, BAD_NOT_CONNECTED, GOOD, UNCERTAIN
from isthmus.model.spec.site import Keep, SourceSpec
from isthmus.runtime.sources import SourceRunner
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Device,
    Sample,
    Value,
    opened,
    read_for,
    read_once,
    read_until,
    until,
)
from isthmus.testing.mosquitto import (
    Mosquitto,
    needs_mosquitto,
    with_passwords,
    with_subscriptions_only_to,
)
from isthmus.testing.mqtt_wire import publications
from isthmus.testing.one_source import field, plant
from isthmus.testing.sparkplug_edge import BOOLEAN, DOUBLE, STRING, Metric, SparkplugEdge, now_ms

pytestmark = [pytest.mark.peer, needs_mosquitto]

HOST = "isthmus-hall-2"
STATE = "plant/edge-1/press-4:State"
TEMP = "plant/edge-1/press-4:Melt/Temp"
DOOR = "plant/edge-1:Door"
MOTOR = "plant/edge-1/press-4:Motor"
UINT64, INT8, DATASET, TEMPLATE = 8, 1, 16, 19


@pytest.fixture(autouse=True)
def _short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that waits a second for nothing would make `read_for` as long."""
    monkeypatch.setattr(module, "_READ_WAITS", 0.1)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
async def edge(broker: Mosquitto) -> AsyncIterator[SparkplugEdge]:
    made = press(broker.port)
    yield made
    await asyncio.to_thread(made.stop)


def press(port: int) -> SparkplugEdge:
    """An edge node with one device; its births wait until we are online."""
    edge = SparkplugEdge(port)
    edge.primary = HOST
    edge.add("", Metric("Door", BOOLEAN, value=False))
    edge.add("press-4", Metric("State", STRING, "RUN"), Metric("Melt/Temp", DOUBLE, 23.5))
    return edge


def source(port: int, **options: Any) -> SparkplugSource:
    fast: dict[str, Any] = {"first_value": 0.4, "reorder_timeout": 0.2, "timeout": 2.0}
    return SparkplugSource(host="127.0.0.1", port=port, **(fast | options))


def connector(edge: SparkplugEdge, *tags: str, **options: Any) -> SparkplugConnector:
    spec = source(edge.port, **options)
    return SparkplugConnector("hall-2", spec, tags or (STATE, TEMP, DOOR), SystemClock())


async def births(connector: AnyConnector) -> list[Sample]:
    """Until every tag has come."""
    return await read_until(
        connector, lambda seen: {sample.tag for sample in seen} >= set(connector.tags)
    )


async def comes(connector: AnyConnector, tag: str, value: Value) -> Sample:
    def there(seen: list[Sample]) -> list[Sample]:
        return [s for s in seen if s.tag == tag and s.value == value]

    return there(await read_until(connector, lambda seen: bool(there(seen))))[0]


async def quality_comes(connector: AnyConnector, quality: int, count: int = 1) -> list[Sample]:
    def there(seen: list[Sample]) -> list[Sample]:
        return [s for s in seen if s.quality == quality]

    return there(await read_until(connector, lambda seen: len(there(seen)) >= count))


async def started(edge: SparkplugEdge) -> None:
    await asyncio.to_thread(edge.start)


class Cell:
    """The device of the suite."""

    def __init__(self, edge: SparkplugEdge) -> None:
        self.edge = edge
        self.port = edge.port

    async def set(self, tag: str, value: Value) -> None:
        owner, _, name = tag.partition(":")
        device = owner.split("/")[2] if owner.count("/") == 2 else ""
        await asyncio.to_thread(self.edge.set, device, name, value)


class TestSparkplug(ConnectorContract):
    connector: ClassVar[type[AnyConnector]] = SparkplugConnector
    tags: ClassVar[Mapping[str, Value]] = {STATE: "RUN", TEMP: 23.5, DOOR: 0.0}
    change: ClassVar[tuple[str, Value]] = (STATE, "HALT")
    unknown: ClassVar[str] = "plant/edge-1/press-4:Nothing"

    @asynccontextmanager
    async def device(self) -> AsyncIterator[Device]:
        broker = Mosquitto(self.folder)
        await broker.start()
        edge = press(broker.port)
        await started(edge)
        try:
            yield Cell(edge)
        finally:
            await asyncio.to_thread(edge.stop)
            await broker.stop()
            assert edge.commands == []

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def spec(self, host: str, port: int) -> SourceSpec:
        return source(port, host_id=HOST, keepalive=1.0, first_value=2.0)

    def write_requests(self, sent: bytes) -> list[str]:
        """Everything we publish but our own STATE."""
        topics = [publication.topic for publication in publications(sent)]
        return [topic for topic in topics if topic != f"spBv1.0/STATE/{HOST}"]


# Births and deaths ------------------------------------------------------------------------------


async def test_a_killed_edge_node_makes_all_its_metrics_stale_at_once(edge: SparkplugEdge) -> None:
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        before = SystemClock().now()
        await asyncio.to_thread(edge.kill)
        stale = await quality_comes(host, BAD_NOT_CONNECTED, 3)
        again = await read_for(host, 0.1)
    assert {sample.tag for sample in stale} == {STATE, TEMP, DOOR}
    assert {sample.value for sample in stale} == {None}
    assert all(sample.device_time == sample.received_time >= before for sample in stale)
    assert again == []


async def test_an_orderly_death_says_so_too(edge: SparkplugEdge) -> None:
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        await asyncio.to_thread(edge.stop)
        stale = await quality_comes(host, BAD_NOT_CONNECTED, 3)
    assert {sample.tag for sample in stale} == {STATE, TEMP, DOOR}


async def test_a_dead_device_is_stale_from_the_time_it_says_and_its_node_is_not(
    edge: SparkplugEdge,
) -> None:
    await started(edge)
    at = now_ms() + 1_000
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        edge.say("DDEATH", "press-4", at=at)
        stale = await quality_comes(host, BAD_NOT_CONNECTED, 2)
        edge.set("", "Door", value=True)
        assert (await comes(host, DOOR, 1)).quality == GOOD
        edge.device_birth("press-4")
        await comes(host, TEMP, 23.5)
    assert {(sample.tag, sample.device_time) for sample in stale} == {
        (STATE, at * 1_000),
        (TEMP, at * 1_000),
    }


async def test_a_node_that_comes_back_is_good_after_it_was_stale(edge: SparkplugEdge) -> None:
    """A value that did not change meanwhile is older than the death; it is true since the birth."""
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        await asyncio.to_thread(edge.kill)
        stale = {s.tag: s for s in await quality_comes(host, BAD_NOT_CONNECTED, 3)}
        await started(edge)
        back = {s.tag: s for s in await births(host)}
        edge.birth()
        edge.set("", "Door", value=True)
        again = await read_until(host, lambda seen: any(s.tag == DOOR for s in seen))
    assert {tag: (s.value, s.quality) for tag, s in back.items()} == {
        STATE: ("RUN", GOOD),
        TEMP: (23.5, GOOD),
        DOOR: (0, GOOD),
    }
    assert all(back[tag].device_time > stale[tag].device_time for tag in back)
    assert [sample.tag for sample in again] == [DOOR]


async def test_the_will_of_an_earlier_connection_is_not_believed_but_named(
    edge: SparkplugEdge,
) -> None:
    """Nobody may ask whether the node lives: uncertain, until it says something by itself."""
    await started(edge)
    old = edge.death()
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        await asyncio.to_thread(edge.stop)
        await quality_comes(host, BAD_NOT_CONNECTED, 3)
        await started(edge)
        await births(host)
        host.missed()
        edge.publish("NDEATH", old)
        doubted = await quality_comes(host, UNCERTAIN, 3)
        [named] = host.missed()
        edge.set("press-4", "State", "HALT")
        back = {s.tag: s for s in await births(host)}
        assert host.missed() == []
    assert {(s.tag, s.value) for s in doubted} == {(STATE, "RUN"), (TEMP, 23.5), (DOOR, 0)}
    assert "`bdSeq` 0 instead of 1" in named.detail
    assert {tag: (s.value, s.quality) for tag, s in back.items()} == {
        STATE: ("HALT", GOOD),
        TEMP: (23.5, GOOD),
        DOOR: (0, GOOD),
    }
    assert all(back[one.tag].device_time > one.device_time for one in doubted)


async def test_a_doubtful_node_that_is_born_again_is_good_from_then_on(
    edge: SparkplugEdge,
) -> None:
    await started(edge)
    wrong = messages().Payload(timestamp=now_ms())
    wrong.metrics.add(name="bdSeq", datatype=4, long_value=77)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        edge.publish("NDEATH", wrong.SerializeToString())
        doubted = await quality_comes(host, UNCERTAIN, 3)
        edge.birth()
        back = await births(host)
    assert {sample.quality for sample in back} == {GOOD}
    since = {one.tag: one.device_time for one in doubted}
    assert all(sample.device_time > since[sample.tag] for sample in back)


async def test_devices_that_are_not_born_again_are_stale(edge: SparkplugEdge) -> None:
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        edge.seq = 0
        edge.say("NBIRTH", metrics=[Metric("bdSeq", 4, edge.bd_seq), *edge.owners[""]])
        stale = await quality_comes(host, BAD_NOT_CONNECTED, 2)
    assert {sample.tag for sample in stale} == {STATE, TEMP}


async def test_tags_of_a_silent_node_wait_for_its_birth(edge: SparkplugEdge) -> None:
    async with opened(connector(edge, host_id=HOST)) as host:
        waiting = await births(host)
    assert {sample.quality for sample in waiting} == {BAD_WAITING_FOR_INITIAL_DATA}


# Order and rebirth ------------------------------------------------------------------------------


async def test_messages_that_overtook_each_other_are_put_in_order(edge: SparkplugEdge) -> None:
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        first, second, third = (temperature(edge, value) for value in (1.0, 2.0, 3.0))
        for payload in (second, third, first):
            edge.send("DDATA", "press-4", payload)
        samples = await read_until(host, lambda seen: len(seen) >= 3)
        assert host.missed() == []
        assert [sample.value for sample in samples] == [1, 2, 3]
    assert edge.commands == []


async def test_a_missing_message_is_a_gap_and_a_rebirth_is_asked_for_once(
    edge: SparkplugEdge,
) -> None:
    await started(edge)
    async with opened(connector(edge, host_id=HOST, rebirth=True)) as host:
        await births(host)
        born = edge.births
        temperature(edge, 1.0)  # is never sent
        for value in (2.0, 3.0):
            edge.send("DDATA", "press-4", temperature(edge, value))
        samples = await read_until(host, lambda _: edge.births > born)
        samples += await read_for(host, 0.3)
        missed = host.missed()
    assert [(s.value, s.quality) for s in samples if s.tag == TEMP][:2] == [
        (2, UNCERTAIN),  # an alias may mean something else since the missing message
        (3, UNCERTAIN),
    ]
    assert samples[-1].quality == GOOD
    [gap] = missed
    assert "plant/edge-1: message" in gap.detail
    assert 0 < gap.end - gap.start < 5 * SECOND
    [(topic, command)] = edge.commands
    assert topic == "spBv1.0/plant/NCMD/edge-1"
    assert [(m.name, m.boolean_value) for m in command.metrics] == [("Node Control/Rebirth", True)]


async def test_without_permission_nothing_is_asked(edge: SparkplugEdge) -> None:
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        temperature(edge, 1.0)
        edge.send("DDATA", "press-4", temperature(edge, 2.0))
        await quality_comes(host, UNCERTAIN)
        await read_for(host, 0.5)
        assert len(host.missed()) == 1
    assert edge.commands == []


async def test_a_host_that_comes_later_asks_for_births_if_it_may(edge: SparkplugEdge) -> None:
    edge.primary = ""
    await started(edge)
    async with opened(connector(edge, rebirth=True)) as host:
        samples = await births(host)
    assert {sample.quality for sample in samples} == {GOOD}
    assert len(edge.commands) == 1


async def test_without_a_birth_data_is_named_as_lost_and_not_guessed(edge: SparkplugEdge) -> None:
    edge.primary = ""
    await started(edge)
    async with opened(connector(edge)) as host:
        edge.set("press-4", "State", "HALT")
        samples = await births(host)
        assert {sample.quality for sample in samples} == {BAD_WAITING_FOR_INITIAL_DATA}
        [named] = host.missed()
        assert "`rebirth: true` lets us ask" in named.detail
        edge.birth()
        await comes(host, STATE, "HALT")
        [lost] = host.missed()
        assert lost.start == named.start
        assert lost.end > named.end


async def test_a_rebirth_that_says_nothing_new_makes_no_samples(edge: SparkplugEdge) -> None:
    await started(edge)
    nothing = "plant/edge-1/press-4:Nothing"
    async with opened(connector(edge, STATE, TEMP, DOOR, nothing, host_id=HOST)) as host:
        await births(host)
        edge.birth()
        edge.set("", "Door", value=True)
        samples = await read_until(host, lambda seen: any(s.tag == DOOR for s in seen))
    assert [(sample.tag, sample.value) for sample in samples] == [(DOOR, 1)]


async def test_a_metric_no_birth_named_is_a_gap_and_the_others_are_read(
    edge: SparkplugEdge,
) -> None:
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        payload = edge.payload("DDATA", "press-4", [edge.metric("press-4", "State")])
        payload.metrics.add(alias=9_999, double_value=1.0, timestamp=now_ms())
        payload.metrics[0].string_value = "HALT"
        payload.metrics[0].timestamp = now_ms()
        edge.send("DDATA", "press-4", payload)
        await comes(host, STATE, "HALT")
        [missed] = host.missed()
    assert "1 values of metrics that no birth named" in missed.detail


def temperature(edge: SparkplugEdge, value: float) -> Any:
    """The next message of the edge node, not sent yet."""
    metric = edge.metric("press-4", "Melt/Temp")
    metric.value, metric.at = value, max(now_ms(), metric.at + 1)
    return edge.payload("DDATA", "press-4", [metric])


# STATE ------------------------------------------------------------------------------------------


async def test_an_edge_node_with_us_as_primary_host_waits_for_us(edge: SparkplugEdge) -> None:
    await started(edge)
    assert edge.births == 0
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
    assert edge.births == 1


async def test_who_only_listens_publishes_nothing_at_all(edge: SparkplugEdge) -> None:
    await started(edge)
    async with opened(connector(edge)) as host:
        samples = await births(host)
    assert {sample.quality for sample in samples} == {BAD_WAITING_FOR_INITIAL_DATA}
    assert edge.births == 0


async def test_a_probe_does_not_take_the_host_from_its_edge_nodes(edge: SparkplugEdge) -> None:
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        spec = host.spec.for_probe()
        async with opened(SparkplugConnector("hall-2", spec, [TEMP], SystemClock())) as probe:
            edge.birth()
            await comes(probe, TEMP, 23.5)
        samples = await read_for(host, 0.2)
    assert [sample for sample in samples if sample.quality & BAD] == []


# Values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [-3_600_000, 1])
async def test_historical_values_come_with_their_own_time_and_change_nothing_now(
    edge: SparkplugEdge, later: int
) -> None:
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        old = Metric("Melt/Temp", DOUBLE, 19.0, at=edge.metric("press-4", "Melt/Temp").at + later)
        edge.say("DDATA", "press-4", metrics=[old], historical=True)
        sample = await comes(host, TEMP, 19)
        assert sample.device_time == old.at * 1_000
        edge.birth()
        edge.set("", "Door", value=True)
        samples = await read_until(host, lambda seen: any(s.tag == DOOR for s in seen))
    assert [sample.tag for sample in samples] == [DOOR]


@pytest.mark.parametrize(
    ("code", "quality"),
    [(192, GOOD), (0, BAD), (500, BAD_NOT_CONNECTED), (64, UNCERTAIN), (777, UNCERTAIN)],
)
async def test_the_quality_property_becomes_a_status_code(
    edge: SparkplugEdge, code: int, quality: int
) -> None:
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        edge.metric("press-4", "Melt/Temp").properties["Quality"] = (3, code)
        edge.set("press-4", "Melt/Temp", 99.0)
        [sample] = await read_until(host, lambda seen: len(seen) >= 1)
    assert (sample.value, sample.quality) == (None if quality & BAD else 99, quality)


async def test_null_and_unsigned_64_bits_and_broken_values(edge: SparkplugEdge) -> None:
    edge.add("press-4", Metric("Shots", UINT64, 2**64 - 1), Metric("Offset", INT8, -5))
    edge.add("press-4", Metric("Recipe", STRING), Metric("Wrong", UINT64, 1))
    tags = {name: f"plant/edge-1/press-4:{name}" for name in ("Shots", "Offset", "Recipe", "Wrong")}
    await started(edge)
    async with opened(connector(edge, *tags.values(), host_id=HOST)) as host:
        found = {s.tag: (s.value, s.quality) for s in await births(host)}
        payload = edge.payload("DDATA", "press-4", [edge.metric("press-4", "Wrong")])
        payload.metrics[0].string_value = "many"
        edge.send("DDATA", "press-4", payload)
        [wrong] = await read_until(host, lambda seen: len(seen) >= 1)
    assert found == {
        tags["Shots"]: ("18446744073709551615", GOOD),
        tags["Offset"]: (-5, GOOD),
        tags["Recipe"]: (None, BAD_NO_DATA),
        tags["Wrong"]: (1, GOOD),
    }
    assert wrong.quality == BAD_DECODING
    assert "UInt64 as `string_value`" in str(wrong.value)


def motor(speed: float, **more: Any) -> Any:
    made = messages().Template(template_ref="Motor", is_definition=False, **more)
    made.metrics.add(name="Speed", datatype=DOUBLE, double_value=speed)
    made.metrics.add(name="Maker", datatype=STRING, string_value="ACME")
    made.parameters.add(name="Poles", type=3, int_value=4)
    return made


async def test_templates_are_read_by_member_or_as_a_whole(edge: SparkplugEdge) -> None:
    whole = "plant/edge-1/press-4:Motor"
    speed, poles = f"{whole};member=Speed", f"{whole};parameter=Poles"
    edge.add("press-4", Metric("Motor", TEMPLATE, motor(1_500.0)))
    await started(edge)
    async with opened(connector(edge, whole, speed, poles, host_id=HOST)) as host:
        born = {s.tag: s.value for s in await births(host)}
        part = motor(1_480.0)
        del part.metrics[1], part.parameters[:]
        part.metrics[0].ClearField("datatype")  # only births say it
        edge.set("press-4", "Motor", part)
        changed = {s.tag: s.value for s in await read_until(host, lambda seen: len(seen) >= 2)}
    assert json.loads(str(born.pop(whole))) == {"Speed": 1_500.0, "Maker": "ACME", "Poles": 4}
    assert born == {speed: 1_500, poles: 4}
    assert json.loads(str(changed.pop(whole))) == {"Speed": 1_480.0, "Maker": "ACME", "Poles": 4}
    assert changed == {speed: 1_480}


async def test_data_sets_and_arrays_are_read_by_place_or_as_a_whole(edge: SparkplugEdge) -> None:
    table = messages().DataSet(num_of_columns=2, columns=["Zone", "Temp"], types=[STRING, DOUBLE])
    for zone, temp in (("nozzle", 231.5), ("hopper", 60.0)):
        row = table.rows.add()
        row.elements.add(string_value=zone)
        row.elements.add(double_value=temp)
    edge.add("press-4", Metric("Zones", DATASET, table))
    edge.add("press-4", Metric("Forces", 23, b"\x01\x00\xff\xff"))
    zones, forces = "plant/edge-1/press-4:Zones", "plant/edge-1/press-4:Forces"
    tags = [f"{zones};row=1;column=Temp", zones, f"{forces};index=1", f"{forces};index=2", forces]
    await started(edge)
    async with opened(connector(edge, *tags, host_id=HOST)) as host:
        found = {s.tag: (s.value, s.quality) for s in await births(host)}
    rows = '[{"Zone": "nozzle", "Temp": 231.5}, {"Zone": "hopper", "Temp": 60.0}]'
    assert found == {
        tags[0]: (60, GOOD),
        zones: (rows, GOOD),
        tags[2]: (-1, GOOD),
        tags[3]: (None, BAD_NODE_UNKNOWN),
        forces: ("[1, -1]", GOOD),
    }


async def test_a_property_of_a_metric_is_a_tag_too(edge: SparkplugEdge) -> None:
    edge.metric("press-4", "Melt/Temp").properties["engUnit"] = (STRING, "°C")
    tag = f"{TEMP};property=engUnit"
    await started(edge)
    async with opened(connector(edge, tag, f"{TEMP};property=none", host_id=HOST)) as host:
        found = {s.tag: (s.value, s.quality) for s in await births(host)}
    assert found == {tag: ("°C", GOOD), f"{TEMP};property=none": (None, BAD_NODE_UNKNOWN)}


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
async def test_compressed_payloads_are_read(
    edge: SparkplugEdge, pack: Callable[[bytes], bytes]
) -> None:
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        body = pack(temperature(edge, 77.0).SerializeToString())
        packed = messages().Payload(uuid="SPBV1.0_COMPRESSED", body=body)
        edge.send("DDATA", "press-4", packed)
        assert (await comes(host, TEMP, 77)).quality == GOOD


async def test_bytes_that_are_no_payload_are_named_and_the_next_message_is_read(
    edge: SparkplugEdge,
) -> None:
    await started(edge)
    bomb = messages().Payload(uuid="SPBV1.0_COMPRESSED", body=zlib.compress(b"\0" * 5_000_000))
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        edge.publish("DDATA", b"\xff\xff\xff", "press-4")
        edge.publish("DDATA", b"x" * 2_000_000, "press-4")
        edge.send("DDATA", "press-4", bomb)
        edge.set("press-4", "State", "HALT")
        await comes(host, STATE, "HALT")
        missed: list[Missed] = host.missed()
    assert [m.detail.partition(": ")[2] for m in missed] == [
        "it is no Sparkplug B payload",
        "it is longer than `max_payload_kb` (1024 kB)",
        "it is longer than `max_payload_kb` (1024 kB)",
    ]


async def test_metrics_may_be_told_by_name_alone(edge: SparkplugEdge) -> None:
    edge.aliases = False
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        edge.set("press-4", "State", "HALT")
        await comes(host, STATE, "HALT")


async def test_changes_within_one_millisecond_are_told_apart(edge: SparkplugEdge) -> None:
    await started(edge)
    async with opened(connector(edge, host_id=HOST)) as host:
        await births(host)
        at = now_ms()
        for value in (1.0, 2.0, 3.0):
            edge.set("press-4", "Melt/Temp", value, at=at)
        samples = await read_until(host, lambda seen: len(seen) >= 3)
    assert [(s.value, s.device_time - at * 1_000) for s in samples] == [(1, 0), (2, 1), (3, 2)]


# Into the log -----------------------------------------------------------------------------------


async def test_a_dead_edge_node_makes_its_machine_unknown_in_the_log_and_on_the_page(
    edge: SparkplugEdge, tmp_path: Path
) -> None:
    """The broker is there all the time: the source is connected, its machine is not."""
    await started(edge)
    mapped = field("a", "machine_state.state", STATE, codes=(("RUN", "execute"),))
    wire, whole = plant(mapped, spec=source(edge.port, host_id=HOST))
    log = SqliteLog(tmp_path / "hamburg.sqlite", "hamburg", Keep())
    said: list[str] = []
    live: list[Any] = []
    runner = SourceRunner(
        wire, whole, log, SystemClock(),
        on_rows=lambda rows: live.extend(row for part in rows for row in part.table.to_pylist()),
        on_event=lambda event: said.append(event.what),
    )  # fmt: skip
    task = asyncio.create_task(runner.run())
    try:
        await until(lambda: [row["state"] for row in live] == ["execute"], "no state came")
        await asyncio.to_thread(edge.kill)
        await until(lambda: len(live) == 2, "the death was not noticed")
    finally:
        runner.stop()
        await task
        stored = [row for part in log.read("rows", 0, 100) for row in part.table().to_pylist()]
        log.close()
    assert (live[1]["state"], live[1]["_quality"]) == (None, 2)
    assert [row["state"] for row in stored][:2] == ["execute", None]
    assert said == ["connected", "bad", "stopped"]


# Access and browsing ----------------------------------------------------------------------------


async def test_wrong_password_is_refused(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, *with_passwords(tmp_path, "isthmus"))
    await broker.start()
    try:
        spec = source(broker.port, user="isthmus", password=SecretStr("wrong"))
        with pytest.raises(Refused, match=r"[Nn]ot authori[sz]ed|[Bb]ad user name"):
            async with opened(SparkplugConnector("hall-2", spec, [TEMP], SystemClock())):
                pass
    finally:
        await broker.stop()


async def test_topics_the_broker_denies_are_refused_by_name(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, *with_subscriptions_only_to(tmp_path, f"spBv1.0/STATE/{HOST}"))
    await broker.start()
    try:
        spec = source(broker.port, host_id=HOST)
        with pytest.raises(Refused, match=r"`spBv1.0/plant/\+/edge-1/#`"):
            async with opened(SparkplugConnector("hall-2", spec, [TEMP], SystemClock())):
                pass
    finally:
        await broker.stop()


async def test_browsing_shows_what_births_told(edge: SparkplugEdge) -> None:
    edge.primary = ""
    edge.add("press-4", Metric("Motor", TEMPLATE, motor(1.0)))
    edge.metric("press-4", "Melt/Temp").properties["engUnit"] = (STRING, "Cel")
    await started(edge)
    spec = source(edge.port, rebirth=True)
    async with opened(SparkplugConnector("hall-2", spec, [], SystemClock())) as host:
        edge.set("", "Door", value=True)
        await read_once(host)
        found = {
            parent: [(node.tag, node.type, node.unit) async for node in host.browse(parent)]
            for parent in ("", "plant", "plant/edge-1", "plant/edge-1/press-4", f"{MOTOR}")
        }
    assert found[""] == [("plant", "", "")]
    assert found["plant"] == [("plant/edge-1", "", "")]
    assert ("plant/edge-1/press-4", "", "") in found["plant/edge-1"]
    assert (DOOR, "Boolean", "") in found["plant/edge-1"]
    assert (TEMP, "Double", "Cel") in found["plant/edge-1/press-4"]
    assert (f"{MOTOR};member=Speed", "Double", "") in found[MOTOR]


@pytest.mark.parametrize("host_id", ["hall/2", "hall+2", "#"])
def test_a_host_id_must_be_one_level_of_a_topic(host_id: str) -> None:
    with pytest.raises(ValidationError, match="may not contain"):
        SparkplugSource(host="broker", host_id=host_id)
