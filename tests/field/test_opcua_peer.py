"""The OPC UA connector against node-opcua: a server nobody of us wrote."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from isthmus.base.clock import SystemClock
from isthmus.field.connector import Connector, Refused
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource, certificates
from isthmus.field.connectors.opcua.session import ways_in
from isthmus.field.connectors.opcua.trust import TrustFolder
from isthmus.flow.parcel import GOOD
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Value,
    opened,
    read_until,
)
from isthmus.testing.opcua_wire import write_requests
from isthmus.testing.peer import Peer, node_peer
from isthmus.testing.tcp_proxy import LOOPBACK

pytestmark = pytest.mark.peer

PEERS = Path(__file__).parent / "peers"
NODE = "ns=2;s=IM07."
BAD_SENSOR_FAILURE = 0x808C_0000


def source(port: int, **keys: Any) -> OpcuaSource:
    usual: dict[str, Any] = {
        "interval": "50 ms",
        "timeout": "2 s",
    }
    return OpcuaSource(endpoint=f"opc.tcp://{LOOPBACK}:{port}", **(usual | keys))


class Machine:
    """The peer, in the words of the suite."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.port = peer.port

    async def set(self, tag: str, value: Value) -> None:
        self._peer.tell(set=tag.removeprefix("ns=2;s="), value=value)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder = str(tmp_path_factory.mktemp("node-opcua"))
    with node_peer(PEERS, "opcua.mjs", "node-opcua", folder) as running:
        yield running


class TestContract(ConnectorContract):
    connector: ClassVar[type[Connector[Any]]] = OpcuaConnector
    tags: ClassVar[dict[str, Any]] = {
        f"{NODE}Status.StateCurrent": 6.0,
        f"{NODE}Status.MachSpeed": 12.5,
        f"{NODE}Status.Blocked": 0.0,
        f"{NODE}Shots": 65_000.0,
        f"{NODE}Total": 7.0,
        f"{NODE}Mould": "Deckel 12 – größer",
        f"{NODE}Zones[1]": 215.0,
        f"{NODE}StateEnum": 11.0,
        f"{NODE}MeltTemp": 221.5,
    }
    change: ClassVar[tuple[str, Any]] = (f"{NODE}Status.StateCurrent", 2)
    unknown: ClassVar[str] = f"{NODE}NoSuchNode"
    lost_within: ClassVar[float] = 3.0

    @pytest.fixture(autouse=True)
    def _peer(self, peer: Peer) -> None:
        self.machine = Machine(peer)

    @asynccontextmanager
    async def device(self) -> AsyncIterator[Machine]:
        tag, _ = self.change
        await self.machine.set(tag, self.tags[tag])
        yield self.machine

    def spec(self, host: str, port: int) -> OpcuaSource:
        return source(port)

    def refused_spec(self, host: str, port: int) -> OpcuaSource:
        return source(port, user="isthmus", password="forgotten")

    def write_requests(self, sent: bytes) -> list[str]:
        return write_requests(sent)


def connector(peer: Peer, *tags: str, **keys: Any) -> OpcuaConnector:
    return OpcuaConnector("im07", source(peer.port, **keys), tags, SystemClock())


async def test_types_of_another_implementation_are_understood(peer: Peer) -> None:
    tags = (f"{NODE}Started", f"{NODE}Broken", f"{NODE}Zones")
    async with opened(connector(peer, *tags)) as reading:
        samples = await read_until(reading, lambda seen: len(seen) >= len(tags))
    assert {sample.tag: (sample.value, sample.quality) for sample in samples} == {
        f"{NODE}Started": ("2026-11-22T06:00:00Z", GOOD),
        f"{NODE}Broken": (None, BAD_SENSOR_FAILURE),
        f"{NODE}Zones": ("[210.0, 215.0, 220.5]", GOOD),
    }


@pytest.mark.parametrize("security", ["sign", "sign_and_encrypt"])
@pytest.mark.parametrize(
    "policy", ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]
)
async def test_a_secured_session_with_our_certificate_and_a_user_is_understood(
    peer: Peer, trusting: TrustFolder, security: str, policy: str
) -> None:
    keys = {"security": security, "policy": policy, "user": "isthmus", "password": "moulding"}
    reading = connector(peer, f"{NODE}MeltTemp", **keys)
    with pytest.raises(Refused, match="is not trusted"):
        await reading.open()
    await reading.close()
    ways = await ways_in("im07", source(peer.port), f"opc.tcp://{LOOPBACK}:{peer.port}")
    trusting.trust(ways[0].chain[0])
    async with opened(connector(peer, f"{NODE}MeltTemp", **keys)) as reading:
        (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
    assert (sample.value, sample.quality) == (221.5, GOOD)


@pytest.fixture(scope="module")
def our_key() -> RSAPrivateKey:
    return certificates.new_key()


@pytest.fixture
def trusting(
    tmp_path: Path, our_key: RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> TrustFolder:
    """Has our certificate and trusts nobody yet."""
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path))
    folder = TrustFolder.of_this_site()
    now, year = datetime.now(UTC), timedelta(days=365)
    folder.keep(certificates.issue(our_key, "plant-pc", now=now, valid=year), our_key)
    return folder


async def test_values_the_servers_queue_could_not_hold_are_a_gap(peer: Peer) -> None:
    tag = f"{NODE}Shots"
    keys = {"queue_size": 3, "sampling": "0 ms", "interval": "200 ms"}
    peer.tell(set="IM07.Shots", value=0)
    reading = connector(peer, tag, **keys)
    async with opened(reading):
        (first,) = await read_until(reading, lambda seen: len(seen) >= 1)
        assert reading.missed() == []
        peer.tell(burst="IM07.Shots", values=list(range(1, 41)))
        samples = await read_until(reading, lambda seen: bool(seen) and seen[-1].value == 40.0)
        (gap,) = reading.missed()
    assert len(samples) < 40
    assert {sample.quality for sample in samples} == {GOOD}
    assert first.device_time <= gap.start <= gap.end <= samples[-1].device_time
    assert "queue" in gap.detail


async def test_no_value_of_a_fast_counter_is_lost(peer: Peer) -> None:
    tag = f"{NODE}Shots"
    peer.tell(set="IM07.Shots", value=0)
    async with opened(connector(peer, tag, sampling="0 ms", queue_size=1000)) as reading:
        await read_until(reading, lambda seen: len(seen) >= 1)
        peer.tell(burst="IM07.Shots", values=list(range(1, 501)))
        samples = await read_until(reading, lambda seen: len(seen) >= 500)
        assert reading.missed() == []
    assert [sample.value for sample in samples] == [float(shot) for shot in range(1, 501)]
    assert all(a.device_time <= b.device_time for a, b in pairwise(samples))


async def test_browsing_shows_types_and_units(peer: Peer) -> None:
    reading = connector(peer)
    async with opened(reading):
        top = {node.name: node async for node in reading.browse()}
        inside = {node.name: node async for node in reading.browse(top["IM07"].tag)}
    melt = inside["MeltTemp"]
    assert (melt.tag, melt.type, melt.unit) == (f"{NODE}MeltTemp", "Double", "°C")
    assert melt.path == "/IM07/MeltTemp"
    assert inside["Zones"].type == "Double[]"
    assert inside["Status.StateCurrent"].type == "Int32"
    assert top["IM07"].has_children
    assert not melt.has_children
