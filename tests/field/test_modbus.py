"""The Modbus connector against the contract, a strict device and pymodbus's own server."""

import asyncio
import math
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from isthmus.base.clock import SystemClock
from isthmus.field.connector import Connector, Refused, Unreachable
from isthmus.field.connectors.modbus import ModbusConnector, ModbusSource
from isthmus.field.connectors.modbus.columns import Columns, columns
from isthmus.field.connectors.modbus.groups import Group, groups, split
from isthmus.field.connectors.modbus.spec import WORDS, Register
from isthmus.field.connectors.modbus.values import (
    BAD_DECODING,
    BAD_DEVICE_FAILURE,
    convert,
    raw_value,
)
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Value,
    opened,
    read_forever,
    read_once,
    read_until,
)
from isthmus.testing.modbus_server import ModbusServer, Request, write_requests
from isthmus.testing.tcp_proxy import LOOPBACK, answering

CYCLES = "holding:100:uint16"
ENERGY = "input:5:float32"
DOOR = "coil:3"


def words(layout: str, *values: Any) -> list[int]:
    """Registers as a big-endian device holds these values."""
    packed = struct.pack(">" + layout, *values)
    return list(struct.unpack(f">{len(packed) // 2}H", packed))


CONTENTS: dict[str, dict[int, int]] = {
    "holding": {100: 41, 101: 0, 102: 0b1_0000}
    | dict(enumerate(words("10s", b"Deckel 012"), 110))
    | dict(enumerate(words("i", -70_000), 120)),
    "input": dict(enumerate(words("f", 3.5), 5)),
    "coil": {3: 1, 4: 0},
    "discrete": {7: 0, 8: 1},
}


def source(port: int, **keys: Any) -> ModbusSource:
    return ModbusSource(host=LOOPBACK, port=port, **({"timeout": "500 ms"} | keys))


def connector(port: int, *tags: str, **keys: Any) -> ModbusConnector:
    spec = source(port, **({"timeout": "5 s"} | keys))
    return ModbusConnector("press_1", spec, tags, SystemClock())


class ContractDevice(ModbusServer):
    async def set(self, tag: str, value: Value) -> None:
        assert (tag, value) == (CYCLES, 42)
        self.put("holding", 100, [42])


class TestContract(ConnectorContract):
    connector: ClassVar[type[Connector[Any]]] = ModbusConnector
    tags: ClassVar[dict[str, Any]] = {
        CYCLES: 41.0,
        "holding:102.4": 1.0,
        "holding:110:string[10]": "Deckel 012",
        "holding:120:int32": -70_000.0,
        ENERGY: 3.5,
        DOOR: 1.0,
        "discrete:7": 0.0,
    }
    change: ClassVar[tuple[str, Any]] = (CYCLES, 42)
    unknown: ClassVar[str] = "holding:103"
    lost_within: ClassVar[float] = 1.0

    @asynccontextmanager
    async def device(self) -> AsyncIterator[ContractDevice]:
        async with ContractDevice(CONTENTS) as running:
            yield running

    def spec(self, host: str, port: int) -> ModbusSource:
        return source(port)

    def refused_spec(self, host: str, port: int) -> ModbusSource:
        return source(port, max_registers=4)  # the mould's name takes five

    def write_requests(self, sent: bytes) -> list[str]:
        return write_requests(sent)


# Addresses and keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "register"),
    [
        ("holding:100", Register("holding", 100, "uint16", 1)),
        ("holding:100:uint16", Register("holding", 100, "uint16", 1)),
        ("input:5:float32", Register("input", 5, "float32", 2)),
        ("input:5:float32:little", Register("input", 5, "float32", 2, word_order="little")),
        ("holding:65532:float64:big", Register("holding", 65532, "float64", 4, word_order="big")),
        ("coil:3", Register("coil", 3, "bit", 1)),
        ("discrete:65535", Register("discrete", 65535, "bit", 1)),
        ("holding:10:string[7]", Register("holding", 10, "string", 4, length=7)),
        ("holding:3.15", Register("holding", 3, "bit", 1, bit=15)),
    ],
)
def test_a_tag_is_an_area_an_address_and_a_type(tag: str, register: Register) -> None:
    assert ModbusSource.parse_tag(tag) == register


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("40001", "is no register; write `holding:100:uint16`"),
        ("holding:-1", "is no register"),
        ("coil:3:uint16", "is no register"),
        ("holding:1:double", "no register type `double`; there are int16, uint16"),
        ("holding:1:bit", "no register type `bit`"),
        ("holding:65535:uint32", "address 65535 with 2 register"),
        ("holding:70000", "ends beyond 65535"),
        ("holding:1.16", "bit 16 is beyond the 16 bits"),
        ("holding:1:string", "a string needs its length"),
        ("holding:1:string[0]", "a string needs its length"),
        ("holding:1:string[8]:little", "a string has no word order"),
        ("holding:1:uint16:little", "there is no word order to it"),
        ("holding:1.3:little", "a bit has no word order"),
        ("holding:1:uint32[2]", "only a string has a length"),
    ],
)
def test_a_wrong_tag_says_what_is_wrong(tag: str, problem: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the text is compared below
        ModbusSource.parse_tag(tag)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    "keys", [{"unit": 256}, {"max_registers": 126}, {"word_order": "middle"}, {"host": "a b"}]
)
def test_a_wrong_key_is_a_problem_of_the_model(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(keys))):
        ModbusSource.model_validate({"host": "10.0.4.21"} | keys)


def test_the_spec_needs_no_driver() -> None:
    check = (
        "import sys; from isthmus.field.registry import SOURCE_KINDS, connector; "
        "SOURCE_KINDS['modbus'].parse_tag('coil:1'); connector('modbus'); "
        "sys.exit('pymodbus' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


# Groups ------------------------------------------------------------------------------------------

TAGS = st.one_of(
    st.builds(
        "{}:{}:{}".format,
        st.sampled_from(["holding", "input"]),
        st.integers(0, 400),
        st.sampled_from(["int16", "uint32", "float64", "string[8]"]),
    ),
    st.builds("{}:{}".format, st.sampled_from(["coil", "discrete"]), st.integers(0, 5000)),
    st.builds("holding:{}.{}".format, st.integers(0, 400), st.integers(0, 15)),
)


def registers_of(tags: Iterable[str]) -> dict[str, Register]:
    return {tag: ModbusSource.parse_tag(tag) for tag in tags}


def limit(group: Group, max_registers: int) -> int:
    return max_registers * (16 if group.area in {"coil", "discrete"} else 1)


@given(tags=st.sets(TAGS), max_registers=st.integers(4, 125), max_gap=st.integers(0, 20))
def test_groups_cover_every_tag_once_and_none_is_over_the_limit(
    tags: set[str], max_registers: int, max_gap: int
) -> None:
    found = groups(registers_of(tags), max_registers, max_gap)
    assert sorted(tag for group in found for tag, _ in group.members) == sorted(tags)
    for group in found:
        assert 0 < group.count <= limit(group, max_registers)
        for _, register in group.members:
            assert register.area == group.area
            assert group.start <= register.address
            assert register.end <= group.start + group.count


@given(tags=st.sets(TAGS, min_size=2))
def test_split_keeps_all_members_and_ends_with_single_tags(tags: set[str]) -> None:
    work = groups(registers_of(tags), 125, 120)
    alone: list[str] = []
    while work:
        group = work.pop()
        if len(group.members) == 1:
            alone.append(group.members[0][0])
            continue
        left, right = split(group)
        assert left.members + right.members == group.members
        assert left.members
        assert right.members
        work += [left, right]
    assert sorted(alone) == sorted(tags)


def test_neighbours_come_together_and_a_wide_gap_parts() -> None:
    tags = {"holding:0", "holding:1:uint32", "holding:8", "holding:30"}
    found = groups(registers_of(tags), 125, 8)
    assert [(group.start, group.count) for group in found] == [(0, 9), (30, 1)]


def test_split_cuts_at_the_widest_hole() -> None:
    (group,) = groups(registers_of({"holding:0", "holding:1", "holding:2", "holding:9"}), 125, 8)
    assert [len(part.members) for part in split(group)] == [3, 1]


# Values ------------------------------------------------------------------------------------------


def value_of(tag: str, contents: list[int], **keys: Any) -> Any:
    spec = source(502, **keys)
    register = spec.parse_tag(tag)
    return convert(register, raw_value(register, contents, spec.byte_order), spec)


@pytest.mark.parametrize(
    ("tag", "contents", "number"),
    [
        ("holding:0:int16", words("h", -2), -2.0),
        ("holding:0:uint16", words("H", 65_535), 65_535.0),
        ("holding:0:int32", words("i", -70_000), -70_000.0),
        ("holding:0:uint32", words("I", 2**32 - 1), 2.0**32 - 1),
        ("holding:0:int64", words("q", -(2**53)), -(2.0**53)),
        ("holding:0:float32", words("f", 0.5), 0.5),
        ("holding:0:float64", words("d", 0.1), 0.1),
        ("holding:0:uint32:little", [0x0001, 0x0002], 0x0002_0001),
        ("holding:0.0", [0b0001], 1.0),
        ("holding:0.15", [0x7FFF], 0.0),
    ],
)
def test_every_type_becomes_its_number(tag: str, contents: list[int], number: float) -> None:
    assert value_of(tag, contents) == (number, None, GOOD)


def test_integers_beyond_a_float_come_as_text() -> None:
    assert value_of("holding:0:uint64", words("Q", 2**64 - 1)) == (None, str(2**64 - 1), GOOD)


def test_nan_stays_nan_for_shape_to_judge() -> None:
    number, text, quality = value_of("holding:0:float32", words("f", math.nan))
    assert math.isnan(number)
    assert (text, quality) == (None, GOOD)


def test_word_and_byte_order_of_the_source_hold_unless_the_tag_says_otherwise() -> None:
    a_b_c_d = 0x0A0B_0C0D
    assert value_of("holding:0:uint32", [0x0A0B, 0x0C0D])[0] == a_b_c_d
    assert value_of("holding:0:uint32", [0x0C0D, 0x0A0B], word_order="little")[0] == a_b_c_d
    assert value_of("holding:0:uint32", [0x0B0A, 0x0D0C], byte_order="little")[0] == a_b_c_d
    assert (
        value_of("holding:0:uint32:big", [0x0B0A, 0x0D0C], word_order="little", byte_order="little")
    )[0] == a_b_c_d
    assert value_of("holding:0.0", [0x0100], byte_order="little")[0] == 1.0


@pytest.mark.parametrize(
    ("contents", "encoding", "expected"),
    [
        (b"Deckel\0x", "utf-8", (None, "Deckel", GOOD)),
        (b"Deckel  ", "utf-8", (None, "Deckel", GOOD)),
        (b"gie\xdfen..", "latin-1", (None, "gießen..", GOOD)),
        (b"gie\xdfen..", "utf-8", (None, None, BAD_DECODING)),
    ],
)
def test_strings_end_at_nul_and_lose_their_blanks(
    contents: bytes, encoding: str, expected: Any
) -> None:
    assert value_of("holding:0:string[8]", words("8s", contents), encoding=encoding) == expected


# Against a device --------------------------------------------------------------------------------


async def test_neighbours_are_read_in_one_request() -> None:
    tags = [f"holding:{number}" for number in range(300)]
    async with (
        ModbusServer({"holding": dict.fromkeys(range(300), 7)}) as device,
        opened(connector(device.port, *tags)) as reading,
    ):
        samples = await read_once(reading)
        assert await read_once(reading) == []
    assert len(samples) == 300
    assert device.requests == [Request(3, 0, 125), Request(3, 125, 125), Request(3, 250, 50)] * 2


async def test_only_what_changed_is_a_sample() -> None:
    async with ModbusServer({"holding": {0: 1, 1: 2, 2: 0}}) as device:
        tags = ("holding:0", "holding:1", "holding:2.0", "holding:2.1")
        async with opened(connector(device.port, *tags)) as reading:
            await read_once(reading)
            device.put("holding", 1, [9, 0b10])
            samples = await read_once(reading)
    assert [(sample.tag, sample.value) for sample in samples] == [
        ("holding:1", 9.0),
        ("holding:2.1", 1.0),
    ]


async def test_one_wrong_register_does_not_blind_its_neighbours() -> None:
    tags = [f"holding:{number}" for number in range(16)]
    there = {number: number for number in range(16) if number != 11}
    async with (
        ModbusServer({"holding": there}) as device,
        opened(connector(device.port, *tags)) as reading,
    ):
        first = await read_once(reading)
        asked = len(device.requests)
        device.put("holding", 11, [11])
        second = await read_once(reading)
    assert {sample.tag: sample.value for sample in first if sample.quality == GOOD} == {
        f"holding:{number}": float(number) for number in there
    }
    (bad,) = [sample for sample in first if sample.quality != GOOD]
    assert (bad.tag, bad.quality) == ("holding:11", BAD_NODE_UNKNOWN)
    assert [(sample.tag, sample.value) for sample in second] == [("holding:11", 11.0)]
    assert len(device.requests) - asked < asked, "the smaller groups are kept"


async def test_a_device_that_takes_fewer_registers_gets_smaller_reads() -> None:
    tags = [f"input:{number}" for number in range(100)]
    contents = {"input": dict.fromkeys(range(100), 5)}
    async with (
        ModbusServer(contents, most_registers=30) as device,
        opened(connector(device.port, *tags)) as reading,
    ):
        samples = await read_once(reading)
    assert {sample.quality for sample in samples} == {GOOD}
    assert len(samples) == 100


async def test_a_failing_device_gives_bad_values_until_it_is_well() -> None:
    async with (
        ModbusServer({"holding": {0: 1}}) as device,
        opened(connector(device.port, "holding:0")) as reading,
    ):
        await read_once(reading)
        device.exception = 4
        (bad,) = await read_once(reading)
        assert await read_once(reading) == []
        device.exception = None
        (good,) = await read_once(reading)
    assert (bad.value, bad.quality) == (None, BAD_DEVICE_FAILURE)
    assert (good.value, good.quality) == (1.0, GOOD)


async def test_a_unit_the_gateway_does_not_reach_is_unreachable() -> None:
    async with ModbusServer({"holding": {0: 1}}, unit=7) as device:
        async with opened(connector(device.port, "holding:0", unit=9)) as reading:
            with pytest.raises(Unreachable, match="the gateway does not reach unit 9"):
                await reading.read()
        async with opened(connector(device.port, "holding:0", unit=7)) as reading:
            assert len(await read_once(reading)) == 1


async def test_of_a_group_that_falls_apart_only_what_has_changed_is_told() -> None:
    tags = [f"holding:{number}" for number in range(4)]
    async with (
        ModbusServer({"holding": dict.fromkeys(range(4), 7)}) as device,
        opened(connector(device.port, *tags)) as reading,
    ):
        assert len(await read_once(reading)) == 4
        del device.contents["holding"][1]
        device.put("holding", 3, [8])
        told = {sample.tag: (sample.value, sample.quality) for sample in await read_once(reading)}
        assert told == {"holding:1": (None, BAD_NODE_UNKNOWN), "holding:3": (8.0, GOOD)}


async def test_a_string_no_read_can_hold_is_refused_before_connecting() -> None:
    reading = connector(1, "holding:0:string[20]", max_registers=8)
    with pytest.raises(Refused, match=r"takes 10 registers, more than 8; see `max_registers`"):
        await reading.open()
    await reading.close()


async def test_a_link_that_ends_is_noticed_before_the_timeout() -> None:
    async with (
        answering(lambda _: b"") as port,
        opened(connector(port, "holding:0", timeout="1 min")) as reading,
    ):
        with pytest.raises(Unreachable, match="the device closed the connection"):
            await asyncio.wait_for(reading.read(), 2)


async def test_an_answer_that_is_too_short_is_bad_not_wrong() -> None:
    def one_register(request: bytes) -> bytes:
        return request[:4] + struct.pack(">HBBBH", 5, 1, 3, 2, 7)

    async with (
        answering(one_register) as port,
        opened(connector(port, "holding:0:uint32")) as reading,
    ):
        (sample,) = await read_once(reading)
    assert (sample.value, sample.quality) == (None, BAD_DECODING)


async def test_garbage_instead_of_a_device_is_unreachable() -> None:
    async with (
        answering(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
        opened(connector(port, "holding:0", timeout="500 ms")) as reading,
    ):
        with pytest.raises(Unreachable):
            await read_forever(reading)


async def test_pymodbus_own_server_is_read(unused_tcp_port: int) -> None:
    holding = [
        SimData(10, values=3.25, datatype=DataType.FLOAT32),
        SimData(12, values=-5, datatype=DataType.INT64),
    ]
    server = ModbusTcpServer(SimDevice(1, holding), address=(LOOPBACK, unused_tcp_port))
    await server.serve_forever(background=True)
    try:
        tags = ("holding:10:float32", "holding:12:int64", "holding:16")
        async with opened(connector(unused_tcp_port, *tags)) as reading:
            samples = await read_until(reading, lambda seen: len(seen) >= 3)
    finally:
        await server.shutdown()
    assert {sample.tag: (sample.value, sample.quality) for sample in samples} == {
        "holding:10:float32": (3.25, GOOD),
        "holding:12:int64": (-5.0, GOOD),
        "holding:16": (None, BAD_NODE_UNKNOWN),
    }


# Columns -----------------------------------------------------------------------------------------


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[str], list[int]]:
    kinds = st.sampled_from(["int16", "uint16", "int32", "uint32", "float32", "float64"])
    tags, at = [], 0
    for kind in draw(st.lists(kinds, min_size=1, max_size=12)):
        at += draw(st.integers(0, 3))
        tags.append(f"holding:{at}:{kind}")
        at += WORDS[kind]
    return tags, draw(st.lists(st.integers(0, 65_535), min_size=at, max_size=at))


@given(answers())
def test_numbers_decoded_together_are_those_decoded_one_by_one(
    answer: tuple[list[str], list[int]],
) -> None:
    tags, contents = answer
    group, together = in_columns(tags)
    contents = contents[group.start : group.start + group.count]
    one_by_one = [
        convert(register, registers, source(502))[0]
        for (_, register), registers in zip(group.members, each(group, contents), strict=True)
    ]
    assert repr(list(map(float, together.numbers(contents)))) == repr(one_by_one)


@given(answers(), st.data())
def test_what_has_changed_is_found_together_as_one_by_one(
    answer: tuple[list[str], list[int]], data: st.DataObject
) -> None:
    tags, contents = answer
    group, together = in_columns(tags)
    before = contents[group.start : group.start + group.count]
    after = [data.draw(st.sampled_from([one, one ^ 1])) for one in before]
    pairs = zip(each(group, after), each(group, before), strict=True)
    assert together.changed(after, before) == [new != old for new, old in pairs]


def in_columns(tags: list[str]) -> tuple[Group, Columns]:
    (group,) = groups(registers_of(tags), 125, 8)
    together = columns(group, source(502))
    assert together is not None
    return group, together


def each(group: Group, contents: list[int]) -> list[list[int]]:
    """The registers of each tag."""
    places = [(one.address - group.start, one.width) for _, one in group.members]
    return [contents[first : first + width] for first, width in places]
