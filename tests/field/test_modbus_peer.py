"""The Modbus connector against modbus-serial and jsmodbus: devices nobody of us wrote."""

import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from isthmus.base.clock import SystemClock
from isthmus.field.connector import Connector
from isthmus.field.connectors.modbus import ModbusConnector, ModbusSource
from isthmus.field.connectors.modbus.values import BAD_TIMEOUT
from isthmus.flow.parcel import GOOD
from isthmus.testing.connector_suite import ConnectorContract, Value, opened, read_until
from isthmus.testing.modbus_server import Framing, write_requests
from isthmus.testing.peer import Peer, node_peer
from isthmus.testing.tcp_proxy import LOOPBACK

pytestmark = pytest.mark.peer

PEERS = Path(__file__).parent / "peers"


def words(layout: str, value: Any) -> list[int]:
    packed = struct.pack(">" + layout, value)
    return list(struct.unpack(f">{len(packed) // 2}H", packed))


CONTENTS = {
    ("holding", 100): [41, 0, 0b1_0000],
    ("holding", 110): words("10s", b"Deckel 012"),
    ("holding", 120): words("i", -70_000),
    ("input", 5): words("f", 3.5),
    ("coil", 3): [True],
    ("discrete", 7): [False],
}


class Press:
    """The peer, in the words of the suite."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.port = peer.port

    async def set(self, tag: str, value: Value) -> None:
        """Register 100 of unit 1."""
        assert tag == "holding:100:uint16"
        self._peer.tell(area="holding", start=100, values=[value])


def filled(running: Peer) -> Peer:
    for (area, start), values in CONTENTS.items():
        running.tell(area=area, start=start, values=values)
    return running


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with node_peer(PEERS, "modbus.mjs", "modbus-serial") as running:
        yield filled(running)


@pytest.fixture(scope="module")
def second_peer() -> Iterator[Peer]:
    with node_peer(PEERS, "jsmodbus.mjs", "jsmodbus", "tcp") as running:
        yield filled(running)


@pytest.fixture(scope="module")
def serial_peer() -> Iterator[Peer]:
    with node_peer(PEERS, "jsmodbus.mjs", "jsmodbus", "rtu") as running:
        yield filled(running)


class TestModbusSerial(ConnectorContract):
    connector: ClassVar[type[Connector[Any]]] = ModbusConnector
    tags: ClassVar[dict[str, Any]] = {
        "holding:100:uint16": 41.0,
        "holding:102.4": 1.0,
        "holding:110:string[10]": "Deckel 012",
        "holding:120:int32": -70_000.0,
        "input:5:float32": 3.5,
        "coil:3": 1.0,
        "discrete:7": 0.0,
    }
    change: ClassVar[tuple[str, Any]] = ("holding:100:uint16", 42)
    unknown: ClassVar[str] = "holding:103"
    lost_within: ClassVar[float] = 2.0
    framing: ClassVar[Framing] = "tcp"

    @pytest.fixture(autouse=True)
    def _peer(self, peer: Peer) -> None:
        self.press = Press(peer)

    @asynccontextmanager
    async def device(self) -> AsyncIterator[Press]:
        await self.press.set("holding:100:uint16", 41)
        yield self.press

    def spec(self, host: str, port: int) -> ModbusSource:
        return ModbusSource(host=host, port=port, timeout=1.0, framing=self.framing)

    def refused_spec(self, host: str, port: int) -> ModbusSource:
        return ModbusSource(host=host, port=port, max_registers=4)  # the mould's name takes five

    def write_requests(self, sent: bytes) -> list[str]:
        return write_requests(sent, self.framing)


class TestJsmodbus(TestModbusSerial):
    unknown: ClassVar[str] = "holding:300"

    @pytest.fixture(autouse=True)
    def _peer(self, second_peer: Peer) -> None:
        self.press = Press(second_peer)


class TestJsmodbusFramedAsOnASerialLine(TestJsmodbus):
    framing: ClassVar[Framing] = "rtu"

    @pytest.fixture(autouse=True)
    def _peer(self, serial_peer: Peer) -> None:
        self.press = Press(serial_peer)


async def test_the_slaves_of_one_gateway_are_read_and_a_silent_one_is_bad(peer: Peer) -> None:
    peer.tell(area="holding", start=0, values=[70], unit=7)
    peer.tell(area="holding", start=0, values=[80], unit=8)
    spec = ModbusSource(host=LOOPBACK, port=peer.port, timeout=0.3)
    tags = ("holding:0@7", "holding:0@99", "holding:0@8", "input:5:float32")
    async with opened(ModbusConnector("hall", spec, tags, SystemClock())) as hall:
        samples = await read_until(hall, lambda seen: len(seen) >= len(tags))
    assert {sample.tag: (sample.value, sample.quality) for sample in samples} == {
        "holding:0@7": (70.0, GOOD),
        "holding:0@8": (80.0, GOOD),
        "holding:0@99": (None, BAD_TIMEOUT),
        "input:5:float32": (3.5, GOOD),
    }
