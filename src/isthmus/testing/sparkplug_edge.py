"""A Sparkplug edge node with its devices: keeps the rules, breaks them where a test asks for it."""

import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from isthmus.field.connectors.sparkplug.proto import messages

INT64: Final = 4
DOUBLE: Final = 10
BOOLEAN: Final = 11
STRING: Final = 12

_FORMS: Final[Mapping[int, str]] = {
    **dict.fromkeys((1, 2, 3, 5, 6, 7), "int_value"),
    **dict.fromkeys((4, 8, 13), "long_value"),
    9: "float_value",
    10: "double_value",
    11: "boolean_value",
    **dict.fromkeys((12, 14, 15), "string_value"),
    16: "dataset_value",
    19: "template_value",
}
"""Data type → field that carries it; all others are bytes."""


@dataclass
class Metric:
    """One metric with its present value in wire form; `value` None is null."""

    name: str
    datatype: int
    value: Any = None
    at: int = 0
    """Milliseconds; when it became so."""
    properties: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """Key → data type and value."""


def fill(holder: Any, datatype: int, value: Any) -> None:
    """Put a value into a metric, property, parameter or cell."""
    form = _FORMS.get(datatype, "bytes_value")
    if form in {"dataset_value", "template_value"}:
        getattr(holder, form).CopyFrom(value)
        return
    if form in {"int_value", "long_value"} and value < 0:
        value += 1 << (32 if form == "int_value" else 64)
    setattr(holder, form, value)


class SparkplugEdge:
    """One edge node. Every command it gets is recorded; it obeys a rebirth only."""

    def __init__(self, port: int, group: str = "plant", node: str = "edge-1") -> None:
        self.port = port
        self.group = group
        self.node = node
        self.primary = ""
        """Births wait until this host application is online."""
        self.aliases = True
        self.obeys = True
        self.owners: dict[str, list[Metric]] = {
            "": [Metric("Node Control/Rebirth", BOOLEAN, value=False)]
        }
        """Device, or empty: the node → its metrics."""
        self.commands: list[tuple[str, Any]] = []
        """Topics and payloads of everything that anybody wrote to us."""
        self.births = 0
        self.bd_seq = -1
        self.seq = 0
        self._host_online = False
        self._lock = threading.RLock()
        self._subscribed = threading.Event()
        self._heard: SimpleQueue[MQTTMessage | None] = SimpleQueue()
        self._client: Client | None = None

    def add(self, device: str, *metrics: Metric) -> None:
        for metric in metrics:
            metric.at = metric.at or now_ms()
            self.owners.setdefault(device, []).append(metric)

    # Connection ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect; births come as soon as the host, if there is a primary one, is online."""
        self.bd_seq = (self.bd_seq + 1) % 256
        self._host_online = not self.primary
        self._subscribed.clear()
        client = Client(
            CallbackAPIVersion.VERSION2, f"{self.group}-{self.node}", reconnect_on_failure=False
        )
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = self._on_message
        client.will_set(self.topic("NDEATH"), self.death(), qos=1)
        client.connect("127.0.0.1", self.port)
        self._client, self._heard = client, SimpleQueue()
        # Not paho's own thread: that one must not wait for our publications.
        threading.Thread(target=self._listen, args=(self._heard,), daemon=True).start()
        client.loop_start()
        assert self._subscribed.wait(10), "the broker does not answer the edge node"
        if not self.primary:
            self.birth()

    def stop(self) -> None:
        """Say goodbye as the specification wants it."""
        if self._client is not None:
            self._publish("NDEATH", self.death(), qos=1)
            client, self._client = self._client, None
            self._heard.put(None)
            client.disconnect()
            client.loop_stop()

    def kill(self) -> None:
        """Break the connection: the broker publishes our will."""
        client, self._client = self._client, None
        assert client is not None
        self._heard.put(None)
        sock: Any = client.socket()
        sock.shutdown(socket.SHUT_RDWR)
        client.loop_stop()

    # What it says --------------------------------------------------------------------------------

    def birth(self) -> None:
        """The complete birth sequence."""
        with self._lock:
            self.births += 1
            self.seq = 0
            self.say("NBIRTH", metrics=[Metric("bdSeq", INT64, self.bd_seq), *self.owners[""]])
            for device in self.owners:
                if device:
                    self.device_birth(device)

    def device_birth(self, device: str) -> None:
        self.say("DBIRTH", device, metrics=self.owners[device])

    def device_death(self, device: str) -> None:
        self.say("DDEATH", device)

    def set(self, device: str, name: str, value: Any, **options: Any) -> None:
        """A metric changes, and is published."""
        metric = self.metric(device, name)
        metric.value, metric.at = value, options.pop("at", 0) or max(now_ms(), metric.at + 1)
        self.say("DDATA" if device else "NDATA", device, metrics=[metric], **options)

    def metric(self, device: str, name: str) -> Metric:
        return next(metric for metric in self.owners[device] if metric.name == name)

    def say(
        self, kind: str, device: str = "", *, metrics: list[Metric] | None = None, **options: Any
    ) -> None:
        """Publish; `historical`, `seq` and `at` (of the payload) may be set."""
        with self._lock:
            self.send(kind, device, self.payload(kind, device, metrics or [], **options))

    def payload(
        self, kind: str, device: str, metrics: list[Metric], *,
        historical: bool = False, seq: int | None = None, at: int = 0,
    ) -> Any:  # fmt: skip
        """Build the payload of the next message; it takes the next sequence number."""
        payload = messages().Payload(timestamp=at or now_ms(), seq=self.seq if seq is None else seq)
        if seq is None:
            self.seq = (self.seq + 1) % 256
        for metric in metrics:
            made = payload.metrics.add(timestamp=metric.at or now_ms())
            self._name(made, kind, device, metric)
            _fill_metric(made, metric, historical=historical)
        return payload

    def send(self, kind: str, device: str, payload: Any) -> None:
        self._publish(kind, payload.SerializeToString(), device)

    def publish(self, kind: str, payload: bytes, device: str = "") -> None:
        """Any bytes, also such as are no payload."""
        self._publish(kind, payload, device)

    def death(self) -> bytes:
        payload = messages().Payload(timestamp=now_ms())
        payload.metrics.add(name="bdSeq", datatype=INT64, long_value=self.bd_seq)
        encoded: bytes = payload.SerializeToString()
        return encoded

    def topic(self, kind: str, device: str = "") -> str:
        owner = f"spBv1.0/{self.group}/{kind}/{self.node}"
        return f"{owner}/{device}" if device else owner

    def _name(self, made: Any, kind: str, device: str, metric: Metric) -> None:
        birth = kind.endswith("BIRTH")
        alias = self._alias(device, metric)
        if birth or alias is None:
            made.name = metric.name
        if birth:
            made.datatype = metric.datatype
        if alias is not None:
            made.alias = alias

    def _alias(self, device: str, metric: Metric) -> int | None:
        """Unique over the whole node; none for what commands must name."""
        if not self.aliases or metric.name in {"bdSeq", "Node Control/Rebirth"}:
            return None
        owner = list(self.owners).index(device)
        return owner * 1_000 + [known.name for known in self.owners[device]].index(metric.name)

    def _publish(self, kind: str, payload: bytes, device: str = "", qos: int = 0) -> None:
        assert self._client is not None, "the edge node is not connected"
        self._client.publish(self.topic(kind, device), payload, qos).wait_for_publish(10)

    # What it hears -------------------------------------------------------------------------------

    def _on_connect(self, client: Client, *_: Any) -> None:
        topics = [(self.topic("NCMD"), 1), (self.topic("DCMD", "+"), 1)]
        if self.primary:
            topics.append((f"spBv1.0/STATE/{self.primary}", 1))
        client.subscribe(topics)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self._heard.put(message)

    def _listen(self, heard: "SimpleQueue[MQTTMessage | None]") -> None:
        while (message := heard.get()) is not None:
            if message.topic.startswith("spBv1.0/STATE/"):
                self._hear_state(bytes(message.payload))
            else:
                self._hear_command(message)

    def _hear_command(self, message: MQTTMessage) -> None:
        payload = messages().Payload.FromString(bytes(message.payload))
        self.commands.append((message.topic, payload))
        if self.obeys and any(metric.boolean_value for metric in payload.metrics):
            self.birth()

    def _hear_state(self, payload: bytes) -> None:
        online = b'"online":true' in payload
        with self._lock:
            begins, self._host_online = online and not self._host_online, online
            if begins:
                self.birth()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _fill_metric(made: Any, metric: Metric, *, historical: bool) -> None:
    if metric.value is None:
        made.is_null = True
    else:
        fill(made, metric.datatype, metric.value)
    if historical:
        made.is_historical = True
    for key, (datatype, value) in metric.properties.items():
        made.properties.keys.append(key)
        fill(made.properties.values.add(type=datatype), datatype, value)
