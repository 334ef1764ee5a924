"""KPIs of any scope, window and grouping."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from isthmus.apps.oee.facts import facts
from isthmus.apps.oee.kpi import GroupingError, KpiRow, kpi, roll_up
from isthmus.apps.oee.ratios import KPIS
from isthmus.base.clock import DAY, HOUR, MINUTE, Micros

SIX = 1_794_895_200_000_000
TWO = SIX + 8 * HOUR
LATER = SIX + 2 * DAY
FIXTURES = [HealthCheck.function_scoped_fixture]
NO_SHRINK = [Phase.explicit, Phase.reuse, Phase.generate]
"""Each example builds a lake: shrinking would take minutes."""


@pytest.fixture
def company(build: Any) -> Any:
    """Two machines on one line, one on another; an order change, a break, a stop, some scrap."""
    machines = [
        build.machine("im-01"),
        build.machine("im-02", ideal=20.0),
        build.machine("im-03", "line-2"),
    ]
    made = build.Factory(build.plant(*machines))
    for number, path in enumerate(made.plant.machines):
        made.shift(SIX, TWO, machine=path)
        made.shift(TWO, TWO + 8 * HOUR, "late", path)
        made.down(SIX + 4 * HOUR, SIX + 4 * HOUR + 30 * MINUTE, machine=path)
        made.order(SIX, SIX + 3 * HOUR, f"A{number}", machine=path)
        made.order(SIX + 3 * HOUR, None, f"B{number}", "lid", ideal=12.0, machine=path)
        made.state(SIX, "execute", path)
        made.state(SIX + 3 * HOUR, "resetting", path)
        made.state(SIX + 3 * HOUR + (10 + number) * MINUTE, "execute", path)
        made.state(SIX + 6 * HOUR + 7 * MINUTE, "stopped", path)
        made.state(SIX + 6 * HOUR + 31 * MINUTE, "execute", path)
        for step in range(16 * 12):
            made.parts(
                SIX + step * 5 * MINUTE + number, good=15 - number, scrap=step % 2, machine=path
            )
    keep(made)
    yield made
    made.connection.close()


def keep(made: Any, start: Micros = SIX - DAY, end: Micros = SIX + DAY) -> None:
    machines = list(made.plant.machines.values())
    made.register("oee_fact", facts(made.query, made.plant, machines, start, end, now=LATER))


def _kpi(
    made: Any, by: str = "total", start: Micros = SIX, end: Micros = TWO, scope: str = "acme"
) -> list[KpiRow]:
    return kpi(made.query, made.plant, scope, start, end, by, now=LATER)


def test_scope_chooses_the_machines(company: Any) -> None:
    line, both = _kpi(company, scope="acme/hamburg/moulding/line-2"), _kpi(company)

    assert (line[0]["pbt_s"], both[0]["pbt_s"]) == (7.5 * 3600, 3 * 7.5 * 3600)


def test_shift_and_machine_can_be_combined(company: Any) -> None:
    rows = _kpi(company, "machine,shift", end=SIX + 16 * HOUR)

    assert [row.keys["shift"] for row in rows[:2]] == ["2026-11-17 early", "2026-11-17 late"]
    assert len(rows) == 6


@pytest.mark.parametrize(
    "by", ["site", "area", "line", "machine", "shift", "day", "month", "hour", "order", "material"]
)
def test_groups_of_any_kind_add_up_to_the_total(company: Any, by: str) -> None:
    groups = _kpi(company, by, end=SIX + 16 * HOUR)
    total = _kpi(company, end=SIX + 16 * HOUR)[0]

    for name in ("pbt_s", "apt_s", "produced", "good", "ideal_good_s", "failures"):
        assert sum(row[name] or 0.0 for row in groups) == pytest.approx(total[name])


def test_windows_that_cut_hours_are_exact(company: Any) -> None:
    start, end = SIX + 17 * MINUTE, TWO - 23 * MINUTE
    whole = _kpi(company, start=start, end=end)[0]

    machines = list(company.plant.machines.values())
    rows = facts(company.query, company.plant, machines, start, end, now=LATER).to_pylist()

    assert whole["pbt_s"] == pytest.approx(sum(row["pbt_s"] for row in rows))
    assert whole["produced"] == sum(row["produced"] for row in rows)
    assert whole["ideal_good_s"] == pytest.approx(sum(row["ideal_good_s"] for row in rows))


def test_a_production_day_is_the_shifts_day_and_else_the_local_date(build: Any) -> None:
    made = build.Factory(build.plant(build.machine("im-01")))
    made.state(SIX, "execute")
    made.order(SIX, None)
    made.parts(SIX + 17 * HOUR + 30 * MINUTE, good=1)  # 23:30Z is 00:30 in Berlin
    keep(made)

    rows = _kpi(made, "day", end=SIX + 18 * HOUR)

    assert {row.group: row["produced"] for row in rows} == {"2026-11-17": 0, "2026-11-18": 1}
    made.connection.close()


def test_places_without_plan_are_listed_with_the_cause(build: Any) -> None:
    made = build.Factory(build.plant(build.machine("im-01"), build.machine("im-02")))
    keep(made)

    rows = _kpi(made, "machine")

    assert [row.group.rpartition("/")[2] for row in rows] == ["im-01", "im-02"]
    assert rows[0].reasons_null["availability"] == "no_planned_busy_time"
    made.connection.close()


def test_one_machine_without_scrap_counter_makes_the_sum_unknown_and_says_so(build: Any) -> None:
    blind = build.machine("im-02", counts=("produced",))
    made = build.Factory(build.plant(build.machine("im-01"), blind))
    for path in made.plant.machines:
        made.shift(SIX, TWO, machine=path)
        made.state(SIX, "execute", path)
    made.parts(SIX + MINUTE, good=5)
    made.parts(SIX + MINUTE, produced=5, machine=blind.path)
    keep(made)

    total = _kpi(made)[0]

    assert (total["oee"], total["effectiveness"]) == (None, pytest.approx(100 / (16 * 3600)))
    assert total.reasons_null["oee"] == "no_good_count"
    made.connection.close()


def test_calendar_time_is_all_time_of_all_machines(company: Any) -> None:
    total = _kpi(company, start=SIX - 2 * HOUR, end=SIX + 12 * HOUR)[0]

    assert total["calendar_s"] == 3 * 14 * 3600
    assert total["teep"] < total["ooe"] < total["oee"]


def test_every_undefined_kpi_has_a_cause_and_no_other(company: Any) -> None:
    for row in _kpi(company, "hour") + _kpi(company, "order"):
        assert set(row.reasons_null) == {name for name in KPIS if row[name] is None}


def test_unknown_grouping_is_refused_with_the_choices(company: Any) -> None:
    with pytest.raises(GroupingError, match="cannot group by `weather`; choose from total, site"):
        _kpi(company, "weather")


def test_time_models_differ_in_the_denominator_only(company: Any) -> None:
    args = (company.query, company.plant, "acme", SIX, TWO)
    iso, planned, e79 = (
        kpi(*args, now=LATER, time_model=model)[0]
        for model in ("iso22400", "setup_planned", "semi_e79")
    )

    assert iso["oee"] * iso["pbt_s"] == pytest.approx(
        planned["oee"] * (iso["pbt_s"] - iso["aust_s"])
    )
    assert e79["oee"] == iso["teep"]
    for row in (iso, planned, e79):
        product = row["availability"] * row["effectiveness"] * row["quality_ratio"]
        assert product == pytest.approx(row["oee"])


def test_roll_up_of_machines_is_the_line(company: Any) -> None:
    machines, lines = _kpi(company, "machine"), _kpi(company, "line")

    rolled = roll_up(machines, "acme", lambda row: [{"line": row.group.rpartition("/")[0]}])

    assert [row.kpis for row in rolled] == [pytest.approx(row.kpis) for row in lines]


def test_row_as_the_api_gives_it(company: Any) -> None:
    row = _kpi(company, "machine")[0].as_dict()

    promised = {
        "scope", "group", "from", "to", "availability", "effectiveness", "quality_ratio", "oee",
        "nee", "coverage", "pbt_s", "apt_s", "aust_s", "adet_s", "adot_s", "unknown_s", "produced",
        "good", "scrap", "rework", "ideal_s", "ideal_good_s", "reasons_null",
    }  # fmt: skip
    assert promised <= set(row)
    assert (row["from"], row["to"]) == ("2026-11-17T06:00:00Z", "2026-11-17T14:00:00Z")
    assert type(row["produced"]) is int


@settings(max_examples=10, deadline=None, phases=NO_SHRINK, suppress_health_check=FIXTURES)
@given(cut=st.integers(SIX + 1, SIX + 16 * HOUR - 1))
def test_sums_do_not_depend_on_where_a_window_is_split(company: Any, cut: Micros) -> None:
    whole = _kpi(company, end=SIX + 16 * HOUR)
    parts = _kpi(company, end=cut) + _kpi(company, start=cut, end=SIX + 16 * HOUR)

    rolled = roll_up(parts, "acme", lambda row: [{"total": "total"}])

    assert rolled[0].kpis == pytest.approx(whole[0].kpis)


@settings(max_examples=10, deadline=None, phases=NO_SHRINK, suppress_health_check=FIXTURES)
@given(start=st.integers(SIX, SIX + 15 * HOUR), length=st.integers(1, HOUR))
def test_identities_of_iso22400_hold_in_any_window(
    company: Any, start: Micros, length: Micros
) -> None:
    row = _kpi(company, start=start, end=start + length)[0]
    if row["oee"] is not None:
        assert row["oee"] == pytest.approx(row["ideal_good_s"] / row["pbt_s"])
    if row["nee"] is not None and row["oee"] is not None:
        assert row["nee"] >= row["oee"] - 1e-12
    if row["utilization_efficiency"] is not None and row["availability"] is not None:
        product = row["allocation_efficiency"] * row["utilization_efficiency"]
        assert product == pytest.approx(row["availability"])
