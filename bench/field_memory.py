"""Memory for 100,000 tags: the connector, what `shape` carries, and the log of one source.

`python -m bench field_memory` writes bench/results/field_memory.json. Each source runs in a process
of its own, whose memory is read before anything is made, and again once every tag has brought its
first value and that is on disk. Modbus holds a register per tag, MQTT a topic per tag.
"""

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
from bench.devices import modbus, mqtt
from bench.devices.process import device
from bench.peers.reading import plant_of
from bench.result import Figure, save

from isthmus.base.clock import SystemClock
from isthmus.field.connectors.modbus import ModbusSource
from isthmus.field.connectors.mqtt import MqttSource
from isthmus.flow.log import SqliteLog
from isthmus.model.spec.site import Keep, SourceSpec
from isthmus.runtime.sources import SourceRunner
from isthmus.testing.source_intake import received
from isthmus.testing.tcp_proxy import LOOPBACK

TAGS = 100_000
UNITS = 10
REGISTERS = TAGS // UNITS
MESSAGES = 5_000
ALL_WITHIN = 90.0
MB = 2**20


def of_modbus() -> dict[str, float]:
    """Ten units of 10,000 registers behind one gateway, polled every five seconds."""
    tags = [f"holding:{n}@{unit}" for unit in range(1, UNITS + 1) for n in range(REGISTERS)]
    with device(modbus.serve, REGISTERS) as port:
        return _in_a_process(ModbusSource(host=LOOPBACK, port=port, interval=5.0), tags)


def of_mqtt() -> dict[str, float]:
    """A subscription per topic; all have been published once."""
    tags = [mqtt.topic(number) for number in range(TAGS)]
    with mqtt.broker() as port, mqtt.published(port, TAGS, MESSAGES, qos=0, as_json=False):
        spec = MqttSource(host=LOOPBACK, port=port, qos=0, session="clean", first_value=3.0)
        return _in_a_process(spec, tags)


def _in_a_process(spec: SourceSpec, tags: Sequence[str]) -> dict[str, float]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_run, args=(theirs, spec, tags))
    process.start()
    try:
        if not ours.poll(ALL_WITHIN + 60):
            raise TimeoutError(f"{spec.kind}: not all tags came")
        found: dict[str, float] = ours.recv()
    finally:
        process.join()
    return found


def _run(pipe: Connection, spec: SourceSpec, tags: Sequence[str]) -> None:
    before, cpu, begun = _memory(), time.process_time(), time.perf_counter()
    source, plant = plant_of(spec, tags)
    model = _memory()
    taken, memory = asyncio.run(_read_all(source, plant, len(tags)))
    pipe.send({
        "before_mb": round(before),
        "with_the_model_mb": round(model),
        "with_all_tags_mb": round(memory),
        "samples": taken,
        "seconds_to_all": round(time.perf_counter() - begun, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
    })  # fmt: skip


async def _read_all(source: Any, plant: Any, wanted: int) -> tuple[int, float]:
    with tempfile.TemporaryDirectory() as folder:
        log = SqliteLog(Path(folder, "bench.sqlite"), "hamburg", Keep(free_mb=0))
        nothing: Callable[[Any], None] = lambda _: None  # noqa: E731
        runner = SourceRunner(source, plant, log, SystemClock(), on_rows=nothing, on_event=nothing)
        running = asyncio.create_task(runner.run())
        deadline = time.monotonic() + ALL_WITHIN
        try:
            while (taken := received(log)) < wanted and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.25)
            memory = _memory()
        finally:
            runner.stop()
            await running
            log.close()
    if taken < wanted:
        raise TimeoutError(f"{taken} of {wanted} values came within {ALL_WITHIN:g} s")
    return taken, memory


def _memory() -> float:
    return float(psutil.Process().memory_info().rss / MB)


def main() -> None:
    found = {"Modbus": of_modbus(), "MQTT": of_mqtt()}
    figures = [
        figure
        for name, one in found.items()
        for figure in (
            Figure(f"{name}: the whole process", one["with_all_tags_mb"], "MB"),
            Figure(f"{name}: of it for the tags", one["with_all_tags_mb"] - one["before_mb"], "MB"),
        )
    ]
    save("field_memory", f"memory of one source with {TAGS:,} tags, log and all", figures, found)


if __name__ == "__main__":
    main()
