"""What reading costs: OPC UA changes and Modbus registers per CPU second of our process.

`python -m bench field` prints the figures and writes bench/results/field.json. The devices
run in a process of their own; only the connector's CPU time counts.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from asyncua import ua
from bench.result import Figure, save

from isthmus.base.clock import SystemClock
from isthmus.field.connector import AnyConnector
from isthmus.field.connectors.modbus import ModbusConnector, ModbusSource
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource
from isthmus.testing.modbus_server import ModbusServer
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.tcp_proxy import LOOPBACK

SECONDS = 8.0
NODES = 1_000
REGISTERS = 1_000


def opcua_tags() -> list[str]:
    return [f"ns=2;s=T{number}" for number in range(NODES)]


def serve_opcua(pipe: Connection) -> None:
    """A thousand counters, each counting as fast as the server manages."""

    async def count(device: OpcuaServer) -> None:
        value = 0
        while not pipe.poll():
            value += 1
            for tag in tags:
                await device.set(tag, float(value))

    tags = opcua_tags()
    with OpcuaServer({tag: ua.Variant(0.0) for tag in tags}) as device:
        pipe.send(device.port)
        asyncio.run(count(device))


def serve_modbus(pipe: Connection) -> None:
    """A thousand registers that all change every 10 ms."""

    async def count() -> None:
        async with ModbusServer({"holding": dict.fromkeys(range(REGISTERS), 0)}) as device:
            pipe.send(device.port)
            value = 0
            while not pipe.poll():
                value = (value + 1) % 65_536
                device.put("holding", 0, [value] * REGISTERS)
                await asyncio.sleep(0.01)

    asyncio.run(count())


@contextmanager
def device(serve: Callable[[Connection], None]) -> Iterator[int]:
    """A device in another process; yields its port."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(theirs,))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join()


async def measure(connector: AnyConnector) -> dict[str, float]:
    """Read for SECONDS, tables and all."""
    samples = reads = 0
    try:
        await connector.open()
        await connector.read()
        wall, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - wall < SECONDS:
            table = await connector.read()
            reads += 1
            samples += table.num_rows if table is not None else 0
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    finally:
        await connector.close()
    return {"samples": samples, "reads": reads, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2)}


def opcua() -> dict[str, float]:
    with device(serve_opcua) as port:
        spec = OpcuaSource(endpoint=f"opc.tcp://{LOOPBACK}:{port}", interval=0.25, sampling=0.0)
        result = asyncio.run(measure(OpcuaConnector("b", spec, opcua_tags(), SystemClock())))
    return result | {"changes_per_cpu_second": round(result["samples"] / result["cpu_s"])}


def modbus() -> dict[str, float]:
    tags = [f"holding:{number}" for number in range(REGISTERS)]
    with device(serve_modbus) as port:
        spec = ModbusSource(host=LOOPBACK, port=port)
        result = asyncio.run(measure(ModbusConnector("b", spec, tags, SystemClock())))
    registers = result["reads"] * REGISTERS
    return result | {"registers_per_cpu_second": round(registers / result["cpu_s"])}


def main() -> None:
    changes, registers = opcua(), modbus()
    save(
        "field",
        "changes and registers read per CPU second of the connector",
        [
            Figure(f"OPC UA, {NODES:,} nodes", changes["changes_per_cpu_second"], "changes/s",
                   better="higher"),
            Figure(f"Modbus, {REGISTERS:,} registers", registers["registers_per_cpu_second"],
                   "registers/s", better="higher"),
        ],
        {"opcua": changes, "modbus": registers},
    )  # fmt: skip


if __name__ == "__main__":
    main()
