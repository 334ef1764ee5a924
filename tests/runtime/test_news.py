"""A change of state is told at once; older rows that come late tell nothing new."""

import pyarrow as pa

from isthmus.flow.parcel import TIME, Rows
from isthmus.runtime.news import states

CATEGORIES = {"execute": "production", "aborted": "stopped", "held": "idle"}


def rows(*entries: tuple[str, int, str | None, int], name: str = "machine_state") -> Rows:
    machine, time, state, quality = zip(*entries, strict=True)
    return Rows(name, pa.table({
        "machine": pa.array(machine, pa.string()), "time": pa.array(time, TIME),
        "state": pa.array(state, pa.string()), "_quality": pa.array(quality, pa.int16()),
    }))  # fmt: skip


def test_the_newest_state_of_each_machine_is_told():
    told = dict(states([rows(("a", 9_000, "aborted", 0), ("a", 5_000, "execute", 0),
                             ("b", 7_000, "held", 0))], CATEGORIES))  # fmt: skip
    assert told == {
        "a": {"state": "aborted", "kind": "stopped", "since": 9},
        "b": {"state": "held", "kind": "idle", "since": 7},
    }


def test_a_lost_source_is_told_as_offline():
    told = dict(states([rows(("a", 9_000, None, 2))], CATEGORIES))
    assert told == {"a": {"state": "offline", "kind": "offline", "since": 9}}


def test_a_row_that_says_nothing_of_the_state_tells_nothing():
    assert dict(states([rows(("a", 9_000, None, 0))], CATEGORIES)) == {}
    assert dict(states([rows(("a", 9_000, "execute", 0), name="other")], CATEGORIES)) == {}


def test_of_two_states_at_one_time_the_later_word_holds():
    told = dict(states([rows(("a", 9_000, "aborted", 0), ("a", 9_000, "execute", 0))], CATEGORIES))
    assert told["a"]["state"] == "execute"
