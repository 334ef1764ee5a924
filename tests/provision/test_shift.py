# ruff: noqa: DTZ001 - wall times carry no zone; that is what is read here
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from isthmus.base.clock import DAY, SECOND, iso, parse_time, to_datetime, to_micros
from isthmus.model.spec.calendar import Calendar, Shift
from isthmus.provision.shift import intervals
from isthmus.provision.wall import instant

EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ROUND_THE_CLOCK = Calendar(
    shifts={
        "early": Shift(time="06:00-14:00", days=EVERY_DAY),
        "late": Shift(time="14:00-22:00", days=EVERY_DAY),
        "night": Shift(time="22:00-06:00", days=EVERY_DAY),
    }
)


def one(name, time, **more):
    return Calendar(shifts={name: Shift(time=time, days=EVERY_DAY, **more)})


def of(calendars, first, last, zone="Europe/Berlin"):
    given_ = calendars if isinstance(calendars, tuple) else (calendars,)
    return intervals(given_, zone, parse_time(first), parse_time(last))


def spans(found):
    return [(shift.shift, iso(shift.start), iso(shift.end)) for shift in found]


def golden(shared, group):
    text = (shared / "standards" / "kpi_golden.yaml").read_text()
    cases = yaml.load(text, Loader=yaml.CSafeLoader)["cases"]
    return [case for case in cases if case["group"] == group and case["id"].startswith("dst_")]


def test_golden_cases_of_clock_changes(shared):
    cases = golden(shared, "calendar")
    assert len(cases) >= 4
    for case in cases:
        wanted, given_ = case["expected"], case["inputs"]
        start, end = (str(given_[name])[11:16] for name in ("local_start", "local_end"))
        calendar = one("golden", f"{start}-{end}")
        shift = of(calendar, wanted["utc_start"], wanted["utc_end"], given_["tz"])[0]
        assert (iso(shift.start), iso(shift.end)) == (wanted["utc_start"], wanted["utc_end"])
        assert shift.seconds == wanted["duration_s"]


def test_planned_busy_time_of_the_golden_shift_is_without_its_break():
    calendar = one("day", "06:00-14:00", breaks=["10:00-10:30"])
    (shift,) = of(calendar, "2026-11-17T06:00Z", "2026-11-17T14:00Z", "UTC")
    assert (shift.seconds / 60, shift.planned_seconds / 60) == (480, 450)


@pytest.mark.parametrize(
    ("night", "seconds"), [("2026-04-04", 30_600), ("2026-10-03", 27_000), ("2026-05-01", 28_800)]
)
def test_night_shift_of_lord_howe_gains_or_loses_half_an_hour(night, seconds):
    shift = of(one("night", "22:00-06:00"), f"{night}T12:00Z", f"{night}T13:00Z",
               "Australia/Lord_Howe")[0]  # fmt: skip
    assert (shift.day.isoformat(), shift.seconds) == (night, seconds)


@given(
    zone=st.sampled_from([
        "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo",
        "America/Sao_Paulo", "Pacific/Apia", "America/Nuuk", "Asia/Tehran", "Africa/Casablanca",
    ]),
    day=st.dates(date(2005, 1, 1), date(2035, 1, 1)),
    cuts=st.lists(st.integers(0, 95), min_size=1, max_size=5, unique=True).map(sorted),
)  # fmt: skip
def test_shifts_of_a_24_hour_pattern_tile_time(zone, day, cuts):
    wall = [f"{cut // 4:02}:{cut % 4 * 15:02}" for cut in cuts]
    times = [f"{begin}-{end}" for begin, end in pairwise([*wall, wall[0]])]
    calendar = Calendar(
        shifts={f"s{n}": Shift(time=time, days=EVERY_DAY) for n, time in enumerate(times)}
    )
    start = to_micros(datetime(day.year, day.month, day.day, tzinfo=UTC))
    found = intervals((calendar,), zone, start, start + 4 * DAY)
    assert found[0].start <= start
    assert found[-1].end >= start + 4 * DAY
    assert all(before.end == after.start for before, after in pairwise(found))


@given(day=st.dates(date(2015, 1, 1), date(2030, 12, 31)))
def test_seconds_of_a_year_of_shifts_are_the_seconds_of_the_year(day):
    zone = ZoneInfo("Europe/Berlin")
    start = instant(datetime(day.year, 1, 1, 6), zone)
    end = instant(datetime(day.year + 1, 1, 1, 6), zone)
    found = intervals((ROUND_THE_CLOCK,), "Europe/Berlin", start, end)
    assert sum(shift.seconds for shift in found) * SECOND == end - start


def test_window_gets_whole_shifts_that_overlap_it():
    found = of(ROUND_THE_CLOCK, "2026-11-17T12:59:59Z", "2026-11-17T13:00:00Z")
    assert spans(found) == [("early", "2026-11-17T05:00:00Z", "2026-11-17T13:00:00Z")]


def test_shift_across_midnight_belongs_to_the_day_it_starts_unless_told_otherwise():
    window = ("2026-11-17T23:00Z", "2026-11-17T23:30Z")
    assert of(one("night", "22:00-06:00"), *window)[0].day == date(2026, 11, 17)
    assert of(one("night", "22:00-06:00", day="end"), *window)[0].day == date(2026, 11, 18)


def test_shift_until_midnight_ends_on_the_day_it_starts():
    for time in ("16:00-24:00", "16:00-00:00"):
        shift = of(one("late", time, day="end"), "2026-11-17T20:00Z", "2026-11-17T21:00Z")[0]
        assert (shift.day, shift.seconds) == (date(2026, 11, 17), 8 * 3600)


def test_shift_of_24_hours_lasts_from_one_morning_to_the_next():
    shift = of(one("day", "06:00-06:00"), "2026-11-17T12:00Z", "2026-11-17T13:00Z")[0]
    assert shift.seconds == 86_400


def test_no_shift_starts_on_a_holiday_but_one_from_the_day_before_ends_in_it():
    calendar = Calendar(shifts=ROUND_THE_CLOCK.shifts, holidays="DE-HH")
    found = of(calendar, "2026-10-30T23:30Z", "2026-11-01T04:30Z")  # Reformation Day: 31 October
    assert spans(found) == [("night", "2026-10-30T21:00:00Z", "2026-10-31T05:00:00Z")]


def test_holidays_are_those_of_the_region():
    def days_of(region):
        calendar = Calendar(shifts={"day": Shift(time="06:00-14:00", days=EVERY_DAY)},
                            holidays=region)  # fmt: skip
        found = of(calendar, "2026-10-30T00:00Z", "2026-11-03T00:00Z")
        return [shift.day.day for shift in found]

    assert days_of("DE-HH") == [30, 1, 2]  # Reformation Day
    assert days_of("DE-BY") == [30, 31, 2]  # All Saints
    assert days_of("AT-6") == [30, 31, 2]


def test_closed_days_have_no_shift_and_open_days_have_one_in_spite_of_a_holiday():
    calendar = Calendar(
        shifts={"day": Shift(time="06:00-14:00", days=EVERY_DAY)},
        holidays="DE", closed=[date(2026, 12, 24)], open=[date(2026, 12, 26)],
    )  # fmt: skip
    found = of(calendar, "2026-12-23T00:00Z", "2026-12-28T00:00Z")
    assert [shift.day.day for shift in found] == [23, 26, 27]


def test_calendar_is_valid_from_its_date_and_the_night_before_it_runs_on():
    summer = Calendar(shifts={"night": Shift(time="22:00-06:00", days=EVERY_DAY)})
    winter = Calendar.model_validate(
        {"from": "2026-11-01", "shifts": {"day": {"time": "07:00-15:00", "days": EVERY_DAY}}}
    )
    found = of((summer, winter), "2026-10-31T12:00Z", "2026-11-02T12:00Z")
    assert [(shift.shift, shift.day.isoformat()) for shift in found] == [
        ("night", "2026-10-31"), ("day", "2026-11-01"), ("day", "2026-11-02"),
    ]  # fmt: skip


def test_first_shift_of_a_new_calendar_ends_the_last_one_of_the_old():
    old = one("night", "22:00-06:00", breaks=["04:30-05:30"])
    new = Calendar.model_validate(
        {"from": "2026-11-18", "shifts": {"early": {"time": "05:00-13:00", "days": EVERY_DAY}}}
    )
    last, first = of((old, new), "2026-11-17T22:00Z", "2026-11-18T10:00Z")
    assert (iso(last.end), iso(first.start)) == ("2026-11-18T04:00:00Z",) * 2
    assert last.planned_seconds == 6.5 * 3600


def test_break_after_midnight_is_in_the_second_half_of_the_night():
    (shift,) = of(one("night", "22:00-06:00", breaks=["02:00-02:30"]),
                  "2026-11-17T22:00Z", "2026-11-17T23:00Z")  # fmt: skip
    assert [(iso(down.start), iso(down.end)) for down in shift.down] == [
        ("2026-11-18T01:00:00Z", "2026-11-18T01:30:00Z")
    ]


def test_break_in_the_hour_that_clocks_skip_does_not_take_place():
    (shift,) = of(one("night", "22:00-06:00", breaks=["02:00-02:30"]),
                  "2026-03-28T22:00Z", "2026-03-28T23:00Z")  # fmt: skip
    assert (shift.down, shift.planned_seconds) == ((), 7 * 3600)


@given(
    day=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    breaks=st.lists(st.sampled_from(["23:00-23:30", "02:00-02:45", "02:30-03:15", "05:30-06:00"]),
                    unique=True),
)  # fmt: skip
def test_breaks_lie_inside_their_shift_and_do_not_overlap(day, breaks):
    start = to_micros(datetime(day.year, day.month, day.day, tzinfo=UTC))
    for shift in intervals((one("n", "22:00-06:00", breaks=breaks),), "Europe/Berlin",
                           start, start + DAY):  # fmt: skip
        edges = [edge for down in shift.down for edge in (down.start, down.end)]
        assert edges == sorted(edges)
        assert all(shift.start <= edge <= shift.end for edge in edges)
        assert 0 < shift.planned_seconds <= shift.seconds


def test_weekdays_are_those_of_the_local_date_on_which_a_shift_starts():
    calendar = Calendar(shifts={"night": Shift(time="22:00-06:00", days=["fri"])})
    found = of(calendar, "2026-11-15T00:00Z", "2026-11-29T00:00Z", "Pacific/Auckland")
    assert [to_datetime(shift.start) + timedelta(hours=13) for shift in found] == [
        datetime(2026, 11, 20, 22, tzinfo=UTC), datetime(2026, 11, 27, 22, tzinfo=UTC),
    ]  # fmt: skip
