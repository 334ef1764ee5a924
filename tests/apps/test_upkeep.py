"""Kept facts are the facts, whatever arrives late; only dirty hours are computed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from isthmus.apps.oee.facts import FACT_SCHEMA, OEE_FACT, facts
from isthmus.base.clock import HOUR, MINUTE, Micros, to_datetime
from isthmus.data.facts import FactKeeper
from isthmus.flow.parcel import TIME, Rows

NOON = 1_794_916_800_000_000
"""2026-11-17T12:00Z, six hours into the early shift."""
FIXTURES = [HealthCheck.function_scoped_fixture]
NO_SHRINK = [Phase.explicit, Phase.reuse, Phase.generate]
"""Each example builds a lake: shrinking would take minutes."""


class Upkeep:
    """A factory whose rows are told to a keeper, as the runtime does."""

    def __init__(self, factory: Any, folder: Path) -> None:
        self.factory = factory
        self.folder = folder
        self.keeper = self.restart()

    def restart(self) -> FactKeeper:
        """As after a crash: whatever the keeper had in memory is gone."""
        self.keeper = FactKeeper(self.factory, OEE_FACT, self.factory.plant, self.folder)
        return self.keeper

    def state(self, t: Micros, state: str | None, machine: str = "", *, told: bool = True) -> None:
        self.factory.state(t, state, machine)
        self._tell("machine_state", t, machine, told=told)

    def parts(self, t: Micros, good: int, machine: str = "", *, told: bool = True) -> None:
        self.factory.parts(t, good=good, machine=machine)
        self._tell("part_count", t, machine, told=told)

    def order(self, *args: Any, told: bool = True, **kwargs: Any) -> None:
        self.factory.order(*args, **kwargs)
        key = kwargs.get("key", "4711")
        if told:
            table = pa.table({"system": ["erp"], "key": [f"{key}-10"]})
            self.keeper.take([Rows("operation", table)])

    def _tell(self, name: str, t: Micros, machine: str, *, told: bool) -> None:
        if told:
            machine = machine or self.factory.first
            table = pa.table({"machine": [machine], "time": pa.array([to_datetime(t)], TIME)})
            self.keeper.take([Rows(name, table)])

    def kept(self) -> list[dict[str, Any]]:
        return _sorted(self.factory.query(f"SELECT * FROM {OEE_FACT.name}").cast(FACT_SCHEMA))

    def computed(self, start: Micros, now: Micros) -> list[dict[str, Any]]:
        machines = list(self.factory.plant.machines.values())
        query, plant = self.factory.query, self.factory.plant
        return _sorted(facts(query, plant, machines, start, now, now=now))


def _sorted(table: pa.Table) -> list[dict[str, Any]]:
    rows = table.to_pylist()
    return sorted(
        rows, key=lambda row: (row["machine"], row["hour"], row["start"], str(row["shift"]))
    )


@pytest.fixture
def upkeep(factory: Any, tmp_path: Path) -> Upkeep:
    factory.state(NOON - 6 * HOUR, "execute")
    return Upkeep(factory, tmp_path / "oee_fact")


def test_first_refresh_computes_everything_the_rows_tell(upkeep: Upkeep) -> None:
    upkeep.keeper.refresh(NOON)

    assert upkeep.computed(NOON - 6 * HOUR, NOON) == upkeep.kept()


def test_late_state_row_changes_hours_until_the_next_one_and_no_other(upkeep: Upkeep) -> None:
    upkeep.state(NOON - 2 * HOUR - MINUTE, "idle")
    upkeep.keeper.refresh(NOON)

    upkeep.state(NOON - 4 * HOUR + MINUTE, "stopped")
    done = upkeep.keeper.refresh(NOON + MINUTE)

    # 08:01 stopped until 09:59 idle: hours 8 and 9, and the running one.
    assert done.hours == 3
    assert upkeep.computed(NOON - 6 * HOUR, NOON + MINUTE) == upkeep.kept()


def test_late_parts_change_one_hour(upkeep: Upkeep) -> None:
    upkeep.keeper.refresh(NOON)

    upkeep.parts(NOON - 3 * HOUR, 7)
    done = upkeep.keeper.refresh(NOON + MINUTE)

    assert done.hours == 2
    assert upkeep.computed(NOON - 6 * HOUR, NOON + MINUTE) == upkeep.kept()


def test_corrected_order_moves_its_hours(upkeep: Upkeep) -> None:
    upkeep.order(NOON - 5 * HOUR, NOON - 4 * HOUR)
    upkeep.keeper.refresh(NOON)

    upkeep.order(NOON - 2 * HOUR, NOON - HOUR, recorded=NOON)
    upkeep.keeper.refresh(NOON + MINUTE)

    kept = upkeep.kept()
    assert upkeep.computed(NOON - 6 * HOUR, NOON + MINUTE) == kept
    assert [row["hour"].hour for row in kept if row["production_order"]] == [10]


def test_rows_nobody_told_of_are_found_after_a_crash(upkeep: Upkeep) -> None:
    upkeep.keeper.persist(NOON)
    upkeep.state(NOON - 3 * HOUR, "stopped", told=False)
    upkeep.parts(NOON - 5 * HOUR, 3, told=False)
    upkeep.order(NOON - 4 * HOUR, None, told=False)

    upkeep.restart().refresh(NOON + 2 * HOUR)

    assert upkeep.computed(NOON - 6 * HOUR, NOON + 2 * HOUR) == upkeep.kept()


def test_what_was_not_persisted_before_a_crash_is_computed_again(upkeep: Upkeep) -> None:
    upkeep.keeper.persist(NOON - 3 * HOUR)
    upkeep.state(NOON - 2 * HOUR, "stopped")
    upkeep.keeper.refresh(NOON - 3 * HOUR + MINUTE)

    upkeep.restart().refresh(NOON)

    assert upkeep.computed(NOON - 6 * HOUR, NOON) == upkeep.kept()


def test_persisted_facts_are_read_back_without_computing(upkeep: Upkeep) -> None:
    upkeep.keeper.persist(NOON)
    before = upkeep.kept()

    upkeep.restart()

    assert upkeep.kept() == before
    assert len(before) == 6


def test_hours_beyond_the_calendar_are_left_and_counted(upkeep: Upkeep) -> None:
    upkeep.keeper.refresh(NOON)
    long_ago = NOON - OEE_FACT.reach - 3 * HOUR

    upkeep.keeper.touch([upkeep.factory.first], long_ago, long_ago + HOUR)
    done = upkeep.keeper.refresh(NOON + MINUTE)

    assert done.out_of_reach == 2
    assert done.hours == 1


def test_a_failed_round_forgets_nothing(upkeep: Upkeep) -> None:
    upkeep.keeper.refresh(NOON)
    upkeep.state(NOON - 3 * HOUR, "stopped")
    query = upkeep.factory.query
    upkeep.factory.query = _failing_on("element", query)
    with pytest.raises(ConnectionError):
        upkeep.keeper.refresh(NOON + MINUTE)

    upkeep.factory.query = query
    upkeep.keeper.refresh(NOON + 2 * MINUTE)

    assert upkeep.computed(NOON - 6 * HOUR, NOON + 2 * MINUTE) == upkeep.kept()


def _failing_on(word: str, query: Callable[..., pa.Table]) -> Callable[..., pa.Table]:
    def failing(sql: str, params: Any = None) -> pa.Table:
        if word in sql:
            raise ConnectionError("the disk is gone")
        return query(sql, params)

    return failing


MOMENTS = st.integers(0, 8 * 12).map(lambda step: NOON - 6 * HOUR + step * 5 * MINUTE)
STATES = st.sampled_from(["execute", "stopped", "idle", "resetting", None])
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("state"), MOMENTS, STATES),
        st.tuples(st.just("parts"), MOMENTS, st.integers(0, 9)),
        st.tuples(
            st.just("order"), MOMENTS, st.sampled_from(["1", "2"]), st.booleans(), st.booleans()
        ),
        st.tuples(st.just("pass"), st.sampled_from([MINUTE, 17 * MINUTE, HOUR, 3 * HOUR])),
        st.tuples(st.just("crash")),
        st.tuples(st.just("persist")),
    ),
    max_size=14,
)


@settings(max_examples=10, deadline=None, phases=NO_SHRINK, suppress_health_check=FIXTURES)
@given(changes=CHANGES)
def test_kept_facts_equal_a_full_computation_after_any_changes(
    changes: list[tuple[Any, ...]], build: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    factory = build.Factory(build.plant(build.machine("im-01"), build.machine("im-02")))
    second = list(factory.plant.machines)[1]
    for machine in factory.plant.machines:
        factory.shift(NOON - 6 * HOUR, NOON + 2 * HOUR, machine=machine)
        factory.shift(NOON + 2 * HOUR, NOON + 10 * HOUR, "late", machine=machine)
    factory.down(NOON - 2 * HOUR, NOON - HOUR)
    factory.state(NOON - 6 * HOUR, "execute", second)
    upkeep = Upkeep(factory, tmp_path_factory.mktemp("facts") / "oee_fact")
    now = NOON - 3 * HOUR
    for number, change in enumerate(changes):
        now = _do(upkeep, change, now, number)
        upkeep.keeper.refresh(now)
    upkeep.keeper.refresh(now)

    assert upkeep.computed(NOON - 6 * HOUR, now) == upkeep.kept()
    factory.connection.close()


def _do(upkeep: Upkeep, change: tuple[Any, ...], now: Micros, number: int) -> Micros:
    match change:
        case ("state", t, state):
            upkeep.state(min(t, now), state)
        case ("parts", t, good):
            upkeep.parts(min(t, now), good)
        case ("order", t, key, ends, withdrawn):
            end = t + 45 * MINUTE if ends else None
            recorded = NOON - 6 * HOUR + number
            upkeep.order(t, end, key=key, recorded=recorded, withdrawn=withdrawn)
        case ("pass", length):
            return now + length
        case ("crash",):
            upkeep.restart()
        case ("persist",):
            upkeep.keeper.persist(now)
    return now
