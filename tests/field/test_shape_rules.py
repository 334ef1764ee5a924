"""Machines that only count: they run while pulses come, else they stand."""

from collections.abc import Sequence
from typing import Any

from isthmus.base.clock import SECOND
from isthmus.field.shape import Mapping, resume, shape
from isthmus.flow.parcel import BAD, SAMPLES_SCHEMA, Shaped
from isthmus.model.spec.machine_type import Counter, PulseRule
from isthmus.testing.one_source import T0, field, plant, rows, sample, samples

RULE = PulseRule(pulses="part_count.good", running="execute", standing="stopped", after=60.0)
PRESS = Mapping.of(
    *plant(
        field("a", "part_count.good", "g", counter=Counter()),
        field("a", "machine_state.state", None, rule=RULE),
    )
)
NOTHING = SAMPLES_SCHEMA.empty_table()

States = list[tuple[float, str | None]]


def states(shaped: Shaped) -> States:
    return [(row["time"], row.get("state")) for row in rows(shaped, "machine_state")]


def pulses(*readings: tuple[float, float], **options: Any) -> Any:
    return samples(*(sample("g", value, at, **options) for at, value in readings))


def tick(state: bytes | None, at: float) -> Shaped:
    return shape(NOTHING, PRESS, state, now=T0 + round(at * SECOND))


def run(*parcels: tuple[Any, float]) -> tuple[list[Shaped], bytes | None]:
    state, found = None, []
    for table, now in parcels:
        found.append(shape(table, PRESS, state, now=T0 + round(now * SECOND)))
        state = found[-1].state
    return found, state


def timeline(parcels: Sequence[Shaped]) -> States:
    """What holds in the end: of rows at one time the one that was known last."""
    known: dict[float, tuple[float, str | None]] = {}
    for parcel in parcels:
        for part in parcel.rows:
            if part.name == "machine_state":
                for row in part.table.to_pylist():
                    at = row["time"].timestamp()
                    received = row["_received"].timestamp()
                    if at not in known or known[at][0] <= received:
                        known[at] = (received, row["state"])
    changes: States = []
    for at in sorted(known):
        if not changes or changes[-1][1] != known[at][1]:
            changes.append((at - T0 / SECOND, known[at][1]))
    return changes


def test_it_runs_from_the_first_pulse() -> None:
    [shaped], _ = run((pulses((0, 5), (10, 6), (20, 7)), 20))
    assert states(shaped) == [(10.0, "execute")]


def test_it_stands_from_the_last_pulse_once_the_time_has_passed() -> None:
    _, state = run((pulses((0, 5), (10, 6), (20, 7)), 20))
    assert states(tick(state, 80)) == []
    assert states(tick(state, 80.1)) == [(20.0, "stopped")]


def test_that_it_stands_is_said_once() -> None:
    _, state = run((pulses((0, 5), (10, 6)), 10))
    assert states(tick(tick(state, 100).state, 200)) == []


def test_rows_of_rules_took_in_no_sample() -> None:
    [shaped], _ = run((pulses((0, 5), (10, 6)), 10))
    [row] = rows(shaped, "machine_state")
    assert (row["_samples"], row["_quality"]) == (0, 0)


def test_a_pause_within_one_parcel_is_seen() -> None:
    [shaped], _ = run((pulses((0, 5), (10, 6), (200, 7), (210, 8), received=210), 210))
    assert states(shaped) == [(10.0, "execute"), (10.0, "stopped"), (200.0, "execute")]


def test_readings_without_parts_are_no_pulses() -> None:
    _, state = run((pulses((0, 5), (10, 6), (50, 6)), 50))
    assert states(tick(state, 71)) == [(10.0, "stopped")]


def test_pulses_that_were_delayed_show_that_it_did_run() -> None:
    parcels, state = run((pulses((0, 5), (10, 6)), 10))
    parcels.append(tick(state, 75))
    late = pulses((40, 7), (80, 8), received=81)
    parcels.append(shape(late, PRESS, parcels[-1].state, now=T0 + 81 * SECOND))
    assert timeline(parcels) == [(10.0, "execute")]


def test_after_a_loss_nothing_is_known_until_a_pulse_comes() -> None:
    _, state = run((pulses((0, 5), (10, 6)), 10))
    opened = T0 + 100 * SECOND
    state = resume(state, PRESS, unknown_since=T0 + 20 * SECOND, opened=opened)
    first = shape(pulses((100, 9)), PRESS, state, now=opened)
    assert states(first) == []
    second = shape(pulses((120, 10)), PRESS, first.state, now=T0 + 120 * SECOND)
    assert states(second) == [(120.0, "execute")]


def test_after_a_loss_silence_means_it_stands_since_the_source_is_back() -> None:
    _, state = run((pulses((0, 5), (10, 6)), 10))
    opened = T0 + 100 * SECOND
    state = resume(state, PRESS, unknown_since=T0 + 20 * SECOND, opened=opened)
    first = shape(pulses((100, 6)), PRESS, state, now=opened)
    assert states(tick(first.state, 160)) == []
    assert states(tick(first.state, 160.1)) == [(100.0, "stopped")]


def test_without_any_reading_silence_means_nothing() -> None:
    assert states(tick(None, 1e6)) == []


def test_a_bad_reading_makes_the_state_unknown() -> None:
    _, state = run((pulses((0, 5), (10, 6)), 10))
    bad = shape(samples(sample("g", None, 30, quality=BAD)), PRESS, state, now=T0 + 30 * SECOND)
    assert states(bad) == [(30.0, None)]
    assert [row["_quality"] for row in rows(bad, "machine_state")] == [2]
    assert states(tick(bad.state, 500)) == []


def test_a_counter_set_back_is_a_pulse() -> None:
    [shaped], _ = run((pulses((0, 500), (10, 1)), 10))
    assert states(shaped) == [(10.0, "execute")]
