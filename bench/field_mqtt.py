"""What reading MQTT and Sparkplug costs, beside Node-RED and Telegraf at the same broker.

`python -m bench field_mqtt` prints the figures and writes bench/results/field_mqtt.json. Debian's
mosquitto and the publisher run in processes of their own; all readers get the same messages, one
after the other, and what counts is the CPU time of the reading process. With QoS 1 ours
acknowledges a message once it is synced on disk (`shape and log`), the others when they have it.
"""

from functools import partial

from bench.devices import mqtt, sparkplug
from bench.devices.process import device
from bench.peers import node_red, reading, telegraf
from bench.peers.comparison import Comparison, versions, with_telegraf
from bench.result import save

from isthmus.field.connectors.mqtt import MqttSource
from isthmus.field.connectors.sparkplug import SparkplugSource
from isthmus.testing.tcp_proxy import LOOPBACK

SECONDS = 10.0
TOPICS = 1_000
MESSAGES = 5_000
METRICS = 100
"""Of each device, all in one message."""
METRICS_PER_SECOND = 10_000
TELEGRAF_FLUSHES_MS = 250


def compare_mqtt(*, qos: int, as_json: bool) -> Comparison:
    """A number per message, plain or in a small JSON object."""
    path = "#$.v" if as_json else ""
    tags = [mqtt.topic(number) + path for number in range(TOPICS)]
    with (
        mqtt.broker() as port,
        mqtt.published(port, TOPICS, MESSAGES, qos=qos, as_json=as_json),
    ):
        spec = MqttSource(host=LOOPBACK, port=port, qos=1 if qos else 0, session="clean")
        alone = reading.alone(spec, tags, SECONDS)
        whole = reading.whole(spec, tags, SECONDS)
        flow = node_red.mqtt(port, qos, as_json=as_json)
        others = {"Node-RED": node_red.measure(flow, SECONDS)}
        inputs = telegraf.mqtt(port, qos, as_json=as_json)
        discarding, keeping = with_telegraf(
            partial(
                telegraf.measure, inputs, "mqtt_consumer", SECONDS, interval_ms=TELEGRAF_FLUSHES_MS
            )
        )
    others |= discarding
    what = f"MQTT, {'JSON' if as_json else 'plain'}, QoS {qos}"
    return Comparison(what, "messages", alone, whole, others, keeping)


def measure_sparkplug() -> Comparison:
    """An edge node with ten devices; nobody beside us here."""
    tags = sparkplug.tags(METRICS)
    with mqtt.broker() as port, device(sparkplug.serve, port, METRICS, METRICS_PER_SECOND):
        spec = SparkplugSource(host=LOOPBACK, port=port, rebirth=True)
        alone = reading.alone(spec, tags, SECONDS)
        whole = reading.whole(spec, tags, SECONDS)
    return Comparison(f"Sparkplug, {METRICS} metrics a message", "metrics", alone, whole)


def main() -> None:
    found = {
        "mqtt_plain_qos_0": compare_mqtt(qos=0, as_json=False),
        "mqtt_json_qos_1": compare_mqtt(qos=1, as_json=True),
        "sparkplug": measure_sparkplug(),
    }
    figures = [figure for one in found.values() for figure in one.figures()]
    details = {name: one.as_dict() for name, one in found.items()}
    loads = {
        "mqtt": f"packets written by a publisher of our own: {MESSAGES} messages a second on "
        f"{TOPICS} topics, a tag each, through mosquitto",
        "sparkplug": f"{METRICS_PER_SECOND} metrics a second, {METRICS} a message, half integers, "
        "half floats, written by protobuf's own library, through mosquitto",
    }
    what = "messages and metrics read per CPU second, beside Node-RED and Telegraf"
    save("field_mqtt", what, figures, {"loads": loads, "versions": versions(), **details})


if __name__ == "__main__":
    main()
