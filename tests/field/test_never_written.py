"""No connector ever writes: whatever a model says, a device of its kind sees no write request.

A kind is one line of `KINDS`. Its keys are drawn from its spec, so that an option of tomorrow is
tried, too; its tags are partly of the device, partly not.
"""

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from asyncua import ua
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from isthmus.base.clock import SystemClock
from isthmus.field.connectors.sparkplug import SparkplugSource
from isthmus.field.connectors.sparkplug.proto import messages
from isthmus.field.registry import SOURCE_KINDS, connector
from isthmus.model.spec.site import SourceSpec
from isthmus.testing import ads_router, ethernetip_controller, modbus_server, opcua_wire, s7_server
from isthmus.testing.connector_suite import PATIENCE
from isthmus.testing.mosquitto import PROGRAM, Mosquitto
from isthmus.testing.mqtt_wire import CONNECT, PUBLISH, Published, connection, packets, published
from isthmus.testing.mtconnect_agent import Component, Item, MtconnectAgent
from isthmus.testing.mtconnect_agent import Device as Machine
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.rest_server import Response, RestServer
from isthmus.testing.shdr_adapter import ShdrAdapter
from isthmus.testing.sparkplug_edge import STRING, Metric, SparkplugEdge
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

from . import test_never_written_tables as tables
from .drawn import keys_of, use

EXAMPLES = 12
"""Of each kind."""


# Devices -----------------------------------------------------------------------------------------


@asynccontextmanager
async def modbus(framing: modbus_server.Framing = "tcp") -> AsyncIterator[int]:
    areas = ("coil", "discrete", "holding", "input")
    registers = {area: dict.fromkeys(range(200), 1) for area in areas}
    async with modbus_server.ModbusServer(registers, framing=framing) as device:
        yield device.port
        assert {request.function for request in device.requests} <= set(modbus_server.FUNCTIONS)


@asynccontextmanager
async def opcua() -> AsyncIterator[int]:
    server = OpcuaServer({"ns=2;s=IM07.State": ua.Variant(3, ua.VariantType.Int32)})
    await asyncio.to_thread(server.__enter__)
    try:
        yield server.port
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


@asynccontextmanager
async def broker() -> AsyncIterator[int]:
    if PROGRAM is None:
        pytest.skip("mosquitto is not installed")
    with TemporaryDirectory() as folder:
        device = Mosquitto(Path(folder))
        await device.start()
        try:
            yield device.port
        finally:
            await device.stop()


@asynccontextmanager
async def hall() -> AsyncIterator[int]:
    """A broker with an edge node that gives a host every reason to ask for a rebirth."""
    async with broker() as port:
        edge = SparkplugEdge(port)
        edge.add("press-4", Metric("State", STRING, "RUN"))
        await asyncio.to_thread(edge.start)
        talking = asyncio.create_task(_without_births(edge))
        try:
            yield port
        finally:
            talking.cancel()
            await asyncio.wait({talking})
            await asyncio.to_thread(edge.stop)


async def _without_births(edge: SparkplugEdge) -> None:
    while True:
        edge.obeys = False
        edge.seq = (edge.seq + 3) % 256
        await asyncio.to_thread(edge.set, "press-4", "State", "HALT")
        await asyncio.sleep(0.05)


@asynccontextmanager
async def agent() -> AsyncIterator[int]:
    items = (Item("exec", "EXECUTION", name="execution"), Item("count", "PART_COUNT", name="parts"))
    path = Component("Path", "path", "path", items=items)
    device = MtconnectAgent([Machine(id="m1", name="M1", uuid="m1", items=(), components=(path,))])
    await device.start()
    try:
        yield device.port
    finally:
        await device.stop()


@asynccontextmanager
async def adapter() -> AsyncIterator[int]:
    device = ShdrAdapter()
    device.put("execution", "ACTIVE")
    await device.start()
    try:
        yield device.port
    finally:
        await device.stop()


@asynccontextmanager
async def logix() -> AsyncIterator[int]:
    tags = {"Count": "DINT", "Flags": "BOOL[64]", "Mould": "STRING"}
    values = {"Count": 41, "Flags": [0, 1], "Mould": "Deckel"}
    async with ethernetip_controller.EthernetIpController(tags, values) as device:
        yield device.port
        assert device.writes == []


@asynccontextmanager
async def twincat() -> AsyncIterator[int]:
    symbols = {"MAIN.fTemp": "LREAL", "GVL.aCounts": "ARRAY [0..3] OF INT"}
    values = {"MAIN.fTemp": 12.5, "GVL.aCounts": [1, 2, 3, 4]}
    async with ads_router.AdsRouter(symbols, values) as device:
        yield device.port
        assert device.writes == []


@asynccontextmanager
async def simatic() -> AsyncIterator[int]:
    with s7_server.S7Server({"DB10": 64, "M": 32}) as device:
        yield device.port
        assert device.write_requests == []


@asynccontextmanager
async def interface(*methods: str) -> AsyncIterator[int]:
    async with RestServer(lambda _: Response.json({"state": "RUN"})) as device:
        yield device.port
        assert {request.method for request in device.requests} <= {"GET", *methods}


# What would be a write ---------------------------------------------------------------------------


def publications(sent: bytes) -> list[str]:
    """Their topics, of wills, too; a rebirth request by that name."""
    version, found = 4, []
    for packet in packets(sent):
        if packet.kind == CONNECT:
            connect = connection(packet)
            version = connect.version
            found += [connect.will] if connect.will is not None else []
        elif packet.kind == PUBLISH:
            found.append(published(packet, version))
    return [_named(one) for one in found]


def _named(said: Published) -> str:
    if "/NCMD/" in said.topic:
        metrics = messages().Payload.FromString(said.payload).metrics
        if [(one.name, one.boolean_value) for one in metrics] == [("Node Control/Rebirth", True)]:
            return REBIRTH
    return said.topic


def of_a_host(spec: SparkplugSource) -> set[str]:
    state = {f"spBv1.0/STATE/{spec.host_id}"} if spec.host_id else set()
    return state | ({REBIRTH} if spec.rebirth else set())


def other_than_get(sent: bytes) -> list[str]:
    """Methods."""
    methods = re.findall(r"([A-Z]+) \S+ HTTP/1\.1\r\n", sent.decode("latin-1"))
    return [method for method in methods if method != "GET"]


def other_than_ping(sent: bytes) -> list[str]:
    return [line for line in sent.decode().splitlines() if line != "* PING"]


def ams(command: int, data: bytes) -> bytes:
    body = bytes(16) + struct.pack("<HHIII", command, 4, len(data), 0, 1) + data
    return struct.pack("<HI", 0, len(body)) + body


def cip(service: bytes) -> bytes:
    items = struct.pack("<HHHI", 2, 0xA1, 4, 1) + struct.pack("<HHH", 0xB1, 2 + len(service), 1)
    body = bytes(6) + items + service
    return struct.pack("<HH", 0x70, len(body)) + bytes(20) + body


REBIRTH = "rebirth request"
REGISTERS = ("holding:1", "holding:2:float32", "input:7.3", "coil:3", "coil:999")
METRICS = ("plant/edge-1/press-4:State", "plant/edge-1:bdSeq", "plant/edge-7:Nothing")
A_PUBLISH = b"\x30\x06\x00\x03a/b1"
A_COMMAND = b"\x30\x26\x00\x21spBv1.0/plant/DCMD/edge-1/press-4\x18\x00\x00"
A_MODBUS_WRITE = struct.pack(">HHHBBHH", 1, 0, 6, 1, 6, 100, 1)
A_CIP_WRITE = cip(b"\x4d\x02\x91\x01A\x00\xc4\x00\x01\x00" + bytes(4))


# The table ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A device, what is read of it, and how a write request of its protocol is recognised."""

    device: Callable[[], AbstractAsyncContextManager[int]]
    address: Callable[[int], Mapping[str, Any]]
    tags: tuple[str, ...]
    writes: Callable[[bytes], list[str]]
    a_write: bytes
    """A request that changes the device, as another client might send it."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Keys that are not drawn, because the device could not be reached with any other."""
    permitted: Callable[[Any], set[str]] = lambda _: set()
    """By the keys of the source: writes with an explicit permission."""
    all_permitted: bool = False
    """The keys of this line permit writes, and each of these is seen at least once."""


def at_host(port: int) -> Mapping[str, Any]:
    return {"host": LOOPBACK, "port": port}


def at_url(port: int) -> Mapping[str, Any]:
    return {"url": f"http://{LOOPBACK}:{port}"}


KINDS: dict[str, Kind] = {
    "modbus": Kind(
        modbus, at_host, REGISTERS, modbus_server.write_requests, A_MODBUS_WRITE,
        {"framing": "tcp"},
    ),
    "modbus by rtu": Kind(
        partial(modbus, "rtu"), at_host, REGISTERS,
        partial(modbus_server.write_requests, framing="rtu"), A_MODBUS_WRITE[6:] + bytes(2),
        {"framing": "rtu"},
    ),
    "opcua": Kind(
        opcua, lambda port: {"endpoint": f"opc.tcp://{LOOPBACK}:{port}"},
        ("ns=2;s=IM07.State", "ns=2;s=Nothing", "i=2258"), opcua_wire.write_requests,
        b"MSGF" + struct.pack("<I", 28) + bytes(16) + struct.pack("<BBH", 1, 0, 673),
        {"security": "none"},
    ),
    "mqtt": Kind(
        broker, at_host, ("press/state", "press/+/count#$.n", "plant/#"), publications,
        A_PUBLISH,
    ),
    "sparkplug": Kind(
        hall, at_host, METRICS, publications, A_PUBLISH, {"rebirth": False, "first_value": 0.1},
        of_a_host,
    ),
    "sparkplug with permission": Kind(
        hall, at_host, METRICS, publications, A_COMMAND,
        {"rebirth": True, "host_id": "isthmus-hall", "first_value": 0.1}, of_a_host,
        all_permitted=True,
    ),
    "mtconnect": Kind(
        agent, at_url, ("execution", "M1/parts", "no"),
        other_than_get, b"PUT /asset/1 HTTP/1.1\r\n\r\n",
    ),
    "shdr": Kind(adapter, at_host, ("execution", "nothing"), other_than_ping, b"* device: M1\n"),
    "ethernetip": Kind(
        logix, at_host, ("Count", "Count.3", "Flags[40]", "Mould", "Nothing", "Nothing[2].x"),
        ethernetip_controller.write_requests, A_CIP_WRITE,
    ),
    "ads": Kind(
        twincat, at_host, ("MAIN.fTemp", "GVL.aCounts[2]", "GVL.aCounts[9]", "MAIN.nothing"),
        ads_router.write_requests, ams(3, struct.pack("<IIII", 0x4040, 0, 4, 1)),
        {"net_id": None, "ams_port": 851},
    ),
    "s7": Kind(
        simatic, at_host, ("DB10.4:real", "M20:int", "DB99.0:int"), s7_server.write_requests,
        bytes.fromhex("0300002402f080320100000001000e0005050112 0a1002000100018400000000 0400080a"),
    ),
    "http": Kind(
        interface, at_url, ("#$.state", "a/b#$.x"), other_than_get,
        b"POST /machines/7 HTTP/1.1\r\n\r\n",
    ),
    "http with permission": Kind(
        partial(interface, "POST"), at_url, ("#$.state", "a/b#$.x"), other_than_get,
        b"DELETE /machines/7 HTTP/1.1\r\n\r\n", {"post": {"machine": 7}, "paging": None},
        lambda _: {"POST"}, all_permitted=True,
    ),
}  # fmt: skip

ELSEWHERE = {
    "sql": tables.test_no_configuration_changes_a_database,
    "files": tables.test_no_configuration_changes_a_file,
    "webhook": tables.test_no_configuration_speaks_without_being_asked,
}
"""Kinds whose device is no server of a protocol of its own: their property is beside this file."""


# The property ------------------------------------------------------------------------------------


def test_every_kind_of_source_has_its_property() -> None:
    assert sorted(SOURCE_KINDS) == sorted({*map(kind_of, KINDS), *ELSEWHERE})


@pytest.mark.parametrize("line", KINDS)
def test_a_write_request_would_be_recognised(line: str) -> None:
    assert len(KINDS[line].writes(KINDS[line].a_write)) == 1


@pytest.mark.parametrize("line", KINDS)
async def test_no_configuration_writes(line: str) -> None:
    of, kind = KINDS[line], kind_of(line)
    loop = asyncio.get_running_loop()
    spoken, written, allowed = set(), set(), set()
    async with of.device() as port:

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        @given(keys_of(SOURCE_KINDS[kind], {*of.address(port), *of.fixed}), tags_of(of))
        def nothing_is_written(keys: dict[str, Any], tags: list[str]) -> None:
            examined = asyncio.run_coroutine_threadsafe(sent_to(of, port, kind, keys, tags), loop)
            spec, sent = examined.result(PATIENCE)
            permitted = of.permitted(spec) if spec is not None else set()
            spoken.add(len(sent) > 0)
            written.update(of.writes(sent))
            allowed.update(permitted)
            assert {*of.writes(sent)} <= permitted

        await asyncio.to_thread(nothing_is_written)
    assert True in spoken, "nothing was said to the device at all"
    assert not of.all_permitted or written == allowed != set()


def kind_of(line: str) -> str:
    """`modbus by rtu` is a line of the kind `modbus`."""
    return line.partition(" ")[0]


async def sent_to(
    of: Kind, port: int, kind: str, keys: Mapping[str, Any], tags: Sequence[str]
) -> tuple[SourceSpec | None, bytes]:
    """All that a connector of this kind, so configured, says to the device."""
    async with TcpProxy(port) as proxy:
        try:
            spec = SOURCE_KINDS[kind](**of.address(proxy.port), **of.fixed, **keys)
        except ValidationError:
            return None, b""  # keys that contradict each other are another test's concern
        await use(connector(kind)("press_1", spec, tags, SystemClock()))
    return spec, bytes(proxy.sent)


def tags_of(of: Kind) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(of.tags), unique=True, max_size=4)
