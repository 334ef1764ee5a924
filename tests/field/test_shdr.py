"""SHDR against an adapter on a socket."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.base.clock import SystemClock, parse_time, to_micros
from isthmus.field.connector import AnyConnector, Refused, Unreachable
from isthmus.field.connectors.shdr import ShdrConnector, ShdrSource
from isthmus.field.connectors.shdr.interpret import Interpreter
from isthmus.field.connectors.shdr.lines import LineSplitter
from isthmus.field.mtconnect.conditions import Conditions
from isthmus.field.samples import Samples
from isthmus.field.values import BAD_DECODING, BAD_NO_DATA, BAD_WAITING_FOR_INITIAL_DATA
from isthmus.flow.parcel import BAD_NOT_CONNECTED, GOOD, UNCERTAIN
from isthmus.model.spec.site import SourceSpec
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Device,
    Value,
    opened,
    read_for,
    read_forever,
    read_until,
)
from isthmus.testing.shdr_adapter import ShdrAdapter, paced

NOW = parse_time("2026-03-02T06:00:00Z")
AT = "2026-03-02T05:59:58Z"
THEN = parse_time(AT)


class Okuma:
    """A control with two values and a condition."""

    def __init__(self, adapter: ShdrAdapter) -> None:
        self.adapter = adapter
        self.port = adapter.port

    async def set(self, tag: str, value: Value) -> None:
        form, colon, key = tag.rpartition(":")
        fields = [f"{value:g}" if isinstance(value, float) else str(value)]
        self.adapter.put(key, *fields, *([""] * 4 if colon and form == "condition" else []))


class TestShdr(ConnectorContract):
    connector: ClassVar[type[AnyConnector]] = ShdrConnector
    tags: ClassVar[Mapping[str, Value]] = {
        "pexecution": "READY",
        "ppartcount": 12.0,
        "condition:system": "NORMAL",
    }
    change: ClassVar[tuple[str, Value]] = ("pexecution", "ACTIVE")

    @asynccontextmanager
    async def device(self) -> AsyncIterator[Device]:
        adapter = ShdrAdapter(heartbeat_ms=500)
        await adapter.start()
        control = Okuma(adapter)
        for tag, value in self.tags.items():
            await control.set(tag, value)
        yield control
        await adapter.stop()

    def spec(self, host: str, port: int) -> SourceSpec:
        return ShdrSource(host=host, port=port, first_value=0.5, timeout=2.0)

    def write_requests(self, sent: bytes) -> list[str]:
        """An agent sends pings and nothing else."""
        return [line for line in sent.decode().splitlines() if line != "* PING"]


@pytest.fixture
async def adapter() -> AsyncIterator[ShdrAdapter]:
    adapter = ShdrAdapter()
    await adapter.start()
    yield adapter
    await adapter.stop()


def connector(adapter: ShdrAdapter, *tags: str, **options: Any) -> ShdrConnector:
    options = {"first_value": 0.2, "timeout": 1.0} | options
    spec = ShdrSource(host="127.0.0.1", port=adapter.port, **options)
    return ShdrConnector("okuma", spec, tags, SystemClock())


async def test_tags_that_do_not_come_wait_for_their_first_value(adapter: ShdrAdapter) -> None:
    adapter.put("pexecution", "READY")
    async with opened(connector(adapter, "pexecution", "absent")) as shdr:
        samples = await read_until(shdr, lambda seen: len(seen) >= 2)
    assert [(s.tag, s.quality) for s in samples] == [
        ("pexecution", GOOD),
        ("absent", BAD_WAITING_FOR_INITIAL_DATA),
    ]


async def test_an_old_adapter_that_answers_no_ping_is_read_all_the_same() -> None:
    adapter = ShdrAdapter(heartbeat_ms=None)
    await adapter.start()
    adapter.put("pexecution", "READY")
    async with opened(connector(adapter, "pexecution", timeout=0.3)) as shdr:
        first = await read_for(shdr, 0.8)
        adapter.put("pexecution", "ACTIVE")
        then = await read_until(shdr, lambda seen: len(seen) >= 1)
    await adapter.stop()
    assert [s.value for s in first + then] == ["READY", "ACTIVE"]


async def test_an_adapter_that_says_nothing_is_unreachable() -> None:
    adapter = ShdrAdapter(heartbeat_ms=None)
    await adapter.start()
    with pytest.raises(Unreachable, match="says nothing"):
        async with opened(connector(adapter, "pexecution", timeout=0.3)) as shdr:
            await read_forever(shdr)
    await adapter.stop()


async def test_half_lines_are_put_together_and_never_read_as_whole(adapter: ShdrAdapter) -> None:
    async with opened(connector(adapter, "count")) as shdr:
        adapter.send_raw(f"{AT}|count|12".encode())
        first = await read_for(shdr, 0.5)
        adapter.send_raw(f"34\r\n{AT}|count|5".encode())
        then = await read_until(shdr, lambda seen: len(seen) >= 1)
        await adapter.stop()
        with pytest.raises(Unreachable):
            await read_forever(shdr)
    assert [s.quality for s in first] == [BAD_WAITING_FOR_INITIAL_DATA]
    assert [(s.value, s.device_time) for s in then] == [(1234, THEN)]


async def test_an_overlong_line_is_a_gap_and_the_next_line_is_read(adapter: ShdrAdapter) -> None:
    async with opened(connector(adapter, "note", max_line_kb=1)) as shdr:
        adapter.send(f"{AT}|note|" + "x" * 100_000)
        adapter.send(f"{AT}|note|short")
        samples = await read_until(shdr, lambda seen: len(seen) >= 1)
        missed = shdr.missed()
        assert shdr.missed() == []
    assert [s.value for s in samples if s.quality == GOOD] == ["short"]
    assert [gap.detail for gap in missed] == ["1 lines longer than 1 kB were skipped"]


async def test_assets_are_passed_over_and_counted(adapter: ShdrAdapter) -> None:
    async with opened(connector(adapter, "count")) as shdr:
        adapter.send(f"{AT}|@ASSET@|T1|CuttingTool|--multiline--ABCD")
        adapter.send(f"<CuttingTool>\n{AT}|count|99\n</CuttingTool>\n--multiline--ABCD")
        adapter.send(f"{AT}|@REMOVE_ASSET@|T1")
        adapter.send(f"{AT}|count|5")
        samples = await read_until(shdr, lambda seen: len(seen) >= 1)
        assert isinstance(shdr, ShdrConnector)
        assert shdr.skipped_assets == 2
    assert [s.value for s in samples] == [5]


async def test_devices_file_tells_conditions_and_names(
    adapter: ShdrAdapter, tmp_path: Path
) -> None:
    devices = tmp_path / "devices.xml"
    devices.write_text("""<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:1.3">
        <Header/><Devices><Device id="d" name="OKUMA" uuid="u"><DataItems>
        <DataItem id="Lsys" name="system" category="CONDITION" type="SYSTEM"/>
        <DataItem id="Lexec" name="exec" category="EVENT" type="EXECUTION"/>
        <DataItem id="Lx" category="SAMPLE" type="POSITION"><Source>X1</Source></DataItem>
        </DataItems></Device></Devices></MTConnectDevices>""")
    tags = ("system", "Lexec", "Lx")
    async with opened(connector(adapter, *tags, devices=str(devices))) as shdr:
        adapter.send(f"{AT}|system|FAULT|410|HIGH||Overload|exec|ACTIVE|X1|1.50")
        samples = await read_until(shdr, lambda seen: len(seen) >= 3)
    assert [(s.tag, s.value) for s in samples] == [
        ("system", "FAULT:410"),
        ("Lexec", "ACTIVE"),
        ("Lx", 1.5),
    ]


async def test_devices_file_that_cannot_be_read_is_refused(adapter: ShdrAdapter) -> None:
    with pytest.raises(Refused, match="cannot read"):
        async with opened(connector(adapter, "x", devices="no/such/file.xml")):
            pass


# Lines, without a socket ------------------------------------------------------------------------


def read_lines(*lines: str | bytes, tags: list[str], device: str = "") -> list[tuple[Any, ...]]:
    samples = Samples()
    interpreter = Interpreter(tags, device)
    for line in lines:
        raw = line.encode() if isinstance(line, str) else line
        interpreter.read(raw, NOW, samples)
    table = samples.take()
    rows = table.to_pylist() if table is not None else []
    return [
        (
            row["tag"],
            row["text"] if row["number"] is None else row["number"],
            (to_micros(row["device_time"]) - NOW) // 1000,
            row["quality"],
        )
        for row in rows
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{AT}|a|5|b|RUN", [("a", 5, -2000, GOOD), ("b", "RUN", -2000, GOOD)]),
        ("2026-03-02T05:59:58.1234567Z|a|5", [("a", 5, -1877, GOOD)]),
        ("2026-03-02T05:59:58|a|5", [("a", 5, -2000, GOOD)]),
        (f"{AT}@100.0|a|5", [("a", 5, -2000, GOOD)]),
        ("|a|5", [("a", 5, 0, GOOD)]),
        ("soon|a|5", [("a", 5, 0, UNCERTAIN)]),
        (f"{AT}|a|UNAVAILABLE", [("a", None, -2000, BAD_NOT_CONNECTED)]),
        (f"{AT}|a||b|1", [("a", "", -2000, GOOD), ("b", 1, -2000, GOOD)]),
        (f"{AT}|a", [("a", "", -2000, GOOD)]),
        (f"{AT}|a|007", [("a", "007", -2000, GOOD)]),
        (f"{AT}|a|1.10", [("a", "1.10", -2000, GOOD)]),
        (f'{AT}|a|"x\\|y"|b|2', [("a", "x|y", -2000, GOOD), ("b", 2, -2000, GOOD)]),
        (f"{AT}|other|1", []),
        ("", []),
        ("|||", []),
    ],
)
def test_lines_of_values(line: str, expected: list[Any]) -> None:
    assert read_lines(line, tags=["a", "b"]) == expected


def test_wrong_encoding_is_named_with_what_came() -> None:
    assert read_lines(b"|a|caf\xe9", tags=["a"]) == [("a", "caf\\xe9", 0, BAD_DECODING)]


def test_the_device_of_a_key_is_the_one_that_is_meant() -> None:
    lines = ["|OKUMA:a|1", "|MAZAK:a|2", "|a|3"]
    assert [row[1] for row in read_lines(*lines, tags=["a"], device="OKUMA")] == [1, 3]
    assert [row[1] for row in read_lines(*lines, tags=["MAZAK:a"])] == [2]


def test_conditions_are_active_side_by_side_until_each_is_cleared() -> None:
    lines = [
        "|sys|NORMAL||||",
        "|sys|WARNING|17|LOW||Oil low",
        "|sys|FAULT|410|HIGH|HIGH|Overload",
        "|sys|NORMAL|17|||",
        "|sys|FAULT|410|HIGH|HIGH|Overload",
        "|sys|NORMAL||||",
        "|sys|UNAVAILABLE||||",
        "|sys|BROKEN|1|||",
    ]
    rows = read_lines(*lines, tags=["condition:sys", "condition:sys[level]"])
    assert [row[1] for row in rows[::2]] == [
        "NORMAL",
        "WARNING:17",
        "FAULT:410;WARNING:17",
        "FAULT:410",
        "FAULT:410",
        "NORMAL",
        None,
        "BROKEN:1",
    ]
    assert [row[1] for row in rows[1:12:2]] == [
        "NORMAL",
        "WARNING",
        "FAULT",
        "FAULT",
        "FAULT",
        "NORMAL",
    ]
    assert [row[3] for row in rows[12::2]] == [BAD_NOT_CONNECTED, BAD_DECODING]


def test_messages_series_and_vectors() -> None:
    rows = read_lines(
        "|msg|17|Change tool 4",
        "|vib|3|10|1.0 2.0 3.5",
        "|pos|1039.897 0 269.0133",
        "|vib|4|10|1 2",
        "|vib|UNAVAILABLE",
        tags=["message:msg", "message:msg[code]", "series:vib", "pos[2]", "pos"],
    )
    assert rows == [
        ("message:msg", "Change tool 4", 0, GOOD),
        ("message:msg[code]", 17, 0, GOOD),
        ("series:vib", 1, -200, GOOD),
        ("series:vib", 2, -100, GOOD),
        ("series:vib", 3.5, 0, GOOD),
        ("pos[2]", 269.0133, 0, GOOD),
        ("pos", "1039.897 0 269.0133", 0, GOOD),
        ("series:vib", "4|10|1 2", 0, BAD_DECODING),
        ("series:vib", None, 0, BAD_NOT_CONNECTED),
    ]


def test_data_sets_and_tables_carry_what_did_not_change() -> None:
    rows = read_lines(
        "|vars|a=1 b='two words'",
        "|vars|a=2",
        "|vars|b",
        "|vars|:RESET a=3",
        "|vars|g1={x=1.5 y=2}",
        tags=["set:vars[a]", "set:vars[b]", "set:vars", "set:vars[g1][y]"],
    )
    assert [row[1] for row in rows if row[0] == "set:vars[a]"] == [1, 2, 3]
    assert [row[1:] for row in rows if row[0] == "set:vars[b]"] == [
        ("two words", 0, GOOD),
        (None, 0, BAD_NO_DATA),
        (None, 0, BAD_NO_DATA),
    ]
    assert [row[1] for row in rows if row[0] == "set:vars"][-1] == (
        '{"a": "3", "g1": {"x": "1.5", "y": "2"}}'
    )
    assert [row[1] for row in rows if row[0] == "set:vars[g1][y]"] == [None, 2]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=20))
def test_any_bytes_in_any_pieces_give_the_same_lines(pieces: list[bytes]) -> None:
    data = b"".join(pieces) + b"\n"
    whole, cut = LineSplitter(1000), LineSplitter(1000)
    expected = whole.feed(data)
    assert [line for piece in [*pieces, b"\n"] for line in cut.feed(piece)] == expected


LINE = st.binary(max_size=60) | st.text(
    "|:\\\"abc condtionFAULTNORMAL={}' 0123456789.", max_size=60
)


@settings(deadline=None)
@given(st.lists(LINE, max_size=5))
def test_no_line_makes_the_reader_fail(lines: list[bytes | str]) -> None:
    read_lines(*lines, tags=["a", "b[1]", "condition:c", "series:o", "set:n[a]", "message:d"])


CODES = st.sampled_from(["1", "2", "3"])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["WARNING", "FAULT", "NORMAL"]), CODES)))
def test_active_conditions_are_the_last_level_of_each_code(seen: list[tuple[str, str]]) -> None:
    conditions = Conditions()
    for level, code in seen:
        conditions.observe(level, code)
    last = {code: level for level, code in seen}
    active = sorted(f"{level}:{code}" for code, level in last.items() if level != "NORMAL")
    expected = ";".join(active) or "NORMAL" if seen else None
    assert conditions.value(level_only=False)[0] == expected


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("", "no name"),
        ("a|b", "no key"),
        ("a[x]", "set:a"),
        ("a[1][2]", "set:a"),
        ("condition:a[x]", r"\[level\]"),
        ("message:a[x]", r"\[code\]"),
        ("@ASSET@", "no key"),
        ("a[1", "no name"),
    ],
)
def test_wrong_addresses_say_what_is_wrong(tag: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ShdrSource.parse_tag(tag)


def test_a_recording_is_paced_by_its_data_lines() -> None:
    lines = [
        "2022-08-08T13:51:34Z|a|1",
        "2022-08-08T10:00:00Z|@ASSET@|T1|CuttingTool|--multiline--AB",
        "--multiline--AB",
        "2022-08-08T13:51:36Z|a|2",
        "2022-08-08T13:51:35.9Z|a|3",
        "2022-08-08T15:00:00Z|a|4",
        "2022-08-08T15:00:01Z|a|5",
    ]
    assert [offset for offset, _ in paced(lines)] == [0, 0, 0, 2, 2, 2, 3]
