"""A real machine's recording, replayed through a socket, arrives as it stands in the file.

The recording (four takes of an Okuma lathe, 23 minutes in all) is read a second time here, by
other code than the connector's.
"""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from isthmus.base.clock import Micros, SystemClock, to_micros
from isthmus.field.connectors.shdr import ShdrConnector, ShdrSource
from isthmus.flow.parcel import BAD_NOT_CONNECTED, GOOD
from isthmus.testing.connector_suite import Sample, opened, read_once
from isthmus.testing.shdr_adapter import ShdrAdapter

RECORDING = Path(__file__).parents[3] / "shared" / "data" / "mtconnect_okuma"

needs_recording = pytest.mark.skipif(
    not RECORDING.is_dir(), reason="`shared/data/mtconnect_okuma` is not beside the repository"
)

CONDITIONS = [
    "system", "CoolantSystem1_cond", "ElectricSystem1_cond", "HydraulicSystem1_cond",
    "LubricationSystem1_cond", "PneumaticSystem1_cond", "LoaderSystem1_cond",
    "WasteDisposalSystem1_cond", "ToolingDeliverySystem1_cond", "BarFeederSystem1_cond",
]  # fmt: skip
VALUES = [
    "avail", "pexecution", "ppartcount", "fmode", "pprogram", "p1block", "p1PalletID",
    "p1LPathPos", "Z1actm", "X1load", "S1speed", "p1Fact", "pCuttingTime", "ApplicationVersion",
]  # fmt: skip


class Seen(NamedTuple):
    """One value at its device time."""

    time: Micros
    value: float | str | None


def lines() -> list[str]:
    return (RECORDING / "okuma.txt").read_text().splitlines()


def from_file(key: str) -> list[Seen]:
    """Every value of a key in the order of the file."""
    return _by_key().get(key, [])


@cache
def _by_key() -> dict[str, list[Seen]]:
    by_key: dict[str, list[Seen]] = {}
    for time, key, value in _pairs():
        by_key.setdefault(key, []).append(Seen(time, value))
    return by_key


def _pairs() -> Iterator[tuple[Micros, str, float | str | None]]:
    data = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})\d*Z\|(?!@)(.*)")
    for line in lines():
        match = data.fullmatch(line)
        if match is None:
            continue
        time = to_micros(datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC))
        fields = match[2].split("|")
        for key, text in zip(fields[::2], fields[1::2], strict=False):
            yield time, key, _value(text)


def _value(text: str) -> float | str | None:
    if text == "UNAVAILABLE":
        return None
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else text


def intervals(seen: list[Seen]) -> list[tuple[Micros, Micros | None, float | str | None]]:
    """From each change to the next, in the order of arrival."""
    changes = [
        one for before, one in zip([None, *seen], seen, strict=False)
        if before is None or before.value != one.value or before.time > one.time
    ]  # fmt: skip
    ends = [change.time for change in changes[1:]]
    return [
        (change.time, end, change.value) for change, end in zip(changes, [*ends, None], strict=True)
    ]


async def replayed(speed: float, **options: str) -> dict[str, list[Sample]]:
    """Samples by tag, after the whole recording went through a socket."""
    tags = [*VALUES, *(key if options else f"condition:{key}" for key in CONDITIONS)]
    expected = sum(len(from_file(key)) for key in [*VALUES, *CONDITIONS])
    adapter = ShdrAdapter()
    await adapter.start()
    spec = ShdrSource(host="127.0.0.1", port=adapter.port, first_value="1 h", **options)
    came: dict[str, list[Sample]] = {tag: [] for tag in tags}
    connector = ShdrConnector("okuma", spec, tags, SystemClock())
    async with opened(connector):
        replay = asyncio.create_task(adapter.replay(lines(), speed))
        while sum(map(len, came.values())) < expected or not replay.done():
            for sample in await read_once(connector):
                came[sample.tag].append(sample)
        await replay
        assert connector.skipped_assets == 118 + 30 + 4
        assert connector.missed() == []
    await adapter.stop()
    return came


def check(came: dict[str, list[Sample]]) -> None:
    for tag, samples in came.items():
        key = tag.removeprefix("condition:")
        assert [Seen(s.device_time, s.value) for s in samples] == from_file(key), tag
        assert {s.quality for s in samples} <= {GOOD, BAD_NOT_CONNECTED}
        arrived = [Seen(s.device_time, s.value) for s in samples]
        assert intervals(arrived) == intervals(from_file(key)), tag
    assert [s.value for s in came["ppartcount"]] == [0, 1, 0, 1, 2, 3, 0, 1]


@needs_recording
@pytest.mark.timeout(120)
async def test_recording_arrives_as_it_stands_in_the_file_at_120_times_its_speed() -> None:
    check(await replayed(120))


@needs_recording
@pytest.mark.long
@pytest.mark.timeout(240)
async def test_recording_arrives_as_it_stands_in_the_file_at_20_times_its_speed() -> None:
    check(await replayed(20, devices=str(RECORDING / "Devices.xml"), device="OKUMA"))
