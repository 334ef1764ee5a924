"""Births, deaths and the order of messages: what is known of an edge node, and since when."""

import asyncio

import pytest

from isthmus.base.clock import SECOND, SystemClock
from isthmus.field.connectors.sparkplug import SparkplugConnector
from isthmus.field.connectors.sparkplug.proto import messages
from isthmus.field.values import BAD_WAITING_FOR_INITIAL_DATA
from isthmus.flow.parcel import BAD, BAD_NOT_CONNECTED, GOOD, UNCERTAIN
from isthmus.testing.connector_suite import opened, read_for, read_until
from isthmus.testing.mosquitto import needs_mosquitto
from isthmus.testing.sparkplug_edge import Metric, SparkplugEdge, now_ms

from .sparkplug_host import (
    DOOR,
    HOST,
    STATE,
    TEMP,
    _short_reads,
    births,
    broker,
    comes,
    connector,
    edge,
    quality_comes,
    started,
    temperature,
)

__all__ = ["_short_reads", "broker", "edge"]

pytestmark = [pytest.mark.peer, needs_mosquitto]

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
