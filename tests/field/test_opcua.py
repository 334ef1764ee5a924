"""The OPC UA connector against the contract and against servers that misbehave."""

import asyncio
import base64
import math
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest
from asyncua import ua
from asyncua.ua.status_codes import StatusCodes
from pydantic import ValidationError

from isthmus.base.clock import SystemClock, to_micros
from isthmus.field.connector import Connector, Unreachable
from isthmus.field.connectors.opcua import (
    OpcuaConnector,
    OpcuaSource,
    arrivals,
    monitoring,
    subscription,
)
from isthmus.field.connectors.opcua.address import (
    Events,
    EventTag,
    NodeAddress,
    NodeTag,
    Reading,
)
from isthmus.field.connectors.opcua.granted import Granted, Revised, granted, ungranted
from isthmus.field.connectors.opcua.values import convert, device_time, overflowed
from isthmus.flow.parcel import GOOD
from isthmus.testing.connector_suite import (
    ConnectorContract,
    opened,
    read_forever,
    read_until,
)
from isthmus.testing.opcua_server import NAMESPACE, OpcuaServer
from isthmus.testing.opcua_wire import services, write_requests
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy, answering

Kind = ua.VariantType

STATE = "ns=2;s=IM07.State"
SHOTS = "ns=2;s=IM07.Shots"
MELT = "ns=2;s=IM07.MeltTemp"
NAME = "ns=2;s=IM07.Mould"
ZONES = "ns=2;s=IM07.Zones"
ONE_OF_DB = 'ns=2;s="DB"."Limits"[2]'
PLAIN: dict[str, ua.Variant] = {
    STATE: ua.Variant(3, Kind.Int32),
    SHOTS: ua.Variant(65_000, Kind.UInt16),
    MELT: ua.Variant(431.5, Kind.Float),
    NAME: ua.Variant("Deckel 12", Kind.String),
}
VARIABLES = PLAIN | {
    ZONES: ua.Variant([210.0, 215.0, 220.5], Kind.Double),
    ONE_OF_DB: ua.Variant(7.0, Kind.Double),
}
PASSWORD = "moulding"


def source(port: int, **keys: Any) -> OpcuaSource:
    fast: dict[str, Any] = {"interval": "50 ms", "timeout": "1 s"}
    return OpcuaSource(endpoint=f"opc.tcp://{LOOPBACK}:{port}", **(fast | keys))


def connector(port: int, *tags: str, **keys: Any) -> OpcuaConnector:
    """With more time for an answer than a busy computer takes."""
    spec = source(port, **({"timeout": "10 s"} | keys))
    return OpcuaConnector("im07", spec, tags, SystemClock())


@pytest.fixture(scope="module")
def server() -> Iterator[OpcuaServer]:
    with OpcuaServer(VARIABLES, users={"isthmus": PASSWORD}) as running:
        yield running


class TestContract(ConnectorContract):
    connector: ClassVar[type[Connector[Any]]] = OpcuaConnector
    tags: ClassVar[dict[str, Any]] = {
        **{tag: variant.Value for tag, variant in PLAIN.items()},
        f"{ZONES}[1]": 215.0,
        ONE_OF_DB: 7.0,
    }
    change: ClassVar[tuple[str, Any]] = (STATE, 6)
    unknown: ClassVar[str] = "ns=2;s=IM07.NoSuchNode"
    lost_within: ClassVar[float] = 1.5

    @pytest.fixture(autouse=True)
    def _shared_server(self, server: OpcuaServer) -> None:
        self.server = server

    @asynccontextmanager
    async def device(self) -> AsyncIterator[OpcuaServer]:
        for tag, variant in VARIABLES.items():
            await self.server.set(tag, variant.Value)
        yield self.server

    def spec(self, host: str, port: int) -> OpcuaSource:
        return source(port, user="isthmus", password=PASSWORD)

    def refused_spec(self, host: str, port: int) -> OpcuaSource:
        return source(port, user="isthmus", password="forgotten")

    def write_requests(self, sent: bytes) -> list[str]:
        return write_requests(sent)


# Addresses and keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "readings"),
    [
        (
            "ns=4;s=IM07.State",
            [Reading(NodeAddress("IM07.State", 4)), Reading(NodeAddress("IM07", 4), ("State",))],
        ),
        ("s=a;b=c", [Reading(NodeAddress("a;b=c"))]),
        ("i=2258", [Reading(NodeAddress(2258))]),
        ("nsu=urn:maker:cc300;i=7", [Reading(NodeAddress(7, "urn:maker:cc300"))]),
        ("ns=2;i=7[2]", [Reading(NodeAddress(7, 2), (2,))]),
        ("ns=2;i=7[1,0]", [Reading(NodeAddress(7, 2), (1, 0))]),
        ("ns=3;s=A[2]", [Reading(NodeAddress("A[2]", 3)), Reading(NodeAddress("A", 3), (2,))]),
        ("i=7.Items[2].Name", [Reading(NodeAddress(7), ("Items", 2, "Name"))]),
        (
            's=DB."Job"."Name"',
            [
                Reading(NodeAddress('DB."Job"."Name"')),
                Reading(NodeAddress('DB."Job"'), ("Name",)),
                Reading(NodeAddress("DB"), ("Job", "Name")),
            ],
        ),
        ("i=7.Mode#name", [Reading(NodeAddress(7), ("Mode",), as_name=True)]),
        (
            "s=Mode#name",
            [Reading(NodeAddress("Mode#name")), Reading(NodeAddress("Mode"), as_name=True)],
        ),
        ("b=AQID", [Reading(NodeAddress(b"\1\2\3"))]),
        (
            "g=12345678-1234-5678-1234-567812345678",
            [Reading(NodeAddress(UUID("12345678-1234-5678-1234-567812345678")))],
        ),
    ],
)
def test_a_tag_is_a_node_id_with_an_optional_element(tag: str, readings: list[Reading]) -> None:
    assert OpcuaSource.parse_tag(tag) == NodeTag(tuple(readings))


@pytest.mark.parametrize(
    ("tag", "parsed"),
    [
        (
            "event(i=2253).Severity",
            EventTag(Events(NodeAddress(2253)), ((0, "Severity"),)),
        ),
        (
            "event(ns=2;s=IM07, i=2915).ActiveState/Id",
            EventTag(
                Events(NodeAddress("IM07", 2), NodeAddress(2915)),
                ((0, "ActiveState"), (0, "Id")),
            ),
        ),
        (
            "event(ns=2;s=IM07).2:Zone",
            EventTag(Events(NodeAddress("IM07", 2)), ((2, "Zone"),)),
        ),
    ],
)
def test_a_field_of_an_event_is_a_tag(tag: str, parsed: EventTag) -> None:
    assert OpcuaSource.parse_tag(tag) == parsed


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("IM07.State", "is no NodeId; write `ns=4;s=IM07.State`"),
        ("ns=4;IM07.State", "is no NodeId"),
        ("ns=99999;i=1", "namespace index 99999 is beyond 65535"),
        ("i=4294967296", "is no number from 0 to 4294967295"),
        ("i=²", "is no number"),
        ("g=1234", "is no GUID"),
        ("b=***", "is not base64"),
        ("s=", "is no NodeId"),
        ("event(IM07).Severity", "`IM07` is no NodeId"),
        ("event(i=2253)", "is no field of an event; write `event"),
        ("event(i=2253).A//B", "`` in `event"),
    ],
)
def test_a_wrong_tag_says_what_is_wrong(tag: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        OpcuaSource.parse_tag(tag)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"endpoint": "http://10.0.0.1"}, "endpoint"),
        ({"endpoint": "opc.tcp://user:word@10.0.0.1:4840"}, "endpoint"),
        ({"certificate": "isthmus.der"}, "`certificate` needs `private_key`"),
        ({"private_key": "isthmus.pem"}, "`private_key` needs `certificate`"),
        ({"user_certificate": "user.der"}, "`user_certificate` needs `user_private_key`"),
        (
            {"user": "x", "user_certificate": "user.der", "user_private_key": "user.pem"},
            "with `user` or with `user_certificate`",
        ),
        ({"password": "x"}, "a `password` needs a `user`"),
        (
            {"server_certificate": ["a.der", "b.der"]},
            "names 2 certificates, `endpoint` and `endpoints` 1 servers: write one for all, or one",
        ),
        (
            {"server_certificate": ["a.der", "b.der"], "endpoints": ["opc.tcp://b", "opc.tcp://c"]},
            "names 2 certificates, `endpoint` and `endpoints` 3 servers: write one for all, or one",
        ),
        ({"timeout": "0 s"}, "timeout"),
        ({"endpoint": "opc.tcp://10.0.0.1:70000"}, "Port out of range"),
        ({"writes": True}, "writes"),
    ],
)
def test_a_wrong_key_is_a_problem_of_the_model(keys: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        OpcuaSource.model_validate({"endpoint": "opc.tcp://10.0.0.1:4840"} | keys)


def test_the_password_is_never_printed() -> None:
    spec = source(4840, user="isthmus", password=PASSWORD)
    assert PASSWORD not in f"{spec!r} {spec.model_dump_json()}"


def test_the_spec_needs_no_driver() -> None:
    check = (
        "import sys; from isthmus.field.registry import SOURCE_KINDS, connector; "
        "SOURCE_KINDS['opcua'].parse_tag('i=1'); connector('opcua'); "
        "sys.exit('asyncua' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


# Values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "number", "text"),
    [
        (ua.Variant(True, Kind.Boolean), 1.0, None),  # noqa: FBT003
        (ua.Variant(-128, Kind.SByte), -128.0, None),
        (ua.Variant(255, Kind.Byte), 255.0, None),
        (ua.Variant(-(2**53), Kind.Int64), -(2.0**53), None),
        (ua.Variant(2**53 + 1, Kind.Int64), None, "9007199254740993"),
        (ua.Variant(2**64 - 1, Kind.UInt64), None, "18446744073709551615"),
        (ua.Variant(0.1, Kind.Double), 0.1, None),
        (ua.Variant("Spritzgießen", Kind.String), None, "Spritzgießen"),
        (ua.Variant("", Kind.String), None, ""),
        (ua.Variant(ua.LocalizedText("Läuft", "de"), Kind.LocalizedText), None, "Läuft"),
        (ua.Variant(ua.QualifiedName("State", 2), Kind.QualifiedName), None, "2:State"),
        (ua.Variant(ua.NodeId(7, 2), Kind.NodeId), None, "ns=2;i=7"),
        (
            ua.Variant(datetime(2026, 3, 29, 1, 30, tzinfo=UTC), Kind.DateTime),
            None,
            "2026-03-29T01:30:00Z",
        ),
        (ua.Variant(UUID(int=1), Kind.Guid), None, str(UUID(int=1))),
        (ua.Variant(b"\x00\xff", Kind.ByteString), None, base64.b64encode(b"\x00\xff").decode()),
        (ua.Variant(ua.ServerState.Failed), 1.0, None),
        (ua.Variant([1, 2], Kind.Int16), None, "[1, 2]"),
        (ua.Variant([[1, 2], [3, 4]], Kind.Int16), None, "[[1, 2], [3, 4]]"),
        (
            ua.Variant(ua.Range(0.0, 9.5)),
            None,
            '{"Low": 0.0, "High": 9.5}',
        ),
    ],
)
def test_every_type_becomes_number_or_text(
    variant: ua.Variant, number: float | None, text: str | None
) -> None:
    assert convert(ua.DataValue(variant), ()) == (number, text, GOOD)


def test_nan_stays_nan_for_shape_to_judge() -> None:
    number, text, quality = convert(ua.DataValue(ua.Variant(math.nan, Kind.Double)), ())
    assert number is not None
    assert math.isnan(number)
    assert (text, quality) == (None, GOOD)


@pytest.mark.parametrize(
    ("data", "element", "quality"),
    [
        (ua.DataValue(ua.Variant(None)), (), StatusCodes.BadNoData),
        (ua.DataValue(ua.Variant([1], Kind.Int16)), (1,), StatusCodes.BadIndexRangeNoData),
        (ua.DataValue(ua.Variant(1, Kind.Int16)), (0,), StatusCodes.BadIndexRangeNoData),
        (
            ua.DataValue(ua.Variant(1), ua.StatusCode(StatusCodes.BadSensorFailure)),
            (),
            StatusCodes.BadSensorFailure,
        ),
        (
            ua.DataValue(ua.Variant(ua.ExtensionObject(ua.NodeId(9, 9), b"?"))),
            (),
            StatusCodes.BadDataEncodingUnsupported,
        ),
    ],
)
def test_what_is_no_value_says_why(
    data: ua.DataValue, element: tuple[int, ...], quality: int
) -> None:
    assert convert(data, element) == (None, None, quality)


def test_an_uncertain_value_is_kept_with_its_quality() -> None:
    uncertain = ua.StatusCode(StatusCodes.UncertainLastUsableValue)
    data = ua.DataValue(ua.Variant(4.0, Kind.Double), uncertain)
    assert convert(data, ()) == (4.0, None, StatusCodes.UncertainLastUsableValue)


def test_time_is_the_sources_then_the_servers_then_ours() -> None:
    stamp = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
    unset = datetime(1601, 1, 1, tzinfo=UTC)
    value = ua.Variant(1)
    both = ua.DataValue(value, SourceTimestamp=stamp, ServerTimestamp=stamp + timedelta(1))
    servers = ua.DataValue(value, SourceTimestamp=unset, ServerTimestamp=stamp)
    assert device_time(both, 7) == to_micros(stamp)
    assert device_time(servers, 7) == to_micros(stamp)
    assert device_time(ua.DataValue(value), 7) == 7


def test_the_overflow_bit_is_read_and_then_dropped() -> None:
    data = ua.DataValue(ua.Variant(5, Kind.Int32), ua.StatusCode(0x0000_0480))
    assert overflowed(data)
    assert convert(data, ()) == (5.0, None, GOOD)
    assert not overflowed(ua.DataValue(ua.Variant(5, Kind.Int32), ua.StatusCode(0x0000_0080)))


# Against a server --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many() -> Iterator[OpcuaServer]:
    variables = {f"ns=2;s=T{number}": ua.Variant(0, Kind.Int32) for number in range(1_200)}
    with OpcuaServer(variables) as running:
        yield running


async def test_1200_nodes_all_come_and_all_changes_come(many: OpcuaServer) -> None:
    tags = [f"ns=2;s=T{number}" for number in range(1_200)]
    async with opened(connector(many.port, *tags, timeout="1 min")) as reading:
        first = await read_until(reading, lambda seen: len(seen) >= len(tags), 60)
        for tag in tags:
            await many.set(tag, 9)
        changes = await read_until(reading, lambda seen: len(seen) >= len(tags), 60)
    assert sorted(sample.tag for sample in first) == sorted(tags)
    assert {(sample.tag, sample.value) for sample in changes} == {(tag, 9.0) for tag in tags}
    assert reading.missed() == []


async def test_a_small_servers_limit_per_call_is_kept(
    many: OpcuaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "ITEMS_PER_CALL", 100)
    tags = [f"ns=2;s=T{number}" for number in range(250)]
    async with TcpProxy(many.port) as proxy:
        async with opened(connector(proxy.port, *tags)) as reading:
            samples = await read_until(reading, lambda seen: len(seen) >= len(tags))
        calls = [name for name in services(bytes(proxy.sent)) if name == "CreateMonitoredItems"]
    assert len(samples) == len(tags)
    assert len(calls) == 3


async def test_nothing_is_lost_when_nobody_reads_for_a_while(
    many: OpcuaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "MAX_PENDING", 5)
    tag = "ns=2;s=T0"
    await many.set(tag, -1)
    async with opened(connector(many.port, tag)) as reading:
        await read_until(reading, lambda seen: len(seen) >= 1)
        for value in range(60):
            await many.set(tag, value)
            await asyncio.sleep(0.005)
        samples = await read_until(reading, lambda seen: len(seen) >= 60)
    assert [sample.value for sample in samples] == [float(value) for value in range(60)]
    assert reading.missed() == []


async def test_a_namespace_by_uri_is_found_and_a_strange_one_is_bad(server: OpcuaServer) -> None:
    known = f"nsu={NAMESPACE};s=IM07.State"
    strange = "nsu=urn:nobody;s=IM07.State"
    reading = connector(server.port, known, strange, user="isthmus", password=PASSWORD)
    async with opened(reading):
        samples = await read_until(reading, lambda seen: len(seen) >= 2)
    quality = {sample.tag: sample.quality for sample in samples}
    assert quality == {known: GOOD, strange: StatusCodes.BadNodeIdUnknown}


async def test_only_the_element_that_changed_comes(server: OpcuaServer) -> None:
    tags = [f"{ZONES}[{index}]" for index in range(4)]
    await server.set(ZONES, [1.0, 2.0, 3.0])
    reading = connector(server.port, *tags, user="isthmus", password=PASSWORD)
    async with opened(reading):
        first = await read_until(reading, lambda seen: len(seen) >= 4)
        await server.set(ZONES, [1.0, 9.0, 3.0])
        changes = await read_until(reading, lambda seen: len(seen) >= 1)
    assert [(sample.value, sample.quality) for sample in first] == [
        (1.0, GOOD),
        (2.0, GOOD),
        (3.0, GOOD),
        (None, StatusCodes.BadIndexRangeNoData),
    ]
    assert [(sample.tag, sample.value) for sample in changes] == [(tags[1], 9.0)]


async def test_status_and_time_of_the_machine_come_through(server: OpcuaServer) -> None:
    stamp: Any = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
    sick = ua.DataValue(
        ua.Variant(3, Kind.Int32),
        ua.StatusCode(StatusCodes.BadSensorFailure),
        SourceTimestamp=stamp,
    )
    reading = connector(server.port, STATE, user="isthmus", password=PASSWORD)
    async with opened(reading):
        await read_until(reading, lambda seen: len(seen) >= 1)
        await server.write(STATE, sick)
        (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
        await server.set(STATE, 3)
        await read_until(reading, lambda seen: len(seen) >= 1)
    assert (sample.value, sample.quality) == (None, StatusCodes.BadSensorFailure)
    assert sample.device_time == to_micros(stamp)


async def test_what_the_server_granted_is_known(server: OpcuaServer) -> None:
    reading = connector(server.port, STATE, user="isthmus", password=PASSWORD)
    async with opened(reading):
        assert reading.revised == Revised(0.05, keep_alive=10.0, lifetime=100.0)


def test_less_than_asked_is_said() -> None:
    spec = source(4840, interval="250 ms", sampling="100 ms", queue_size=50)
    items = Granted()
    items.note(0.1, 50, spec)
    items.note(1.0, 1, spec)
    asked = Revised(0.25, keep_alive=5.0, lifetime=50.0)
    assert list(ungranted(spec, asked, items)) == [
        (
            "the server looks at 1 of 2 nodes only every 1 s, not every 100 ms: what changes and "
            "changes back in between is not seen"
        ),
        (
            "the server keeps only 1 values of 1 of 2 nodes between two publications, not 50: more "
            "changes than that are lost. A shorter `interval` helps"
        ),
    ]
    (slow,) = ungranted(spec, Revised(1.0, 5.0, 50.0), Granted())
    assert slow == "the server publishes every 1 s, not every 250 ms as `interval` asks"
    assert granted(asked, items) == {
        "publishes every": "250 ms", "keep-alive": "5 s", "lifetime": "50 s",
        "samples every": "1 s", "queue": "1",
    }  # fmt: skip


async def test_the_next_server_of_a_set_is_read_when_the_first_is_gone_or_unwell(
    server: OpcuaServer,
) -> None:
    async def serve(other: Any, level: int) -> None:
        await other.get_node("i=2267").write_value(ua.Variant(level, Kind.Byte))

    first_of_set = f"opc.tcp://{LOOPBACK}:{server.port}"
    with OpcuaServer({STATE: ua.Variant(4, Kind.Int32)}) as second:
        gone = {"endpoints": [f"opc.tcp://{LOOPBACK}:{second.port}"]}
        async with opened(connector(1, STATE, **gone)) as reading:
            (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
        assert sample.value == 4.0
        await second.run(lambda other: serve(other, 100))
        keys = {"endpoints": [first_of_set], "user": "isthmus", "password": PASSWORD}
        async with opened(connector(second.port, STATE, **keys)) as reading:
            assert reading.details()["endpoint"] == first_of_set
            reading.spec = source(second.port, timeout="300 ms", **keys)  # so often it looks again
            await read_until(reading, lambda seen: len(seen) >= 1)
            await server.run(lambda other: serve(other, 1))
            with pytest.raises(Unreachable, match="ServiceLevel 1 instead of 255"):
                await read_forever(reading)
            await server.run(lambda other: serve(other, 255))


async def test_a_server_that_restarts_is_lost_and_read_again() -> None:
    with OpcuaServer({STATE: ua.Variant(3, Kind.Int32)}) as restarting:
        async with opened(connector(restarting.port, STATE)) as reading:
            await read_until(reading, lambda seen: len(seen) >= 1)
            await asyncio.to_thread(restarting.stop)
            with pytest.raises(Unreachable, match=r"source `im07`: lost opc\.tcp://"):
                await read_forever(reading)
        with pytest.raises(Unreachable, match="`isthmus probe im07` tries now"):
            await connector(restarting.port, STATE).open()
        await asyncio.to_thread(restarting.start)
        async with opened(connector(restarting.port, STATE)) as reading:
            (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
    assert sample.value == 3.0


async def test_a_subscription_the_server_forgets_is_lost(many: OpcuaServer) -> None:
    async def forget(server: Any) -> None:
        service = server.iserver.subscription_service
        await service.delete_subscriptions(list(service.subscriptions))

    async with opened(connector(many.port, "ns=2;s=T0", timeout="500 ms")) as reading:
        await read_until(reading, lambda seen: len(seen) >= 1)
        await many.run(forget)
        with pytest.raises(Unreachable, match=r"published nothing|ended the subscription"):
            await read_forever(reading)


async def test_garbage_instead_of_a_server_is_unreachable() -> None:
    async with answering(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        reading = connector(port, STATE, timeout="1 s")
        with pytest.raises(Unreachable):
            await reading.open()
        await reading.close()


async def test_a_hole_in_the_publications_is_a_gap(many: OpcuaServer) -> None:
    """The server's side cannot be made to skip a number: we say that we had seen another."""
    tag = "ns=2;s=T7"
    reading = connector(many.port, tag)
    before = SystemClock().now()
    async with opened(reading):
        await read_until(reading, lambda seen: len(seen) >= 1)
        reading._subscription._sequence += 5
        await many.set(tag, 77)
        await read_until(reading, lambda seen: len(seen) >= 1)
        (gap,) = reading.missed()
    assert before <= gap.start <= gap.end <= SystemClock().now()
    assert "publication 7 was expected, 2 came" in gap.detail
    assert reading.missed() == []


async def test_a_bug_in_taking_a_publication_is_not_swallowed_by_the_driver(
    many: OpcuaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: Any) -> Any:
        raise ZeroDivisionError

    async with opened(connector(many.port, "ns=2;s=T9")) as reading:
        await read_until(reading, lambda seen: len(seen) >= 1)
        monkeypatch.setattr(arrivals, "_odd", bug)
        await many.set("ns=2;s=T9", 99)
        with pytest.raises(ZeroDivisionError):
            await read_forever(reading)


# Browsing and history ----------------------------------------------------------------------------


async def test_browsing_pages_through_a_large_folder(many: OpcuaServer) -> None:
    reading = connector(many.port, timeout="10 s")
    async with opened(reading):
        top = {node.name: node async for node in reading.browse()}
        inside = [node async for node in reading.browse(top["Machine"].tag)]
    assert top["Machine"].has_children
    assert len(inside) == 1_200
    assert inside[0].tag == "ns=2;s=T0"
    assert inside[0].path == "/Machine/T0"
    assert (inside[0].type, inside[0].has_children) == ("Int32", False)


async def test_history_gives_what_the_server_stored(many: OpcuaServer) -> None:
    tag = "ns=2;s=T3"

    async def keep(server: Any) -> None:
        node = server.get_node(tag)
        await node.set_attr_bit(ua.AttributeIds.AccessLevel, ua.AccessLevel.HistoryRead)
        await server.historize_node_data_change(node, period=None, count=100)

    await many.set(tag, 29)
    start = SystemClock().now()
    await many.run(keep)
    for value in range(5):
        await many.set(tag, 30 + value)
    reading = connector(many.port, tag, "ns=2;s=T4")
    rows: list[tuple[str, float]] = []
    async with opened(reading), asyncio.timeout(5):
        while len(rows) < 6:  # the server itself stores with some delay
            table = await reading.history(start, SystemClock().now())
            rows = [(row["tag"], row["number"]) for row in table.to_pylist()]
    assert rows == [(tag, 29.0 + value) for value in range(6)]
