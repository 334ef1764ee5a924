"""What should not come is named where somebody looks for it, and nothing else is lost by it."""

import asyncio
from typing import Any, NamedTuple

import pytest
from tests.whole import bad_input
from tests.whole.bad_input import CASES, MEGABYTE, SITE, Plant, around
from tests.whole.running import unbalanced

from isthmus.testing.mosquitto import needs_mosquitto

pytestmark = [needs_mosquitto, pytest.mark.timeout(120)]

TEMP, STATE, PARTS = "cell/1#$.temp", "cell/1#$.state", "cell/1#$.parts"
PROGRAM = "cell/1#$.program"
ALL = (TEMP, STATE, PARTS, PROGRAM)


class Told(NamedTuple):
    """What quarantine must say of one value."""

    tag: str
    code: str
    value: str
    """How it begins."""
    reason: str
    """What the sentence contains."""


def unreadable(payload: str) -> list[Told]:
    """A message that cannot be read is missing for every tag of its topic."""
    return [Told(tag, "Q001", payload, "could not be read") for tag in ALL]


def at_a_wrong_time(code: str, reason: str) -> list[Told]:
    values = {TEMP: "50", STATE: "RUN", PARTS: "", PROGRAM: "P7"}
    return [Told(tag, code, value, reason) for tag, value in values.items()]


CELL: dict[str, list[Told]] = {
    "wrong_type": [Told(TEMP, "Q005", "warm", "`process.temp` is of type number, but `warm`")],
    "nan": [Told(TEMP, "Q006", "nan", "which no machine can measure")],
    "infinite": [Told(TEMP, "Q006", "-inf", "which no machine can measure")],
    "too_hot": [Told(TEMP, "Q010", "1200", "above the limit 450 of `process.temp`")],
    "too_cold": [Told(TEMP, "Q009", "-40", "below the limit 0 of `process.temp`")],
    "future": at_a_wrong_time("Q003", "min ahead of our clock"),
    "1970": at_a_wrong_time("Q002", "1970-01-01T00:00:03Z: this device's clock was never set"),
    "megabyte": unreadable('{"ts": '),
    "broken_json": unreadable('{"ts": "2026-11-22T06:00:00Z", "temp": 21.5, "par'),
    "wrong_encoding": unreadable('{"temp": 21.5, "state": "L\\xe4uft"}'),
    "not_there": [Told(TEMP, "Q001", '{"ts": ', "could not be read")],
    "unknown_code": [Told(STATE, "Q012", "DANCING", "known: RUN, HALT")],
    "negative_count": [Told(PARTS, "Q014", "-5", "cannot be the reading of a counter")],
    "half_a_part": [Told(PARTS, "Q007", "3.5", "is not whole")],
    "huge_count": [Told(PARTS, "Q008", str(10**30), "does not fit into 64 bits")],
    "huge_number": [Told(TEMP, "Q005", str(10**400), "is of type number")],
    "list": [Told(TEMP, "Q001", "[1,2]", "could not be read")],
    "half_a_character": [Told(PROGRAM, "Q001", "\\ud800 broken", "could not be read")],
    "deep": unreadable("[[[["),
    "far_future": at_a_wrong_time("Q003", "9999-12-31T23:59:59Z"),
    "no_zone": [],
    "no_time": [],
}
PRESS = [
    Told("ns=2;s=Temp", "Q006", "nan", "which no machine can measure"),
    Told("ns=2;s=Temp", "Q010", "900", "above the limit 450 of `process.temp`"),
    Told("ns=2;s=Temp", "Q003", "60", "120 min ahead of our clock"),
    Told("ns=2;s=Temp", "Q002", "61", "clock was never set"),
    Told("ns=2;s=Temp", "Q002", "62", "clock was never set"),
    Told("ns=2;s=Temp", "Q003", "63", "min ahead of our clock"),
    Told("ns=2;s=Program", "Q013", MEGABYTE[:1000], "longer than the 200 characters"),
]
BOX = [Told("input:0:int16", "Q009", "-32768", "below the limit 0 of `process.temp`")]
ERP = [
    Told("orders-broken.xlsx", "Q120", "", "is no workbook that can be read"),
    Told("orders.csv row 3", "Q103", "", "a hundred"),
    Told("orders.csv row 4", "Q104", "", "-5"),
    Told("orders.csv row 5", "Q101", "", "material"),
    Told("steps.csv row 3", "Q107", "", "WC-9"),
    Told("steps.csv row 5", "Q105", "", "2026-02-30"),
    Told("steps.csv row 6", "Q122", "", "5 cells where the header has 4"),
]


@pytest.fixture(scope="module")
def plant(tmp_path_factory) -> Plant:
    return asyncio.run(bad_input.lived(tmp_path_factory.mktemp("plant")))


@pytest.fixture(scope="module")
def quarantine(plant) -> list[dict[str, Any]]:
    return plant.platform.sql("SELECT * FROM quarantine ORDER BY received_time, tag")


def check(quarantine: list[dict[str, Any]], source: str, told: Told) -> None:
    own = [row for row in quarantine if row["source"] == source and row["tag"] == told.tag]
    found = [
        row for row in own
        if row["code"] == told.code
        and row["value"].startswith(told.value)
        and told.reason in row["reason"]
    ]  # fmt: skip
    assert found, f"{told} is not among {own}"
    assert all(len(row["value"]) <= 1000 for row in found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_message_is_quarantined_with_its_reason(quarantine, case):
    for told in CELL[case.name]:
        check(quarantine, "cell-1", told)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_good_values_around_it_are_stored_once(plant, case):
    rows = plant.platform.sql(f"SELECT temp FROM process WHERE machine = '{SITE}/cell-1'")
    temps = [row["temp"] for row in rows]
    assert [temps.count(temp) for temp in around(case)] == [1, 1]


def test_the_cell_lost_no_other_value(plant, quarantine):
    """What is good in a message with one bad value is taken; nothing more is quarantined."""
    assert len([row for row in quarantine if row["source"] == "cell-1"]) == sum(
        map(len, CELL.values())
    )
    (temps,) = plant.platform.sql(f"""
        SELECT count(temp) AS stored, count(temp) FILTER (WHERE temp = 50) AS beside
        FROM process WHERE machine = '{SITE}/cell-1'""")
    beside = sum(TEMP not in {told.tag for told in CELL[case.name]} for case in CASES)
    assert temps == {"stored": 2 * len(CASES) + beside + 1, "beside": beside}


def test_values_without_a_readable_time_are_uncertain_and_have_the_time_of_receipt(plant):
    rows = plant.platform.sql(f"""
        SELECT temp, time = _received AS at_receipt FROM process
        WHERE machine = '{SITE}/cell-1' AND _quality = 1""")
    assert rows == [{"temp": 50.0, "at_receipt": True}] * 2  # no_zone, no_time


@pytest.mark.parametrize(
    ("machine", "parts"), [("cell-1", 3 * len(CASES)), ("press-1", 14), ("box-1", 3)]
)
def test_parts_are_counted_over_all_of_it(plant, machine, parts):
    (sums,) = plant.platform.sql(f"""
        SELECT sum(good) AS good FROM part_count WHERE machine = '{SITE}/{machine}'""")
    assert sums["good"] == parts


@pytest.mark.parametrize("told", PRESS, ids=lambda told: f"{told.code}-{told.value[:5]}")
def test_value_over_opc_ua_is_quarantined_with_its_reason(quarantine, told):
    check(quarantine, "press-1", told)


def test_opc_ua_values_around_are_stored(plant, quarantine):
    rows = plant.platform.sql(f"""
        SELECT temp FROM process WHERE machine = '{SITE}/press-1' AND temp > 200 ORDER BY time""")
    good = [200 + number + part for number in range(7) for part in (0.25, 0.75)]
    assert [row["temp"] for row in rows] == good
    assert len([row for row in quarantine if row["source"] == "press-1"]) == len(PRESS)


def test_value_over_modbus_is_quarantined_and_the_others_are_stored(plant, quarantine):
    for told in BOX:
        check(quarantine, "box-1", told)
    rows = plant.platform.sql(f"""
        SELECT temp FROM process WHERE machine = '{SITE}/box-1' AND temp IS NOT NULL
        ORDER BY time""")
    assert [row["temp"] for row in rows] == pytest.approx([29.9, 30.1, 30.3])


@pytest.mark.parametrize(
    ("source", "tag"), [("press-1", "ns=2;s=Ghost"), ("box-1", "holding:900:uint16")]
)
def test_tag_that_the_device_does_not_have_is_bad_and_the_others_work(plant, source, tag):
    (sums,) = plant.platform.sql(f"""
        SELECT sum(received) AS received, sum(bad) AS bad, sum(shaped) AS shaped
        FROM ledger WHERE source = '{source}' AND tag = '{tag}'""")
    assert sums["received"] == sums["bad"] == sums["shaped"] == 1
    (rows,) = plant.platform.sql(f"""
        SELECT count(*) FILTER (WHERE scrap IS NULL AND _quality = 2) AS unknown,
            count(scrap) AS known
        FROM part_count WHERE _source = '{source}'""")
    assert rows["unknown"] >= 1
    assert rows["known"] == 0


@pytest.mark.parametrize("told", ERP, ids=lambda told: told.code)
def test_row_of_a_file_is_quarantined_with_file_and_row(quarantine, told):
    check(quarantine, "erp", told)


def test_good_rows_of_the_same_files_are_taken(plant, quarantine):
    orders = plant.platform.sql("SELECT key FROM production_order ORDER BY key")
    assert [row["key"] for row in orders] == ["4711", "4715"]
    steps = plant.platform.sql("SELECT key FROM operation ORDER BY key")
    assert [row["key"] for row in steps] == ["4711/10", "4715/30", "9999/10"]
    assert len([row for row in quarantine if row["source"] == "erp"]) == len(ERP)


def test_operation_of_an_unknown_order_waits_for_it_and_is_named(plant):
    (waiting,) = plant.platform.sql("SELECT key, production_order FROM unresolved")
    assert waiting == {"key": "9999/10", "production_order": "9999"}
    said = "operation `9999/10` names order `9999`, which is not there"
    assert said in plant.platform.said()


def test_files_are_filed_away_with_what_is_wrong_in_them(plant):
    (broken,) = (plant.drop / "failed").glob("*orders-broken.xlsx")
    (reason,) = (plant.drop / "failed").glob("*orders-broken.xlsx.reason.txt")
    assert broken.exists()
    assert "nothing was read" in reason.read_text()
    (reason,) = (plant.drop / "done").glob("*steps.csv.reason.txt")
    assert "3 of 6 rows went to quarantine, the others were taken" in reason.read_text()


def test_overlapping_shifts_are_found_with_file_and_line(plant):
    checked = plant.platform.isthmus("check", str(plant.folder / "overlap"))
    assert checked.returncode == 1
    lines = (plant.folder / "overlap" / "model.yaml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "late: " in text)
    assert "error[M050]" in checked.stdout
    assert f"model.yaml:{line}:" in checked.stdout
    assert "hint: " in checked.stdout


def test_platform_goes_on_with_the_model_it_has(plant):
    """A wrong model was offered to the running platform; the next value came all the same."""
    (found,) = plant.platform.sql("SELECT count(*) AS n FROM process WHERE temp = 444.5")
    assert found["n"] == 1


def test_nothing_is_unaccounted_for(plant):
    assert unbalanced(plant.platform) == []
    (sums,) = plant.platform.sql("""
        SELECT sum(received) AS received, sum(quarantined) AS quarantined FROM ledger""")
    quarantined = sum(map(len, CELL.values())) + len(PRESS) + len(BOX) + len(ERP)
    assert sums["quarantined"] == quarantined
    assert sums["received"] > 3 * len(ALL) * len(CASES)
