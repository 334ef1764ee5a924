"""The reference company, seen from another terminal."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.testing import CliRunner

from isthmus.base.clock import HOUR, Micros, parse_time
from isthmus.cli import app, feed
from isthmus.cli.demo import MODEL
from isthmus.field.shape import unknown_rows
from isthmus.flow.log import SqliteLog
from isthmus.runtime.open import load_plant, open_log
from isthmus.runtime.settings import Settings
from isthmus.runtime.supervisor import StartError, Supervisor
from isthmus.testing.sim.run import Settings as SimSettings


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Where a demo that ends before its devices begin would have had them."""

    async def ends(_: Supervisor) -> NoReturn:
        raise StartError("enough")

    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path))
    monkeypatch.setattr(Supervisor, "run", ends)
    assert CliRunner().invoke(app, ["demo"]).exit_code == 1
    known: dict[str, int] = json.loads((tmp_path / "demo" / "sim.json").read_text())["ports"]
    return known


def test_another_terminal_finds_the_devices_of_the_demo(ports: dict[str, int]) -> None:
    sources = load_plant(MODEL).sources
    assert sources["press-1"].spec.port == ports["press-1"]
    assert sources["im-01"].spec.endpoint == f"opc.tcp://127.0.0.1:{ports['im-01']}"


@pytest.mark.usefixtures("ports")
def test_what_a_person_sets_goes_before_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_PRESS1", "4711")
    assert load_plant(MODEL).sources["press-1"].spec.port == 4711


BEGIN = parse_time("2026-11-16T09:00:00Z")


def fed(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    until: Micros,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """The company's past until then, as `isthmus demo` feeds it before the platform starts."""
    monkeypatch.setenv("ISTHMUS_DATA", str(data))
    erp, standing = f"sqlite:///{data}/erp.sqlite", 0.0
    sim = SimSettings(1, BEGIN, until, 0, standing, {}, erp, str(data), faults=False)
    feed.main(MODEL, sim, stopping)


def logs(data: Path) -> Iterator[SqliteLog]:
    for site in load_plant(MODEL).sites.values():
        with closing(open_log(Settings(data=data), site)) as log:
            yield log


def stopped_in_order(data: Path, at: Micros) -> None:
    plant = load_plant(MODEL)
    for log in logs(data):
        for name, source in plant.sources.items():
            if source.site == log.site:
                rows = unknown_rows(source, plant, at)
                log.open_gap(name, "stopped", "", start=at, now=at, rows=rows)


def parts(data: Path) -> dict[tuple[str, datetime], list[int]]:
    """Machine and time → parts, of every row that tells any."""
    told: dict[tuple[str, datetime], list[int]] = {}
    for log in logs(data):
        for parcel in log.read("rows", 0, 100_000):
            if parcel.name == "part_count":
                for row in parcel.table().to_pylist():
                    made = [row[one] for one in ("produced", "good") if row[one] is not None]
                    told.setdefault((row["machine"], row["time"]), []).extend(made)
    return {at: made for at, made in told.items() if any(made) or len(made) > 1}


def test_a_second_start_goes_on_and_tells_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    fed(once, monkeypatch, BEGIN + 2 * HOUR)
    fed(twice, monkeypatch, BEGIN + HOUR)
    stopped_in_order(twice, BEGIN + HOUR)
    fed(twice, monkeypatch, BEGIN + 2 * HOUR)
    assert parts(twice) == parts(once)
    for log in logs(twice):
        with log.view() as view:
            assert view.running_gaps() == []


@pytest.mark.parametrize("stops", [1, 2, 12, 40])
def test_a_start_after_a_stop_amid_history_tells_the_rest_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: int
) -> None:
    monkeypatch.setattr(feed, "PARCEL", 30)
    once, twice = tmp_path / "once", tmp_path / "twice"
    fed(once, monkeypatch, BEGIN + 3 * HOUR)
    asked = count()
    fed(twice, monkeypatch, BEGIN + 3 * HOUR, lambda: next(asked) >= stops)
    assert 0 < len(parts(twice)) < len(parts(once))
    fed(twice, monkeypatch, BEGIN + 3 * HOUR)
    assert_alike(twice, once)


@pytest.mark.parametrize("died", [1, 5, 20, 33])
def test_a_feed_that_was_killed_goes_on_with_what_it_had_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, died: int
) -> None:
    """Amid a source, with parcels of it on disk and others not."""
    monkeypatch.setattr(feed, "PARCEL", 30)
    once, twice = tmp_path / "once", tmp_path / "twice"
    fed(once, monkeypatch, BEGIN + 3 * HOUR)
    opened: list[SqliteLog] = []
    with monkeypatch.context() as patch:
        append, appended = SqliteLog.append, count(1)

        def dies(log: SqliteLog, *args: Any, **keys: Any) -> int:
            seq = append(log, *args, **keys)
            if next(appended) == died:
                raise KeyboardInterrupt
            return seq

        def kept(settings: Settings, site: Any) -> SqliteLog:
            opened.append(open_log(settings, site))
            return opened[-1]

        patch.setattr(SqliteLog, "append", dies)
        patch.setattr(feed, "open_log", kept)
        with pytest.raises(KeyboardInterrupt):
            fed(twice, monkeypatch, BEGIN + 3 * HOUR)
    for log in opened:
        log.close()
    assert 0 < sum(rows(twice).values()) < sum(rows(once).values())
    fed(twice, monkeypatch, BEGIN + 3 * HOUR)
    assert_alike(twice, once)


def assert_alike(twice: Path, once: Path) -> None:
    """The second start only shows present values of one source once more, as it connects again."""
    whole, of_two = rows(once), rows(twice)
    assert parts(twice) == parts(once)
    assert whole - of_two == Counter()
    again = of_two - whole
    assert len({source for _, source, _ in again}) <= 1
    assert again.total() <= 5
    assert "stop_reason" in {name for name, _, _ in whole}
    assert "stop_reason" not in {name for name, _, _ in again}


def rows(data: Path) -> Counter[tuple[str, str, str]]:
    """Table, source and what every row says, but for when and from how many samples it came."""
    told: Counter[tuple[str, str, str]] = Counter()
    for log in logs(data):
        for parcel in log.read("rows", 0, 100_000):
            table = parcel.table().drop_columns(["_received", "_samples"])
            told.update((parcel.name, row["_source"], repr(row)) for row in table.to_pylist())
    return told
