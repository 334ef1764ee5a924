"""Which times of a device are believed: pure, told by what each parcel says."""

from itertools import chain

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from isthmus.runtime.device_clock import Clocks, DeviceClock, Judged, Verdict
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


# Several machines ---------------------------------------------------------------------------------


@pytest.fixture
def clocks() -> Clocks:
    return Clocks({"press": ["p1", "p2"], "saw": ["s1"], "mill": ["m1", "p1"]})


def together(*values: tuple[str, float, float]) -> pa.Table:
    return samples(*(sample(tag, 1, device, received=at) for tag, device, at in values))


def verdicts(found: list[Judged]) -> dict[str, Verdict]:
    return {one.machine: one.verdict for one in found}


@pytest.mark.parametrize("live", [True, False])
def test_each_machine_behind_a_gateway_is_judged_by_its_own_tags(clocks, live):
    assert clocks.judge(together(("p1", 0, 0), ("s1", 0, 0)), live=live) == []
    off = together(("p1", 1, 1), ("s1", HOUR, 1), ("m1", 1, 1))
    assert verdicts(clocks.judge(off, live=live)) == {"saw": "ahead"}
    assert not clocks.none_is_believed
    assert clocks.judge(together(("s1", HOUR, 2), ("p1", 2, 2)), live=live) == []
    again = together(("p2", 3, 3), ("s1", 3, 3))
    assert verdicts(clocks.judge(again, live=live)) == {"saw": "right_again"}


def test_two_clocks_may_be_off_at_once_and_are_named_each(clocks):
    off = together(("s1", HOUR, 0), ("m1", 2 * HOUR, 0))
    found = clocks.judge(off, live=True)
    assert verdicts(found) == {"saw": "ahead", "mill": "ahead"}
    assert {one.machine: one.by for one in found} == {"saw": HOUR * 1e6, "mill": 2 * HOUR * 1e6}
    assert verdicts(clocks.judge(together(("m1", 2, 2)), live=True)) == {"mill": "right_again"}


def test_a_clock_that_goes_back_is_noticed_wherever_its_values_stand_in_a_parcel(clocks):
    clocks.judge(together(("p1", HOUR, HOUR), ("s1", HOUR, HOUR), ("m1", HOUR, HOUR)), live=True)
    later = HOUR + 1
    back = together(("p1", later, later), ("s1", 0, later), ("m1", later, later))
    assert verdicts(clocks.judge(back, live=True)) == {"saw": "back"}


def test_polls_that_only_went_on_are_not_forgotten_when_one_does_not(clocks):
    for now in (HOUR, HOUR + 1, HOUR + 2):
        assert clocks.judge(together(("p1", now, now), ("s1", now, now)), live=True) == []
    (found,) = clocks.judge(together(("s1", 2, HOUR + 3)), live=True)
    assert (found.machine, found.verdict, found.by) == ("saw", "back", HOUR * 1e6)


def test_a_tag_that_two_machines_read_tells_of_one_clock(clocks):
    assert verdicts(clocks.judge(together(("p1", HOUR, 0)), live=True)) == {"press": "ahead"}


def test_what_no_machine_reads_tells_of_no_clock(clocks):
    assert clocks.judge(together(("nobody", HOUR, 0)), live=True) == []


@given(st.lists(st.tuples(st.sampled_from(["s1", "m1"]), st.sampled_from([0, HOUR])), min_size=1))
def test_one_of_several_is_judged_as_if_it_were_alone(told):
    """Parcel by parcel; values of the others change nothing."""
    several, alone = Clocks({"saw": ["s1"], "mill": ["m1"]}), Clocks({"saw": ["s1"]})
    for number, (tag, off) in enumerate(told):
        parcel = together((tag, number + off, number), ("other", number, number))
        found = [one for one in several.judge(parcel, live=True) if one.machine == "saw"]
        expected = alone.judge(at("s1", number + off, number), live=True) if tag == "s1" else []
        assert found == expected


OWNED = {"press": ["p1", "p2"], "saw": ["s1"], "mill": ["m1"]}
ON_TIME = st.just([0.0, 0.0, 0.0])
OFF = st.lists(st.sampled_from([-HOUR, -1.0, 0.0, HOUR]), min_size=3, max_size=3)
POLL = st.tuples(
    st.sampled_from([("p1", "s1", "m1"), ("p1", "p2", "s1"), ("s1", "m1", "s1")]),
    ON_TIME | OFF,
    st.booleans(),
)
POLLS = st.tuples(POLL, st.integers(1, 4)).map(lambda poll: [poll[0]] * poll[1])


@example(
    [[(("s1", "m1", "s1"), [-HOUR] * 3, True)], [(("s1", "m1", "s1"), [-1, -HOUR, -HOUR], True)]]
)
@given(st.lists(POLLS, min_size=1))
def test_many_are_judged_together_as_each_by_itself(polls):
    """Tags come again and again, most often with times that only go on."""
    clocks, alone = Clocks(OWNED), {machine: DeviceClock() for machine in OWNED}
    for now, (tags, offs, live) in enumerate(chain.from_iterable(polls)):
        told = [(tag, now + off, now) for tag, off in zip(tags, offs, strict=True)]
        judged = clocks.judge(together(*told), live=live)
        expected = {}
        for machine, clock in alone.items():
            own = [value for value in told if value[0] in OWNED[machine]]
            if own and (verdict := clock.judge(together(*own), live=live)) != "fine":
                expected[machine] = (verdict, clock.by)
        assert {one.machine: (one.verdict, one.by) for one in judged} == expected
