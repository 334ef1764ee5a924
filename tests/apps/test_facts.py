"""Facts from states, counts, shifts and orders, by hand and against a minute by minute model."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from isthmus.apps.oee.facts import FACT_SCHEMA, facts
from isthmus.apps.oee.ratios import ratios
from isthmus.base.clock import DAY, HOUR, MINUTE, Micros, to_datetime, to_micros
from isthmus.model.spec.site import Material

SIX = 1_794_895_200_000_000
"""2026-11-17T06:00Z, when the early shift begins."""
TWO = SIX + 8 * HOUR
LATER = SIX + 20 * HOUR
FIXTURES = [HealthCheck.function_scoped_fixture]
NO_SHRINK = [Phase.explicit, Phase.reuse, Phase.generate]
"""Each example builds a lake: shrinking would take minutes."""


def _facts(factory: Any, start: Micros = SIX, end: Micros = TWO, now: Micros = LATER) -> pa.Table:
    machines = list(factory.plant.machines.values())
    return facts(factory.query, factory.plant, machines, start, end, now=now)


def _sum(table: pa.Table, *names: str) -> tuple[float | None, ...]:
    return tuple(
        None if None in (values := table[name].to_pylist()) else sum(values) for name in names
    )


def test_facts_have_the_promised_columns(factory: Any) -> None:
    factory.state(SIX, "execute")

    assert _facts(factory).schema.equals(FACT_SCHEMA)


def test_planned_stop_wins_over_an_unplanned_one(factory: Any, at: Any) -> None:
    # The golden case `break_overlapping_unplanned_stop`.
    factory.down(at("10:00"), at("10:30"))
    factory.order(SIX, None)
    factory.state(SIX, "execute")
    factory.state(at("09:50"), "stopped")
    factory.state(at("10:40"), "execute")

    found = _facts(factory)

    assert _sum(found, "pot_s", "pbt_s", "adet_s", "apt_s") == (
        480 * 60,
        450 * 60,
        20 * 60,
        430 * 60,
    )
    assert ratios(
        found.select(["pbt_s", "apt_s"])
        .group_by([])
        .aggregate([("pbt_s", "sum"), ("apt_s", "sum")])
        .rename_columns(["pbt_s", "apt_s"])
    )[0]["availability"] == pytest.approx(0.955556, abs=1e-6)


def test_overlapping_planned_stops_count_once(factory: Any, at: Any) -> None:
    factory.state(SIX, "execute")
    factory.down(at("10:00"), at("11:00"), "maintenance")
    factory.down(at("10:15"), at("10:30"), "break")
    factory.down(at("10:45"), at("11:15"), "break")

    assert _sum(_facts(factory), "planned_down_s", "pbt_s") == (75 * 60, (480 - 75) * 60)


def test_event_log_of_flux(factory: Any) -> None:
    # The golden case `flux_apq_test`: its window is four hours of a planned time of eight.
    for hour, state in ((0, "execute"), (2, "stopped"), (3, "execute"), (3.5, "execute")):
        factory.state(SIX + int(hour * HOUR), state)
    for hour, total, bad in ((1, 100, 1), (2, 100, 0), (3, 0, 0), (3.5, 40, 3)):
        factory.parts(SIX + int(hour * HOUR), good=total - bad, scrap=bad)

    run_s, produced, good = _sum(_facts(factory, SIX, SIX + 4 * HOUR), "apt_s", "produced", "good")

    assert (run_s, produced) == (10_800, 240)
    sums = {"pbt_s": 28_800, "apt_s": run_s, "produced": produced, "good": good}
    sums |= {"ideal_s": 30 * produced, "ideal_good_s": 30 * good}
    found = ratios(pa.table({name: [float(value)] for name, value in sums.items()}))[0]
    assert found["availability"] == pytest.approx(0.375)
    assert found["effectiveness"] == pytest.approx(2 / 3)
    assert found["quality_ratio"] == pytest.approx(0.98333333)
    assert found["oee"] == pytest.approx(0.24583333)


def test_counts_and_ideal_cycle_change_with_the_order(factory: Any, at: Any) -> None:
    # The golden case `order_change_setup`.
    factory.state(SIX, "execute")
    factory.order(SIX, at("09:20"), "A", ideal=60.0)
    factory.order(at("09:20"), None, "B", ideal=30.0)
    factory.state(at("09:20"), "resetting")
    factory.state(at("09:50"), "execute")
    factory.parts(at("09:00"), good=190)
    factory.parts(at("13:00"), good=480)

    found = _facts(factory)

    assert _sum(found, "apt_s", "aust_s", "produced") == (450 * 60, 30 * 60, 670)
    assert _sum(found, "ideal_good_s") == (60 * 190 + 30 * 480,)
    assert set(found["production_order"].to_pylist()) == {"A", "B"}


def test_a_part_at_the_moment_of_the_change_belongs_to_the_order_that_ended(
    factory: Any, at: Any
) -> None:
    factory.state(SIX, "execute")
    factory.order(SIX, None, "A", ideal=60.0)
    factory.order(at("09:20"), None, "B", ideal=30.0)
    factory.parts(at("09:20"), good=1)
    factory.parts(at("09:20") + 1, good=1)

    rows = _facts(factory).to_pylist()

    made = {r["production_order"]: (r["produced"], r["ideal_s"]) for r in rows if r["produced"]}
    assert made == {"A": (1, 60.0), "B": (1, 30.0)}


def test_a_part_at_an_order_s_end_on_the_hour_counts_in_the_hour_that_begins(
    factory: Any, at: Any
) -> None:
    factory.state(SIX, "execute")
    factory.order(SIX, at("09:00"), "A")
    factory.parts(at("09:00"), good=1)

    both = [_facts(factory, SIX, at("09:00")), _facts(factory, at("09:00"), TWO)]

    for rows, made in zip((table.to_pylist() for table in both), (0, 1), strict=True):
        assert sum(row["produced"] for row in rows if row["production_order"] == "A") == made
        assert sum(row["produced"] for row in rows) == made
    assert _sum(pa.concat_tables(both), "pbt_s") == (8 * 3600,)


def test_a_part_at_the_start_of_an_order_after_none_belongs_to_it(factory: Any, at: Any) -> None:
    factory.state(SIX, "execute")
    factory.order(at("09:20"), None, "B")
    factory.parts(at("09:20"), good=1)

    rows = _facts(factory).to_pylist()

    assert {row["production_order"] for row in rows if row["produced"]} == {"B"}


def test_last_state_lasts_until_now_and_the_future_counts_nothing(factory: Any) -> None:
    factory.state(SIX, "execute")

    now = SIX + 90 * MINUTE
    assert _sum(_facts(factory, now=now), "pbt_s", "apt_s") == (5400, 5400)


def test_a_state_that_began_long_ago_is_found(factory: Any) -> None:
    factory.state(SIX - 70 * DAY, "execute")

    assert _sum(_facts(factory), "apt_s", "unknown_s") == (8 * 3600, 0)


def test_before_the_first_row_the_state_is_unknown(factory: Any, at: Any) -> None:
    factory.state(at("08:00"), "execute")

    assert _sum(_facts(factory), "unknown_s", "apt_s") == (2 * 3600, 6 * 3600)


def test_a_lost_source_makes_the_state_unknown(factory: Any, at: Any) -> None:
    factory.state(SIX, "execute")
    factory.state(at("08:00"), None)
    factory.state(at("09:00"), "execute")

    assert _sum(_facts(factory), "unknown_s", "apt_s") == (3600, 7 * 3600)


def test_a_row_about_something_else_changes_no_state(factory: Any, at: Any) -> None:
    factory.state(SIX, "execute")
    factory.state(at("08:00"), None, quality=0)

    assert _sum(_facts(factory), "unknown_s", "apt_s") == (0, 8 * 3600)


def test_change_at_the_beginning_of_the_window_holds(factory: Any) -> None:
    factory.state(SIX - HOUR, "stopped")
    factory.state(SIX, "execute")

    assert _sum(_facts(factory), "apt_s") == (8 * 3600,)


def test_of_two_rows_at_one_moment_the_one_received_later_holds(factory: Any) -> None:
    factory.state(SIX, "stopped")
    factory.state(SIX, "execute")

    assert _sum(_facts(factory), "apt_s", "failures") == (8 * 3600, 0)


def test_production_outside_the_shift_counts_parts_but_no_time(factory: Any) -> None:
    factory.state(SIX - HOUR, "execute")
    factory.parts(SIX - 30 * MINUTE, good=4)

    early = _facts(factory, SIX - HOUR, SIX)

    assert _sum(early, "produced", "pbt_s", "apt_s") == (4, 0, 0)
    assert early["shift"].to_pylist() == [None]


def test_standing_is_delay_with_an_order_and_down_time_without(factory: Any, at: Any) -> None:
    factory.state(SIX, "idle")
    factory.order(SIX, at("08:00"))

    assert _sum(_facts(factory), "adet_s", "adot_s", "aoet_s") == (2 * 3600, 6 * 3600, 2 * 3600)


def test_a_stop_of_several_states_is_one_failure(factory: Any, at: Any) -> None:
    factory.order(SIX, None)
    factory.state(SIX, "execute")
    factory.state(at("09:55"), "stopped")
    factory.state(at("10:05"), "aborted")
    factory.state(at("10:20"), "execute")

    found = _facts(factory)

    assert _sum(found, "failures", "repair_s") == (1, 25 * 60)
    assert {row["hour"].hour for row in found.to_pylist() if row["failures"]} == {9}


def test_ideal_cycle_is_the_orders_else_the_materials_else_the_machines(build: Any) -> None:
    materials = {
        "cap": Material(material="cap", ideal_cycle={"press": 20.0, "lathe": 99.0}),
        "lid": Material(material="lid", ideal_cycle=30.0),
    }
    made = build.Factory(build.plant(build.machine("im-01", ideal=10.0), materials=materials))
    made.shift(SIX, TWO)
    made.state(SIX, "execute")
    made.material("rim", 40.0)
    made.order(SIX, None, "own", "cap", ideal=15.0)
    for hour, (key, material) in enumerate(
        [("typed", "cap"), ("all", "lid"), ("erp", "rim"), ("none", "unheard")], start=1
    ):
        made.order(SIX + hour * HOUR, None, key, material)
    for hour in range(5):
        made.parts(SIX + hour * HOUR + MINUTE, good=1)

    rows = _facts(made, SIX, SIX + 5 * HOUR).to_pylist()

    assert {row["production_order"]: row["ideal_s"] for row in rows} == {
        "own": 15.0, "typed": 20.0, "all": 30.0, "erp": 40.0, "none": 10.0,
    }  # fmt: skip
    made.connection.close()


def test_without_an_ideal_cycle_ideal_time_is_unknown_where_parts_were_made(build: Any) -> None:
    made = build.Factory(build.plant(build.machine("im-01", ideal=None)))
    made.shift(SIX, TWO)
    made.state(SIX, "execute")
    made.parts(SIX + MINUTE, good=1)

    rows = _facts(made, SIX, SIX + 2 * HOUR).to_pylist()

    assert [row["ideal_s"] for row in rows] == [None, 0]
    assert [row["target"] for row in rows] == [None, None]
    made.connection.close()


@pytest.mark.parametrize(
    ("counts", "rows", "expected"),
    [
        (("good", "scrap"), {"good": 5, "scrap": 1}, (6, 5, 1)),
        (("produced", "scrap"), {"produced": 6, "scrap": 1}, (6, 5, 1)),
        (("produced", "good"), {"produced": 6, "good": 5}, (6, 5, None)),
        (("produced",), {"produced": 6}, (6, None, None)),
        (("good",), {"good": 5}, (None, 5, None)),
        ((), {}, (None, None, None)),
    ],
)
def test_what_a_machine_does_not_count_is_unknown(
    build: Any, counts: tuple[str, ...], rows: Mapping[str, int], expected: tuple[int | None, ...]
) -> None:
    made = build.Factory(build.plant(build.machine("im-01", counts=counts)))
    made.shift(SIX, TWO)
    made.state(SIX, "execute")
    made.parts(SIX + MINUTE, **rows)

    found = _facts(made, SIX, SIX + HOUR)

    assert _sum(found, "produced", "good", "scrap") == expected
    made.connection.close()


def test_a_counting_machine_that_made_nothing_made_zero(factory: Any) -> None:
    factory.state(SIX, "execute")

    assert _sum(_facts(factory), "produced", "good", "ideal_s") == (0, 0, 0)


def test_hours_without_plan_order_or_parts_have_no_facts(factory: Any) -> None:
    factory.state(SIX, "execute")

    assert _facts(factory, TWO, TWO + 3 * HOUR).num_rows == 0


# Against a model that goes through the time minute by minute -----------------------------------

MINUTES = 8 * 60
CATEGORY = {
    "execute": "production", "resetting": "setup", "idle": "idle", "stopped": "stopped",
    "aborted": "stopped", "off": "off", None: None,
}  # fmt: skip
minute = st.integers(0, MINUTES)
spans = st.lists(st.tuples(minute, st.integers(1, 90)), max_size=3)


@settings(max_examples=10, deadline=None, phases=NO_SHRINK, suppress_health_check=FIXTURES)
@given(
    states=st.dictionaries(st.integers(-30, MINUTES), st.sampled_from(list(CATEGORY)), max_size=14),
    downs=spans,
    orders=st.dictionaries(minute, st.integers(1, 120), max_size=3),
    parts=st.dictionaries(minute, st.integers(0, 5), max_size=8),
    shift=st.tuples(st.integers(0, 200), st.integers(30, 280)),
    now=st.integers(1, MINUTES),
)
def test_facts_equal_a_minute_by_minute_account(  # noqa: PLR0917
    build: Any, states: Any, downs: Any, orders: Any, parts: Any, shift: Any, now: int
) -> None:
    made = build.Factory(build.plant(build.machine("im-01")))
    at = [SIX + number * MINUTE for number in range(MINUTES + 400)]
    made.shift(at[shift[0]], at[shift[0] + shift[1]])
    for number, state in sorted(states.items()):
        made.state(SIX + number * MINUTE, state)
    for number, length in downs:
        made.down(at[number], at[number + length])
    for number, length in orders.items():
        made.order(at[number], at[number + length], f"o{number}")
    for number, good in parts.items():
        made.parts(at[number], good=good)

    found = Counter()
    for row in _facts(made, SIX, TWO, at[now]).to_pylist():
        hour = (to_micros(row["hour"]) - SIX) // HOUR
        for name in ("pbt_s", "apt_s", "aust_s", "adet_s", "adot_s", "unknown_s", "aoet_s"):
            found[hour, row["shift"], row["production_order"], name] += round(row[name])
        for name in ("produced", "failures"):
            found[hour, row["shift"], row["production_order"], name] += row[name]

    assert _account(states, downs, orders, parts, shift, now) == +found
    made.connection.close()


def _account(  # noqa: PLR0917
    states: Any, downs: Any, orders: Any, parts: Any, shift: Any, now: int
) -> Counter[tuple[Any, ...]]:
    account: Counter[tuple[Any, ...]] = Counter()
    for number in range(now):
        planned = shift[0] <= number < shift[0] + shift[1]
        busy = planned and not any(start <= number < start + length for start, length in downs)
        when = (number // 60, "early" if planned else None)
        order = _running(orders, number)
        key = (*when, None if order is None else f"o{order}")
        category = (
            CATEGORY[states[max(before)]]
            if (before := [s for s in states if s <= number])
            else None
        )
        previous = (
            CATEGORY[states[max(earlier)]]
            if (earlier := [s for s in states if s < number])
            else None
        )
        account[*key, "aoet_s"] += 60 if order is not None else 0
        ended = _running(orders, number - 1)
        maker = order if ended is None else ended
        name = None if maker is None else f"o{maker}"
        account[*when, name, "produced"] += parts.get(number, 0)
        if not busy:
            continue
        account[*key, "pbt_s"] += 60
        rest = "adot_s" if order is None else "adet_s"
        name = {"production": "apt_s", "setup": "aust_s", None: "unknown_s"}.get(category, rest)
        account[*key, name] += 60
        fails = number in states and category == "stopped" != previous and order is not None
        account[*key, "failures"] += int(fails)
    return +account


def _running(orders: Mapping[int, int], number: int) -> int | None:
    """The order of this minute: the latest begun, if it has not ended."""
    order = max((start for start in orders if start <= number), default=None)
    return order if order is not None and number < order + orders[order] else None


@settings(max_examples=10, deadline=None, phases=NO_SHRINK, suppress_health_check=FIXTURES)
@given(
    states=st.dictionaries(minute, st.sampled_from(list(CATEGORY)), max_size=10),
    parts=st.dictionaries(minute, st.integers(0, 5), max_size=6),
    cut=st.integers(1, MINUTES - 1),
)
def test_a_window_cut_in_two_adds_up(build: Any, states: Any, parts: Any, cut: int) -> None:
    made = build.Factory(build.plant(build.machine("im-01")))
    made.shift(SIX, TWO)
    made.order(SIX + HOUR, None)
    for number, state in sorted(states.items()):
        made.state(SIX + number * MINUTE, state)
    for number, good in parts.items():
        made.parts(SIX + number * MINUTE, good=good)
    middle = SIX + cut * MINUTE
    names = [name for name in FACT_SCHEMA.names if name.endswith("_s")] + [
        "produced",
        "failures",
        "target",
    ]

    both = pa.concat_tables([_facts(made, SIX, middle), _facts(made, middle, TWO)])

    assert _sum(both, *names) == pytest.approx(_sum(_facts(made), *names))
    made.connection.close()


def test_rows_carry_the_place_and_the_bounds_of_what_they_sum(factory: Any, at: Any) -> None:
    factory.state(SIX, "execute")
    factory.order(at("06:20"), at("06:40"))

    rows = _facts(factory, SIX, SIX + HOUR).to_pylist()

    assert [(row["site"], row["area"], row["line"]) for row in rows] == [
        ("hamburg", "moulding", "line-1")
    ] * 2
    bounds = {row["production_order"]: (row["start"], row["end"]) for row in rows}
    assert bounds["4711"] == (to_datetime(at("06:20")), to_datetime(at("06:40")))
    assert bounds[None] == (to_datetime(SIX), to_datetime(SIX + HOUR))
