"""Tools and other assets of an MTConnect agent: read at the beginning, followed by its events."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from isthmus.base.clock import SECOND, SystemClock, parse_time
from isthmus.field.connectors.mtconnect import MtconnectConnector, MtconnectSource
from isthmus.field.connectors.mtconnect.asset_tags import AssetTag, AssetTags
from isthmus.field.connectors.mtconnect.following import BAD_NOT_SUPPORTED
from isthmus.field.mtconnect import documents
from isthmus.field.mtconnect.assets import Asset, Step, assets
from isthmus.field.samples import Samples
from isthmus.field.values import BAD_NO_DATA
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD
from isthmus.testing.connector_suite import Sample, opened, read_for, read_until
from isthmus.testing.mtconnect_agent import Device, Item, MtconnectAgent, Tool

SCHEMA = Path(__file__).parents[3] / "shared/standards/mtconnect/MTConnectAssets_2.7_1.0.xsd"
AT = parse_time("2026-03-02T06:00:00Z")
LIFE = "asset:T12/ToolLife[type=MINUTES]"
ALL = ("assets:CuttingTool@assetId", "assets:CuttingTool/ToolLife", "assets:CuttingTool@removed")


def machine() -> Device:
    items = (
        Item("avail", "AVAILABILITY"),
        Item("chg", "ASSET_CHANGED"),
        Item("rem", "ASSET_REMOVED"),
    )
    return Device("m1", "M1", "uuid-m1", items)


@pytest.fixture
async def agent() -> AsyncIterator[MtconnectAgent]:
    agent = MtconnectAgent([machine()])
    await agent.start()
    yield agent
    await agent.stop()


def connector(agent: MtconnectAgent, *tags: str, **keys: Any) -> MtconnectConnector:
    given = {"url": agent.url, "interval": "20 ms", "heartbeat": "500 ms", "timeout": "2 s"}
    spec = MtconnectSource.model_validate(given | keys)
    return MtconnectConnector("agent", spec, tags, SystemClock())


def found(samples: list[Sample]) -> list[tuple[str, Any, int]]:
    return [(sample.tag, sample.value, sample.quality) for sample in samples]


async def test_what_is_known_of_one_tool_comes_and_follows_its_changes(
    agent: MtconnectAgent,
) -> None:
    agent.put_tool(Tool("T12", AT, minutes=7.5, status=("USED", "ALLOCATED")))
    tags = (
        LIFE, f"{LIFE}@limit", "asset:T12/CutterStatus/Status", "asset:T12/Location[type=POT]",
        "asset:T12@serialNumber", "asset:T13/ToolLife",
    )  # fmt: skip
    async with opened(connector(agent, *tags)) as mtconnect:
        samples = await read_until(mtconnect, lambda seen: len(seen) >= len(tags))
        agent.put_tool(Tool("T12", AT + SECOND, minutes=8.5, status=("USED", "ALLOCATED")))
        changed = await read_until(mtconnect, lambda seen: len(seen) >= 1)
        agent.remove_tool("T12")
        removed = await read_until(mtconnect, lambda seen: len(seen) >= 4)
    assert sorted(found(samples)) == [
        ("asset:T12/CutterStatus/Status", "USED;ALLOCATED", GOOD),
        ("asset:T12/Location[type=POT]", 1, GOOD),
        (LIFE, 7.5, GOOD),
        (f"{LIFE}@limit", 60, GOOD),
        ("asset:T12@serialNumber", None, BAD_NO_DATA),
        ("asset:T13/ToolLife", None, BAD_NODE_UNKNOWN),
    ]
    assert {s.device_time for s in samples if s.quality == GOOD} == {AT}
    assert (LIFE, 8.5, GOOD) in found(changed)
    assert {s.device_time for s in changed} == {AT + SECOND}
    assert {quality for _, _, quality in found(removed)} == {BAD_NO_DATA}


async def test_all_tools_come_one_row_each_and_those_that_are_taken_away(
    agent: MtconnectAgent,
) -> None:
    for number in range(3):
        agent.put_tool(Tool(f"T{number}", AT, minutes=number))
    async with opened(connector(agent, *ALL)) as mtconnect:
        samples = await read_until(mtconnect, lambda seen: len(seen) >= 9)
        agent.put_tool(Tool("T1", AT + SECOND, minutes=5))
        changed = await read_until(mtconnect, lambda seen: len(seen) >= 3)
        agent.remove_tool("T2")
        removed = await read_until(mtconnect, lambda seen: len(seen) >= 2)
        assert await read_for(mtconnect, 0.1) == []
    rows = {
        at: tuple(sample.value for sample in samples if sample.device_time == at)
        for at in sorted({sample.device_time for sample in samples})
    }
    assert rows == {AT: ("T0", 0, 0), AT + 1: ("T1", 1, 0), AT + 2: ("T2", 2, 0)}
    assert [sample.value for sample in changed] == ["T1", 5, 0]
    assert [(s.tag, s.value) for s in removed] == [(ALL[0], "T2"), (ALL[2], 1)]


async def test_a_tool_of_our_agent_has_what_the_schema_demands(agent: MtconnectAgent) -> None:
    agent.put_tool(Tool("T12", AT, minutes=7.5))
    async with httpx.AsyncClient(base_url=agent.url) as http:
        root = documents.parse((await http.get("assets")).content)
    header, (tool,) = root
    (life,) = tool
    assert {"assetBufferSize", "assetCount", "deviceModelChangeTime"} <= set(header.attrib)
    assert dict(tool.attrib) == {
        "assetId": "T12", "timestamp": "2026-03-02T06:00:00Z", "toolId": "T12",
        "deviceUuid": "uuid-m1",
    }  # fmt: skip
    assert [etree.QName(part).localname for part in life] == [
        "CutterStatus",
        "ToolLife",
        "Location",
    ]
    assert {"type", "countDirection"} <= set(life[1].attrib)


@pytest.mark.skipif(
    not SCHEMA.is_file(), reason="the schema of assets is not beside the repository"
)
async def test_assets_of_our_agent_hold_to_the_published_schema(agent: MtconnectAgent) -> None:
    agent.put_tool(Tool("T12", AT, minutes=7.5, status=("USED", "ALLOCATED")))
    async with httpx.AsyncClient(base_url=agent.url) as http:
        document = etree.fromstring((await http.get("assets")).content)
    etree.XMLSchema(etree.parse(SCHEMA)).assertValid(document)


async def test_very_many_changes_are_read_at_once(agent: MtconnectAgent) -> None:
    async with opened(connector(agent, ALL[0])) as mtconnect:
        await read_for(mtconnect, 0.05)
        for number in range(50):
            agent.put_tool(Tool(f"T{number}", AT + number))
        samples = await read_until(mtconnect, lambda seen: len({s.value for s in seen}) >= 50)
        assert len([target for target in agent.asked if target.startswith("/asset/")]) <= 20
    assert {sample.value for sample in samples} == {f"T{number}" for number in range(50)}


async def test_a_tool_that_is_gone_before_we_ask_is_removed(agent: MtconnectAgent) -> None:
    agent.put_tool(Tool("T12", AT))
    async with opened(connector(agent, LIFE)) as mtconnect:
        await read_until(mtconnect, lambda seen: len(seen) >= 1)
        del agent.tools["T12"]
        agent.put("chg", "T12")
        samples = await read_until(mtconnect, lambda seen: len(seen) >= 1)
    assert found(samples) == [(LIFE, None, BAD_NO_DATA)]


async def test_an_agent_without_assets_says_so_and_its_signals_are_read() -> None:
    agent = MtconnectAgent([machine()], version="1.1")
    await agent.start()
    agent.put("avail", "AVAILABLE")
    async with opened(connector(agent, LIFE, "avail")) as mtconnect:
        samples = await read_until(mtconnect, lambda seen: len(seen) >= 2)
    await agent.stop()
    assert sorted(found(samples)) == [
        (LIFE, None, BAD_NOT_SUPPORTED),
        ("avail", "AVAILABLE", GOOD),
    ]


async def test_assets_are_asked_for_only_where_a_tag_wants_them(agent: MtconnectAgent) -> None:
    agent.put("avail", "AVAILABLE")
    async with opened(connector(agent, "avail")) as mtconnect:
        await read_until(mtconnect, lambda seen: len(seen) >= 1)
        agent.put_tool(Tool("T12", AT))
        assert await read_for(mtconnect, 0.1) == []
    assert not any("asset" in target for target in agent.asked)


# Documents of other agents ------------------------------------------------------------------------

OLD = b"""<?xml version="1.0"?>
<MTConnectAssets xmlns:m="urn:mtconnect.org:MTConnectAssets:1.2"
    xmlns="urn:mtconnect.org:MTConnectAssets:1.2" xmlns:x="urn:maker:MakerAssets:1.2">
  <Header creationTime="2011-05-11T13:55:22" assetBufferSize="1024" sender="localhost"
      assetCount="2" version="1.2" instanceId="1234"/>
  <Assets>
    <CuttingTool serialNumber="1" toolId="KSSP" timestamp="2011-05-11T13:55:22" assetId="KSSP.1">
      <CuttingToolLifeCycle>
        <ToolLife type="MINUTES" countDirection="UP" initial="0" limit="">1</ToolLife>
        <ToolLife type="PART_COUNT" countDirection="UP" initial="0" limit="9">4</ToolLife>
        <Measurements><BodyDiameterMax code="BDX"> 73.25 </BodyDiameterMax></Measurements>
        <CuttingItems count="2">
          <CuttingItem indices="1"><ItemLife type="PART_COUNT">3</ItemLife></CuttingItem>
          <CuttingItem indices="2"><ItemLife type="PART_COUNT">5</ItemLife></CuttingItem>
        </CuttingItems>
      </CuttingToolLifeCycle>
      <x:Coating>TiN</x:Coating>
    </CuttingTool>
    <Fixture assetId="FIX-2" timestamp="soon" removed="True"/>
  </Assets>
</MTConnectAssets>"""


def old() -> list[Asset]:
    return list(assets(documents.parse(OLD)))


@pytest.mark.parametrize(
    ("tag", "texts"),
    [
        ("asset:KSSP.1/ToolLife[type=PART_COUNT]", ["4"]),
        ("asset:KSSP.1/ToolLife[type=PART_COUNT][countDirection=UP]@limit", ["9"]),
        ("asset:KSSP.1/BodyDiameterMax", ["73.25"]),
        ("asset:KSSP.1/Measurements/BodyDiameterMax@code", ["BDX"]),
        ("asset:KSSP.1/CuttingItem[indices=2]/ItemLife", ["5"]),
        ("asset:KSSP.1/ItemLife", ["3", "5"]),
        ("asset:KSSP.1/Coating", ["TiN"]),
        ("asset:KSSP.1/Absent", []),
        ("asset:KSSP.1@toolId", ["KSSP"]),
    ],
)
def test_paths_lead_to_elements_of_every_version(tag: str, texts: list[str]) -> None:
    address = MtconnectSource.parse_tag(tag)
    assert isinstance(address, AssetTag)
    assert old()[0].find(address.steps, address.attribute) == texts


def test_assets_are_known_by_id_type_time_and_whether_they_are_there() -> None:
    assert [(one.id, one.type, one.time, one.removed) for one in old()] == [
        ("KSSP.1", "CuttingTool", parse_time("2011-05-11T13:55:22Z"), False),
        ("FIX-2", "Fixture", None, True),
    ]


def test_an_asset_that_is_marked_as_removed_is_not_there() -> None:
    samples = Samples()
    AssetTags(["asset:FIX-2@assetId", "assets:Fixture@assetId"]).present(old(), AT, samples)
    assert (samples.tag, samples.quality) == (["asset:FIX-2@assetId"], [BAD_NODE_UNKNOWN])


def test_a_tag_of_an_asset_is_read() -> None:
    assert MtconnectSource.parse_tag(LIFE) == AssetTag(
        asset="T12", steps=(Step("ToolLife", (("type", "MINUTES"),)),)
    )
    assert MtconnectSource.parse_tag(ALL[0]) == AssetTag(type="CuttingTool", attribute="assetId")


@pytest.mark.parametrize("tag", ["asset:T12", "asset:", "asset:/x", "assets:T/", "asset:T/a[b]"])
def test_a_wrong_tag_of_an_asset_says_what_is_wrong(tag: str) -> None:
    with pytest.raises(ValueError, match="is nothing of an asset; write"):
        MtconnectSource.parse_tag(tag)
