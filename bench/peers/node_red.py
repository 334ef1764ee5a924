"""Node-RED beside us: flows that read the same and end in a node that only counts."""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.peers.cost import Cost
from bench.peers.install import FOLDER, node

from isthmus.testing.peer import Peer
from isthmus.testing.tcp_proxy import LOOPBACK

Flow = list[dict[str, Any]]
_TAB = {"id": "tab", "type": "tab", "label": "bench"}
_PLACE = {"z": "tab", "x": 0, "y": 0}
"""Without a place on a tab Node-RED takes a node for a configuration."""
_TALLY = {"id": "tally", "type": "tally", **_PLACE, "wires": []}
WARM_UP = 2.0
_FIRST_VALUES_WITHIN = 30.0
MB = 2**20


def measure(flow: Flow, seconds: float) -> Cost:
    """Run the flow; once values come and have become steady, count for so long."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "flows.json").write_text(json.dumps([_TAB, *flow, _TALLY]))
        with Peer([node(), "node_red.mjs", folder], FOLDER) as running:
            _wait_for_values(running)
            time.sleep(WARM_UP)
            first, begun = _report(running), time.perf_counter()
            time.sleep(seconds)
            last, ended = _report(running), time.perf_counter()
    values, cpu = last["values"] - first["values"], last["cpu_s"] - first["cpu_s"]
    return Cost(values, ended - begun, cpu, last["rss"] / MB)


def versions() -> dict[str, str]:
    """Of Node-RED and its nodes, as installed."""
    names = ("node-red", "node-red-contrib-opcua", "node-red-contrib-modbus", "node-opcua")
    return {name: _version(name) for name in names}


# Flows -------------------------------------------------------------------------------------------


def opcua(port: int, tags: Sequence[str], interval_ms: int) -> Flow:
    """One subscription to all nodes; each value becomes a message, as its subscribe does it."""
    endpoint = {
        "id": "endpoint", "type": "OpcUa-Endpoint", "endpoint": f"opc.tcp://{LOOPBACK}:{port}",
        "secpol": "None", "secmode": "None", "none": True, "login": False, "usercert": False,
    }  # fmt: skip
    start = {
        "id": "start", "type": "inject", **_PLACE, "once": True, "onceDelay": 1,
        "props": [
            {"p": "topic", "v": "multiple", "vt": "str"},
            {"p": "interval", "v": str(interval_ms), "vt": "num"},
            {"p": "payload", "v": json.dumps([{"nodeId": tag} for tag in tags]), "vt": "json"},
        ],
        "wires": [["client"]],
    }  # fmt: skip
    client = {
        "id": "client", "type": "OpcUa-Client", **_PLACE, "endpoint": "endpoint",
        "action": "subscribe", "time": str(interval_ms), "timeUnit": "ms", "certificate": "n",
        "wires": [["tally"], [], []],
    }  # fmt: skip
    return [endpoint, start, client]


def modbus(port: int, registers: int, per_request: int, interval_ms: int) -> Flow:
    """A read node per request; each answer is one message with an array of registers."""
    device = {
        "id": "device", "type": "modbus-client", "clienttype": "tcp", "bufferCommands": True,
        "tcpHost": LOOPBACK, "tcpPort": str(port), "tcpType": "DEFAULT", "unit_id": "1",
        "commandDelay": "1", "clientTimeout": "1000", "reconnectOnTimeout": True,
        "reconnectTimeout": "2000", "parallelUnitIdsAllowed": True,
    }  # fmt: skip
    reads = [
        {
            "id": f"read{start}", "type": "modbus-read", **_PLACE, "server": "device",
            "name": "", "topic": f"from {start}", "unitid": "1", "dataType": "HoldingRegister",
            "adr": str(start), "quantity": str(min(per_request, registers - start)),
            "rate": str(interval_ms), "rateUnit": "ms", "showStatusActivities": False,
            "wires": [["tally"], []],
        }
        for start in range(0, registers, per_request)
    ]  # fmt: skip
    return [device, *reads]


def mqtt(port: int, qos: int, *, as_json: bool) -> Flow:
    broker = {
        "id": "broker", "type": "mqtt-broker", "broker": LOOPBACK, "port": str(port),
        "clientid": "node-red", "autoConnect": True, "usetls": False, "protocolVersion": "4",
        "keepalive": "60", "cleansession": True,
    }  # fmt: skip
    read = {
        "id": "read", "type": "mqtt in", **_PLACE, "topic": "plant/#", "qos": str(qos),
        "datatype": "json" if as_json else "utf8", "broker": "broker", "inputs": 0,
        "wires": [["tally"]],
    }  # fmt: skip
    return [broker, read]


def one_message_each(flow: Flow) -> Flow:
    """The same, with arrays split: a message per value, as whoever stores single values needs."""
    split = {
        "id": "split", "type": "split", **_PLACE, "splt": "\\n", "spltType": "str",
        "arraySplt": 1, "arraySpltType": "len", "wires": [["tally"]],
    }  # fmt: skip
    turned = [
        one | {"wires": [["split" if to == "tally" else to for to in port] for port in wires]}
        if (wires := one.get("wires"))
        else one
        for one in flow
    ]
    return [*turned, split]


# -------------------------------------------------------------------------------------------------


def _wait_for_values(running: Peer) -> None:
    deadline = time.monotonic() + _FIRST_VALUES_WITHIN
    while not _report(running)["values"]:
        if time.monotonic() > deadline:
            raise TimeoutError("Node-RED runs, but its flow brings no values")
        time.sleep(0.1)


def _report(running: Peer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(running.tell())
    return found


def _version(package: str) -> str:
    text = (FOLDER / "node_modules" / package / "package.json").read_text("utf-8")
    version: str = json.loads(text)["version"]
    return version
