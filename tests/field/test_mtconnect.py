"""MTConnect against a small agent over HTTP, whose documents hold to the published schemas."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from lxml import etree

from isthmus.base.clock import SECOND, SystemClock, parse_time
from isthmus.field.connector import AnyConnector
from isthmus.field.connectors.mtconnect import MtconnectConnector, MtconnectSource
from isthmus.field.mtconnect import documents
from isthmus.field.values import BAD_NAME_DUPLICATED, BAD_NO_DATA
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, BAD_NOT_CONNECTED, GOOD
from isthmus.model.spec.site import SourceSpec
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Device,
    Sample,
    Value,
    opened,
    read_until,
)
from isthmus.testing.mtconnect_agent import Component, Item, MtconnectAgent, Tool
from isthmus.testing.mtconnect_agent import Device as Machine
from isthmus.testing.tcp_proxy import TcpProxy

from .mtconnect_source import first, source

SCHEMAS = Path(__file__).parents[3] / "shared" / "standards" / "mtconnect"


def mill(name: str) -> Machine:
    """A machine with every kind of data item."""
    path = Component(
        "Path",
        f"{name}_path",
        "path",
        items=(
            Item(f"{name}_exec", "EXECUTION", name="execution"),
            Item(f"{name}_count", "PART_COUNT", name="parts", sub_type="ALL"),
            Item(f"{name}_program", "PROGRAM"),
            Item(f"{name}_pos", "PATH_POSITION", "SAMPLE", units="MILLIMETER_3D"),
            Item(f"{name}_vars", "VARIABLE", representation="DATA_SET"),
            Item(f"{name}_offsets", "WORK_OFFSET", representation="TABLE"),
        ),
    )
    axis = Component(
        "Linear",
        f"{name}_x",
        "X",
        items=(
            Item(f"{name}_load", "LOAD", "SAMPLE", units="PERCENT"),
            Item(
                f"{name}_vibration",
                "ACCELERATION",
                "SAMPLE",
                units="MILLIMETER/SECOND^2",
                representation="TIME_SERIES",
                rate=100.0,
            ),
        ),
    )
    return Machine(
        id=name,
        name=name.upper(),
        uuid=f"uuid-{name}",
        items=(
            Item(f"{name}_avail", "AVAILABILITY"),
            Item(f"{name}_asset_chg", "ASSET_CHANGED"),
            Item(f"{name}_asset_rem", "ASSET_REMOVED"),
        ),
        components=(
            Component("Axes", f"{name}_axes", components=(axis,)),
            Component(
                "Controller",
                f"{name}_controller",
                items=(Item(f"{name}_system", "SYSTEM", "CONDITION", name="system"),),
                components=(path,),
            ),
        ),
    )


class Mill:
    """An agent with one machine, for the contract suite."""

    def __init__(self, agent: MtconnectAgent) -> None:
        self.agent = agent
        self.port = agent.port

    async def set(self, tag: str, value: Value) -> None:
        if tag == "m1_system":
            self.agent.condition(tag, "Normal")
        else:
            self.agent.put({"execution": "m1_exec"}.get(tag, tag), value)


class TestMtconnect(ConnectorContract):
    connector: ClassVar[type[AnyConnector]] = MtconnectConnector
    tags: ClassVar[Mapping[str, Value]] = {
        "execution": "READY",
        "m1_load": 12.5,
        "m1_system": "NORMAL",
        "M1/m1_program": "O1234",
    }
    change: ClassVar[tuple[str, Value]] = ("execution", "ACTIVE")
    unknown: ClassVar[str] = "m1_absent"

    @asynccontextmanager
    async def device(self) -> AsyncIterator[Device]:
        agent = MtconnectAgent([mill("m1")])
        await agent.start()
        control = Mill(agent)
        for tag, value in self.tags.items():
            await control.set(tag.removeprefix("M1/"), value)
        yield control
        await agent.stop()

    def spec(self, host: str, port: int) -> SourceSpec:
        return source(f"http://{host}:{port}")

    def refused_spec(self, host: str, port: int) -> SourceSpec | None:
        return source(f"http://{host}:{port}", device="NOBODY")

    def write_requests(self, sent: bytes) -> list[str]:
        """HTTP requests other than GET."""
        lines = sent.decode("latin-1").split("\r\n")
        return [line for line in lines if line.endswith("HTTP/1.1") and line[:4] != "GET "]


@pytest.fixture
async def agent() -> AsyncIterator[MtconnectAgent]:
    agent = MtconnectAgent([mill("m1"), mill("m2")])
    await agent.start()
    yield agent
    await agent.stop()


def connector(agent: MtconnectAgent, *tags: str, **options: Any) -> MtconnectConnector:
    spec = source(options.pop("url", agent.url), **options)
    return MtconnectConnector("agent", spec, tags, SystemClock())


def values(samples: list[Sample], tag: str = "") -> list[Any]:
    return [sample.value for sample in samples if tag in ("", sample.tag)]


async def test_every_kind_of_data_item_is_read(agent: MtconnectAgent) -> None:
    at = parse_time("2026-03-02T06:00:00.5Z")
    agent.put("m1_exec", "ACTIVE", at)
    agent.put("m1_count", 12, at)
    agent.put("m1_program", "0815", at)
    agent.put("m1_pos", [1.5, 0.0, -3.25], at)
    agent.put("m1_vars", {"a": 1.5, "b": "two words"}, at)
    agent.put("m1_offsets", {"G54": {"X": "10.5", "Y": "20"}}, at)
    agent.put("m1_load", 33.25, at)
    tags = [
        "m1_exec", "m1_count", "m1_program", "m1_pos", "m1_pos[2]", "m1_vars[a]", "m1_vars[b]",
        "m1_vars[c]", "m1_vars", "m1_offsets[G54][Y]", "m1_load", "m1_avail",
    ]  # fmt: skip
    async with opened(connector(agent, *tags)) as mtconnect:
        samples = await first(mtconnect)
    assert {sample.tag: (sample.value, sample.quality) for sample in samples} == {
        "m1_exec": ("ACTIVE", GOOD),
        "m1_count": (12, GOOD),
        "m1_program": ("0815", GOOD),
        "m1_pos": ("1.5 0.0 -3.25", GOOD),
        "m1_pos[2]": (-3.25, GOOD),
        "m1_vars[a]": (1.5, GOOD),
        "m1_vars[b]": ("two words", GOOD),
        "m1_vars[c]": (None, BAD_NO_DATA),
        "m1_vars": ('{"a": "1.5", "b": "two words"}', GOOD),
        "m1_offsets[G54][Y]": (20, GOOD),
        "m1_load": (33.25, GOOD),
        "m1_avail": (None, BAD_NOT_CONNECTED),
    }
    assert {s.device_time for s in samples if s.quality == GOOD} == {at}


async def test_time_series_values_have_their_own_times(agent: MtconnectAgent) -> None:
    at = parse_time("2026-03-02T06:00:00Z")
    async with opened(connector(agent, "m1_vibration")) as mtconnect:
        (empty,) = await first(mtconnect)
        agent.put("m1_vibration", [1.0, 2.0, 3.5], at)
        samples = await read_until(mtconnect, lambda seen: len(seen) >= 3)
    assert (empty.value, empty.quality) == (None, BAD_NO_DATA)
    assert [(s.value, s.device_time - at) for s in samples] == [
        (1.0, -20_000),
        (2.0, -10_000),
        (3.5, 0),
    ]


async def test_only_entries_that_changed_come(agent: MtconnectAgent) -> None:
    agent.put("m1_vars", {"a": 1, "b": 2})
    async with opened(connector(agent, "m1_vars[a]", "m1_vars[b]")) as mtconnect:
        await first(mtconnect)
        agent.put("m1_vars", {"a": 3})
        samples = await read_until(mtconnect, lambda seen: len(seen) >= 1)
        agent.put("m1_vars", {"b": None})
        samples += await read_until(mtconnect, lambda seen: len(seen) >= 1)
        agent.put("m1_vars", {"b": 5}, reset=True)
        samples += await read_until(mtconnect, lambda seen: len(seen) >= 2)
    assert [(s.tag, s.value, s.quality) for s in samples] == [
        ("m1_vars[a]", 3, GOOD),
        ("m1_vars[b]", None, BAD_NO_DATA),
        ("m1_vars[a]", None, BAD_NO_DATA),
        ("m1_vars[b]", 5, GOOD),
    ]


async def test_conditions_are_active_side_by_side(agent: MtconnectAgent) -> None:
    agent.condition("m1_system", "Warning", "17", "Oil low")
    agent.condition("m1_system", "Fault", "410", "Overload")
    async with opened(connector(agent, "m1_system", "m1_system[level]")) as mtconnect:
        present = await first(mtconnect)
        agent.condition("m1_system", "Normal", "410")
        agent.condition("m1_system", "Normal")
        agent.condition("m1_system", "Unavailable")
        samples = await read_until(mtconnect, lambda seen: len(seen) >= 6)
    assert values(present) == ["FAULT:410;WARNING:17", "FAULT"]
    assert values(samples, "m1_system") == ["WARNING:17", "NORMAL", None]
    assert samples[-1].quality == BAD_NOT_CONNECTED


async def test_a_name_of_two_machines_is_bad_until_the_device_is_named(
    agent: MtconnectAgent,
) -> None:
    agent.put("m2_exec", "ACTIVE")
    tags = ("execution", "M2/execution", "uuid-m2/execution", "absent")
    async with opened(connector(agent, *tags)) as mtconnect:
        samples = await first(mtconnect)
    async with opened(connector(agent, "execution", device="M2")) as mtconnect:
        only = await first(mtconnect)
    assert {sample.tag: (sample.value, sample.quality) for sample in samples} == {
        "execution": (None, BAD_NAME_DUPLICATED),
        "M2/execution": ("ACTIVE", GOOD),
        "uuid-m2/execution": ("ACTIVE", GOOD),
        "absent": (None, BAD_NODE_UNKNOWN),
    }
    assert values(only) == ["ACTIVE"]


async def test_a_fast_machine_loses_nothing(agent: MtconnectAgent) -> None:
    async with opened(connector(agent, "m1_count")) as mtconnect:
        await first(mtconnect)
        for number in range(5_000):
            agent.put("m1_count", number)
        samples = await read_until(mtconnect, lambda seen: len(seen) >= 5_000)
        assert mtconnect.missed() == []
    assert values(samples) == list(range(5_000))


async def test_a_cut_stream_goes_on_where_it_was(agent: MtconnectAgent) -> None:
    async with TcpProxy(agent.port) as proxy:
        url = f"http://{proxy.host}:{proxy.port}"
        async with opened(connector(agent, "m1_count", url=url)) as mtconnect:
            await first(mtconnect)
            agent.put("m1_count", 1)
            samples = await read_until(mtconnect, lambda seen: len(seen) >= 1)
            await proxy.cut()
            agent.put("m1_count", 2)
            agent.put("m1_count", 3)
            samples += await read_until(mtconnect, lambda seen: len(seen) >= 2)
            assert mtconnect.missed() == []
    assert values(samples) == [1, 2, 3]


async def test_values_that_left_the_buffer_are_a_gap_and_the_present_ones_come() -> None:
    agent = MtconnectAgent([mill("m1")], buffer_size=50)
    await agent.start()
    async with TcpProxy(agent.port) as proxy:
        url = f"http://{proxy.host}:{proxy.port}"
        async with opened(connector(agent, "m1_count", "m1_exec", url=url)) as mtconnect:
            await first(mtconnect)
            before = SystemClock().now()
            await proxy.cut()
            for number in range(200):
                agent.put("m1_count", number)
            agent.put("m1_exec", "ACTIVE")
            samples = await read_until(mtconnect, lambda seen: len(seen) >= 2)
            after = SystemClock().now()
            (gap,) = mtconnect.missed()
            agent.put("m1_count", 200)
            samples += await read_until(mtconnect, lambda seen: len(seen) >= 1)
    await agent.stop()
    assert values(samples, "m1_count") == [199, 200]
    assert values(samples, "m1_exec") == ["ACTIVE"]
    assert gap.start <= before <= gap.end <= after
    assert "gone past us" in gap.detail


async def test_an_agent_that_was_restarted_is_begun_again(agent: MtconnectAgent) -> None:
    agent.put("m1_count", 41)
    async with opened(connector(agent, "m1_count")) as mtconnect:
        await first(mtconnect)
        await agent.stop()
        agent.restart()
        agent.put("m1_count", 1)
        await agent.start()
        samples = await read_until(mtconnect, lambda seen: len(seen) >= 1)
        gaps = mtconnect.missed()
        agent.put("m1_count", 2)
        samples += await read_until(mtconnect, lambda seen: len(seen) >= 1)
    assert values(samples) == [1, 2]
    assert len(gaps) == 1


async def test_after_an_outage_the_buffer_fills_the_gap_in_order(agent: MtconnectAgent) -> None:
    tags = ("m1_count", "m1_exec", "m1_program", "m1_system", "m1_vars[a]")
    start = parse_time("2026-03-02T06:00:00Z")
    agent.put("m1_exec", "READY", start)
    agent.put("m1_program", "O1", start)
    agent.put("m1_vars", {"a": 1, "b": 2}, start)
    agent.condition("m1_system", "Fault", "410", "Overload", start)
    async with opened(connector(agent, *tags)) as mtconnect:
        await first(mtconnect)
        agent.put("m1_count", 1)
        await read_until(mtconnect, lambda seen: len(seen) >= 1)
        position = mtconnect.position()
    assert position is not None
    for number in range(2, 5):
        agent.put("m1_count", number, start + number * SECOND)
    agent.condition("m1_system", "Warning", "17", "Oil low", start + 5 * SECOND)
    agent.put("m1_vars", {"b": 3}, start + 6 * SECOND)
    again = connector(agent, *tags)
    again.resume(position)
    async with opened(again) as mtconnect:
        samples = await read_until(mtconnect, lambda seen: len(seen) >= 7)
        assert mtconnect.missed() == []
    assert {s.tag: s.value for s in samples[:3]} == {
        "m1_exec": "READY", "m1_program": "O1", "m1_vars[a]": 1,
    }  # fmt: skip
    assert values(samples, "m1_count") == [2, 3, 4]
    assert [s.device_time - start for s in samples if s.tag == "m1_count"] == [
        2 * SECOND, 3 * SECOND, 4 * SECOND,
    ]  # fmt: skip
    assert values(samples, "m1_system") == ["FAULT:410;WARNING:17"]


@pytest.mark.parametrize("lost", ["restarted", "too old", "another agent", "another kind"])
async def test_what_the_buffer_cannot_fill_begins_anew(lost: str) -> None:
    agent = MtconnectAgent([mill("m1")], buffer_size=50)
    await agent.start()
    async with opened(connector(agent, "m1_count")) as mtconnect:
        await first(mtconnect)
        agent.put("m1_count", 1)
        await read_until(mtconnect, lambda seen: len(seen) >= 1)
        position = mtconnect.position() or b""
    if lost == "restarted":
        agent.restart()
    for number in range(100 if lost == "too old" else 5):
        agent.put("m1_count", 10 + number)
    again = connector(agent, "m1_count")
    match lost:
        case "another agent":
            position = position.replace(str(agent.port).encode(), b"1")
        case "another kind":
            position = b"\xff"
    again.resume(position)
    async with opened(again) as mtconnect:
        samples = await first(mtconnect)
        agent.put("m1_count", 999)
        samples += await read_until(mtconnect, lambda seen: len(seen) >= 1)
    await agent.stop()
    assert values(samples) == [109 if lost == "too old" else 14, 999]


async def test_history_is_what_the_buffer_still_has(agent: MtconnectAgent) -> None:
    start = parse_time("2026-03-02T06:00:00Z")
    for second in range(10):
        agent.put("m1_count", second, start + second * SECOND)
    async with opened(connector(agent, "m1_count")) as mtconnect:
        table = await mtconnect.history(start + 3 * SECOND, start + 6 * SECOND)
    assert table["number"].to_pylist() == [3, 4, 5]


async def test_browsing_shows_components_and_data_items(agent: MtconnectAgent) -> None:
    async with opened(connector(agent, "m1_count")) as mtconnect:
        root = [node async for node in mtconnect.browse()]
        machine = [node async for node in mtconnect.browse("M1/")]
        path = [node async for node in mtconnect.browse("M1/Controller/path/")]
    assert [(node.name, node.has_children) for node in root] == [("M1", True), ("M2", True)]
    assert [(node.name, node.has_children, node.tag) for node in machine] == [
        ("Axes", True, "M1/Axes/"),
        ("Controller", True, "M1/Controller/"),
        ("m1_avail", False, "m1_avail"),
        ("m1_asset_chg", False, "m1_asset_chg"),
        ("m1_asset_rem", False, "m1_asset_rem"),
    ]
    assert [node.tag for node in path][:2] == ["m1_exec", "m1_count"]
    assert path[3].unit == "MILLIMETER_3D"


async def test_an_id_that_two_devices_have_is_browsed_with_its_device() -> None:
    items = (Item("load", "LOAD", "SAMPLE"),)
    agent = MtconnectAgent([Machine(name, name, f"uuid-{name}", items) for name in ("A", "B")])
    await agent.start()
    async with opened(connector(agent, "A/load")) as mtconnect:
        tags = [node.tag for name in ("A/", "B/") async for node in mtconnect.browse(name)]
    await agent.stop()
    assert tags == ["A/load", "B/load"]


# The agent itself ---------------------------------------------------------------------------------


@pytest.mark.skipif(
    not SCHEMAS.is_dir(), reason="`shared/standards/mtconnect` is not beside the repository"
)
async def test_documents_of_our_agent_hold_to_the_published_schemas(
    agent: MtconnectAgent,
) -> None:
    agent.put("m1_exec", "ACTIVE")
    agent.put("m1_count", 12)
    agent.put("m1_load", 33.25)
    agent.put("m1_pos", [1.5, 0.0, -3.25])
    agent.put("m1_vibration", [1.0, 2.0, 3.5])
    agent.put("m1_vars", {"a": 1.5, "b": "two"})
    agent.put("m1_vars", {"b": None})
    agent.put("m1_offsets", {"G54": {"X": "10.5"}}, reset=True)
    for level in ("Normal", "Warning", "Fault"):
        agent.condition("m1_system", level, "410", "Overload")
    agent.put_tool(Tool("T12", 0))
    agent.remove_tool("T12")
    async with httpx.AsyncClient(base_url=agent.url) as http:
        for request, kind in [("probe", "Devices"), ("current", "Streams"), ("sample", "Streams")]:
            schema = etree.XMLSchema(etree.parse(SCHEMAS / f"MTConnect{kind}_2.7_1.0.xsd"))
            document = etree.fromstring((await http.get(request)).content)
            schema.assertValid(document)
            assert len(document) == 2


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ("sample?from=9999", 404, "OUT_OF_RANGE"),
        ("sample?count=0", 404, "OUT_OF_RANGE"),
        ("sample?from=x", 400, "INVALID_REQUEST"),
        ("NOBODY/current", 404, "NO_DEVICE"),
        ("cutlery", 400, "UNSUPPORTED"),
        ("asset/T9", 404, "ASSET_NOT_FOUND"),
    ],
)
async def test_our_agent_says_what_it_does_not_have(
    agent: MtconnectAgent, request_: str, status: int, code: str
) -> None:
    async with httpx.AsyncClient(base_url=agent.url) as http:
        answer = await http.get(request_)
    assert answer.status_code == status
    assert [found for found, _ in documents.errors(documents.parse(answer.content))] == [code]


@pytest.mark.parametrize("tag", ["", "a b", "a/", "/a", "a[", "a[1][2][3]", "[a]"])
def test_wrong_addresses_say_what_is_wrong(tag: str) -> None:
    with pytest.raises(ValueError, match=r"no (data item|name)"):
        MtconnectSource.parse_tag(tag)
