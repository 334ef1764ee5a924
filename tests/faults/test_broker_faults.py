"""Brokers that forget, send twice or send more than was declared; Debian's mosquitto."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from isthmus.field.connectors.mqtt import MqttConnector
from isthmus.testing.mosquitto import Mosquitto, needs_mosquitto
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

from .hall import Hall, hall

pytestmark = [needs_mosquitto, pytest.mark.peer]

TOPIC = "hall/m"
FORGETFUL = ("allow_anonymous true", "persistence false")


@asynccontextmanager
async def broker(folder: Path, *more: str) -> AsyncIterator[Mosquitto]:
    running = Mosquitto(folder, *more)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


@asynccontextmanager
async def connected(
    folder: Path, port: int, broker: Mosquitto, more: str = ""
) -> AsyncIterator[Hall]:
    keys = f'host: {LOOPBACK}, port: {port}, keepalive: 1 s, timeout: 1 s, time: "$.ts"{more}'
    tags = {"state": f"{TOPIC}#$.state", "good": f"{TOPIC}#$.good"}
    async with hall(folder, "mqtt", keys, **tags) as running:
        await running.until(lambda: running.health in {"connected", "bad"})
        await say(broker, 100)
        await running.back()
        await running.until(lambda: running.sql("SELECT 1 FROM part_count") != [])
        yield running


async def say(broker: Mosquitto, *goods: int, state: int = 3) -> None:
    """The machine tells its count and its state, with its own time."""
    messages = [
        (TOPIC, json.dumps({"good": good, "state": state, "ts": datetime.now(UTC).isoformat()}))
        for good in goods
    ]
    await broker.publish(*messages)


async def test_broker_that_forgets_its_sessions_costs_only_the_time_of_the_gap(tmp_path):
    async with (
        broker(tmp_path, *FORGETFUL) as device,
        connected(tmp_path, device.port, device) as plant,
    ):
        await device.stop()
        gap = await plant.shows_unknown("lost")
        await device.start()
        await plant.until(lambda: "back" in plant.told)
        (closed,) = [one for one in plant.gaps() if one.id == gap.id]
        assert closed.end is not None
        await say(device, 107)
        await plant.back()
        assert plant.parts() == 7
        assert plant.nothing_unaccounted()


async def test_what_a_broker_sends_twice_counts_once(tmp_path, monkeypatch):
    acknowledge = MqttConnector.acknowledge

    async def forgets(self: Any) -> None:
        """As if the platform's word had got lost on its way."""

    async with (
        broker(tmp_path) as device,
        TcpProxy(device.port) as cable,
        connected(tmp_path, cable.port, device) as plant,
    ):
        monkeypatch.setattr(MqttConnector, "acknowledge", forgets)
        await say(device, 103, 104, state=7)
        await plant.until(lambda: plant.parts() == 4)
        before = plant.counted("received")
        monkeypatch.setattr(MqttConnector, "acknowledge", acknowledge)
        await cable.cut()
        await plant.until(lambda: plant.counted("received") >= before + 4)  # they came again
        await say(device, 105, state=3)
        await plant.back()
        await plant.until(lambda: plant.parts() == 5)
        assert plant.nothing_unaccounted()


async def test_flood_of_messages_loses_nothing_that_the_broker_was_told_to_keep(tmp_path):
    async with broker(tmp_path) as device, connected(tmp_path, device.port, device) as plant:
        before = plant.counted("received")
        await say(device, *range(101, 2_101))
        await plant.until(lambda: plant.parts() == 2_000)
        assert plant.counted("received") - before == 2 * 2_000
        assert plant.gaps("sequence") == []
        assert plant.nothing_unaccounted()
