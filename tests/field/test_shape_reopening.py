"""After a loss a state is known again, whatever the clocks of both sides say."""

from isthmus.base.clock import SECOND, Micros
from isthmus.field.shape import Mapping, resume, shape
from isthmus.flow.parcel import Shaped
from isthmus.testing.one_source import T0, field, plant, rows, sample, samples

STATE = field("a", "machine_state.state", "s", codes=(("3", "execute"), ("7", "aborted")))
MAPPING = Mapping.of(*plant(STATE))
LOST, OPENED = 100.0, 200.0


def at(seconds: float) -> Micros:
    return T0 + round(seconds * SECOND)


def reopened(lost: float = LOST, opened: float = OPENED) -> bytes:
    before = shape(samples(sample("s", 3, 10)), MAPPING, None, now=at(10))
    return resume(before.state, MAPPING, unknown_since=at(lost), opened=at(opened))


def told(state: bytes, *values: tuple[int, float, float]) -> list[Shaped]:
    """`values`: code, device time, time of receipt; each in a parcel of its own."""
    found = []
    for value, time, received in values:
        one = samples(sample("s", value, time, received=received))
        found.append(shape(one, MAPPING, state, now=at(received)))
        state = found[-1].state or b""
    return found


def states(parcels: list[Shaped]) -> list[tuple[float, str]]:
    return [(row["time"], row["state"]) for p in parcels for row in rows(p, "machine_state")]


def test_a_state_that_did_not_change_holds_from_the_reopening_on() -> None:
    assert states(told(reopened(), (3, 10, 201))) == [(200.0, "execute")]


def test_a_state_that_changed_meanwhile_holds_since_then() -> None:
    assert states(told(reopened(), (7, 150, 201))) == [(150.0, "aborted")]


def test_a_change_is_not_hidden_when_the_device_is_behind() -> None:
    # Its clock is 120 s behind: at 205 it says 85, before the loss.
    parcels = told(reopened(), (3, 10, 201), (7, 85, 205), (3, 95, 215), (7, 230, 350))
    assert states(parcels) == [
        (200.0, "execute"),
        (200.0, "aborted"),
        (200.0, "execute"),
        (230.0, "aborted"),
    ]


def test_what_is_redelivered_does_not_take_the_place_of_the_present() -> None:
    assert states(told(reopened(), (3, 10, 201), (7, 5, 202))) == [
        (200.0, "execute"),
        (5.0, "aborted"),
    ]


def test_a_state_is_known_again_when_the_device_is_ahead() -> None:
    # `unknown` had to be written after its last row, which was 120 s ahead of our clock.
    parcels = told(reopened(lost=220.0, opened=200.0), (3, 10, 201))
    assert [time > 220.0 for time, _ in states(parcels)] == [True]


def test_an_hour_later_old_times_are_just_late() -> None:
    parcels = told(reopened(), (3, 10, 201), (7, 50, 3900))
    assert states(parcels) == [(200.0, "execute"), (50.0, "aborted")]
