"""What reading OPC UA, Modbus and S7 costs, beside Node-RED and Telegraf at the same devices.

`python -m bench field` prints the figures and writes bench/results/field.json. Every device runs
in a process of its own and offers the same load to all of its readers, one after the other; what
counts is the CPU time of the reading process. Node-RED is installed on first use (npm), Telegraf
built where a Go toolchain is present. Both only count or discard what they read: nothing is stored.
"""

from functools import partial

from bench.devices import modbus, opcua, s7
from bench.devices.process import device
from bench.peers import node_red, reading, telegraf
from bench.peers.comparison import Comparison, versions, with_telegraf
from bench.result import save

from isthmus.field.connectors.modbus import ModbusSource
from isthmus.field.connectors.opcua import OpcuaSource
from isthmus.field.connectors.s7 import S7Source
from isthmus.testing.tcp_proxy import LOOPBACK

SECONDS = 10.0
INTERVAL_MS = 100
INTERVAL = INTERVAL_MS / 1000
NODES = 2_000
CHANGES_PER_NODE = 5
"""A second: half as often as the server publishes, so that a queue of one loses none."""
REGISTERS = 1_000
PER_REQUEST = 125
REALS = 1_000


def compare_opcua() -> Comparison:
    """node-opcua's server; all nodes change five times a second."""
    tags = opcua.tags(NODES)
    with opcua.server(NODES, CHANGES_PER_NODE) as server:
        endpoint = f"opc.tcp://{LOOPBACK}:{server.port}"
        spec = OpcuaSource(endpoint=endpoint, interval=INTERVAL, sampling=INTERVAL)
        alone = reading.alone(spec, tags, SECONDS)
        whole = reading.whole(spec, tags, SECONDS)
        others = {
            "Node-RED": node_red.measure(node_red.opcua(server.port, tags, INTERVAL_MS), SECONDS)
        }
        inputs = telegraf.opcua(server.port, tags, INTERVAL_MS)
        discarding, keeping = with_telegraf(
            partial(telegraf.measure, inputs, "opcua_listener", SECONDS, interval_ms=INTERVAL_MS)
        )
    others |= discarding
    return Comparison(f"OPC UA, {NODES:,} nodes", "changes", alone, whole, others, keeping)


def compare_modbus() -> Comparison:
    """Everything changes between two polls; a register is a tag of ours, a part of their array."""
    tags = [f"holding:{number}" for number in range(REGISTERS)]
    with device(modbus.serve, REGISTERS) as port:
        spec = ModbusSource(host=LOOPBACK, port=port, interval=INTERVAL)
        alone = reading.alone(spec, tags, SECONDS)
        whole = reading.whole(spec, tags, SECONDS)
        arrays = node_red.modbus(port, REGISTERS, PER_REQUEST, INTERVAL_MS)
        single = node_red.one_message_each(arrays)
        others = {
            "Node-RED, arrays of 125": node_red.measure(arrays, SECONDS),
            "Node-RED, a message each": node_red.measure(single, SECONDS),
        }
        inputs = telegraf.modbus(port, REGISTERS, PER_REQUEST)
        discarding, keeping = with_telegraf(
            partial(
                telegraf.measure, inputs, "modbus", SECONDS, interval_ms=INTERVAL_MS,
                values=REGISTERS,
            )
        )  # fmt: skip
    others |= discarding
    return Comparison(
        f"Modbus, {REGISTERS:,} registers", "registers", alone, whole, others, keeping
    )


def measure_s7() -> Comparison:
    """python-snap7's server; nobody beside us here."""
    tags = s7.tags(REALS)
    with device(s7.serve, REALS) as port:
        spec = S7Source(host=LOOPBACK, port=port, interval=INTERVAL)
        alone = reading.alone(spec, tags, SECONDS)
        whole = reading.whole(spec, tags, SECONDS)
    return Comparison(f"S7, {REALS:,} REALs", "values", alone, whole)


def main() -> None:
    found = {"opcua": compare_opcua(), "modbus": compare_modbus(), "s7": measure_s7()}
    figures = [figure for one in found.values() for figure in one.figures()]
    details = {name: one.as_dict() for name, one in found.items()}
    loads = {
        "opcua": f"node-opcua's server: {NODES} nodes (Double, Float, Int32, Boolean, String) that "
        f"change {CHANGES_PER_NODE} times a second, published every {INTERVAL_MS} ms",
        "modbus": f"asyncio server: {REGISTERS} registers, polled every {INTERVAL_MS} ms in reads "
        f"of {PER_REQUEST}, all changed",
        "s7": f"python-snap7's server: {REALS} REALs, polled every {INTERVAL_MS} ms, all changed",
    }
    what = "values read per CPU second of the reading process, beside Node-RED and Telegraf"
    save("field", what, figures, {"loads": loads, "versions": versions(), **details})


if __name__ == "__main__":
    main()
