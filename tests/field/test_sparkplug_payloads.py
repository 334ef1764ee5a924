"""What comes of an edge node's payloads: types, templates, qualities, packed and broken ones."""

import gzip
import json
import zlib
from collections.abc import Callable

import pytest

from isthmus.field.connector import Missed
from isthmus.field.connectors.sparkplug.proto import messages
from isthmus.field.values import BAD_DECODING, BAD_NO_DATA
from isthmus.flow.parcel import BAD, BAD_NODE_UNKNOWN, BAD_NOT_CONNECTED, GOOD, UNCERTAIN
from isthmus.testing.connector_suite import opened, read_until
from isthmus.testing.mosquitto import needs_mosquitto
from isthmus.testing.sparkplug_edge import DOUBLE, STRING, Metric, SparkplugEdge, now_ms

from .sparkplug_host import (
    DATASET,
    DOOR,
    HOST,
    INT8,
    STATE,
    TEMP,
    TEMPLATE,
    UINT64,
    _short_reads,
    births,
    broker,
    comes,
    connector,
    edge,
    motor,
    started,
    temperature,
)

__all__ = ["_short_reads", "broker", "edge"]

pytestmark = [pytest.mark.peer, needs_mosquitto]


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
