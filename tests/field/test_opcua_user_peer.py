"""Users who sign in with a certificate, at servers nobody of us wrote: node-opcua and open62541."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from isthmus.base.clock import SystemClock
from isthmus.field.connector import Refused
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource, certificates
from isthmus.field.connectors.opcua.session import ways_in
from isthmus.field.connectors.opcua.trust import TrustFolder
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import GOOD
from isthmus.model.spec.site import Keep
from isthmus.runtime.sources import SourceEvent, SourceRunner
from isthmus.testing.connector_suite import PATIENCE, opened, read_until
from isthmus.testing.mosquitto import free_port
from isthmus.testing.one_source import field, plant
from isthmus.testing.opcua_server import Papers, papers
from isthmus.testing.peer import Peer, node_peer, python_peer
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

pytestmark = pytest.mark.peer

PEERS = Path(__file__).parent / "peers"
ENVIRONMENT = PEERS.parents[2] / ".venv-peers"
QUIET = 2.0
"""Seconds; a link that was only lost would be tried again within 1.2."""


class Server(NamedTuple):
    peer: Peer
    speed: str
    """A tag; its value is 12.5."""
    refusal: str
    """Its word for a user whose certificate it does not trust."""


@pytest.fixture(scope="module")
def node_opcua(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = str(tmp_path_factory.mktemp("node-opcua"))
    with node_peer(PEERS, "opcua.mjs", "node-opcua", folder) as peer:
        yield Server(peer, "ns=2;s=IM07.Status.MachSpeed", "BadIdentityTokenRejected")


@pytest.fixture(scope="module")
def open62541() -> Iterator[Server]:
    with python_peer(ENVIRONMENT, PEERS, "opcua_open62541.py", str(free_port())) as peer:
        yield Server(peer, "nsu=urn:peer:plant;s=IM07.Speed", "BadUserAccessDenied")


@pytest.fixture(params=["node_opcua", "open62541"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def drawer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our data folder, with a certificate of ours in it, and the users' papers beside."""
    folder = tmp_path_factory.mktemp("papers")
    key, year = certificates.new_key(), timedelta(days=365)
    ours = certificates.issue(key, "plant-pc", now=datetime.now(UTC), valid=year)
    TrustFolder(folder / "certificates" / "opcua").keep(ours, key)
    return folder


@pytest.fixture(autouse=True)
def data(drawer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_DATA", str(drawer))


@pytest.fixture(scope="module")
def user(drawer: Path) -> Papers:
    return papers(drawer, "user")


@pytest.fixture(scope="module")
def stranger(drawer: Path) -> Papers:
    return papers(drawer, "stranger")


async def source(port: int, user: Papers, **keys: Any) -> OpcuaSource:
    """We trust the server; whether it trusts the user is its own affair."""
    usual: dict[str, Any] = {
        "endpoint": f"opc.tcp://{LOOPBACK}:{port}",
        "interval": "50 ms",
        "timeout": "2 s",
        "security": "sign_and_encrypt",
        "user_certificate": user.certificate,
        "user_private_key": user.private_key,
    }
    spec = OpcuaSource(**(usual | keys))
    ways = await ways_in("im07", spec, spec.endpoint)
    TrustFolder.of_this_site().trust(next(way.chain[0] for way in ways if way.chain))
    return spec


def connector(spec: OpcuaSource, server: Server) -> OpcuaConnector:
    return OpcuaConnector("im07", spec, (server.speed,), SystemClock())


async def refusal(spec: OpcuaSource, server: Server) -> str:
    reading = connector(spec, server)
    with pytest.raises(Refused) as refused:
        await reading.open()
    await reading.close()
    return str(refused.value)


@pytest.mark.parametrize(
    ("security", "policy"),
    [
        ("none", "Basic256Sha256"),
        ("sign", "Basic256Sha256"),
        ("sign_and_encrypt", "Basic256Sha256"),
        ("sign_and_encrypt", "Aes128_Sha256_RsaOaep"),
        ("sign_and_encrypt", "Aes256_Sha256_RsaPss"),
    ],
)
async def test_a_user_whose_certificate_the_server_trusts_reads(
    server: Server, user: Papers, security: str, policy: str
) -> None:
    server.peer.tell(believe=str(user.certificate))
    spec = await source(server.peer.port, user, security=security, policy=policy)
    async with opened(connector(spec, server)) as reading:
        (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
    assert (sample.value, sample.quality) == (12.5, GOOD)


@pytest.mark.parametrize("security", ["none", "sign_and_encrypt"])
async def test_a_user_whose_certificate_it_does_not_trust_is_told_which_and_what_to_do(
    server: Server, stranger: Papers, security: str
) -> None:
    spec = await source(server.peer.port, stranger, security=security)
    said = await refusal(spec, server)
    assert said.startswith(f"source `im07`: {spec.endpoint} says {server.refusal} (")
    assert f"Does the server trust the user's certificate {stranger.certificate}" in said
    assert said.endswith("`isthmus probe im07` tries again.")
    assert "certs show" not in said  # that is the application's, which is not what is refused


@pytest.mark.parametrize("security", ["none", "sign_and_encrypt"])
async def test_a_trusted_certificate_without_its_key_opens_nothing(
    server: Server, user: Papers, stranger: Papers, security: str
) -> None:
    server.peer.tell(believe=str(user.certificate))
    thief = Papers(user.certificate, stranger.private_key)
    said = await refusal(await source(server.peer.port, thief, security=security), server)
    assert "BadUserSignatureInvalid" in said
    assert "is the private key that of this certificate?" in said


async def test_a_server_that_says_no_to_a_user_is_left_in_peace(
    server: Server, stranger: Papers, tmp_path: Path
) -> None:
    events: list[SourceEvent] = []
    log = SqliteLog(tmp_path / "hamburg.sqlite", "hamburg", Keep())
    async with TcpProxy(server.peer.port) as cable:
        spec = await source(cable.port, stranger)
        wire, whole = plant(field("a", "cycle.melt_temp", server.speed), source="im07", spec=spec)
        runner = SourceRunner(
            wire, whole, log, SystemClock(), on_rows=lambda _: None, on_event=events.append
        )
        running = asyncio.create_task(runner.run())
        async with asyncio.timeout(PATIENCE):
            while not events or cable.connections:  # noqa: ASYNC110 - nobody tells us
                await asyncio.sleep(0.01)
        asked = len(cable.sent)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(running), QUIET)
        asked_since = len(cable.sent) - asked
        runner.stop()
        await running
    (gap,) = log.gaps(0, SystemClock().now())
    log.close()
    assert [event.what for event in events] == ["refused", "stopped"]
    assert server.refusal in events[0].detail
    assert gap.reason == "refused"
    assert (asked > 0, asked_since) == (True, 0)


async def test_a_refused_user_leaves_no_session_at_the_server(
    node_opcua: Server, stranger: Papers
) -> None:
    await refusal(await source(node_opcua.peer.port, stranger), node_opcua)
    sessions = json.loads(node_opcua.peer.tell(sessions=True))
    assert sessions
    assert [ended for _, ended in sessions if ended is None] == []
