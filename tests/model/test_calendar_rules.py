"""Overlapping shifts, found by rule, are those that meet minute by minute."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from isthmus.model.spec.calendar import WORKDAYS

from .models import changed, codes, read_model

DAY, WEEK = 1440, 10_080
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

CLOCK = st.integers(0, 47).map(lambda half: half * 30)
SHIFT = st.tuples(CLOCK, CLOCK, st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True))


def clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def minutes_of(start: int, end: int, days: list[str]) -> set[int]:
    length = (end - start) % DAY
    starts = (WEEKDAYS.index(day) * DAY + start for day in days)
    return {(first + minute) % WEEK for first in starts for minute in range(length)}


@settings(max_examples=60, deadline=None)
@given(st.lists(SHIFT, min_size=2, max_size=3))
def test_shifts_overlap_exactly_when_they_share_a_minute(shifts: list[tuple[int, int, list[str]]]):
    assume(all(start != end for start, end, _ in shifts))
    written = ", ".join(
        f's{i}: {{time: "{clock(start)}-{clock(end)}", days: [{", ".join(days)}]}}'
        for i, (start, end, days) in enumerate(shifts)
    )
    found = codes(read_model(changed('early: "06:00-14:00", late: "14:00-22:00"', written)))
    taken = [minutes_of(*shift) for shift in shifts]
    meeting = sum(
        bool(taken[i] & taken[j]) for i in range(len(taken)) for j in range(i + 1, len(taken))
    )
    assert found == ["M050"] * meeting


def test_night_shift_of_sunday_meets_monday():
    written = 'night: {time: "22:00-06:00", days: [sun]}, early: {time: "05:00-13:00", days: [mon]}'
    loaded = read_model(changed('early: "06:00-14:00", late: "14:00-22:00"', written))
    assert codes(loaded) == ["M050"]
    assert "from mon 05:00 to mon 06:00" in loaded.problems[0].message


def test_shifts_that_touch_do_not_overlap():
    assert WEEKDAYS[:5] == WORKDAYS
    written = 'early: "06:00-14:00", late: "14:00-22:00", night: "22:00-06:00"'
    assert codes(read_model(changed('early: "06:00-14:00", late: "14:00-22:00"', written))) == []


def test_break_after_midnight_lies_inside_its_shift():
    written = 'night: {time: "22:00-06:00", breaks: ["23:30-00:15", "02:00-02:30"]}'
    assert codes(read_model(changed('early: "06:00-14:00", late: "14:00-22:00"', written))) == []
