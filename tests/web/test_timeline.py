"""Where every bar of the timeline goes, in the browser and on the server."""

import json
import random
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import isthmus.web
from isthmus.apps.oee.page import StateInterval
from isthmus.web.timeline import WORST_LAST, merged

LAYOUT = Path(isthmus.web.__file__).parent / "islands" / "timeline-layout.js"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="the layout runs in Node: install Node 20")


def in_node(call: str, cases: list[Any]) -> list[Any]:
    """Run an expression over `layout` for each `c` of the cases, in one process."""
    script = (
        f"import * as layout from {json.dumps(LAYOUT.as_uri())};"
        "let text = ''; for await (const part of process.stdin) text += part;"
        f"console.log(JSON.stringify(JSON.parse(text).map((c) => {call})));"
    )
    assert NODE is not None
    done = subprocess.run(
        [NODE, "--input-type=module", "--no-warnings", "-e", script],
        input=json.dumps(cases),
        text=True,
        capture_output=True,
        check=True,
        timeout=30,
    )
    found: list[Any] = json.loads(done.stdout)
    return found


def bars(intervals: list[list[Any]], start: float, end: float, width: int) -> list[tuple[Any, ...]]:
    case = {"intervals": intervals, "view": {"start": start, "end": end}, "width": width}
    (found,) = in_node("layout.bars(c.intervals, c.view, c.width)", [case])
    return [(bar["x"], bar["width"], bar["kind"], bar["count"]) for bar in found]


def interval(start: float, seconds: float, kind: str) -> list[Any]:
    return [start, seconds, kind, "", -1, -1]


@needs_node
def test_a_stop_shorter_than_a_pixel_is_one_pixel_wide() -> None:
    day = [
        interval(0, 40000, "running"),
        interval(40000, 5, "stopped"),
        interval(40005, 46395, "running"),
    ]
    found = bars(day, 0, 86400, 864)
    assert found == [(0, 400, "running", 1), (400, 1, "stopped", 2), (401, 463, "running", 1)]


@needs_node
def test_the_worst_state_wins_a_pixel_and_tells_how_many_there_are() -> None:
    many = [interval(n, 1, ("idle", "stopped", "running", "setup")[n % 4]) for n in range(40)]
    assert bars(many, 0, 40, 10) == [(0, 10, "stopped", 4)]


@needs_node
def test_neighbours_of_one_kind_become_one_bar() -> None:
    assert bars([interval(0, 50, "idle"), interval(50, 50, "idle")], 0, 100, 100) == [
        (0, 100, "idle", 1)
    ]


@needs_node
def test_time_without_data_stays_empty() -> None:
    assert bars([interval(20, 10, "running")], 0, 100, 100) == [(20, 10, "running", 1)]


@needs_node
def test_what_lies_outside_the_view_is_not_drawn() -> None:
    three = [interval(0, 50, "stopped"), interval(50, 20, "running"), interval(70, 30, "stopped")]
    assert bars(three, 50, 70, 20) == [(0, 20, "running", 1)]


@needs_node
def test_zoom_keeps_the_point_under_the_finger_and_stays_inside_the_data() -> None:
    whole = {"start": 0, "end": 1000}
    zoomed, outside, panned = in_node(
        "layout[c.call](c.view, c.by, ...c.rest)",
        [
            {"call": "zoom", "view": whole, "by": 0.5, "rest": [250, whole]},
            {"call": "zoom", "view": {"start": 0, "end": 100}, "by": 100, "rest": [50, whole]},
            {"call": "pan", "view": {"start": 900, "end": 1000}, "by": 500, "rest": [whole]},
        ],
    )
    assert zoomed == {"start": 125, "end": 625}
    assert outside == whole
    assert panned == {"start": 900, "end": 1000}


@needs_node
def test_arrows_go_to_the_next_interval_that_is_worth_a_look() -> None:
    day = [
        interval(0, 1, "running"),
        interval(1, 1, "idle"),
        interval(2, 1, "running"),
        interval(3, 1, "stopped"),
    ]
    call = "layout.neighbour(c.day, c.at, c.step)"
    cases = [
        {"day": day, "at": at, "step": step} for at, step in [(-1, 1), (1, 1), (3, 1), (3, -1)]
    ]
    assert in_node(call, cases) == [1, 3, 3, 1]


@needs_node
def test_ticks_are_round_local_times_also_when_the_clock_changes() -> None:
    # Berlin, 25 October 2026: 03:00 summer time becomes 02:00 at 01:00 UTC.
    change = 1_792_890_000_000
    start = change - 3 * 3_600_000
    case = {"start": start, "end": start + 6 * 3_600_000, "width": 450, "change": change}
    (found,) = in_node(
        "layout.ticks(c.start, c.end, c.width, (at) => at < c.change ? 7200000 : 3600000)", [case]
    )
    assert [(tick["at"] - start) / 3_600_000 for tick in found] == [0, 1, 2, 4, 5, 6]


def machine_states(rows: list[tuple[int, str]]) -> list[StateInterval]:
    found, at = [], 0
    for seconds, kind in rows:
        end = at + seconds * 1_000_000
        found.append(StateInterval("m", at, end, kind, None, None, busy=True))  # type: ignore[arg-type]
        at = end
    return found


day_of_states = st.lists(
    st.tuples(st.integers(1, 400), st.sampled_from(WORST_LAST)), min_size=1, max_size=120
)


@given(day_of_states, st.integers(1, 60))
def test_merging_on_the_server_loses_no_worst_state(
    rows: list[tuple[int, str]], columns: int
) -> None:
    states = machine_states(rows)
    end = states[-1].end
    found = merged(states, 0, end, columns)
    assert len(found) <= columns or len(states) <= columns
    assert max(WORST_LAST.index(i.kind) for i in found) == max(
        WORST_LAST.index(i.kind) for i in states
    )
    assert (found[0].start, found[-1].end) == (0, end)
    assert all(a.end == b.start for a, b in pairwise(found))


@needs_node
def test_the_server_merges_as_the_browser_draws() -> None:
    chance = random.Random(20261117)  # noqa: S311 - a seed, no secret
    cases, expected = [], []
    for _ in range(100):
        rows = [
            (chance.randint(1, 900), chance.choice(WORST_LAST))
            for _ in range(chance.randint(30, 200))
        ]
        states = machine_states(rows)
        end = states[-1].end
        columns = chance.randint(5, 25)
        server = [
            WORST_LAST.index(i.kind)
            for i in merged(states, 0, end, columns)
            for _ in range(round((i.end - i.start) * columns / end))
        ]
        cases.append(
            {
                "intervals": [interval(i.start / 1e6, i.seconds, i.kind) for i in states],
                "view": {"start": 0, "end": end / 1e6},
                "width": columns,
            }
        )
        expected.append(server)
    drawn = in_node(
        "layout.bars(c.intervals, c.view, c.width)"
        ".flatMap((b) => Array(b.width).fill(layout.KINDS.indexOf(b.kind)))",
        cases,
    )
    assert drawn == expected
