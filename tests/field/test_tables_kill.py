"""Killed anywhere between read and acknowledge, a table and a folder lose and double nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from isthmus.base.clock import SystemClock, to_datetime
from isthmus.flow.log import SqliteLog
from isthmus.model.spec.site import Keep

ROWS = 45_000
POINTS = [
    "append.before", "acknowledge.before", "acknowledge.after", "append.before:2", "append.after",
]  # fmt: skip


def run(folder: Path, spec: dict[str, object], failpoint: str) -> int:
    command = [sys.executable, "-m", "isthmus.testing.source_intake", folder, str(ROWS),
               json.dumps(spec), "melt_temp"]  # fmt: skip
    environment = os.environ | {"ISTHMUS_FAILPOINT": failpoint}
    return subprocess.run(command, env=environment, timeout=60, check=False).returncode


def run_until_it_is_whole(folder: Path, spec: dict[str, object]) -> int:
    """Killed at one point after the other, then left alone; returns how often it was killed."""
    killed = 0
    for point in POINTS:
        if run(folder, spec, point) != -signal.SIGKILL:
            break
        killed += 1
    assert run(folder, spec, "") == 0
    return killed


def values(folder: Path) -> list[float]:
    log = SqliteLog(folder / "hamburg.sqlite", "hamburg", Keep(free_mb=0))
    tables = [parcel.table() for parcel in log.read("raw", 0, 100_000)]
    log.close()
    return [number for table in tables for number in table["number"].to_pylist()]


def test_a_table(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'cell.db'}", poolclass=sa.NullPool)
    table = sa.Table("log", sa.MetaData(), sa.Column("nr", sa.Integer, primary_key=True),
                     sa.Column("at", sa.DateTime), sa.Column("melt_temp", sa.Double))  # fmt: skip
    table.metadata.create_all(engine)
    wall = to_datetime(SystemClock().now()).replace(tzinfo=None)
    with engine.begin() as connection:
        connection.execute(
            sa.insert(table),
            [{"nr": n, "at": wall, "melt_temp": float(n)} for n in range(ROWS)],
        )
    spec = {"kind": "sql", "url": str(engine.url), "table": "log", "time": "at", "order": "nr",
            "timezone": "UTC", "interval": "50 ms"}  # fmt: skip
    assert run_until_it_is_whole(tmp_path, spec) >= 4
    assert sorted(values(tmp_path)) == [float(n) for n in range(ROWS)]


def test_a_folder(tmp_path):
    drop = tmp_path / "drop"
    drop.mkdir()
    each = ROWS // 3
    for file in range(3):
        lines = [f"2026-11-17T08:00:00Z;{n}" for n in range(file * each, (file + 1) * each)]
        (drop / f"f{file}.csv").write_text("\n".join(["at;melt_temp", *lines]))
    spec = {"kind": "files", "folder": str(drop), "time": "at", "settle": "0 s",
            "interval": "50 ms"}  # fmt: skip
    assert run_until_it_is_whole(tmp_path, spec) >= 4
    assert sorted(values(tmp_path)) == [float(n) for n in range(ROWS)]
    assert sorted(path.name for path in drop.rglob("*.csv")) == ["f0.csv", "f1.csv", "f2.csv"]
