"""A state rule on what a real lathe said: it cuts while its spindle turns."""

from tests.whole.okuma import Seen, from_file, needs_recording

from isthmus.base.clock import SECOND, Micros
from isthmus.field.shape import Mapping, shape
from isthmus.model.spec.machine_type import StateRule
from isthmus.testing.one_source import T0, field, plant, rows, sample, samples

FAST, SLOW, LASTS = 50.0, 20.0, 2 * SECOND
RULE = StateRule.model_validate(
    {
        "inputs": {"speed": "S1speed"},
        "when": [{"state": "execute", "if": "speed > 50", "until": "speed < 20", "after": 2.0}],
        "otherwise": "idle",
    }
)


def turning(readings: list[Seen]) -> list[tuple[Micros, str | None]]:
    """Changes of state, found by pairing the crossings of the two limits; written on its own."""
    changes: list[tuple[Micros, str | None]] = [(readings[0].time, "idle")]
    at = 0
    while at < len(readings):
        above = next((i for i in range(at, len(readings)) if _speed(readings[i]) > FAST), None)
        if above is None:
            break
        dip = _first(readings, above, FAST, below_or_at=True)
        end = _first(readings, above, SLOW, below_or_at=False)
        if dip.time - readings[above].time >= LASTS:
            changes += [(readings[above].time, "execute"), (end.time, "idle")]
            at = readings.index(end)
        else:
            at = readings.index(dip)
    return changes


def _first(readings: list[Seen], start: int, limit: float, *, below_or_at: bool) -> Seen:
    return next(
        one
        for one in readings[start:]
        if _speed(one) < limit or (below_or_at and _speed(one) == limit)
    )


def _speed(one: Seen) -> float:
    assert isinstance(one.value, float)
    return one.value


@needs_recording
def test_states_from_the_spindle_are_those_of_an_account_by_hand() -> None:
    # Four takes, told by one spindle; in the file the second is older than the first.
    readings = sorted(from_file("S1speed"), key=lambda one: one.time)
    first = readings[0].time
    rule = field("a", "machine_state.state", None, states=RULE, inputs=(("speed", "S1speed"),),
                 names=("execute", "idle"))  # fmt: skip
    mapping = Mapping.of(*plant(rule))

    state, found = None, {}
    for start in range(0, len(readings), 50):
        part = readings[start : start + 50]
        table = samples(*(
            sample("S1speed", value, (time - first) / SECOND)
            for time, value in part
        ))  # fmt: skip
        shaped = shape(table, mapping, state, now=T0 + part[-1].time - first)
        state = shaped.state
        found |= {row["time"]: row.get("state") for row in rows(shaped, "machine_state")}
    last = shape(samples(), mapping, state, now=T0 + readings[-1].time - first + LASTS)
    found |= {row["time"]: row.get("state") for row in rows(last, "machine_state")}

    ours = [(at, found[at]) for at in sorted(found)]
    ours = [one for before, one in zip([(0, ""), *ours], ours, strict=False) if before[1] != one[1]]
    theirs = [((time - first) / SECOND, state) for time, state in turning(readings)]
    assert [name for _, name in ours] == [name for _, name in theirs]
    assert all(abs(a - b) < 1e-3 for (a, _), (b, _) in zip(ours, theirs, strict=True))
    assert sum(name == "execute" for _, name in ours) > 2
