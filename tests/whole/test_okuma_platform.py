"""The Okuma's recording through the whole platform: what the lake tells is what the file says.

The file has its four takes in another order than they were recorded in. Replayed as they were
recorded, every part counts. Replayed as the file has them, readings come that are older than what
is known already: states and conditions find their place in time, and counters take nothing from
them, because an old reading is a redelivery and not a part.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.whole import okuma
from tests.whole.okuma import CONDITIONS, RECORDING, Seen, from_file, needs_recording
from tests.whole.running import Running, running, unbalanced

from isthmus.base.clock import MINUTE, Micros
from isthmus.testing.shdr_adapter import ShdrAdapter

pytestmark = [needs_recording, pytest.mark.timeout(240)]

STATES = {"ACTIVE": "execute", "READY": "idle", "PROGRAM_COMPLETED": "complete"}
MODES = {"PRODUCTION": "production", "PROCESS_DEVELOPMENT": "setup"}
MACHINE = "imts/chicago/machining/cell-1/okuma"

MODEL = """\
enterprise: imts
---
block: condition
version: 1
fields:
{fields}
---
machine_type: multus
kind: shdr
blocks: [machine_state, part_count, condition]
map:
  machine_state.state: {{tag: pexecution, codes: {states}}}
  machine_state.mode: {{tag: fmode, codes: {modes}}}
  part_count.produced: {{tag: ppartcount, counter: {{}}}}
{conditions}
---
site: chicago
timezone: America/Chicago
areas:
  machining:
    lines:
      cell-1:
        machines:
          okuma: {{type: multus, source: adapter}}
sources:
  adapter: {{kind: shdr, host: 127.0.0.1, port: {port}, devices: {devices}, first_value: 1 h}}
calendar: {{shifts: {{day: "08:00-18:00"}}}}
use_cases: [oee]
"""


@dataclass(frozen=True)
class Replayed:
    """The platform's data after a replay, and the order in which the file was sent."""

    platform: Running
    takes_in_time: bool


def column(key: str) -> str:
    return key.lower()


def model(port: int) -> str:
    names = {key: column(key) for key in CONDITIONS}
    return MODEL.format(
        fields="\n".join(f"  {name}: {{type: text}}" for name in names.values()),
        conditions="\n".join(
            f'  condition.{name}: {{tag: "condition:{key}"}}' for key, name in names.items()
        ),
        states=_flow(STATES), modes=_flow(MODES), port=port, devices=RECORDING / "Devices.xml",
    )  # fmt: skip


def _flow(codes: dict[str, str]) -> str:
    return "{" + ", ".join(f"{code}: {name}" for code, name in codes.items()) + "}"


def recorded_until() -> Micros:
    return max(seen.time for key in ("pexecution", "fmode", "p1block") for seen in from_file(key))


async def replay(folder: Path, *, takes_in_time: bool, speed: float) -> Replayed:
    """The platform's clock goes on from a minute after the end of the recording."""
    adapter = ShdrAdapter()
    await adapter.start()
    clock = f"{recorded_until() + MINUTE},{time.time_ns() // 1000},1"
    sent = okuma.takes_in_time() if takes_in_time else okuma.lines()
    try:
        with running(folder, model(adapter.port), clock) as platform:
            async with asyncio.timeout(60):
                while not adapter.listeners:  # noqa: ASYNC110 - the adapter has no event for it
                    await asyncio.sleep(0.05)
            await adapter.replay(sent, speed)
            await asyncio.to_thread(wait_for_all, platform)
    finally:
        await adapter.stop()
    return Replayed(platform, takes_in_time)


def wait_for_all(platform: Running) -> None:
    tags = ("pexecution", "fmode", "ppartcount", *CONDITIONS)
    expected = sum(len(from_file(tag)) for tag in tags)

    def came() -> bool:
        (sums,) = platform.sql("SELECT sum(received) AS n FROM ledger")
        return sums["n"] == expected

    platform.wait(came, 30, f"all {expected} values came")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((True, 240), id="as-recorded"),
        pytest.param((False, 240), id="as-in-the-file"),
        pytest.param((True, 20), id="at-20-times", marks=pytest.mark.long),
    ],
)
def replayed(request, tmp_path_factory) -> Replayed:
    takes_in_time, speed = request.param
    folder = tmp_path_factory.mktemp("okuma")
    return asyncio.run(replay(folder, takes_in_time=takes_in_time, speed=speed))


def stored(replayed: Replayed, block: str, name: str) -> list[Seen]:
    rows = replayed.platform.sql(f"""
        SELECT epoch_us(time) AS at, {name} AS value FROM {block}
        WHERE machine = '{MACHINE}' AND time <= make_timestamptz({recorded_until()}::BIGINT)
            AND ({name} IS NOT NULL OR _quality = 2)
        ORDER BY time""")
    return [Seen(row["at"], row["value"]) for row in rows]


def in_time(seen: list[Seen], names: dict[str, str] | None = None) -> list[Seen]:
    """As the file says it, in the order of time, under the names of the model."""
    named = names or {}
    return sorted(Seen(time, named.get(str(value), value)) for time, value in seen)


@pytest.mark.parametrize(
    ("key", "name", "names"), [("pexecution", "state", STATES), ("fmode", "mode", MODES)]
)
def test_states_and_their_intervals_equal_the_file(replayed, key, name, names):
    expected = in_time(from_file(key), names)
    found = stored(replayed, "machine_state", name)
    assert found == expected
    assert okuma.intervals(found) == okuma.intervals(expected)
    assert len(okuma.intervals(found)) >= 10


def test_parts_equal_the_file(replayed):
    readings = from_file("ppartcount")
    if replayed.takes_in_time:
        readings = sorted(readings)
    parts, last = [], None
    for time_, value in readings:
        if last is not None and time_ <= last.time:
            continue
        if last is not None:
            step = value - last.value if value >= last.value else value
            parts += [Seen(time_, int(step))] if step else []
        last = Seen(time_, value)
    found = [seen for seen in stored(replayed, "part_count", "produced") if seen.value]
    assert found == parts
    assert sum(part.value for part in parts) == (5 if replayed.takes_in_time else 3)


@pytest.mark.parametrize("key", CONDITIONS)
def test_conditions_and_their_intervals_equal_the_file(replayed, key):
    expected = in_time(from_file(key))
    found = stored(replayed, "condition", column(key))
    assert found == expected
    assert okuma.intervals(found) == okuma.intervals(expected)
    assert len(found) == 4


def test_every_sample_is_accounted_for(replayed):
    assert unbalanced(replayed.platform) == []
    assert replayed.platform.sql("SELECT * FROM quarantine") == []
