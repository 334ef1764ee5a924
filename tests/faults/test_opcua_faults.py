"""What an OPC UA server can do to us; the platform says it and comes back by itself."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.server import Server

from isthmus.field.connectors.opcua import monitoring
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.tcp_proxy import LOOPBACK

from .hall import Hall, hall

STATE = "ns=2;s=M.State"
GOOD = "ns=2;s=M.Good"


@pytest.fixture
def server() -> Iterator[OpcuaServer]:
    variables = {
        STATE: ua.Variant(3, ua.VariantType.Int32),
        GOOD: ua.Variant(100, ua.VariantType.UInt32),
    }
    with OpcuaServer(variables) as running:
        yield running


@asynccontextmanager
async def connected(folder: Path, port: int, more: str = "", **how: Any) -> AsyncIterator[Hall]:
    keys = f'endpoint: "opc.tcp://{LOOPBACK}:{port}", interval: 50 ms, timeout: 1 s{more}'
    async with hall(folder, "opcua", keys, state=STATE, good=GOOD, **how) as running:
        await running.back()
        await running.until(lambda: running.sql("SELECT 1 FROM part_count") != [])
        yield running


async def test_server_restart_is_a_gap_and_no_part_is_lost(tmp_path, server):
    async with connected(tmp_path, server.port) as plant:
        server.stop()
        gap = await plant.shows_unknown("lost")
        server.start()
        await server.set(GOOD, 107)
        await plant.back()
        await plant.until(lambda: plant.parts() == 7)
        assert plant.gaps()[0].id == gap.id
        assert plant.states() == ["execute", None, "execute"]


async def test_session_lost_while_the_socket_stays_open(tmp_path, server):
    async with connected(tmp_path, server.port) as plant:
        await server.run(_end_sessions)
        await plant.shows("lost")
        await plant.back()
        assert [gap.reason for gap in plant.gaps()] == ["lost"]
        assert len(server_sessions(server)) == 1


async def test_subscription_silently_gone(tmp_path, server):
    async with connected(tmp_path, server.port) as plant:
        await server.run(_forget_subscriptions)
        await server.set(GOOD, 104)
        # It can be known when the keep-alive (1 s) and the time for an answer (1 s) are over.
        await plant.until(lambda: "lost" in plant.told, 2.0 + 3.0)
        await plant.back()
        await plant.until(lambda: plant.parts() == 4)
        (gap,) = plant.gaps()
        assert gap.reason == "lost"


async def test_node_ids_unknown_after_a_download_and_back_later(tmp_path, server, monkeypatch):
    monkeypatch.setattr(monitoring, "LOOK_AGAIN", 0.2)
    async with connected(tmp_path, server.port) as plant:
        await server.run(_delete_nodes)
        gap = await plant.shows_unknown("bad")
        assert "80340000" in gap.detail
        await server.run(_create_nodes)
        await plant.shows("good")
        await plant.until(lambda: plant.machine.get("state") == "aborted")
        await plant.until(lambda: plant.parts() == 20)
        assert [gap.end is None for gap in plant.gaps()] == [False]
        assert plant.states() == ["execute", None, "aborted"]
        assert plant.counted("bad") == 2


def server_sessions(server: OpcuaServer) -> list[Any]:
    running = server._server
    assert running is not None
    return [link for link in running.bserver.clients if link.processor.session is not None]


async def _end_sessions(server: Server) -> None:
    """As a server does that has run out of sessions: nothing is said, the socket stays open."""
    for link in server.bserver.clients:
        link.processor.session = None


async def _forget_subscriptions(server: Server) -> None:
    """They answer nothing more, not even a keep-alive; sessions and sockets stay."""
    service = server.iserver.subscription_service
    for subscription in list(service.subscriptions.values()):
        await subscription.stop()
    service.subscriptions.clear()


async def _delete_nodes(server: Server) -> None:
    """As gateways do it: a last word that the node is gone, then it is."""
    for tag in (STATE, GOOD):
        node = ua.NodeId.from_string(tag)
        gone = ua.DataValue(None, ua.StatusCode(ua.UInt32(ua.StatusCodes.BadNodeIdUnknown)))
        await server.iserver.write_attribute_value(node, gone)
        del server.iserver.aspace._nodes[node]


async def _create_nodes(server: Server) -> None:
    folder = server.nodes.objects
    values = {
        STATE: ua.Variant(7, ua.VariantType.Int32),
        GOOD: ua.Variant(120, ua.VariantType.UInt32),
    }
    for tag, value in values.items():
        node = ua.NodeId.from_string(tag)
        await folder.add_variable(node, str(node.Identifier), value)
