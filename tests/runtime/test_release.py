"""What leaves quarantine and what must stay, sample by sample; what holds for any samples."""

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.base.clock import HOUR, SECOND
from isthmus.field.release import Released, Stays, Walk
from isthmus.field.shape import Mapping, resume, shape
from isthmus.flow.log_reader import PutAside
from isthmus.flow.parcel import Count, Rows, Shaped
from isthmus.model.plant import FieldMap
from isthmus.model.spec.machine_type import Counter
from isthmus.runtime.release import grouped
from isthmus.testing.one_source import T0, field, plant, readable, sample, samples

STATE = field("a", "machine_state.state", "s", codes=(("1", "execute"), ("2", "idle")))
MORE = replace(STATE, codes=(("1", "execute"), ("2", "idle"), ("7", "held")))
MODE = field("a", "machine_state.mode", "m", names=("production", "setup"))
TEMP = field("a", "cycle.melt_temp", "t", max=300.0)
HOTTER = replace(TEMP, max=400.0)

Told = dict[str, Any]


class Lived:
    """A source under one mapping, then replayed under another."""

    def __init__(self, *maps: FieldMap) -> None:
        self.mapping = Mapping.of(*plant(*maps))
        self.state: bytes | None = None
        self.parcels: list[Any] = []
        self.shaped: list[Shaped] = []
        self.aside: list[PutAside] = []

    def hears(self, *told: Told) -> None:
        table = samples(*told)
        now = max((row["received_time"] for row in told), default=T0)
        shaped = shape(table, self.mapping, self.state, now=now)
        self.state = shaped.state
        self.parcels.append(table)
        self.shaped.append(shaped)
        for entry in shaped.quarantined:
            self.aside.append(PutAside(len(self.aside), entry.counted, entry))

    def lost(self, since: float, opened: float) -> None:
        gap = (T0 + round(since * SECOND), T0 + round(opened * SECOND))
        self.state = resume(self.state, self.mapping, unknown_since=gap[0], opened=gap[1])
        self.parcels.append(gap)

    def replayed(self, *maps: FieldMap) -> Released:
        waiting, stays = grouped(self.aside)
        walk = Walk(Mapping.of(*plant(*maps)), waiting)
        for parcel in self.parcels:
            if isinstance(parcel, tuple):
                walk.reopened(*parcel)
            else:
                walk.take(parcel)
        found = walk.done()
        assert not stays
        self.aside = [one for one in self.aside if one.id not in found.replayed]
        return found


def rows(released: Released) -> list[Told]:
    return [readable(row) for one in released.rows for row in one.table.to_pylist()]


def test_a_value_that_fits_now_becomes_a_row_with_its_own_times() -> None:
    lived = Lived(TEMP)
    lived.hears(sample("t", 350, 5, received=6), sample("t", 200, 7))
    found = lived.replayed(HOTTER)
    assert rows(found) == [
        {"machine": "a", "time": 5.0, "melt_temp": 350.0, "_samples": 1, "_quality": 0}
    ]
    received = found.rows[0].table["_received"][0].value
    assert received == T0 + 6 * SECOND
    assert found.counts == [Count("im", "t", T0, quarantined=-1, shaped=1)]


def test_alike_samples_are_as_many_rows_as_there_were_samples() -> None:
    lived = Lived(TEMP)
    lived.hears(*[sample("t", 350, 5)] * 3)
    found = lived.replayed(HOTTER)
    assert (found.samples, len(rows(found)), len(found.replayed)) == (3, 3, 3)


def test_a_field_that_refused_what_another_took_gets_a_row_that_counts_no_sample() -> None:
    other = field("b", "cycle.melt_temp", "t")
    lived = Lived(TEMP, other)
    lived.hears(sample("t", 350, 5))
    found = lived.replayed(HOTTER, other)
    [row] = rows(found)
    assert (row["machine"], row["_samples"], found.counts) == ("a", 0, [])


def test_of_two_fields_one_may_go_on_refusing() -> None:
    second = field("b", "cycle.melt_temp", "t", max=100.0)
    lived = Lived(TEMP, second)
    lived.hears(sample("t", 350, 5))
    assert [one.counted for one in lived.aside] == [True, False]
    found = lived.replayed(HOTTER, second)
    assert [row["machine"] for row in rows(found)] == ["a"]
    assert (found.replayed, found.uncounted, found.quarantined) == ([0], [1], [])


def test_a_field_that_refuses_for_the_first_time_is_noted() -> None:
    lived = Lived(TEMP)
    lived.hears(sample("t", 350, 5))
    found = lived.replayed(HOTTER, field("b", "cycle.melt_temp", "t", max=100.0))
    [entry] = found.quarantined
    assert (entry.machine[-1], entry.code, entry.counted) == ("b", "Q010", False)


def test_a_value_from_before_a_loss_holds_from_the_reopening_on() -> None:
    lived = Lived(STATE)
    lived.hears(sample("s", 1, 0))
    lived.lost(100, 200)
    lived.hears(sample("s", 7, 50, received=201))
    [row] = rows(lived.replayed(MORE))
    assert (row["time"], row["state"]) == (200.0, "held")


def test_a_state_that_was_written_again_wrongly_stays() -> None:
    lived = Lived(STATE, MODE)
    lived.hears(sample("s", 1, 0))
    lived.hears(sample("s", 7, 10))
    lived.hears(sample("m", None, 20, quality=0x8000_0000))
    found = lived.replayed(MORE, MODE)
    assert found.stays == {Stays("overwritten", "machine_state.state"): 1}


def test_a_state_that_was_told_again_before_is_released() -> None:
    lived = Lived(STATE, MODE)
    lived.hears(sample("s", 7, 10))
    lived.hears(sample("s", 2, 15))
    lived.hears(sample("m", None, 20, quality=0x8000_0000))
    assert [row["state"] for row in rows(lived.replayed(MORE, MODE))] == ["held"]


def test_a_signal_that_stood_still_is_uncertain_in_its_late_row_too() -> None:
    watched = {"stale_after": 60.0}
    lived = Lived(replace(TEMP, **watched))
    lived.hears(sample("t", 200, 0))
    lived.hears(sample("t", 350, 0, received=120))
    [row] = rows(lived.replayed(replace(HOTTER, **watched)))
    assert row["_quality"] == 1


NARROW = field("a", "part_count.good", "g", counter=Counter(bits=8))
WIDE = field("a", "part_count.good", "g", counter=Counter(bits=16))


def counted(*readings: int, wide: FieldMap = WIDE) -> dict[str, int]:
    """Why readings stay of which those above 255 were refused, one per second."""
    lived = Lived(NARROW)
    for at, reading in enumerate(readings):
        lived.hears(sample("g", reading, at))
    found = lived.replayed(wide)
    assert (found.rows, found.counts, found.replayed) == ([], [], [])
    return {stays.because: number for stays, number in found.stays.items()}


def test_parts_between_two_readings_that_were_believed_are_counted() -> None:
    assert counted(200, 300, 310, 250) == {"unproven": 2}
    lived = Lived(NARROW)
    lived.hears(sample("g", 200, 0), sample("g", 300, 1), sample("g", 310, 2))
    lived.mapping = Mapping.of(*plant(WIDE))
    lived.hears(sample("g", 320, 3))
    assert lived.replayed(WIDE).stays == {Stays("counted", "part_count.good"): 2}


def test_parts_of_the_last_readings_are_counted_by_the_next_one() -> None:
    assert counted(200, 300, 310) == {"not_yet": 2}


def test_parts_before_the_first_reading_that_was_believed_are_not_proven_to_be_counted() -> None:
    assert counted(300, 310, 20) == {"unproven": 2}


def test_a_reading_that_is_still_impossible_is_still_refused() -> None:
    assert counted(200, 70_000, 250) == {"refused": 1}


def test_readings_that_were_not_asked_for_are_not_taken_as_believed() -> None:
    lived = Lived(NARROW)
    lived.hears(sample("g", 200, 0), sample("g", 300, 1), sample("g", 310, 2))
    waiting, _ = grouped(lived.aside[:1])
    [other] = grouped(lived.aside[1:])[0]
    walk = Walk(Mapping.of(*plant(WIDE)), waiting, {other.key})
    walk.take(lived.parcels[0])
    assert not walk.over
    assert walk.done().stays == {Stays("not_yet", "part_count.good"): 1}


def test_what_an_expression_yielded_is_not_shaped_again() -> None:
    waiting, stays = grouped(
        PutAside(n, counted, replace(entry(), tag=tag))
        for n, (tag, counted) in enumerate(
            [("=cycle.melt_temp@a", False), ("t", None), ("t", True)]
        )
    )
    assert stays == {Stays("derived", "cycle.melt_temp"): 1, Stays("unclear"): 1}
    assert [one.lost for one in waiting] == [True]


def entry() -> Any:
    lived = Lived(TEMP)
    lived.hears(sample("t", 350, 5))
    return lived.aside[0].what


# Any samples --------------------------------------------------------------------------------------

BEFORE = (
    STATE, MODE, TEMP,
    field("b", "cycle.melt_temp", "t", max=100.0),
    field("a", "part_count.good", "g", counter=Counter(bits=8)),
    field("b", "cycle.cavities", "g", max=50.0),
    field("a", "cycle.program", "p", max_length=2),
)  # fmt: skip
AFTER = (
    MORE, MODE, HOTTER,
    field("b", "cycle.melt_temp", "t", max=150.0),
    field("a", "part_count.good", "g", counter=Counter(bits=16)),
    field("b", "cycle.cavities", "g", max=1000.0),
    field("a", "cycle.program", "p", max_length=4),
)  # fmt: skip


@st.composite
def told(draw: st.DrawFn) -> Told:
    tag = draw(st.sampled_from(["s", "m", "t", "t", "g", "p", "nobody"]))
    at = draw(st.integers(0, 7000))
    values: dict[str, st.SearchStrategy[float | str]] = {
        "s": st.sampled_from([1, 2, 7, 9]),
        "m": st.sampled_from(["production", "other"]),
        "p": st.text("x", max_size=6),
        "t": st.sampled_from([50, 120, 200, 350, 500]),
    }
    value = draw(values.get(tag, st.integers(0, 700)))
    quality = draw(st.sampled_from([0, 0, 0, 0, 0x4000_0000, 0x8000_0000]))
    return sample(tag, value, at, received=at + draw(st.integers(0, 90)), quality=quality)


def balance(shaped: Sequence[Shaped | Released]) -> dict[tuple[str, int], Tally[str]]:
    """Per tag and hour: what became of the samples."""
    found: dict[tuple[str, int], Tally[str]] = {}
    names = ("received", "shaped", "quarantined", "unmapped", "thinned")
    for part in shaped:
        for count in part.counts:
            sums = found.setdefault((count.tag, count.hour), Tally())
            sums.update({name: getattr(count, name) for name in names})
    return found


def stored(parts: Sequence[Shaped | Released]) -> Tally[int]:
    """Samples that rows took in, by hour of receipt."""
    found: Tally[int] = Tally()
    for rows in _tables(parts):
        for row in rows.table.to_pylist():
            found[round(row["_received"].timestamp()) // 3600] += row["_samples"]
    return +found


def cells(parts: Sequence[Shaped | Released]) -> Tally[tuple[Any, ...]]:
    """Every value that rows tell; states that are only written again are none."""
    found: Tally[tuple[Any, ...]] = Tally()
    for rows in _tables(parts):
        names = [n for n in rows.table.column_names if n[0] != "_" and n not in {"machine", "time"}]
        for row in rows.table.to_pylist():
            found.update(
                (row["machine"], row["time"], rows.name, name, row[name])
                for name in names
                if row[name] is not None and name != "good" and row["_quality"] < 2
            )
    return found


def _tables(parts: Sequence[Shaped | Released]) -> list[Rows]:
    return [rows for part in parts for rows in part.rows]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(told(), max_size=8), max_size=6))
def test_every_sample_is_accounted_for_and_stored_once(came: list[list[Told]]) -> None:
    lived = Lived(*BEFORE)
    for parcel in came:
        lived.hears(*parcel)
    found = lived.replayed(*AFTER)
    again = lived.replayed(*AFTER)
    assert (again.rows, again.counts, again.replayed) == ([], [], [])
    parts = [*lived.shaped, found]
    by_hour: Tally[int] = Tally()
    for (_, hour), one in balance(parts).items():
        fates = one["shaped"] + one["quarantined"] + one["unmapped"] + one["thinned"]
        assert one["received"] == fates
        assert min(one.values()) >= 0
        by_hour[hour // HOUR] += one["shaped"]
    assert stored(parts) == +by_hour
    assert found.samples + sum(found.stays.values()) == len(grouped(_entries(came))[0])


def _entries(came: list[list[Told]]) -> list[PutAside]:
    lived = Lived(*BEFORE)
    for parcel in came:
        lived.hears(*parcel)
    return lived.aside


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(told(), max_size=8), max_size=6))
def test_what_is_told_in_the_end_is_what_the_right_mapping_would_have_told(
    came: list[list[Told]],
) -> None:
    """Without states that were written again, and without counters."""
    late = [[one for one in parcel if one["quality"] < 0x8000_0000] for parcel in came]
    wrong, right = Lived(*BEFORE), Lived(*AFTER)
    for parcel in late:
        wrong.hears(*parcel)
        right.hears(*parcel)
    found = wrong.replayed(*AFTER)
    assert cells([*wrong.shaped, found]) == cells(right.shaped)
