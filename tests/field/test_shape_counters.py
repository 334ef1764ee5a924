"""Cumulative counters become increments: rollover, reset, redelivery, disorder, gaps."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from isthmus.field.shape import Mapping, StateError, resume, shape
from isthmus.flow.parcel import Shaped
from isthmus.model.spec.machine_type import Counter
from isthmus.testing.one_source import T0, field, later, plant, rows, sample, samples, total, values

SHARED = Path(__file__).parents[3] / "shared"


def mapping(**options: Any) -> Mapping:
    options.setdefault("counter", Counter(bits=16))
    return Mapping.of(*plant(field("a", "part_count.good", "g", **options)))


def count(*readings: tuple[float, float], of: Mapping) -> Shaped:
    """`readings`: device time in seconds and value, in order of arrival."""
    came = [sample("g", value, at, received=100.0) for at, value in readings]
    return shape(samples(*came), of, None, now=T0)


def increments(*readings: tuple[float, float], **options: Any) -> list[int]:
    return values(count(*readings, of=mapping(**options)), "part_count", "good")


def test_golden_rollover_and_reset() -> None:
    file = SHARED / "standards" / "kpi_golden.yaml"
    if not file.exists():
        pytest.skip("the golden cases are not beside this repository (../shared/standards)")
    cases = yaml.safe_load(file.read_text())["cases"]
    [case] = [case for case in cases if case["id"] == "counter_rollover_and_reset"]
    readings = enumerate(case["inputs"]["samples"])
    assert sum(increments(*readings)) == case["expected"]["total_count_unwrapped"]


def test_the_first_reading_is_the_baseline() -> None:
    assert increments((0, 4711)) == [0]


def test_differences_are_counted() -> None:
    assert increments((0, 10), (1, 11), (2, 15), (3, 15)) == [0, 1, 4, 0]


def test_a_counter_set_back_counts_from_zero() -> None:
    assert increments((0, 40_000), (1, 100)) == [0, 100]


def test_without_a_width_a_counter_never_rolls_over() -> None:
    assert increments((0, 65_530), (1, 20), counter=Counter()) == [0, 20]


def test_decrements_may_be_noise() -> None:
    noisy = Counter(bits=16, decrements="ignore")
    assert increments((0, 100), (1, 98), (2, 101), counter=noisy) == [0, 0, 1]


def test_noise_does_not_hide_a_rollover() -> None:
    noisy = Counter(bits=16, decrements="ignore")
    assert increments((0, 65_530), (1, 4), counter=noisy) == [0, 10]


def test_an_older_reading_counts_nothing() -> None:
    result = count((10, 10), (30, 30), (20, 20), (40, 31), of=mapping())
    assert values(result, "part_count", "good") == [0, 20, 0, 1]


def test_what_is_out_of_order_counts_as_late_even_if_it_is_fresh() -> None:
    came = [sample("g", v, at, received=40) for at, v in ((10, 10), (30, 30), (20, 20))]
    [counts] = shape(samples(*came), mapping(), None, now=T0).counts
    assert counts.late == 1


def test_delivered_twice_counts_once() -> None:
    once = samples(sample("g", 10, 0), sample("g", 12, 1), sample("g", 15, 2))
    first = shape(once, mapping(), None, now=T0)
    again = shape(once, mapping(), first.state, now=T0)
    assert total([first], "part_count", "good") == 5
    assert total([again], "part_count", "good") == 0
    assert sum(values(again, "part_count", "_samples")) == 3


def test_readings_of_the_same_time_count_when_they_grow() -> None:
    assert increments((0, 10), (0, 12), (0, 11), (0, 12)) == [0, 2, 0, 0]


def test_parts_made_while_nobody_listened_are_counted() -> None:
    before = shape(samples(sample("g", 10)), mapping(), None, now=T0)
    state = resume(before.state, mapping(), unknown_since=later(1), opened=later(2))
    after = shape(samples(sample("g", 25, 7200)), mapping(), state, now=later(2))
    assert values(after, "part_count", "good") == [15]


def test_a_reading_from_before_the_gap_is_written_when_the_source_is_back() -> None:
    before = shape(samples(sample("g", 10)), mapping(), None, now=T0)
    state = resume(before.state, mapping(), unknown_since=later(1), opened=later(2))
    after = shape(samples(sample("g", 10, 0, received=7200)), mapping(), state, now=later(2))
    assert [(row["time"], row["good"]) for row in rows(after, "part_count")] == [(7200.0, 0)]


def test_a_reading_too_large_for_its_width_is_quarantined_and_moves_nothing() -> None:
    result = count((0, 10), (1, 70_000), (2, 12), of=mapping())
    assert [entry.code for entry in result.quarantined] == ["Q014"]
    assert values(result, "part_count", "good") == [0, 2]


def test_a_negative_or_broken_reading_is_quarantined() -> None:
    result = count((0, -1), (1, 1.5), of=mapping())
    assert sorted(entry.code for entry in result.quarantined) == ["Q007", "Q014"]


def test_a_step_above_the_limit_is_quarantined_and_moves_nothing() -> None:
    result = count((0, 10), (1, 999), (2, 12), of=mapping(max=50.0))
    assert [entry.code for entry in result.quarantined] == ["Q010"]
    assert "grew by more than 50" in result.quarantined[0].reason
    assert values(result, "part_count", "good") == [0, 2]


def test_several_pieces_per_stroke() -> None:
    assert increments((0, 1), (1, 2), (2, 4), scale=4.0) == [0, 4, 8]


def test_two_strokes_per_piece_lose_no_half() -> None:
    assert increments((0, 0), (1, 1), (2, 2), (3, 5), scale=0.5) == [0, 0, 1, 1]


def test_a_half_piece_is_carried_to_the_next_parcel() -> None:
    halves = mapping(scale=0.5)
    first = shape(samples(sample("g", 0), sample("g", 1, 1)), halves, None, now=T0)
    second = shape(samples(sample("g", 2, 2)), halves, first.state, now=T0)
    assert total([first, second], "part_count", "good") == 1


def test_counters_of_64_bits_come_as_text() -> None:
    big = 2**53 + 1
    came = samples(sample("g", str(big)), sample("g", str(big + 3), 1))
    result = shape(came, mapping(counter=Counter(bits=64)), None, now=T0)
    assert values(result, "part_count", "good") == [0, 3]


def test_a_counter_moved_to_another_tag_starts_anew() -> None:
    first = shape(samples(sample("g", 10)), mapping(), None, now=T0)
    moved = Mapping.of(*plant(field("a", "part_count.good", "h", counter=Counter())))
    second = shape(samples(sample("h", 500, 1)), moved, first.state, now=T0)
    assert values(second, "part_count", "good") == [0]


def test_a_bad_reading_leaves_the_baseline() -> None:
    came = (sample("g", 10), sample("g", 0, 1, quality=0x8000_0000), sample("g", 12, 2))
    result = shape(samples(*came), mapping(), None, now=T0)
    assert sorted(values(result, "part_count", "good"), key=str) == [0, 2, None]


@pytest.mark.parametrize("state", [b"{", b"[]", b'{"version": 99}'])
def test_state_that_cannot_be_read_is_named(state: bytes) -> None:
    with pytest.raises(StateError, match="replay the source without state"):
        shape(samples(sample("g", 1)), mapping(), state, now=T0)
