"""A server with ten thousand nodes, crawled over its socket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from isthmus.base.clock import SystemClock
from isthmus.field.browse import NodeIndex
from isthmus.field.connector import Unreachable
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource
from isthmus.field.suggest import suggest
from isthmus.model.plant import Source
from isthmus.runtime.browse import Browsing, heard
from isthmus.runtime.settings import Settings
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.tcp_proxy import LOOPBACK

from .suggest.spaces import blocks

FOLDERS, TAGS = 50, 200
CYCLE = "ns=2;s=Machine.CycleTime"


def source(port: int, **keys: Any) -> Source:
    spec = OpcuaSource(endpoint=f"opc.tcp://{LOOPBACK}:{port}", interval=0.05, timeout=30.0, **keys)
    return Source("press", "hamburg", spec, (), ())


async def fill(server: Any) -> None:
    """Folders of variables; one variable has a unit, a comment and a type of its own."""
    for folder in range(FOLDERS):
        above = await server.nodes.objects.add_folder(2, f"Area{folder}")
        for tag in range(TAGS):
            name = f"Area{folder}.Tag{tag}"
            await above.add_variable(ua.NodeId(name, ua.Int16(2)), f"Tag{tag}", 0)
    machine = server.get_node("ns=2;s=Machine.CycleTime")
    await machine.write_attribute(
        ua.AttributeIds.Description,
        ua.DataValue(ua.Variant(ua.LocalizedText("Zeit des letzten Zyklus"))),
    )
    unit = ua.EUInformation()
    unit.NamespaceUri = "http://www.opcfoundation.org/UA/units/un/cefact"
    unit.UnitId = int.from_bytes(b"C26", "big")
    unit.DisplayName = ua.LocalizedText("ms")
    await machine.add_property(0, "EngineeringUnits", unit)


@pytest.fixture(scope="module")
def large() -> Any:
    with OpcuaServer({CYCLE: ua.Variant(28_000.0, ua.VariantType.Double)}) as server:
        asyncio.run(server.run(fill))
        yield server


async def test_ten_thousand_nodes_are_found_searched_and_kept(large: OpcuaServer, tmp_path: Path):
    browsing = Browsing(source(large.port), Settings(data=tmp_path), SystemClock())
    assert browsing.progress is None
    async with asyncio.timeout(60):
        crawled = await browsing.run()
    assert browsing.progress is not None
    assert browsing.progress.complete
    assert len(crawled.nodes) >= FOLDERS * TAGS
    found = NodeIndex(crawled.nodes).search("area7 tag199")
    assert [one.tag for one in found.nodes] == ["ns=2;s=Area7.Tag199"]
    again = Browsing(source(large.port), Settings(data=tmp_path), SystemClock()).stored()
    assert again is not None
    assert again.crawled == crawled


async def test_what_was_kept_of_another_endpoint_is_not_taken(large: OpcuaServer, tmp_path: Path):
    settings = Settings(data=tmp_path)
    (tmp_path / "browse").mkdir()
    (tmp_path / "browse" / "press.json").write_text("{", encoding="utf-8")
    assert Browsing(source(large.port), settings, SystemClock()).stored() is None


class Breaking(OpcuaConnector):
    """Its link breaks when so many folders are open."""

    folders_left = 20

    async def browse(self, parent: str = "") -> AsyncIterator[Any]:
        self.folders_left -= 1
        if self.folders_left < 0:
            raise Unreachable("the link broke")
        async for one in super().browse(parent):
            yield one


async def test_after_a_broken_link_it_goes_on_with_the_right_paths(
    large: OpcuaServer, tmp_path: Path
):
    settings, clock, press = Settings(data=tmp_path), SystemClock(), source(large.port)

    def breaking() -> OpcuaConnector:
        return Breaking("press", press.spec, (), clock)

    with pytest.raises(Unreachable):
        await Browsing(press, settings, clock, breaking).run()
    stored = Browsing(press, settings, clock).stored()
    assert stored is not None
    assert 0 < len(stored.crawled.nodes) < FOLDERS * TAGS
    crawled = await Browsing(press, settings, clock).run()
    paths = {one.tag: one.path for one in crawled.nodes}
    assert len(paths) >= FOLDERS * TAGS
    wrong = [
        (tag, path)
        for tag, path in paths.items()
        if "Area" in tag and path != "/" + tag.removeprefix("ns=2;s=").replace(".", "/")
    ]
    assert [one for one in wrong if "." in one[0]] == []


async def test_a_node_tells_unit_code_comment_and_who_defines_it(large: OpcuaServer):
    connector = OpcuaConnector("press", source(large.port).spec, (), SystemClock())
    await connector.open()
    try:
        top = {one.name: one async for one in _asked(connector, "")}
        (cycle,) = [one async for one in _asked(connector, top["Machine"].tag)]
    finally:
        await connector.close()
    assert (cycle.unit, cycle.unit_code) == ("ms", "C26")
    assert cycle.description == "Zeit des letzten Zyklus"
    assert top["Machine"].defined_by == "urn:isthmus:testing"


async def test_from_the_wire_to_a_proposal(large: OpcuaServer):
    connector = OpcuaConnector("press", source(large.port).spec, (), SystemClock())
    await connector.open()
    try:
        top = {one.name: one async for one in _asked(connector, "")}
        nodes = [one async for one in _asked(connector, top["Machine"].tag)]
    finally:
        await connector.close()
    samples = await heard(source(large.port), [CYCLE], SystemClock(), 0.3)
    (found,) = suggest(nodes, [blocks()["cycle"]], samples=samples)
    assert samples == {CYCLE: (28_000.0,)}
    assert found.best is not None
    assert (found.best.tag, found.best.unit) == (CYCLE, "ms")
    assert "ms can be converted to s" in found.best.why()


def _asked(connector: OpcuaConnector, parent: str) -> AsyncIterator[Any]:
    return connector.browse(parent)
