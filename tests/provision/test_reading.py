# ruff: noqa: DTZ001 - wall times carry no zone; that is what is read here
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from isthmus.base.clock import iso, parse_time
from isthmus.provision.columns import ColumnMap, check_columns
from isthmus.provision.entities import ENTITIES, ORDER_STATES
from isthmus.provision.reading import Reading, read

PRESS = "acme/hamburg/moulding/line-1/im-07"
READING = Reading(ZoneInfo("Europe/Berlin"), {"WC-100": PRESS, "WC-9": "acme/gone"},
                  frozenset([PRESS]))  # fmt: skip
COLUMNS = TypeAdapter(ColumnMap)


def value(entity, field, raw, reading=READING, **column):
    """What becomes of one value: the value itself, or the code of its fault."""
    given_ = dict.fromkeys(("key", "material", "production_order"), "x") | {"own": raw}
    columns = {
        item.name: {"column": item.name} for item in ENTITIES[entity].fields if item.required
    } | {field: {"column": "own", **column}}
    found = read(entity, COLUMNS.validate_python(columns), given_, reading)
    faults = {fault.field: fault.code for fault in found.faults}
    return faults.get(field, found.values[field])


def reason(entity, field, raw, **column):
    columns = COLUMNS.validate_python(
        {"key": {"value": "K"}, "production_order": {"value": "O"}, "material": {"value": "M"},
         field: {"column": "own", **column}}
    )  # fmt: skip
    kept = {name: item for name, item in columns.items()
            if name in {each.name for each in ENTITIES[entity].fields}}  # fmt: skip
    (fault,) = read(entity, kept, {"own": raw}, READING).faults
    return fault.reason


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("  4711 ", "4711"), (4711.0, "4711"), (4711, "4711"), (Decimal("4711.00"), "4711"),
        ("0004711", "0004711"), ("M\u00fcller", "Müller"), ("a" * 200, "a" * 200),
        ("", "Q101"), (None, "Q101"), ("\u00a0", "Q101"), ("a" * 1_000_000, "Q109"),
        ("a\x00b", "Q109"), ("\ud800", "Q109"), (b"\xff", "Q109"),
    ],
)  # fmt: skip
def test_key_is_what_a_person_would_write(raw, text):
    assert value("production_order", "key", raw) == text


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (500, 500.0), (0, 0.0), ("500", 500.0), ("12.5", 12.5), (Decimal("12.5"), 12.5),
        (-1, "Q104"), ("-1", "Q104"), (float("nan"), "Q103"), (float("inf"), "Q103"),
        ("1e400", "Q103"), ("1.234,5", "Q103"), ("1,5", "Q103"), ("viel", "Q103"),
        (True, "Q103"), (datetime(2026, 1, 1), "Q103"), ("", None), (None, None),
    ],
)  # fmt: skip
def test_quantity_is_a_number_that_is_not_negative(raw, number):
    assert value("production_order", "quantity", raw) == number


@pytest.mark.parametrize(
    ("decimal", "thousands", "written", "number"),
    [
        (",", ".", "1.234,5", 1234.5), (",", ".", "1234,5", 1234.5), (",", ".", "1.234", 1234.0),
        (",", "", "1.234", "Q103"), (",", ".", "12.34", "Q103"), (".", ",", "1,234.5", 1234.5),
        (",", " ", "1\u00a0234\u00a0567,5", 1234567.5), (",", "", "0,5", 0.5),
    ],
)  # fmt: skip
def test_decimal_and_thousands_signs_are_the_declared_ones(decimal, thousands, written, number):
    reading = Reading(READING.zone, {}, frozenset(), decimal, thousands)
    assert value("production_order", "quantity", written, reading) == number


@pytest.mark.parametrize(
    ("raw", "column", "seconds"),
    [
        (28, {}, 28.0), (0.5, {"unit": "min"}, 30.0), (120, {"unit": "/h"}, 30.0),
        (2, {"unit": "/min"}, 30.0), (50, {"unit": "min", "scale": 0.01}, 30.0),
        (timedelta(seconds=28), {}, 28.0), (0, {}, "Q104"), (-5, {}, "Q104"),
    ],
)  # fmt: skip
def test_ideal_cycle_is_in_seconds_whatever_the_system_counts_in(raw, column, seconds):
    assert value("operation", "ideal_cycle_s", raw, **column) == seconds


@pytest.mark.parametrize(
    ("raw", "column", "at"),
    [
        (datetime(2026, 11, 17, 6), {}, "2026-11-17T05:00:00Z"),
        (datetime(2026, 7, 17, 6), {}, "2026-07-17T04:00:00Z"),
        (datetime(2026, 11, 17, 6, tzinfo=UTC), {}, "2026-11-17T06:00:00Z"),
        (date(2026, 11, 17), {}, "2026-11-16T23:00:00Z"),
        ("2026-11-17T06:00:00+01:00", {}, "2026-11-17T05:00:00Z"),
        ("2026-11-17 06:00:00.000000", {}, "2026-11-17T05:00:00Z"),
        ("17.11.2026 06:00", {"format": "%d.%m.%Y %H:%M"}, "2026-11-17T05:00:00Z"),
        (20261117060000, {"format": "%Y%m%d%H%M%S"}, "2026-11-17T05:00:00Z"),
        (46343.25, {"format": "excel"}, "2026-11-17T05:00:00Z"),
        (1794891600, {"format": "epoch_s"}, "2026-11-17T05:00:00Z"),
        ("1794891600000", {"format": "epoch_ms"}, "2026-11-17T05:00:00Z"),
        ("2026-03-29 02:30", {}, "2026-03-29T01:00:00Z"),  # skipped: the moment of the jump
        ("2026-10-25 02:30", {}, "2026-10-25T00:30:00Z"),  # twice: the first
    ],
)  # fmt: skip
def test_time_is_local_unless_it_says_otherwise(raw, column, at):
    assert iso(value("production_order", "due", raw, **column)) == at


@pytest.mark.parametrize(
    ("raw", "column", "code"),
    [
        ("17.11.2026", {}, "Q105"), ("2026-02-30", {}, "Q105"), ("soon", {}, "Q105"),
        (46343.25, {}, "Q105"), (True, {}, "Q105"), ("31.02.2026", {"format": "%d.%m.%Y"}, "Q105"),
        (float("nan"), {"format": "excel"}, "Q105"), (1e300, {"format": "epoch_s"}, "Q111"),
        (1e300, {"format": "excel"}, "Q105"), (float("inf"), {"format": "epoch_ms"}, "Q105"),
        ("9999-12-31", {}, "Q111"), ("0001-01-01", {}, "Q111"), (date(1900, 1, 1), {}, "Q111"),
    ],
)  # fmt: skip
def test_bad_time_is_named(raw, column, code):
    assert value("production_order", "due", raw, **column) == code


def test_values_declared_empty_mean_nothing():
    empty = ["00000000", "9999-12-31"]
    for raw in ("00000000", "9999-12-31", date(9999, 12, 31), datetime(9999, 12, 31)):
        assert value("production_order", "due", raw, empty=empty) is None


def test_key_and_time_may_be_joined_from_several_columns():
    columns = COLUMNS.validate_python({
        "key": ["AUFNR", "VORNR"], "production_order": "AUFNR",
        "actual_start": {"column": ["DATUM", "ZEIT"], "format": "%Y%m%d %H%M%S"},
        "planned_start": ["TAG", "UHR"],
    })  # fmt: skip
    raw = {
        "AUFNR": "4711", "VORNR": "0010", "DATUM": "20261117", "ZEIT": "060000",
        "TAG": date(2026, 11, 17), "UHR": time(6),
    }  # fmt: skip
    values = read("operation", columns, raw, READING).values
    assert values["key"] == "4711/0010"
    assert values["actual_start"] == values["planned_start"] == parse_time("2026-11-17T05:00Z")
    faults = read("operation", columns, raw | {"VORNR": None}, READING).faults
    assert [(fault.code, fault.reason) for fault in faults] == [
        ("Q101", "`key` needs `VORNR`, which is empty")
    ]


def test_machine_is_found_by_the_systems_own_key_or_by_its_asset_path():
    assert value("operation", "machine", "WC-100") == PRESS
    assert value("operation", "machine", PRESS) == PRESS
    assert value("operation", "machine", "") is None


def test_unknown_machine_names_the_nearest_one():
    assert value("operation", "machine", "WC-101") == "Q107"
    assert reason("operation", "machine", "WC-101").endswith("did you mean `WC-100`?")
    assert "which the model does not have" in reason("operation", "machine", "WC-9")


def test_codes_become_our_words_and_other_codes_are_named():
    codes = {"FREI": "released", 7: "completed"}
    assert value("production_order", "state", "FREI", codes=codes) == "released"
    assert value("production_order", "state", 7.0, codes=codes) == "completed"
    assert value("production_order", "state", "TEIL", codes=codes) == "Q108"
    assert value("production_order", "state", ORDER_STATES[2]) == "started"
    assert value("production_order", "state", "FREI") == "Q108"


@pytest.mark.parametrize(("raw", "flag"), [
    ("X", True), (1, True), ("true", True), (False, False), ("0", False), ("", False),
    (None, False), ("maybe", "Q108"),
])  # fmt: skip
def test_withdrawn_is_true_or_false(raw, flag):
    assert value("production_order", "withdrawn", raw) == flag


def test_end_before_start_is_a_fault_and_every_fault_is_told():
    columns = COLUMNS.validate_python({
        "key": "nr", "production_order": "nr", "quantity": "menge",
        "actual_start": "von", "actual_end": "bis", "machine": "platz",
    })  # fmt: skip
    raw = {
        "nr": "1", "menge": -4, "von": "2026-11-17 06:00", "bis": "2026-11-17 05:59", "platz": "?",
    }  # fmt: skip
    faults = read("operation", columns, raw, READING).faults
    assert [(fault.code, fault.field) for fault in faults] == [
        ("Q107", "machine"), ("Q104", "quantity"), ("Q106", "actual_end"),
    ]  # fmt: skip


@given(
    entity=st.sampled_from(sorted(ENTITIES)),
    raw=st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
        st.decimals(), st.datetimes(), st.dates(), st.times(), st.timedeltas(),
    ),
    written=st.sampled_from([None, "excel", "epoch_s", "%d.%m.%Y"]),
)  # fmt: skip
def test_whatever_comes_is_read_or_named_never_a_crash(entity, raw, written):
    for item in ENTITIES[entity].fields:
        column = {"format": written} if item.kind == "time" else {}
        found = value(entity, item.name, raw, **column)
        assert found is None or isinstance(found, str | float | int)


@pytest.mark.parametrize(
    ("entity", "columns", "says"),
    [
        ("material", {"key": "a", "cycle": "b"}, "`material` has no field `cycle`"),
        ("material", {"key": "a", "ideal_cycle": "b"}, "did you mean `ideal_cycle_s`"),
        ("production_order", {"key": "a"}, "needs a column for `material`"),
        ("material", {"key": {"column": "a", "format": "%Y"}}, "no `format`"),
        ("material", {"key": "a", "name": {"column": "b", "unit": "s"}}, "no `unit`"),
        ("material", {"key": "a", "name": {"column": "b", "scale": 2}}, "no `scale`"),
        ("material", {"key": "a", "ideal_cycle_s": ["b", "c"]}, "cannot be joined from 2"),
    ],
)
def test_columns_that_cannot_be_are_refused_in_the_model(entity, columns, says):
    with pytest.raises(ValueError, match=says):
        check_columns(entity, COLUMNS.validate_python(columns))
