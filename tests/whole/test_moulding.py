"""A recorded week of a moulding plant: the shift report says what the plant's own records say.

Machines are driven over OPC UA and Modbus so that each (machine, shift, item) produces the
recorded good and reject quantities; orders come as workbooks. Rows without quantities are rows
all the same: an item with zero parts was on the machine and nothing was made; a row without an
item is a machine that had no order.
"""

from datetime import date, datetime

import polars as pl
import pytest
from tests.whole import moulding
from tests.whole.moulding import Stretch, path
from tests.whole.moulding_week import lived
from tests.whole.running import Running, unbalanced

MONDAY = date(2018, 11, 5)
BEGIN = datetime(2018, 11, 5, 6, tzinfo=moulding.ZONE)
END = datetime(2018, 11, 11, 6, tzinfo=moulding.ZONE)
"""Where the first shift begins and the last one, Saturday's night shift, ends."""

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not moulding.RECORDS.is_dir(),
        reason="`shared/data/optimoldiq` is not beside the repository",
    ),
]


@pytest.fixture(scope="module")
def stretches() -> list[Stretch]:
    return moulding.week(MONDAY)


@pytest.fixture(scope="module")
def platform(stretches, tmp_path_factory) -> Running:
    return lived(tmp_path_factory.mktemp("week"), stretches)


def key(one: Stretch) -> tuple[str, str, str, str]:
    return path(one.machine), one.day.isoformat(), one.shift, one.item


@pytest.fixture(scope="module")
def report(platform) -> dict[tuple[str, str, str, str], dict]:
    rows = platform.rows("sql", f"""
        SELECT machine, CAST(shift_day AS VARCHAR) AS day, shift, coalesce(material, '') AS item,
            sum(produced) AS produced, sum(good) AS good, sum(scrap) AS scrap,
            sum(ideal_s) AS ideal_s, sum(pot_s) AS pot_s, sum(unknown_s) AS unknown_s
        FROM oee_fact WHERE hour >= '{BEGIN.isoformat()}' AND hour < '{END.isoformat()}'
        GROUP BY ALL""")  # fmt: skip
    return {(row["machine"], row["day"], row["shift"], row["item"]): row for row in rows}


def test_the_week_is_the_whole_recorded_one(stretches):
    assert len(stretches) == 165
    assert len({one.machine for one in stretches}) == 9
    assert sum(one.item == "" for one in stretches) == 4
    assert sum(one.item != "" and one.produced == 0 for one in stretches) == 8


def test_shift_report_equals_the_records_in_every_row(report, stretches):
    recorded = {key(one): (one.produced, one.good, one.scrap) for one in stretches}
    reported = {k: (row["produced"], row["good"], row["scrap"]) for k, row in report.items()}
    unequal = [
        f"{k}: recorded {recorded.get(k)}, reported {reported.get(k)} (produced, good, reject)"
        for k in sorted(recorded.keys() | reported.keys())
        if recorded.get(k) != reported.get(k)
    ]
    assert len(recorded) == len(stretches)
    assert not unequal, "\n".join([f"{len(unequal)} of {len(recorded)} rows differ:", *unequal])


def test_every_row_has_its_time_and_its_ideal_time(report, stretches):
    for one in stretches:
        row = report[key(one)]
        assert row["pot_s"] == (one.end - one.start).total_seconds(), key(one)
        assert row["ideal_s"] == pytest.approx(one.produced * (one.cycle_s or 0)), key(one)
        assert row["unknown_s"] == 0, key(one)


@pytest.mark.parametrize("by", ["machine", "order", "material"])
def test_kpi_counts_what_was_recorded(platform, stretches, by):
    rows = platform.rows(
        "kpi", "--scope", "moulding-co", "--from", BEGIN.isoformat(), "--to", END.isoformat(),
        "--by", by,
    )  # fmt: skip
    recorded: dict[str, list[int]] = {}
    for one in stretches:
        names = {"machine": path(one.machine), "order": one.order, "material": one.item}
        sums = recorded.setdefault(names[by] or f"no {by}", [0, 0])
        sums[0] += one.produced
        sums[1] += one.good
    assert {row["group"]: [row["produced"], row["good"]] for row in rows} == recorded


def test_every_purchase_order_arrived(platform):
    found = platform.sql("""
        SELECT count(*) AS orders, sum(quantity) AS items, count(DISTINCT material) AS materials
        FROM production_order""")
    assert found == [orders_of_the_file()]
    assert platform.sql("SELECT * FROM unresolved") == []
    assert platform.sql("SELECT * FROM quarantine") == []


def orders_of_the_file() -> dict:
    table = pl.read_parquet(moulding.RECORDS / "purchaseOrders.parquet")
    return {
        "orders": len(table), "items": table["itemQuantity"].sum(),
        "materials": table["itemCode"].n_unique(),
    }  # fmt: skip


def test_the_ledger_of_the_week_balances(platform):
    assert unbalanced(platform) == []
    (sums,) = platform.sql("SELECT sum(received) AS received, sum(stored) AS stored FROM ledger")
    assert sums["received"] == sums["stored"] > 5000
