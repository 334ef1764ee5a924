"""A source runner against a small device over TCP, with the real log in a temporary folder."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from isthmus.base.clock import DAY, Clock, ScaledClock, SystemClock
from isthmus.field.connector import AnyConnector
from isthmus.flow.contract import Gap
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import Rows
from isthmus.model.plant import Plant, Source
from isthmus.model.spec.machine_type import Counter
from isthmus.model.spec.site import Keep
from isthmus.runtime.sources import SourceEvent, SourceRunner
from isthmus.testing.line_device import LineDevice, LineSource, ListeningConnector
from isthmus.testing.one_source import field as mapped
from isthmus.testing.one_source import plant, readable

PATIENCE = 20.0
STATE = mapped("a", "machine_state.state", "state", codes=(("3", "execute"), ("7", "aborted")))
GOOD = mapped("a", "part_count.good", "good", counter=Counter())


@dataclass
class Running:
    """A source under test and everything that can be seen of it."""

    device: LineDevice
    log: SqliteLog
    clock: Clock
    source: Source
    plant: Plant
    kind: type[AnyConnector] = ListeningConnector
    connectors: list[AnyConnector] = field(default_factory=list)
    events: list[SourceEvent] = field(default_factory=list)
    live: list[dict[str, Any]] = field(default_factory=list)
    free: int = 10**12
    runner: SourceRunner | None = None
    task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.runner = SourceRunner(
            self.source, self.plant, self.log, self.clock,
            on_rows=self._rows, on_event=self.events.append, connector_factory=self._make,
        )  # fmt: skip
        self.task = asyncio.create_task(self.runner.run())

    async def stop(self) -> None:
        assert self.runner is not None
        assert self.task is not None
        self.runner.stop()
        async with asyncio.timeout(PATIENCE):
            await self.task

    def _make(self) -> AnyConnector:
        made = self.kind("im", self.source.spec, self.source.tags, self.clock)
        self.connectors.append(made)
        return made

    def _rows(self, rows: Sequence[Rows]) -> None:
        self.live += [
            readable(row) | {"block": part.name} for part in rows for row in part.table.to_pylist()
        ]

    # What tests look at ---------------------------------------------------------------------------

    @property
    def said(self) -> list[str]:
        return [event.what for event in self.events]

    @property
    def gaps(self) -> list[Gap]:
        return self.log.gaps(0, self.clock.now() + DAY)

    def stored(self, block: str) -> list[dict[str, Any]]:
        return [
            readable(row)
            for parcel in self.log.read("rows", 0, 10_000)
            if parcel.name == block
            for row in parcel.table().to_pylist()
        ]

    def states(self) -> list[str | None]:
        return [row.get("state") for row in self.stored("machine_state")]

    def parts(self) -> int:
        return sum(row.get("good", 0) for row in self.stored("part_count"))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; the test fails when it does not come true in time."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self.task is not None and self.task.done():
                self.task.result()
            assert time.monotonic() < deadline, f"said {self.said}, live {self.live}"
            await asyncio.sleep(0.005)


@pytest.fixture
def clock() -> Clock:
    """Fifty times as fast, so that pauses between tries are short."""
    now = SystemClock().now()
    return ScaledClock(now, now, 50.0)


@pytest.fixture
async def running(tmp_path: Path, clock: Clock) -> AsyncIterator[Running]:
    async with LineDevice({"state": 3.0, "good": 100.0}) as device:
        spec = LineSource(port=device.port, interval=1.0)
        source, whole = plant(STATE, GOOD, spec=spec)
        found: list[Running] = []
        log = SqliteLog(
            tmp_path / "hamburg.sqlite", "hamburg", Keep(), free=lambda _: found[0].free
        )
        found.append(Running(device, log, clock, source, whole))
        yield found[0]
        if found[0].task is not None and not found[0].task.done():
            found[0].task.cancel()
            with suppress(asyncio.CancelledError):
                await found[0].task
        log.close()
