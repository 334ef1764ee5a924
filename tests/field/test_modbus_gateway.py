"""Several slaves behind one connection, and the frames of a serial line over TCP."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU

from isthmus.base.clock import SystemClock
from isthmus.field.connector import AnyConnector, Refused, Unreachable
from isthmus.field.connectors.modbus import ModbusConnector, ModbusSource
from isthmus.field.connectors.modbus.groups import groups
from isthmus.field.connectors.modbus.rtu import checksum, is_broken
from isthmus.field.connectors.modbus.units import Units
from isthmus.field.connectors.modbus.values import (
    BAD_DEVICE_FAILURE,
    BAD_NO_COMMUNICATION,
    BAD_NOT_SUPPORTED,
    BAD_OUT_OF_RANGE,
    BAD_RESOURCE_UNAVAILABLE,
    BAD_TIMEOUT,
    BAD_UNEXPECTED,
)
from isthmus.flow.parcel import BAD_COMMUNICATION, BAD_NODE_UNKNOWN, GOOD
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Sample,
    opened,
    read_once,
    read_until,
    stopwatch,
)
from isthmus.testing.modbus_server import Framing, ModbusServer, Request, write_requests
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

BOTH: tuple[Framing, ...] = ("tcp", "rtu")


def connector(port: int, *tags: str, **keys: Any) -> ModbusConnector:
    given = {"timeout": "150 ms", "rest": "300 ms"} | keys
    return ModbusConnector(
        "hall_2", ModbusSource(host=LOOPBACK, port=port, **given), tags, SystemClock()
    )


def gateway(framing: Framing = "tcp", units: int = 3) -> ModbusServer:
    """Units from 1 on; each has its number in register 0, unit 1 also elsewhere."""
    others = {unit: {"holding": {0: unit}} for unit in range(2, units + 1)}
    first = {"holding": dict.fromkeys(range(100), 1)}
    return ModbusServer(first, others=others, framing=framing)


def found(samples: list[Sample]) -> dict[str, tuple[Any, int]]:
    return {sample.tag: (sample.value, sample.quality) for sample in samples}


class TestFramedAsOnASerialLine(ConnectorContract):
    connector = ModbusConnector
    tags = {"holding:0": 1.0, "holding:0@2": 2.0, "holding:0@3": 3.0}  # noqa: RUF012
    change = ("holding:0@2", 7.0)
    unknown = "holding:5@2"
    lost_within = 2.0

    def device(self) -> Any:
        return Hall()

    def spec(self, host: str, port: int) -> ModbusSource:
        return ModbusSource(host=host, port=port, framing="rtu", timeout=0.5)

    def refused_spec(self, host: str, port: int) -> ModbusSource:
        return ModbusSource(host=host, port=port, framing="rtu", unit=0)

    def write_requests(self, sent: bytes) -> list[str]:
        return write_requests(sent, "rtu")


class Hall(ModbusServer):
    def __init__(self) -> None:
        others = {2: {"holding": {0: 2}}, 3: {"holding": {0: 3}}}
        super().__init__({"holding": {0: 1}}, others=others, framing="rtu")

    async def set(self, tag: str, value: Any) -> None:
        assert tag == "holding:0@2"
        self.put("holding", 0, [int(value)], unit=2)


# Addresses and the order of asking ----------------------------------------------------------------


def test_a_tag_may_name_its_unit() -> None:
    register = ModbusSource.parse_tag("input:5:float32:little@247")
    assert (register.unit, register.address, register.word_order) == (247, 5, "little")
    assert ModbusSource.parse_tag("coil:3@0").unit == 0
    assert ModbusSource.parse_tag("coil:3").unit is None


@pytest.mark.parametrize("tag", ["coil:3@256", "coil:3@", "coil:3@a", "coil:3@1@2", "@7"])
def test_a_wrong_unit_says_what_is_wrong(tag: str) -> None:
    with pytest.raises(ValueError, match=r"unit 256 is beyond 255|is no register"):
        ModbusSource.parse_tag(tag)


def test_registers_of_two_units_are_never_read_together() -> None:
    tags = ["holding:0", "holding:1@7", "holding:2", "holding:3@7", "holding:4@1"]
    plan = groups({tag: ModbusSource.parse_tag(tag) for tag in tags}, 125, 8, 1)
    assert [(group.unit, group.start, group.count) for group in plan] == [(1, 0, 5), (7, 1, 3)]


def test_a_silent_unit_rests_and_only_one_is_tried_again_at_a_time() -> None:
    units = Units([1, 2, 3], rest=10)
    units.answered(1)
    units.silent(2, now=0)
    units.silent(3, now=1)
    assert [units.due(now) for now in (5, 10, 20)] == [[1], [1, 2], [1, 2]]
    units.answered(2)
    assert units.due(20) == [1, 2, 3]
    assert units.witness() == 2
    assert not units.all_silent


@given(frame=st.binary(min_size=1, max_size=60))
def test_the_checksum_is_that_of_pymodbus(frame: bytes) -> None:
    assert checksum(frame) == FramerRTU.compute_CRC(frame).to_bytes(2, "big")


@given(
    payload=st.binary(min_size=2, max_size=40),
    position=st.integers(0, 45),
    wrong=st.integers(1, 255),
)
def test_a_whole_frame_with_one_wrong_byte_is_never_taken(
    payload: bytes, position: int, wrong: int
) -> None:
    frame = bytes([7, 3, len(payload)]) + payload
    frame += checksum(frame)
    assert not is_broken(frame, 7, 3)
    assert not any(is_broken(frame[:end], 7, 3) for end in range(len(frame)))
    position = 3 + position % (len(frame) - 3)  # before it the length itself is wrong
    spoilt = bytearray(frame)
    spoilt[position] ^= wrong
    assert is_broken(bytes(spoilt), 7, 3)


# Several slaves ---------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", BOTH)
async def test_one_connection_serves_all_units(framing: Framing) -> None:
    tags = [f"holding:0@{unit}" for unit in range(1, 31)]
    async with gateway(framing, units=30) as device:
        async with opened(connector(device.port, *tags, framing=framing)) as hall:
            samples = await read_once(hall)
            assert await read_once(hall) == []
        assert device.most_connections == 1
    assert found(samples) == {f"holding:0@{unit}": (float(unit), GOOD) for unit in range(1, 31)}


@pytest.mark.parametrize("framing", BOTH)
async def test_one_silent_unit_leaves_the_others_flowing(framing: Framing) -> None:
    tags = ("holding:0@1", "holding:0@2", "holding:0@3")
    async with gateway(framing) as device:
        async with opened(connector(device.port, *tags, framing=framing)) as hall:
            first = await read_once(hall)
            device.silent = {2}
            device.put("holding", 0, [31], unit=3)
            second = await read_once(hall)
            asked = len(device.requests)
            device.put("holding", 0, [11], unit=1)
            third = await read_once(hall)
            resting = device.requests[asked:]
            device.silent = set()
            back = await read_until(hall, lambda seen: len(seen) >= 1)
        assert device.most_connections == 1
    assert found(first) == {f"holding:0@{unit}": (float(unit), GOOD) for unit in (1, 2, 3)}
    assert found(second) == {"holding:0@2": (None, BAD_TIMEOUT), "holding:0@3": (31.0, GOOD)}
    assert found(third) == {"holding:0@1": (11.0, GOOD)}
    assert 2 not in {request.unit for request in resting}, "it rests"
    assert found(back) == {"holding:0@2": (2.0, GOOD)}


async def test_units_that_are_off_at_the_start_do_not_hide_those_that_are_on() -> None:
    tags = [f"holding:0@{unit}" for unit in range(1, 9)]
    async with gateway(units=8) as device:
        device.silent = {1, 2, 3, 4, 5, 7}
        async with opened(connector(device.port, *tags, timeout="50 ms")) as hall:
            samples = await read_once(hall)
        assert device.most_connections == 1
    good = {sample.tag for sample in samples if sample.quality == GOOD}
    assert good == {"holding:0@6", "holding:0@8"}
    assert {s.quality for s in samples if s.tag not in good} == {BAD_TIMEOUT}


@pytest.mark.parametrize("framing", BOTH)
async def test_all_units_silent_is_a_lost_source(framing: Framing) -> None:
    async with gateway(framing) as device:
        device.silent = {1, 2, 3}
        tags = ("holding:0@1", "holding:0@2", "holding:0@3")
        async with opened(connector(device.port, *tags, framing=framing)) as hall:
            with pytest.raises(Unreachable, match="none of its units answers"):
                await hall.read()


async def test_a_dead_link_is_noticed_after_two_units_not_after_all() -> None:
    tags = [f"holding:0@{unit}" for unit in range(1, 21)]
    async with (
        gateway(units=20) as device,
        TcpProxy(device.port) as cable,
        opened(connector(cable.port, *tags)) as hall,
    ):
        await read_once(hall)
        cable.black_hole()
        with stopwatch() as took, pytest.raises(Unreachable, match="unit 1 and then unit 20"):
            await hall.read()
        assert took() < 4 * hall.spec.timeout


async def test_a_unit_the_gateway_cannot_reach_is_bad_and_the_others_are_read() -> None:
    async with (
        gateway() as device,
        opened(connector(device.port, "holding:0@1", "holding:0@9", "holding:1@9")) as hall,
    ):
        samples = await read_once(hall)
        assert [request.unit for request in device.requests] == [1, 9]
    assert found(samples) == {
        "holding:0@1": (1.0, GOOD),
        "holding:0@9": (None, BAD_TIMEOUT),
        "holding:1@9": (None, BAD_TIMEOUT),
    }


@pytest.mark.parametrize(
    ("code", "quality"),
    [
        (1, BAD_NOT_SUPPORTED),
        (2, BAD_NODE_UNKNOWN),
        (3, BAD_OUT_OF_RANGE),
        (4, BAD_DEVICE_FAILURE),
        (5, BAD_RESOURCE_UNAVAILABLE),
        (6, BAD_RESOURCE_UNAVAILABLE),
        (7, BAD_DEVICE_FAILURE),
        (8, BAD_DEVICE_FAILURE),
        (10, BAD_NO_COMMUNICATION),
        (11, BAD_TIMEOUT),
        (99, BAD_UNEXPECTED),
    ],
)
@pytest.mark.parametrize("framing", BOTH)
async def test_every_exception_has_its_quality(code: int, quality: int, framing: Framing) -> None:
    async with (
        gateway(framing) as device,
        opened(connector(device.port, "holding:0@1", "holding:0@2", framing=framing)) as hall,
    ):
        await read_once(hall)
        device.exceptions = {1: code}
        samples = await read_once(hall)
    assert found(samples) == {"holding:0@1": (None, quality)}


# A noisy line -------------------------------------------------------------------------------------


async def test_an_answer_with_a_wrong_checksum_is_asked_for_again_at_once() -> None:
    async with gateway("rtu") as device:
        hall = connector(device.port, "holding:0", framing="rtu", timeout="1 min")
        async with opened(hall):
            device.broken = 2
            samples = await asyncio.wait_for(read_once(hall), 5)
            assert device.requests == [Request(3, 0, 1)] * 3
    assert found(samples) == {"holding:0": (1.0, GOOD)}


async def test_a_line_that_is_only_noise_is_bad_and_asked_in_the_next_round() -> None:
    async with gateway("rtu") as device:
        tags = ("holding:0@1", "holding:0@2")
        async with opened(connector(device.port, *tags, framing="rtu", rest="1 min")) as hall:
            device.broken = 3
            noisy = await read_once(hall)
            clear = await read_once(hall)
    assert found(noisy) == {"holding:0@1": (None, BAD_COMMUNICATION), "holding:0@2": (2.0, GOOD)}
    assert found(clear) == {"holding:0@1": (1.0, GOOD)}


async def test_noise_and_no_second_unit_is_a_lost_source_that_names_the_framing() -> None:
    async with gateway("rtu") as device:
        device.broken = 100
        async with opened(connector(device.port, "holding:0", framing="rtu")) as hall:
            with pytest.raises(Unreachable, match="what comes is broken: see `framing`"):
                await hall.read()


async def test_a_late_answer_is_never_taken_for_that_of_another_unit() -> None:
    """It arrives in front of the next unit's own answer, with the same function and length."""
    async with gateway("rtu") as device:
        tags = ("holding:0@1", "holding:0@2", "holding:0@3")
        async with opened(connector(device.port, *tags, framing="rtu")) as hall:
            await read_once(hall)
            device.put("holding", 0, [222], unit=2)
            device.silent = {2}
            samples = await read_once(hall)
            device.put("holding", 0, [33], unit=3)
            samples += await read_once(hall)
    assert found(samples) == {"holding:0@2": (None, BAD_TIMEOUT), "holding:0@3": (33.0, GOOD)}


async def test_unit_0_speaks_to_all_on_a_serial_line_and_is_refused() -> None:
    for keys, tag in (({"unit": 0}, "holding:0"), ({}, "holding:0@0")):
        hall: AnyConnector = connector(1, tag, framing="rtu", **keys)
        with pytest.raises(Refused, match="unit 0 speaks to all"):
            await hall.open()
        await hall.close()
