"""A Sparkplug edge node that keeps the rules or breaks them, and a host that listens to it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from isthmus.base.clock import SystemClock
from isthmus.field.connector import AnyConnector
from isthmus.field.connectors.sparkplug import SparkplugConnector, SparkplugSource
from isthmus.field.connectors.sparkplug import connector as module
from isthmus.field.connectors.sparkplug.proto import messages
from isthmus.testing.connector_suite import Sample, Value, read_until
from isthmus.testing.mosquitto import Mosquitto
from isthmus.testing.sparkplug_edge import BOOLEAN, DOUBLE, STRING, Metric, SparkplugEdge, now_ms

HOST = "isthmus-hall-2"
STATE = "plant/edge-1/press-4:State"
TEMP = "plant/edge-1/press-4:Melt/Temp"
DOOR = "plant/edge-1:Door"
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


def temperature(edge: SparkplugEdge, value: float) -> Any:
    """The next message of the edge node, not sent yet."""
    metric = edge.metric("press-4", "Melt/Temp")
    metric.value, metric.at = value, max(now_ms(), metric.at + 1)
    return edge.payload("DDATA", "press-4", [metric])


def motor(speed: float, **more: Any) -> Any:
    made = messages().Template(template_ref="Motor", is_definition=False, **more)
    made.metrics.add(name="Speed", datatype=DOUBLE, double_value=speed)
    made.metrics.add(name="Maker", datatype=STRING, string_value="ACME")
    made.parameters.add(name="Poles", type=3, int_value=4)
    return made
