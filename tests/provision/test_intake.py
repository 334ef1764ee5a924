import json
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from isthmus.base.clock import parse_time
from isthmus.provision.columns import ColumnMap
from isthmus.provision.entities import ENTITIES
from isthmus.provision.intake import Known, Origin, intake, versions
from isthmus.provision.reading import Fault, Reading, as_text
from isthmus.provision.system import Delivery, Record

NOW = parse_time("2026-11-17T08:00:00Z")
LATER = parse_time("2026-11-17T09:00:00Z")
COLUMNS = TypeAdapter(ColumnMap).validate_python(
    {"key": "nr", "material": "mat", "quantity": "menge"}
)
ORIGIN = Origin("erp", "production_order", COLUMNS, Reading(ZoneInfo("UTC"), {}, frozenset()))


def delivery(*rows, origin="orders.csv", content="", complete=False):
    records = tuple(
        Record(f"row {place}", dict(zip(("nr", "mat", "menge"), row, strict=True)))
        for place, row in enumerate(rows, 2)
    )
    return Delivery(origin, records, content, complete)


def take(known, *deliveries, now=NOW):
    taken = intake(ORIGIN, deliveries, known, now)
    return taken, known.after(taken)


def keys(taken):
    return [] if taken.rows is None else taken.rows.table["key"].to_pylist()


def test_only_rows_that_differ_are_recorded():
    _, known = take(Known(), delivery(("A", "M1", 5), ("B", "M1", 5)))
    taken, _ = take(known, delivery(("A", "M1", 5), ("B", "M1", 6), ("C", "M1", 1)), now=LATER)
    assert keys(taken) == ["B", "C"]
    assert taken.rows.table["recorded"].unique().to_pylist()[0].hour == 9


def test_recorded_rows_have_the_columns_of_the_table_and_where_they_came_from():
    taken, _ = take(Known(), delivery(("A", "M1", 5)))
    assert taken.rows.name == "production_order"
    assert taken.rows.table.column_names == [
        "system", "key", "material", "quantity", "unit", "due", "state", "recorded", "withdrawn",
        "_source", "_received", "_samples", "_quality",
    ]  # fmt: skip
    assert taken.rows.table.schema.field("recorded").type == ENTITIES[
        "production_order"].schema.field("recorded").type  # fmt: skip
    row = taken.rows.table.to_pylist()[0]
    assert (row["system"], row["_source"], row["_samples"], row["withdrawn"]) == (
        "erp", "erp", 1, False)  # fmt: skip


def test_bad_row_goes_to_quarantine_and_the_others_are_taken():
    taken, _ = take(
        Known(), delivery(("A", "M1", 5), ("B", "M1", -1), ("", "M1", 1), ("D", "M", 2))
    )
    assert keys(taken) == ["A", "D"]
    assert [(item.code, item.tag, item.field) for item in taken.quarantined] == [
        ("Q104", "orders.csv row 3", "quantity"), ("Q101", "orders.csv row 4", "key"),
    ]  # fmt: skip
    assert taken.quarantined[0].value == '{"nr": "B", "mat": "M1", "menge": "-1"}'
    (receipt,) = taken.receipts
    assert (receipt.records, receipt.changed, len(receipt.faults)) == (4, 2, 2)
    assert receipt.faults[0].startswith("row 3: is -1")


def test_bad_row_that_comes_again_is_in_quarantine_once():
    _, known = take(Known(), delivery(("B", "M1", -1)))
    taken, known = take(known, delivery(("B", "M1", -1)))
    assert (taken.quarantined, len(taken.receipts[0].faults)) == ((), 1)
    taken, _ = take(known, delivery(("B", "M1", -2)))
    assert len(taken.quarantined) == 1


def test_same_key_twice_in_one_delivery_keeps_the_last_and_names_the_first():
    taken, _ = take(
        Known(), delivery(("A", "M1", 5), ("A", "M1", 6), ("B", "M1", 1), ("B", "M1", 1))
    )
    assert dict(zip(keys(taken), taken.rows.table["quantity"].to_pylist(), strict=True)) == {
        "A": 6, "B": 1}  # fmt: skip
    assert [(item.code, item.tag, item.reason) for item in taken.quarantined] == [
        ("Q110", "orders.csv row 2", "key `A` comes again at row 3")
    ]


def test_same_bytes_are_taken_once_even_after_a_correction():
    first = delivery(("A", "M1", 5), content="c1")
    _, known = take(Known(), first)
    _, known = take(known, delivery(("A", "M1", 6), content="c2"))
    taken, known = take(known, first)
    assert (taken.rows, taken.receipts[0].repeated) == (None, True)


def test_same_bytes_are_taken_again_when_something_in_them_was_bad():
    bad = delivery(("A", "M1", 5), ("B", "M1", -1), content="c1")
    _, known = take(Known(), bad)
    taken, _ = take(known, bad)
    assert not taken.receipts[0].repeated


def test_later_delivery_of_one_pull_is_the_later_version():
    taken, known = take(Known(), delivery(("A", "M1", 5)), delivery(("A", "M1", 6)))
    recorded = taken.rows.table["recorded"].to_pylist()
    assert recorded[0] < recorded[1]
    assert known.versions["A"][1] == 6


def test_later_version_is_recorded_later_even_when_the_clock_was_set_back():
    first, known = take(Known(), delivery(("A", "M1", 5)), now=LATER)
    second, _ = take(known, delivery(("A", "M1", 6)), now=NOW)
    assert first.rows.table["recorded"][0].as_py() < second.rows.table["recorded"][0].as_py()


def test_key_that_is_missing_in_a_complete_delivery_is_withdrawn_and_may_come_back():
    _, known = take(Known(), delivery(("A", "M1", 5), ("B", "M1", 5)))
    taken, known = take(known, delivery(("A", "M1", 5), complete=True))
    assert [(row["key"], row["withdrawn"], row["quantity"]) for row in
            taken.rows.table.to_pylist()] == [("B", True, 5)]  # fmt: skip
    again, known = take(known, delivery(("A", "M1", 5), complete=True))
    assert again.rows is None
    back, _ = take(known, delivery(("A", "M1", 5), ("B", "M1", 5), complete=True))
    assert [(row["key"], row["withdrawn"]) for row in back.rows.table.to_pylist()] == [("B", False)]


def test_bad_row_in_a_complete_delivery_withdraws_nothing_it_may_stand_for():
    _, known = take(Known(), delivery(("A", "M1", 5), ("B", "M1", 5), ("C", "M1", 5)))
    taken, _ = take(known, delivery(("A", "M1", 5), ("B", "M1", -1), complete=True))
    assert keys(taken) == ["C"]
    taken, _ = take(known, delivery(("A", "M1", 5), ("", "M1", 5), complete=True))
    assert (keys(taken), len(taken.withheld)) == ([], 1)


def test_complete_delivery_that_comes_empty_withdraws_nothing_and_says_so():
    _, known = take(Known(), delivery(("A", "M1", 5)))
    taken, _ = take(known, delivery(complete=True))
    assert (taken.rows, taken.withheld) == (
        None, ("orders.csv: came empty; 1 known records were not withdrawn",))  # fmt: skip


def test_file_that_cannot_be_read_is_named():
    broken = Delivery("x.xlsx", fault=Fault("Q120", "", "is no workbook"))
    taken, _ = take(Known(), broken, delivery(("A", "M1", 5)))
    assert [(item.code, item.tag) for item in taken.quarantined] == [("Q120", "x.xlsx")]
    assert (keys(taken), taken.receipts[0].failed) == (["A"], "is no workbook")


def test_what_the_tables_hold_is_what_is_known():
    taken, known = take(Known(), delivery(("A", "M1", 5), ("B", None, 5), ("C", "M2", None)))
    stored = versions("production_order", taken.rows.table)
    assert (dict(stored.versions), stored.recorded) == (dict(known.versions), known.recorded)


ROW = st.tuples(
    st.sampled_from(["A", "B", "C", "D", ""]), st.sampled_from(["M1", "M2", ""]),
    st.sampled_from([0, 5, 7.5, -1, "x", None]),
)  # fmt: skip


@given(rows=st.lists(ROW, max_size=12))
def test_every_record_is_taken_or_quarantined(rows):
    taken, known = take(Known(), delivery(*rows))
    kept = [json.loads(item.value) for item in taken.quarantined]
    for nr, material, quantity in rows:
        raw = {"nr": nr, "mat": material}
        raw |= {} if quantity is None else {"menge": as_text(quantity)}
        assert raw in kept or known.versions[nr][:2] == (material, quantity)


@given(deliveries=st.lists(st.lists(ROW, max_size=5), min_size=1, max_size=4))
def test_taking_the_same_deliveries_again_changes_nothing(deliveries):
    last = [delivery(*deliveries[-1])]
    _, known = take(Known(), *(delivery(*rows) for rows in deliveries))
    taken, _ = take(known, *last)
    assert (taken.rows, taken.quarantined) == (None, ())


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_result_does_not_depend_on_the_order_in_which_records_of_different_keys_come(order):
    parts = [delivery(("A", "M1", 5)), delivery(("B", "M1", 6)), delivery(("C", "M2", 7))]
    known = Known()
    for number in order:
        _, known = take(known, parts[number])
    assert dict(known.versions) == {
        "A": ("M1", 5, None, None, None, False), "B": ("M1", 6, None, None, None, False),
        "C": ("M2", 7, None, None, None, False),
    }  # fmt: skip
