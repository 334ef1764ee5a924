"""Numbers and times as people in two countries read them."""

from datetime import date

import pytest

from isthmus.base.clock import DAY, HOUR, parse_time
from isthmus.web.formats import Formats

EN = Formats("en", "Europe/Berlin")
DE = Formats("de", "Europe/Berlin")
T = parse_time("2026-11-17T12:05:09Z")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (EN.number(1268.5, 1), "1,268.5"),
        (DE.number(1268.5, 1), "1.268,5"),
        (EN.percent(0.66), "66.0%"),
        (DE.percent(0.66), "66,0\u202f%"),
        (EN.points(-0.06), "\u22126.0\u202fpp"),
        (DE.points(0.012), "+1,2\u202fPp."),
        (EN.points(-0.0001), "0.0\u202fpp"),
        (EN.signed(0), "0"),
        (EN.duration(23 * 60 + 5), "23:05\u202fmin"),
        (EN.duration(3600 + 23 * 60), "1\u202fh 23\u202fmin"),
        (DE.duration(72 * 3600), "72\u202fh"),
        (EN.duration(59.6), "1:00\u202fmin"),
        (EN.duration(-0.2), "0:00\u202fmin"),
        (EN.duration(-59.6), "\u22121:00\u202fmin"),
        (EN.clock(T), "13:05"),
        (EN.clock_seconds(T), "13:05:09"),
        (EN.day(T), "Tue 17 Nov"),
        (DE.day(T), "Di 17. Nov."),
        (EN.date("2026-11-17"), "17 Nov"),
        (DE.date("2026-11-17"), "17.11."),
        (EN.span(T, T + HOUR), "Tue 17 Nov 13:05–14:05"),
        (EN.span(T, T + DAY), "Tue 17 Nov 13:05– Wed 18 Nov 13:05"),
        (DE.long_day(date(2026, 11, 17)), "Dienstag, 17. November 2026"),
        (EN.zone(T), "CET"),
        (EN.unit("Cel"), "°C"),
        (EN.unit("bar"), "bar"),
    ],
)
def test_numbers_and_times_read_as_people_write_them(shown: str, expected: str) -> None:
    assert shown == expected


def test_a_missing_value_is_a_dash_and_never_zero() -> None:
    shown = [EN.number(None), EN.percent(None), EN.points(None), EN.duration(None), EN.clock(None)]
    assert shown == ["–"] * 5


def test_times_are_plant_time_across_the_change_of_clocks() -> None:
    before, after = parse_time("2026-10-25T00:30:00Z"), parse_time("2026-10-25T01:30:00Z")
    assert (EN.clock(before), EN.clock(after)) == ("02:30", "02:30")
    assert (EN.zone(before), EN.zone(after)) == ("CEST", "CET")
