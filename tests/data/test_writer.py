"""Exactly once: with second writers, changed models, logs and lakes that went back."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from isthmus.base.problem import ProblemsError
from isthmus.data import delta
from isthmus.data.contract import lake_rows
from isthmus.data.ledger import check
from isthmus.data.writer import Pace, Writer
from isthmus.flow.parcel import DamagedError, Rows
from isthmus.model.spec.block import BlockField
from isthmus.testing.small_company import T0, House, cycle_block, cycles, plant


def test_rows_carry_the_parcel_they_came_in(house: House) -> None:
    house.add(0)
    house.add(1, 2)
    house.writer.write_once()
    found = house.lake.query("SELECT _site, _date, _epoch, _seq FROM cycle ORDER BY time")
    assert found["_seq"].to_pylist() == [1, 2, 2]
    assert set(found["_epoch"].to_pylist()) == {house.log.epoch}
    assert [str(day) for day in found["_date"].to_pylist()] == ["2026-11-17"] * 3


def test_a_commit_is_due_by_parcels_or_by_time(house: House) -> None:
    patient = Writer(house.root / "lake", {"h": house.log}, house.plant, Pace(3, 3600.0))
    hasty = Writer(house.root / "lake", {"h": house.log}, house.plant, Pace(1000, 0.0))
    nothing = (patient.due(), hasty.due())
    house.add(0)
    one = (patient.due(), hasty.due())
    house.add(1)
    house.add(2)
    assert (nothing, one, patient.due()) == ((False, False), (False, True), True)


def test_written_rows_are_forgotten_by_the_log_but_not_by_the_lake(house: House) -> None:
    house.add(0, 3)
    written = house.writer.write_once()
    assert (written.rows, written.commits) == ({"cycle": 3}, 1)
    assert house.log.read("rows", 0) == []
    assert house.writer.write_once().commits == 0
    assert house.numbers() == [0, 1, 2]


def test_a_row_goes_to_the_partition_of_its_own_date(house: House) -> None:
    house.add(0)
    house.add(86_400)
    house.writer.write_once()
    days = sorted(path.name for path in house.table.glob("_site=hamburg/*"))
    assert days == ["_date=2026-11-17", "_date=2026-11-18"]


def test_two_writers_write_every_row_once(house: House) -> None:
    other = Writer(house.root / "lake", {"hamburg": house.log}, house.plant)
    other.verify()
    for number in range(20):
        house.add(number)
        (house.writer, other)[number % 2].write_once()
    assert house.numbers() == list(range(20))


def test_a_writer_that_was_overtaken_writes_nothing_twice(house: House) -> None:
    """Both read the table before either of them commits."""
    house.add(0)
    first, second = delta.open_table(house.table), delta.open_table(house.table)
    (parcel,) = house.log.read("rows", 0)
    rows = lake_rows(parcel, house.writer.schemas["cycle"])
    stamp = delta.Stamp(delta.app_id("cycle", "hamburg", house.log.epoch), 1)
    delta.append(first, house.table, rows, stamp)
    with pytest.raises(Exception, match="Concurrent transaction"):
        delta.append(second, house.table, rows, stamp)
    assert house.numbers() == [0]


def test_tables_stay_readable_for_every_engine(house: House) -> None:
    house.add(0)
    house.writer.write_once()
    protocol = DeltaTable(house.table).protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    assert DeltaTable(house.table).to_pyarrow_table().num_rows == 1


def test_a_hole_in_the_log_stops_the_writer_before_it_gets_into_the_lake(house: House) -> None:
    for number in range(3):
        house.add(number)
    house.log._db.execute("DELETE FROM rows WHERE seq = 2")
    with pytest.raises(DamagedError, match="rows parcel 2"):
        house.writer.write_once()
    assert DeltaTable(house.table).version() == 0


# Contract -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"good": [1.5]}, "`good` is int64 in the table and double in the rows"),
        ({"melt_temp": ["hot"]}, "`melt_temp` is double in the table and string in the rows"),
        ({"melt_temp": [2**53 + 1]}, "`melt_temp` is double in the table and int64 in the rows"),
        ({"pressure": [1.0]}, "the table has no column `pressure`"),
        ({"machine": pa.array([None], pa.string())}, "`machine` is null in 1 rows"),
    ],
)
def test_nothing_is_cast_silently(house: House, columns: dict[str, object], said: str) -> None:
    house.log.append_rows([cycles(0, **columns)], now=T0)
    written = house.writer.write_once()
    assert [said in problem.message for problem in written.problems] == [True]
    assert (written.rows, house.log.confirmed("rows")) == ({}, 0)


def test_the_same_values_in_another_layout_are_taken(house: House) -> None:
    machine = cycles(0).table["machine"].cast(pa.string_view())
    house.log.append_rows(
        [cycles(0, machine=machine, good=pa.array([1], pa.int16()), melt_temp=[7])], now=T0
    )
    house.log.append_rows([Rows("cycle", cycles(1).table.drop_columns(["good"]))], now=T0)
    assert house.writer.write_once().rows == {"cycle": 2}
    found = house.lake.query("SELECT good, melt_temp FROM cycle ORDER BY time")
    assert found.to_pylist() == [{"good": 1, "melt_temp": 7.0}, {"good": None, "melt_temp": 1.0}]


def test_one_table_that_stands_still_does_not_hold_up_the_others(house: House) -> None:
    order = Rows("stop_reason", pa.table({"id": ["a"], "reason": [7]}))
    house.log.append_rows([order], now=T0)
    house.add(0)
    written = house.writer.write_once()
    again = house.writer.write_once()
    assert (written.rows, again.rows) == ({"cycle": 1}, {})
    assert house.numbers() == [0]
    assert len(house.log.read("rows", 0)) == 2


# A changed model ------------------------------------------------------------------------------


def test_a_new_field_becomes_a_column_and_old_rows_have_null(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    house.writer.verify()
    house.add(0)
    house.writer.write_once()
    block = cycle_block(clamp_force=BlockField(type="number"))
    house = make_house(plant({"cycle": block}))
    house.writer.verify()
    house.log.append_rows([cycles(1, clamp_force=[5.0])], now=T0)
    tail = house.lake.query("SELECT clamp_force FROM cycle ORDER BY time")
    house.writer.write_once()
    stored = house.lake.query("SELECT clamp_force FROM cycle ORDER BY time")
    assert tail["clamp_force"].to_pylist() == stored["clamp_force"].to_pylist() == [None, 5.0]


def test_integers_become_doubles_without_losing_a_row_or_the_offset(
    make_house: Callable[..., House],
) -> None:
    house = make_house(plant({"cycle": cycle_block("integer")}))
    house.writer.verify()
    house.log.append_rows([cycles(0, melt_temp=[230])], now=T0)
    house.writer.write_once()
    house.log.append_rows([cycles(1, melt_temp=[231])], now=T0)
    house = make_house(plant({"cycle": cycle_block("number")}))
    house.writer.verify()
    house.log.append_rows([cycles(2, melt_temp=[231.5])], now=T0)
    house.writer.write_once()
    found = house.lake.query("SELECT melt_temp, _seq FROM cycle ORDER BY time")
    assert found["melt_temp"].to_pylist() == [230.0, 231.0, 231.5]
    assert found["_seq"].to_pylist() == [1, 2, 3]


def test_integers_beyond_the_exact_doubles_are_not_widened(
    make_house: Callable[..., House],
) -> None:
    house = make_house(plant({"cycle": cycle_block("integer")}))
    house.writer.verify()
    house.log.append_rows([cycles(0, melt_temp=[2**53 + 1])], now=T0)
    house.writer.write_once()
    with pytest.raises(ProblemsError, match="have no exact double"):
        make_house(plant({"cycle": cycle_block("number")})).writer.verify()


def test_any_other_change_of_type_is_refused_with_what_to_do(
    make_house: Callable[..., House],
) -> None:
    make_house(plant({"cycle": cycle_block("number")})).writer.verify()
    house = make_house(plant({"cycle": cycle_block("text")}))
    with pytest.raises(ProblemsError, match="keeps `melt_temp` as double, the model now says") as e:
        house.writer.verify()
    assert e.value.problems[0].code == "D010"
    assert "new name" in e.value.problems[0].hint


# Logs and lakes that went back ----------------------------------------------------------------


def test_a_log_restored_with_its_watermark_gets_a_new_epoch(
    make_house: Callable[..., House], tmp_path: Path
) -> None:
    house = make_house()
    house.writer.verify()
    house.add(0)
    house.close()
    shutil.copytree(tmp_path / "log", tmp_path / "backup")
    house = make_house()
    for number in range(1, 4):
        house.add(number)
    house.writer.verify()
    house.writer.write_once()
    house.close()
    shutil.rmtree(tmp_path / "log")
    shutil.copytree(tmp_path / "backup", tmp_path / "log")
    house = make_house()
    problems = house.writer.verify()
    house.add(9)  # its sequence was used before, so the old epoch would have swallowed it
    house.writer.write_once()
    assert [problem.code for problem in problems] == ["D005"]
    assert house.numbers() == [0, 1, 2, 3, 9]


def test_a_lake_that_went_back_is_named(make_house: Callable[..., House], tmp_path: Path) -> None:
    house = make_house()
    house.writer.verify()
    house.add(0)
    house.writer.write_once()
    shutil.copytree(tmp_path / "lake", tmp_path / "backup")
    house.add(1)
    house.writer.write_once()
    shutil.rmtree(tmp_path / "lake")
    shutil.copytree(tmp_path / "backup", tmp_path / "lake")
    with pytest.raises(ProblemsError, match="rows up to 2, but the lake has them up to 1 only"):
        make_house().writer.verify()


def test_a_lost_log_begins_a_new_epoch_and_the_lake_goes_on(
    make_house: Callable[..., House], tmp_path: Path
) -> None:
    house = make_house()
    house.writer.verify()
    house.add(0, 2)
    house.writer.write_once()
    house.close()
    shutil.rmtree(tmp_path / "log")
    house = make_house()
    house.writer.verify()
    house.add(2)
    house.writer.write_once()
    assert house.numbers() == [0, 1, 2]
    assert [problem.code for problem in check(house.lake)] == ["L002"]  # its counts went with it


def test_a_field_that_left_the_model_keeps_its_column_and_waiting_rows(
    make_house: Callable[..., House],
) -> None:
    force = BlockField(type="number")
    house = make_house(plant({"cycle": cycle_block(clamp_force=force)}))
    house.writer.verify()
    house.log.append_rows([cycles(0, clamp_force=[5.0])], now=T0)
    house.writer.write_once()
    house.log.append_rows([cycles(1, clamp_force=[6.0])], now=T0)
    house = make_house(plant())
    house.writer.verify()
    house.log.append_rows([cycles(2)], now=T0)
    before = house.lake.query("SELECT clamp_force FROM cycle ORDER BY time")
    assert house.writer.write_once().problems == []
    after = house.lake.query("SELECT clamp_force FROM cycle ORDER BY time")
    assert before["clamp_force"].to_pylist() == after["clamp_force"].to_pylist() == [5.0, 6.0, None]


def test_a_block_that_left_the_model_keeps_its_table_and_waiting_rows(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    house.writer.verify()
    house.add(0)
    house.writer.write_once()
    house.add(1)
    house = make_house(plant({"energy": cycle_block()}))
    house.writer.verify()
    assert house.writer.write_once().rows == {"cycle": 1}
    assert house.numbers() == [0, 1]
    assert check(house.lake) == []


def test_a_changed_model_is_taken_over_while_running(house: House) -> None:
    house.add(0)
    changed = plant({"cycle": cycle_block(clamp_force=BlockField(type="number"))})
    house.writer.adopt(changed)
    house.lake.adopt(changed)
    house.log.append_rows([cycles(1, clamp_force=[5.0])], now=T0)
    before = house.lake.query("SELECT clamp_force FROM cycle ORDER BY time")
    assert house.writer.write_once().rows == {"cycle": 2}
    assert before["clamp_force"].to_pylist() == [None, 5.0]
    assert house.numbers() == [0, 1]
