"""Kill -9 at every named point and at random moments: nothing lost, nothing twice."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.data.ledger import check
from isthmus.flow.failpoint import POINTS
from isthmus.testing.small_company import House

SHORT, LONG = 6, 50


def intake(folder: Path, failpoint: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "isthmus.testing.intake", str(folder)],
        env={**os.environ, "ISTHMUS_FAILPOINT": failpoint},
        stdout=subprocess.PIPE,
        text=True,
    )


def run_to_its_end(child: subprocess.Popen[str], kill_after: int | None = None) -> list[int]:
    """Acknowledged numbers; kills once so many were acknowledged. A half line does not count."""
    assert child.stdout is not None
    acknowledged = []
    for line in child.stdout:
        if line.endswith("\n"):
            acknowledged.append(int(line))
        if len(acknowledged) == kill_after:
            os.kill(child.pid, signal.SIGKILL)
    child.stdout.close()
    assert child.wait(30) == -signal.SIGKILL
    return acknowledged


def assert_complete(folder: Path, acknowledged: list[int]) -> None:
    """In the tail and the files as they were left, and again after they were written."""
    house = House(folder)
    problems = [problem for problem in house.writer.verify() if problem.severity == "error"]
    before = house.numbers()
    house.writer.write_once()
    after = house.numbers()
    proof = check(house.lake)
    house.close()
    assert (problems, proof) == ([], [])
    assert before == after == list(range(len(after)))
    assert set(acknowledged) <= set(after)


@pytest.mark.parametrize("point", [one for one in POINTS if not one.startswith("release")])
def test_killed_at_a_named_point(tmp_path: Path, point: str) -> None:
    """At its second passing, then the same again on what that left."""
    acknowledged = run_to_its_end(intake(tmp_path, f"{point}:2"))
    assert_complete(tmp_path, acknowledged)
    acknowledged += run_to_its_end(intake(tmp_path, point))
    assert_complete(tmp_path, acknowledged)


def killed_at_random(folder: Path, times: int, seed: int) -> None:
    moments = random.Random(seed)  # noqa: S311 - seeded, so that a failure can be repeated
    acknowledged: list[int] = []
    for _ in range(times):
        acknowledged += run_to_its_end(intake(folder), kill_after=moments.randint(1, 40))
        assert_complete(folder, acknowledged)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    killed_at_random(tmp_path, SHORT, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", [2])
def test_killed_at_fifty_random_moments(tmp_path: Path, seed: int) -> None:
    killed_at_random(tmp_path, LONG, seed)
