"""Which times of a device are believed: pure, told by what each parcel says."""

import pyarrow as pa
import pytest

from isthmus.runtime.device_clock import DeviceClock
from isthmus.testing.one_source import sample, samples

HOUR = 3600.0


def at(tag: str, device: float, received: float) -> pa.Table:
    """One value: its own time and ours, in seconds."""
    return samples(sample(tag, 1, device, received=received))


@pytest.fixture
def clock() -> DeviceClock:
    return DeviceClock()


def test_clock_that_agrees_is_fine(clock):
    told = [clock.judge(at("a", s, s + 0.1), live=True) for s in range(5)]
    assert told == ["fine"] * 5


def test_first_values_of_a_session_may_be_old(clock):
    clock.judge(at("a", 10 * HOUR, 10 * HOUR), live=True)
    assert clock.judge(at("never-seen", 0, 10 * HOUR), live=True) == "fine"


def test_ahead_is_told_once_until_the_same_tag_is_right_again(clock):
    assert clock.judge(at("a", HOUR, 0), live=True) == "ahead"
    assert clock.by == HOUR * 1e6
    assert clock.judge(at("a", HOUR + 1, 1), live=True) == "fine"
    assert clock.judge(at("b", 2, 2), live=True) == "fine"
    assert clock.is_ahead
    assert clock.judge(at("a", 3, 3), live=True) == "right_again"
    assert not clock.is_ahead


def test_ahead_ends_when_none_goes_on_being_so(clock):
    clock.judge(at("a", HOUR, 0), live=True)
    assert clock.judge(at("b", 20, 20), live=True) == "fine"
    assert clock.judge(at("b", 31, 31), live=True) == "right_again"


def test_single_value_ahead_is_for_quarantine_alone(clock):
    mixed = samples(sample("a", 1, HOUR, received=0), sample("b", 1, 0, received=0))
    assert clock.judge(mixed, live=True) == "fine"


def test_time_of_a_tag_that_goes_back_is_a_jump_and_told_once(clock):
    clock.judge(at("a", HOUR, HOUR), live=True)
    assert clock.judge(at("a", 0, HOUR + 1), live=True) == "back"
    assert clock.by == HOUR * 1e6
    assert clock.judge(at("a", 1, HOUR + 2), live=True) == "fine"


def test_old_rows_of_a_table_are_no_jump(clock):
    clock.judge(at("a", HOUR, HOUR), live=False)
    assert clock.judge(at("a", 0, HOUR + 1), live=False) == "fine"
