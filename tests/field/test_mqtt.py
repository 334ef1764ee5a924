"""MQTT against mosquitto, an independent broker in a process of its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr, ValidationError

from isthmus.base.clock import SystemClock, parse_time
from isthmus.field.connector import AnyConnector, Refused, Unreachable
from isthmus.field.connectors.mqtt import MqttConnector, MqttSource
from isthmus.field.connectors.mqtt import connector as module
from isthmus.field.connectors.mqtt.address import is_covered
from isthmus.field.mqtt import link
from isthmus.field.mqtt.tls import Tls
from isthmus.field.mqtt.turns import Turns
from isthmus.field.values import (
    BAD_DECODING,
    BAD_NO_DATA,
    BAD_USER_ACCESS_DENIED,
    BAD_WAITING_FOR_INITIAL_DATA,
)
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import GOOD, UNCERTAIN
from isthmus.model.spec.site import Keep, SourceSpec
from isthmus.runtime.sources import SourceRunner
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Device,
    Sample,
    Value,
    opened,
    read_for,
    read_until,
    stopwatch,
    until,
)
from isthmus.testing.mosquitto import (
    Mosquitto,
    certificate,
    free_port,
    needs_mosquitto,
    publish,
    with_passwords,
    with_subscriptions_only_to,
)
from isthmus.testing.mqtt_wire import publications
from isthmus.testing.one_source import field as mapped
from isthmus.testing.one_source import plant
from isthmus.testing.sim.broker import Broker
from isthmus.testing.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.peer, needs_mosquitto]

STATE = "graz/cell-1/state#$.state"
TEMP = "graz/cell-1/temp"
PASSWORD = "secret"


@pytest.fixture(autouse=True)
def _short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that waits a second for nothing would make `read_for` as long."""
    monkeypatch.setattr(module, "_READ_WAITS", 0.1)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    await broker.start()
    yield broker
    await broker.stop()


def source(broker: Mosquitto | Broker, **options: Any) -> MqttSource:
    return MqttSource(host="127.0.0.1", port=broker.port, first_value=0.2, timeout=2.0, **options)


def connector(broker: Mosquitto | Broker, *tags: str, **options: Any) -> MqttConnector:
    return MqttConnector("cell-1", source(broker, **options), tags, SystemClock())


async def read_unacknowledged(connector: AnyConnector, count: int) -> list[dict[str, Any]]:
    """Rows as they come, without telling the broker that we have them."""
    rows: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while len(rows) < count:
            table = await connector.read()
            rows += table.to_pylist() if table is not None else []
    return rows


async def values_of(connector: AnyConnector, tag: str, count: int) -> list[Value]:
    def of_tag(seen: list[Sample]) -> list[Value]:
        return [s.value for s in seen if s.tag == tag and s.quality == GOOD]

    return of_tag(await read_until(connector, lambda seen: len(of_tag(seen)) >= count))


class Cell:
    """A machine that publishes retained messages."""

    def __init__(self, broker: Mosquitto) -> None:
        self.broker = broker
        self.port = broker.port

    async def set(self, tag: str, value: Value) -> None:
        topic, path, _ = tag.partition("#$.")
        payload = json.dumps({"state": value}) if path else str(value)
        await self.broker.publish((topic, payload), retain=True)


class TestMqtt(ConnectorContract):
    connector: ClassVar[type[AnyConnector]] = MqttConnector
    tags: ClassVar[Mapping[str, Value]] = {STATE: "RUN", TEMP: 23.5, "graz/cell-1/count": 7.0}
    change: ClassVar[tuple[str, Value]] = (STATE, "HALT")

    @asynccontextmanager
    async def device(self) -> AsyncIterator[Device]:
        broker = Mosquitto(self.folder)
        await broker.start()
        cell = Cell(broker)
        for tag, value in self.tags.items():
            await cell.set(tag, value)
        try:
            yield cell
        finally:
            await broker.stop()

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def spec(self, host: str, port: int) -> SourceSpec:
        return MqttSource(host=host, port=port, first_value=0.5, timeout=2.0, keepalive=1.0)

    def write_requests(self, sent: bytes) -> list[str]:
        """Everything we publish."""
        return [publication.topic for publication in publications(sent)]


async def test_nothing_is_acknowledged_before_acknowledge(broker: Mosquitto) -> None:
    async with opened(connector(broker, TEMP)) as first:
        await read_for(first, 0.3)
        await broker.publish((TEMP, "1"), (TEMP, "2"))
        came = await read_unacknowledged(first, 2)
    assert [row["number"] for row in came] == [1, 2]
    async with opened(connector(broker, TEMP)) as second:
        assert await values_of(second, TEMP, 2) == [1, 2]
    async with opened(connector(broker, TEMP)) as third:
        again = await read_for(third, 0.5)
    assert [(s.tag, s.quality) for s in again] == [(TEMP, BAD_WAITING_FOR_INITIAL_DATA)]


async def test_a_killed_connector_gets_again_what_it_did_not_acknowledge(
    broker: Mosquitto,
) -> None:
    async with TcpProxy(broker.port) as proxy:
        spec = source(broker).model_copy(update={"port": proxy.port})
        killed = MqttConnector("cell-1", spec, [TEMP], SystemClock())
        await killed.open()
        await read_for(killed, 0.3)
        await broker.publish((TEMP, "42"))
        await read_unacknowledged(killed, 1)
        await proxy.cut()  # as when the process is killed: no goodbye
        await killed.close()
    async with opened(connector(broker, TEMP)) as back:
        assert await values_of(back, TEMP, 1) == [42]


async def test_what_came_while_we_were_down_is_delivered(broker: Mosquitto) -> None:
    async with opened(connector(broker, TEMP)) as before:
        await read_for(before, 0.3)
    await broker.publish(*[(TEMP, str(number)) for number in range(50)])
    async with opened(connector(broker, TEMP)) as after:
        assert await values_of(after, TEMP, 50) == list(range(50))


async def test_a_broker_that_knows_only_3_1_1_is_spoken_to_in_3_1_1(tmp_path: Path) -> None:
    """NATS's gateway refuses MQTT 5."""
    broker = Broker(free_port(), tmp_path)
    await broker.start()
    try:
        async with opened(connector(broker, TEMP)) as mqtt:
            # Once subscribed: it may deliver a retained message late, or never.
            await read_until(mqtt, lambda seen: len(seen) >= 1)
            await publish(broker.port, (TEMP, "20"))
            assert await values_of(mqtt, TEMP, 1) == [20]
        with pytest.raises(Refused, match="protocol version"):
            async with opened(connector(broker, TEMP, protocol="5")):
                pass
    finally:
        await broker.stop()


async def test_a_burst_comes_whole_before_anything_is_acknowledged(broker: Mosquitto) -> None:
    """Else a fast source would wait for each of our writes to disk."""
    async with opened(connector(broker, TEMP)) as mqtt:
        await read_for(mqtt, 0.3)
        await broker.publish(*[(TEMP, str(number)) for number in range(500)])
        rows = await read_unacknowledged(mqtt, 500)
    assert [row["number"] for row in rows] == list(range(500))


@pytest.mark.parametrize("protocol", ["auto", "3.1.1", "5"])
async def test_both_protocol_versions_keep_a_session(broker: Mosquitto, protocol: str) -> None:
    async with opened(connector(broker, TEMP, protocol=protocol)) as before:
        await read_for(before, 0.3)
    await broker.publish((TEMP, "5"))
    async with opened(connector(broker, TEMP, protocol=protocol)) as after:
        assert await values_of(after, TEMP, 1) == [5]


async def test_messages_of_one_burst_keep_their_order_and_differ_in_time(
    broker: Mosquitto,
) -> None:
    async with opened(connector(broker, TEMP)) as mqtt:
        await read_for(mqtt, 0.3)
        await broker.publish(*[(TEMP, str(number)) for number in range(500)])
        samples = await read_until(mqtt, lambda seen: len(seen) >= 500)
    assert [sample.value for sample in samples] == list(range(500))
    assert len({sample.device_time for sample in samples}) == 500


async def test_broker_restart_is_unreachable_and_then_back(broker: Mosquitto) -> None:
    async with opened(connector(broker, TEMP)) as mqtt:
        await read_for(mqtt, 0.3)
        await broker.stop()
        with pytest.raises(Unreachable):
            await read_for(mqtt, 5)
        await mqtt.acknowledge()
    with pytest.raises(Unreachable):
        async with opened(connector(broker, TEMP)):
            pass
    await broker.start()
    await broker.publish((TEMP, "8"))
    async with opened(connector(broker, TEMP)) as back:
        assert await values_of(back, TEMP, 1) == [8]


async def test_tags_without_a_retained_message_wait_for_their_first_value(
    broker: Mosquitto,
) -> None:
    await broker.publish((TEMP, "20"), retain=True)
    async with opened(connector(broker, TEMP, STATE)) as mqtt:
        samples = await read_for(mqtt, 0.6)
        await broker.publish((STATE.partition("#")[0], '{"state": "RUN"}'))
        first = await values_of(mqtt, STATE, 1)
    assert [(s.tag, s.value, s.quality) for s in samples] == [
        (TEMP, 20, GOOD),
        (STATE, None, BAD_WAITING_FOR_INITIAL_DATA),
    ]
    assert first == ["RUN"]


async def test_overlapping_topics_bring_a_message_once(broker: Mosquitto) -> None:
    await broker.publish(("graz/cell-1/temp", "20"), retain=True)
    async with opened(connector(broker, TEMP, "graz/+/temp", "graz/#")) as mqtt:
        samples = await read_for(mqtt, 0.4)
        await broker.publish(("graz/cell-1/temp", "21"))
        samples += await read_for(mqtt, 0.3)
    for tag in (TEMP, "graz/+/temp", "graz/#"):
        assert [s.value for s in samples if s.tag == tag] == [20, 21]


async def test_a_wildcard_reads_more_topics_than_are_remembered(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_TOPICS", 2)
    async with opened(connector(broker, "graz/+/temp", "graz/cell-3/temp")) as mqtt:
        await read_for(mqtt, 0.3)
        for start in (0, 10):
            messages = [(f"graz/cell-{number}/temp", str(start + number)) for number in range(5)]
            await broker.publish(*messages)
        samples = await read_until(mqtt, lambda seen: len(seen) >= 12)
    assert [s.value for s in samples if s.tag == "graz/+/temp"] == [*range(5), *range(10, 15)]
    assert [s.value for s in samples if s.tag == "graz/cell-3/temp"] == [3, 13]


async def test_what_is_for_no_tag_any_more_is_acknowledged_and_passed_over(
    broker: Mosquitto,
) -> None:
    async with opened(connector(broker, TEMP, "graz/old")) as before:
        await read_for(before, 0.3)
    async with opened(connector(broker, TEMP)) as after:
        seen = await read_for(after, 0.3)
        await broker.publish(("graz/old", "1"), ("graz/old", "2"))
        seen += await read_for(after, 0.3)
    async with opened(connector(broker, "graz/old")) as again:
        seen_again = await read_for(again, 0.5)
    assert [(s.tag, s.quality) for s in seen] == [(TEMP, BAD_WAITING_FOR_INITIAL_DATA)]
    assert [s.quality for s in seen_again] == [BAD_WAITING_FOR_INITIAL_DATA]


async def test_one_message_feeds_many_tags_with_its_own_time(broker: Mosquitto) -> None:
    tags = ["cell/s#$.state", "cell/s#$.counters.ok", "cell/s#$.counters.nok"]
    message = {"ts": "2026-03-01T06:00:00.250+01:00", "state": "RUN"}
    message |= {"counters": {"ok": 12, "nok": 1}}
    await broker.publish(("cell/s", json.dumps(message)), retain=True)
    async with opened(connector(broker, *tags, time="$.ts")) as mqtt:
        samples = await read_until(mqtt, lambda seen: len(seen) >= 3)
    at = parse_time("2026-03-01T05:00:00.25Z")
    assert [(s.tag, s.value, s.device_time) for s in samples] == [
        (tags[0], "RUN", at),
        (tags[1], 12, at),
        (tags[2], 1, at),
    ]


async def test_bad_messages_are_named_and_the_next_good_one_arrives(broker: Mosquitto) -> None:
    topic = "cell/s"
    tag = "cell/s#$.state"
    bad = [b"{broken", b"x" * 1_000_000, b'{"other": 1}', b'{"state": "\xff"}', b'{"state": []}']
    async with opened(connector(broker, tag)) as mqtt:
        await read_for(mqtt, 0.3)
        for payload in bad:
            await broker.publish((topic, payload))
        await broker.publish((topic, '{"state": "RUN"}'), (topic, '{"state": null}'), (topic, ""))
        samples = await read_until(mqtt, lambda seen: len(seen) >= len(bad) + 3)
    named = samples[: len(bad)]
    assert {sample.quality for sample in named} == {BAD_DECODING}
    assert [str(sample.value)[:12] for sample in named] == [
        "{broken",
        "xxxxxxxxxxxx",
        '{"other":1}',
        '{"state": "\\',
        "[]",
    ]
    assert len(str(named[1].value)) == 1_000
    assert [(s.value, s.quality) for s in samples[len(bad) :]] == [
        ("RUN", GOOD),
        (None, BAD_NO_DATA),
        (None, BAD_NO_DATA),
    ]


async def test_unreadable_own_time_is_uncertain_and_keeps_the_value(broker: Mosquitto) -> None:
    async with opened(connector(broker, "cell/s#$.v", time="$.ts")) as mqtt:
        await read_for(mqtt, 0.3)
        await broker.publish(("cell/s", '{"v": 1, "ts": "yesterday"}'))
        samples = await read_until(mqtt, lambda seen: len(seen) >= 1)
    assert [(s.value, s.quality) for s in samples] == [(1, UNCERTAIN)]
    assert samples[0].device_time == samples[0].received_time


@dataclass
class Running:
    """A source on its way into the log, as in the platform."""

    runner: SourceRunner
    log: SqliteLog
    said: list[str]

    def stored(self) -> list[float]:
        parcels = self.log.read("raw", 0, 10_000)
        return [number for parcel in parcels for number in parcel.table()["number"].to_pylist()]


@asynccontextmanager
async def running(folder: Path, spec: MqttSource) -> AsyncIterator[Running]:
    wire, whole = plant(mapped("a", "cycle.melt_temp", TEMP), spec=spec)
    log = SqliteLog(folder / "hamburg.sqlite", "hamburg", Keep())
    said: list[str] = []
    runner = SourceRunner(
        wire, whole, log, SystemClock(),
        on_rows=lambda _: None, on_event=lambda event: said.append(event.what),
    )  # fmt: skip
    task = asyncio.create_task(runner.run())
    try:
        yield Running(runner, log, said)
    finally:
        runner.stop()
        await task
        log.close()


async def test_a_broker_that_waits_for_twenty_acknowledgements_does_not_slow_us_down(
    tmp_path: Path,
) -> None:
    """MQTT 3.1.1: one acknowledgement every quarter of a second would be 80 messages a second."""
    broker = Broker(free_port(), tmp_path / "broker", window=20)
    await broker.start()
    try:
        async with running(tmp_path, source(broker, protocol="3.1.1")) as now:
            await until(lambda: now.said == ["connected"], "not connected")
            with stopwatch() as took:
                await publish(broker.port, *[(TEMP, str(number)) for number in range(400)])
                await until(lambda: now.stored()[-1:] == [399], "not all came")
                assert took() < 400 / 80 * 0.8
            assert [number for number in now.stored() if number is not None] == list(range(400))
    finally:
        await broker.stop()


@pytest.mark.parametrize(("protocol", "rests"), [("3.1.1", False), ("5", True)])
async def test_reading_rests_only_while_the_broker_surely_may_send_more(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, protocol: str, *, rests: bool
) -> None:
    asked: list[Callable[[], bool]] = []

    class Watched(Turns):
        def __init__(self, loop: Any, sock: Any, read: Any, may_rest: Callable[[], bool]) -> None:
            asked.append(may_rest)
            super().__init__(loop, sock, read, may_rest)

    monkeypatch.setattr(link, "Turns", Watched)
    async with opened(connector(broker, TEMP, protocol=protocol)) as mqtt:
        await read_for(mqtt, 0.3)
        (may_rest,) = asked
        assert may_rest()
        await broker.publish((TEMP, "1"))
        await read_unacknowledged(mqtt, 1)
        assert may_rest() is rests
        await mqtt.acknowledge()
        assert may_rest()


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_few_messages_still_share_a_transaction(broker: Mosquitto, protocol: str) -> None:
    """More than a few are written as soon as nothing follows: the broker may let no more wait."""
    async with opened(connector(broker, TEMP, protocol=protocol)) as mqtt:
        await read_for(mqtt, 0.3)
        loop = asyncio.get_running_loop()
        for count, rests, early in ((3, 0.25, False), (20, 5.0, True)):
            await broker.publish(*[(TEMP, str(number)) for number in range(count)])
            began = loop.time()
            await mqtt.gather(rests)
            assert (loop.time() - began < 0.8 * rests) is early
            await read_for(mqtt, 0.05)


async def test_wrong_password_is_refused(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, *with_passwords(tmp_path, "isthmus"))
    await broker.start()
    try:
        right = connector(broker, TEMP, user="isthmus", password=SecretStr("secret"))
        async with opened(right):
            waiting = await read_until(right, lambda seen: len(seen) >= 1)
            assert [s.quality for s in waiting] == [BAD_WAITING_FOR_INITIAL_DATA]
        wrong = connector(broker, TEMP, user="isthmus", password=SecretStr("wrong"))
        with pytest.raises(Refused, match=r"[Nn]ot authori[sz]ed|[Bb]ad user name"):
            async with opened(wrong):
                pass
    finally:
        await broker.stop()


async def test_topics_the_broker_denies_are_bad_and_the_others_read(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, *with_subscriptions_only_to(tmp_path, "open/#"))
    await broker.start()
    try:
        await broker.publish(("open/temp", "20"), retain=True)
        async with opened(connector(broker, "open/temp", "secret/temp")) as mqtt:
            samples = await read_for(mqtt, 0.5)
        with pytest.raises(Refused, match="secret/temp"):
            async with opened(connector(broker, "secret/temp")):
                pass
    finally:
        await broker.stop()
    assert {(s.tag, s.value, s.quality) for s in samples} == {
        ("secret/temp", None, BAD_USER_ACCESS_DENIED),
        ("open/temp", 20, GOOD),
    }


@dataclass(frozen=True)
class Secured:
    """A broker that wants TLS, a client certificate and a password."""

    folder: Path
    port: int
    broker: Mosquitto

    def connector(
        self, client: str, *, password: str = PASSWORD, ca: str = "plant"
    ) -> AnyConnector:
        tls = Tls(
            ca=self.file(f"{ca}.pem"),
            cert=self.file(f"{client}.pem"),
            key=self.file(f"{client}.key"),
        )
        return self.with_tls(tls, password)

    def with_tls(self, tls: Tls, password: str = PASSWORD) -> AnyConnector:
        made = connector(self.broker, TEMP, tls=tls, user="isthmus", password=SecretStr(password))
        made.spec = made.spec.model_copy(update={"port": self.port})
        return made

    def file(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    for name, issuer in {"plant": "", "broker": "plant", "ours": "plant", "stranger": ""}.items():
        certificate(tmp_path, name, issuer)
    port = free_port()
    broker = Mosquitto(
        tmp_path, *with_passwords(tmp_path, "isthmus"),
        f"listener {port} 127.0.0.1",
        f"cafile {tmp_path}/plant.pem",
        f"certfile {tmp_path}/broker.pem",
        f"keyfile {tmp_path}/broker.key",
        "require_certificate true",
    )  # fmt: skip
    await broker.start()
    yield Secured(tmp_path, port, broker)
    await broker.stop()


async def test_tls_with_client_certificate_and_password_reads(secured: Secured) -> None:
    async with opened(secured.connector("ours")) as mqtt:
        [waiting] = await read_until(mqtt, lambda seen: len(seen) >= 1)
    assert waiting.quality == BAD_WAITING_FOR_INITIAL_DATA


async def test_what_tls_or_the_broker_does_not_trust_is_refused_with_the_reason(
    secured: Secured,
) -> None:
    ca = secured.file("plant.pem")
    refused = {
        "certificate not trusted": secured.connector("ours", ca="stranger"),
        "[Nn]ot authori[sz]ed|[Bb]ad user name": secured.connector("ours", password="wrong"),
        "refuses our certificate .*unknown ca": secured.connector("stranger"),
        "refuses our certificate .*certificate required": secured.with_tls(Tls(ca=ca)),
        "cannot read a certificate": secured.with_tls(Tls(ca=secured.file("absent.pem"))),
    }
    for reason, doubted in refused.items():
        with pytest.raises(Refused, match=reason):
            async with opened(doubted):
                pass


async def test_a_probe_leaves_the_session_of_the_platform_alone(broker: Mosquitto) -> None:
    async with opened(connector(broker, TEMP)) as platform:
        await read_for(platform, 0.3)
        probe = MqttConnector("cell-1", source(broker).for_probe(), [TEMP], SystemClock())
        async with opened(probe):
            await broker.publish((TEMP, "1"))
            assert await values_of(probe, TEMP, 1) == [1]
        assert await values_of(platform, TEMP, 1) == [1]


def test_password_is_not_shown() -> None:
    spec = MqttSource(host="broker", user="isthmus", password=SecretStr("hidden"))
    assert "hidden" not in repr(spec)


def test_time_that_is_no_path_is_a_problem() -> None:
    with pytest.raises(ValidationError, match="is no JSONPath"):
        MqttSource(host="broker", time="ts")


async def test_topics_are_compared_with_wildcards_only(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with each would take minutes for some ten thousand."""
    compared: list[tuple[str, str]] = []

    def counting(topic_filter: str, by: str) -> bool:
        compared.append((topic_filter, by))
        return is_covered(topic_filter, by)

    monkeypatch.setattr(module, "is_covered", counting)
    topics = [f"graz/cell-{number}/temp" for number in range(200)]
    async with opened(connector(broker, *topics, "graz/+/state")):
        assert len(compared) == len(topics) + 1
