"""A set of servers in this process, both asyncua: when the one that is read is left for another."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from isthmus.base.clock import SystemClock
from isthmus.field.connector import Unreachable
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource, lookout, session
from isthmus.field.connectors.opcua.security import Offered
from isthmus.testing.connector_suite import opened, read_forever, read_until
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.opcua_wire import services
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

PATIENCE = 20.0
STATE = "ns=2;s=IM07.State"


@dataclass
class Pair:
    """The second one serves; the first, behind a cable that is cut, would say that it is well."""

    cable: TcpProxy
    second: OpcuaServer

    def connector(self, memory: object = None) -> OpcuaConnector:
        spec = OpcuaSource(
            endpoint=f"opc.tcp://{LOOPBACK}:{self.cable.port}",
            endpoints=[f"opc.tcp://{LOOPBACK}:{self.second.port}"],
            interval=0.05, timeout=2.0,
        )  # fmt: skip
        made = OpcuaConnector("im07", spec, (STATE,), SystemClock())
        made.memory = memory
        return made

    async def serve(self, level: int) -> None:
        async def there(server: Any) -> None:
            await server.get_node("i=2267").write_value(ua.Variant(level, ua.VariantType.Byte))

        await self.second.run(there)

    async def changes(self, reading: OpcuaConnector) -> list[float | str | None]:
        """Five of the second server, as they come."""
        came = []
        for state in range(10, 15):
            await self.second.set(STATE, state)
            came += [one.value for one in await read_until(reading, lambda seen: len(seen) >= 1)]
        return came


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[OpcuaServer, OpcuaServer]]:
    """3 is what the first tells."""
    with (
        OpcuaServer({STATE: ua.Variant(3, ua.VariantType.Int32)}) as first,
        OpcuaServer({STATE: ua.Variant(4, ua.VariantType.Int32)}) as second,
    ):
        yield first, second


@pytest.fixture
async def pair(
    running: tuple[OpcuaServer, OpcuaServer], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pair]:
    monkeypatch.setattr(lookout, "FIRST_LOOK", 0.1)
    first, second = running
    await second.set(STATE, 4)
    async with TcpProxy(first.port) as cable:
        await cable.refuse()
        yield Pair(cable, second)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Endpoints that were asked whether they answer."""
    asked: list[str] = []

    async def ways_in(name: str, spec: OpcuaSource, endpoint: str) -> list[Offered]:
        asked.append(endpoint)
        return await session.ways_in(name, spec, endpoint)

    monkeypatch.setattr(lookout, "ways_in", ways_in)
    return asked


async def until(reading: OpcuaConnector, condition: Callable[[], bool]) -> None:
    """Read until it is true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await reading.read()


async def test_an_unwell_server_is_left_when_another_one_answers_again(pair: Pair) -> None:
    await pair.serve(150)
    unwell = pair.connector(memory=2)
    async with opened(unwell):
        (there,) = await read_until(unwell, lambda seen: len(seen) >= 1)
        await pair.cable.heal()
        with pytest.raises(Unreachable, match=r"is unwell \(ServiceLevel 150\) and opc.*answers"):
            await read_forever(unwell)
        looked = set(services(bytes(pair.cable.sent)))
    better = pair.connector(unwell.memory)
    async with opened(better):
        (back,) = await read_until(better, lambda seen: len(seen) >= 1)
    assert (there.value, back.value) == (4.0, 3.0)
    assert looked == {"GetEndpoints"}
    assert (unwell.memory, better.memory) == (3, None)


async def test_an_unwell_server_is_read_without_a_gap_while_no_other_one_answers(
    pair: Pair, looks: list[str]
) -> None:
    await pair.serve(150)
    unwell = pair.connector(memory=2)
    async with opened(unwell):
        await read_until(unwell, lambda seen: len(seen) >= 1)
        came = await pair.changes(unwell)
        await until(unwell, lambda: len(looks) >= 3)
        came += await pair.changes(unwell)
    assert came == [*range(10, 15), *range(10, 15)]
    assert set(looks) == {f"opc.tcp://{LOOPBACK}:{pair.cable.port}"}
    assert unwell.memory == 2


async def test_a_server_that_is_well_is_not_left_though_it_is_not_the_first(
    pair: Pair, looks: list[str]
) -> None:
    await pair.serve(255)
    second = pair.connector(memory=2)
    async with opened(second):
        await read_until(second, lambda seen: len(seen) >= 1)
        await pair.cable.heal()
        assert await pair.changes(second) == [*range(10, 15)]
    assert looks == []
    assert second.memory is None


async def test_a_server_that_recovers_is_not_left(pair: Pair, looks: list[str]) -> None:
    await pair.serve(150)
    second = pair.connector(memory=2)
    async with opened(second):
        await until(second, lambda: len(looks) >= 1)
        await pair.serve(255)
        await until(second, lambda: second.memory is None)
        await pair.cable.heal()
        heard = len(looks)
        assert await pair.changes(second) == [*range(10, 15)]
    assert len(looks) == heard


def test_each_search_in_vain_doubles_the_pause_up_to_half_an_hour() -> None:
    assert [lookout.pause(in_vain) for in_vain in (0, 1, 2, 3, 4, 5, 99)] == [
        60.0, 120.0, 240.0, 480.0, 960.0, 1_800.0, 1_800.0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "first", "second"),
    [
        (None, None, None),
        ([], None, None),
        ("a.der", Path("a.der"), Path("a.der")),
        (["a.der"], Path("a.der"), Path("a.der")),
        (["a.der", "b.der"], Path("a.der"), Path("b.der")),
    ],
)
def test_one_certificate_is_every_servers_of_a_set_and_several_are_one_each(
    written: Any, first: Path | None, second: Path | None
) -> None:
    servers = {"endpoint": "opc.tcp://a", "endpoints": ["opc.tcp://b"]}
    spec = OpcuaSource.model_validate(servers | {"server_certificate": written})
    assert (spec.pinned("opc.tcp://a"), spec.pinned("opc.tcp://b")) == (first, second)
