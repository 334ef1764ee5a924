"""States as people see them, losses, stops and reasons."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from isthmus.apps.oee.facts import facts
from isthmus.apps.oee.losses import find_stop, losses, pareto, stops
from isthmus.apps.oee.timeline import states
from isthmus.base.clock import DAY, HOUR, MINUTE, SECOND, Micros

SIX = 1_794_895_200_000_000
TWO = SIX + 8 * HOUR
LATER = SIX + 2 * DAY


def _states(
    factory: Any, start: Micros = SIX, end: Micros = TWO, now: Micros = LATER
) -> list[tuple[int, str]]:
    """(minutes, kind) of the first machine."""
    found = states(factory.query, factory.plant, factory.first, start, end, now=now)
    return [(round(one.seconds / 60), one.kind) for one in found]


def _busy(factory: Any, start: Micros, end: Micros, every: Micros = 10 * SECOND) -> None:
    for moment in range(start + every, end, every):
        factory.parts(moment, good=1)


@pytest.fixture
def quiet(build: Any) -> Any:
    """A machine without an ideal cycle: nothing is ever slow."""
    made = build.Factory(build.plant(build.machine("im-01", ideal=None)))
    made.shift(SIX, TWO)
    yield made
    made.connection.close()


def test_break_and_unclassified_and_minor_stop(quiet: Any, at: Any) -> None:
    quiet.state(SIX, "execute")
    quiet.down(at("10:00"), at("10:30"))
    quiet.state(at("11:00"), "stopped")
    quiet.state(at("11:02"), "execute")
    quiet.state(at("12:00"), "stopped")
    quiet.state(at("12:03"), "execute")

    # A machine that produces in a break is shown producing; two minutes are a minor stop.
    assert _states(quiet) == [
        (240, "running"), (30, "running"), (30, "running"), (2, "stopped"), (58, "running"),
        (3, "unclassified"), (117, "running"),
    ]  # fmt: skip


def test_standing_in_a_break_is_planned(quiet: Any, at: Any) -> None:
    quiet.state(SIX, "stopped")
    quiet.down(at("10:00"), at("10:30"))

    assert _states(quiet, at("09:00"), at("11:00")) == [
        (60, "unclassified"), (30, "planned"), (30, "unclassified"),
    ]  # fmt: skip


def test_a_reason_turns_an_unclassified_stop_into_a_stop(quiet: Any, at: Any) -> None:
    quiet.state(SIX, "stopped")
    quiet.state(at("07:00"), "execute")
    quiet.reason("r1", SIX, None, "jam")

    assert _states(quiet, end=at("08:00")) == [(60, "stopped"), (60, "running")]


def test_an_open_reason_ends_with_its_stop(quiet: Any, at: Any) -> None:
    quiet.state(SIX, "stopped")
    quiet.state(at("07:00"), "execute")
    quiet.state(at("08:00"), "stopped")
    quiet.reason("r1", SIX, None, "jam")

    assert _states(quiet, end=at("09:00"))[-1] == (60, "unclassified")
    assert _states(quiet, start=at("08:30"), end=at("09:00")) == [(30, "unclassified")]


def test_a_stop_may_have_two_reasons(quiet: Any, at: Any) -> None:
    quiet.state(SIX, "stopped")
    quiet.reason("r1", SIX, at("06:20"), "jam")
    quiet.reason("r2", at("06:20"), at("06:40"), "no_material")

    found = pareto(quiet.query, quiet.plant, "acme", SIX, SIX + HOUR, now=LATER)

    assert [(row.reason, row.seconds) for row in found] == [
        ("jam", 1200), ("no_material", 1200), ("unclassified", 1200),
    ]  # fmt: skip
    assert [round(row.cumulative, 3) for row in found] == [0.333, 0.667, 1.0]


def test_a_reason_from_before_the_window_still_holds(quiet: Any, at: Any) -> None:
    quiet.state(SIX, "stopped")
    quiet.reason("r1", SIX, None, "jam")

    assert _states(quiet, at("09:00"), at("10:00")) == [(60, "stopped")]


def test_producing_with_too_long_between_parts_is_slow(factory: Any, at: Any) -> None:
    factory.state(SIX, "execute")
    _busy(factory, SIX, at("07:00"))
    _busy(factory, at("07:00") - 10 * SECOND, at("08:00"), 20 * SECOND)

    assert _states(factory, end=at("08:00")) == [(60, "running"), (60, "slow")]


def test_time_standing_does_not_make_the_next_cycle_slow(factory: Any, at: Any) -> None:
    factory.state(SIX, "execute")
    _busy(factory, SIX, at("07:00"))
    factory.state(at("07:00"), "stopped")
    factory.state(at("07:20"), "execute")
    _busy(factory, at("07:20"), at("08:10"))

    assert _states(factory, end=at("08:00")) == [
        (60, "running"),
        (20, "unclassified"),
        (40, "running"),
    ]


def test_a_stop_that_goes_on_behind_the_window_is_not_minor(quiet: Any, at: Any) -> None:
    quiet.state(SIX, "execute")
    quiet.state(at("06:59"), "stopped")
    quiet.state(at("07:30"), "execute")

    assert _states(quiet, end=at("07:00")) == [(59, "running"), (1, "unclassified")]


def test_a_stop_that_has_just_begun_is_not_yet_unclassified(quiet: Any, at: Any) -> None:
    quiet.state(SIX, "execute")
    quiet.state(at("06:59"), "stopped")

    assert _states(quiet, now=at("07:00"))[-1] == (1, "stopped")
    assert _states(quiet, now=at("07:05"))[-1] == (6, "unclassified")


def test_stop_keeps_its_id_whatever_the_window(quiet: Any, at: Any) -> None:
    quiet.state(SIX, "execute")
    quiet.state(at("07:00"), "stopped")
    quiet.state(at("07:10"), "aborted")
    quiet.state(at("12:00"), "execute")

    ids = {
        stop.id
        for start in ("06:00", "07:05", "09:00")
        for stop in stops(quiet.query, quiet.plant, "acme", at(start), at("13:00"), now=LATER)
    }

    assert ids == {f"{quiet.first}@{at('07:00')}"}


def test_a_stop_of_many_days_has_its_true_beginning(quiet: Any) -> None:
    begin = SIX - 20 * DAY
    quiet.state(begin - HOUR, "execute")
    quiet.state(begin, "stopped")
    quiet.state(SIX - DAY, "aborted")

    found = stops(quiet.query, quiet.plant, "acme", SIX, TWO, now=LATER)

    assert [stop.start for stop in found] == [begin]
    assert found[0].seconds == 8 * 3600


def test_stop_is_found_by_its_id_with_its_end(quiet: Any, at: Any) -> None:
    quiet.state(SIX, "execute")
    quiet.state(at("07:00"), "stopped")
    quiet.state(at("12:00"), "execute")

    found = find_stop(quiet.query, quiet.plant, f"{quiet.first}@{at('07:00')}", now=LATER)

    assert found is not None
    assert (found.end, found.seconds, found.unclassified_s) == (at("12:00"), 5 * 3600, 5 * 3600)
    assert find_stop(quiet.query, quiet.plant, f"{quiet.first}@{at('07:01')}", now=LATER) is None


def test_waterfall_names_each_loss(factory: Any, at: Any) -> None:
    factory.state(SIX, "execute")
    factory.down(at("10:00"), at("10:30"))
    factory.state(at("07:00"), "resetting")
    factory.state(at("07:30"), "stopped")
    factory.state(at("08:00"), "idle")
    factory.state(at("08:10"), "execute")
    factory.state(at("09:00"), "stopped")
    factory.state(at("09:01"), "execute")
    factory.state(at("11:00"), None)
    factory.state(at("11:15"), "stopped")
    factory.state(at("12:00"), "execute")
    factory.reason("r1", at("07:30"), None, "jam")
    factory.parts(at("13:00"), good=1500, scrap=60)
    _keep(factory)

    steps = {
        step.key: step.seconds
        for step in losses(factory.query, factory.plant, "acme", SIX, TWO, now=LATER)
    }

    assert steps == {
        "planned_busy": 450 * 60, "breakdowns": 1800, "setup": 1800, "waiting": 600,
        "unclassified": 45 * 60, "minor_stops": 60, "unknown": 900,
        "operating": 319 * 60, "speed": 319 * 60 - 15600, "net_operating": 15600,
        "scrap_rework": 600, "productive": 15000,
    }  # fmt: skip


def _keep(factory: Any) -> None:
    machines = list(factory.plant.machines.values())
    kept = facts(factory.query, factory.plant, machines, SIX - DAY, SIX + DAY, now=LATER)
    factory.register("oee_fact", kept)


minute = st.integers(0, 8 * 60)
FIXTURES = [HealthCheck.function_scoped_fixture]
NO_SHRINK = [Phase.explicit, Phase.reuse, Phase.generate]
"""Each example builds a lake: shrinking would take minutes."""


@settings(max_examples=10, deadline=None, phases=NO_SHRINK, suppress_health_check=FIXTURES)
@given(
    changes=st.dictionaries(
        minute,
        st.sampled_from(["execute", "resetting", "idle", "stopped", "off", None]),
        max_size=14,
    ),
    parts=st.dictionaries(minute, st.integers(1, 9), max_size=8),
    downs=st.lists(st.tuples(minute, st.integers(1, 60)), max_size=2),
    reasons=st.dictionaries(
        minute, st.sampled_from(["jam", "no_material", "changeover"]), max_size=3
    ),
    window=st.tuples(minute, minute).filter(lambda pair: pair[0] < pair[1]),
)
def test_intervals_tile_the_window_and_losses_add_up(  # noqa: PLR0917
    build: Any, changes: Any, parts: Any, downs: Any, reasons: Any, window: Any
) -> None:
    made = build.Factory(build.plant(build.machine("im-01")))
    made.shift(SIX + HOUR, TWO)
    for number, state in sorted(changes.items()):
        made.state(SIX + number * MINUTE, state)
    for number, good in parts.items():
        made.parts(SIX + number * MINUTE, good=good, scrap=1)
    for number, length in downs:
        made.down(SIX + number * MINUTE, SIX + (number + length) * MINUTE)
    for number, reason in reasons.items():
        made.reason(f"r{number}", SIX + number * MINUTE, None, reason)
    _keep(made)
    start, end = (SIX + number * MINUTE for number in window)

    found = states(made.query, made.plant, "acme", start, end, now=LATER)
    steps = losses(made.query, made.plant, "acme", start, end, now=LATER)
    row = facts(made.query, made.plant, list(made.plant.machines.values()), start, end, now=LATER)

    assert (found[0].start, found[-1].end) == (start, end)
    assert all(one.end == following.start for one, following in pairwise(found))
    by_key = {step.key: step for step in steps}
    lost = sum(step.seconds or 0.0 for step in steps if not step.total)
    planned, productive = by_key["planned_busy"].seconds, by_key["productive"].seconds
    assert planned == pytest.approx(lost + (productive or 0.0))
    assert planned == pytest.approx(sum(row["pbt_s"].to_pylist()))
    assert by_key["operating"].seconds == pytest.approx(sum(row["apt_s"].to_pylist()))
    assert by_key["unknown"].seconds == pytest.approx(sum(row["unknown_s"].to_pylist()))
    assert productive == pytest.approx(sum(row["ideal_good_s"].to_pylist()))
    made.connection.close()
