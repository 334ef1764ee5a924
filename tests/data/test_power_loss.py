"""Power loss: the disk image is copied under a frozen process, so what was not synced is gone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.data.ledger import check
from isthmus.testing.small_company import House

ENOUGH = 150
"""Acknowledged rows before the power goes."""


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True
    )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A mounted file system of its own; its image is `disk.img` beside it."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a disk image")
    image, mounted = tmp_path / "disk.img", tmp_path / "disk"
    mounted.mkdir()
    with image.open("wb") as stream:
        stream.truncate(64_000_000)
    made = run("mkfs.ext4", "-q", "-F", image)
    found = run("mount", "-o", "loop", image, mounted) if made.returncode == 0 else made
    if found.returncode:
        pytest.skip(f"cannot mount a disk image here: {found.stderr.strip()}")
    yield mounted
    run("umount", "--lazy", mounted)  # also where a failed test left a file open
    run("umount", "--lazy", tmp_path / "after")


def test_nothing_acknowledged_is_lost_when_the_power_goes(disk: Path, tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "isthmus.testing.intake", str(disk)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    acknowledged = -1
    while acknowledged < ENOUGH:
        acknowledged = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGSTOP)
    image, crashed = tmp_path / "disk.img", tmp_path / "crash.img"
    assert run("cp", "--sparse=always", image, crashed).returncode == 0
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    after = tmp_path / "after"
    after.mkdir()
    found = run("mount", "-o", "loop", crashed, after)
    assert found.returncode == 0, found.stderr
    house = House(after)
    house.writer.verify()  # may take torn commits back, but finds no damage
    house.writer.write_once()
    numbers, proof = house.numbers(), check(house.lake)
    house.close()
    assert numbers == list(range(len(numbers)))
    assert (len(numbers) > acknowledged, proof) == (True, [])
