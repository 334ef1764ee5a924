"""Signals that are said to be good and whose device time stands still."""

from typing import Any

from isthmus.base.clock import SECOND
from isthmus.field.shape import Mapping, shape
from isthmus.flow.parcel import SAMPLES_SCHEMA, Shaped
from isthmus.testing.one_source import T0, field, plant, rows, sample, samples

FURNACE = Mapping.of(
    *plant(
        field("a", "cycle.melt_temp", "T", stale_after=30.0, scale=0.1),
        field("a", "cycle.program", "N"),
    )
)
NOTHING = SAMPLES_SCHEMA.empty_table()


def run(*parcels: tuple[Any, float]) -> list[Shaped]:
    state, found = None, []
    for table, now in parcels:
        found.append(shape(table, FURNACE, state, now=T0 + round(now * SECOND)))
        state = found[-1].state
    return found


def told(found: list[Shaped]) -> list[tuple[float, float | None, int, int]]:
    return [
        (row["time"], row.get("melt_temp"), row["_quality"], row["_samples"])
        for part in found
        for row in rows(part, "cycle")
    ]


def test_a_value_whose_time_stands_still_becomes_uncertain() -> None:
    found = run((samples(sample("T", 2000, 0)), 0), (NOTHING, 30), (NOTHING, 31), (NOTHING, 60))

    assert told(found) == [(0, 200.0, 0, 1), (30, 200.0, 1, 0)]


def test_the_same_time_told_again_and_again_is_uncertain_too() -> None:
    again = [(samples(sample("T", 2000 + at, 0, received=at)), at) for at in (10, 20, 40)]

    found = run((samples(sample("T", 2000, 0)), 0), *again)

    assert told(found)[:4] == [
        (0, 200.0, 0, 1), (0, 201.0, 0, 1), (0, 202.0, 0, 1), (0, 204.0, 1, 1),
    ]  # fmt: skip
    assert told(found)[4:] == [(30, 200.0, 1, 0)]


def test_it_is_good_again_when_the_time_moves_on() -> None:
    found = run(
        (samples(sample("T", 2000, 0)), 0), (NOTHING, 31), (samples(sample("T", 1990, 40)), 40)
    )

    assert told(found)[-1] == (40, 199.0, 0, 1)
    assert len(told(found)) == 3


def test_nothing_is_counted_that_no_source_told() -> None:
    found = run((samples(sample("T", 2000, 0)), 0), (NOTHING, 31))

    assert [(c.received, c.shaped, c.uncertain) for part in found for c in part.counts] == [
        (1, 1, 0)
    ]


def test_other_tags_are_left_alone() -> None:
    found = run((samples(sample("N", "P1", 0)), 0), (NOTHING, 100))

    assert [row["_quality"] for part in found for row in rows(part, "cycle")] == [0]
