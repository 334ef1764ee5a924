"""What becomes of a sample: a value of a row, a quarantined value, or unmapped."""

import math

import pytest

from isthmus.base.clock import DAY, HOUR, MINUTE
from isthmus.field.shape import Mapping, shape, unknown_rows
from isthmus.flow.parcel import BAD, SAMPLES_SCHEMA, UNCERTAIN, Shaped
from isthmus.model.plant import FieldMap
from isthmus.testing.one_source import (
    T0,
    field,
    plant,
    readable,
    rows,
    sample,
    samples,
    total,
    values,
)

PACKML = (("3", "execute"), ("7", "aborted"), ("RUN", "execute"))


def shaped(*came: dict, maps: tuple[FieldMap, ...]) -> Shaped:
    return shape(samples(*came), Mapping.of(*plant(*maps)), None, now=T0)


def one(value: float | str | None, path: str, **options: object) -> Shaped:
    return shaped(sample("t", value), maps=(field("a", path, "t", **options),))


def code(result: Shaped) -> list[str]:
    assert not any(table.table.num_rows for table in result.rows)
    return [entry.code for entry in result.quarantined]


def test_fields_told_at_one_device_time_share_a_row() -> None:
    maps = (field("a", "cycle.melt_temp", "t"), field("a", "cycle.cavities", "c"))
    result = shaped(sample("t", 210.5), sample("c", 4), maps=maps)
    assert rows(result, "cycle") == [
        {
            "machine": "a",
            "time": 0.0,
            "melt_temp": 210.5,
            "cavities": 4,
            "_samples": 2,
            "_quality": 0,
        }
    ]


def test_fields_that_did_not_come_are_null() -> None:
    maps = (field("a", "cycle.melt_temp", "t"), field("a", "cycle.cavities", "c"))
    assert values(shaped(sample("t", 210.5), maps=maps), "cycle", "cavities") == [None]


def test_machines_and_times_have_rows_of_their_own() -> None:
    maps = (field("a", "cycle.melt_temp", "a.t"), field("b", "cycle.melt_temp", "b.t"))
    result = shaped(sample("a.t", 1), sample("b.t", 2), sample("a.t", 3, at=1), maps=maps)
    found = [(row["machine"], row["time"], row["melt_temp"]) for row in rows(result, "cycle")]
    assert found == [("a", 0.0, 1.0), ("b", 0.0, 2.0), ("a", 1.0, 3.0)]


def test_one_tag_may_feed_several_machines_and_counts_once() -> None:
    maps = (field("a", "cycle.melt_temp", "t"), field("b", "cycle.melt_temp", "t"))
    result = shaped(sample("t", 5), maps=maps)
    assert values(result, "cycle", "melt_temp") == [5.0, 5.0]
    assert sum(values(result, "cycle", "_samples")) == result.counts[0].shaped == 1


def test_a_sample_one_of_two_fields_took_is_shaped_and_named_in_quarantine() -> None:
    maps = (field("a", "cycle.melt_temp", "t", max=10.0), field("b", "cycle.melt_temp", "t"))
    result = shaped(sample("t", 50), maps=maps)
    assert [(count.shaped, count.quarantined) for count in result.counts] == [(1, 0)]
    assert [entry.machine[-1] for entry in result.quarantined] == ["a"]
    assert total([result], "cycle", "_samples") == 1


def test_a_field_told_twice_at_one_time_makes_two_rows_in_order_of_arrival() -> None:
    maps = (field("a", "cycle.melt_temp", "t"),)
    result = shaped(sample("t", 1), sample("t", 2), maps=maps)
    assert values(result, "cycle", "melt_temp") == [1.0, 2.0]


def test_samples_of_two_hours_do_not_share_a_row() -> None:
    maps = (field("a", "cycle.melt_temp", "t"), field("a", "cycle.cavities", "c"))
    came = (sample("t", 1, received=3599), sample("c", 2, received=3601))
    result = shaped(*came, maps=maps)
    assert len(rows(result, "cycle")) == 2
    assert [count.hour for count in result.counts] == [T0, T0 + HOUR]


def test_scale_and_offset_give_the_unit_of_the_block() -> None:
    result = one(212.0, "cycle.melt_temp", scale=5 / 9, offset=-160 / 9)
    assert values(result, "cycle", "melt_temp") == [pytest.approx(100.0)]


@pytest.mark.parametrize("value", [3.0, "3", "3.0"])
def test_a_code_may_come_as_number_or_as_text(value: float | str) -> None:
    result = one(value, "machine_state.state", codes=PACKML)
    assert values(result, "machine_state", "state") == ["execute"]


def test_a_code_may_be_a_word() -> None:
    assert values(one("RUN", "machine_state.state", codes=PACKML), "machine_state", "state") == [
        "execute"
    ]


def test_without_codes_a_state_comes_by_its_name() -> None:
    result = one("execute", "machine_state.state", names=("execute", "idle"))
    assert values(result, "machine_state", "state") == ["execute"]


@pytest.mark.parametrize("value", [9.0, 3.5, "run", ""])
def test_an_unknown_code_is_quarantined(value: float | str) -> None:
    assert code(one(value, "machine_state.state", codes=PACKML)) == ["Q012"]


def test_the_reason_names_the_value_and_the_codes_there_are() -> None:
    [entry] = one(9.0, "machine_state.state", codes=PACKML).quarantined
    assert entry.reason == "`9` is no code of `machine_state.state`; known: 3, 7, RUN"


@pytest.mark.parametrize(
    ("value", "expected"), [(1.0, True), (0.0, False), ("true", True), ("False", False)]
)
def test_booleans(value: float | str, expected: bool) -> None:  # noqa: FBT001
    assert values(one(value, "cycle.door_open"), "cycle", "door_open") == [expected]


@pytest.mark.parametrize("value", [2.0, "yes", 0.5])
def test_what_is_neither_true_nor_false_is_quarantined(value: float | str) -> None:
    assert code(one(value, "cycle.door_open")) == ["Q011"]


def test_an_integer_is_never_cut() -> None:
    assert code(one(1.5, "cycle.cavities")) == ["Q007"]


def test_a_scaled_integer_may_be_whole_but_for_binary_fractions() -> None:
    assert values(one(30, "cycle.cavities", scale=0.1), "cycle", "cavities") == [3]
    assert code(one(31, "cycle.cavities", scale=0.1)) == ["Q007"]


def test_integers_beyond_double_precision_come_as_text_and_stay_exact() -> None:
    assert values(one("9007199254740993", "cycle.cavities"), "cycle", "cavities") == [
        9007199254740993
    ]


@pytest.mark.parametrize("value", [1e19, -1e19, "9223372036854775808"])
def test_integers_beyond_64_bits_are_quarantined(value: float | str) -> None:
    assert code(one(value, "cycle.cavities")) == ["Q008"]


def test_a_number_written_as_text_is_a_number() -> None:
    assert values(one("21.5", "cycle.melt_temp"), "cycle", "melt_temp") == [21.5]


@pytest.mark.parametrize("value", ["hot", "21,5", " 21", "0x1F", "nan", "1_000"])
def test_other_text_for_a_number_is_quarantined(value: str) -> None:
    assert code(one(value, "cycle.melt_temp")) == ["Q005"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_quarantined(value: float) -> None:
    assert code(one(value, "cycle.melt_temp")) == ["Q006"]


def test_values_outside_the_limits_are_quarantined() -> None:
    limits = {"min": 0.0, "max": 350.0}
    assert code(one(-0.1, "cycle.melt_temp", **limits)) == ["Q009"]
    assert code(one(350.1, "cycle.melt_temp", **limits)) == ["Q010"]
    assert values(one(350.0, "cycle.melt_temp", **limits), "cycle", "melt_temp") == [350.0]


def test_text_is_kept_as_it_came() -> None:
    assert values(one("Schließen ✓", "cycle.program"), "cycle", "program") == ["Schließen ✓"]


def test_a_number_in_a_text_field_is_written_as_people_do() -> None:
    assert values(one(1234.0, "cycle.program"), "cycle", "program") == ["1234"]
    assert values(one(0.5, "cycle.program"), "cycle", "program") == ["0.5"]


def test_long_text_is_quarantined_and_cut_there() -> None:
    result = one("x" * 1_000_000, "cycle.program")
    assert code(result) == ["Q013"]
    assert len(result.quarantined[0].value) == 1_000


def test_a_good_sample_without_value_is_quarantined() -> None:
    assert code(one(None, "cycle.melt_temp")) == ["Q004"]


def test_device_times_that_cannot_be_are_quarantined() -> None:
    maps = (field("a", "cycle.melt_temp", "t"),)
    unset = sample("t", 1) | {"device_time": 0}
    ahead = sample("t", 1) | {"device_time": T0 + 5 * MINUTE + 1}
    allowed = sample("t", 1) | {"device_time": T0 + 5 * MINUTE}
    result = shaped(unset, ahead, allowed, maps=maps)
    assert [entry.code for entry in result.quarantined] == ["Q002", "Q003"]
    assert len(rows(result, "cycle")) == 1


def test_a_bad_sample_is_a_row_without_value() -> None:
    maps = (field("a", "cycle.melt_temp", "t"),)
    result = shaped(sample("t", 17, quality=BAD), maps=maps)
    assert rows(result, "cycle") == [{"machine": "a", "time": 0.0, "_samples": 1, "_quality": 2}]
    assert [(count.bad, count.shaped) for count in result.counts] == [(1, 1)]


def test_a_bad_sample_with_an_unset_clock_still_makes_the_value_unknown() -> None:
    maps = (field("a", "cycle.melt_temp", "t"),)
    result = shaped(sample("t", None, quality=BAD) | {"device_time": 0}, maps=maps)
    assert [(row["time"], row["_quality"]) for row in rows(result, "cycle")] == [(0.0, 2)]


def test_an_uncertain_value_is_kept_and_marked() -> None:
    maps = (field("a", "cycle.melt_temp", "t"), field("a", "cycle.cavities", "c"))
    result = shaped(sample("t", 17, quality=UNCERTAIN), sample("c", 4), maps=maps)
    [row] = rows(result, "cycle")
    assert (row["melt_temp"], row["_quality"]) == (17.0, 1)


def test_what_could_not_be_decoded_is_quarantined_with_its_text() -> None:
    maps = (field("a", "cycle.melt_temp", "t"),)
    result = shaped(sample("t", '{"temp": 2', quality=0x8007_0000), maps=maps)
    assert [(entry.code, entry.value) for entry in result.quarantined] == [("Q001", '{"temp": 2')]


def test_a_bad_state_is_unknown() -> None:
    maps = (field("a", "machine_state.state", "s", codes=PACKML),)
    result = shaped(sample("s", 3), sample("s", None, 5, quality=BAD), maps=maps)
    assert values(result, "machine_state", "state") == ["execute", None]
    assert values(result, "machine_state", "_quality") == [0, 2]


def test_another_bad_field_does_not_make_the_state_unknown() -> None:
    maps = (
        field("a", "machine_state.state", "s", codes=PACKML),
        field("a", "machine_state.mode", "m", names=("production",)),
    )
    mapping = Mapping.of(*plant(*maps))
    first = shape(samples(sample("s", 3)), mapping, None, now=T0)
    second = shape(samples(sample("m", None, 9, quality=BAD)), mapping, first.state, now=T0)
    [row] = rows(second, "machine_state")
    assert (row["state"], row.get("mode"), row["_quality"]) == ("execute", None, 2)


def test_a_tag_no_mapping_knows_is_unmapped() -> None:
    result = shaped(sample("other", 1), maps=(field("a", "cycle.melt_temp", "t"),))
    assert [(count.tag, count.received, count.unmapped) for count in result.counts] == [
        ("other", 1, 1)
    ]


def test_samples_that_come_much_later_count_as_late() -> None:
    maps = (field("a", "cycle.melt_temp", "t"),)
    result = shaped(sample("t", 1, received=60), sample("t", 1, received=60.001), maps=maps)
    assert [count.late for count in result.counts] == [1]


def test_no_samples_make_no_rows() -> None:
    mapping = Mapping.of(*plant(field("a", "cycle.melt_temp", "t")))
    result = shape(SAMPLES_SCHEMA.empty_table(), mapping, None, now=T0 + DAY)
    assert (result.rows, result.quarantined, [*result.counts]) == ([], [], [])


def test_unknown_rows_say_of_every_block_of_every_machine_that_nobody_knows() -> None:
    source, whole = plant(
        field("a", "machine_state.state", "s", codes=PACKML),
        field("a", "part_count.good", "g"),
        field("b", "machine_state.state", "t", codes=PACKML),
    )
    found = {
        part.name: [readable(row) for row in part.table.to_pylist()]
        for part in unknown_rows(source, whole, T0)
    }
    nothing = {"time": 0.0, "_samples": 0, "_quality": 2}
    assert found == {
        "machine_state": [{"machine": "a"} | nothing, {"machine": "b"} | nothing],
        "part_count": [{"machine": "a"} | nothing],
    }


def test_rows_have_the_columns_of_their_block_with_its_types() -> None:
    result = one(1, "cycle.melt_temp")
    [unknown] = unknown_rows(*plant(field("a", "cycle.melt_temp", "t")), T0)
    assert result.rows[0].table.schema == unknown.table.schema
    assert [str(column.type) for column in unknown.table.schema] == [
        "string", "timestamp[us, tz=UTC]", "double", "int64", "bool", "string",
        "string", "timestamp[us, tz=UTC]", "int32", "int16",
    ]  # fmt: skip
