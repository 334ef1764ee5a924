"""The platform as a whole: what the model says is what runs, and only what changed is touched."""

import asyncio
import contextlib
import logging
import threading
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isthmus.base.clock import HOUR, SystemClock
from isthmus.base.problem import ProblemsError
from isthmus.cli import app
from isthmus.flow.log import SqliteLog
from isthmus.model.spec.site import Keep
from isthmus.runtime.control import ControlServer, NotRunning, ask
from isthmus.runtime.open import load_plant
from isthmus.runtime.platform import EmbeddedPlatform
from isthmus.runtime.serve import answer
from isthmus.runtime.settings import Settings, SettingsError
from isthmus.testing.modbus_server import ModbusServer

FRESH = {"holding": {0: 0}}
TYPE = """
machine_type: box
kind: modbus
blocks: [part_count]
map:
  part_count.produced: {tag: "holding:0:uint16", counter: {bits: 16}}
"""


def write_model(folder: Path, ports: dict[str, int], *, name: str = "Plant") -> Path:
    machines = "".join(f"          {m}: {{type: box, source: {m}}}\n" for m in ports)
    sources = "".join(
        f"  {m}: {{kind: modbus, host: 127.0.0.1, port: {port}, interval: 50 ms}}\n"
        for m, port in ports.items()
    )
    folder.mkdir(exist_ok=True)
    (folder / "company.yaml").write_text("enterprise: acme\n")
    (folder / "type.yaml").write_text(TYPE)
    (folder / "site.yaml").write_text(
        f"site: plant\nname: {name}\nareas:\n  hall:\n    lines:\n      line:\n        machines:\n"
        f"{machines}sources:\n{sources}"
        'calendar: {shifts: {early: "06:00-14:00"}}\nkeep: {free_mb: 0}\n'
    )
    return folder


@contextlib.asynccontextmanager
async def running(folder: Path, data: Path):
    platform = EmbeddedPlatform(load_plant(folder), Settings(data=data), SystemClock())
    await platform.open()
    await platform.start()
    try:
        yield platform
    finally:
        await platform.stop()


async def until(done, seconds: float = 20.0):
    deadline = asyncio.get_running_loop().time() + seconds
    while not done():
        assert asyncio.get_running_loop().time() < deadline, "waited too long"
        await asyncio.sleep(0.02)


def produced(platform: EmbeddedPlatform) -> dict[str, int]:
    rows = platform.lake.query(
        "SELECT split_part(machine, '/', 5) AS machine, CAST(sum(produced) AS BIGINT) AS n"
        " FROM part_count GROUP BY 1"
    ).to_pylist()
    return {row["machine"]: row["n"] or 0 for row in rows}


@contextlib.asynccontextmanager
async def boxes(*names: str):
    async with contextlib.AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(ModbusServer(FRESH)) for name in names}


def ports(some: dict[str, ModbusServer]) -> dict[str, int]:
    return {name: box.port for name, box in some.items()}


async def test_values_of_a_device_are_in_the_lake_within_a_moment(tmp_path):
    async with boxes("a") as found:
        model = write_model(tmp_path / "model", ports(found))
        async with running(model, tmp_path / "data") as platform:
            await until(lambda: "a" in produced(platform))
            found["a"].put("holding", 0, [7])
            await until(lambda: produced(platform)["a"] == 7)
            assert platform.health()["status"] == "ready"


async def test_apply_starts_what_is_new_and_leaves_the_rest_running(tmp_path):
    async with boxes("a", "b") as found:
        both = ports(found)
        model = write_model(tmp_path / "model", {"a": both["a"]})
        async with running(model, tmp_path / "data") as platform:
            await until(lambda: "a" in produced(platform))
            before = platform._sources["a"]
            done = await platform.apply(write_model(tmp_path / "model", both))
            assert any("b" in change["text"] for change in done)
            await until(lambda: "b" in produced(platform))
            assert platform._sources["a"] is before
            assert len(platform.logs["plant"].gaps(0, 2**62)) == 0


async def test_apply_stops_what_is_gone(tmp_path):
    async with boxes("a", "b") as found:
        both = ports(found)
        model = write_model(tmp_path / "model", both)
        async with running(model, tmp_path / "data") as platform:
            await until(lambda: len(produced(platform)) == 2)
            await platform.apply(write_model(tmp_path / "model", {"a": both["a"]}))
            assert list(platform._sources) == ["a"]
            assert list(platform.plant.machines) == ["acme/plant/hall/line/a"]
            (gap,) = platform.logs["plant"].gaps(0, 2**62)
            assert (gap.source, gap.reason) == ("b", "removed")
            assert gap.detail.endswith("before: the model was changed")


async def test_apply_tells_what_plan_told(tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "data"))

    async def typed(*words):
        return await asyncio.to_thread(CliRunner().invoke, app, [*words, str(tmp_path / "model")])

    async with boxes("a", "b") as found:
        both = ports(found)
        model = write_model(tmp_path / "model", {"a": both["a"]})
        async with running(model, tmp_path / "data") as platform:
            server = ControlServer(Settings.of().control, partial(answer, platform))
            await server.start()
            write_model(tmp_path / "model", both)
            plan, done, again = [await typed(word) for word in ("plan", "apply", "apply")]
            await server.close()
    assert "+ machine acme/plant/hall/line/b\n" in plan.stdout
    assert done.stdout == f"{plan.stdout}applied\n"
    assert again.stdout == "nothing to change\n"


async def test_the_same_model_again_changes_nothing(tmp_path):
    async with boxes("a") as found:
        model = write_model(tmp_path / "model", ports(found))
        async with running(model, tmp_path / "data") as platform:
            assert await platform.apply(model) == []


async def test_a_wrong_model_is_refused_and_the_old_one_runs_on(tmp_path):
    async with boxes("a") as found:
        model = write_model(tmp_path / "model", ports(found))
        async with running(model, tmp_path / "data") as platform:
            await until(lambda: "a" in produced(platform))
            (tmp_path / "model" / "type.yaml").write_text(TYPE.replace("holding:0", "holdin:0"))
            with pytest.raises(ProblemsError):
                await platform.apply(tmp_path / "model")
            found["a"].put("holding", 0, [3])
            await until(lambda: produced(platform).get("a") == 3)


async def test_after_a_restart_counts_go_on_and_the_time_between_is_a_gap(tmp_path):
    async with boxes("a") as found:
        model = write_model(tmp_path / "model", ports(found))
        found["a"].put("holding", 0, [10])
        async with running(model, tmp_path / "data") as platform:
            await until(lambda: "a" in produced(platform))
            found["a"].put("holding", 0, [15])
            await until(lambda: produced(platform)["a"] == 5)
        found["a"].put("holding", 0, [18])
        async with running(model, tmp_path / "data") as platform:
            await until(lambda: produced(platform)["a"] == 8)
            await until(lambda: platform.logs["plant"].gaps(0, 2**62)[0].end is not None)
            (gap,) = platform.logs["plant"].gaps(0, 2**62)
            assert gap.reason == "stopped"


async def test_a_source_removed_while_the_platform_was_down_is_not_missing(tmp_path):
    async with boxes("a", "b") as found:
        both = ports(found)
        async with running(write_model(tmp_path / "model", both), tmp_path / "data") as platform:
            await until(lambda: len(produced(platform)) == 2)
        model = write_model(tmp_path / "model", {"a": both["a"]})
        async with running(model, tmp_path / "data") as platform:
            gaps = {gap.source: gap for gap in platform.logs["plant"].gaps(0, 2**62)}
            assert gaps["b"].reason == "removed"
            assert gaps["b"].end is not None
            assert "the platform was stopped" in gaps["b"].detail


async def test_a_source_renamed_after_a_crash_leaves_its_machine_unknown_meanwhile(tmp_path):
    data, crashed = tmp_path / "data", SystemClock().now() - HOUR
    log = SqliteLog(data / "log" / "plant.sqlite", "plant", Keep(free_mb=0))
    log.alive(["before"], crashed)
    log.close()
    async with (
        boxes("a") as found,
        running(write_model(tmp_path / "model", ports(found)), data) as platform,
    ):
        sql = "SELECT epoch_us(time) AS at FROM part_count WHERE _quality = 2"
        assert platform.lake.query(sql).to_pylist()[0]["at"] == crashed
        (gap,) = platform.logs["plant"].gaps(0, 2**62)
        assert (gap.source, gap.reason) == ("before", "removed")


async def test_a_lost_source_that_apply_removes_is_not_missing(tmp_path):
    async with boxes("a", "b") as found:
        both = ports(found)
        model = write_model(tmp_path / "model", both)
        async with running(model, tmp_path / "data") as platform:
            await until(lambda: len(produced(platform)) == 2)
            await found["b"].__aexit__(None, None, None)
            await until(lambda: platform.source_states()["b"].what == "lost")
            await platform.apply(write_model(tmp_path / "model", {"a": both["a"]}))
            (gap,) = platform.logs["plant"].gaps(0, 2**62)
            assert (gap.source, gap.reason) == ("b", "removed")
            assert gap.end is not None
            assert "b" not in platform.health()["sources"]


async def test_stopping_waits_for_upkeep_under_way(tmp_path):
    async with boxes("a") as found:
        model = write_model(tmp_path / "model", ports(found))
        working, done = threading.Event(), threading.Event()

        async with running(model, tmp_path / "data") as platform:

            def slow(now):
                working.set()
                long = "SELECT count(*) FROM range(40_000_000) AS a (i) WHERE i % 7 = 3"
                platform.lake.query(long)
                done.set()

            platform.facts.refresh = slow
            await until(working.is_set)
        assert done.is_set()


async def test_every_line_about_a_source_names_it_once(tmp_path, caplog):
    caplog.set_level(logging.INFO, "isthmus")
    async with boxes("a") as found:
        model = write_model(tmp_path / "model", ports(found))
        async with running(model, tmp_path / "data") as platform:
            await until(lambda: "a" in produced(platform))
            await found["a"].__aexit__(None, None, None)
            await until(lambda: platform.source_states()["a"].what == "lost")
    said = [line for line in caplog.messages if "source" in line]
    assert [line.count("source `a`: ") for line in said] == [1, 1, 1]
    assert said[0] == "source `a`: connected"
    assert said[2] == "source `a`: the platform was stopped"


async def test_commands_reach_the_running_platform_through_its_folder(tmp_path):
    async def heard(question):
        return {"heard": question["do"]}

    path = tmp_path / "control.sock"
    with pytest.raises(NotRunning):
        await ask(path, {"do": "health"})
    server = ControlServer(path, heard)
    await server.start()
    assert await ask(path, {"do": "health"}) == {"heard": "health"}
    assert path.stat().st_mode & 0o077 == 0
    await server.close()
    with pytest.raises(NotRunning):
        await ask(path, {"do": "health"})


@pytest.mark.parametrize(
    "env", [{"ISTHMUS_PORT": "80a"}, {"ISTHMUS_PORT": "70000"}, {"ISTHMUS_LOG": "loud"}]
)
def test_a_wrong_setting_says_which_and_what_it_may_be(env):
    (name,) = env
    with pytest.raises(SettingsError, match=name):
        Settings.of(env)
