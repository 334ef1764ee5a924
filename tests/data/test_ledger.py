"""The ledger's invariant, and that it notices what is missing or twice."""

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.base.clock import HOUR, SECOND, to_datetime
from isthmus.data import delta
from isthmus.data.contract import lake_rows
from isthmus.data.ledger import check
from isthmus.flow.parcel import Count, Rows, Shaped
from isthmus.testing.small_company import T0, House, cycles, plant, samples, shaped


def test_what_was_shaped_is_stored_wherever_it_is_kept(house: House) -> None:
    house.add(3590, 20)  # over a full hour
    house.writer.write_once()
    house.add(3610, 5)
    found = house.lake.query("SELECT hour, shaped, stored FROM ledger ORDER BY hour").to_pylist()
    assert [(row["shaped"], row["stored"]) for row in found] == [(10, 10), (15, 15)]
    assert check(house.lake) == []


def test_the_sums_of_a_file_are_taken_once_and_stay_right(house: House) -> None:
    for number in range(4):
        house.add(number)
        house.writer.write_once()
        assert check(house.lake) == []


def test_rows_that_came_twice_stand_on_a_line_of_their_own(house: House) -> None:
    house.add(0, 3)
    house.log.append("im07", None, Shaped(rows=[cycles(0, 2)]), now=T0)
    found = house.lake.query("SELECT tag, shaped, stored FROM ledger ORDER BY tag").to_pylist()
    assert found == [{"tag": "", "shaped": 0, "stored": 2}, {"tag": "t1", "shaped": 3, "stored": 3}]
    assert [problem.code for problem in check(house.lake)] == ["L002"]


def test_samples_that_nobody_accounts_for_are_named(house: House) -> None:
    count = Count("im07", "t1", T0 // HOUR * HOUR, received=3, good=3, shaped=1, unmapped=1)
    house.log.append("im07", samples(0, 3), Shaped(rows=[cycles(0)], counts=[count]), now=T0)
    (problem,) = check(house.lake)
    assert problem.code == "L001"
    assert "3 samples of `t1`" in problem.message


@pytest.mark.parametrize("kept", [[1, 3], [1, 2, 4]])
def test_a_missing_parcel_shows_as_a_hole_in_the_sequence(house: House, kept: list[int]) -> None:
    """As if somebody had taken rows out of the lake by hand."""
    for number in range(4):
        house.add(number)
    parcels = [parcel for parcel in house.log.read("rows", 0) if parcel.seq in kept]
    schema = house.writer.schemas["cycle"]
    rows = pa.concat_tables([lake_rows(parcel, schema) for parcel in parcels])
    stamp = delta.Stamp(delta.app_id("cycle", "hamburg", house.log.epoch), 4)
    delta.append(delta.open_table(house.table), house.table, rows, stamp)
    found = [problem for problem in check(house.lake) if problem.code == "L003"]
    assert len(found) == 1
    assert f"{len(kept)} are" in found[0].message


def test_raw_that_could_not_be_shaped_is_a_warning(house: House) -> None:
    house.log.append_raw("im07", samples(0, 7), "ValueError: no", now=T0)
    (problem,) = check(house.lake)
    assert (problem.code, problem.severity) == ("L004", "warning")
    assert "7 samples" in problem.message


def test_entities_and_derived_rows_take_no_part(house: House) -> None:
    derived = cycles(0).table.set_column(6, "_samples", pa.array([0], pa.int32()))
    house.log.append("im07", None, Shaped(rows=[Rows("cycle", derived)]), now=T0)
    house.log.append("im07", samples(5), shaped(5), now=T0 + SECOND)
    assert check(house.lake) == []


_LEDGER = "SELECT * FROM ledger {where} ORDER BY hour, source, tag, site, stored"


_HOUR = T0 // HOUR * HOUR


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["right", "twice", "missing", "written"]), st.integers(0, 4)),
        min_size=2,
        max_size=8,
    ),
    half_hours=st.tuples(st.integers(-1, 4), st.integers(4, 12)),
)
def test_a_bounded_ledger_says_for_its_window_what_the_whole_one_says(
    steps: list[tuple[str, int]], half_hours: tuple[int, int]
) -> None:
    """Counted, stored in files and in the tail, stored too much and too little."""
    start, end = (_HOUR + number * HOUR // 2 for number in half_hours)
    window = {"start": to_datetime(start), "end": to_datetime(end)}
    with TemporaryDirectory() as folder, closing(House(Path(folder), plant())) as house:
        house.writer.verify()
        for step, hour in steps:
            _take(step, house, hour * 3600)
        where = "WHERE hour >= $start AND hour < $end"
        whole = house.lake.query(_LEDGER.format(where=where), window)
        bounded = house.lake.query(_LEDGER.format(where=""), ledger=(start, end))
        assert bounded.to_pylist() == whole.to_pylist()


def _take(step: str, house: House, at: int) -> None:
    match step:
        case "right":
            house.add(at, 3)
        case "twice":
            house.log.append("im07", None, Shaped(rows=[cycles(at, 2)]), now=T0)
        case "missing":
            count = Count("im07", "t2", _HOUR + at * SECOND, received=2, good=2, shaped=2)
            house.log.append("im07", samples(at, 2), Shaped(counts=[count]), now=T0)
        case _:
            house.writer.write_once()
