"""The NodeSet, loaded by two implementations nobody of us wrote: browsed, and read back."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.server import Server
from hypothesis import given, settings
from lxml import etree
from tests.field.plc.blocks import (
    EVERY_TYPE,
    LEVELS,
    WRITTEN,
    blocks,
    code_systems,
    made,
    plant_of,
    texts,
)
from tests.field.plc.reading import Reader, codes, plant_with

from isthmus.base.clock import SystemClock
from isthmus.field.connector import Node
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource
from isthmus.field.plc.cefact import unit_number
from isthmus.testing.connector_suite import opened
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.peer import Peer, node_peer
from isthmus.testing.tcp_proxy import LOOPBACK

NODE_OPCUA = Path(__file__).parents[1] / "peers"
FILE = "isthmus.NodeSet2.xml"
NAMESPACE = "urn:isthmus:acme:blocks"

TYPES = {
    "running": "Boolean", "fault": "Boolean", "door": "Boolean", "last": "Boolean",
    "small": "Int16", "wide": "Int32", "huge": "Int64", "melt_temp": "Float", "speed": "Float",
    "good": "UInt32", "order_no": "String", "state": "Int32", "alarm": "Int32",
}  # fmt: skip


@pytest.fixture(scope="module")
def nodeset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("nodeset") / FILE
    file.write_text(texts(made("opcua-nodeset", lang="de"))[FILE], encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def server(nodeset: Path) -> Iterator[OpcuaServer]:
    with OpcuaServer({}) as running:
        asyncio.run(running.run(lambda one: one.import_xml(nodeset, strict_mode=True)))
        yield running


@pytest.fixture(scope="module")
def peer(nodeset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder = str(tmp_path_factory.mktemp("node-opcua"))
    script = str(Path(__file__).parent / "peers" / "nodeset.mjs")
    with node_peer(NODE_OPCUA, script, "node-opcua", folder, str(nodeset)) as running:
        yield running


def source(port: int) -> dict[str, Any]:
    endpoint = f"opc.tcp://{LOOPBACK}:{port}"
    return {"kind": "opcua", "endpoint": endpoint, "interval": "20 ms"}


def number(plant: Any, key: str, value: Any) -> Any:
    return codes(plant, key)(value) if key in {"probe.state", "probe.alarm"} else value


async def test_every_type_comes_back_through_asyncua(server: OpcuaServer) -> None:
    mapping = texts(made("opcua-nodeset"))["mapping.yaml"]
    plant = plant_with(mapping, source(server.port), EVERY_TYPE, LEVELS)

    async def put(key: str, value: Any) -> None:
        kind = getattr(ua.VariantType, TYPES[key.partition(".")[2]])
        variant = ua.Variant(number(plant, key, value), kind)
        index = await server.run(lambda one: one.get_namespace_index(NAMESPACE))
        await server.write(f"ns={index};s=machine.{key}", ua.DataValue(variant))

    for key, value in (WRITTEN | {"probe.good": 10}).items():
        await put(key, value)
    async with Reader(plant) as reader:
        await reader.until(WRITTEN)
        await put("probe.good", 15)
        found = await reader.until(expected := WRITTEN | {"probe.good": 5})
    assert found == expected


@pytest.mark.peer
async def test_every_type_comes_back_through_node_opcua(peer: Peer) -> None:
    mapping = texts(made("opcua-nodeset"))["mapping.yaml"]
    plant = plant_with(mapping, source(peer.port), EVERY_TYPE, LEVELS)

    def put(key: str, value: Any) -> None:
        value = number(plant, key, value)
        kind = TYPES[key.partition(".")[2]]
        value = [value >> 32, value & 0xFFFF_FFFF] if kind == "Int64" else value
        peer.tell(node=f"ns={index};s=machine.{key}", type=kind, value=value)

    index = await namespace_index(peer.port)
    for key, value in (WRITTEN | {"probe.good": 10}).items():
        put(key, value)
    async with Reader(plant) as reader:
        await reader.until(WRITTEN)
        put("probe.good", 15)
        found = await reader.until(expected := WRITTEN | {"probe.good": 5})
    assert found == expected


async def namespace_index(port: int) -> int:
    async with opened(connector(port)) as reading:
        tags = [node.tag async for node in reading.browse()]
    (machine,) = [tag for tag in tags if tag.endswith("s=machine")]
    found = re.match(r"ns=(\d+);", machine)
    assert found is not None
    return int(found[1])


def connector(port: int) -> OpcuaConnector:
    spec = OpcuaSource.model_validate(source(port))
    return OpcuaConnector("plc", spec, (), SystemClock())


async def browsed(port: int) -> dict[str, Node]:
    """The variables of the one block, by name."""
    async with opened(connector(port)) as reading:
        (machine,) = [n async for n in reading.browse() if n.tag.endswith("s=machine")]
        (block,) = [node async for node in reading.browse(machine.tag)]
        return {node.tag.rpartition(".")[2]: node async for node in reading.browse(block.tag)}


async def test_asyncua_shows_types_units_and_german_names(server: OpcuaServer) -> None:
    judge(await browsed(server.port))


@pytest.mark.peer
async def test_node_opcua_shows_types_units_and_german_names(peer: Peer) -> None:
    judge(await browsed(peer.port))


def judge(found: dict[str, Node]) -> None:
    assert list(found) == [*EVERY_TYPE["fields"]]
    assert found["melt_temp"].name == "Massetemperatur"
    assert (found["melt_temp"].type, found["melt_temp"].unit) == ("Float", "°C")
    assert (found["small"].type, found["small"].unit) == ("Int16", "%")
    assert found["good"].type == "UInt32"
    assert found["order_no"].type == "String"


async def test_enumerations_have_their_names(server: OpcuaServer) -> None:
    async def look(one: Server) -> tuple[list[Any], Any]:
        index = await one.get_namespace_index(NAMESPACE)
        values = one.get_node(f"ns={index};s=enum.packml.EnumValues")
        kind = one.get_node(f"ns={index};s=machine.probe.state")
        return await values.read_value(), await kind.read_data_type()

    values, kind = await server.run(look)
    assert kind.Identifier == "enum.packml"
    assert [(v.Value, v.DisplayName.Text, v.Description.Text) for v in values][5] == (
        6, "Produziert", "execute",
    )  # fmt: skip
    assert len(values) == 17


async def test_an_enumeration_from_zero_on_has_strings(tmp_path: Path) -> None:
    two = {"code_system": "two", "values": {"off": {"code": 0}, "on": {"code": 1}}}
    block = {
        "block": "drive", "version": 1, "fields": {"power": {"type": "enum", "values": "two"}},
    }  # fmt: skip
    text = texts(made("opcua-nodeset", "drive", plant=plant_of(block, two)))[FILE]
    file = tmp_path / FILE
    file.write_text(text, encoding="utf-8")
    with OpcuaServer({}) as server:
        await server.run(lambda one: one.import_xml(file, strict_mode=True))

        async def look(one: Server) -> Any:
            index = await one.get_namespace_index(NAMESPACE)
            return await one.get_node(f"ns={index};s=enum.two.EnumStrings").read_value()

        strings = await server.run(look)
    assert [one.Text for one in strings] == ["off", "on"]


async def test_limits_and_units_are_properties(server: OpcuaServer) -> None:
    async def look(one: Server) -> tuple[Any, Any]:
        index = await one.get_namespace_index(NAMESPACE)
        melt = f"ns={index};s=machine.probe.melt_temp"
        return (
            await one.get_node(f"{melt}.EURange").read_value(),
            await one.get_node(f"{melt}.EngineeringUnits").read_value(),
        )

    span, unit = await server.run(look)
    assert (span.Low, span.High) == (0, 450)
    assert unit.UnitId == 4_408_652  # CEL, as the OPC Foundation's table has it
    assert (unit.DisplayName.Text, unit.Description.Text) == ("°C", "Cel")


@pytest.mark.parametrize(
    ("ucum", "number"), [("Cel", 4408652), ("bar", 4342098), ("s", 5457219), ("1", 4404786)]
)
def test_numbers_of_units_are_those_of_opc_ua(ucum: str, number: int) -> None:
    assert unit_number(ucum) == number


@given(one=blocks("one"), two=blocks("two"), system=code_systems())
@settings(deadline=None, max_examples=25)
def test_nodes_of_any_blocks_have_ids_of_their_own(
    one: dict[str, Any], two: dict[str, Any], system: dict[str, Any]
) -> None:
    """And every reference leads to a node of the file or of the standard."""
    text = texts(made("opcua-nodeset", "one", "two", plant=plant_of(one, two, system)))[FILE]
    root = etree.fromstring(text.encode())
    ids = [node.get("NodeId") for node in root if node.get("NodeId")]
    assert len(ids) == len(set(ids))
    space = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"
    targets = {reference.text for reference in root.iter(f"{space}Reference")}
    assert {target for target in targets if target.startswith("ns=")} <= set(ids)
