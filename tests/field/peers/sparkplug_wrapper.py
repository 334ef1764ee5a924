"""An edge node and its device by mqtt-spb-wrapper, told what to do on stdin.

    python sparkplug_wrapper.py BROKER_PORT

Prints `ready BROKER_PORT` when both are connected, then reads lines of JSON:

    {"birth": {"Up": [true, "Boolean"]}, "device": {"Temp": [23.5, "Double", 2]}}
        value, type and (if there is one) alias of their metrics; both births, from now on
    {"data": {"Temp": 24.5}}                    what changed at the device
    {"data": {"Temp": [1.5, 2.5]}, "times": [1790000000000, 1790000001000]}
    {"node_data": {"Up": false}}
    {"retire": true}                            the device says goodbye
    {"stop": true}                              both say goodbye
    {"die": true}                               the process ends like one whose power is cut

and answers `done` to each; a rebirth is obeyed. Node and device have a connection each: so does the
library want it.
"""

import base64
import json
import os
import sys
import threading
from datetime import datetime
from uuid import UUID

import paho.mqtt.client as mqtt
from mqtt_spb_wrapper import MqttSpbEntityDevice, MqttSpbEntityEdgeNode
from mqtt_spb_wrapper.spb_protobuf import MetricDataType

PORT = int(sys.argv[1])
PATIENCE = 10.0
"""Seconds for a birth to be at the broker."""
NATIVE = {"Bytes": base64.b64decode, "DateTime": datetime.fromisoformat, "UUID": UUID}

there = {"NBIRTH": threading.Event(), "DBIRTH": threading.Event()}
listener = mqtt.Client()
listener.on_message = lambda _client, _data, message: there[message.topic.split("/")[2]].set()
node = MqttSpbEntityEdgeNode("hall", "wrapper", include_spb_rebirth=False)
device = MqttSpbEntityDevice("hall", "wrapper", "press")


def birth():
    """Of both; the thread returned ends when both are at the broker, one after the other.

    They go over two connections: only who listens there knows that one is before the other.
    """
    for seen in there.values():
        seen.clear()
    node.publish_birth()
    behind = threading.Thread(target=follow)
    behind.start()
    return behind


def follow():
    there["NBIRTH"].wait(PATIENCE)
    device.publish_birth()
    there["DBIRTH"].wait(PATIENCE)


def reborn(wanted):
    if wanted:
        birth()


def describe(entity, metrics):
    for name, (value, type_, *alias) in metrics.items():
        entity.data.set_value(
            name,
            NATIVE.get(type_, lambda same: same)(value),
            spb_data_type=getattr(MetricDataType, type_),
            spb_alias_num=alias[0] if alias else None,
        )


def change(entity, values, times=None):
    for name, value in values.items():
        entity.data.set_value(name, value, timestamp=times)
    entity.publish_data()


def obey(command):
    if "birth" in command:
        describe(node, command["birth"])
        describe(device, command["device"])
        birth().join()
    elif "data" in command:
        change(device, command["data"], command.get("times"))
    elif "node_data" in command:
        change(node, command["node_data"])
    elif "retire" in command:
        device.disconnect()
    elif "stop" in command:
        device.disconnect()
        node.disconnect()
    elif "die" in command:
        print("done", flush=True)  # noqa: T201 - `Peer` waits for it
        os._exit(1)


# Its own command `Node Control/Rebirth` breaks the connection: what it calls is no function.
node.commands.set_value("Node Control/Rebirth", value=False, callback_on_change=reborn)
device.attributes.set_value("maker", "ACME")
subscribed = threading.Event()
listener.on_subscribe = lambda *_: subscribed.set()
listener.connect("127.0.0.1", PORT)
listener.subscribe([("spBv1.0/hall/NBIRTH/#", 0), ("spBv1.0/hall/DBIRTH/#", 0)])
listener.loop_start()
subscribed.wait(PATIENCE)
for entity in (node, device):
    if not entity.connect("127.0.0.1", PORT):
        sys.exit(f"no broker at port {PORT}")
print(f"ready {PORT}", flush=True)  # noqa: T201
for line in sys.stdin:
    obey(json.loads(line))
    print("done", flush=True)  # noqa: T201
os._exit(0)  # the library's threads go on for ever
