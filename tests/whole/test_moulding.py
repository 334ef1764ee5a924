"""A recorded week of a moulding plant: the shift report says what the plant's own records say.

Machines are driven over OPC UA and Modbus so that each (machine, shift, item) produces the
recorded good and reject quantities; orders come as workbooks. Rows without quantities are rows
all the same: an item with zero parts was on the machine and nothing was made; a row without an
item is a machine that had no order.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl
import pytest
from tests.whole import moulding
from tests.whole.moulding import Stretch, path
from tests.whole.moulding_week import lived
from tests.whole.running import Running, unbalanced


@dataclass(frozen=True)
class Recorded:
    """How much the records have of a week: a reader that skips rows would be found out."""

    monday: date
    machines: int
    rows: int
    without_item: int
    without_parts: int
    """Of those with an item."""

    def day(self, number: int) -> str:
        """When the first shift of a day begins; the sixth night shift ends on day 6."""
        at = datetime(self.monday.year, self.monday.month, self.monday.day, 6, tzinfo=moulding.ZONE)
        return (at + timedelta(number)).isoformat()


NOVEMBER = Recorded(date(2018, 11, 5), 9, 165, 4, 8)
JANUARY = Recorded(date(2019, 1, 21), 11, 200, 11, 3)

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not moulding.RECORDS.is_dir(),
        reason="`shared/data/optimoldiq` is not beside the repository",
    ),
]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(NOVEMBER, id="november"),
        pytest.param(JANUARY, id="january", marks=pytest.mark.long),
    ],
)
def recorded(request) -> Recorded:
    return request.param


@pytest.fixture(scope="module")
def stretches(recorded) -> list[Stretch]:
    return moulding.week(recorded.monday)


@pytest.fixture(scope="module")
def platform(stretches, tmp_path_factory) -> Running:
    return lived(tmp_path_factory.mktemp("week"), stretches)


def key(one: Stretch) -> tuple[str, str, str, str]:
    return path(one.machine), one.day.isoformat(), one.shift, one.item


@pytest.fixture(scope="module")
def report(platform, recorded) -> dict[tuple[str, str, str, str], dict]:
    rows = platform.rows("sql", f"""
        SELECT machine, CAST(shift_day AS VARCHAR) AS day, shift, coalesce(material, '') AS item,
            sum(produced) AS produced, sum(good) AS good, sum(scrap) AS scrap,
            sum(ideal_s) AS ideal_s, sum(pot_s) AS pot_s, sum(unknown_s) AS unknown_s
        FROM oee_fact WHERE hour >= '{recorded.day(0)}' AND hour < '{recorded.day(6)}'
        GROUP BY ALL""")  # fmt: skip
    return {(row["machine"], row["day"], row["shift"], row["item"]): row for row in rows}


def test_the_week_is_the_whole_recorded_one(stretches, recorded):
    assert len(stretches) == len({key(one) for one in stretches}) == recorded.rows
    assert len({one.machine for one in stretches}) == recorded.machines
    assert sum(one.item == "" for one in stretches) == recorded.without_item
    without_parts = sum(one.item != "" and one.produced == 0 for one in stretches)
    assert without_parts == recorded.without_parts


def test_shift_report_equals_the_records_in_every_row(report, stretches):
    expected = {key(one): (one.produced, one.good, one.scrap) for one in stretches}
    reported = {k: (row["produced"], row["good"], row["scrap"]) for k, row in report.items()}
    unequal = [
        f"{k}: recorded {expected.get(k)}, reported {reported.get(k)} (produced, good, reject)"
        for k in sorted(expected.keys() | reported.keys())
        if expected.get(k) != reported.get(k)
    ]
    assert not unequal, "\n".join([f"{len(unequal)} of {len(expected)} rows differ:", *unequal])


def test_every_row_has_its_time_and_its_ideal_time(report, stretches):
    for one in stretches:
        row = report[key(one)]
        assert row["pot_s"] == (one.end - one.start).total_seconds(), key(one)
        assert row["ideal_s"] == pytest.approx(one.produced * (one.cycle_s or 0)), key(one)
        assert row["unknown_s"] == 0, key(one)


@pytest.mark.parametrize("by", ["machine", "order", "material"])
def test_kpi_counts_what_was_recorded(platform, stretches, recorded, by):
    rows = platform.rows(
        "kpi", "--scope", "moulding-co", "--from", recorded.day(0), "--to", recorded.day(6),
        "--by", by,
    )  # fmt: skip
    expected: dict[str, list[int]] = {}
    for one in stretches:
        names = {"machine": path(one.machine), "order": one.order, "material": one.item}
        sums = expected.setdefault(names[by] or f"no {by}", [0, 0])
        sums[0] += one.produced
        sums[1] += one.good
    assert {row["group"]: [row["produced"], row["good"]] for row in rows} == expected


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
