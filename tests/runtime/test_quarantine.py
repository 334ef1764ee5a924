"""`isthmus quarantine`: a wrong mapping is mended and what it refused becomes rows, once."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.docs.page_of_json import documented, keys
from typer.testing import CliRunner, Result

from isthmus.apps.oee.facts import OEE_FACT
from isthmus.base.clock import HOUR, MINUTE, Micros, SystemClock, iso, parse_time
from isthmus.cli import app
from isthmus.data.facts import FactKeeper
from isthmus.data.ledger import check
from isthmus.data.writer import Writer
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import SAMPLES_SCHEMA
from isthmus.model.plant import Plant
from isthmus.runtime.control import ControlServer
from isthmus.runtime.intake import Intake
from isthmus.runtime.open import load_plant, open_log
from isthmus.runtime.platform import EmbeddedPlatform
from isthmus.runtime.reading import reading
from isthmus.runtime.serve import answer
from isthmus.runtime.settings import Settings
from isthmus.testing.modbus_server import ModbusServer

T0 = parse_time("2026-11-17T06:00:00Z")
NOW = T0 + 3 * HOUR
PRESS = "acme/hamburg/hall/line/press"
MODEL = """
enterprise: acme
---
site: hamburg
timezone: Europe/Berlin
areas:
  hall:
    lines:
      line:
        machines:
          press: {type: press, source: press, ideal_cycle: 60 s}
sources:
  press: {kind: modbus, host: 127.0.0.1}
calendar: {shifts: {early: "06:00-14:00"}}
keep: {free_mb: 0}
---
block: cycle
version: 1
fields:
  melt_temp: {type: number, max: LIMIT}
  program: {type: text}
---
machine_type: press
kind: modbus
blocks: [machine_state, part_count, cycle]
map:
  machine_state.state: {tag: "holding:0:uint16", codes: CODES}
  part_count.good: {tag: "holding:1:uint16", counter: {bits: BITS}}
  cycle.melt_temp: {tag: "holding:2:uint16"}
"""
WRONG = {"CODES": "{1: execute, 2: stopped}", "LIMIT": "300", "BITS": "16"}
RIGHT = {"CODES": "{1: execute, 2: stopped, 7: held}", "LIMIT": "400", "BITS": "16"}
STATE, GOOD, TEMP = (f"holding:{n}:uint16" for n in range(3))


@dataclass
class Clock:
    at: Micros = T0
    speed: float = 1.0

    def now(self) -> Micros:
        return self.at


@dataclass
class Works:
    """A data folder in which a platform has run, with the model beside it."""

    root: Path

    def __post_init__(self) -> None:
        self.settings = Settings(data=self.root / "data")
        self.settings.data.mkdir(parents=True)
        self.model = self.root / "model"
        self.model.mkdir()
        wall = time.time_ns() // 1_000
        note = {"folder": str(self.model), "clock": f"{NOW},{wall},1"}
        (self.settings.data / "model.json").write_text(json.dumps(note))
        self.say(WRONG)

    def say(self, words: dict[str, str]) -> None:
        text = MODEL
        for name, value in words.items():
            text = text.replace(name, value)
        (self.model / "company.yaml").write_text(text)

    @property
    def plant(self) -> Plant:
        return load_plant(self.model)

    @contextmanager
    def log(self) -> Iterator[SqliteLog]:
        with closing(open_log(self.settings, self.plant.sites["hamburg"])) as log:
            yield log

    def hear(self, *told: tuple[str, float, float]) -> None:
        """Tag, value, minutes after T0; each a parcel of its own."""
        with self.log() as log:
            clock = Clock()
            intake = Intake(self.plant.sources["press"], self.plant, log, clock)
            for tag, value, minutes in told:
                clock.at = T0 + round(minutes * MINUTE)
                assert not intake.take(samples((tag, value, minutes))).failure
            self.write(log)

    def write(self, log: SqliteLog) -> None:
        writer = Writer(self.settings.lake, {"hamburg": log}, self.plant)
        writer.verify()
        writer.write_once()

    def keep_facts(self) -> None:
        """As the platform did before it stopped."""
        with reading(self.plant, NOW, facts=False) as lake:
            FactKeeper(lake, OEE_FACT, self.plant, self.settings.lake / OEE_FACT.name).persist(NOW)

    def ask(self, sql: str, *, facts: bool = False) -> list[dict[str, Any]]:
        with reading(self.plant, NOW, facts=facts) as lake:
            return lake.query(sql).to_pylist()

    def problems(self) -> list[Any]:
        with reading(self.plant, NOW, facts=False) as lake:
            return check(lake)

    def rows(self, block: str, field: str) -> list[tuple[float, Any]]:
        found = self.ask(f"SELECT epoch_us(time) AS t, {field} AS v FROM {block} ORDER BY time")
        return [((row["t"] - T0) / MINUTE, row["v"]) for row in found]

    def counts(self) -> dict[str, int]:
        names = ("received", "shaped", "stored", "quarantined", "unmapped", "thinned")
        sums = ", ".join(f"sum({name})::BIGINT AS {name}" for name in names)
        [row] = self.ask(f"SELECT {sums} FROM ledger")
        return {name: row[name] for name in names if row[name]}


def samples(*told: tuple[str, float, float]) -> pa.Table:
    rows = [
        {
            "tag": tag,
            "device_time": T0 + round(minutes * MINUTE),
            "received_time": T0 + round(minutes * MINUTE),
            "number": float(value),
            "text": None,
            "quality": 0,
        }
        for tag, value, minutes in told
    ]
    return pa.Table.from_pylist(rows, SAMPLES_SCHEMA)


@pytest.fixture
def works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Works:
    made = Works(tmp_path)
    monkeypatch.setenv("ISTHMUS_DATA", str(made.settings.data))
    return made


def isthmus(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["quarantine", *arguments])


def replayed(*arguments: str) -> str:
    done = isthmus("replay", "--source", "press", *arguments)
    assert done.exit_code == 0, done.output
    return done.output


DAY_OF_PRESS = [
    (STATE, 1, 0), (GOOD, 100, 0),
    (STATE, 7, 30), (GOOD, 110, 30), (TEMP, 350, 31), (TEMP, 999, 32), (TEMP, 200, 33),
    (STATE, 1, 60), (GOOD, 120, 90), (STATE, 2, 120),
]  # fmt: skip


# Replaying ----------------------------------------------------------------------------------------


def test_what_a_mended_mapping_takes_becomes_late_rows(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    assert works.counts() == {"received": 10, "shaped": 7, "stored": 7, "quarantined": 3}
    works.say(RIGHT)
    said = replayed("--yes")
    assert "2 became rows: machine_state 1, cycle 1" in said
    assert "Q010: 999 is above the limit 400 of `cycle.melt_temp`" in said
    assert works.rows("machine_state", "state") == [
        (0, "execute"), (30, "held"), (60, "execute"), (120, "stopped"),
    ]  # fmt: skip
    assert works.rows("cycle", "melt_temp") == [(31, 350.0), (33, 200.0)]
    assert works.counts() == {"received": 10, "shaped": 9, "stored": 9, "quarantined": 1}
    assert works.problems() == []


def test_hours_that_were_computed_before_are_computed_anew(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    works.keep_facts()
    sql = "SELECT epoch_us(hour) AS hour, apt_s, adot_s FROM oee_fact ORDER BY hour"
    before = works.ask(sql, facts=True)
    works.say(RIGHT)
    replayed("--yes")
    after = works.ask(sql, facts=True)
    assert [row["apt_s"] for row in before] == [3600, 3600, 0]
    assert [row["apt_s"] for row in after] == [1800, 3600, 0]
    assert [row["adot_s"] for row in after] == [1800, 0, 3600]


def test_replayed_twice_changes_nothing(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    works.say(RIGHT)
    replayed("--yes")
    before = works.counts(), works.rows("machine_state", "state")
    assert "0 would become rows" in replayed("--yes")
    assert (works.counts(), works.rows("machine_state", "state")) == before
    assert works.problems() == []


def test_a_dry_run_only_says_what_would_be(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    works.say(RIGHT)
    before = works.counts()
    assert "2 would become rows: machine_state 1, cycle 1" in replayed("--dry-run")
    assert works.counts() == before


def test_it_asks_before_it_does_what_cannot_be_undone(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    works.say(RIGHT)
    before = works.counts()
    done = CliRunner().invoke(app, ["quarantine", "replay", "--source", "press"], input="n\n")
    assert (done.exit_code, works.counts()) == (1, before)
    assert "cannot be undone" in done.output
    CliRunner().invoke(app, ["quarantine", "replay", "--source", "press"], input="y\n")
    assert works.counts()["quarantined"] == 1


def test_only_the_window_is_replayed(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    works.say(RIGHT)
    replayed("--yes", "--from", iso(T0), "--to", iso(T0 + 31 * MINUTE))
    assert works.rows("cycle", "melt_temp") == [(33, 200.0)]
    assert (30, "held") in works.rows("machine_state", "state")


def test_parts_of_a_counter_are_not_counted_twice(works: Works) -> None:
    works.say({**WRONG, "BITS": "8"})
    works.hear((GOOD, 100, 0), (GOOD, 300, 1), (GOOD, 310, 2))
    assert works.counts()["quarantined"] == 2
    works.say(RIGHT)
    works.hear((GOOD, 320, 3))
    assert "2: readings of the counter `part_count.good`" in replayed("--yes")
    [row] = works.ask("SELECT sum(good)::BIGINT AS n FROM part_count")
    assert row["n"] == 220
    assert works.counts() == {"received": 4, "shaped": 2, "stored": 2, "quarantined": 2}


def test_a_tag_that_nobody_wants_any_more_stays(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    works.say({**RIGHT, f'cycle.melt_temp: {{tag: "{TEMP}"}}': 'cycle.program: {tag: "coil:9"}'})
    assert f"2: no field of the model takes `{TEMP}`" in replayed("--yes")
    assert works.problems() == []


def test_a_sample_may_go_into_another_field_than_the_one_that_refused_it(works: Works) -> None:
    works.hear((TEMP, 999, 1))
    works.say({**RIGHT, "cycle.melt_temp": "cycle.program"})
    assert "1 became rows" in replayed("--yes")
    assert works.rows("cycle", "program") == [(1, "999")]
    assert works.problems() == []


def test_what_raw_does_not_have_any_more_stays(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    with works.log() as log:
        log.trim("raw", log.last("raw") + 1)
    works.say(RIGHT)
    assert "3: their raw samples are not kept any more" in replayed("--yes")
    assert works.counts()["quarantined"] == 3


def test_killed_in_the_middle_it_is_either_before_or_after(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    works.say(RIGHT)
    states = []
    for point in ("append.before", "release.middle", "append.after"):
        command = [sys.executable, "-m", "isthmus", "quarantine", "replay", "--source", "press"]
        env = {**os.environ, "ISTHMUS_FAILPOINT": point}
        ended = subprocess.run([*command, "--yes"], env=env, capture_output=True, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        assert works.problems() == []
        states.append((works.counts()["shaped"], len(works.rows("machine_state", "state"))))
    assert states == [(7, 3), (7, 3), (9, 4)]
    replayed("--yes")
    assert works.counts() == {"received": 10, "shaped": 9, "stored": 9, "quarantined": 1}


def test_an_unknown_source_is_named(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    done = isthmus("replay", "--source", "pres", "--yes")
    assert done.exit_code == 1
    assert "there is no source `pres` in this model; some there are: press" in done.output


def test_a_log_in_use_is_not_written_by_a_second_one(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    works.say(RIGHT)
    with works.log():
        done = isthmus("replay", "--source", "press", "--yes")
    assert done.exit_code == 1
    assert "another Isthmus writes this log" in done.output


def fail(works: Works, *told: tuple[str, float, float]) -> None:
    """What `Intake` does where `shape` fails."""
    with works.log() as log:
        log.append_raw("press", samples(*told), "ValueError: a fault of ours", now=T0 + 2 * HOUR)


def test_samples_that_were_kept_raw_alone_are_shaped(works: Works) -> None:
    works.hear((GOOD, 100, 0), (STATE, 1, 0))
    fail(
        works, (STATE, 2, 10), (GOOD, 110, 10), (GOOD, 120, 20), (TEMP, 999, 20), ("coil:7", 1, 20)
    )
    works.hear((GOOD, 130, 30), (STATE, 1, 30))
    assert [problem.code for problem in works.problems()] == ["L004"]
    assert "5 samples of `press` are kept raw alone" in isthmus("list").output
    said = replayed("--yes")
    assert "3 became rows: machine_state 1, part_count 2" in said
    assert works.problems() == []
    assert works.rows("machine_state", "state")[1] == (10, "stopped")
    assert works.rows("part_count", "good") == [(0, 0), (10, 0), (20, 0), (30, 30)]
    after = {"received": 9, "shaped": 7, "stored": 7, "quarantined": 1, "unmapped": 1}
    assert works.counts() == after
    replayed("--yes")
    assert works.counts() == after


def test_where_order_matters_what_was_raw_alone_stays_so(works: Works) -> None:
    mode = "{1: execute, 2: stopped}}\n  machine_state.mode: {tag: coil:1, codes: {0: production}"
    works.say({**WRONG, "CODES": mode})
    works.hear((STATE, 1, 0))
    fail(works, (STATE, 2, 10))
    assert "1: kept raw alone; what this source tells follows" in replayed("--yes")
    assert works.counts() == {"received": 1, "shaped": 1, "stored": 1}


async def test_the_running_platform_does_it_while_intake_goes_on(works: Works) -> None:
    async with ModbusServer({"holding": {0: 7, 1: 0, 2: 100}}) as device:
        (works.settings.data / "model.json").unlink()
        there = {"127.0.0.1}": f"127.0.0.1, port: {device.port}, interval: 50 ms}}"}
        works.say({**WRONG, **there})
        platform = EmbeddedPlatform(works.plant, works.settings, SystemClock())
        control = ControlServer(works.settings.control, partial(answer, platform))
        await platform.open()
        await platform.start()
        await control.start()
        try:
            await until(lambda: platform.logs["hamburg"].quarantined(0, 2**62) != [])
            works.say({**RIGHT, **there})
            await platform.apply(works.model)
            said = await asyncio.to_thread(replayed, "--yes")
            assert "1 became rows: machine_state 1" in said
            assert platform.logs["hamburg"].quarantined(0, 2**62) == []
            states = "SELECT epoch_us(time) AS t FROM machine_state WHERE state = 'held'"
            await until(lambda: len(platform.lake.query(states)) == 2)
            device.put("holding", 2, [120])
            await until(
                lambda: len(platform.lake.query("SELECT * FROM cycle WHERE melt_temp = 120")) == 1
            )
            assert check(platform.lake) == []
            unknown = await asyncio.to_thread(isthmus, "replay", "--source", "pres", "--yes")
            assert (unknown.exit_code, "no source `pres`" in unknown.output) == (1, True)
        finally:
            await control.close()
            await platform.stop()


async def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.02)


# Looking ------------------------------------------------------------------------------------------


def table(*arguments: str) -> list[dict[str, Any]]:
    done = isthmus(*arguments, "--format", "json")
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_list_groups_by_code_source_and_tag(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    first, second = table("list")
    assert first == {
        "code": "Q010",
        "source": "press",
        "tag": TEMP,
        "count": 2,
        "newest": "2026-11-17T06:32:00Z",
        "example": "999",
        "reason": "999 is above the limit 300 of `cycle.melt_temp`",
        "next": "Correct limit or unit, or look for a broken sensor; `isthmus apply`;"
        " `isthmus quarantine replay --source press`.",
    }
    assert (second["code"], second["count"]) == ("Q012", 1)
    assert [one["code"] for one in table("list", "--code", "q012")] == ["Q012"]
    assert table("list", "--since", iso(T0 + 2 * HOUR)) == []
    assert table("list", "--source", "other") == []


def test_programs_get_the_keys_that_the_page_promises(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    assert keys(table("list")) == documented("quarantine list")
    assert keys(table("show")) == documented("quarantine show")
    works.say(RIGHT)
    replay = ("replay", "--source", "press", "--format", "json")
    planned = json.loads(isthmus(*replay, "--dry-run").stdout)
    assert keys(planned) == documented("quarantine replay")
    assert (planned["done"], planned["released"] > 0) == (False, True)
    assert json.loads(isthmus(*replay, "--yes").stdout) == planned | {"done": True}


def test_list_says_that_a_counter_needs_no_replay(works: Works) -> None:
    works.say({**WRONG, "BITS": "8"})
    works.hear((GOOD, 100, 0), (GOOD, 300, 1))
    [line] = table("list")
    assert line["next"].endswith(
        "The next reading that is believed counts the parts; nothing to replay."
    )


def test_an_empty_quarantine_says_so(works: Works) -> None:
    works.hear((STATE, 1, 0))
    assert isthmus("list").output == "Nothing is in quarantine.\n"
    said = isthmus("list", "--source", "press", "--code", "Q012").output
    assert said == "Nothing of `press` with code Q012 is in quarantine.\n"


def test_a_mistyped_source_is_not_taken_for_one_without_quarantine(works: Works) -> None:
    works.hear((STATE, 1, 0))
    said = isthmus("list", "--source", "pres").output
    assert said.endswith("The model has no such source; did you mean `press`?\n")


def test_no_data_is_said(works: Works) -> None:
    done = isthmus("list")
    assert done.exit_code == 1
    assert "has the platform run here?" in done.output


def test_show_tells_single_entries_the_newest_first(works: Works) -> None:
    works.hear(*DAY_OF_PRESS)
    shown = table("show", "--limit", "2")
    assert [(one["value"], one["machine"], one["field"]) for one in shown] == [
        ("999", PRESS, "cycle.melt_temp"), ("350", PRESS, "cycle.melt_temp"),
    ]  # fmt: skip
    assert "isthmus" not in isthmus("show", "--format", "csv").stdout.splitlines()[0]
