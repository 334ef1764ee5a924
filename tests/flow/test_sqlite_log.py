"""`SqliteLog` keeps the contract; damage, a second writer and a log that went back are noticed."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from isthmus.flow.contract import Full
from isthmus.flow.log import BusyError, SqliteLog
from isthmus.flow.log_reader import LogReader
from isthmus.flow.parcel import DamagedError, Quarantined, Shaped
from isthmus.model.spec.site import Keep
from isthmus.testing.log_suite import Free, LogContract
from isthmus.testing.small_company import KEEP, T0, samples, shaped


class TestSqliteLog(LogContract):
    def open_log(self, folder: Path, keep: Keep, free: Free) -> SqliteLog:
        return SqliteLog(folder / "hamburg.sqlite", "hamburg", keep, free=free)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hamburg.sqlite"


def filled(file: Path, count: int) -> str:
    """A closed log with some parcels; returns its epoch."""
    log = SqliteLog(file, "hamburg", KEEP)
    for number in range(count):
        log.append("im07", samples(number), shaped(number), now=T0)
    epoch = log.epoch
    log.close()
    return epoch


def reopened(file: Path) -> SqliteLog:
    return SqliteLog(file, "hamburg", KEEP)


def test_a_second_writer_is_refused_as_long_as_the_first_lives(file: Path) -> None:
    first = reopened(file)
    with pytest.raises(BusyError, match="Is one running"):
        reopened(file)
    first.close()
    reopened(file).close()


def test_a_log_of_another_site_is_refused(file: Path) -> None:
    filled(file, 1)
    with pytest.raises(DamagedError, match="it is the log of `hamburg`, not of `graz`"):
        SqliteLog(file, "graz", KEEP)


def test_a_log_that_is_shorter_than_what_was_confirmed_begins_a_new_epoch(
    file: Path, tmp_path: Path
) -> None:
    epoch = filled(file, 3)
    old = tmp_path / "old.sqlite"
    shutil.copy(file, old)
    log = reopened(file)
    for number in range(3, 6):
        log.append("im07", samples(number), shaped(number), now=T0)
    log.confirm("rows", 6)
    log.close()
    shutil.copy(old, file)  # a backup comes back, the watermark stays
    with reopened(file) as found:
        found.append("im07", samples(9), shaped(9), now=T0)
        parcels = found.read("rows", 0)
        assert [parcel.epoch == epoch for parcel in parcels] == [True, True, True, False]
        assert parcels[-1].epoch == found.epoch


def test_a_changed_payload_is_noticed_at_start(file: Path) -> None:
    filled(file, 3)
    with sqlite3.connect(file) as db:
        db.execute("UPDATE rows SET payload = zeroblob(length(payload)) WHERE seq = 2")
    db.close()
    with pytest.raises(DamagedError, match="checksum of rows parcel 2") as caught:
        reopened(file)
    assert "move it" in str(caught.value)


def test_a_missing_unconfirmed_parcel_is_noticed_at_start(file: Path) -> None:
    filled(file, 3)
    with sqlite3.connect(file) as db:
        db.execute("DELETE FROM rows WHERE seq = 2")
    db.close()
    with pytest.raises(DamagedError, match="2 rows parcels of `hamburg` are kept after 0"):
        reopened(file)


@pytest.mark.parametrize("size", [100, 20_000])
def test_a_file_that_was_overwritten_is_noticed_at_start(file: Path, size: int) -> None:
    filled(file, 20)
    with file.open("r+b") as stream:
        stream.seek(0 if size == 100 else 40_000)
        stream.write(b"\xff" * size)
    with pytest.raises(DamagedError, match=r"Nothing was read over"):
        reopened(file)


def test_a_damaged_watermark_does_not_open_silently(file: Path) -> None:
    filled(file, 1)
    file.with_suffix(".watermark").write_text("", encoding="utf-8")
    with pytest.raises(DamagedError, match="watermark"):
        reopened(file)


def test_readers_see_one_moment_while_the_log_goes_on(file: Path) -> None:
    log = reopened(file)
    log.append("im07", samples(0), shaped(0), now=T0)
    with LogReader(file) as reader, reader.view() as view:
        before = view.last("rows")
        log.append("im07", samples(1), shaped(1), now=T0)
        assert (before, view.last("rows"), len(view.read("rows", 0))) == (1, 1, 1)
        assert view.counts(0, 2 * T0)[0].received == 1
    log.close()


INTAKE = """
import sys
from pathlib import Path
from isthmus.flow.log import SqliteLog
from isthmus.testing.small_company import KEEP, T0, samples, shaped

log = SqliteLog(Path(sys.argv[1]), "hamburg", KEEP)
number = log.last("raw")
while True:
    log.append("im07", samples(number), shaped(number), now=T0)
    number += 1
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(file: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", INTAKE, str(file)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    acknowledged = 0
    while acknowledged < 200:
        acknowledged = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    acknowledged = max(
        [acknowledged, *(int(line) for line in child.stdout if line.endswith(b"\n"))]
    )
    child.wait()
    child.stdout.close()
    with reopened(file) as log:
        assert log.last("raw") in {acknowledged, acknowledged + 1}
        assert log.last("rows") == log.last("raw")
        assert sum(count.received for count in log.counts(0, 2 * T0)) == log.last("raw")
        assert log.state("im07") == str(log.last("raw") - 1).encode()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def until_full(log: SqliteLog) -> None:
    """Append until the disk says no."""
    noise = pa.array([os.urandom(20_000).hex()])
    while True:
        number = log.last("raw")
        big = samples(number).set_column(4, "text", noise)
        log.append("im07", big, shaped(number), now=T0)


def test_a_disk_that_is_really_full_refuses_whole_appends_and_goes_on(small_disk: Path) -> None:
    file = small_disk / "hamburg.sqlite"
    log = SqliteLog(file, "hamburg", KEEP)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 1_000_000)
    with pytest.raises(Full, match="full"):
        until_full(log)
    written = log.last("raw")
    ballast.unlink()
    log.append("im07", samples(written), shaped(written), now=T0)
    assert [parcel.seq for parcel in log.read("rows", 0)] == list(range(1, written + 2))
    log.close()
    with SqliteLog(file, "hamburg", KEEP) as found:
        assert sum(count.received for count in found.counts(0, 2 * T0)) == written + 1


def test_a_log_of_an_earlier_version_does_not_say_how_its_quarantine_was_counted(
    file: Path,
) -> None:
    log = reopened(file)
    bad = Quarantined("im07", "t1", "m", "cycle", "good", T0, T0, "x", "Q001", "why")
    log.append("im07", samples(0), Shaped(quarantined=[bad]), now=T0)
    log.close()
    with sqlite3.connect(file) as db:
        db.execute("ALTER TABLE quarantine DROP COLUMN counted")
        db.execute("ALTER TABLE quarantine DROP COLUMN replayed")
    db.close()
    for opened in (LogReader, reopened):
        with closing(opened(file)) as found, found.view() as view:
            assert [one.counted for one in view.put_aside("im07", 0, 2**62)] == [None]
            assert [group.count for group in view.quarantine_groups(0)] == [1]
            assert len(view.quarantined(0, 2**62)) == 1
