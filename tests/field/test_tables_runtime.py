"""A folder and a table under the real runtime: lost and back, and what is known then."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from isthmus.base.clock import DAY, SystemClock, to_datetime
from isthmus.field.connectors.files import FilesSource
from isthmus.field.connectors.sql import SqlSource
from isthmus.flow.log import SqliteLog
from isthmus.model.spec.site import Keep, SourceSpec
from isthmus.runtime import sources
from isthmus.runtime.backoff import Backoff
from isthmus.runtime.sources import SourceEvent, SourceRunner
from isthmus.testing.one_source import field, plant, readable

MAPS = (
    field("a", "machine_state.state", "state", codes=(("RUN", "execute"), ("STOP", "stopped"))),
    field("a", "cycle.melt_temp", "temp"),
)


class Running:
    """One source, its log, and what it said."""

    def __init__(self, folder: Path, spec: SourceSpec) -> None:
        self.log = SqliteLog(folder / "log" / "hamburg.sqlite", "hamburg", Keep(free_mb=0))
        self.events: list[SourceEvent] = []
        source, whole = plant(*MAPS, spec=spec)
        self._runner = SourceRunner(
            source, whole, self.log, SystemClock(), on_rows=lambda _: None,
            on_event=self.events.append,
        )  # fmt: skip
        self._task = asyncio.create_task(self._runner.run())

    async def stop(self) -> None:
        self._runner.stop()
        await self._task
        self.log.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.events
            await asyncio.sleep(0.01)

    def column(self, block: str, name: str) -> list[object]:
        rows = [
            readable(row)
            for parcel in self.log.read("rows", 0, 10_000)
            if parcel.name == block
            for row in parcel.table().to_pylist()
        ]
        return [row.get(name) for row in rows]

    @property
    def said(self) -> list[str]:
        return [event.what for event in self.events]


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(sources, "Backoff", lambda *_: Backoff(0.05, 0.05))


def lines(*rows: str) -> str:
    return "\n".join(["at;state;temp", *rows])


async def test_a_share_that_was_away_is_a_gap_and_the_state_is_known_again(tmp_path):
    share = tmp_path / "share"
    share.mkdir()
    spec = FilesSource(folder=str(share), time=("at",), settle=0.0, interval=0.05, repeat=True)
    running = Running(tmp_path, spec)
    (share / "1.csv").write_text(lines("2026-11-17T08:00:00Z;RUN;231.5"))
    await running.until(lambda: running.column("machine_state", "state") == ["execute"])
    await running.until((share / "done" / "1.csv").exists)
    away = share.rename(tmp_path / "away")
    await running.until(lambda: "lost" in running.said)
    assert "Is the share mounted?" in running.events[-1].detail
    away.rename(share)
    await running.until(lambda: len(running.column("machine_state", "state")) == 3)
    assert running.column("machine_state", "state") == ["execute", None, "execute"]
    assert running.said == ["connected", "lost", "back"]
    [gap] = running.log.gaps(0, SystemClock().now() + DAY)
    assert gap.end is not None
    await running.stop()


async def test_an_unreadable_file_is_named_as_a_gap_and_holds_up_nothing(tmp_path):
    share = tmp_path / "share"
    share.mkdir()
    (share / "1.csv").write_text("zeit;state\n1;2\n")
    (share / "2.csv").write_text(lines("2026-11-17T08:00:00Z;RUN;231.5"))
    spec = FilesSource(folder=str(share), time=("at",), settle=0.0, interval=0.05)
    running = Running(tmp_path, spec)
    await running.until(lambda: running.column("cycle", "melt_temp") == [231.5])
    await running.until(lambda: "missed" in running.said)
    [gap] = running.log.gaps(0, SystemClock().now() + DAY)
    assert gap.detail == (
        "nothing of 1.csv was taken: it has no column `at`; the header has `zeit`, `state`"
    )
    await running.stop()


async def test_bad_cells_are_in_quarantine_with_their_place(tmp_path):
    share = tmp_path / "share"
    share.mkdir()
    (share / "1.csv").write_text(lines("2026-11-17T08:00:00Z;RUN;231,5"))
    spec = FilesSource(folder=str(share), time=("at",), settle=0.0, interval=0.05)
    running = Running(tmp_path, spec)
    await running.until((share / "failed" / "1.csv").exists)
    values = [one.value for one in running.log.quarantined(0, SystemClock().now() + DAY)]
    assert len(values) == 2
    assert all("1.csv, row 2, column `temp`: `231,5` is a number only with" in v for v in values)
    assert running.column("cycle", "melt_temp") == []
    await running.stop()


async def test_a_table_written_during_a_stop_is_read_with_its_own_times(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'cell.db'}", poolclass=sa.NullPool)
    table = sa.Table("log", sa.MetaData(), sa.Column("nr", sa.Integer, primary_key=True),
                     sa.Column("at", sa.DateTime), sa.Column("state", sa.String),
                     sa.Column("temp", sa.Double))  # fmt: skip
    table.metadata.create_all(engine)
    began = SystemClock().now()

    def write(number: int, state: str) -> None:
        wall = to_datetime(SystemClock().now()).replace(tzinfo=None)
        with engine.begin() as connection:
            values = {"nr": number, "at": wall, "state": state, "temp": float(number)}
            connection.execute(sa.insert(table).values(values))

    spec = SqlSource.model_validate(
        {"url": str(engine.url), "table": "log", "time": "at", "order": "nr", "timezone": "UTC",
         "interval": "50 ms"}
    )  # fmt: skip
    running = Running(tmp_path, spec)
    write(1, "RUN")
    await running.until(lambda: running.column("cycle", "melt_temp") == [1.0])
    await running.stop()
    write(2, "STOP")
    write(3, "RUN")
    running = Running(tmp_path, spec)
    await running.until(lambda: 3.0 in running.column("cycle", "melt_temp"))
    temps = [temp for temp in running.column("cycle", "melt_temp") if temp is not None]
    states = running.column("machine_state", "state")
    assert temps == [1.0, 2.0, 3.0]
    assert states == ["execute", None, "stopped", "execute"]
    received = sum(count.received for count in running.log.counts(began - DAY, began + DAY))
    assert received == 6
    await running.stop()
