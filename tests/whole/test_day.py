"""A simulated day, cables cut and processes killed on the way: the platform tells the truth.

Counts must be exact. Seconds may differ by one sampling interval per change of state: none for
devices that stamp their values, a poll for those that are polled, a cycle for machines that have
no state signal.
"""

import json
import subprocess
import sys
from collections import defaultdict

import httpx
import pytest
from lxml import html
from tests.whole.company import Company, company
from tests.whole.truth import Sums, merged, truth

from isthmus.base.clock import HOUR, MINUTE, SECOND, iso, parse_time
from isthmus.testing.sim.fleet import FLEET
from isthmus.web.auth import Accounts, accounts_folder

START = parse_time("2026-11-16T05:00:00Z")  # 06:00 in Hamburg: the early shift begins
SPEED = 240.0
SEED = 3
PASSWORD = "correct horse battery staple"
INTERVAL = 0.5
"""Wall seconds between two messages of a subscription, as the model asks for."""


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
    said = kpi_by_machine_and_shift(running, end)
    unknown = unknown_spans(running)
    for machine in FLEET:
        for (shift_day, shift), true in truth(
            machine, SEED, START, end, unknown[machine.path]
        ).items():
            found = said[machine.path, f"{shift_day} {shift}"]
            where = f"{machine.path} {shift_day} {shift}"
            check_counts(machine, found, true, where)
            check_seconds(machine, found, true, where)


def test_api_and_command_say_the_same(day):
    running, end = day
    window = {"from": iso(START), "to": iso(end)}
    api = running.get("/api/v1/kpi", scope="acme", by="machine,shift", **window)
    said = kpi_by_machine_and_shift(running, end)
    assert len(api) == len(said)
    for row in api:
        one = said[tuple(row["group"].split(" · "))]
        for name in ("produced", "good", "scrap", "pbt_s", "apt_s", "unknown_s", "oee"):
            assert row[name] == pytest.approx(one[name]), name


def test_the_page_shows_what_the_api_says(day):
    running, end = day
    window = {"from": iso(START), "to": iso(end)}
    said = {
        row["group"].rpartition("/")[2].upper().replace("-", " "): row
        for row in running.get("/api/v1/kpi", scope="acme/hamburg", by="machine", **window)
    }
    shown = shown_by_machine(running, f"{iso(START)}..{iso(end)}")
    assert shown == {
        name: [
            "–" if row["oee"] is None else f"{row['oee']:.1%}",
            f"{row['produced']:,}",
            f"{row['good']:,}",
        ]
        for name, row in said.items()
    }


def shown_by_machine(running: Company, span: str) -> dict[str, list[str]]:
    """Machine → OEE, produced and good parts, as a person reads them on the OEE page."""
    accounts = Accounts(accounts_folder(running.data))
    accounts.create("reader", "Reader", "viewer", PASSWORD)
    accounts.close()
    with httpx.Client(base_url=running.url, headers={"Origin": running.url}, timeout=60) as browser:
        form = {"name": "reader", "password": PASSWORD}
        assert browser.post("/login", data=form).status_code == 303
        page = browser.get("/oee/acme/hamburg", params={"range": span, "by": "machine"})
    assert page.status_code == 200, page.text
    table = html.fromstring(page.text).xpath("//*[@id='compare']//tbody/tr")
    rows = [[cell.text_content().strip() for cell in row] for row in table]
    return {row[0].upper(): [row[1].split()[0], row[6], row[7]] for row in rows}


def test_oee_equals_the_truth_once_the_last_order_is_booked(day):
    running, end = day
    running.wait_until(end + 7 * HOUR)  # bookings come up to six hours late
    running.wait(lambda: running.health()["systems"] != {}, 60, "the ERP was read")
    said = kpi_by_machine_and_shift(running, end)
    for machine in FLEET:
        for (shift_day, shift), true in truth(machine, SEED, START, end, []).items():
            found = said[machine.path, f"{shift_day} {shift}"]
            where = f"{machine.path} {shift_day} {shift}"
            edge = true.at_the_end * 21.0 if machine.wire == "modbus" else 0.001
            assert found["ideal_good_s"] == pytest.approx(true.ideal_good_s, abs=edge), where
            oee = true.ideal_good_s / true.pbt_s
            assert found["oee"] == pytest.approx(oee, abs=edge / true.pbt_s), where


def check_counts(machine, found: dict, true: Sums, where: str) -> None:
    said = [found["produced"], found["good"], found["scrap"]]
    late = [true.produced - said[0], true.good - said[1], true.scrap - said[2]]
    # A polled device shows a part after it was made, perhaps in the next shift.
    edge = true.at_the_end + 1 if machine.wire == "modbus" else 0
    assert all(abs(one) <= edge for one in late), (where, said, true)


def check_seconds(machine, found: dict, true: Sums, where: str) -> None:
    # At the moment of a kill, what changed in the last publishing interval was not told yet.
    allowed = true.transitions * 0.001 + true.spans * INTERVAL * SPEED + 1.0
    if machine.wire == "modbus":
        allowed += true.transitions * 45.0
    assert abs(found["pbt_s"] - true.pbt_s) <= 0.001, where
    assert abs(found["unknown_s"] - true.unknown_s) <= allowed, where
    if machine.wire == "modbus":  # no state signal: set-up is a stop like any other
        return
    for ours, theirs in (("apt_s", "apt"), ("aust_s", "aust")):
        assert abs(found[ours] - true.seconds[theirs]) <= allowed, (where, ours)


def kpi_by_machine_and_shift(running: Company, end: int) -> dict[tuple[str, str], dict]:
    """(machine, `2026-11-16 early`) → the platform's row."""
    window = ("--from", iso(START), "--to", iso(end))
    rows = cli(running, "kpi", "--scope", "acme", *window, "--by", "machine,shift")
    return {tuple(row["group"].split(" · ")): row for row in rows}


def unknown_spans(running: Company) -> dict[str, list[tuple[int, int]]]:
    """Per machine, when the platform says that it did not know the state.

    It may know a part of a gap afterwards: a device that stamps its values tells since when its
    present state holds.
    """
    rows = cli(
        running,
        "sql",
        """
        SELECT machine, epoch_us(time) AS s, epoch_us(until) AS e FROM (
            SELECT machine, time, state, lead(time, 1, 'infinity') OVER (
                PARTITION BY machine ORDER BY time, _received) AS until
            FROM machine_state)
        WHERE state IS NULL AND isfinite(until)""",
    )
    spans = defaultdict(list)
    for row in rows:
        spans[row["machine"]].append((row["s"], row["e"]))
    return {machine.path: merged(spans[machine.path]) for machine in FLEET}


def test_what_is_unknown_is_inside_a_named_gap(day):
    running, _ = day
    rows = cli(
        running,
        "sql",
        """
        SELECT source, epoch_us(start) AS s, coalesce(epoch_us("end"), 4611686018427387904) AS e
        FROM gap""",
    )
    unknown = unknown_spans(running)
    for machine in FLEET:
        gaps = [(row["s"], row["e"]) for row in rows if row["source"] == machine.source]
        for start, end in unknown[machine.path]:
            # A machine without a state signal stays unknown until a pulse or silence tells it.
            slack = 200 * SECOND if machine.wire == "modbus" else 0
            assert any(s <= start and end <= e + slack for s, e in gaps), (machine.path, start, end)


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
