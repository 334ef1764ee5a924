"""Our own side of a comparison: a connector alone, and the whole way to the synced log."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from bench.peers.cost import Cost

from isthmus.base.clock import SystemClock
from isthmus.field.connector import AnyConnector
from isthmus.field.registry import connector as kind_of
from isthmus.flow.log import SqliteLog
from isthmus.model.plant import FieldMap, Machine, Plant, Source
from isthmus.model.spec.block import Block
from isthmus.model.spec.site import Keep, SourceSpec
from isthmus.runtime.pace import Pace
from isthmus.runtime.sources import SourceRunner
from isthmus.testing.source_intake import received

WARM_UP = 1.0
FIELDS_PER_MACHINE = 20
MB = 2**20


def alone(spec: SourceSpec, tags: Sequence[str], seconds: float) -> Cost:
    """From the socket to Arrow tables, at the pace of the runtime; nothing is stored."""
    return asyncio.run(_alone(spec, tags, seconds))


def whole(spec: SourceSpec, tags: Sequence[str], seconds: float) -> Cost:
    """The same through `shape` into a log that is synced, as the platform does it."""
    return asyncio.run(_whole(spec, tags, seconds))


async def _alone(spec: SourceSpec, tags: Sequence[str], seconds: float) -> Cost:
    connector: AnyConnector = kind_of(spec.kind)("bench", spec, tags, SystemClock())
    try:
        await connector.open()
        await _read(connector, WARM_UP)
        wall, cpu = time.perf_counter(), time.process_time()
        values = await _read(connector, seconds)
        return Cost(values, time.perf_counter() - wall, time.process_time() - cpu, _memory())
    finally:
        await connector.close()


async def _read(connector: AnyConnector, seconds: float) -> int:
    pace, values = Pace(connector, connector.spec.interval), 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        table = await connector.read()
        pace.read(table)
        if table is not None:
            values += table.num_rows
            pace.samples = 0
            await connector.acknowledge()
        pause = max(0.0, pace.pause())
        await (asyncio.sleep(pause) if connector.polled else connector.gather(pause))
    return values


async def _whole(spec: SourceSpec, tags: Sequence[str], seconds: float) -> Cost:
    source, plant = plant_of(spec, tags)
    with tempfile.TemporaryDirectory() as folder:
        log = SqliteLog(Path(folder, "bench.sqlite"), "hamburg", Keep(free_mb=0))
        runner = SourceRunner(
            source, plant, log, SystemClock(), on_rows=lambda _: None, on_event=lambda _: None
        )
        running = asyncio.create_task(runner.run())
        try:
            while not received(log):  # noqa: ASYNC110 - the log tells nobody
                await asyncio.sleep(0.05)
            await asyncio.sleep(WARM_UP)
            first, wall, cpu = received(log), time.perf_counter(), time.process_time()
            await asyncio.sleep(seconds)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            return Cost(received(log) - first, wall, cpu, _memory())
        finally:
            runner.stop()
            await running
            log.close()


def plant_of(spec: SourceSpec, tags: Sequence[str]) -> tuple[Source, Plant]:
    """All tags as fields of machines: numbers, and of OPC UA the first is the name of the order."""
    groups = [tags[at : at + FIELDS_PER_MACHINE] for at in range(0, len(tags), FIELDS_PER_MACHINE)]
    types = ["text" if spec.kind == "opcua" else "number", *["number"] * FIELDS_PER_MACHINE]
    machines = {path: _machine(path, group, types) for path, group in _paths(groups).items()}
    source = Source("bench", "hamburg", spec, tuple(tags), tuple(machines))
    fields = {f"v{n:02}": {"type": types[n]} for n in range(FIELDS_PER_MACHINE)}
    block = Block.model_validate({"block": "values", "version": 1, "fields": fields})
    plant = Plant(
        "acme", "", "UTC", "en", {}, machines, {"bench": source}, {}, {"values": block}, {}, {}, {}
    )
    return source, plant


def _paths(groups: Sequence[Sequence[str]]) -> dict[str, Sequence[str]]:
    return {f"acme/hamburg/hall/line/m{n:05}": group for n, group in enumerate(groups)}


def _machine(path: str, tags: Sequence[str], types: Sequence[Any]) -> Machine:
    maps = tuple(FieldMap(path, "values", f"v{n:02}", types[n], tag) for n, tag in enumerate(tags))
    return Machine(
        path, "", "hamburg", "hall", "line", "m", "bench", maps, ("values",), None, (), "UTC",
        120, 1.3,
    )  # fmt: skip


def _memory() -> float:
    return float(psutil.Process().memory_info().rss / MB)
