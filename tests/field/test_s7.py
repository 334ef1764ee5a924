"""The S7 connector against the contract and python-snap7's server."""

import asyncio
import json
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from isthmus.base.clock import SystemClock
from isthmus.cli import app
from isthmus.field.connector import Connector, Refused, Unreachable
from isthmus.field.connectors.s7 import S7Connector, S7Source
from isthmus.field.connectors.s7.address import S7Type, parse_tag
from isthmus.field.connectors.s7.quality import BAD_OUT_OF_RANGE
from isthmus.field.connectors.s7.values import Value as Held
from isthmus.field.values import BAD_DECODING, BAD_USER_ACCESS_DENIED
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Value,
    opened,
    read_forever,
    read_once,
    stopwatch,
)
from isthmus.testing.s7_server import READ, S7Server, write_requests
from isthmus.testing.s7_values import CHARACTERS, expected, values
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy, answering

SIZES = {"DB10": 64, "M": 32, "I": 8, "Q": 8, "T": 16, "C": 16}
SHOTS = "DB10.8:udint"
FUNCTION_REFUSED = 0x8104


def source(port: int, **keys: Any) -> S7Source:
    return S7Source(host=LOOPBACK, port=port, **({"timeout": "500 ms"} | keys))


def connector(port: int, *tags: str, **keys: Any) -> S7Connector:
    spec = source(port, **({"timeout": "5 s"} | keys))
    return S7Connector("press_1", spec, tags, SystemClock())


class Press(S7Server):
    """In the words of the suite."""

    async def set(self, tag: str, value: Value) -> None:
        assert value is not None
        self.put(tag, value)


class TestContract(ConnectorContract):
    connector: ClassVar[type[Connector[Any]]] = S7Connector
    tags: ClassVar[dict[str, Any]] = {
        "DB10.0.3:bool": 1.0,
        "DB10.DBD4:real": 3.5,
        SHOTS: 41.0,
        "DB10.26:string[10]": "Deckel 012",
        "DB10.40:dtl": "2026-11-22T17:02:14.500000000",
        "MW20": 65_535.0,
        "I0.3:bool": 0.0,
        "AW4": 7.0,
        "T5": 1_270.0,
        "C3": 12.0,
    }
    change: ClassVar[tuple[str, Any]] = (SHOTS, 42)
    unknown: ClassVar[str] = "DB11.0:int"
    lost_within: ClassVar[float] = 1.0

    @asynccontextmanager
    async def device(self) -> AsyncIterator[Press]:
        with Press(SIZES, slot=1, pdu=240) as running:
            for tag, value in self.tags.items():
                running.put(tag, value)
            yield running
            assert running.write_requests == []

    def spec(self, host: str, port: int) -> S7Source:
        return source(port)

    def refused_spec(self, host: str, port: int) -> S7Source:
        return source(port, slot=2)

    def write_requests(self, sent: bytes) -> list[str]:
        return write_requests(sent)


# The spec ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys", [{"rack": 8}, {"slot": 32}, {"pdu": 100}, {"connection": "pc"}, {"host": "a b"}]
)
def test_a_wrong_key_is_a_problem_of_the_model(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(keys))):
        S7Source.model_validate({"host": "10.0.4.21"} | keys)


def test_the_connector_needs_no_driver() -> None:
    check = (
        "import sys; from isthmus.field.registry import SOURCE_KINDS, connector; "
        "SOURCE_KINDS['s7'].parse_tag('MW20'); connector('s7'); sys.exit('snap7' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


# Every type, through the memory of a server ------------------------------------------------------


def one_of_each() -> dict[S7Type, str]:
    """A tag of every type, one behind the other as a block with standard access has them."""
    tags: dict[S7Type, str] = {"counter": "C5"}
    at = 0
    for kind in sorted(set(get_args(S7Type)) - {"counter"}):
        written = {"bool": ".6:bool"}.get(kind, f":{kind}")
        length = f"[{CHARACTERS}]" if kind in {"string", "wstring"} else ""
        tag = f"DB10.{at}{written}{length}"
        width = parse_tag(tag).width
        tags[kind] = tag
        at += width + width % 2
    return tags


ONE_OF_EACH = one_of_each()


@pytest.fixture(scope="module")
def plc() -> Iterator[S7Server]:
    with S7Server({"DB10": 400, "C": 16}, pdu=240) as running:
        yield running
        assert running.write_requests == []
        assert 0 < running.longest_answer <= 240


@settings(max_examples=40, deadline=None)
@given(written=st.fixed_dictionaries({kind: values(kind) for kind in ONE_OF_EACH}))
def test_every_type_comes_from_the_memory_of_a_server(
    plc: S7Server, written: dict[S7Type, Held]
) -> None:
    for kind, value in written.items():
        plc.put(ONE_OF_EACH[kind], value)
    samples = asyncio.run(all_once(plc.port, *ONE_OF_EACH.values()))
    assert samples == {
        ONE_OF_EACH[kind]: (*expected(value), GOOD) for kind, value in written.items()
    }


async def all_once(port: int, *tags: str) -> dict[str, tuple[float | None, str | None, int]]:
    """Number, text and quality of each tag, from one read."""
    async with opened(connector(port, *tags)) as reading:
        table = await reading.read()
    return {row["tag"]: (row["number"], row["text"], row["quality"]) for row in table.to_pylist()}


# Against a device --------------------------------------------------------------------------------


def reads(device: S7Server) -> list[int]:
    """How many items each read request had."""
    return [request[11] for request in device.requests if request[10] == READ]


async def test_neighbours_are_read_in_one_request() -> None:
    tags = [f"DB10.{2 * number}:int" for number in range(300)]
    with S7Server({"DB10": 600}, pdu=240) as device:
        async with opened(connector(device.port, *tags)) as reading:
            samples = await read_once(reading)
            assert await read_once(reading) == []
    assert len(samples) == 300
    assert reads(device) == [1, 1, 1] * 2, "222 bytes fit into an answer of 240"


async def test_scattered_values_share_a_request_of_twenty_items() -> None:
    tags = [f"DB10.{40 * number}:int" for number in range(25)]
    with S7Server({"DB10": 1_000}, pdu=480) as device:
        async with opened(connector(device.port, *tags)) as reading:
            assert len(await read_once(reading)) == 25
    assert reads(device) == [20, 5]


async def test_a_string_longer_than_a_message_is_put_together() -> None:
    tag, text = "DB10.6:wstring[400]", "größer " * 50
    with S7Server({"DB10": 1_000}, pdu=240) as device:
        device.put(tag, text)
        assert await all_once(device.port, tag, "DB10.2:int") == {
            tag: (None, text, GOOD),
            "DB10.2:int": (0.0, None, GOOD),
        }
        assert device.longest_answer <= 240


@pytest.mark.parametrize(
    ("granted", "asked", "messages"), [(960, 960, 1), (480, 960, 2), (240, 960, 4), (960, 240, 4)]
)
async def test_both_sides_decide_how_long_a_message_is(
    granted: int, asked: int, messages: int
) -> None:
    tags = [f"DB10.{4 * number}:real" for number in range(200)]
    with S7Server({"DB10": 800}, pdu=granted) as device:
        async with opened(connector(device.port, *tags, pdu=asked)) as reading:
            assert len(await read_once(reading)) == 200
        assert 0 < device.longest_answer <= min(granted, asked)
    assert len(reads(device)) == messages


async def test_only_what_changed_is_a_sample() -> None:
    tags = ("M0:int", "M2:int", "M4.0", "M4.1")
    with S7Server({"M": 8}) as device:
        async with opened(connector(device.port, *tags)) as reading:
            await read_once(reading)
            device.put("M2:int", 9)
            device.put("M4.1", value=True)
            samples = await read_once(reading)
    assert [(sample.tag, sample.value) for sample in samples] == [("M2:int", 9.0), ("M4.1", 1.0)]


async def test_two_spellings_of_one_address_are_two_tags() -> None:
    with S7Server({"M": 8}) as device:
        device.put("MW2", 7)
        assert await all_once(device.port, "MW2", "M2:word") == {
            "MW2": (7.0, None, GOOD),
            "M2:word": (7.0, None, GOOD),
        }


async def test_a_tag_beyond_the_end_does_not_blind_its_neighbours() -> None:
    tags = [f"DB10.{2 * number}:int" for number in range(16)]
    with S7Server({"DB10": 28}) as device:
        async with opened(connector(device.port, *tags)) as reading:
            first = await read_once(reading)
            asked = len(reads(device))
            device.download("DB10", 64)
            second = await read_once(reading)
    assert {sample.tag for sample in first if sample.quality == GOOD} == set(tags[:14])
    assert {
        (sample.tag, sample.value, sample.quality) for sample in first if sample.quality != GOOD
    } == {(tag, None, BAD_OUT_OF_RANGE) for tag in tags[14:]}
    assert [(sample.tag, sample.quality) for sample in second] == [(tag, GOOD) for tag in tags[14:]]
    assert len(reads(device)) - asked == 1, "the parts are kept, and share a message"


async def test_a_missing_block_is_read_as_soon_as_it_is_downloaded() -> None:
    with S7Server({"DB10": 8}) as device:
        async with opened(connector(device.port, "DB10.0:int", "DB11.0:int")) as reading:
            first = await read_once(reading)
            (hint,) = reading.attention()
            device.download("DB11", 8)
            second = await read_once(reading)
            assert reading.attention() == []
    assert [(sample.tag, sample.quality) for sample in first] == [
        ("DB10.0:int", GOOD),
        ("DB11.0:int", BAD_NODE_UNKNOWN),
    ]
    assert [(sample.tag, sample.value) for sample in second] == [("DB11.0:int", 0.0)]
    assert "1 tag(s) of DB11 come with a bad quality (code 0A): is it downloaded" in hint


async def test_a_block_nobody_may_read_says_how_to_allow_it() -> None:
    with S7Server({"DB10": 8, "DB11": 8}) as device:
        device.denied.add(11)
        async with opened(connector(device.port, "DB10.0:int", "DB11.0:int")) as reading:
            samples = await read_once(reading)
            (hint,) = reading.attention()
    assert {sample.tag: sample.quality for sample in samples} == {
        "DB10.0:int": GOOD,
        "DB11.0:int": BAD_USER_ACCESS_DENIED,
    }
    assert "of DB11" in hint
    assert "allow PUT/GET" in hint
    assert "`Optimized block access` off" in hint


async def test_access_denied_to_everything_refuses_the_source() -> None:
    with S7Server({"DB10": 8, "DB11": 8}) as device:
        device.denied |= {10, 11}
        async with opened(connector(device.port, "DB10.0:int", "DB11.0:int")) as reading:
            with pytest.raises(Refused, match=r"denies access .* \(code 03\).* allow PUT/GET"):
                await reading.read()


async def test_put_get_not_allowed_refuses_the_source() -> None:
    with S7Server({"DB10": 8, "M": 8}) as device:
        device.refuses = FUNCTION_REFUSED
        async with opened(connector(device.port, "DB10.0:int", "M0:int")) as reading:
            with pytest.raises(Refused, match=r"denies access .* \(code 8104\).* allow PUT/GET"):
                await reading.read()


async def test_a_request_refused_for_one_of_its_items_is_asked_item_by_item() -> None:
    with S7Server({"DB10": 8, "M": 8}) as device:
        device.refuses = FUNCTION_REFUSED
        device.refuses_only_blocks = True
        async with opened(connector(device.port, "DB10.0:int", "M0:int")) as reading:
            samples = await read_once(reading)
            assert await read_once(reading) == []
    assert {sample.tag: sample.quality for sample in samples} == {
        "DB10.0:int": BAD_USER_ACCESS_DENIED,
        "M0:int": GOOD,
    }
    assert reads(device) == [2, 1, 1, 1, 1], "the second time it asks one by one from the start"


async def test_a_wrong_slot_is_refused_and_says_which_slots_there_are() -> None:
    with S7Server({"M": 8}, slot=2) as device:
        reading = connector(device.port, "M0:int", slot=1)
        with pytest.raises(Refused, match=r"rack 0, slot 1 \(S7-1200 and S7-1500: slot 1, S7-300"):
            await reading.open()
        await reading.close()
        async with opened(connector(device.port, "M0:int", slot=2)) as reading:
            assert len(await read_once(reading)) == 1


async def test_a_cpu_that_hangs_up_on_a_wrong_slot_is_unreachable_with_a_hint() -> None:
    with S7Server({"M": 8}, slot=2) as device:
        device.hangs_up = True
        reading = connector(device.port, "M0:int", slot=1)
        with pytest.raises(Unreachable, match=r"some CPUs just hang up if `rack` or `slot`"):
            await reading.open()
        await reading.close()


async def test_a_server_that_restarts_is_lost_and_read_again() -> None:
    with S7Server({"M": 8}) as device:
        lost = connector(device.port, "M0:int")
        async with opened(lost):
            await read_once(lost)
            device.__exit__(None, None, None)
            with pytest.raises(Unreachable):
                await read_forever(lost)
    with S7Server({"M": 8}, port=device.port) as again:
        again.put("M0:int", 5)
        assert await all_once(again.port, "M0:int") == {"M0:int": (5.0, None, GOOD)}


async def test_a_slow_device_is_read_and_one_beyond_the_timeout_is_lost() -> None:
    with S7Server({"M": 8}) as device:
        async with (
            TcpProxy(device.port) as cable,
            opened(connector(cable.port, "M0:int", timeout="500 ms")) as reading,
        ):
            cable.delay(0.1)
            assert len(await read_once(reading)) == 1
            cable.delay(5.0)
            with (
                stopwatch() as took,
                pytest.raises(Unreachable, match=r"within 0.5 s \(it keeps silent\)"),
            ):
                await reading.read()
            assert took() < 1.0


async def test_bad_bytes_come_bad_and_good_again_when_they_are() -> None:
    tag = "DB10.0:date_and_time"
    with S7Server({"DB10": 8}) as device:
        device.memory["DB10"][:] = bytes.fromhex("26 13 22 17 02 14 12 31")
        async with opened(connector(device.port, tag)) as reading:
            (bad,) = await read_once(reading)
            device.put(tag, "2026-11-22T17:02:14.123")
            (good,) = await read_once(reading)
    assert (bad.value, bad.quality) == ("26 13 22 17 02 14 12 31", BAD_DECODING)
    assert (good.value, good.quality) == ("2026-11-22T17:02:14.123", GOOD)


async def test_answers_in_pieces_are_put_together() -> None:
    """A gateway may cut an answer into several transport units."""

    def in_pieces(request: bytes) -> bytes:
        if request[5] == 0xE0:
            return frame(bytes([6, 0xD0, 0, 1, 0, 2, 0]))
        sequence = request[11:13]
        if request[17] == 0xF0:
            return data(answer(sequence, struct.pack(">BBHHH", 0xF0, 0, 1, 1, 240), b""))
        message = answer(sequence, bytes([4, 1]), bytes([0xFF, 4, 0, 16, 0x12, 0x34]))
        return data(message[:9], last=False) + data(message[9:])

    async with answering(in_pieces) as port:
        assert await all_once(port, "M0:word") == {"M0:word": (float(0x1234), None, GOOD)}


def answer(sequence: bytes, parameters: bytes, contents: bytes) -> bytes:
    head = struct.pack(">BBH2sHHH", 0x32, 3, 0, sequence, len(parameters), len(contents), 0)
    return head + parameters + contents


def data(payload: bytes, *, last: bool = True) -> bytes:
    return frame(bytes([2, 0xF0, 0x80 if last else 0]) + payload)


def frame(payload: bytes) -> bytes:
    return struct.pack(">BBH", 3, 0, 4 + len(payload)) + payload


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", frame(bytes(20)), frame(b"\x06"), b"\x03\0\0\x02"]
)
async def test_garbage_instead_of_a_device_is_unreachable(said: bytes) -> None:
    async with answering(lambda _: said) as port:
        reading = connector(port, "M0:int")
        with pytest.raises(Unreachable):
            await reading.open()
        await reading.close()


@pytest.mark.parametrize("granted", [0, 16, 111])
async def test_messages_too_short_for_anything_are_unreachable(granted: int) -> None:
    def grants(request: bytes) -> bytes:
        if request[5] == 0xE0:
            return frame(bytes([6, 0xD0, 0, 1, 0, 2, 0]))
        parameters = struct.pack(">BBHHH", 0xF0, 0, 1, 1, granted)
        return data(answer(request[11:13], parameters, b""))

    async with answering(grants) as port:
        reading = connector(port, "M0:int")
        with pytest.raises(Unreachable, match=f"messages of {granted} bytes are too short"):
            await reading.open()
        await reading.close()


@settings(max_examples=60, deadline=None)
@given(garbage=st.binary(min_size=1, max_size=40), position=st.integers(0, 30))
def test_a_damaged_answer_is_unreachable_or_read_never_a_crash(
    plc: S7Server, garbage: bytes, position: int
) -> None:
    asyncio.run(read_damaged(plc, garbage, position))


async def read_damaged(plc: S7Server, garbage: bytes, position: int) -> None:
    """The device's own answer to a read with some bytes of it overwritten, and then the end."""
    async with opened(connector(plc.port, "C5", "DB10.0:int")) as reading:
        link = reading._open_link()
        feed = link._reader.feed_data

        def damaged(received: bytes) -> None:
            feed(received[:position] + garbage + received[position + len(garbage) :])
            link._reader.feed_eof()  # where a length is damaged nothing waits for the rest

        link._reader.feed_data = damaged  # type: ignore[method-assign]
        try:
            await reading.read()
        except (Unreachable, Refused):
            return


MODEL = {
    "company.yaml": "enterprise: acme\n",
    "type.yaml": """machine_type: box
kind: s7
blocks: [part_count, injection_cycle]
map:
  part_count.produced: {tag: "DB10.8:udint", counter: {bits: 32}}
  injection_cycle.melt_temp: {tag: "DB11.DBD0:real", unit: Cel}
""",
    "site.yaml": """site: plant
areas: {hall: {lines: {line: {machines: {press-1: {type: box, source: press_1}}}}}}
sources:
  press_1: {kind: s7, host: 127.0.0.1, port: PORT, interval: 50 ms}
""",
}


def test_probe_shows_values_and_what_to_do_about_a_missing_block(tmp_path: Path) -> None:
    with S7Server(SIZES) as device:
        for name, text in MODEL.items():
            (tmp_path / name).write_text(text.replace("PORT", str(device.port)))
        device.put(SHOTS, 41)
        arguments = ["probe", "press_1", str(tmp_path), "--seconds", "0.3", "--format", "json"]
        done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert {seen["tag"]: (seen["value"], seen["quality"]) for seen in shown["tags"]} == {
        SHOTS: ("41", GOOD),
        "DB11.DBD0:real": ("", BAD_NODE_UNKNOWN),
    }
    (sentence,) = shown["attention"]
    assert "DB11" in sentence
    assert "`Optimized block access` off" in sentence
    assert device.write_requests == []
