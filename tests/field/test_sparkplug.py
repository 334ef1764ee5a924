"""Sparkplug B against mosquitto, with an edge node that keeps the rules or breaks them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr, ValidationError

from isthmus.base.clock import SystemClock
from isthmus.field.connector import AnyConnector, Refused
from isthmus.field.connectors.sparkplug import SparkplugConnector, SparkplugSource
from isthmus.flow.log import SqliteLog
from isthmus.model.spec.site import Keep, SourceSpec
from isthmus.runtime.sources import SourceRunner
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Device,
    Value,
    opened,
    read_once,
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
from isthmus.testing.sparkplug_edge import STRING, Metric, SparkplugEdge

from .sparkplug_host import (
    DOOR,
    HOST,
    STATE,
    TEMP,
    TEMPLATE,
    _short_reads,
    broker,
    edge,
    motor,
    press,
    source,
    started,
)

__all__ = ["_short_reads", "broker", "edge"]

pytestmark = [pytest.mark.peer, needs_mosquitto]

MOTOR = "plant/edge-1/press-4:Motor"


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
