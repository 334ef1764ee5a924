"""What holds for any samples: nothing lost, nothing twice, however they are cut and ordered."""

import itertools
from collections import Counter as Tally
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.base.clock import SECOND
from isthmus.field.shape import Mapping, shape
from isthmus.flow.parcel import SAMPLES_SCHEMA, Count, Shaped
from isthmus.model.spec.machine_type import Counter, PulseRule
from isthmus.testing.one_source import T0, field, plant, samples, total

RULE = PulseRule(pulses="part_count.good", running="execute", standing="stopped", after=60.0)
MAPPING = Mapping.of(
    *plant(
        field("a", "machine_state.state", "s", codes=(("1", "execute"), ("2", "idle"))),
        field("a", "machine_state.mode", "m", names=("production", "setup")),
        field("a", "part_count.good", "g", counter=Counter(bits=8)),
        field("a", "part_count.scrap", "x", counter=Counter(decrements="ignore"), max=1e3),
        field("a", "cycle.melt_temp", "t", max=400.0),
        field("a", "cycle.cavities", "c", scale=0.5),
        field("a", "cycle.program", "p", max_length=5),
        field("b", "cycle.melt_temp", "t"),
        field("b", "part_count.good", "g", counter=Counter(bits=8), scale=0.5),
        field("b", "machine_state.state", None, rule=RULE),
    )
)
TAGS = ["s", "m", "g", "x", "t", "c", "p", "nobody knows this"]

numbers = st.one_of(
    st.integers(-3, 300).map(float), st.floats(), st.sampled_from([1.0, 2.0, 1e300, 2.0**63])
)
texts = st.one_of(st.sampled_from(["1", "2.0", "production", "9007199254740993"]), st.text())
times = st.one_of(
    st.integers(-200, 200).map(lambda s: T0 + s * SECOND),
    st.sampled_from([0, -1, T0 + 10**12, -(2**62), 2**62]),
)


@st.composite
def any_sample(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["number", "text", "nothing"]))
    return {
        "tag": draw(st.sampled_from(TAGS)),
        "device_time": draw(times),
        "received_time": T0 + draw(st.integers(0, 4000)) * SECOND,
        "number": draw(numbers) if kind == "number" else None,
        "text": draw(texts) if kind == "text" else None,
        "quality": draw(st.sampled_from([0, 0, 0, 0x4000_0000, 0x8000_0000, 0x8007_0000])),
    }


@st.composite
def believable(draw: st.DrawFn) -> dict[str, Any]:
    """Samples with good times, so that most of them become rows."""
    at = draw(st.integers(0, 300))
    tag = draw(st.sampled_from(["s", "g", "g", "x", "t"]))
    value = draw(st.integers(1, 2) if tag == "s" else st.integers(0, 255))
    return {
        "tag": tag,
        "device_time": T0 + at * SECOND,
        "received_time": T0 + 300 * SECOND,
        "number": float(value),
        "text": None,
        "quality": draw(st.sampled_from([0, 0, 0, 0, 0x8000_0000])),
    }


def feed(came: list[dict[str, Any]], cuts: list[int]) -> list[Shaped]:
    """Shape these samples in several parcels."""
    bounds = [0, *sorted(cut % (len(came) + 1) for cut in cuts), len(came)]
    state, found = None, []
    for start, stop in itertools.pairwise(bounds):
        found.append(shape(samples(*came[start:stop]), MAPPING, state, now=T0 + 300 * SECOND))
        state = found[-1].state
    return found


def row_set(parcels: list[Shaped], block: str) -> Tally[tuple[Any, ...]]:
    """Rows, whichever parcel they came in; without the bookkeeping of parcels."""
    tables = [r.table for p in parcels for r in p.rows if r.name == block]
    found: Tally[tuple[Any, ...]] = Tally()
    for table in tables:
        found.update(tuple(row.values()) for row in table.drop_columns("_received").to_pylist())
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(any_sample(), max_size=30))
def test_received_is_shaped_and_quarantined_and_unmapped(came: list[dict[str, Any]]) -> None:
    shaped = shape(samples(*came), MAPPING, None, now=T0)
    counts = shaped.counts
    assert sum(c.received for c in counts) == len(came)
    assert all(c.received == c.shaped + c.quarantined + c.unmapped for c in counts)
    assert all(c.received == c.good + c.uncertain + c.bad for c in counts)
    blocks = ("machine_state", "part_count", "cycle")
    assert sum(total([shaped], block, "_samples") for block in blocks) == sum(
        c.shaped for c in counts
    )
    assert len(shaped.quarantined) >= sum(c.quarantined for c in counts)


@settings(max_examples=150, deadline=None)
@given(st.lists(believable(), max_size=30), st.lists(st.integers(0, 100), max_size=6))
def test_increments_do_not_depend_on_how_samples_are_cut_into_parcels(
    came: list[dict[str, Any]], cuts: list[int]
) -> None:
    whole, parts = feed(came, []), feed(came, cuts)
    for name in ("good", "scrap"):
        assert total(parts, "part_count", name) == total(whole, "part_count", name)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(believable(), max_size=20, unique_by=lambda one: (one["tag"], one["device_time"])),
    st.integers(1, 20),
)
def test_what_is_delivered_again_counts_nothing(came: list[dict[str, Any]], last: int) -> None:
    came.sort(key=lambda one: one["device_time"])
    [first] = feed(came, [])
    again = shape(samples(*came[-last:]), MAPPING, first.state, now=T0 + 300 * SECOND)
    assert [total([again], "part_count", name) for name in ("good", "scrap")] == [0, 0]


@settings(max_examples=100, deadline=None)
@given(st.lists(believable(), max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_tags_does_not_matter(came: list[dict[str, Any]], random: Any) -> None:
    tags = ["s", "g", "x", "t"]
    random.shuffle(tags)
    reordered = sorted(came, key=lambda one: tags.index(one["tag"]))
    one, other = feed(came, []), feed(reordered, [])
    for block in ("machine_state", "part_count", "cycle"):
        assert row_set(one, block) == row_set(other, block)


@settings(max_examples=60, deadline=None)
@given(st.lists(believable(), max_size=20), st.lists(st.integers(0, 100), max_size=4))
def test_the_same_raw_gives_the_same_rows(came: list[dict[str, Any]], cuts: list[int]) -> None:
    assert feed(came, cuts) == feed(came, cuts)


@settings(max_examples=100, deadline=None)
@given(st.lists(any_sample() | believable(), max_size=20))
def test_an_odd_sample_changes_nothing_for_the_others(came: list[dict[str, Any]]) -> None:
    """What is looked for only where something is odd is the same where nothing is."""
    odd = {
        "tag": "nobody's", "device_time": 0, "received_time": T0, "number": None, "text": "?",
        "quality": 0x8007_0000,
    }  # fmt: skip
    alone, beside = (shape(samples(*all_), MAPPING, None, now=T0) for all_ in (came, [*came, odd]))
    assert (alone.rows, alone.quarantined, alone.state) == (
        beside.rows,
        beside.quarantined,
        beside.state,
    )
    others = [count for count in beside.counts if count.tag != odd["tag"]]
    assert sorted(alone.counts, key=_tag_and_hour) == sorted(others, key=_tag_and_hour)


def _tag_and_hour(count: Count) -> tuple[str, int]:
    return count.tag, count.hour


FIELDS = (field("a", "cycle.melt_temp", "t"), field("b", "cycle.melt_temp", "g"))
OTHERS = (
    field("c", "cycle.melt_temp", "z", max=1.0, scale=2.0, offset=1.0),
    field("c", "cycle.cavities", "y"),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(any_sample() | believable(), max_size=20))
def test_fields_of_other_machines_change_nothing_for_these(came: list[dict[str, Any]]) -> None:
    """Nor is what their limits and scales need the business of fields that have none."""
    bare, rich = (Mapping.of(*plant(*maps)) for maps in (FIELDS, (*FIELDS, *OTHERS)))
    alone, beside = (shape(samples(*came), mapping, None, now=T0) for mapping in (bare, rich))
    assert alone == beside


def test_columns_in_several_chunks_are_read_as_one() -> None:
    one = samples(*[_sample(n) for n in range(3)])
    chunked = pa.concat_tables([one, one.slice(0, 2)])
    assert chunked["tag"].num_chunks == 2
    shaped = shape(chunked, MAPPING, None, now=T0)
    assert sum(c.received for c in shaped.counts) == 5
    assert chunked.schema == SAMPLES_SCHEMA


def _sample(number: int) -> dict[str, Any]:
    at = T0 + number * SECOND
    return {
        "tag": "t", "device_time": at, "received_time": at, "number": 1.0, "text": None,
        "quality": 0,
    }  # fmt: skip
