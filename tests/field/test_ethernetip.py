"""The EtherNet/IP connector against the contract and a simulated Logix controller."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from pycomm3 import LogixDriver
from pydantic import ValidationError

from isthmus.base.clock import SystemClock
from isthmus.field.connector import Connector, Refused, Unreachable
from isthmus.field.connectors.ethernetip import EthernetIpConnector, EthernetIpSource
from isthmus.field.connectors.ethernetip.spec import Segment, TagAddress
from isthmus.field.connectors.ethernetip.values import (
    BAD_ACCESS_DENIED,
    BAD_ENCODING_UNSUPPORTED,
    BAD_INDEX_RANGE_NO_DATA,
    BAD_TYPE_MISMATCH,
)
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Sample,
    Value,
    client_sockets,
    opened,
    read_forever,
    read_once,
    until,
)
from isthmus.testing.ethernetip_controller import EthernetIpController, write_requests
from isthmus.testing.logix_types import Udt
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy, answering

ZONE = Udt("Zone", {"Temp": "REAL", "On": "BOOL", "Fault": "BOOL"}, template=0x201, handle=0x1111)
RECIPE = Udt(
    "Recipe",
    {
        "Name": "STRING",
        "Ready": "BOOL",
        "Temp": "REAL",
        "Steps": "INT[5]",
        "Zones": "Zone[3]",
        "Limits": "BOOL[64]",
    },
    template=0x202,
    handle=0x2222,
)
INPUT = Udt("Input", {"Data": "INT"}, template=0x205, handle=0x5555)
SHORT = Udt("Short20", {}, template=0x203, handle=0x3333, capacity=20)
LONG = Udt("Long900", {}, template=0x204, handle=0x4444, capacity=900)

TAGS = {
    "Count": "DINT",
    "Counts": "DINT[4]",
    "Matrix": "INT[2,3]",
    "Speed": "REAL",
    "Exact": "LREAL",
    "Total": "LINT",
    "Serial": "ULINT",
    "Small": "SINT",
    "Running": "BOOL",
    "Flags": "BOOL[64]",
    "Mould": "STRING",
    "Colour": "Short20",
    "Recipe": "Recipe",
    "Local:1:I": "Input",
    "Program:Main.Step": "INT",
    "Program:Main.Recipe": "Recipe",
}
RECIPE_VALUE = {
    "Name": "Deckel 012",
    "Ready": True,
    "Temp": 231.5,
    "Steps": [1, 2, 3, 4, 5],
    "Zones": [{"Temp": 200.5 + n, "On": n == 1, "Fault": n == 2} for n in range(3)],
    "Limits": [0b1000, 0b10],
}
VALUES: dict[str, Any] = {
    "Count": 41,
    "Counts": [10, 11, 12, 13],
    "Matrix": [0, 1, 2, 10, 11, 12],
    "Speed": 3.5,
    "Exact": 0.1,
    "Total": 2**60,
    "Serial": 2**64 - 1,
    "Small": -5,
    "Running": True,
    "Flags": [0x8000_0000, 1 << 5],
    "Mould": "gießen",
    "Colour": "rot",
    "Recipe": RECIPE_VALUE,
    "Local:1:I": {"Data": 7},
    "Program:Main.Step": 12,
    "Program:Main.Recipe": RECIPE_VALUE | {"Temp": 99.0},
}
UDTS = (ZONE, RECIPE, INPUT, SHORT, LONG)


def source(port: int, **keys: Any) -> EthernetIpSource:
    return EthernetIpSource(host=LOOPBACK, port=port, **({"timeout": "500 ms"} | keys))


def connector(port: int, *tags: str, **keys: Any) -> EthernetIpConnector:
    spec = source(port, **({"timeout": "5 s"} | keys))
    return EthernetIpConnector("press_1", spec, tags, SystemClock())


def controller(**keys: Any) -> EthernetIpController:
    return EthernetIpController(TAGS, VALUES, udts=UDTS, **keys)


class ContractDevice(EthernetIpController):
    async def set(self, tag: str, value: Value) -> None:
        self.values[tag] = value


class TestContract(ConnectorContract):
    connector: ClassVar[type[Connector[Any]]] = EthernetIpConnector
    tags: ClassVar[dict[str, Any]] = {
        "Count": 41.0,
        "Counts[3]": 13.0,
        "Matrix[1,2]": 12.0,
        "Recipe.Temp": 231.5,
        "Recipe.Zones[2].Fault": 1.0,
        "Program:Main.Step": 12.0,
        "Mould": "gießen",
        "Flags[37]": 1.0,
        "Count.3": 1.0,
    }
    change: ClassVar[tuple[str, Any]] = ("Program:Main.Step", 42)
    unknown: ClassVar[str] = "Nothing"
    lost_within: ClassVar[float] = 1.5

    @asynccontextmanager
    async def device(self) -> AsyncIterator[ContractDevice]:
        async with ContractDevice(TAGS, VALUES, udts=UDTS) as running:
            yield running
        assert running.writes == []

    def spec(self, host: str, port: int) -> EthernetIpSource:
        return source(port)

    def refused_spec(self, host: str, port: int) -> EthernetIpSource:
        return source(port, slot=3)

    def write_requests(self, sent: bytes) -> list[str]:
        return write_requests(sent)


# Addresses and keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "address"),
    [
        ("Count", TagAddress((Segment("Count"),))),
        ("Counts[3]", TagAddress((Segment("Counts", (3,)),))),
        ("Matrix[1,2,3]", TagAddress((Segment("Matrix", (1, 2, 3)),))),
        ("Recipe.Temp", TagAddress((Segment("Recipe"), Segment("Temp")))),
        ("A[1].B[2].C", TagAddress((Segment("A", (1,)), Segment("B", (2,)), Segment("C")))),
        ("Program:Main.Step", TagAddress((Segment("Program:Main"), Segment("Step")))),
        ("Program:Main.Status.4", TagAddress((Segment("Program:Main"), Segment("Status")), 4)),
        ("Local:1:I.Data.31", TagAddress((Segment("Local:1:I"), Segment("Data")), 31)),
    ],
)
def test_a_tag_is_a_path_of_names_elements_and_perhaps_a_bit(tag: str, address: TagAddress) -> None:
    assert EthernetIpSource.parse_tag(tag) == address


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("", "is no Logix tag; write `Count`"),
        ("4", "is no Logix tag"),
        ("Counts[", "is no Logix tag"),
        ("Counts[-1]", "is no Logix tag"),
        ("Counts[1,2,3,4]", "is no Logix tag"),
        ("Program:Main", "is no Logix tag"),
        ("Zähler", "is no Logix tag"),
        ("A..B", "is no Logix tag"),
        ("Count.64", "bit 64 is beyond the 64 bits"),
        ("A" * 256, "is longer than 255 characters"),
    ],
)
def test_a_wrong_tag_says_what_is_wrong(tag: str, problem: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the text is compared below
        EthernetIpSource.parse_tag(tag)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    "keys",
    [
        {"slot": 256},
        {"path": "backplane"},
        {"path": "backplane/2/enet"},
        {"path": "backplane/2", "slot": 1},
        {"connection_size": 5000},
        {"host": "::1"},
    ],
)
def test_a_wrong_key_is_a_problem_of_the_model(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(keys))):
        EthernetIpSource.model_validate({"host": "10.0.4.21"} | keys)


@pytest.mark.parametrize(
    ("keys", "route"),
    [
        ({}, "backplane/0"),
        ({"slot": 3}, "backplane/3"),
        ({"slot": None}, ""),
        ({"path": "backplane/2/enet/10.0.5.6/bp/0"}, "backplane/2/enet/10.0.5.6/bp/0"),
    ],
)
def test_the_way_to_the_controller(keys: dict[str, Any], route: str) -> None:
    assert source(44818, **keys).route == route


def test_the_spec_needs_no_driver() -> None:
    check = (
        "import sys; from isthmus.field.registry import SOURCE_KINDS, connector; "
        "SOURCE_KINDS['ethernetip'].parse_tag('Count'); connector('ethernetip'); "
        "sys.exit('pycomm3' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


# Against a controller ----------------------------------------------------------------------------


def by_tag(samples: list[Sample]) -> dict[str, Any]:
    return {
        sample.tag: sample.value if sample.quality == GOOD else sample.quality for sample in samples
    }


async def test_every_kind_of_tag_is_read() -> None:
    expected = {
        "Total": str(2**60),
        "Serial": str(2**64 - 1),
        "Exact": 0.1,
        "Small": -5.0,
        "Running": 1.0,
        "Recipe.Ready": 1.0,
        "Recipe.Name": "Deckel 012",
        "Recipe.Steps[4]": 5.0,
        "Recipe.Zones[0].Temp": 200.5,
        "Recipe.Zones[1].On": 1.0,
        "Recipe.Zones[2].On": 0.0,
        "Program:Main.Recipe.Temp": 99.0,
        "Local:1:I.Data": 7.0,
        "Counts[4]": BAD_INDEX_RANGE_NO_DATA,
        "Recipe.Nothing": BAD_NODE_UNKNOWN,
        "Recipe": BAD_ENCODING_UNSUPPORTED,
    }
    async with controller() as device, opened(connector(device.port, *expected)) as reading:
        found = by_tag(await read_once(reading))
        assert await read_once(reading) == []
    assert found == expected
    assert device.writes == []


async def test_elements_of_bool_arrays_are_bits_of_their_words() -> None:
    expected = {"Flags[0]": 0.0, "Flags[31]": 1.0, "Flags[36]": 0.0, "Flags[37]": 1.0}
    expected |= {"Recipe.Limits[3]": 1.0, "Recipe.Limits[33]": 1.0, "Recipe.Limits[1]": 0.0}
    async with (
        controller() as device,
        opened(connector(device.port, *expected, "Flags", "Flags[64]")) as reading,
    ):
        found = by_tag(await read_once(reading))
        asked = len(device.requests)
        device.values["Flags"] = [0, 0]
        changed = by_tag(await read_once(reading))
    whole, beyond = found.pop("Flags"), found.pop("Flags[64]")
    assert found == expected
    assert (whole, beyond) == (BAD_TYPE_MISMATCH, BAD_INDEX_RANGE_NO_DATA)
    assert changed == {"Flags[31]": 0.0, "Flags[37]": 0.0}
    assert len(device.requests) - asked < asked, "what was found out is kept"


async def test_a_string_of_another_length_is_found_out_once() -> None:
    async with (
        controller() as device,
        opened(connector(device.port, "Colour", "Recipe")) as reading,
    ):
        found = by_tag(await read_once(reading))
        device.requests.clear()
        device.values["Colour"] = "blau"
        changed = by_tag(await read_once(reading))
        asked = [request.service for request in device.requests]
    assert found == {"Colour": "rot", "Recipe": BAD_ENCODING_UNSUPPORTED}
    assert changed == {"Colour": "blau"}
    assert asked == [0x0A, 0x4C, 0x4C]


@pytest.mark.parametrize("size", [500, 4000])
async def test_a_thousand_tags_come_in_few_messages(size: int) -> None:
    tags = {f"T{number}": "DINT" for number in range(1000)}
    values = {tag: number for number, tag in enumerate(tags)}
    async with (
        EthernetIpController(tags, values, largest_connection=size) as device,
        opened(connector(device.port, *tags)) as reading,
    ):
        first = by_tag(await read_once(reading))
        device.requests.clear()
        assert await read_once(reading) == []
    messages = [request for request in device.requests if request.service == 0x0A]
    assert first == {tag: float(value) for tag, value in values.items()}
    assert len(messages) == (25 if size == 500 else 4)
    assert device.connections == 0, "given back"


async def test_a_value_longer_than_the_connection_comes_in_pieces() -> None:
    text = "x" * 700 + "ende"
    tags, values = {"Text": "Long900", "Count": "DINT"}, {"Text": text, "Count": 1}
    async with (
        EthernetIpController(tags, values, udts=UDTS, largest_connection=500) as device,
        opened(connector(device.port, "Count", "Text")) as reading,
    ):
        assert by_tag(await read_once(reading)) == {"Count": 1.0, "Text": text}
        device.values["Text"] = "kurz"
        assert by_tag(await read_once(reading)) == {"Text": "kurz"}


async def test_a_controller_without_multiple_services_is_read_one_by_one() -> None:
    async with controller() as device:
        device.multiple_services = False
        async with opened(connector(device.port, "Count", "Speed")) as reading:
            assert by_tag(await read_once(reading)) == {"Count": 41.0, "Speed": 3.5}


async def test_a_tag_that_a_download_took_away_comes_back_by_itself() -> None:
    async with controller() as device, opened(connector(device.port, "Count", "Speed")) as reading:
        await read_once(reading)
        device.drop("Count")
        gone = by_tag(await read_once(reading))
        assert await read_once(reading) == []
        device.define("Count", "REAL", 4.5)
        back = by_tag(await read_once(reading))
    assert (gone, back) == ({"Count": BAD_NODE_UNKNOWN}, {"Count": 4.5})


async def test_an_array_that_a_download_makes_one_of_bools_and_back() -> None:
    async with controller() as device, opened(connector(device.port, "Counts[1]")) as reading:
        first = by_tag(await read_once(reading))
        device.define("Counts", "BOOL[32]", [0b10])
        bools = by_tag(await read_once(reading))
        device.define("Counts", "DINT[2]", [5, 6])
        numbers = by_tag(await read_once(reading))
    assert [first, bools, numbers] == [{"Counts[1]": 11.0}, {"Counts[1]": 1.0}, {"Counts[1]": 6.0}]


async def test_a_tag_without_external_access_is_bad_and_the_others_are_read() -> None:
    async with controller() as device:
        device.failures["Speed"] = (0x0F, None)
        async with opened(connector(device.port, "Count", "Speed")) as reading:
            found = by_tag(await read_once(reading))
            device.failures.clear()
            later = by_tag(await read_once(reading))
    assert found == {"Count": 41.0, "Speed": BAD_ACCESS_DENIED}
    assert later == {"Speed": 3.5}


async def test_no_controller_in_that_slot_is_refused_with_what_to_do() -> None:
    async with controller(slot=2) as device:
        wrong = connector(device.port, "Count", slot=5)
        with pytest.raises(Refused, match=r"no controller at `backplane/5` .*01-0312.*See `slot`"):
            await wrong.open()
        await wrong.close()
        async with opened(connector(device.port, "Count", slot=2)) as reading:
            assert by_tag(await read_once(reading)) == {"Count": 41.0}


@pytest.mark.parametrize("keys", [{"slot": None}, {"path": "bp/2"}, {"slot": 2}])
async def test_a_controller_is_reached_without_a_slot_and_by_a_route(keys: dict[str, Any]) -> None:
    async with (
        controller(slot=2) as device,
        opened(connector(device.port, "Count", **keys)) as reading,
    ):
        assert by_tag(await read_once(reading)) == {"Count": 41.0}


async def test_a_controller_without_a_free_connection_is_tried_again() -> None:
    async with controller() as device:
        device.connection_failure = 0x0113
        reading = connector(device.port, "Count")
        with pytest.raises(Unreachable, match="no connection is free, CIP status 01-0113"):
            await reading.open()
        await reading.close()


async def test_a_link_that_ends_is_noticed_before_the_timeout() -> None:
    async with answering(lambda _: b"") as port:
        reading = connector(port, "Count", timeout="1 min")
        with pytest.raises(Unreachable, match=r"closed the connection|reset by peer"):
            await asyncio.wait_for(reading.open(), 2)
        await reading.close()


async def test_an_answer_that_drips_ends_at_the_deadline() -> None:
    async with answering(lambda _: b"\x65\x00\x04\x00") as port:
        reading = connector(port, "Count", timeout="500 ms")
        with pytest.raises(Unreachable, match="timed out"):
            await asyncio.wait_for(reading.open(), 2)
        await reading.close()


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(64)])
async def test_garbage_instead_of_a_controller_is_unreachable(garbage: bytes) -> None:
    async with answering(lambda _: garbage) as port:
        reading = connector(port, "Count", timeout="500 ms")
        with pytest.raises(Unreachable):
            await reading.open()
        await reading.close()


async def test_a_source_has_one_thread_of_its_own_and_leaves_none() -> None:
    before = set(threading.enumerate())  # those of other tests may be ending

    def ours() -> list[str]:
        begun = set(threading.enumerate()) - before
        return [thread.name for thread in begun if "press_1" in thread.name]

    async with controller() as device, opened(connector(device.port, "Count")) as reading:
        await read_once(reading)
        await read_once(reading)
        assert len(ours()) == 1
        assert len(client_sockets(device.port)) == 1
    await until(lambda: not ours(), "a thread is left")


async def test_browse_shows_programs_tags_members_and_elements() -> None:
    async with controller() as device, opened(connector(device.port)) as reading:
        top = {node.tag: node async for node in reading.browse()}
        program = [node.tag async for node in reading.browse("Program:Main")]
        members = {node.tag: node async for node in reading.browse("Recipe")}
        zones = {node.tag: node async for node in reading.browse("Recipe.Zones")}
        zone = [node.tag async for node in reading.browse("Recipe.Zones[1]")]
        matrix = [node.tag async for node in reading.browse("Matrix")]
        assert [node async for node in reading.browse("Nothing")] == []
        assert [node async for node in reading.browse("Count")] == []
    assert top["Program:Main"].has_children
    assert (top["Counts"].type, top["Counts"].has_children) == ("DINT[4]", True)
    assert (top["Count"].type, top["Count"].has_children) == ("DINT", False)
    assert (top["Mould"].type, top["Mould"].has_children) == ("STRING", False)
    assert (top["Flags"].type, top["Recipe"].type) == ("BOOL[64]", "Recipe")
    assert program == ["Program:Main.Step", "Program:Main.Recipe"]
    assert list(members) == [f"Recipe.{name}" for name in RECIPE.members]
    assert members["Recipe.Limits"].type == "BOOL[64]"
    assert members["Recipe.Temp"].path == "/Recipe/Temp"
    assert zones["Recipe.Zones[1]"].type == "Zone"
    assert zone == ["Recipe.Zones[1].Temp", "Recipe.Zones[1].On", "Recipe.Zones[1].Fault"]
    assert matrix == [
        "Matrix[0,0]",
        "Matrix[0,1]",
        "Matrix[0,2]",
        "Matrix[1,0]",
        "Matrix[1,1]",
        "Matrix[1,2]",
    ]
    assert device.writes == []


async def test_browse_over_a_cut_link_is_unreachable() -> None:
    async with (
        controller() as device,
        TcpProxy(device.port) as proxy,
        opened(connector(proxy.port)) as reading,
    ):
        await proxy.cut()
        with pytest.raises(Unreachable):
            assert [node async for node in reading.browse()] == []


async def test_every_node_that_browse_shows_can_be_read() -> None:
    async with controller() as device:
        async with opened(connector(device.port)) as reading:
            leaves, open_nodes = [], [node async for node in reading.browse()]
            while open_nodes:
                node = open_nodes.pop()
                if node.has_children:
                    open_nodes += [child async for child in reading.browse(node.tag)]
                else:
                    leaves.append(node.tag)
        async with opened(connector(device.port, *leaves)) as reading:
            found = await read_once(reading)
    assert len(found) == len(leaves) > 150
    assert {sample.quality for sample in found} == {GOOD}


async def test_the_simulator_is_read_by_the_driver_with_its_own_tag_list() -> None:
    """What we test against must be right in the eyes of somebody else."""

    def read(port: int) -> Any:
        with LogixDriver(f"{LOOPBACK}:{port}/0") as driver:
            return driver.read("Counts{4}", "Recipe", "Flags{64}", "Program:Main.Step", "Colour")

    async with controller() as device:
        counts, recipe, flags, step, colour = await asyncio.to_thread(read, device.port)
    assert counts.value == [10, 11, 12, 13]
    assert recipe.value["Name"] == "Deckel 012"
    assert (recipe.value["Ready"], recipe.value["Temp"]) == (True, 231.5)
    assert recipe.value["Zones"][2] == {"Temp": 202.5, "On": False, "Fault": True}
    assert [index for index, on in enumerate(flags.value) if on] == [31, 37]
    assert (step.value, colour.value) == (12, "rot")


async def test_a_write_by_somebody_else_is_refused_and_remembered() -> None:
    def write(port: int) -> Any:
        with LogixDriver(f"{LOOPBACK}:{port}/0") as driver:
            return driver.write(("Count", 5))

    async with controller() as device:
        result = await asyncio.to_thread(write, device.port)
    assert result.error is not None
    assert [request.service for request in device.writes] == [0x4D]
    assert device.values["Count"] == 41


async def test_read_forever_ends_with_the_controller() -> None:
    device = controller()
    async with device, opened(connector(device.port, "Count")) as reading:
        await read_once(reading)
        await device.__aexit__(None, None, None)
        with pytest.raises(Unreachable):
            await read_forever(reading)
