"""What reading OPC UA costs beside the driver's own subscription, from the same server.

`python -m bench field_opcua` writes bench/results/field_opcua.json. The server runs in a process of
its own and changes a thousand nodes as fast as it manages; both readers ask it for the same nodes,
one after the other: first all Double, then the mix of a machine (Double, Int32, Float, Boolean, and
one String in twenty). Ours goes from the socket to the Arrow table; the driver's to a handler that
only counts. CPU seconds are those of the reading process, so the server's speed does not matter.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.subscription import DataChangeNotif
from bench.result import Figure, save

from isthmus.base.clock import SystemClock
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.tcp_proxy import LOOPBACK

SECONDS = 6.0
NODES = 1_000
Kind = ua.VariantType


def alike(number: int, value: int) -> ua.Variant:
    del number
    return ua.Variant(float(value), Kind.Double)


def mixed(number: int, value: int) -> ua.Variant:
    match number % 20:
        case 0:
            return ua.Variant(f"order {value}", Kind.String)
        case 1 | 2 | 3:
            return ua.Variant(bool(value % 2), Kind.Boolean)
        case 4 | 5 | 6 | 7 | 8:
            return ua.Variant(value, Kind.Int32)
        case 9 | 10 | 11 | 12:
            return ua.Variant(float(value), Kind.Float)
        case _:
            return ua.Variant(float(value), Kind.Double)


SHAPES: dict[str, Callable[[int, int], ua.Variant]] = {"alike": alike, "mixed": mixed}


def tags() -> list[str]:
    return [f"ns=2;s=T{number}" for number in range(NODES)]


def serve(pipe: Connection, shape: str) -> None:
    """All nodes change again and again, as fast as the server manages."""
    make = SHAPES[shape]

    async def count(device: OpcuaServer) -> None:
        value = 0
        while not pipe.poll():
            value += 1
            stamp: Any = datetime.now(UTC)
            for number, tag in enumerate(tags()):
                data = ua.DataValue(make(number, value), SourceTimestamp=stamp)
                await device.write(tag, data)

    variables = {tag: make(number, 0) for number, tag in enumerate(tags())}
    with OpcuaServer(variables) as device:
        pipe.send(device.port)
        asyncio.run(count(device))


@contextmanager
def device(shape: str) -> Iterator[int]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(theirs, shape))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join()


class Counting:
    """What a person writes for the driver: the least there can be."""

    def __init__(self) -> None:
        self.values = 0

    def datachange_notification(self, node: Any, value: Any, data: DataChangeNotif) -> None:
        del node, value, data
        self.values += 1


async def the_drivers(port: int) -> dict[str, float]:
    counting = Counting()
    async with Client(f"opc.tcp://{LOOPBACK}:{port}") as client:
        subscription = await client.create_subscription(250, counting)
        nodes = [client.get_node(tag) for tag in tags()]
        await subscription.subscribe_data_change(
            nodes, queuesize=100, sampling_interval=ua.Double(0)
        )
        await asyncio.sleep(1.0)
        before, wall, cpu = counting.values, time.perf_counter(), time.process_time()
        await asyncio.sleep(SECONDS)
        values, cpu = counting.values - before, time.process_time() - cpu
        wall = time.perf_counter() - wall
    return _summed_up(values, wall, cpu)


async def ours(port: int) -> dict[str, float]:
    endpoint = f"opc.tcp://{LOOPBACK}:{port}"
    spec = OpcuaSource(endpoint=endpoint, interval=0.25, sampling=0.0)
    reading = OpcuaConnector("b", spec, tags(), SystemClock())
    values = 0
    try:
        await reading.open()
        end = time.perf_counter() + 1.0
        while time.perf_counter() < end:
            await reading.read()
        wall, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - wall < SECONDS:
            table = await reading.read()
            values += table.num_rows if table is not None else 0
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    finally:
        await reading.close()
    return _summed_up(values, wall, cpu)


def _summed_up(values: int, wall: float, cpu: float) -> dict[str, float]:
    return {
        "values": values,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 3),
        "per_cpu_second": round(values / cpu),
    }


def main() -> None:
    details: dict[str, Any] = {}
    figures = []
    for shape in SHAPES:
        with device(shape) as port:
            peer = asyncio.run(the_drivers(port))
            own = asyncio.run(ours(port))
        ratio = own["per_cpu_second"] / peer["per_cpu_second"]
        details[shape] = {"isthmus": own, "asyncua": peer, "ratio": round(ratio, 2)}
        figures += [
            Figure(f"{NODES:,} nodes, {shape}: isthmus", own["per_cpu_second"], "values/s",
                   better="higher"),
            Figure(f"{NODES:,} nodes, {shape}: asyncua's own", peer["per_cpu_second"], "values/s",
                   better="higher"),
            Figure(f"{NODES:,} nodes, {shape}: ratio", ratio, "times", budget=5.0,
                   better="higher"),
        ]  # fmt: skip
    what = "OPC UA values read per CPU second, beside the driver's own subscription"
    save("field_opcua", what, figures, details)


if __name__ == "__main__":
    main()
