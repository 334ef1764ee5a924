"""Times of tables in every form: read right, and bounded right where clocks are changed."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from isthmus.base.clock import HOUR, MINUTE, Micros, parse_time, to_datetime
from isthmus.field.tables.address import Address, parse_address
from isthmus.field.tables.times import Reckoning

BERLIN = ZoneInfo("Europe/Berlin")
T0 = parse_time("2026-11-17T08:00:00Z")
NOW = parse_time("2026-11-18T00:00:00Z")
NAIVE = datetime(2026, 11, 17, 9, 0)  # noqa: DTZ001 - as tables have it
PATTERN = "%d.%m.%Y %H:%M:%S"


@pytest.mark.parametrize(
    ("form", "cells"),
    [
        ("iso", [to_datetime(T0)]),
        ("iso", [NAIVE]),
        ("iso", ["2026-11-17 09:00:00"]),
        ("iso", ["2026-11-17T09:00:00.000"]),
        ("iso", ["2026-11-17T08:00:00Z"]),
        ("iso", ["2026-11-17", "09:00"]),
        ("iso", [date(2026, 11, 17), time(9)]),
        ("iso", [date(2026, 11, 17), timedelta(hours=9)]),
        ("iso", [NAIVE.replace(hour=0), datetime(1899, 12, 31, 9)]),  # noqa: DTZ001 - Excel's way
        ("s", [T0 / 1e6]),
        ("s", [Decimal(1794902400)]),
        ("ms", [str(T0 // 1000)]),
        ("us", [T0]),
        ("ns", [T0 * 1000 + 999]),
        (PATTERN, [" 17.11.2026 09:00:00 "]),
        (PATTERN, ["17.11.2026", "09:00:00"]),
    ],
)
def test_a_time_is_read_as_declared(form, cells):
    found = Reckoning(form, BERLIN).moment(cells, NOW)
    assert (to_datetime(found.at), found.certain) == (to_datetime(T0), True)


@pytest.mark.parametrize(
    ("form", "cells", "why"),
    [
        ("iso", ["17.11.2026 09:00"], "is no time in ISO 8601: declare `time_format`"),
        ("iso", [1_794_902_400], "is a number: declare `time_format`"),
        ("iso", [None], "there is no time"),
        ("s", [T0], "is the unit right"),
        ("ms", ["now"], "is no number of ms since 1970"),
        (PATTERN, ["31.02.2026 09:00:00"], "is no time in the form"),
    ],
)
def test_what_is_no_time_is_said(form, cells, why):
    with pytest.raises(ValueError, match=why):
        Reckoning(form, BERLIN).moment(cells, NOW)


def test_the_hour_the_clocks_skip_is_uncertain():
    found = Reckoning("iso", BERLIN).moment(["2026-03-29 02:30:00"], NOW)
    assert (to_datetime(found.at).hour, found.certain) == (0, False)


def test_the_hour_that_comes_twice_is_the_later_one_that_is_not_ahead():
    reckoning, first = Reckoning("iso", BERLIN), parse_time("2026-10-25T00:30:00Z")
    early = reckoning.moment(["2026-10-25 02:30:00"], first + MINUTE)
    late = reckoning.moment(["2026-10-25 02:30:00"], first + HOUR)
    assert (early.at, early.certain) == (first, True)
    assert (late.at, late.certain) == (first + HOUR, False)


def _written(form: str, at: Micros) -> object:
    local = to_datetime(at).astimezone(BERLIN)
    match form:
        case "naive":
            return local.replace(tzinfo=None, fold=0)
        case "aware":
            return local.astimezone(UTC)
        case "offset":
            return local.isoformat()
        case "text":
            return local.replace(tzinfo=None).isoformat(sep=" ")
        case "ms":
            return at // 1000
    return local.strftime(form)


CHANGES = [parse_time("2026-10-25T01:00:00Z"), parse_time("2026-03-29T01:00:00Z")]


@given(
    form=st.sampled_from(["naive", "aware", "offset", "text", "ms", "%Y%m%d%H%M%S"]),
    change=st.sampled_from(CHANGES),
    moments=st.lists(st.integers(-3 * HOUR, 3 * HOUR), min_size=4, max_size=4),
)
@example(form="naive", change=CHANGES[0], moments=[-11 * MINUTE, -MINUTE, MINUTE, 2 * MINUTE])
def test_no_row_written_since_then_is_below_the_bound(form, change, moments):
    """`like` gives the bound of the query that reads the overlap again."""
    low, seen, row, now = sorted(moments)
    names = {"ms": "ms"} if "%" not in form else {form: form}
    reckoning = Reckoning(names.get(form, "iso"), BERLIN)
    for early, late in ((seen, row), (row, seen)):
        bound = reckoning.like(_written(form, change + early), change + low, change + now)
        assert bound <= _written(form, change + late)


@pytest.mark.parametrize(
    ("tag", "address"),
    [
        ("melt_temp", Address("melt_temp")),
        ("DB1.Temp[3]", Address("DB1.Temp[3]")),
        ("Temp[press=7]", Address("Temp", (("press", "7"),))),
        ("T[3][b=2, a=M 1]", Address("T[3]", (("a", "M 1"), ("b", "2")))),
    ],
)
def test_an_address_has_a_name_and_keys(tag, address):
    assert parse_address(tag) == address


@pytest.mark.parametrize("tag", ["", " ", "[a=1]", "x[a=]", "x[a=1,a=2]", "x[a=1,b]"])
def test_an_address_that_says_nothing_is_refused(tag):
    with pytest.raises(ValueError, match=r"write|twice"):
        parse_address(tag)
