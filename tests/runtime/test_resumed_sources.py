"""Sources that can tell what happened while nobody listened: through the runner into the log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from isthmus.base.clock import SECOND, Clock, SystemClock, iso
from isthmus.field.connectors.http import HttpSource
from isthmus.field.connectors.mtconnect import MtconnectSource
from isthmus.flow.log import SqliteLog
from isthmus.model.plant import FieldMap
from isthmus.model.spec.machine_type import Counter
from isthmus.model.spec.site import Keep, SourceSpec
from isthmus.runtime.sources import SourceRunner
from isthmus.testing.line_device import LineDevice
from isthmus.testing.mtconnect_agent import Device, Item, MtconnectAgent
from isthmus.testing.one_source import T0, plant
from isthmus.testing.one_source import field as mapped
from isthmus.testing.rest_server import Request, Response, RestServer
from isthmus.testing.tcp_proxy import TcpProxy

from .conftest import Running

CODES = (("READY", "idle"), ("ACTIVE", "execute"), ("STOPPED", "stopped"))


class Wired(Running):
    """With the connector that the registry has for the kind."""

    def start(self) -> None:
        self.runner = SourceRunner(
            self.source, self.plant, self.log, self.clock,
            on_rows=self._rows, on_event=self.events.append,
        )  # fmt: skip
        self.task = asyncio.create_task(self.runner.run())


@asynccontextmanager
async def wired(
    folder: Path, clock: Clock, spec: SourceSpec, *maps: FieldMap
) -> AsyncIterator[Wired]:
    source, whole = plant(*maps, spec=spec)
    log = SqliteLog(folder / "hamburg.sqlite", "hamburg", Keep())
    running = Wired(LineDevice({}), log, clock, source, whole)
    try:
        yield running
        await running.stop()
    finally:
        log.close()


async def test_an_agents_buffer_fills_an_outage_at_the_right_times(tmp_path: Path) -> None:
    items = (Item("exec", "EXECUTION"), Item("count", "PART_COUNT"))
    agent = MtconnectAgent([Device("m1", "M1", "uuid-m1", items)])
    await agent.start()
    clock = SystemClock()
    agent.put("exec", "READY", clock.now() - SECOND)
    agent.put("count", 100, clock.now() - SECOND)
    maps = (
        mapped("a", "machine_state.state", "exec", codes=CODES),
        mapped("a", "part_count.good", "count", counter=Counter()),
    )
    async with TcpProxy(agent.port) as cable:
        spec = MtconnectSource(
            url=f"http://{cable.host}:{cable.port}", interval=0.05, heartbeat=0.3, timeout=0.3
        )
        async with wired(tmp_path, clock, spec, *maps) as running:
            running.start()
            await running.until(lambda: running.states() == ["idle"])
            agent.put("exec", "ACTIVE")
            await running.until(lambda: running.states() == ["idle", "execute"])
            await cable.refuse()
            await running.until(lambda: running.said[-1] == "lost")
            changes = [("STOPPED", clock.now()), ("ACTIVE", clock.now() + 1_000)]
            for state, at in changes:
                agent.put("exec", state, at)
            agent.put("count", 107)
            await cable.heal()
            await running.until(lambda: running.parts() == 7)
            rows = running.stored("machine_state")
    await agent.stop()
    assert [row.get("state") for row in rows] == ["idle", "execute", None, "stopped", "execute"]
    assert [row["time"] for row in rows[3:]] == pytest.approx(
        [(at - T0) / SECOND for _, at in changes], abs=1e-6
    )


async def test_rows_of_an_interface_come_once_whatever_stops_us(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    begun = SystemClock().now() - 100 * SECOND

    def answer(request: Request) -> Response:
        since = request.query.get("from", "")
        return Response.json({"rows": [row for row in rows if row["t"] >= since]})

    def make(count: int) -> None:
        rows.extend(
            {"t": iso(begun + number * SECOND), "good": number}
            for number in range(len(rows), len(rows) + count)
        )

    tag = "$.good;rows=$.rows[*];time=$.t"
    maps = (mapped("a", "part_count.good", tag, counter=Counter()),)
    async with RestServer(answer) as server:
        spec = HttpSource.model_validate(
            {
                "url": server.url,
                "interval": "50 ms",
                "since": {"parameter": "from", "overlap": "5 s"},
            }
        )
        for run in range(1, 4):
            make(20)
            async with wired(tmp_path, SystemClock(), spec, *maps) as running:
                running.start()
                await running.until(lambda all_of=20 * run: running.parts() == all_of - 1)
                received = [
                    sample
                    for parcel in running.log.read("raw", 0, 1000)
                    for sample in parcel.table().to_pylist()
                    if sample["number"] is not None
                ]
        assert len(received) == len({sample["device_time"] for sample in received}) == 60
        assert any("from=" in target for target in server.asked)
