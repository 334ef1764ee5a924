"""The host's statements of the Sparkplug 3.0 specification, each by its `tck-id`.

`CHECKS` has a check for each; `ELSEWHERE` and `NOT_OURS` say why the others have none. Together
they are all statements of the specification.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from isthmus.base.clock import SECOND, Micros, SystemClock
from isthmus.field.connectors.sparkplug import SparkplugConnector, SparkplugSource
from isthmus.field.connectors.sparkplug.edge import Edge
from isthmus.field.connectors.sparkplug.proto import messages
from isthmus.field.connectors.sparkplug.session import Message
from isthmus.field.connectors.sparkplug.topics import parse_topic
from isthmus.field.samples import Samples
from isthmus.flow.parcel import BAD_NOT_CONNECTED
from isthmus.testing.connector_suite import opened, read_until, until
from isthmus.testing.mosquitto import Mosquitto, needs_mosquitto, publish
from isthmus.testing.mqtt_wire import (
    CONNECT,
    DISCONNECT,
    PUBLISH,
    SUBSCRIBE,
    Connect,
    Packet,
    Published,
    connection,
    packets,
    published,
    subscriptions,
)
from isthmus.testing.sparkplug_edge import BOOLEAN, DOUBLE, Metric, SparkplugEdge
from isthmus.testing.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.peer, needs_mosquitto]

ASSERTIONS = Path(__file__).parents[3] / "shared" / "standards" / "sparkplug" / "assertions.json"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "connectors" / "sparkplug.md"

HOST = "isthmus-hall-2"
STATE = f"spBv1.0/STATE/{HOST}"
TEMP = "plant/edge-1/press-4:Temp"
LATE = 30 * SECOND
"""So far the clock of the node is ahead of ours in these tests."""


@dataclass(frozen=True)
class Said:
    """What our host said on one connection, byte for byte, and when."""

    began: Micros
    ended: Micros
    packets: list[Packet]

    @property
    def connect(self) -> Connect:
        return connection(self.packets[0])

    @property
    def will(self) -> Published:
        will = self.connect.will
        assert will is not None
        return will

    @property
    def kinds(self) -> list[int]:
        """The packets that are ours to choose, in their order."""
        chosen = {CONNECT, SUBSCRIBE, PUBLISH, DISCONNECT}
        return [packet.kind for packet in self.packets if packet.kind in chosen]

    @property
    def topics(self) -> list[str]:
        """Subscribed to, in the first request."""
        first = next(packet for packet in self.packets if packet.kind == SUBSCRIBE)
        return subscriptions(first, self.connect.version)

    @property
    def published(self) -> list[Published]:
        found = [packet for packet in self.packets if packet.kind == PUBLISH]
        return [published(packet, self.connect.version) for packet in found]

    @property
    def states(self) -> list[Published]:
        return [one for one in self.published if "/STATE/" in one.topic]

    @property
    def command(self) -> Published:
        [found] = [one for one in self.published if "/STATE/" not in one.topic]
        return found

    @property
    def request(self) -> Any:
        return messages().Payload.FromString(self.command.payload)


@dataclass(frozen=True)
class Recorded:
    """Our host on three connections: MQTT 3.1.1, MQTT 5, MQTT 5 again."""

    connections: tuple[Said, Said, Said]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return asyncio.run(_record(tmp_path_factory.mktemp("broker")))


async def _record(folder: Path) -> Recorded:
    broker = Mosquitto(folder)
    await broker.start()
    edge = SparkplugEdge(broker.port)
    edge.primary = HOST
    edge.add("press-4", Metric("Temp", DOUBLE, 23.5))
    await asyncio.to_thread(edge.start)
    try:
        first, second, third = [await _connection(edge, version) for version in ("3.1.1", "5", "5")]
        return Recorded((first, second, third))
    finally:
        await asyncio.to_thread(edge.stop)
        await broker.stop()


async def _connection(edge: SparkplugEdge, version: str) -> Said:
    """Connect, be denied by somebody, miss a message, ask for a rebirth, say goodbye."""
    clock = SystemClock()
    began = clock.now()
    async with TcpProxy(edge.port) as proxy:
        spec = SparkplugSource(
            host="127.0.0.1", port=proxy.port, host_id=HOST, rebirth=True, protocol=version,
            reorder_timeout=0.1, first_value=0.5,
        )  # fmt: skip
        async with opened(SparkplugConnector("hall-2", spec, [TEMP], clock)) as host:
            await read_until(host, lambda seen: len(seen) >= 1)
            await publish(edge.port, (STATE, '{"online":false,"timestamp":1}'), retain=True)
            await read_until(host, lambda _: _states(proxy, 2))
            heard = len(edge.commands)
            edge.seq = (edge.seq + 1) % 256
            edge.set("press-4", "Temp", time.monotonic())
            await read_until(host, lambda _: len(edge.commands) > heard)
        await until(lambda: proxy.connections == 0, "the connection is still open")
        said = list(packets(bytes(proxy.sent)))
    return Said(began, clock.now(), said)


def _states(proxy: TcpProxy, count: int) -> bool:
    return Said(0, 0, list(packets(bytes(proxy.sent)))).states[count - 1 :] != []


def content(message: Published) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(message.payload)
    return found


# What the host says -----------------------------------------------------------------------------

Check = Callable[[Said], None]


def will_is_there(said: Said) -> None:
    assert said.connect.will is not None


def will_topic(said: Said) -> None:
    assert said.will.topic == STATE


def will_qos(said: Said) -> None:
    assert said.will.qos == 1


def will_retain(said: Said) -> None:
    assert said.will.retain


def will_payload(said: Said) -> None:
    found = content(said.will)
    assert found.keys() == {"online", "timestamp"}
    assert found["online"] is False
    assert type(found["timestamp"]) is int


def will_time_is_that_of_connect(said: Said) -> None:
    assert said.began // 1_000 <= content(said.will)["timestamp"] <= said.ended // 1_000


def birth_is_first(said: Said) -> None:
    assert said.published[0].topic == STATE
    assert content(said.published[0])["online"] is True


def birth_follows_subscription(said: Said) -> None:
    assert said.kinds[:3] == [CONNECT, SUBSCRIBE, PUBLISH]
    birth_is_first(said)


def subscribes_first(said: Said) -> None:
    assert said.kinds[:2] == [CONNECT, SUBSCRIBE]
    assert said.topics == [STATE, "spBv1.0/plant/+/edge-1/#"]


def birth_topic(said: Said) -> None:
    assert said.states[0].topic == STATE


def birth_qos(said: Said) -> None:
    assert said.states[0].qos == 1


def birth_retain(said: Said) -> None:
    assert said.states[0].retain


def birth_payload(said: Said) -> None:
    assert content(said.states[0]) == content(said.will) | {"online": True}


def denied_says_again_that_it_is_online(said: Said) -> None:
    assert said.states[1] == said.states[0]


def goodbye_before_disconnect(said: Said) -> None:
    assert said.kinds[-2:] == [PUBLISH, DISCONNECT]
    assert said.published[-1].topic == STATE
    found = content(said.published[-1])
    assert found["online"] is False
    assert content(said.will)["timestamp"] < found["timestamp"] <= said.ended // 1_000


def death_qos(said: Said) -> None:
    assert said.published[-1].qos == 1


def death_retain(said: Said) -> None:
    assert said.published[-1].retain


def says_when_it_is_online_and_when_not(said: Said) -> None:
    birth_is_first(said)
    goodbye_before_disconnect(said)


def clean_session(said: Said) -> None:
    assert said.connect.clean
    assert said.connect.session_expiry == 0


def rebirth_topic(said: Said) -> None:
    assert said.command.topic == "spBv1.0/plant/NCMD/edge-1"


def rebirth_qos_and_retain(said: Said) -> None:
    assert (said.command.qos, said.command.retain) == (0, False)


def rebirth_metric(said: Said) -> None:
    [metric] = said.request.metrics
    assert (metric.name, metric.boolean_value) == ("Node Control/Rebirth", True)


def rebirth_has_no_seq(said: Said) -> None:
    assert not said.request.HasField("seq")


def rebirth_time(said: Said) -> None:
    [metric] = said.request.metrics
    for timestamp in (said.request.timestamp, metric.timestamp):
        assert said.began // 1_000 <= timestamp <= said.ended // 1_000


def rebirth_datatype(said: Said) -> None:
    [metric] = said.request.metrics
    assert metric.datatype == BOOLEAN


def topics_are_in_the_namespace(said: Said) -> None:
    for one in (said.will, *said.published):
        assert re.fullmatch(r"spBv1\.0/(STATE/[^/+#]+|[^/+#]+/NCMD/[^/+#]+)", one.topic)


# What the host does -----------------------------------------------------------------------------


class Hall:
    """An edge node and what our host makes of it, without a broker and with our own clock."""

    def __init__(self) -> None:
        self.node = SparkplugEdge(0)
        self.node.add("", Metric("Door", BOOLEAN, value=False))
        self.node.add("press-4", Metric("Temp", DOUBLE, 23.5))
        self.samples = Samples()
        self.edge = Edge(("plant", "edge-1"), self.samples, 2.0, 3.0)
        for tag in ("plant/edge-1:Door", TEMP):
            address = SparkplugSource(host="b").parse_tag(tag)
            self.edge.metrics.want(tag, address)
        self.now = 0.0
        self.received = SystemClock().now()
        birth = [Metric("bdSeq", 4, 0), *self.node.owners[""]]
        self.hear("NBIRTH", self.node.payload("NBIRTH", "", birth))
        self.hear("DBIRTH", self.payload("DBIRTH"), "press-4")
        self.samples.take()

    def payload(self, kind: str) -> Any:
        return self.node.payload(kind, "press-4", self.node.owners["press-4"])

    def hear(self, kind: str, payload: Any, device: str = "") -> None:
        self.received += 1_000
        topic = parse_topic(self.node.topic(kind, device))
        assert topic is not None
        self.edge.take(Message(topic, payload, self.received), self.now)

    def changed(self, value: float) -> Any:
        metric = self.node.metric("press-4", "Temp")
        metric.value, metric.at = value, metric.at + 1
        return self.payload("DDATA")

    def die(self) -> None:
        self.node.bd_seq = 0
        self.hear("NDEATH", messages().Payload.FromString(self.node.death()))

    def taken(self) -> list[tuple[str, Any, int, Micros]]:
        table = self.samples.take()
        rows = table.to_pylist() if table is not None else []
        times = table["device_time"].cast("int64").to_pylist() if table is not None else []
        return [
            (row["tag"], row["number"], row["quality"], at)
            for row, at in zip(rows, times, strict=True)
        ]


def node_death_makes_all_stale_now(_: Said) -> None:
    hall = Hall()
    hall.die()
    assert sorted(hall.taken()) == [
        (TEMP, None, BAD_NOT_CONNECTED, hall.received),
        ("plant/edge-1:Door", None, BAD_NOT_CONNECTED, hall.received),
    ]


def node_death_takes_node_and_devices_offline(_: Said) -> None:
    hall = Hall()
    hall.die()
    assert not hall.edge.online
    hall.hear("DDATA", hall.changed(1.0), "press-4")
    assert [tag for tag, value, *_ in hall.taken() if value is not None] == []
    assert hall.edge.wants_birth()


def device_death_makes_it_stale_from_its_own_time(_: Said) -> None:
    hall = Hall()
    at = (hall.received + LATE) // 1_000
    hall.hear("DDEATH", hall.node.payload("DDEATH", "press-4", [], at=at), "press-4")
    assert hall.taken() == [(TEMP, None, BAD_NOT_CONNECTED, at * 1_000)]


def device_death_takes_it_offline(_: Said) -> None:
    hall = Hall()
    hall.hear("DDEATH", hall.node.payload("DDEATH", "press-4", []), "press-4")
    hall.hear("DDATA", hall.changed(1.0), "press-4")
    assert hall.edge.online
    assert [value for _, value, *_ in hall.taken() if value is not None] == []


def an_early_message_starts_a_timer(_: Said) -> None:
    hall = Hall()
    hall.changed(1.0)  # is lost
    hall.hear("DDATA", hall.changed(2.0), "press-4")
    assert hall.edge.due == 2.0
    assert hall.taken() == []


def the_missing_message_ends_the_timer(_: Said) -> None:
    hall = Hall()
    missing, early = hall.changed(1.0), hall.changed(2.0)
    hall.hear("DDATA", early, "press-4")
    hall.now = 1.0
    hall.hear("DDATA", missing, "press-4")
    assert hall.edge.due is None
    assert [value for _, value, *_ in hall.taken()] == [1.0, 2.0]
    assert hall.edge.missed() == []


def a_timer_that_ends_wants_a_rebirth(said: Said) -> None:
    hall = Hall()
    hall.changed(1.0)
    hall.hear("DDATA", hall.changed(2.0), "press-4")
    hall.edge.tick(2.0)
    assert hall.edge.wants_birth()
    assert len(hall.edge.missed()) == 1
    rebirth_metric(said)


def the_timer_can_be_set(_: Said) -> None:
    assert SparkplugSource(host="b", reorder_timeout=0.5).reorder_timeout == 0.5


CHECKS: Mapping[str, Check] = {
    "components-ph-state": says_when_it_is_online_and_when_not,
    "conformance-primary-host": says_when_it_is_online_and_when_not,
    "intro-sparkplug-host-state": says_when_it_is_online_and_when_not,
    "host-topic-phid-birth-message": birth_is_first,
    "host-topic-phid-birth-payload": birth_payload,
    "host-topic-phid-birth-payload-timestamp": birth_payload,
    "host-topic-phid-birth-qos": birth_qos,
    "host-topic-phid-birth-required": birth_follows_subscription,
    "host-topic-phid-birth-retain": birth_retain,
    "host-topic-phid-birth-sub-required": subscribes_first,
    "host-topic-phid-birth-topic": birth_topic,
    "host-topic-phid-death-payload": will_payload,
    "host-topic-phid-death-payload-timestamp-connect": will_time_is_that_of_connect,
    "host-topic-phid-death-payload-timestamp-disconnect-clean": goodbye_before_disconnect,
    "host-topic-phid-death-qos": will_qos,
    "host-topic-phid-death-required": will_is_there,
    "host-topic-phid-death-retain": will_retain,
    "host-topic-phid-death-topic": will_topic,
    "message-flow-hid-sparkplug-state-message-delivered": denied_says_again_that_it_is_online,
    "message-flow-phid-sparkplug-clean-session-311": clean_session,
    "message-flow-phid-sparkplug-clean-session-50": clean_session,
    "message-flow-phid-sparkplug-state-publish": birth_follows_subscription,
    "message-flow-phid-sparkplug-state-publish-payload": birth_payload,
    "message-flow-phid-sparkplug-state-publish-payload-timestamp": birth_payload,
    "message-flow-phid-sparkplug-subscription": subscribes_first,
    "operational-behavior-data-commands-ncmd-metric-name": rebirth_metric,
    "operational-behavior-data-commands-ncmd-metric-value": rebirth_datatype,
    "operational-behavior-data-commands-ncmd-rebirth-name": rebirth_metric,
    "operational-behavior-data-commands-ncmd-rebirth-value": rebirth_metric,
    "operational-behavior-data-commands-ncmd-rebirth-verb": rebirth_topic,
    "operational-behavior-data-commands-ncmd-verb": rebirth_topic,
    "operational-behavior-edge-node-termination-host-action-ddeath-devices-offline": (
        device_death_takes_it_offline
    ),
    "operational-behavior-edge-node-termination-host-action-ddeath-devices-tags-stale": (
        device_death_makes_it_stale_from_its_own_time
    ),
    "operational-behavior-edge-node-termination-host-action-ndeath-devices-offline": (
        node_death_takes_node_and_devices_offline
    ),
    "operational-behavior-edge-node-termination-host-action-ndeath-devices-tags-stale": (
        node_death_makes_all_stale_now
    ),
    "operational-behavior-edge-node-termination-host-action-ndeath-node-offline": (
        node_death_takes_node_and_devices_offline
    ),
    "operational-behavior-edge-node-termination-host-action-ndeath-node-tags-stale": (
        node_death_makes_all_stale_now
    ),
    "operational-behavior-host-application-connect-birth": birth_follows_subscription,
    "operational-behavior-host-application-connect-birth-payload": birth_payload,
    "operational-behavior-host-application-connect-birth-qos": birth_qos,
    "operational-behavior-host-application-connect-birth-retained": birth_retain,
    "operational-behavior-host-application-connect-birth-topic": birth_topic,
    "operational-behavior-host-application-connect-will": will_is_there,
    "operational-behavior-host-application-connect-will-payload": will_payload,
    "operational-behavior-host-application-connect-will-qos": will_qos,
    "operational-behavior-host-application-connect-will-retained": will_retain,
    "operational-behavior-host-application-connect-will-topic": will_topic,
    "operational-behavior-host-application-death-payload": will_payload,
    "operational-behavior-host-application-death-qos": death_qos,
    "operational-behavior-host-application-death-retained": death_retain,
    "operational-behavior-host-application-death-topic": goodbye_before_disconnect,
    "operational-behavior-host-application-disconnect-intentional": goodbye_before_disconnect,
    "operational-behavior-host-application-termination": goodbye_before_disconnect,
    "operational-behavior-host-reordering-param": the_timer_can_be_set,
    "operational-behavior-host-reordering-rebirth": a_timer_that_ends_wants_a_rebirth,
    "operational-behavior-host-reordering-start": an_early_message_starts_a_timer,
    "operational-behavior-host-reordering-success": the_missing_message_ends_the_timer,
    "operational-behavior-primary-application-state-with-multiple-servers-state": birth_is_first,
    "payloads-metric-timestamp-in-UTC": rebirth_time,
    "payloads-name-cmd-requirement": rebirth_time,
    "payloads-ncmd-qos": rebirth_qos_and_retain,
    "payloads-ncmd-retain": rebirth_qos_and_retain,
    "payloads-ncmd-seq": rebirth_has_no_seq,
    "payloads-ncmd-timestamp": rebirth_time,
    "payloads-state-birth": birth_follows_subscription,
    "payloads-state-birth-payload": birth_payload,
    "payloads-state-subscribe": subscribes_first,
    "payloads-state-will-message": will_topic,
    "payloads-state-will-message-payload": will_payload,
    "payloads-state-will-message-qos": will_qos,
    "payloads-state-will-message-retain": will_retain,
    "payloads-timestamp-in-UTC": rebirth_time,
    "principles-birth-certificates-order": birth_is_first,
    "topic-structure": topics_are_in_the_namespace,
    "topic-structure-namespace-a": topics_are_in_the_namespace,
    "topic-structure-namespace-device-id-non-associated-message-types": topics_are_in_the_namespace,
    "topics-ncmd-mqtt": rebirth_qos_and_retain,
    "topics-ncmd-payload": rebirth_metric,
    "topics-ncmd-timestamp": rebirth_time,
    "topics-ncmd-topic": rebirth_topic,
}
"""Without their common `tck-id-`."""

ELSEWHERE: Mapping[str, str] = {
    "host-topic-phid-death-payload-timestamp-disconnect-with-no-disconnect-packet": (
        "we always send DISCONNECT"
    ),
    "operational-behavior-host-application-host-id": (
        "unique names are the plant's to give: `host_id`"
    ),
    "operational-behavior-host-application-multi-server-timestamp": (
        "a source has one broker; each connection has its own timestamp"
    ),
    "operational-behavior-primary-application-state-with-multiple-servers-state-subs": (
        "a source has one broker; a second one is a second source"
    ),
    "payloads-alias-data-cmd-requirement": (
        "our only command names `Node Control/Rebirth`, which must have no alias"
    ),
    "payloads-metric-datatype-not-req": (
        "a SHOULD NOT we do not follow in our command: some edge nodes read no value without it"
    ),
}
"""Statements that concern a host and have no check, with the reason."""

NOT_OURS: tuple[tuple[str, str], ...] = (
    (r"conformance-mqtt-.*", "the MQTT server"),
    (r".*dcmd.*", "commands to devices, which we never send"),
    (r"intro-.*|topic-structure-namespace-.*|case-.*", "names of groups, nodes and devices"),
    (r"principles-.*|message-flow-(edge|device)-.*", "the edge node"),
    (r"operational-behavior-(data|device|edge-node|primary).*", "the edge node"),
    (r"payloads-(alias|dataset|d[a-z]+|metric|name|n[a-z]+|property.*|sequence|template)-.*",
     "payloads of the edge node"),
    (r"topics-(nbirth|ndata|ndeath|dbirth|ddata|ddeath)-.*", "the edge node"),
)  # fmt: skip
"""Who else a statement is for; the first pattern that matches says it."""


@pytest.mark.parametrize("statement", CHECKS)
def test_the_host_keeps(statement: str, recorded: Recorded) -> None:
    for said in recorded.connections:
        CHECKS[statement](said)


def test_the_versions_of_mqtt_were_both_spoken(recorded: Recorded) -> None:
    assert [said.connect.version for said in recorded.connections] == [4, 5, 5]


def test_every_connection_has_its_own_timestamp(recorded: Recorded) -> None:
    stamps = [content(said.will)["timestamp"] for said in recorded.connections]
    assert stamps == sorted(set(stamps))


def test_no_statement_of_the_specification_is_forgotten() -> None:
    if not ASSERTIONS.exists():
        pytest.skip("the list of statements is not beside this repository")
    all_ids = {one["id"].removeprefix("tck-id-") for one in json.loads(ASSERTIONS.read_text())}
    ours = CHECKS.keys() | ELSEWHERE.keys()
    assert CHECKS.keys() & ELSEWHERE.keys() == set()
    assert ours - all_ids == set()
    assert [id_ for id_ in sorted(all_ids - ours) if not _somebody_elses(id_)] == []


def _somebody_elses(statement: str) -> bool:
    return any(re.fullmatch(pattern, statement) for pattern, _ in NOT_OURS)


def test_the_page_lists_every_statement_that_concerns_a_host() -> None:
    text = PAGE.read_text()
    assert [id_ for id_ in (*CHECKS, *ELSEWHERE) if f"`{id_}`" not in text] == []
