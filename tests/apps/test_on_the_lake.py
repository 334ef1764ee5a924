"""The same figures from the real log and lake: tail, files, kept facts, and after a restart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from isthmus.apps.oee.facts import OEE_FACT
from isthmus.apps.oee.kpi import kpi
from isthmus.apps.oee.page import live_page, oee_page, overview_page, stop_page
from isthmus.apps.oee.reasons import give
from isthmus.base.clock import DAY, HOUR, MINUTE, Micros, to_datetime
from isthmus.data.facts import FactKeeper
from isthmus.data.lake import Lake
from isthmus.data.writer import Writer
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import TIME, Rows
from isthmus.model.spec.site import Keep
from isthmus.provision.join import VIEWS
from isthmus.runtime.dimensions import dimensions

SIX = 1_794_895_200_000_000
NOW = SIX + 5 * HOUR + 10 * MINUTE


class Site:
    """One site's log, writer, lake and keeper in a folder."""

    def __init__(self, plant: Any, folder: Path) -> None:
        self.plant = plant
        self.machine = next(iter(plant.machines))
        self.folder = folder
        self.open()

    def open(self) -> None:
        self.log = SqliteLog(self.folder / "log" / "hamburg.sqlite", "hamburg", Keep(free_mb=0))
        logs = {"hamburg": self.log}
        self.writer = Writer(self.folder / "lake", logs, self.plant)
        self.writer.verify()
        self.lake = Lake(self.folder / "lake", logs, self.plant)
        for name, table in dimensions(self.plant, NOW).items():
            self.lake.register(name, table)
        for name, sql in VIEWS.items():
            self.lake.define(name, sql)
        self.lake.register("shift", self._shift())
        self.keeper = FactKeeper(self.lake, OEE_FACT, self.plant, self.folder / "lake" / "oee_fact")

    def close(self) -> None:
        self.lake.close()
        self.log.close()

    def restart(self) -> None:
        self.close()
        self.open()

    def _shift(self) -> pa.Table:
        moments = {"start": to_datetime(SIX), "end": to_datetime(SIX + 8 * HOUR)}
        row = {"site": "hamburg", "line": "line-1", "machine": self.machine, "shift": "early"}
        return pa.Table.from_pylist([row | {"day": to_datetime(SIX).date()} | moments])

    def put(self, rows: Rows, *, told: bool = True) -> None:
        self.log.append_rows([rows], now=NOW)
        if told:
            self.keeper.take([rows])

    def states(self, *changes: tuple[Micros, str | None]) -> None:
        columns = {
            "machine": [self.machine] * len(changes),
            "time": _times([t for t, _ in changes]),
            "state": pa.array([state for _, state in changes], pa.string()),
        }
        quality = [0 if state else 2 for _, state in changes]
        system = _system([t for t, _ in changes], quality)
        self.put(Rows("machine_state", pa.table(columns | system)))

    def parts(self, *counts: tuple[Micros, int], told: bool = True) -> None:
        moments = [t for t, _ in counts]
        columns = {
            "machine": [self.machine] * len(counts),
            "time": _times(moments),
            "produced": pa.nulls(len(counts), pa.int64()),
            "good": pa.array([good for _, good in counts], pa.int64()),
            "scrap": pa.nulls(len(counts), pa.int64()),
            "rework": pa.nulls(len(counts), pa.int64()),
        }
        rows = Rows("part_count", pa.table(columns | _system(moments, [0] * len(counts))))
        self.put(rows, told=told)

    def oee(self) -> float | None:
        return kpi(self.lake.query, self.plant, "acme", SIX, SIX + 8 * HOUR, now=NOW)[0]["oee"]


def _times(moments: list[Micros]) -> pa.Array:
    return pa.array([to_datetime(t) for t in moments], TIME)


def _system(moments: list[Micros], quality: list[int]) -> dict[str, Any]:
    return {
        "_source": ["src"] * len(moments),
        "_received": _times(moments),
        "_samples": pa.array([1] * len(moments), pa.int32()),
        "_quality": pa.array(quality, pa.int16()),
    }


@pytest.fixture
def site(build: Any, tmp_path: Path) -> Iterator[Site]:
    made = Site(build.plant(build.machine("im-01")), tmp_path)
    made.states((SIX, "execute"), (SIX + 2 * HOUR, "stopped"), (SIX + 3 * HOUR, "execute"))
    made.states((NOW - 10 * MINUTE, "aborted"))
    made.parts(*[(SIX + minute * MINUTE, 4) for minute in range(5 * 60)])
    made.keeper.refresh(NOW)
    yield made
    made.close()


EXPECTED = 300 * 4 * 10 / (5 * 3600 + 600)


def test_oee_is_the_same_from_the_tail_the_files_and_after_a_restart(site: Site) -> None:
    from_tail = site.oee()
    site.writer.write_once()
    from_files = site.oee()
    site.keeper.persist(NOW)
    kept = site.oee()
    site.restart()
    site.keeper.refresh(NOW)

    assert [from_tail, from_files, kept, site.oee()] == pytest.approx([EXPECTED] * 4)


def test_late_rows_reach_the_figures_at_the_next_refresh(site: Site) -> None:
    site.keeper.persist(NOW)

    site.parts((SIX + 61 * MINUTE + 1, 60))
    done = site.keeper.refresh(NOW)

    assert done.hours == 2
    assert site.oee() == pytest.approx(EXPECTED + 600 / (5 * 3600 + 600))


def test_rows_written_while_the_keeper_was_down_are_found(site: Site) -> None:
    site.keeper.persist(NOW)
    site.parts((SIX + 61 * MINUTE + 1, 60), told=False)

    site.restart()
    site.keeper.refresh(NOW)

    assert site.oee() == pytest.approx(EXPECTED + 600 / (5 * 3600 + 600))


def test_pages_and_a_reason_on_the_real_lake(site: Site) -> None:
    query, plant = site.lake.query, site.plant
    live = live_page(query, plant, "acme", now=NOW).machines[0]
    assert (live.kind, live.seconds) == ("unclassified", 600)

    site.put(give(query, plant, live.stop, "jam", author="ada", now=NOW).rows)

    assert live_page(query, plant, "acme", now=NOW).machines[0].reason == "jam"
    page = oee_page(query, plant, "acme", SIX, SIX + 8 * HOUR, (SIX - DAY, SIX), now=NOW)
    assert page.oee.value == pytest.approx(EXPECTED)
    assert [row.reason for row in page.pareto] == ["unclassified", "jam"]
    overview = overview_page(query, plant, "acme", SIX, SIX + 8 * HOUR, now=NOW)
    assert overview.rows[0].biggest_loss == max(
        (step for step in page.losses if not step.total), key=lambda step: step.seconds or 0.0
    )
    stop = stop_page(query, plant, live.stop, now=NOW)
    assert stop is not None
    assert [part.reason for part in stop.stop.parts] == ["jam"]
