"""The runner over real protocols: what OPC UA and Modbus tell, from the socket to the log."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from isthmus.base.clock import Clock
from isthmus.field.connectors.modbus import ModbusSource
from isthmus.field.connectors.opcua import OpcuaSource
from isthmus.flow.log import SqliteLog
from isthmus.model.plant import FieldMap
from isthmus.model.spec.machine_type import Counter, PulseRule
from isthmus.model.spec.site import Keep, SourceSpec
from isthmus.runtime.probe import probe
from isthmus.runtime.sources import SourceRunner
from isthmus.testing.line_device import LineDevice
from isthmus.testing.modbus_server import ModbusServer
from isthmus.testing.one_source import field as mapped
from isthmus.testing.one_source import plant
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

from .conftest import Running

STATE = "ns=2;s=IM07.State"
SHOTS = "ns=2;s=IM07.Shots"
CODES = (("3", "execute"), ("7", "aborted"))


class Wired(Running):
    """With the connector that the registry has for the kind."""

    def start(self) -> None:
        self.runner = SourceRunner(
            self.source, self.plant, self.log, self.clock,
            on_rows=self._rows, on_event=self.events.append,
        )  # fmt: skip
        self.task = asyncio.create_task(self.runner.run())


@asynccontextmanager
async def wired(
    tmp_path: Path, clock: Clock, spec: SourceSpec, *maps: FieldMap
) -> AsyncIterator[Wired]:
    source, whole = plant(*maps, spec=spec)
    log = SqliteLog(tmp_path / "hamburg.sqlite", "hamburg", Keep())
    running = Wired(LineDevice({}), log, clock, source, whole)
    try:
        yield running
        await running.stop()
    finally:
        log.close()


@pytest.fixture(scope="module")
def opcua() -> Iterator[OpcuaServer]:
    variables = {
        STATE: ua.Variant(3, ua.VariantType.Int32),
        SHOTS: ua.Variant(65_530, ua.VariantType.UInt16),
    }
    with OpcuaServer(variables) as server:
        yield server


def spec(port: int) -> OpcuaSource:
    keys: dict[str, Any] = {"interval": "50 ms", "timeout": "1 s"}
    return OpcuaSource(endpoint=f"opc.tcp://{LOOPBACK}:{port}", **keys)


MAPS = (
    mapped("a", "machine_state.state", STATE, codes=CODES),
    mapped("a", "part_count.good", SHOTS, counter=Counter(bits=16)),
)


async def test_opcua_state_is_known_again_although_it_did_not_change(
    tmp_path: Path, clock: Clock, opcua: OpcuaServer
) -> None:
    # The server says since when the state holds: three hours, long before the cable is cut.
    since = datetime.now(UTC) - timedelta(hours=3)
    value = ua.DataValue(ua.Variant(3, ua.VariantType.Int32), SourceTimestamp=since)
    await opcua.write(STATE, value)
    await opcua.set(SHOTS, 65_530)
    async with (
        TcpProxy(opcua.port) as cable,
        wired(tmp_path, clock, spec(cable.port), *MAPS) as running,
    ):
        running.start()
        await running.until(lambda: running.states() == ["execute"])
        await cable.refuse()
        await running.until(lambda: running.states() == ["execute", None])
        await opcua.set(SHOTS, 4)
        await cable.heal()
        await running.until(lambda: running.states() == ["execute", None, "execute"])
        await running.until(lambda: running.parts() == 10)
        times = [row["time"] for row in running.stored("machine_state")]
        assert times == sorted(times)
        assert running.said == ["connected", "lost", "back"]


async def test_opcua_probe(clock: Clock, opcua: OpcuaServer) -> None:
    result = await probe(*plant(*MAPS, spec=spec(opcua.port)), clock, 1.0)
    assert result.works
    assert {seen.tag for seen in result.tags} == {STATE, SHOTS}


async def test_a_press_on_modbus_that_only_counts(tmp_path: Path, clock: Clock) -> None:
    rule = PulseRule(pulses="part_count.good", running="execute", standing="stopped", after=40.0)
    maps = (
        mapped("a", "part_count.good", "holding:0:uint32", counter=Counter(bits=32)),
        mapped("a", "machine_state.state", None, rule=rule),
    )
    async with ModbusServer({"holding": {0: 0, 1: 500}}) as press, TcpProxy(press.port) as cable:
        address = ModbusSource(host=LOOPBACK, port=cable.port, interval=2.0, timeout=1.0)
        async with wired(tmp_path, clock, address, *maps) as running:
            running.start()
            await running.until(lambda: len(running.stored("part_count")) == 1)
            press.put("holding", 0, [0, 501])
            await running.until(lambda: running.states() == ["execute"])
            await cable.refuse()
            await running.until(lambda: running.states()[-1] is None)
            press.put("holding", 0, [0, 510])
            await cable.heal()
            await running.until(lambda: running.parts() == 10)
            known = ["execute", None]
            await running.until(lambda: [s for s in running.states() if s != "stopped"] == known)
            await running.until(lambda: running.states()[-1] == "stopped")
