"""Values that the model says need not be kept, and how the ledger counts them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from isthmus.base.clock import SECOND
from isthmus.field.shape import Mapping, resume, shape
from isthmus.flow.parcel import BAD
from isthmus.testing.one_source import T0, field, plant, rows, sample, samples, values


def melt(**thinning: Any) -> Mapping:
    return Mapping.of(*plant(field("a", "cycle.melt_temp", "T", **thinning)))


def told(mapping: Mapping, *readings: tuple[float | None, float]) -> Any:
    table = samples(*(sample("T", v, at, quality=BAD if v is None else 0) for v, at in readings))
    return shape(table, mapping, None, now=T0 + 100 * SECOND)


def test_values_inside_the_dead_band_of_the_one_kept_last_are_thinned() -> None:
    shaped = told(melt(dead_band=1.0), (20.0, 0), (20.6, 1), (20.9, 2), (21.0, 3), (20.1, 4))

    assert values(shaped, "cycle", "melt_temp") == [20.0, 21.0]
    assert [(c.received, c.shaped, c.thinned) for c in shaped.counts] == [(5, 2, 3)]


def test_values_that_come_too_soon_are_thinned() -> None:
    shaped = told(melt(at_most_every=10.0), (1.0, 0), (2.0, 5), (3.0, 10), (4.0, 19), (5.0, 20))

    assert values(shaped, "cycle", "melt_temp") == [1.0, 3.0, 5.0]


def test_a_change_of_quality_is_always_kept() -> None:
    shaped = told(melt(dead_band=5.0), (20.0, 0), (None, 1), (20.0, 2), (20.1, 3))

    assert [row["_quality"] for row in rows(shaped, "cycle")] == [0, 2, 0]


def test_the_first_value_after_an_outage_is_kept() -> None:
    mapping = melt(dead_band=5.0)
    before = told(mapping, (20.0, 0))
    state = resume(before.state, mapping, unknown_since=T0 + SECOND, opened=T0 + 9 * SECOND)

    after = shape(samples(sample("T", 20.1, 10)), mapping, state, now=T0 + 10 * SECOND)

    assert values(after, "cycle", "melt_temp") == [20.1]


def test_the_dead_band_is_in_the_unit_of_the_block() -> None:
    shaped = told(melt(dead_band=1.0, scale=0.1), (200.0, 0), (205.0, 1), (211.0, 2))

    assert values(shaped, "cycle", "melt_temp") == [20.0, 21.1]


def test_a_sample_that_another_field_keeps_is_shaped() -> None:
    mapping = Mapping.of(
        *plant(
            field("a", "cycle.melt_temp", "T", dead_band=5.0), field("b", "cycle.melt_temp", "T")
        )
    )

    shaped = told(mapping, (20.0, 0), (20.1, 1))

    assert [(c.received, c.shaped, c.thinned) for c in shaped.counts] == [(2, 2, 0)]
    assert sum(row["_samples"] for row in rows(shaped, "cycle")) == 2


@given(
    readings=st.lists(st.floats(-10, 10), min_size=1, max_size=40),
    cut=st.integers(0, 40),
    band=st.floats(0.1, 5),
)
def test_every_value_is_within_the_band_of_the_one_kept_before_it(
    readings: list[float], cut: int, band: float
) -> None:
    mapping = melt(dead_band=band)
    table = samples(*(sample("T", value, at) for at, value in enumerate(readings)))

    first = shape(table.slice(0, cut), mapping, None, now=T0 + 50 * SECOND)
    second = shape(table.slice(cut), mapping, first.state, now=T0 + 50 * SECOND)

    kept = {r["time"]: r["melt_temp"] for s in (first, second) for r in rows(s, "cycle")}
    last = kept[0.0]
    for at, value in enumerate(readings):
        last = kept.get(float(at), last)
        assert abs(value - last) < band
    counts = [count for part in (first, second) for count in part.counts]
    assert all(c.received == c.shaped + c.quarantined + c.unmapped + c.thinned for c in counts)
    assert sum(c.shaped for c in counts) == len(kept)
