# ruff: noqa: DTZ001 - wall times carry no zone; that is what is read here
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.base.clock import iso, to_datetime
from isthmus.provision.wall import instant, local

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    "Europe/Berlin", "Europe/London", "America/New_York", "America/St_Johns", "America/Sao_Paulo",
    "Australia/Lord_Howe", "Africa/Cairo", "Africa/Casablanca", "Asia/Kolkata", "Pacific/Apia",
    "Pacific/Chatham", "America/Nuuk", "Asia/Tehran", "UTC",
]  # fmt: skip
WALL = st.datetimes(datetime(1985, 1, 1), datetime(2060, 1, 1)).map(
    lambda at: at.replace(microsecond=0)
)


def test_time_that_clocks_skip_means_the_moment_of_the_jump():
    for minute in (0, 1, 30, 59):
        wall = datetime(2026, 3, 29, 2, minute)
        assert iso(instant(wall, BERLIN)) == "2026-03-29T01:00:00Z"


def test_time_that_clocks_show_twice_means_the_first_of_the_two():
    assert iso(instant(datetime(2026, 10, 25, 2, 30), BERLIN)) == "2026-10-25T00:30:00Z"


def test_half_hour_change_of_lord_howe_is_half_an_hour():
    zone = ZoneInfo("Australia/Lord_Howe")
    before, after = datetime(2026, 4, 5, 1, 0), datetime(2026, 4, 5, 3, 0)
    assert instant(after, zone) - instant(before, zone) == 9_000 * 1_000_000


def test_whole_date_that_samoa_skipped_is_one_moment():
    zone = ZoneInfo("Pacific/Apia")
    day = [instant(datetime(2011, 12, 30, hour), zone) for hour in range(24)]
    assert {iso(at) for at in day} == {"2011-12-30T10:00:00Z"}


@pytest.mark.parametrize("zone", ZONES)
@given(wall=WALL, later=st.integers(0, 3 * 86_400))
def test_later_wall_time_is_never_an_earlier_moment(zone, wall, later):
    place = ZoneInfo(zone)
    assert instant(wall, place) <= instant(wall + timedelta(seconds=later), place)


@given(zone=st.sampled_from(ZONES), wall=WALL)
def test_clocks_show_the_wall_time_at_its_moment_unless_they_skip_it(zone, wall):
    place = ZoneInfo(zone)
    at = instant(wall, place)
    shown = local(at, place)
    existed = wall.replace(tzinfo=place).astimezone(UTC).astimezone(place).replace(tzinfo=None)
    assert shown == wall or (existed != wall and shown > wall)
    assert to_datetime(at).tzinfo is UTC
