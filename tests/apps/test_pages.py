"""The pages' view models, and reasons given from them."""

from typing import Any

import pytest

from isthmus.apps.app import readiness
from isthmus.apps.oee.app import DOWNTIME, OEE
from isthmus.apps.oee.facts import facts
from isthmus.apps.oee.page import live_page, oee_page, overview_page, stop_page
from isthmus.apps.oee.reasons import Piece, ReasonError, give, split, withdraw
from isthmus.apps.registry import USE_CASES
from isthmus.base.clock import DAY, HOUR, MINUTE
from isthmus.flow.parcel import Rows

SIX = 1_794_895_200_000_000
TWO = SIX + 8 * HOUR
NOW = SIX + 5 * HOUR


@pytest.fixture
def plant(build: Any) -> Any:
    """im-01 runs, im-02 stands since 10:40 without a reason, im-03 was lost at 10:50."""
    names = ("im-01", "im-02"), ("im-03",)
    machines = [build.machine(n, f"line-{k}") for k, line in enumerate(names, 1) for n in line]
    made = build.Factory(build.plant(*machines))
    for path in made.plant.machines:
        made.shift(SIX, TWO, machine=path)
        made.order(SIX + HOUR, None, f"P-{path[-1]}", machine=path, quantity=1000)
        made.state(SIX, "execute", path)
        for step in range(5 * 60):
            made.parts(SIX + step * MINUTE, good=5, machine=path)
    _, second, third = made.plant.machines
    made.state(SIX + 2 * HOUR, "stopped", second)
    made.state(SIX + 2 * HOUR + 20 * MINUTE, "execute", second)
    made.reason("r1", SIX + 2 * HOUR, None, "no_material", second)
    made.state(SIX + 4 * HOUR + 40 * MINUTE, "aborted", second)
    made.state(SIX + 4 * HOUR + 50 * MINUTE, None, third)
    kept = facts(
        made.query, made.plant, list(made.plant.machines.values()), SIX - DAY, NOW, now=NOW
    )
    made.register("oee_fact", kept)
    yield made
    made.connection.close()


def _append(made: Any, rows: Rows) -> None:
    """As the log does, without its system columns."""
    made.sequence += 1
    made.connection.register("given", rows.table)
    made.connection.execute(
        "INSERT INTO stop_reason_history BY NAME SELECT * EXCLUDE (_source, _samples) FROM given"
    )


def test_overview_is_a_tree_with_what_is_abnormal(plant: Any) -> None:
    page = overview_page(plant.query, plant.plant, "acme", SIX, TWO, (SIX - 8 * HOUR, SIX), now=NOW)

    assert [(row.name, row.depth, row.machines, row.abnormal) for row in page.rows] == [
        ("ACME", 0, 3, 2), ("Hamburg", 1, 3, 2), ("Moulding", 2, 3, 2), ("Line 1", 3, 2, 1),
        ("Line 2", 3, 1, 1),
    ]  # fmt: skip
    assert [(one.what, one.name, one.seconds) for one in page.attention] == [
        ("unclassified", "IM-02", 1200), ("offline", "IM-03", 600),
    ]  # fmt: skip
    assert page.rows[0].oee.target == 0.72
    assert page.rows[0].oee.value == pytest.approx(300 * 5 * 3 * 10 / (3 * 5 * 3600))
    assert [point.day for point in page.rows[0].spark] == ["2026-11-17"]


def test_oee_page_numbers_are_those_of_the_waterfall(plant: Any) -> None:
    page = oee_page(plant.query, plant.plant, "acme/hamburg", SIX, TWO, None, now=NOW)

    planned = page.losses[0].seconds or 0.0
    productive = page.losses[-1].seconds or 0.0
    assert page.oee.value == pytest.approx(productive / planned)
    assert page.unclassified_s == 1200
    assert [hour.produced for hour in page.hours] == [900] * 5
    assert page.hours[0].target == 3 * 360
    assert [row.name for row in page.grid.rows] == ["IM-01", "IM-02", "IM-03"]
    assert [row.reason for row in page.pareto] == ["no_material", "unclassified"]
    assert [stop.name for stop in page.stops] == ["IM-02", "IM-02"]
    assert [row.machine for row in page.timeline.rows] == list(plant.plant.machines)


def test_live_page_shows_the_abnormal_first(plant: Any) -> None:
    page = live_page(plant.query, plant.plant, "acme", now=NOW)

    assert [(one.name, one.kind, one.seconds) for one in page.machines] == [
        ("IM-02", "unclassified", 1200), ("IM-03", "offline", 600), ("IM-01", "slow", 5 * 3600),
    ]  # fmt: skip
    standing = page.machines[0]
    assert (standing.unclassified_s, len(standing.unclassified)) == (1200, 1)
    assert [tile.reason for tile in standing.choices] == ["no_material", "jam", "changeover"]
    assert standing.order is not None
    assert (standing.order.quantity, standing.order.good, standing.order.progress) == (
        1000,
        1200,
        1.2,
    )
    assert page.shift is not None
    assert (page.shift.shift, page.produced) == ("early", 4500)


def test_tapping_a_reason_classifies_the_stop_and_undo_takes_it_back(plant: Any) -> None:
    before = live_page(plant.query, plant.plant, "acme", now=NOW).machines[0]
    given = give(plant.query, plant.plant, before.stop, "jam", author="ada", now=NOW)
    _append(plant, given.rows)
    known = live_page(plant.query, plant.plant, "acme", now=NOW).machines[0]
    taken = withdraw(plant.query, given.id, author="ada", now=NOW + 1)
    assert taken is not None
    _append(plant, taken)
    after = live_page(plant.query, plant.plant, "acme", now=NOW).machines[0]

    assert (known.kind, known.reason, known.unclassified_s) == ("stopped", "jam", 0)
    assert (after.kind, after.reason, after.unclassified_s) == ("unclassified", "", 1200)


def test_another_reason_corrects_the_first(plant: Any) -> None:
    stop = live_page(plant.query, plant.plant, "acme", now=NOW).machines[0].stop
    first = give(plant.query, plant.plant, stop, "jam", author="ada", now=NOW)
    _append(plant, first.rows)
    second = give(plant.query, plant.plant, stop, "changeover", author="bob", now=NOW + 1)
    _append(plant, second.rows)

    assert second.id == first.id
    assert (
        live_page(plant.query, plant.plant, "acme", now=NOW + 1).machines[0].reason == "changeover"
    )


def test_a_split_stop_that_gets_one_reason_is_no_longer_split(plant: Any) -> None:
    shown = live_page(plant.query, plant.plant, "acme", now=NOW).machines[0]
    middle = shown.since + 5 * MINUTE
    pieces = [Piece(shown.since, middle, "jam"), Piece(middle, None, "changeover")]
    _append(plant, split(plant.query, plant.plant, shown.stop, pieces, author="ada", now=NOW).rows)
    halves = stop_page(plant.query, plant.plant, shown.stop, now=NOW)
    _append(
        plant, give(plant.query, plant.plant, shown.stop, "jam", author="ada", now=NOW + 1).rows
    )
    whole = stop_page(plant.query, plant.plant, shown.stop, now=NOW + 1)

    assert halves is not None
    assert whole is not None
    assert [part.reason for part in halves.stop.parts] == ["jam", "changeover"]
    assert [part.reason for part in whole.stop.parts] == ["jam"]


@pytest.mark.parametrize(
    ("stop", "reason", "message"),
    [
        ("nonsense", "jam", "is no stop"),
        ("acme/nowhere@5", "jam", "no machine `acme/nowhere`"),
        ("acme/hamburg/moulding/line-1/im-02@5", "jam", "did not stand at 1970"),
        ("acme/hamburg/moulding/line-1/im-02@5", "weather", "no reason `weather` in the model"),
    ],
)
def test_nonsense_reasons_are_refused(plant: Any, stop: str, reason: str, message: str) -> None:
    with pytest.raises(ReasonError, match=message):
        give(plant.query, plant.plant, stop, reason, author="ada", now=NOW)


def test_stop_page_shows_the_neighbours_and_what_is_around(plant: Any) -> None:
    second = list(plant.plant.machines)[1]
    stop = f"{second}@{SIX + 2 * HOUR}"

    page = stop_page(plant.query, plant.plant, stop, now=NOW)

    assert page is not None
    assert (page.stop.end, page.stop.seconds) == (SIX + 2 * HOUR + 20 * MINUTE, 1200)
    assert page.later == f"{second}@{SIX + 4 * HOUR + 40 * MINUTE}"
    assert page.earlier == ""
    assert page.around.start == SIX + 2 * HOUR - 10 * MINUTE
    assert stop_page(plant.query, plant.plant, f"{second}@7", now=NOW) is None


def test_which_machines_can_have_a_use_case_and_what_is_missing(build: Any) -> None:
    made = build.plant(
        build.machine("full"),
        build.machine("cycles", counts=("produced",)),
        build.machine("mute", counts=()),
    )

    oee = {one.machine[-4:]: one for one in readiness(made, OEE)}

    assert oee["full"].complete
    assert (oee["cles"].ready, oee["cles"].missing[0].fields) == (True, ("part_count.scrap",))
    assert not oee["mute"].ready
    assert all(one.complete for one in readiness(made, DOWNTIME))
    assert set(USE_CASES) == {"oee", "downtime"}
