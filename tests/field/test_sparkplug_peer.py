"""Sparkplug against sparkplug-client: an edge node nobody of us wrote, through mosquitto."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from isthmus.base.clock import SystemClock
from isthmus.field.connector import AnyConnector
from isthmus.field.connectors.sparkplug import SparkplugConnector, SparkplugSource
from isthmus.flow.parcel import BAD_NOT_CONNECTED, GOOD
from isthmus.testing.connector_suite import Sample, Value, opened, read_until
from isthmus.testing.mosquitto import Mosquitto, needs_mosquitto
from isthmus.testing.peer import Peer, node_peer

pytestmark = [pytest.mark.peer, needs_mosquitto]

PEERS = Path(__file__).parent / "peers"

ROWS = {
    "numOfColumns": 2,
    "columns": ["Zone", "Temp"],
    "types": ["String", "Double"],
    "rows": [["nozzle", 231.5]],
}
MOTOR = {
    "isDefinition": False,
    "templateRef": "Motor",
    "metrics": [{"name": "Speed", "type": "Int32", "value": 1_500, "timestamp": 1}],
    "parameters": [{"name": "Maker", "type": "String", "value": "ACME"}],
}
PRESS: list[dict[str, Any]] = [
    {"name": "State", "alias": 1, "type": "String", "value": "RUN"},
    {"name": "Temp", "alias": 2, "type": "Double", "value": 23.5},
    {"name": "Pressure", "alias": 3, "type": "Float", "value": 1.25},
    {"name": "Offset", "alias": 4, "type": "Int32", "value": -70_000},
    {"name": "Small", "alias": 5, "type": "Int8", "value": -5},
    {"name": "Shots", "alias": 6, "type": "UInt64", "value": 4_294_967_296},
    {"name": "Total", "alias": 7, "type": "Int64", "value": -3},
    {"name": "Words", "alias": 8, "type": "UInt32", "value": 4_000_000_000},
    {"name": "Door", "alias": 9, "type": "Boolean", "value": True},
    {"name": "Since", "alias": 10, "type": "DateTime", "value": 1_790_000_000_000},
    {"name": "Raw", "alias": 11, "type": "Bytes", "value": "AQL/"},
    {"name": "Zones", "alias": 12, "type": "DataSet", "value": ROWS},
    {"name": "Motor", "alias": 13, "type": "Template", "value": MOTOR},
]
EXPECTED: dict[str, Value] = {
    "hall/peer:Up": 1.0,
    "hall/peer/press:State": "RUN",
    "hall/peer/press:Temp": 23.5,
    "hall/peer/press:Pressure": 1.25,
    "hall/peer/press:Offset": -70_000.0,
    "hall/peer/press:Small": -5.0,
    "hall/peer/press:Shots": 4_294_967_296.0,
    "hall/peer/press:Total": -3.0,
    "hall/peer/press:Words": 4_000_000_000.0,
    "hall/peer/press:Door": 1.0,
    "hall/peer/press:Since": "2026-09-21T14:13:20Z",
    "hall/peer/press:Raw": "AQL/",
    "hall/peer/press:Zones;row=0;column=Temp": 231.5,
    "hall/peer/press:Motor;member=Speed": 1_500.0,
    "hall/peer/press:Motor;parameter=Maker": "ACME",
}


@dataclass(frozen=True)
class Hall:
    """The peer at its broker."""

    broker: Mosquitto
    peer: Peer

    def host(self, *tags: str) -> AnyConnector:
        spec = SparkplugSource(
            host="127.0.0.1", port=self.broker.port, rebirth=True, first_value=0.4, timeout=2.0
        )
        return SparkplugConnector("hall", spec, tags or tuple(EXPECTED), SystemClock())

    async def tell(self, **command: Any) -> None:
        await asyncio.to_thread(lambda: self.peer.tell(**command))

    async def data(self, name: str, alias: int, type_: str, value: Any, **more: Any) -> None:
        metric = {"name": name, "alias": alias, "type": type_, "value": value}
        await self.tell(data={"metrics": [metric]}, device="press", **more)


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    broker = Mosquitto(tmp_path)
    await broker.start()
    with node_peer(PEERS, "sparkplug.mjs", "sparkplug-client", str(broker.port)) as peer:
        made = Hall(broker, peer)
        node = {"metrics": [{"name": "Up", "type": "Boolean", "value": True}]}
        await made.tell(birth=node, devices={"press": {"metrics": PRESS}})
        yield made
    await broker.stop()


async def comes(host: AnyConnector, tag: str, value: Value) -> list[Sample]:
    return await read_until(host, lambda seen: any((s.tag, s.value) == (tag, value) for s in seen))


async def test_its_births_are_asked_for_and_every_type_is_read(hall: Hall) -> None:
    async with opened(hall.host()) as host:
        samples = await read_until(host, lambda seen: len({s.tag for s in seen}) == len(EXPECTED))
    assert {sample.tag: sample.value for sample in samples} == EXPECTED
    assert {sample.quality for sample in samples} == {GOOD}


async def test_its_changes_are_read_plain_and_compressed(hall: Hall) -> None:
    async with opened(hall.host("hall/peer/press:Temp")) as host:
        await comes(host, "hall/peer/press:Temp", 23.5)
        await hall.data("Temp", 2, "Double", 24.5)
        await comes(host, "hall/peer/press:Temp", 24.5)
        for number, algorithm in enumerate(("GZIP", "DEFLATE")):
            await hall.data("Temp", 2, "Double", 30.0 + number, compress=algorithm)
            await comes(host, "hall/peer/press:Temp", 30.0 + number)
        assert host.missed() == []


async def test_its_deaths_make_its_metrics_stale(hall: Hall) -> None:
    async with opened(hall.host("hall/peer/press:Temp", "hall/peer:Up")) as host:
        await comes(host, "hall/peer/press:Temp", 23.5)
        await hall.tell(device_death="press")
        [stale] = await read_until(host, lambda seen: len(seen) >= 1)
        assert (stale.tag, stale.quality) == ("hall/peer/press:Temp", BAD_NOT_CONNECTED)
        await hall.tell(stop=True)
        [stale] = await read_until(host, lambda seen: len(seen) >= 1)
        assert (stale.tag, stale.quality) == ("hall/peer:Up", BAD_NOT_CONNECTED)
