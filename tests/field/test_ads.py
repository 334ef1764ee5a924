"""The ADS connector against the contract and a simulated TwinCAT router."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from isthmus.base.clock import SECOND, SystemClock
from isthmus.field.connector import Connector, Refused, Unreachable
from isthmus.field.connectors.ads import AdsConnector, AdsSource
from isthmus.field.connectors.ads import connector as connector_module
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD, UNCERTAIN_LAST_USABLE
from isthmus.testing.ads_router import RUN, STOP, AdsRouter, write_requests
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Sample,
    Value,
    opened,
    read_forever,
    read_until,
    until,
)
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy, answering

STRUCTS = {
    "ST_Zone": {"fTemp": "REAL", "bOn": "BOOL"},
    "ST_Recipe": {
        "sName": "STRING(20)",
        "fTemp": "LREAL",
        "aSteps": "ARRAY [1..3] OF INT",
        "aZones": "ARRAY [0..1] OF ST_Zone",
    },
}
SYMBOLS = {
    "MAIN.fTemp": "LREAL",
    "MAIN.nCount": "UDINT",
    "MAIN.stRecipe": "ST_Recipe",
    "MAIN.eState": "E_State",
    "GVL.aCounts": "ARRAY [0..3] OF INT",
    "GVL.aMatrix": "ARRAY [0..1,1..3] OF INT",
    "GVL.bRun": "BOOL",
    "GVL.sMould": "STRING(20)",
    "GVL.wsName": "WSTRING(20)",
    "GVL.nTotal": "ULINT",
    "GVL.tCycle": "TIME",
    "GVL.dtStart": "DT",
    "GVL.dDay": "DATE",
    "GVL.aNames": "ARRAY [0..1] OF STRING(5)",
}
VALUES: dict[str, Any] = {
    "MAIN.fTemp": 12.5,
    "MAIN.nCount": 41,
    "MAIN.stRecipe": {
        "sName": "Deckel",
        "fTemp": 231.5,
        "aSteps": [7, 8, 9],
        "aZones": [{"fTemp": 20.5, "bOn": False}, {"fTemp": 21.5, "bOn": True}],
    },
    "MAIN.eState": 3,
    "GVL.aCounts": [10, 11, 12, 13],
    "GVL.aMatrix": [1, 2, 3, 11, 12, 13],
    "GVL.bRun": True,
    "GVL.sMould": "gießen",
    "GVL.wsName": "Łódź",
    "GVL.nTotal": 2**60,
    "GVL.tCycle": 28_500,
    "GVL.dtStart": 1_767_225_600,
    "GVL.dDay": 1_767_225_600,
    "GVL.aNames": ["rot", "blau"],
}
READABLE: dict[str, Any] = {
    "MAIN.fTemp": 12.5,
    "MAIN.nCount": 41.0,
    "MAIN.stRecipe.fTemp": 231.5,
    "MAIN.stRecipe.sName": "Deckel",
    "MAIN.stRecipe.aSteps[3]": 9.0,
    "MAIN.stRecipe.aZones[1].bOn": 1.0,
    "MAIN.eState": 3.0,
    "GVL.aCounts[3]": 13.0,
    "GVL.aMatrix[1,2]": 12.0,
    "GVL.bRun": 1.0,
    "GVL.sMould": "gießen",
    "GVL.wsName": "Łódź",
    "GVL.nTotal": str(2**60),
    "GVL.tCycle": 28_500.0,
    "GVL.dtStart": "2026-01-01T00:00:00",
    "GVL.dDay": "2026-01-01",
    "GVL.aCounts": "[10, 11, 12, 13]",
    "GVL.aNames": '["rot", "blau"]',
    "gvl.AcOuNtS[1]": 11.0,
}


def source(port: int, **keys: Any) -> AdsSource:
    keys = {"timeout": "500 ms", "interval": "20 ms"} | keys
    return AdsSource(host=LOOPBACK, port=port, **keys)


def connector(port: int, *tags: str, **keys: Any) -> AdsConnector:
    spec = source(port, **({"timeout": "5 s"} | keys))
    return AdsConnector("press_1", spec, tags, SystemClock())


def router(**keys: Any) -> AdsRouter:
    return AdsRouter(SYMBOLS, VALUES, structs=STRUCTS, **keys)


def by_tag(samples: list[Sample]) -> dict[str, Any]:
    return {s.tag: s.value if s.quality == GOOD else s.quality for s in samples}


async def next_of(reading: Connector[Any], *tags: str) -> dict[str, Any]:
    """What comes next of each of these tags."""
    return by_tag(await read_until(reading, lambda seen: set(by_tag(seen)) >= set(tags)))


class ContractDevice(AdsRouter):
    async def set(self, tag: str, value: Value) -> None:
        self.put(tag, value)


class TestContract(ConnectorContract):
    connector: ClassVar[type[Connector[Any]]] = AdsConnector
    tags: ClassVar[dict[str, Any]] = READABLE
    change: ClassVar[tuple[str, Any]] = ("MAIN.fTemp", 13.5)
    unknown: ClassVar[str] = "MAIN.fNothing"
    lost_within: ClassVar[float] = 2.5

    @asynccontextmanager
    async def device(self) -> AsyncIterator[ContractDevice]:
        async with ContractDevice(SYMBOLS, VALUES, structs=STRUCTS) as running:
            yield running
        assert running.writes == []

    def spec(self, host: str, port: int) -> AdsSource:
        return source(port)

    def refused_spec(self, host: str, port: int) -> AdsSource:
        return source(port, net_id="5.6.7.8.1.1")

    def write_requests(self, sent: bytes) -> list[str]:
        return write_requests(sent)


class TestContractByAsking(TestContract):
    """The same when the controller grants no notifications and knows no sum commands."""

    @asynccontextmanager
    async def device(self) -> AsyncIterator[ContractDevice]:
        async with ContractDevice(SYMBOLS, VALUES, structs=STRUCTS) as running:
            running.most_notifications = 0
            running.sums = False
            yield running
        assert running.writes == []


# Addresses and keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tag", ["MAIN.fTemp", ".bRun", "GVL.a[3]", "GVL.a[-1,2].b[0]", "P.fb.in_x", "MAIN.pZone^.fTemp"]
)
def test_a_tag_is_the_name_of_a_symbol(tag: str) -> None:
    assert AdsSource.parse_tag(tag) == tag


@pytest.mark.parametrize(
    "tag", ["", "MAIN.", "MAIN..a", "MAIN.1a", "GVL.a[", "GVL.a[x]", "MAIN fTemp", "GVL.ä", "%MW3"]
)
def test_a_wrong_tag_says_what_to_write(tag: str) -> None:
    with pytest.raises(ValueError, match=r"is no symbol; write `MAIN\.fTemp`"):
        AdsSource.parse_tag(tag)


def test_a_name_beyond_what_twincat_takes_is_wrong() -> None:
    with pytest.raises(ValueError, match="longer than 255"):
        AdsSource.parse_tag("A" * 256)


@pytest.mark.parametrize(
    "keys",
    [
        {"net_id": "1.2.3.4"},
        {"net_id": "1.2.3.4.5.256"},
        {"ams_port": 0},
        {"encoding": "ebcdic"},
        {"host": "press-1"},
    ],
)
def test_a_wrong_key_is_a_problem_of_the_model(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(keys))):
        AdsSource.model_validate({"host": "10.0.4.31"} | keys)


def test_the_net_id_follows_from_an_address() -> None:
    assert source(48898).target == "127.0.0.1.1.1"
    assert AdsSource(host="press-1", net_id="5.6.7.8.1.1").target == "5.6.7.8.1.1"


# Against a router --------------------------------------------------------------------------------


async def test_a_change_has_the_time_of_the_controller() -> None:
    async with router() as device, opened(connector(device.port, "MAIN.fTemp")) as reading:
        await next_of(reading, "MAIN.fTemp")
        device.clock_offset = -300
        before = SystemClock().now()
        device.put("MAIN.fTemp", 13.5)
        (sample,) = await read_until(reading, bool)
    assert abs(sample.device_time - (before - 300 * SECOND)) < 2 * SECOND
    assert sample.received_time >= before


async def test_a_value_that_comes_before_its_notification_is_granted_is_kept() -> None:
    async with router() as device:
        device.early = True
        async with opened(connector(device.port, *READABLE)) as reading:
            assert await next_of(reading, *READABLE) == READABLE


async def test_notifications_that_are_refused_are_asked_for_in_one_request() -> None:
    tags = [tag for tag in READABLE if tag != "MAIN.fTemp"]
    async with router() as device:
        device.most_notifications = 2
        async with opened(connector(device.port, *tags)) as reading:
            first = await next_of(reading, *tags)
            device.requests.clear()
            device.put("GVL.bRun", value=False)
            device.put("MAIN.nCount", 42)
            changed = await next_of(reading, "GVL.bRun", "MAIN.nCount")
    assert first == {tag: READABLE[tag] for tag in tags}
    assert changed == {"GVL.bRun": 0.0, "MAIN.nCount": 42.0}
    asked = [request for request in device.requests if request.command in {2, 9}]
    assert {request.group for request in asked} <= {0xF080, 0xF008}


async def test_notifications_that_never_come_are_asked_for() -> None:
    async with router() as device:
        device.silent = True
        async with opened(connector(device.port, "MAIN.fTemp", timeout="100 ms")) as reading:
            first = await next_of(reading, "MAIN.fTemp")
            device.put("MAIN.fTemp", 13.5)
            second = await next_of(reading, "MAIN.fTemp")
    assert (first, second) == ({"MAIN.fTemp": 12.5}, {"MAIN.fTemp": 13.5})


async def test_notifications_that_end_unnoticed_are_found_by_comparing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connector_module, "_AUDIT", 0.1)
    async with router() as device:
        tags = ("MAIN.fTemp", "GVL.bRun")
        async with opened(connector(device.port, *tags, timeout="100 ms")) as reading:
            await next_of(reading, *tags)
            device.lose_notifications()
            device.put("MAIN.fTemp", 13.5)
            found = await next_of(reading, "MAIN.fTemp")
            device.put("MAIN.fTemp", 14.5)
            again = await next_of(reading, "MAIN.fTemp")
            assert device.notifications == 2
    assert (found, again) == ({"MAIN.fTemp": 13.5}, {"MAIN.fTemp": 14.5})


async def test_without_notifications_everything_is_asked_for() -> None:
    async with router() as device:
        keys = {"notifications": False}
        async with opened(connector(device.port, "MAIN.fTemp", "GVL.bRun", **keys)) as reading:
            assert await next_of(reading, "MAIN.fTemp", "GVL.bRun")
            assert device.notifications == 0


async def test_after_a_download_handles_are_asked_anew() -> None:
    async with router() as device:
        tags = ("MAIN.fTemp", "MAIN.nCount", "MAIN.nNew")
        async with opened(connector(device.port, *tags, timeout="500 ms")) as reading:
            first = await next_of(reading, *tags)
            kinds = {"MAIN.fTemp": "REAL", "MAIN.nNew": "INT"}
            device.download(kinds, {"MAIN.fTemp": 1.5, "MAIN.nNew": 5})
            second = await next_of(reading, *tags)
            device.put("MAIN.fTemp", 2.5)
            third = await next_of(reading, "MAIN.fTemp")
    assert first == {"MAIN.fTemp": 12.5, "MAIN.nCount": 41.0, "MAIN.nNew": BAD_NODE_UNKNOWN}
    assert second == {"MAIN.fTemp": 1.5, "MAIN.nCount": BAD_NODE_UNKNOWN, "MAIN.nNew": 5.0}
    assert third == {"MAIN.fTemp": 2.5}


async def test_a_handle_that_went_stale_is_noticed_without_a_version() -> None:
    async with router() as device:
        device.version = None
        device.most_notifications = 0
        async with opened(connector(device.port, "MAIN.fTemp")) as reading:
            await next_of(reading, "MAIN.fTemp")
            device.download({"MAIN.fTemp": "REAL"}, {"MAIN.fTemp": 1.5})
            assert await next_of(reading, "MAIN.fTemp") == {"MAIN.fTemp": 1.5}


async def test_a_symbol_that_appears_later_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector_module, "_ASK_AGAIN", 0.5)
    async with router() as device:
        device.version = None
        tags = ("MAIN.fTemp", "MAIN.nNew")
        async with opened(connector(device.port, *tags, timeout="500 ms")) as reading:
            await next_of(reading, *tags)
            device.symbols["MAIN.nNew"], device.values["MAIN.nNew"] = "INT", 5
            assert await next_of(reading, "MAIN.nNew") == {"MAIN.nNew": 5.0}


async def test_a_stopped_program_makes_its_values_uncertain() -> None:
    async with router() as device:
        tags = ("MAIN.fTemp", "MAIN.nNothing")
        async with opened(connector(device.port, *tags, timeout="500 ms")) as reading:
            await next_of(reading, *tags)
            device.state = STOP
            (stopped,) = await read_until(reading, bool)
            device.state = RUN
            (running,) = await read_until(reading, bool)
        device.state = STOP
        async with opened(connector(device.port, "MAIN.fTemp")) as reading:
            (first,) = await read_until(reading, bool)
    assert (stopped.value, stopped.quality) == (12.5, UNCERTAIN_LAST_USABLE)
    assert (running.value, running.quality) == (12.5, GOOD)
    assert (first.value, first.quality) == (12.5, UNCERTAIN_LAST_USABLE)


async def test_no_program_at_that_port_is_tried_again() -> None:
    async with router(ams_port=851) as device:
        reading = connector(device.port, "MAIN.fTemp", ams_port=852)
        with pytest.raises(Unreachable, match="no program runs at AMS port 852"):
            await reading.open()
        await reading.close()


async def test_a_wrong_net_id_is_refused_with_what_to_do() -> None:
    async with router() as device:
        reading = connector(device.port, "MAIN.fTemp", net_id="5.6.7.8.1.1")
        with pytest.raises(Refused, match=r"knows no controller 5\.6\.7\.8\.1\.1 .*See `net_id`"):
            await reading.open()
        await reading.close()


async def test_a_controller_without_a_route_to_us_is_unreachable_with_a_hint() -> None:
    async with answering(lambda _: b"\0") as port:
        reading = connector(port, "MAIN.fTemp", local_net_id="10.9.8.7.1.1", timeout="100 ms")
        with pytest.raises(Unreachable, match=r"a route to our address 10\.9\.8\.7\.1\.1"):
            await reading.open()
        await reading.close()


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\x20\0\0\0" * 40])
async def test_garbage_instead_of_a_router_is_unreachable(garbage: bytes) -> None:
    async with answering(lambda _: garbage) as port:
        reading = connector(port, "MAIN.fTemp")
        with pytest.raises(Unreachable):
            await reading.open()
        await reading.close()


async def test_two_sources_of_one_controller_share_one_connection() -> None:
    async with router() as device, AsyncExitStack() as stack:
        both = [connector(device.port, "MAIN.fTemp"), connector(device.port, "GVL.bRun")]
        first, second = [await stack.enter_async_context(opened(one)) for one in both]
        assert await next_of(first, "MAIN.fTemp") == {"MAIN.fTemp": 12.5}
        assert await next_of(second, "GVL.bRun") == {"GVL.bRun": 1.0}
        await first.close()
        device.put("GVL.bRun", value=False)
        assert await next_of(second, "GVL.bRun") == {"GVL.bRun": 0.0}
        assert device.connections == 1


async def test_two_controllers_with_the_same_net_id_are_kept_apart() -> None:
    async with router() as left, router() as right, AsyncExitStack() as stack:
        right.values["MAIN.fTemp"] = 99.0
        both = [connector(device.port, "MAIN.fTemp") for device in (left, right)]
        one, other = [await stack.enter_async_context(opened(reading)) for reading in both]
        assert await next_of(one, "MAIN.fTemp") == {"MAIN.fTemp": 12.5}
        assert await next_of(other, "MAIN.fTemp") == {"MAIN.fTemp": 99.0}


async def test_sources_that_share_a_connection_lose_it_together_and_come_back() -> None:
    async with router() as device, TcpProxy(device.port) as proxy:
        for _ in range(2):
            async with AsyncExitStack() as stack:
                both = [connector(proxy.port, "MAIN.fTemp"), connector(proxy.port, "GVL.bRun")]
                for reading in both:
                    await stack.enter_async_context(opened(reading))
                    await read_until(reading, bool)
                await proxy.cut()
                for reading in both:
                    with pytest.raises(Unreachable):
                        await asyncio.wait_for(read_forever(reading), 1)
    assert device.connections == 2


async def test_everything_is_given_back() -> None:
    async with router() as device:
        async with opened(connector(device.port, *READABLE)) as reading:
            await next_of(reading, *READABLE)
            assert device.notifications == len(device.handles) == len(READABLE)
        assert device.notifications == len(device.handles) == 0
    assert device.writes == []


async def test_closing_over_a_dead_link_takes_one_timeout_not_one_per_tag() -> None:
    async with router() as device, TcpProxy(device.port) as proxy:
        reading = connector(proxy.port, *READABLE, timeout="500 ms")
        async with opened(reading):
            await next_of(reading, *READABLE)
            proxy.black_hole()
            started = asyncio.get_running_loop().time()
            await reading.close()
            assert asyncio.get_running_loop().time() - started < 1.0
        await proxy.heal()


async def test_what_nobody_takes_becomes_a_gap_and_then_the_present(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connector_module, "_MOST_PENDING", 10)
    async with router() as device, opened(connector(device.port, "MAIN.nCount")) as reading:
        await next_of(reading, "MAIN.nCount")
        for number in range(100):
            device.put("MAIN.nCount", number)
        device.put("MAIN.nCount", 7)
        await until(lambda: reading._missing_since is not None, "nothing was dropped")
        samples = await read_until(reading, lambda seen: bool(seen) and seen[-1].value == 7.0)
        (gap,) = reading.missed()
        assert reading.missed() == []
    assert len(samples) < 100
    assert gap.start <= gap.end
    assert "more values" in gap.detail


async def test_a_thousand_symbols_of_one_source() -> None:
    names = {f"GVL.n{number}": "DINT" for number in range(1000)}
    values = {name: number for number, name in enumerate(names)}
    async with (
        AdsRouter(names, values) as device,
        opened(connector(device.port, *names, timeout="10 s")) as reading,
    ):
        found = await next_of(reading, *names)
        notified_ones = device.notifications
    assert found == {name: float(value) for name, value in values.items()}
    assert notified_ones == 1000


async def test_browse_shows_programs_symbols_members_and_elements() -> None:
    async with router() as device, opened(connector(device.port)) as reading:
        top = [node.tag async for node in reading.browse()]
        main = {node.tag: node async for node in reading.browse("MAIN")}
        recipe = [node.tag async for node in reading.browse("MAIN.stRecipe")]
        zones = {node.tag: node async for node in reading.browse("MAIN.stRecipe.aZones")}
        zone = [node.tag async for node in reading.browse("MAIN.stRecipe.aZones[1]")]
        matrix = [node.tag async for node in reading.browse("GVL.aMatrix")]
        assert [node async for node in reading.browse("MAIN.fTemp")] == []
        assert [node async for node in reading.browse("MAIN.nothing")] == []
    assert top == ["MAIN", "GVL"]
    assert (main["MAIN.fTemp"].type, main["MAIN.fTemp"].has_children) == ("LREAL", False)
    assert main["MAIN.stRecipe"].has_children
    assert main["MAIN.stRecipe"].path == "/MAIN/stRecipe"
    assert recipe == [f"MAIN.stRecipe.{name}" for name in STRUCTS["ST_Recipe"]]
    assert zones["MAIN.stRecipe.aZones[1]"].type == "ST_Zone"
    assert zone == ["MAIN.stRecipe.aZones[1].fTemp", "MAIN.stRecipe.aZones[1].bOn"]
    assert matrix == [f"GVL.aMatrix[{i},{j}]" for i in range(2) for j in range(1, 4)]


async def test_every_node_that_browse_shows_can_be_read() -> None:
    async with router() as device:
        async with opened(connector(device.port)) as reading:
            leaves, open_nodes = [], [node async for node in reading.browse()]
            while open_nodes:
                node = open_nodes.pop()
                if node.has_children:
                    open_nodes += [child async for child in reading.browse(node.tag)]
                else:
                    leaves.append(node.tag)
        async with opened(connector(device.port, *leaves)) as reading:
            found = await next_of(reading, *leaves)
    assert not [tag for tag, value in found.items() if value == BAD_NODE_UNKNOWN]
    assert len(leaves) == 31
