"""Sparkplug against mqtt-spb-wrapper: an edge node in Python nobody of us wrote, with its habits.

It names a metric `DATA/Temp` in its birth and `Temp` in its data, numbers its deaths otherwise than
its births, and gives a device a connection of its own, whose will is a DDEATH.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from isthmus.base.clock import SystemClock
from isthmus.field.connector import AnyConnector
from isthmus.field.connectors.sparkplug import SparkplugConnector, SparkplugSource
from isthmus.flow.parcel import BAD_NOT_CONNECTED, GOOD, UNCERTAIN
from isthmus.testing.connector_suite import Sample, Value, opened, read_until
from isthmus.testing.mosquitto import Mosquitto, needs_mosquitto
from isthmus.testing.peer import Peer, python_peer

pytestmark = [pytest.mark.peer, needs_mosquitto]

PEERS = Path(__file__).parent / "peers"
ENVIRONMENT = PEERS.parents[2] / ".venv-peers"

ZONES = {"Zone": ["nozzle", "screw"], "Temp": [231.5, 210.25], "Shots": [7, 8]}
NODE = {"Up": [True, "Boolean", 100]}
PRESS: dict[str, list[Any]] = {
    "State": ["RUN", "String", 1],
    "Temp": [23.5, "Double", 2],
    "Pressure": [1.25, "Float", 3],
    "Offset": [-70_000, "Int32", 4],
    "Small": [-5, "Int8", 5],
    "Shots": [4_294_967_296, "UInt64", 6],
    "Total": [-3, "Int64", 7],
    "Words": [4_000_000_000, "UInt32", 8],
    "Door": [True, "Boolean", 9],
    "Since": ["2026-09-21T14:13:20+00:00", "DateTime", 10],
    "Raw": ["AQL/", "Bytes", 11],
    "Serial": ["00000000-0000-0000-0000-000000000005", "UUID", 12],
    "Remark": ["größer", "Text", 13],
    "Zones": [ZONES, "DataSet", 14],
    "Unnumbered": [1.5, "Double"],
}
UP = "hall/wrapper:DATA/Up"
DEVICE = "hall/wrapper/press:DATA/"
TEMP = f"{DEVICE}Temp"
EXPECTED: dict[str, Value] = {
    UP: 1.0,
    "hall/wrapper/press:ATTR/maker": "ACME",
    f"{DEVICE}State": "RUN",
    f"{DEVICE}Temp": 23.5,
    f"{DEVICE}Pressure": 1.25,
    f"{DEVICE}Offset": -70_000.0,
    f"{DEVICE}Small": -5.0,
    f"{DEVICE}Shots": 4_294_967_296.0,
    f"{DEVICE}Total": -3.0,
    f"{DEVICE}Words": 4_000_000_000.0,
    f"{DEVICE}Door": 1.0,
    f"{DEVICE}Since": "2026-09-21T14:13:20Z",
    f"{DEVICE}Raw": "AQL/",
    f"{DEVICE}Serial": "00000000-0000-0000-0000-000000000005",
    f"{DEVICE}Remark": "größer",
    f"{DEVICE}Zones;row=1;column=Temp": 210.25,
    f"{DEVICE}Zones;row=1;column=Shots": 8.0,
}


@dataclass(frozen=True)
class Hall:
    """The peer at its broker."""

    broker: Mosquitto
    peer: Peer

    def host(self, *tags: str, **options: Any) -> AnyConnector:
        usual: dict[str, Any] = {"rebirth": True, "first_value": 1.0, "timeout": 2.0}
        spec = SparkplugSource(host="127.0.0.1", port=self.broker.port, **(usual | options))
        return SparkplugConnector("hall", spec, tags or tuple(EXPECTED), SystemClock())

    async def tell(self, **command: Any) -> None:
        await asyncio.to_thread(lambda: self.peer.tell(**command))


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    broker = Mosquitto(tmp_path)
    await broker.start()
    with python_peer(ENVIRONMENT, PEERS, "sparkplug_wrapper.py", str(broker.port)) as peer:
        made = Hall(broker, peer)
        await made.tell(birth=NODE, device=PRESS)
        yield made
    await broker.stop()


async def comes(host: AnyConnector, tag: str, value: Value) -> Sample:
    seen = await read_until(host, lambda seen: any((s.tag, s.value) == (tag, value) for s in seen))
    return next(sample for sample in seen if (sample.tag, sample.value) == (tag, value))


def good(samples: list[Sample]) -> dict[str, Value]:
    return {sample.tag: sample.value for sample in samples if sample.quality == GOOD}


async def stale(host: AnyConnector, *tags: str) -> list[Sample]:
    """The samples that say so, and whatever else came until every tag has said it."""
    return await read_until(
        host, lambda seen: {s.tag for s in seen if s.quality == BAD_NOT_CONNECTED} >= {*tags}
    )


async def test_its_births_are_asked_for_and_every_type_is_read(hall: Hall) -> None:
    async with opened(hall.host()) as host:
        samples = await read_until(host, lambda seen: len(good(seen)) == len(EXPECTED))
    assert good(samples) == EXPECTED


async def test_its_changes_come_by_alias_whatever_name_it_gives_them(hall: Hall) -> None:
    async with opened(hall.host(TEMP, UP)) as host:
        await comes(host, TEMP, 23.5)
        await hall.tell(data={"Temp": 24.5})
        assert (await comes(host, TEMP, 24.5)).quality == GOOD
        await hall.tell(node_data={"Up": False})
        assert (await comes(host, UP, 0.0)).quality == GOOD
        assert host.missed() == []


async def test_values_it_collected_come_as_one_text(hall: Hall) -> None:
    times, values = [1_790_000_000_000, 1_790_000_001_000], [1.5, 2.5]
    rows = [{"timestamps": at, "values": value} for at, value in zip(times, values, strict=True)]
    async with opened(hall.host(TEMP)) as host:
        await comes(host, TEMP, 23.5)
        await hall.tell(data={"Temp": values}, times=times)
        assert (await comes(host, TEMP, json.dumps(rows))).quality == GOOD


async def test_a_change_without_alias_is_a_gap_and_not_guessed(hall: Hall) -> None:
    tag = f"{DEVICE}Unnumbered"
    async with opened(hall.host(tag, TEMP)) as host:
        await comes(host, tag, 1.5)
        await hall.tell(data={"Unnumbered": 2.5, "Temp": 24.5})
        samples = await read_until(host, lambda seen: any(s.value == 24.5 for s in seen))
        (gap,) = host.missed()
    assert [sample.tag for sample in samples] == [TEMP]
    assert "1 values of metrics that no birth named" in gap.detail


async def test_a_device_that_says_goodbye_is_stale_and_its_node_is_not(hall: Hall) -> None:
    async with opened(hall.host(TEMP, UP)) as host:
        await comes(host, TEMP, 23.5)
        await hall.tell(retire=True)
        samples = await stale(host, TEMP)
        await hall.tell(node_data={"Up": False})
        await comes(host, UP, 0.0)
    assert {sample.tag for sample in samples if sample.quality == BAD_NOT_CONNECTED} == {TEMP}


@pytest.mark.parametrize("death", ["stop", "die"])
async def test_its_death_makes_its_metrics_stale_although_it_is_numbered_wrongly(
    hall: Hall, death: str
) -> None:
    async with opened(hall.host(TEMP, UP)) as host:
        await read_until(host, lambda seen: len(good(seen)) == 2)
        await hall.tell(**{death: True})
        samples = await stale(host, TEMP, UP)
    assert {sample.quality for sample in samples} == {BAD_NOT_CONNECTED}
    assert sorted(sample.tag for sample in samples) == [TEMP, UP]


@pytest.mark.parametrize("death", ["stop", "die"])
async def test_without_permission_to_ask_its_death_leaves_nothing_that_is_good(
    hall: Hall, death: str
) -> None:
    """It is not believed, as the specification wants it; but what it told is uncertain."""
    async with opened(hall.host(TEMP, UP, rebirth=False)) as host:
        await hall.tell(birth=NODE, device=PRESS)
        await read_until(host, lambda seen: len(good(seen)) == 2)
        await hall.tell(**{death: True})
        last: dict[str, int] = {}

        def nothing_is_good(seen: list[Sample]) -> bool:
            last.update({sample.tag: sample.quality for sample in seen})
            return GOOD not in last.values() and len(last) == 2

        await read_until(host, nothing_is_good)
        missed = " ".join(one.detail for one in host.missed())
    assert last == {TEMP: BAD_NOT_CONNECTED, UP: UNCERTAIN}
    assert "its death came with another number" in missed


async def test_a_host_that_comes_later_is_told_what_holds_now(hall: Hall) -> None:
    async with opened(hall.host(TEMP)) as host:
        await comes(host, TEMP, 23.5)
    await hall.tell(data={"Temp": 30.5})
    async with opened(hall.host(TEMP)) as host:
        first = await comes(host, TEMP, 30.5)
        await hall.tell(data={"Temp": 31.5})
        await comes(host, TEMP, 31.5)
    assert first.quality == GOOD
