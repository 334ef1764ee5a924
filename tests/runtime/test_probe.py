"""A probe shows what comes and what the mapping makes of it, and leaves nothing behind."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from isthmus.base.clock import SystemClock
from isthmus.cli.probe import as_json, show
from isthmus.field.connectors.opcua import OpcuaSource
from isthmus.model.plant import Plant, Source
from isthmus.runtime.probe import Probed, probe
from isthmus.testing.line_device import (
    LineDevice,
    LineSource,
    ListeningConnector,
    PollingConnector,
)
from isthmus.testing.one_source import plant

from .conftest import GOOD, STATE

CLOCK = SystemClock()


@pytest.fixture
async def device() -> AsyncIterator[LineDevice]:
    async with LineDevice({"state": 3.0, "good": 100.0, "extra": 1.0}) as found:
        yield found


def declared(device: LineDevice) -> tuple[Source, Plant]:
    return plant(STATE, GOOD, spec=LineSource(port=device.port, interval=0.05))


async def look(
    source: Source, whole: Plant, kind: type[ListeningConnector | PollingConnector]
) -> Probed:
    return await probe(
        source, whole, CLOCK, 0.2, lambda: kind("im", source.spec, source.tags, CLOCK)
    )


@pytest.mark.parametrize("kind", [ListeningConnector, PollingConnector])
async def test_it_shows_every_tag_with_what_the_mapping_makes_of_it(
    device: LineDevice, kind: type[ListeningConnector]
) -> None:
    result = await look(*declared(device), kind)
    assert result.works
    assert {seen.tag: (seen.value, seen.quality) for seen in result.tags} == {
        "state": ("3", 0),
        "good": ("100", 0),
        "extra": ("1", 0),
    }
    assert result.rows == {"machine_state": 1, "part_count": 1}
    feeds = {seen.tag: seen.feeds for seen in result.tags}
    assert feeds["state"] == ("acme/hamburg/moulding/line-1/a machine_state.state",)
    assert feeds["extra"] == ()


async def test_it_leaves_nothing_behind(device: LineDevice) -> None:
    await look(*declared(device), ListeningConnector)
    await device.off()
    assert device.clients == 0
    assert device.acknowledged == 0


async def test_it_names_what_would_go_to_quarantine(device: LineDevice) -> None:
    device.values["state"] = 99
    result = await look(*declared(device), ListeningConnector)
    [problem] = [seen.problem for seen in result.tags if seen.tag == "state"]
    assert problem.startswith("Q012: `99` is no code of `machine_state.state`")
    assert result.quarantined == 1


async def test_it_names_tags_of_which_nothing_came(device: LineDevice) -> None:
    del device.values["good"]
    assert (await look(*declared(device), ListeningConnector)).silent == ("good",)


async def test_it_says_what_to_do_when_nobody_answers(device: LineDevice) -> None:
    source, whole = declared(device)
    await device.off()
    result = await look(source, whole, ListeningConnector)
    assert not result.works
    assert "Is the device on and on this network?" in result.trouble


async def test_it_says_what_to_do_when_the_device_refuses(device: LineDevice) -> None:
    device.refuses = True
    result = await look(*declared(device), ListeningConnector)
    assert "look at credentials and addresses" in result.trouble


async def test_it_says_when_it_is_open_but_nothing_comes(device: LineDevice) -> None:
    device.silent = True
    result = await look(*declared(device), ListeningConnector)
    assert "nothing came" in result.trouble


async def test_json_and_table_show_the_same(device: LineDevice) -> None:
    result = await look(*declared(device), ListeningConnector)
    found = json.loads(json.dumps(as_json(result)))
    assert found["works"] is True
    assert [tag["tag"] for tag in found["tags"]] == ["extra", "good", "state"]
    printed = StringIO()
    show(replace(result, silent=("ghost",)), Console(width=200, file=printed))
    text = printed.getvalue()
    assert "nothing came of `ghost`" in text
    assert "`im` (line) works: 3 tags" in text


async def test_it_does_not_advise_what_was_just_typed() -> None:
    spec = OpcuaSource(endpoint="opc.tcp://127.0.0.1:1", security="none")
    source, whole = plant(STATE, spec=spec)
    result = await probe(replace(source, tags=()), whole, CLOCK, 0.1)
    assert result.trouble.startswith("no answer from opc.tcp://127.0.0.1:1 ")
    assert result.trouble.endswith("Is it on and on this network?")
