"""A real machine's recording, replayed through a socket, arrives as it stands in the file."""

import asyncio

import pytest
from tests.whole.okuma import (
    CONDITIONS,
    RECORDING,
    VALUES,
    Seen,
    everything,
    from_file,
    intervals,
    lines,
    needs_recording,
)

from isthmus.base.clock import SystemClock
from isthmus.field.connectors.mtconnect import MtconnectConnector, MtconnectSource
from isthmus.field.connectors.shdr import ShdrConnector, ShdrSource
from isthmus.flow.parcel import BAD_NOT_CONNECTED, GOOD
from isthmus.testing.connector_suite import Sample, opened, read_once, read_until
from isthmus.testing.mtconnect_agent import Device, Item, MtconnectAgent
from isthmus.testing.shdr_adapter import ShdrAdapter


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


ITEMS = (
    Item("avail", "AVAILABILITY"),
    Item("pexecution", "EXECUTION"),
    Item("ppartcount", "PART_COUNT"),
    Item("fmode", "FUNCTIONAL_MODE"),
    Item("pprogram", "PROGRAM"),
    Item("p1block", "BLOCK"),
    Item("X1load", "LOAD", "SAMPLE"),
    Item("S1speed", "ROTARY_VELOCITY", "SAMPLE"),
    Item("p1Fact", "PATH_FEEDRATE", "SAMPLE"),
    Item("pCuttingTime", "PROCESS_TIMER", "SAMPLE"),
    *(Item(key, "SYSTEM", "CONDITION") for key in CONDITIONS),
)


def told(agent: MtconnectAgent) -> int:
    """The recording, as the agent of that machine would have heard it; how many values."""
    known = {item.id: item for item in ITEMS}
    heard = [(key, seen) for key, seen in everything() if key in known]
    for key, seen in heard:
        if known[key].category == "CONDITION":
            level = "Unavailable" if seen.value is None else str(seen.value).capitalize()
            agent.condition(key, level, time=seen.time)  # type: ignore[arg-type]
        else:
            agent.put(key, seen.value, seen.time)
    return len(heard)


@needs_recording
@pytest.mark.timeout(120)
async def test_what_an_agent_tells_of_the_recording_arrives_as_it_stands_in_the_file() -> None:
    agent = MtconnectAgent([Device("m", "OKUMA", "uuid-okuma", ITEMS)])
    await agent.start()
    spec = MtconnectSource(url=agent.url, interval="20 ms")
    tags = [item.id for item in ITEMS]
    async with opened(MtconnectConnector("okuma", spec, tags, SystemClock())) as connector:
        before = await read_until(connector, lambda seen: len(seen) >= len(tags))
        count = told(agent)
        samples = await read_until(connector, lambda seen: len(seen) >= count)
        assert connector.missed() == []
    await agent.stop()
    assert {sample.quality for sample in before} == {BAD_NOT_CONNECTED}
    assert len(samples) == count > 5_000
    for tag in tags:
        came = [Seen(s.device_time, s.value) for s in samples if s.tag == tag]
        assert came == from_file(tag), tag
