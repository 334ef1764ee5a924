"""The OPC UA connector against open62541 (o6): the stack inside many controllers and gateways."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from asyncua.ua.status_codes import StatusCodes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from isthmus.base.clock import SystemClock
from isthmus.field.connector import Connector, Node, Refused, Unreachable
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource, certificates, monitoring
from isthmus.field.connectors.opcua.session import ways_in
from isthmus.field.connectors.opcua.trust import TrustFolder
from isthmus.flow.parcel import GOOD
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Value,
    opened,
    read_forever,
    read_until,
    stopwatch,
)
from isthmus.testing.mosquitto import free_port
from isthmus.testing.opcua_wire import write_requests
from isthmus.testing.peer import Peer, python_peer
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

pytestmark = pytest.mark.peer

PEERS = Path(__file__).parent / "peers"
ENVIRONMENT = PEERS.parents[2] / ".venv-peers"
PLANT = "nsu=urn:peer:plant;s="
NODE = f"{PLANT}IM07."
ANALOGS = 1_500


def source(port: int, **keys: Any) -> OpcuaSource:
    usual: dict[str, Any] = {"interval": "50 ms", "timeout": "2 s"}
    return OpcuaSource(endpoint=f"opc.tcp://{LOOPBACK}:{port}", **(usual | keys))


def connector(peer: Peer, *tags: str, **keys: Any) -> OpcuaConnector:
    return OpcuaConnector("im07", source(peer.port, **keys), tags, SystemClock())


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with python_peer(ENVIRONMENT, PEERS, "opcua_open62541.py", str(free_port())) as running:
        yield running


class Machine:
    """The peer, in the words of the suite."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.port = peer.port

    async def set(self, tag: str, value: Value) -> None:
        self._peer.tell(set=tag.removeprefix(PLANT), values=[value])


class TestContract(ConnectorContract):
    connector: ClassVar[type[Connector[Any]]] = OpcuaConnector
    tags: ClassVar[dict[str, Any]] = {
        f"{NODE}State": 6.0,
        f"{NODE}Speed": 12.5,
        f"{NODE}Blocked": 0.0,
        f"{NODE}Total": str(2**60),
        f"{NODE}Small": -5.0,
        f"{NODE}Mould": "Deckel 12 – größer",
        f"{NODE}Title": "Deckel",
        f"{NODE}Started": "2026-11-22T06:00:00Z",
        f"{NODE}Raw": "AQL/",
        f"{NODE}Zones[1]": 215.0,
        f"{NODE}Matrix[1,0]": 3.0,
        f"{NODE}Mode": 4.0,
    }
    change: ClassVar[tuple[str, Any]] = (f"{NODE}State", 2)
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


# Values ------------------------------------------------------------------------------------------


async def test_all_of_more_than_a_thousand_nodes_come_with_every_change(peer: Peer) -> None:
    tags = [f"{NODE}Analogs.{number}" for number in range(ANALOGS)]
    peer.tell(wave=0.0)
    async with opened(connector(peer, *tags)) as reading:
        first = await read_until(reading, lambda seen: len(seen) >= ANALOGS)
        peer.tell(wave=7.0)
        second = await read_until(reading, lambda seen: len(seen) >= ANALOGS)
        assert reading.missed() == []
    assert {sample.tag: sample.value for sample in first} == dict(
        zip(tags, range(ANALOGS), strict=True)
    )
    assert {s.tag: s.value for s in second} == {tag: 7.0 + n for n, tag in enumerate(tags)}
    assert {sample.quality for sample in first + second} == {GOOD}


async def test_members_of_a_structure_and_names_of_enumerations_are_tags(peer: Peer) -> None:
    """No node says how they are encoded, and o6 begins their members with a small letter."""
    expected = {
        "Job.order": "4711",
        "Job.quantity": 1200.0,
        "Job.started": "2026-11-22T06:00:00Z",
        "Job.title": "Deckel 12",
        "Job.limits[1]": 2.5,
        "Job.remark": None,
        "Jobs[1].quantity": 7.0,
        "Times.acquisitionDuration": 2.5,
        "Times.processingDuration": None,
        "Mode#name": "Setup",
    }
    tags = [NODE + name for name in expected]
    peer.tell(job="4711", quantity=1200)
    async with opened(connector(peer, *tags)) as reading:
        samples = await read_until(reading, lambda seen: len(seen) >= len(tags))
        peer.tell(job="4711", quantity=500)
        changed = await read_until(reading, lambda seen: len(seen) >= 1)
    assert {sample.tag.removeprefix(NODE): sample.value for sample in samples} == expected
    assert [(sample.tag, sample.value) for sample in changed] == [(f"{NODE}Job.quantity", 500.0)]


async def test_a_structure_whose_members_types_the_server_misnumbers_is_not_guessed(
    peer: Peer,
) -> None:
    async with opened(connector(peer, f"{NODE}Plan.mode")) as reading:
        (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
    assert (sample.value, sample.quality) == (None, StatusCodes.BadDataEncodingUnsupported)


async def test_a_broken_sensor_says_so(peer: Peer) -> None:
    async with opened(connector(peer, f"{NODE}Torque")) as reading:
        (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
    assert (sample.value, sample.quality) == (None, StatusCodes.BadSensorFailure)


async def test_what_its_queue_could_not_hold_is_a_gap(peer: Peer) -> None:
    tag = f"{NODE}Shots"
    peer.tell(set="IM07.Shots", values=[0])
    async with opened(connector(peer, tag, sampling="0 ms", queue_size=5)) as reading:
        (first,) = await read_until(reading, lambda seen: len(seen) >= 1)
        peer.tell(set="IM07.Shots", values=list(range(1, 501)))
        samples = await read_until(reading, lambda seen: bool(seen) and seen[-1].value == 500.0)
        gaps = reading.missed()
    assert len(samples) < 500
    assert first.device_time <= gaps[0].start <= gaps[-1].end <= samples[-1].device_time


async def test_a_queue_shorter_than_asked_is_said(peer: Peer) -> None:
    async with opened(connector(peer, f"{NODE}Shots", queue_size=1_000)) as reading:
        await read_until(reading, lambda seen: len(seen) >= 1)
        said = reading.attention()
    assert any("keeps only 100 values of 1 of 1 nodes" in one for one in said)


async def test_no_value_of_a_counter_is_lost_as_long_as_its_queue_holds_them(peer: Peer) -> None:
    tag = f"{NODE}Shots"
    peer.tell(set="IM07.Shots", values=[0])
    async with opened(connector(peer, tag, sampling="0 ms")) as reading:
        await read_until(reading, lambda seen: len(seen) >= 1)
        peer.tell(set="IM07.Shots", values=list(range(1, 101)))
        samples = await read_until(reading, lambda seen: len(seen) >= 100)
        assert reading.missed() == []
    assert [sample.value for sample in samples] == [float(shot) for shot in range(1, 101)]


async def test_an_event_of_the_server_becomes_one_row(peer: Peer) -> None:
    tags = [f"event(i=2253).{field}" for field in ("Message", "Severity", "SourceName")]
    async with opened(connector(peer, *tags)) as reading:
        peer.tell(event="Tool changed", severity=200)
        samples = await read_until(reading, lambda seen: len(seen) >= len(tags))
    assert [sample.value for sample in samples] == ["Tool changed", 200.0, "Server"]
    assert len({sample.device_time for sample in samples}) == 1


# A companion model -------------------------------------------------------------------------------


async def below(reading: OpcuaConnector, *path: str) -> Node:
    """Browse down from the Objects folder."""
    found = Node("", "", "", has_children=True)
    for name in path:
        children = {node.path.rpartition("/")[2]: node async for node in reading.browse(found.tag)}
        found = children[name]
    return found


async def test_a_machine_tool_is_browsed_recognised_and_read(peer: Peer) -> None:
    peer.tell(mode=1)
    async with opened(connector(peer)) as reading:
        machine = await below(reading, "MC1")
        mode = await below(reading, "MC1", "Monitoring", "MachineTool", "OperationMode")
    uri = "http://opcfoundation.org/UA/MachineTool/"
    assert machine.type_definition == f"nsu={uri};i=13"
    assert (mode.type, mode.defined_by) == ("MachineOperationMode", uri)
    async with opened(connector(peer, mode.tag, f"{mode.tag}#name")) as reading:
        first = await read_until(reading, lambda seen: len(seen) >= 2)
        peer.tell(mode=2)
        second = await read_until(reading, lambda seen: len(seen) >= 2)
    assert {sample.value for sample in first} == {1.0, "Automatic"}
    assert {sample.value for sample in second} == {2.0, "Setup"}


async def test_a_folder_of_many_nodes_is_browsed_page_by_page(peer: Peer) -> None:
    async with opened(connector(peer)) as reading:
        folder = await below(reading, "IM07", "Analogs")
        nodes = [node async for node in reading.browse(folder.tag)]
    assert len({node.tag for node in nodes}) == ANALOGS
    assert {node.type for node in nodes} == {"Double"}


# Trouble -----------------------------------------------------------------------------------------


async def test_a_restart_is_a_lost_link_and_everything_comes_anew(peer: Peer) -> None:
    tag = f"{NODE}State"
    async with opened(connector(peer, tag)) as reading:
        await read_until(reading, lambda seen: len(seen) >= 1)
        peer.tell(restart=True)
        with stopwatch() as took, pytest.raises(Unreachable):
            await read_forever(reading)
        assert took() < TestContract.lost_within
    peer.tell(set="IM07.State", values=[9])
    async with opened(connector(peer, tag)) as reading:
        (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
    assert (sample.value, sample.quality) == (9.0, GOOD)


async def test_a_node_that_goes_and_comes_back_is_read_again(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "LOOK_AGAIN", 0.05)
    async with opened(connector(peer, f"{NODE}Late")) as reading:
        (unknown,) = await read_until(reading, lambda seen: len(seen) >= 1)
        peer.tell(add="IM07.Late", value=3.5)
        (there,) = await read_until(reading, lambda seen: len(seen) >= 1)
        peer.tell(remove="IM07.Late")
        (gone,) = await read_until(reading, lambda seen: len(seen) >= 1)
        peer.tell(add="IM07.Late", value=4.5)
        (back,) = await read_until(reading, lambda seen: len(seen) >= 1)
    peer.tell(remove="IM07.Late")
    assert [unknown.quality, gone.quality] == [StatusCodes.BadNodeIdUnknown] * 2
    assert [there.value, back.value] == [3.5, 4.5]


# Security ----------------------------------------------------------------------------------------


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


async def test_a_password_is_encrypted_where_the_channel_is_not(peer: Peer) -> None:
    """The certificate for it is in the endpoints only: o6 sends none with a plain session."""
    async with TcpProxy(peer.port) as proxy:
        spec = source(proxy.port, user="isthmus", password="moulding")
        async with opened(OpcuaConnector("im07", spec, [f"{NODE}Speed"], SystemClock())) as reading:
            (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
        sent = bytes(proxy.sent)
    assert sample.value == 12.5
    assert b"isthmus" in sent
    assert b"moulding" not in sent


@pytest.mark.parametrize("security", ["sign", "sign_and_encrypt"])
@pytest.mark.parametrize(
    "policy", ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]
)
async def test_a_secured_session_with_our_certificate_and_a_user_is_understood(
    peer: Peer, trusting: TrustFolder, security: str, policy: str
) -> None:
    keys = {"security": security, "policy": policy, "user": "isthmus", "password": "moulding"}
    reading = connector(peer, f"{NODE}Speed", **keys)
    with pytest.raises(Refused, match="is not trusted"):
        await reading.open()
    await reading.close()
    ways = await ways_in("im07", source(peer.port), f"opc.tcp://{LOOPBACK}:{peer.port}")
    trusting.trust(ways[0].chain[0])
    async with opened(connector(peer, f"{NODE}Speed", **keys)) as reading:
        (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
    assert (sample.value, sample.quality) == (12.5, GOOD)
