"""A simulated day, cables cut and processes killed on the way: the platform tells the truth.

Counts must be exact. Seconds may differ by one sampling interval per change of state: none for
devices that stamp their values, a poll for those that are polled, a cycle for machines that have
no state signal.
"""

import json
import subprocess
import sys
from collections import defaultdict

import pytest
from tests.whole.company import Company, company
from tests.whole.truth import Sums, merged, truth

from isthmus.base.clock import HOUR, MINUTE, parse_time
from isthmus.testing.sim.fleet import FLEET

START = parse_time("2026-11-16T05:00:00Z")  # 06:00 in Hamburg: the early shift begins
SPEED = 240.0
SEED = 3


def cli(running: Company, *arguments: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-m", "isthmus", *arguments, "--format", "json"],
        env=running.env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.fixture(
    scope="module",
    params=[pytest.param(8, id="shift"), pytest.param(24, id="day", marks=pytest.mark.long)],
)
def day(request, tmp_path_factory):
    """The company after so many hours; the platform was killed three times."""
    end = START + request.param * HOUR
    folder = tmp_path_factory.mktemp("day")
    with company(folder, start=START, end=end, speed=SPEED, seed=SEED) as running:
        running.start_devices()
        running.wait(lambda: "ready" in running.said("devices"), 60, "devices are up")
        running.start_platform()
        running.wait_ready()
        running.wait_connected()
        assert running.sim.clock.now() < START, "this machine was too slow to be up in time"
        for share in (0.2, 0.45, 0.7):
            running.wait_until(START + round((end - START) * share))
            running.kill_platform()
            running.start_platform()
            running.wait_ready()
        running.wait_until(end + 20 * MINUTE)
        running.wait_connected()
        yield running, end


def test_counts_and_seconds_equal_the_truth(day):
    running, end = day
    said = {
        (row["group"], row["shift_day"], row["shift"]): row
        for row in kpi_by_machine_and_shift(running, end)
    }
    gaps = unknown_spans(running)
    for machine in FLEET:
        for (shift_day, shift), true in truth(
            machine, SEED, START, end, gaps[machine.path]
        ).items():
            found = said[machine.path, shift_day, shift]
            where = f"{machine.path} {shift_day} {shift}"
            assert (found["produced"], found["good"], found["scrap"]) == (
                true.produced, true.good, true.scrap,
            ), where  # fmt: skip
            check_seconds(machine, found, true, where)


def check_seconds(machine, found: dict, true: Sums, where: str) -> None:
    per_change = {"modbus": 45.0, "mqtt_robot": 0.001}.get(machine.wire, 0.001)
    allowed = true.transitions * per_change + 1.0
    assert abs(found["pbt_s"] - true.pbt_s) <= 0.001, where
    assert abs(found["unknown_s"] - true.unknown_s) <= allowed, where
    for ours, theirs in (("apt_s", "apt"), ("aust_s", "aust")):
        if machine.wire == "modbus":
            continue
        assert abs(found[ours] - true.seconds[theirs]) <= allowed, (where, ours)


def kpi_by_machine_and_shift(running: Company, end: int) -> list[dict]:
    return cli(running, "sql", f"""
        SELECT machine AS "group", CAST(shift_day AS VARCHAR) AS shift_day, shift,
            sum(produced) AS produced, sum(good) AS good, sum(scrap) AS scrap,
            sum(pbt_s) AS pbt_s, sum(apt_s) AS apt_s, sum(aust_s) AS aust_s,
            sum(unknown_s) AS unknown_s
        FROM oee_fact WHERE hour < make_timestamptz({end}) GROUP BY ALL""")  # fmt: skip


def unknown_spans(running: Company) -> dict[str, list[tuple[int, int]]]:
    """Per machine, when the platform says that it did not know."""
    rows = cli(
        running,
        "sql",
        """
        SELECT source, epoch_us(start) AS s, epoch_us("end") AS e FROM gap""",
    )
    spans = defaultdict(list)
    for row in rows:
        spans[row["source"]].append((row["s"], row["e"]))
    found = {machine.path: spans[machine.source] for machine in FLEET}
    return {path: merged(some) for path, some in found.items()}


def test_the_ledger_balances(day):
    running, _ = day
    rows = cli(running, "sql", """
        SELECT source, sum(received) AS received, sum(shaped) AS shaped, sum(stored) AS stored,
            sum(quarantined) AS quarantined, sum(unmapped) AS unmapped
        FROM ledger GROUP BY source""")  # fmt: skip
    assert {row["source"] for row in rows} >= {machine.source for machine in FLEET}
    for row in rows:
        assert row["received"] == row["shaped"] + row["quarantined"] + row["unmapped"], row
        assert row["stored"] == row["shaped"], row


def test_every_kill_is_named_as_a_gap(day):
    running, _ = day
    rows = cli(
        running,
        "sql",
        """
        SELECT source, count(*) AS n FROM gap WHERE reason = 'stopped' GROUP BY source""",
    )
    assert {row["source"]: row["n"] >= 3 for row in rows} == {m.source: True for m in FLEET}
