"""Sparkplug B against mosquitto, with an edge node that keeps the rules or breaks them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from isthmus.base.clock import SystemClock
from isthmus.field.connector import AnyConnector
from isthmus.field.connectors.sparkplug import SparkplugConnector, SparkplugSource
from isthmus.model.spec.site import SourceSpec
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Device,
    Sample,
    Value,
    read_until,
)
from isthmus.testing.mosquitto import (
    Mosquitto,
    needs_mosquitto,
)
from isthmus.testing.mqtt_wire import publications
from isthmus.testing.sparkplug_edge import BOOLEAN, DOUBLE, STRING, Metric, SparkplugEdge

pytestmark = [pytest.mark.peer, needs_mosquitto]

HOST = "isthmus-hall-2"
STATE = "plant/edge-1/press-4:State"
TEMP = "plant/edge-1/press-4:Melt/Temp"
DOOR = "plant/edge-1:Door"
UINT64, INT8, DATASET, TEMPLATE = 8, 1, 16, 19


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
