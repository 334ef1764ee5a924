"""What an OPC UA server can do to us; the platform says it and comes back by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.server import Server

from isthmus.field.connectors.opcua import certificates, lookout, monitoring
from isthmus.field.connectors.opcua.trust import TrustFolder
from isthmus.testing.opcua_server import OpcuaServer, papers
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

from .hall import Hall, hall, hurried

STATE = "ns=2;s=M.State"
GOOD = "ns=2;s=M.Good"
OVERFLOW = 0x0480
"""Good, and values before this one were dropped (OPC 10000-4, 7.39)."""


VARIABLES = {
    STATE: ua.Variant(3, ua.VariantType.Int32),
    GOOD: ua.Variant(100, ua.VariantType.UInt32),
}


@pytest.fixture(scope="module")
def one_server() -> Iterator[OpcuaServer]:
    with OpcuaServer(VARIABLES) as running:
        yield running


@pytest.fixture
async def server(one_server: OpcuaServer) -> OpcuaServer:
    for tag, value in VARIABLES.items():
        await one_server.set(tag, value.Value)
    return one_server


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


async def test_reconnects_leave_no_second_session_at_the_server(tmp_path, server):
    async with (
        TcpProxy(server.port) as cable,
        connected(tmp_path, cable.port, clock=hurried(20.0)) as plant,
    ):
        most = 0
        for _ in range(10):
            told = len(plant.told)
            await cable.cut()
            await plant.until(lambda told=told: "back" in plant.told[told:])
            most = max(most, len(server_sessions(server)), cable.connections)
        assert most == 1
        await plant.back()


async def test_unwell_redundant_server_is_left_when_a_better_one_answers(
    tmp_path, server, monkeypatch
):
    monkeypatch.setattr(lookout, "FIRST_LOOK", 0.2)
    with OpcuaServer(VARIABLES) as other:
        await other.run(_serve_with_150)
        set_of = f', endpoints: ["opc.tcp://{LOOPBACK}:{other.port}"]'
        async with (
            TcpProxy(server.port) as cable,
            connected(tmp_path, cable.port, set_of) as plant,
        ):
            await cable.refuse()
            await plant.shows_unknown("lost")
            await plant.back()
            assert len(server_sessions(other)) == 1
            await other.set(GOOD, 107)
            await plant.until(lambda: plant.parts() == 7)
            assert len(plant.gaps()) == 1
            told = len(plant.told)
            await server.set(GOOD, 108)
            await cable.heal()
            await plant.until(lambda: "back" in plant.told[told:])
            await plant.until(lambda: plant.parts() == 8)
            assert [gap.reason for gap in plant.gaps()] == ["lost", "lost"]
            assert (len(server_sessions(server)), server_sessions(other)) == (1, [])


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
        assert plant.wrong == ["bad"]
        await server.run(_create_nodes)
        await plant.shows("good")
        assert plant.wrong == []
        await plant.until(lambda: plant.machine.get("state") == "aborted")
        await plant.until(lambda: plant.parts() == 20)
        assert [gap.end is None for gap in plant.gaps()] == [False]
        assert plant.states() == ["execute", None, "aborted"]
        assert plant.counted("bad") == 2


async def test_flood_of_ten_times_the_declared_rate_loses_nothing(tmp_path, server):
    async with connected(tmp_path, server.port) as plant:
        before = plant.counted("received")
        for number in range(1, 401):  # 20 values a second are declared, these are 200
            await server.set(GOOD, 100 + number)
            await asyncio.sleep(0.005)
        await plant.until(lambda: plant.parts() == 400)
        assert plant.counted("received") - before == 400
        assert plant.gaps() == []
        assert plant.nothing_unaccounted()


async def test_flood_beyond_the_server_s_queue_is_a_gap_and_memory_stays_bounded(tmp_path, server):
    async with connected(tmp_path, server.port) as plant:
        await server.run(partial(_flood, values=3_000))
        await plant.shows("missed")
        await plant.until(lambda: plant.parts() == 3_000)  # the counter tells it all the same
        assert plant.counted("received") < 1_000  # 100 per node and publication, no more
        gaps = plant.gaps("sequence")
        assert gaps
        assert all(gap.end is not None for gap in gaps)
        assert plant.nothing_unaccounted()
        assert plant.states() == ["execute"]


async def test_clock_an_hour_ahead_is_believed_by_nobody(tmp_path, server):
    async with connected(tmp_path, server.port) as plant:
        ahead = datetime.now(UTC) + timedelta(hours=1)
        await server.write(STATE, told(ua.Variant(7, ua.VariantType.Int32), ahead))
        gap = await plant.shows_unknown("clock")
        assert "60 min ahead" in gap.detail
        assert plant.wrong == ["clock"]
        await plant.until(lambda: plant.sql("SELECT code FROM quarantine") == [{"code": "Q003"}])
        await server.set(STATE, 3)
        await plant.back()
        assert plant.wrong == []
        assert plant.states()[:2] == ["execute", None]
        assert set(plant.states()[2:]) == {"execute"}


async def test_clock_that_goes_back_an_hour_does_not_rewrite_that_hour(tmp_path, server):
    async with connected(tmp_path, server.port) as plant:
        before = plant.now
        back = datetime.now(UTC) - timedelta(hours=1)
        await server.write(STATE, told(ua.Variant(7, ua.VariantType.Int32), back))
        await plant.until(lambda: "clock" in plant.told, 3.0)
        await plant.back("aborted")
        (gap,) = plant.gaps("clock")
        assert "went back by 60 min" in gap.detail
        times = plant.sql("SELECT epoch_us(time) AS at FROM machine_state WHERE state = 'aborted'")
        assert all(row["at"] > before for row in times)


async def test_good_value_whose_time_stands_still_becomes_uncertain(tmp_path, server):
    async with connected(tmp_path, server.port, watch=", stale_after: 1 s") as plant:
        frozen, began = datetime.now(UTC), time.monotonic()
        while not plant.counted("uncertain"):
            for state in (7, 3):
                await server.write(STATE, told(ua.Variant(state, ua.VariantType.Int32), frozen))
                await asyncio.sleep(0.06)
            assert time.monotonic() - began < 1.0 + 3.0
        qualities = "SELECT _quality AS q FROM machine_state ORDER BY _received, _seq"
        assert plant.sql(qualities)[-1]["q"] == 1
        await server.set(STATE, 7)
        await plant.until(lambda: plant.sql(qualities)[-1]["q"] == 0)
        await plant.back("aborted")
        assert plant.nothing_unaccounted()


async def test_certificate_that_has_expired_is_refused_until_it_is_renewed(tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "data"))
    folder = TrustFolder(tmp_path / "data" / "certificates" / "opcua")
    key, now, year = certificates.new_key(), datetime.now(UTC), timedelta(days=365)
    folder.keep(certificates.issue(key, "plant-pc", now=now, valid=year), key)
    theirs = papers(tmp_path, "server")
    security = ", security: sign_and_encrypt, server_certificate: " + str(theirs.certificate)
    with OpcuaServer(VARIABLES, **theirs._asdict()) as secured:
        clock = hurried(100.0)  # who refuses is asked again after ten seconds
        async with connected(tmp_path, secured.port, security, clock=clock) as plant:
            valid = theirs.certificate.read_bytes()
            expired = certificates.issue(key, "server", now=now - year, valid=timedelta(days=9))
            secured.stop()
            theirs.certificate.write_bytes(certificates.der(expired))
            secured._private_key = folder.private_key
            secured.start()
            await plant.until(lambda: plant.source.get("what") == "refused", 3.0)
            (gap,) = plant.gaps()
            assert gap.end is None
            assert "expired" in plant.source["detail"]
            assert "isthmus certs trust m" in plant.source["detail"]
            secured.stop()
            theirs.certificate.write_bytes(valid)
            secured._private_key = theirs.private_key
            secured.start()
            await plant.back()
            assert plant.gaps()[0].id == gap.id


def told(variant: ua.Variant, at: datetime) -> ua.DataValue:
    stamp: Any = at
    return ua.DataValue(variant, SourceTimestamp=stamp, ServerTimestamp=stamp)


async def _flood(server: Server, values: int) -> None:
    """Faster than anything is published: the server's queues run over."""
    node = ua.NodeId.from_string(GOOD)
    for number in range(1, values + 1):
        value = told(ua.Variant(100 + number, ua.VariantType.UInt32), datetime.now(UTC))
        await server.iserver.write_attribute_value(node, value)
    for subscription in server.iserver.subscription_service.subscriptions.values():
        for queue in subscription._triggered_datachanges.values():
            # The driver's server drops the oldest but does not say so, as OPC 10000-4 demands.
            oldest = queue[0]
            stamped = replace(oldest.Value, StatusCode=ua.StatusCode(ua.UInt32(OVERFLOW)))
            queue[0] = ua.MonitoredItemNotification(oldest.ClientHandle, stamped)


def server_sessions(server: OpcuaServer) -> list[Any]:
    running = server._server
    assert running is not None
    return [link for link in running.bserver.clients if link.processor.session is not None]


async def _end_sessions(server: Server) -> None:
    """As a server does that has run out of sessions: nothing is said, the socket stays open."""
    for link in server.bserver.clients:
        link.processor.session = None


async def _serve_with_150(server: Server) -> None:
    await server.get_node("i=2267").write_value(ua.Variant(150, ua.VariantType.Byte))


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
