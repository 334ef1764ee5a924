"""States and values that follow from other signals: conditions, hysteresis, formulas."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from isthmus.base.clock import SECOND
from isthmus.field.shape import Mapping, resume, shape
from isthmus.flow.parcel import BAD, SAMPLES_SCHEMA, Shaped
from isthmus.model.spec.machine_type import Condition, Formula, StateRule
from isthmus.testing.one_source import T0, field, plant, rows, sample, samples

POWER = {"power": "P"}
RULE = StateRule.model_validate(
    {
        "inputs": {"power": "P", "alarm": "A"},
        "when": [
            {"state": "aborted", "if": "alarm == 1"},
            {"state": "execute", "if": "power > 2.5", "until": "power < 1.5", "after": 3.0},
        ],
        "otherwise": "idle",
    }
)
NAMES = ("aborted", "execute", "idle")
NOTHING = SAMPLES_SCHEMA.empty_table()


def of(rule: StateRule, **inputs: str) -> Mapping:
    pairs = tuple((inputs or rule.inputs).items())
    state = field("a", "machine_state.state", None, states=rule, inputs=pairs, names=NAMES)
    return Mapping.of(*plant(state))


PRESS = of(RULE)


def run(*parcels: tuple[Any, float], mapping: Mapping = PRESS) -> tuple[list[Shaped], bytes | None]:
    state, found = None, []
    for table, now in parcels:
        found.append(shape(table, mapping, state, now=T0 + round(now * SECOND)))
        state = found[-1].state
    return found, state


def told(found: list[Shaped]) -> list[tuple[float, str | None]]:
    """What holds in the end: of rows at one time the one that was said last."""
    known: dict[float, str | None] = {}
    for part in found:
        for row in rows(part, "machine_state"):
            known[row["time"]] = row.get("state")
    changes: list[tuple[float, str | None]] = []
    for at in sorted(known):
        if not changes or changes[-1][1] != known[at]:
            changes.append((at, known[at]))
    return changes


def power(*readings: tuple[float, float]) -> Any:
    return samples(sample("A", 0, readings[0][1]), *(sample("P", w, at) for w, at in readings))


def test_a_state_begins_when_its_condition_began_to_hold() -> None:
    found, _ = run((power((0.0, 0), (3.0, 10), (3.1, 14), (0.0, 60)), 60))

    assert told(found) == [(0, "idle"), (10, "execute"), (60, "idle")]


def test_a_condition_that_holds_too_shortly_does_not_count() -> None:
    found, _ = run((power((0.0, 0), (3.0, 10), (0.0, 12), (0.0, 60)), 60))

    assert told(found) == [(0, "idle")]


def test_hysteresis_holds_a_state_between_its_two_limits() -> None:
    found, _ = run((power((0.0, 0), (3.0, 10), (2.0, 20), (2.4, 30), (1.4, 40), (2.0, 50)), 60))

    assert told(found) == [(0, "idle"), (10, "execute"), (40, "idle")]


def test_silence_lets_the_minimum_time_pass() -> None:
    found, _ = run((power((0.0, 0), (3.0, 10)), 10), (NOTHING, 12), (NOTHING, 13))

    assert told(found[:2]) == [(0, "idle")]
    assert told(found) == [(0, "idle"), (10, "execute")]


def test_the_first_condition_that_holds_wins() -> None:
    parcel = samples(
        sample("A", 0, 0),
        sample("P", 3, 0),
        sample("P", 3, 5),
        sample("A", 1, 8),
        sample("A", 0, 9),
    )

    found, _ = run((parcel, 20))

    assert told(found) == [(0, "execute"), (8, "aborted"), (9, "execute")]


def test_a_bad_input_makes_the_state_unknown_where_it_matters() -> None:
    parcel = samples(sample("A", 0, 0), sample("P", 3, 0), sample("P", 3, 5),
                     sample("P", None, 6, quality=BAD), sample("A", 1, 7), sample("A", 0, 8),
                     sample("P", 0, 9))  # fmt: skip

    found, _ = run((parcel, 20))

    assert told(found) == [(0, "execute"), (6, None), (7, "aborted"), (8, None), (9, "idle")]


def test_nothing_is_said_before_all_inputs_that_matter_are_known() -> None:
    found, _ = run((samples(sample("P", 3, 0)), 20))

    assert told(found) == []


def test_after_an_outage_nothing_is_known_until_values_come() -> None:
    _, state = run((power((3.0, 0), (3.0, 5)), 10))
    state = resume(state, PRESS, unknown_since=T0 + 20 * SECOND, opened=T0 + 100 * SECOND)

    first = shape(samples(sample("A", 0, 0, received=100)), PRESS, state, now=T0 + 100 * SECOND)
    second = shape(
        samples(sample("P", 0, 5, received=101)), PRESS, first.state, now=T0 + 101 * SECOND
    )

    assert told([first]) == []
    assert told([first, second]) == [(100, "idle")]


def test_inputs_are_thinned_in_the_ledger_and_derived_rows_take_no_samples() -> None:
    found, _ = run((power((0.0, 0), (3.0, 10), (3.0, 20)), 20))

    counts = {count.tag: count for count in found[0].counts}
    assert {tag: (c.received, c.thinned, c.unmapped, c.shaped) for tag, c in counts.items()} == {
        "A": (1, 1, 0, 0), "P": (3, 3, 0, 0),
    }  # fmt: skip
    assert sum(row["_samples"] for row in rows(found[0], "machine_state")) == 0


def test_an_input_that_also_feeds_a_field_is_shaped() -> None:
    rule = StateRule(
        inputs=POWER, when=[Condition.model_validate({"state": "execute", "if": "power > 2"})],
        otherwise="idle",
    )  # fmt: skip
    mapping = Mapping.of(
        *plant(
            field("a", "machine_state.state", None, states=rule, inputs=(("power", "P"),),
                  names=NAMES),
            field("a", "cycle.melt_temp", "P"),
        )
    )  # fmt: skip

    shaped = shape(samples(sample("P", 3.5, 1)), mapping, None, now=T0 + SECOND)

    assert [(c.tag, c.shaped, c.thinned) for c in shaped.counts] == [("P", 1, 0)]
    assert [row["_samples"] for row in rows(shaped, "cycle")] == [1]
    assert told([shaped]) == [(1, "execute")]


def test_a_formula_is_computed_once_per_device_time() -> None:
    formula = Formula(inputs={"u": "U", "i": "I"}, value="u * i")
    mapping = Mapping.of(
        *plant(
            field("a", "cycle.melt_temp", None, formula=formula, inputs=(("u", "U"), ("i", "I")),
                  scale=0.001)
        )
    )  # fmt: skip
    parcel = samples(sample("U", 400, 0), sample("I", 2, 0), sample("U", 410, 1),
                     sample("I", 3, 1), sample("I", None, 2, quality=BAD))  # fmt: skip

    shaped = shape(parcel, mapping, None, now=T0 + 2 * SECOND)

    found = [(r["time"], r.get("melt_temp"), r["_quality"]) for r in rows(shaped, "cycle")]
    assert found == [(0, 0.8, 0), (1, 1.23, 0), (2, None, 2)]


readings = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 2.0, 3.0]), st.integers(0, 4)), max_size=30
)


@given(readings=readings, cuts=st.sets(st.integers(1, 29), max_size=5))
def test_it_does_not_matter_how_samples_are_cut_into_parcels(
    readings: list[tuple[float, int]], cuts: set[int]
) -> None:
    at, steps = 0, []
    for value, later in readings:
        at += later + 1
        steps.append((value, at))
    table = power((0.0, 0), *steps)
    bounds = [0, *sorted(cut for cut in cuts if cut < table.num_rows), table.num_rows]

    def received(cut: int) -> float:
        return (table["received_time"][max(0, cut - 1)].as_py().timestamp()) - T0 / SECOND

    whole, _ = run((table, at))
    parts, _ = run(
        *((table.slice(start, end - start), received(end)) for start, end in pairwise(bounds))
    )

    assert told(parts) == told(whole)


@given(readings=readings)
def test_states_equal_those_found_second_by_second(readings: list[tuple[float, int]]) -> None:
    at, steps = 0, [(0.0, 0)]
    for value, later in readings:
        at += later + 1
        steps.append((value, at))

    found, _ = run((power(*steps), at + 10))

    assert told(found) == _second_by_second({time: value for value, time in steps}, at + 10)


def _second_by_second(values: dict[int, float], end: int) -> list[tuple[float, str]]:
    """Execute from the first second above 2.5 on, if it lasts 3 s, until below 1.5."""
    held, began, states = 0.0, None, []
    running = False
    for second in range(end + 1):
        held = values.get(second, held)
        if running:
            running = not held < 1.5
            began = began if running else None
        else:
            began = (began if began is not None else second) if held > 2.5 else None
            if began is not None and second - began >= 3:
                running = True
                states[began:] = ["execute"] * (second - began)
        states.append("execute" if running else "idle")
    return [
        (second, state)
        for second, state in enumerate(states)
        if second == 0 or states[second - 1] != state
    ]
