"""Connections to one device, counted over sources, looks and processes; never more than allowed."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.base.clock import SystemClock
from isthmus.field.connectors.files import FilesSource
from isthmus.field.connectors.modbus import ModbusConnector, ModbusSource
from isthmus.field.connectors.sql import SqlSource
from isthmus.field.connectors.webhook import WebhookSource
from isthmus.model.plant import Plant, Source
from isthmus.runtime import devices as module
from isthmus.runtime.devices import Devices, Line, Occupied
from isthmus.runtime.listening import Listening
from isthmus.runtime.probe import probe
from isthmus.testing.connector_suite import until
from isthmus.testing.modbus_server import ModbusServer
from isthmus.testing.one_source import plant
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

from .conftest import STATE, Running

_, EMPTY = plant(STATE)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.0)


@pytest.fixture(autouse=True)
def _computer_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here and in the processes that a test starts."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))


def gateway(name: str, port: int = 502, **keys: Any) -> Source:
    spec = ModbusSource.model_validate({"host": LOOPBACK, "port": port, **keys})
    return Source(name, "hamburg", spec, ("holding:0:uint16",), ())


def having(*sources: Source) -> Plant:
    return EMPTY.__class__(**(vars(EMPTY) | {"sources": {one.name: one for one in sources}}))


def devices(folder: Path, *sources: Source, serves: bool = True) -> Devices:
    whole = having(*sources)
    return Devices(folder, lambda: whole, serves=serves)


async def looks_at(there: Devices, source: Source, stack: AsyncExitStack) -> int:
    """How many looks it takes until there is no connection left."""
    count = 0
    with suppress(Occupied):
        while count < 20:
            await stack.enter_async_context(there.look(source, None))
            count += 1
    return count


@pytest.mark.parametrize(
    ("budgets", "looks"),
    [
        ([{}], 2),  # without a budget: intake, and two for looking
        ([{}, {}], 2),
        ([{"connections": 1}], 0),
        ([{"connections": 4}], 3),
        ([{"connections": 4}, {"connections": 3}, {}], 0),  # the stricter one, for all three
        ([{"connections": 2}, {"enabled": False}], 1),
    ],
)
async def test_what_intake_does_not_need_is_for_looking(
    tmp_path: Path, budgets: list[dict[str, Any]], looks: int
) -> None:
    sources = [
        gateway(f"im-{number}", budget=b, enabled=b.pop("enabled", True))
        for number, b in enumerate(dict(one) for one in budgets)
    ]
    there = devices(tmp_path, *sources)
    lines = [there.intake(one) for one in sources if one.spec.enabled]
    async with AsyncExitStack() as stack:
        assert await looks_at(there, sources[0], stack) == looks
    assert None not in lines
    async with AsyncExitStack() as stack:  # who ends lets go
        assert await looks_at(there, sources[-1], stack) == looks
    for line in lines:
        assert line is not None
        line.close()


async def test_a_source_that_opens_nothing_is_not_counted(tmp_path: Path) -> None:
    hook = Source("hook", "hamburg", WebhookSource(port=8443), (), ())
    there = devices(tmp_path, hook)
    async with AsyncExitStack() as stack:
        assert await looks_at(there, hook, stack) == 20


async def test_who_finds_none_free_is_told_what_to_do(tmp_path: Path) -> None:
    im07 = gateway("im07", budget={"connections": 1})
    there = devices(tmp_path, im07)
    line = there.intake(im07)
    result = await probe(im07, having(im07), SystemClock(), 0.1, look=there.look)
    assert line is not None
    line.close()
    assert not result.works
    assert result.trouble == (
        "source `im07`: the budget of 127.0.0.1:502 allows 1, and its connection is in use by "
        "intake. What comes is on the page of its machine. To look around, wait until another look "
        "ends, allow one more (`budget: {connections: 2}`), or set `enabled: false` meanwhile."
    )


async def test_live_values_wait_for_a_connection_and_come_when_one_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.runtime.listening._AGAIN", 0.05)
    async with ModbusServer({"holding": {0: 7}}) as device:
        im07 = gateway("im07", device.port, budget={"connections": 2}, interval=0.05)
        there = devices(tmp_path, im07)
        async with there.look(im07, None):
            listening = Listening(im07, im07.tags, look=there.look)
            await until(lambda: "allows 2" in listening.heard().trouble, "nothing was said")
            assert not device.requests
        await until(lambda: listening.heard().tags[0].points != (), "no value came")
        assert listening.heard().trouble == ""
        await listening.close()


async def test_intake_waits_for_a_command_and_says_why(running: Running, tmp_path: Path) -> None:
    lines: list[Line | None] = [None, None, Line([])]
    running.start()
    assert running.runner is not None
    running.runner._line = lambda: lines.pop(0)  # type: ignore[attr-defined]
    await until(lambda: "back" in running.said or "connected" in running.said, "it is not read")
    assert running.said[0] == "refused"
    assert "`isthmus probe`" in running.events[0].detail
    await running.stop()


@pytest.mark.parametrize(
    ("budget", "beside_both", "beside_one"), [({"connections": 2}, 0, 1), ({}, 2, 3)]
)
async def test_other_data_folders_count_where_the_device_has_no_more(
    tmp_path: Path, budget: dict[str, Any], beside_both: int, beside_one: int
) -> None:
    """What nobody declared is only how polite each platform is."""
    im07 = gateway("im07", budget=budget)
    first, second, third = (
        devices(tmp_path / name, im07, serves=name != "third")
        for name in ("first", "second", "third")
    )
    lines = [first.intake(im07), second.intake(im07)]
    assert None not in lines
    async with AsyncExitStack() as stack:
        assert await looks_at(second, im07, stack) == beside_both
    for line in lines[1:]:
        assert line is not None
        line.close()
    async with AsyncExitStack() as stack:
        assert await looks_at(third, im07, stack) == beside_one
    assert lines[0] is not None
    lines[0].close()


def test_other_data_folders_share_requests_of_a_device(tmp_path: Path) -> None:
    im07 = gateway("im07", budget={"min_interval": 60.0})
    assert devices(tmp_path / "data", im07).allowance(im07).take() == 0.0
    assert devices(tmp_path / "other", im07).allowance(im07).take() > 50.0


def test_sources_of_one_folder_share_how_often_it_is_looked_at(tmp_path: Path) -> None:
    """As a folder of a share may be dear to list; a pattern for each machine is usual."""
    keys = {"time": "at", "budget": {"min_interval": 60.0}}
    first, second, other = (
        Source(name, "hamburg", FilesSource.model_validate({"folder": folder, **keys}), (), ())
        for name, folder in (("a", "/mnt/export"), ("b", "/mnt/export/"), ("c", "/mnt/else"))
    )
    there = devices(tmp_path, first, second, other)
    assert there.allowance(first) is there.allowance(second)
    assert there.allowance(first).take() == 0.0
    assert devices(tmp_path / "other", second).allowance(second).take() > 50.0
    assert there.allowance(other).take() == 0.0


def test_a_name_alone_is_no_device_to_other_data_folders(tmp_path: Path) -> None:
    keys = {"url": "sqlite:///cell.db", "table": "cycles", "time": "at", "timezone": "UTC",
            "order": "nr", "budget": {"min_interval": 60.0}}  # fmt: skip
    cell = Source("cell", "hamburg", SqlSource.model_validate(keys), (), ())
    for folder in ("data", "other"):
        assert devices(tmp_path / folder, cell).allowance(cell).take() == 0.0
    assert devices(tmp_path / "data", cell).allowance(cell).take() > 50.0


def test_sources_of_one_device_are_asked_by_the_stricter_budget(tmp_path: Path) -> None:
    first = gateway("a", budget={"requests_per_second": 10})
    second = gateway("b", budget={"requests_per_second": 5, "min_interval": 0.05})
    other = gateway("c", port=503)
    there = devices(tmp_path, first, second, other)
    assert there.allowance(first) is there.allowance(second)
    assert there.allowance(other) is not there.allowance(first)
    assert not there.allowance(other).limited
    for _ in range(5):
        there.allowance(first).sent()
    assert there.allowance(second).wait() == pytest.approx(1.0, abs=0.1)


def test_a_budget_that_changes_holds_for_what_runs(tmp_path: Path) -> None:
    plants = [having(gateway("a"))]
    there = Devices(tmp_path, lambda: plants[0], serves=True)
    allowance = there.allowance(plants[0].sources["a"])
    assert not allowance.limited
    plants[0] = having(gateway("a"), gateway("b", budget={"min_interval": 60.0}))
    there.adopt()
    allowance.sent()
    assert allowance.wait() == pytest.approx(60.0, abs=0.5)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    most=st.integers(2, 4),
    steps=st.lists(
        st.tuples(st.sampled_from(["intake", "page", "command", "end"]), st.integers(0, 9)),
        max_size=40,
    ),
)
async def test_never_more_than_allowed_whoever_comes_and_goes(
    tmp_path_factory: pytest.TempPathFactory, most: int, steps: list[tuple[str, int]]
) -> None:
    """Two sources, pages and commands; intake of both always finds its place among pages."""
    folder = tmp_path_factory.mktemp("data")
    sources = [gateway(name, budget={"connections": most}) for name in ("a", "b")]
    platform, command = devices(folder, *sources), devices(folder, *sources, serves=False)
    held: list[AsyncExitStack] = []
    for what, which in steps:
        stack = AsyncExitStack()
        match what:
            case "end" if held:
                await held.pop(which % len(held)).aclose()
            case "intake":
                if (line := platform.intake(sources[which % 2])) is not None:
                    stack.callback(line.close)
                    held.append(stack)
            case "page" | "command":
                look = (platform if what == "page" else command).look
                with suppress(Occupied):
                    await stack.enter_async_context(look(sources[which % 2], None))
                    held.append(stack)
        assert len(held) <= most
    for stack in held:
        await stack.aclose()


@pytest.mark.parametrize("folder", ["data", "other"])
async def test_a_command_sees_what_a_platform_holds_and_the_other_way_round(
    tmp_path: Path, folder: str
) -> None:
    """Real processes, a real device: `isthmus probe` beside intake, with one connection allowed."""
    async with ModbusServer({"holding": {0: 7}}) as device, TcpProxy(device.port) as cable:
        model = tmp_path / "model"
        model.mkdir()
        (model / "acme.yaml").write_text(MODEL.format(port=cable.port, budget="connections: 1"))
        im07 = gateway("im07", cable.port, budget={"connections": 1})
        there = devices(tmp_path / "data", im07)
        line = there.intake(im07)
        assert line is not None
        refused = await probed(model, tmp_path / folder)
        assert refused.returncode == 1
        assert "in use by intake" in " ".join(refused.stderr.split() + refused.stdout.split())
        assert device.requests == []
        line.close()
        async with devices(tmp_path / folder, im07, serves=False).look(im07, None):
            assert there.intake(im07) is None
        allowed = await probed(model, tmp_path / folder)
        assert allowed.returncode == 0, allowed.stdout + allowed.stderr
        assert device.requests != []


async def test_a_command_asks_no_more_beside_the_platform(tmp_path: Path) -> None:
    """Real processes, a real device: intake that asks all it may, and `isthmus probe`."""
    pause = 0.1
    async with ModbusServer({"holding": {0: 7}}) as device:
        device.requests = asked = _Noted()
        model = tmp_path / "model"
        model.mkdir()
        text = MODEL.format(port=device.port, budget=f"min_interval: {pause} s")
        (model / "acme.yaml").write_text(text)
        im07 = gateway("im07", device.port, budget={"min_interval": pause})
        intake = ModbusConnector("im07", im07.spec, im07.tags, SystemClock())
        intake.allowance = devices(tmp_path / "data", im07).allowance(im07)
        await intake.open()
        looking = asyncio.create_task(probed(model, tmp_path / "data", seconds=3.0))
        while not looking.done():
            await intake.read()
        await intake.close()
    looked = looking.result()
    assert looked.returncode == 0, looked.stdout + looked.stderr
    theirs = len(asked) - intake.allowance.requests
    assert theirs >= 5, "the command got no turn"
    # Only the first of them may have been late on its way, and the last one early.
    assert asked.times[-1] - asked.times[0] >= (len(asked) - 1) * pause - 0.5


class _Noted(list[Any]):
    """Requests of a device, and when each came."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def append(self, request: Any) -> None:
        super().append(request)
        self.times.append(time.monotonic())


HOLDING = """
import sys, time
from pathlib import Path
from isthmus.field.connectors.modbus import ModbusSource
from isthmus.runtime.devices import Devices
from isthmus.testing.one_source import field, plant
spec = ModbusSource(host="127.0.0.1", budget={"connections": 1})
im07, whole = plant(field("a", "part_count.good", "holding:0:uint16"), source="im07", spec=spec)
line = Devices(Path(sys.argv[1]), lambda: whole, serves=True).intake(im07)
print("held", flush=True)
time.sleep(60)
"""


async def test_who_was_killed_holds_no_connection(tmp_path: Path) -> None:
    im07 = gateway("im07", budget={"connections": 1})
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDING, str(tmp_path), stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"held\n"
    there = devices(tmp_path, im07)
    assert there.intake(im07) is None
    child.kill()
    await child.wait()
    line = there.intake(im07)
    assert line is not None
    line.close()


MODEL = """
enterprise: acme
---
block: heat
version: 1
fields:
  temp: {{type: number}}
---
machine_type: press
kind: modbus
blocks: [heat]
map:
  heat.temp: {{tag: "holding:0:uint16"}}
---
site: hamburg
calendar: {{shifts: {{early: "06:00-14:00"}}}}
areas: {{moulding: {{lines: {{line-1: {{machines: {{im-07: {{type: press, source: im07}}}}}}}}}}}}
sources:
  im07: {{kind: modbus, host: 127.0.0.1, port: {port}, interval: 0.05 s, budget: {{{budget}}}}}
"""


async def probed(
    model: Path, data: Path, seconds: float = 0.3
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "isthmus", "probe", "im07", str(model)]
    command += ["--seconds", str(seconds)]
    env: Mapping[str, str] = {**os.environ, "ISTHMUS_DATA": str(data), "COLUMNS": "200"}
    return await asyncio.to_thread(
        subprocess.run, command, env=env, capture_output=True, text=True, check=False
    )
