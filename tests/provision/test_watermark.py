# ruff: noqa: DTZ001 - databases often hold times without a zone
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.base.clock import parse_time
from isthmus.provision.watermark import NoOrderError, Watermark, highest, lower

BERLIN = ZoneInfo("Europe/Berlin")
NOW = parse_time("2026-11-17T08:00:00Z")
TEN_MINUTES = timedelta(minutes=10)


def mark(*values, last=None):
    return highest(values, last, NOW, BERLIN)


@pytest.mark.parametrize(
    ("value", "again_from"),
    [
        (datetime(2026, 11, 17, 6), datetime(2026, 11, 17, 5, 50)),
        (datetime(2026, 11, 17, 6, tzinfo=UTC), datetime(2026, 11, 17, 5, 50, tzinfo=UTC)),
        (date(2026, 11, 17), date(2026, 11, 16)),
        (4711, 3711), (Decimal("4711.5"), Decimal("3711.5")),
        ("2026-11-17 06:00:00.000000", "2026-11-17 05:50:00"),
        ("2026-11-17T06:00:00Z", "2026-11-17T05:50:00"),
        ("20261117060000", "20261117055000"), ("2026-11-17", "2026-11-16"), ("v00017", "v00017"),
    ],
)  # fmt: skip
def test_a_part_is_read_again_in_the_columns_own_kind(value, again_from):
    assert lower(mark(value), TEN_MINUTES, 1000) == again_from


@pytest.mark.parametrize(
    ("wrong", "kept"),
    [
        (datetime(9999, 12, 31), "2026-11-17T09:00:00"),
        (datetime(2026, 11, 17, 9, tzinfo=UTC), "2026-11-17T08:00:00+00:00"),
        (date(2027, 1, 1), "2026-11-17"),
        ("9999-12-31 00:00:00", "2026-11-17 09:00:00"),
        ("9999-12-31T00:00:00Z", "2026-11-17T08:00:00"),
    ],
)
def test_time_in_the_future_does_not_hide_what_comes_later(wrong, kept):
    assert mark(wrong).value == kept


def test_rows_without_a_time_of_change_keep_the_watermark():
    last = Watermark("number", "7")
    assert mark(None, None, last=last) == last
    assert mark(None) is None


def test_watermark_never_goes_back():
    assert mark(3, last=Watermark("number", "7")) == Watermark("number", "7")
    assert mark(10, last=Watermark("number", "7")) == Watermark("number", "10")


@pytest.mark.parametrize("values", [(1, "2"), (True,), (b"\x00",), (datetime(2026, 1, 1), 3)])
def test_column_that_tells_no_order_is_refused(values):
    with pytest.raises(NoOrderError):
        mark(*values)


@given(st.lists(st.datetimes(datetime(2020, 1, 1), datetime(2026, 11, 17, 9)), min_size=1))
def test_texts_sort_as_the_times_they_write(times):
    texts = [at.isoformat(sep=" ") for at in times]
    again = lower(mark(*texts), timedelta(0), 0)
    assert again <= max(texts)
    assert datetime.fromisoformat(again) == max(times).replace(microsecond=0)
