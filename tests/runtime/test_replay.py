"""The same RAW gives the same rows, and a corrected mapping gives the right ones."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from isthmus.base.clock import DAY
from isthmus.field.shape import Mapping
from isthmus.flow.parcel import Shaped
from isthmus.model.spec.machine_type import PulseRule
from isthmus.runtime.replay import replay
from isthmus.testing.one_source import field as mapped
from isthmus.testing.one_source import plant, readable, values

from .conftest import GOOD, STATE, Running


async def lived(running: Running) -> None:
    """Values, a lost link, a stop and a start: what a source goes through."""
    running.start()
    await running.until(lambda: running.states() == ["execute"])
    running.device.set("good", 104)
    await running.until(lambda: running.parts() == 4)
    await running.device.off()
    await running.until(lambda: "lost" in running.said)
    running.device.values["good"] = 110
    await running.device.on()
    await running.until(lambda: running.parts() == 10)
    await running.stop()
    running.start()
    await running.until(lambda: running.states().count("execute") == 3)
    running.device.set("good", 112)
    running.device.set("state", 7)
    await running.until(lambda: running.parts() == 12 and running.states()[-1] == "aborted")


def again(running: Running, mapping: Mapping) -> list[Shaped]:
    now = running.clock.now()
    return list(replay(running.log, mapping, now - DAY, now + DAY))


def told(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that samples brought; gaps write theirs into the log themselves."""
    return [row for row in rows if row["_samples"]]


async def test_the_same_raw_gives_the_same_rows(running: Running) -> None:
    await lived(running)
    shaped = again(running, Mapping.of(running.source, running.plant))
    for block in ("machine_state", "part_count"):
        found = [
            readable(row)
            for part in shaped
            for one in part.rows
            if one.name == block
            for row in one.table.to_pylist()
        ]
        assert told(found) == told(running.stored(block))


async def test_a_corrected_mapping_releases_what_was_in_quarantine(running: Running) -> None:
    wrong = replace(STATE, codes=(("4", "execute"),))
    running.source, running.plant = plant(wrong, GOOD, spec=running.source.spec)
    running.start()
    await running.until(lambda: running.log.last("raw") == 1)
    now = running.clock.now()
    [entry] = running.log.quarantined(0, now + DAY)
    assert entry.code == "Q012"
    right = Mapping.of(*plant(STATE, GOOD, spec=running.source.spec))
    [shaped] = again(running, right)
    assert values(shaped, "machine_state", "state") == ["execute"]
    assert shaped.quarantined == []


async def test_a_rule_gives_the_same_states_again(running: Running) -> None:
    rule = PulseRule(pulses="part_count.good", running="execute", standing="stopped", after=30.0)
    derived = mapped("a", "machine_state.state", None, rule=rule)
    running.source, running.plant = plant(GOOD, derived, spec=running.source.spec)
    running.device.values = {"good": 100.0}
    running.start()
    await running.until(lambda: len(running.stored("part_count")) == 1)
    running.device.set("good", 101)
    await running.until(lambda: running.states() == ["execute", "stopped"])
    running.device.set("good", 102)
    await running.until(lambda: running.states() == ["execute", "stopped", "execute"])
    shaped = again(running, Mapping.of(running.source, running.plant))
    assert [s for part in shaped for s in values(part, "machine_state", "state")] == [
        "execute",
        "stopped",
        "execute",
    ]


async def test_before_its_start_a_replay_only_warms_up(running: Running) -> None:
    await lived(running)
    middle = running.log.read("raw", 1)[0].recorded
    mapping = Mapping.of(running.source, running.plant)
    shaped = list(replay(running.log, mapping, middle, running.clock.now() + DAY))
    assert sum(v or 0 for part in shaped for v in values(part, "part_count", "good")) == 12
    assert len(shaped) == running.log.last("raw") - 1
