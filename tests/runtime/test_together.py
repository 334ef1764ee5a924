"""How processes tell each other what they asked of a device."""

import asyncio
import fcntl
import heapq
import math
import os
import signal
import subprocess
import sys
import time
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.field import budget
from isthmus.field.budget import Allowance
from isthmus.model.spec.site import Budget
from isthmus.runtime import together
from isthmus.runtime.together import Asked, Place, locked, places


def allowance(file: Path, **keys: Any) -> Allowance:
    """As every process has its own."""
    return Allowance(Budget(**keys), Asked([Place(file.parent)], file.name))


def test_what_one_process_asks_another_waits_for(tmp_path: Path) -> None:
    ours, theirs = (allowance(tmp_path / "asked", min_interval=60.0) for _ in range(2))
    assert ours.take() == 0.0
    assert theirs.take() == pytest.approx(60.0, abs=5.0)
    assert theirs.requests == 0


def test_what_could_not_wait_is_told_too(tmp_path: Path) -> None:
    ours, theirs = (allowance(tmp_path / "asked", requests_per_second=0.5) for _ in range(2))
    ours.sent()
    assert theirs.take() > 0


def test_where_nothing_is_limited_no_file_is_touched(tmp_path: Path) -> None:
    free = allowance(tmp_path / "asked")
    assert free.take() == 0.0
    free.sent()
    assert free.requests == 2
    assert list(tmp_path.iterdir()) == []


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rate=st.floats(0.2, 50),
    pause=st.sampled_from([0.0, 0.01, 0.5]),
    asking=st.lists(
        st.tuples(st.integers(0, 2), st.floats(0, 3), st.floats(0, 0.3)), min_size=5, max_size=40
    ),
)
def test_processes_keep_the_budget_of_a_device_together(
    tmp_path_factory: pytest.TempPathFactory,
    rate: float,
    pause: float,
    asking: list[tuple[int, float, float]],
) -> None:
    """`asking`: which process, when it begins to ask, and how late it wakes each time it waits."""
    file = tmp_path_factory.mktemp("device") / "asked"
    with pytest.MonkeyPatch.context() as patch:
        clock = _Clock()
        patch.setattr(budget, "time", clock)
        patch.setattr(together, "time", clock)
        keys = {"requests_per_second": rate, "min_interval": pause}
        processes = [allowance(file, **keys) for _ in range(3)]
        waiting = [(begins, number) for number, (_, begins, _) in enumerate(asking)]
        heapq.heapify(waiting)
        sent = []
        while waiting:
            at, number = heapq.heappop(waiting)
            clock.now = max(clock.now, at)
            if (seconds := processes[asking[number][0]].take()) > 0:
                heapq.heappush(waiting, (clock.now + seconds + asking[number][2], number))
            else:
                sent.append(clock.now)
    count = max(1, math.floor(rate))
    assert len(sent) == len(asking)
    for first, after in zip(sent, sent[count:], strict=False):
        assert after - first >= count / rate - 1e-6
    for first, after in pairwise(sent):
        assert after - first >= pause - 1e-6


class _Clock:
    """In place of the module `time`."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "left",
    [
        array("d", [1e15]).tobytes(),  # of before the computer started anew
        array("d", [math.nan, math.inf]).tobytes(),
        b"half of a number written when the power went"[:13],
        b"",
    ],
)
def test_what_others_left_behind_holds_up_nobody(tmp_path: Path, left: bytes) -> None:
    file = tmp_path / "asked"
    file.write_bytes(left)
    ours, theirs = (allowance(file, min_interval=60.0) for _ in range(2))
    assert ours.take() == 0.0
    assert theirs.take() > 50.0


def test_a_file_stays_small(tmp_path: Path) -> None:
    file = tmp_path / "asked"
    busy = allowance(file, requests_per_second=5.0)
    for _ in range(50):
        busy.sent()
        busy.take()
    assert file.stat().st_size <= 6 * 8


def test_without_a_place_every_process_counts_for_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ours, theirs = (allowance(tmp_path / "file" / "asked", min_interval=60.0) for _ in range(2))
    assert [ours.take(), theirs.take()] == [0.0, 0.0]
    assert ours.take() > 50.0


@pytest.mark.parametrize("trap", ["link", "writable by others", "of somebody else", "file"])
def test_a_folder_that_others_may_have_laid_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    """The temporary folder is everybody's; what lies there may be a link to what is dear to us."""
    place, dear = Place(tmp_path / "isthmus-1000", private=True), tmp_path / "dear"
    match trap:
        case "link":
            dear.mkdir(mode=0o700)
            place.folder.symlink_to(dear)
        case "writable by others":
            place.folder.mkdir()
            place.folder.chmod(0o770)
        case "of somebody else":
            place.folder.mkdir(mode=0o700)
            monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
        case "file":
            place.folder.mkdir(mode=0o700)
            dear.write_text("dear")
            (place.folder / "asked").symlink_to(dear)
    with pytest.raises(OSError, match=r"isthmus-1000|asked"):
        locked(place, "asked")
    assert [one.name for one in place.folder.iterdir()] == (["asked"] if trap == "file" else [])
    assert not dear.is_file() or dear.read_text() == "dear"
    budget = Allowance(Budget(min_interval=60.0), Asked([place], "asked"))
    assert budget.take() == 0.0  # it counts for itself
    assert budget.take() > 50.0


def test_the_folder_of_a_user_is_his_alone(tmp_path: Path) -> None:
    place = Place(tmp_path / "isthmus-1000", private=True)
    handle = locked(place, "asked")
    assert handle is not None
    os.close(handle)
    assert place.folder.stat().st_mode & 0o777 == 0o700
    assert (place.folder / "asked").stat().st_mode & 0o777 == 0o600


def test_where_there_are_no_locks_every_process_counts_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "fcntl", None)
    known = places(tmp_path)
    assert known == (Place(tmp_path / "connections"),)
    asking = [Allowance(Budget(min_interval=60.0), Asked(known, "asked")) for _ in range(2)]
    assert [one.take() for one in asking] == [0.0, 0.0]


def test_who_was_stopped_amid_counting_stops_others_only_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "asked"
    ours = allowance(file, min_interval=60.0)
    with file.open("wb") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        assert ours.take() == pytest.approx(0.001)
        assert ours.requests == 0
        monkeypatch.setattr(together, "_PATIENCE", 0.0)
        assert ours.take() == 0.0
    monkeypatch.undo()
    assert allowance(file, min_interval=60.0).take() == 0.0  # nobody told it
    ours.sent()
    assert allowance(file, min_interval=60.0).take() > 50.0  # it is told again since


ASKING = """
import sys
from pathlib import Path
from isthmus.field.budget import Allowance
from isthmus.model.spec.site import Budget
from isthmus.runtime.together import Asked, Place, locked, places
file = Path(sys.argv[1])
busy = Allowance(Budget(requests_per_second=1e6), Asked([Place(file.parent)], file.name))
print("asks", flush=True)
while True:
    busy.take()
"""


async def test_who_is_killed_amid_counting_stops_nobody(tmp_path: Path) -> None:
    """Killed at no moment in particular, again and again: the file can always be used."""
    file = tmp_path / "asked"
    for _ in range(5):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ASKING, str(file), stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        assert await child.stdout.readline() == b"asks\n"
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        ours = allowance(file, min_interval=1e-6)
        await asyncio.wait_for(ours.turn(), 30)
        assert [one for one in array("d", file.read_bytes()) if one > time.monotonic()] == []
