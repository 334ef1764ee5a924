"""The fleet's devices as real protocol servers on loopback; what they show is set by `apply`."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from isthmus.base.clock import to_datetime
from isthmus.testing.sim.wire import Write

HOST = "127.0.0.1"


class Device(Protocol):
    """Something on the plant network that a connector can reach, or not."""

    async def start(self) -> None: ...

    async def apply(self, writes: Sequence[Write]) -> None: ...

    async def stop(self) -> None:
        """Gone from the network, as when its cable is cut; `start` brings it back."""
        ...


class OpcuaDevice:
    """An OPC UA server whose nodes are the tags given first."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._values: dict[str, Write] = {}
        self._server: Any = None
        self._nodes: dict[str, Any] = {}

    async def start(self) -> None:
        from asyncua import ua
        from asyncua.server.server import Server

        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        server = Server()
        await server.init()
        server.set_endpoint(f"opc.tcp://{HOST}:{self.port}/")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await server.register_namespace("urn:acme:machines")
        folder = await server.nodes.objects.add_object("ns=2;s=Machines", "2:Machines")
        for tag, write in self._values.items():
            name = tag.partition(";s=")[2]
            node = await folder.add_variable(tag, f"2:{name}", _variant(write.value))
            await node.write_value(_data_value(write))
            self._nodes[tag] = node
        await server.start()
        self._server = server

    async def apply(self, writes: Sequence[Write]) -> None:
        for write in writes:
            self._values[write.tag] = write
            if self._server is not None:
                await self._server.write_attribute_value(
                    self._nodes[write.tag].nodeid, _data_value(write)
                )

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop()


def _variant(value: float | str) -> Any:
    from asyncua import ua

    match value:
        case str():
            return ua.Variant(value, ua.VariantType.String)
        case int():
            return ua.Variant(value, ua.VariantType.UInt32)
        case _:
            return ua.Variant(float(value), ua.VariantType.Double)


def _data_value(write: Write) -> Any:
    from asyncua import ua

    at: Any = to_datetime(write.time)
    return ua.DataValue(_variant(write.value), SourceTimestamp=at, ServerTimestamp=at)


class ModbusDevice:
    """A counter box: a few holding and input registers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._registers: dict[str, list[int]] = {"holding": [0] * 16, "input": [0] * 16}
        self._server: Any = None

    async def start(self) -> None:
        from pymodbus.server import ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        def area(*, bits: bool = False) -> list[Any]:
            kind = DataType.BITS if bits else DataType.REGISTERS
            return [SimData(0, count=16, values=False if bits else 0, datatype=kind)]

        device = SimDevice(
            1,
            (area(bits=True), area(bits=True), area(), area()),
            action=self._show,
        )
        self._server = ModbusTcpServer(device, address=(HOST, self.port))
        await self._server.serve_forever(background=True)

    async def _show(
        self,
        function_code: int,
        start_address: int,
        _address: int,
        _count: int,
        current: list[int],
        _values: list[int] | list[bool] | None,
    ) -> None:
        area = {3: "holding", 4: "input"}.get(function_code)
        if area is not None:
            shown = self._registers[area][start_address : start_address + len(current)]
            current[: len(shown)] = shown

    async def apply(self, writes: Sequence[Write]) -> None:
        for write in writes:
            area, number, _ = write.tag.split(":")
            self._registers[area][int(number)] = int(write.value) & 0xFFFF

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.shutdown()


class CellDevice:
    """A cell that publishes JSON to the plant's broker, retained, QoS 1."""

    def __init__(self, port: int, name: str) -> None:
        self.port = port
        self.name = name
        self._client: Any = None
        self._last: dict[str, Write] = {}

    async def start(self) -> None:
        import aiomqtt

        client = aiomqtt.Client(HOST, self.port, identifier=f"acme-{self.name}")
        await client.__aenter__()
        self._client = client
        for write in list(self._last.values()):
            await self._publish(write)

    async def apply(self, writes: Sequence[Write]) -> None:
        for write in writes:
            self._last[write.tag] = write
            if self._client is not None:
                await self._publish(write)

    async def _publish(self, write: Write) -> None:
        await self._client.publish(write.tag, str(write.value), qos=1, retain=True)

    async def stop(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            with contextlib.suppress(Exception):  # the broker may be gone before its clients
                await client.__aexit__(None, None, None)


async def wait_for_port(port: int, seconds: float = 15.0) -> None:
    """Until somebody listens on loopback; TimeoutError says who did not."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"nobody listens on {HOST}:{port} after {seconds} s") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
