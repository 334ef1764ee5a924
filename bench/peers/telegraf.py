"""Telegraf beside us: inputs that read the same; what they read is thrown away, or written down."""

import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from bench.peers.cost import Cost
from bench.peers.install import TELEGRAF, telegraf

from isthmus.testing.tcp_proxy import LOOPBACK

WARM_UP = 2.0
_FIRST_VALUES_WITHIN = 30.0
_ENDS_WITHIN = 10.0
MB = 2**20
_AGENT = """
[agent]
  interval = "{interval_ms}ms"
  flush_interval = "250ms"
  metric_batch_size = 10000
  metric_buffer_limit = 1000000
  omit_hostname = true
  skip_processors_after_aggregators = true
  quiet = true
[[outputs.file]]
  files = ["{told}"]
  data_format = "influx"
  namepass = ["internal_gather"]
[[inputs.internal]]
  interval = "500ms"
  collect_memstats = false
"""
_DISCARD = """
[[outputs.discard]]
"""
_FILE = """
[[outputs.file]]
  files = ["{stored}"]
  data_format = "influx"
  namedrop = ["internal_*"]
"""
"""Lines of text given to the operating system; nothing waits until they are on disk."""


def measure(
    inputs: str,
    kind: str,
    seconds: float,
    *,
    interval_ms: int,
    values: int = 1,
    stores: bool = False,
) -> Cost:
    """Run with these inputs of one kind, whose metrics have so many `values` each.

    `stores`: what it reads goes into a file; else it is thrown away.
    """
    program = telegraf()
    if program is None:
        raise FileNotFoundError("no Go toolchain here to build Telegraf with")
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "told")
        config = Path(folder, "telegraf.conf")
        output = _FILE.format(stored=Path(folder, "stored")) if stores else _DISCARD
        agent = _AGENT.format(interval_ms=interval_ms, told=told)
        config.write_text(agent + output + inputs)
        running = subprocess.Popen([program, "--config", str(config)], stderr=subprocess.DEVNULL)
        try:
            _next_count(told, kind)
            time.sleep(WARM_UP)
            first, begun, cpu = _next_count(told, kind), time.perf_counter(), _cpu(running.pid)
            time.sleep(seconds)
            last, ended, spent = _next_count(told, kind), time.perf_counter(), _cpu(running.pid)
            memory = psutil.Process(running.pid).memory_info().rss / MB
        finally:
            running.terminate()
            running.wait(_ENDS_WITHIN)
    return Cost((last - first) * values, ended - begun, spent - cpu, memory)


def version() -> str:
    return TELEGRAF


# Inputs ------------------------------------------------------------------------------------------


def opcua(port: int, tags: Sequence[str], interval_ms: int) -> str:
    nodes = ",\n".join(
        f'{{name="{tag}", namespace="2", identifier_type="s", '
        f'identifier="{tag.removeprefix("ns=2;s=")}"}}'
        for tag in tags
    )
    return f"""
[[inputs.opcua_listener]]
  endpoint = "opc.tcp://{LOOPBACK}:{port}"
  subscription_interval = "{interval_ms}ms"
  security_policy = "None"
  security_mode = "None"
  timestamp = "source"
  nodes = [{nodes}]
"""


def modbus(port: int, registers: int, per_request: int) -> str:
    """All registers of a poll come as one metric."""
    requests = [
        range(at, min(at + per_request, registers)) for at in range(0, registers, per_request)
    ]
    head = f"""
[[inputs.modbus]]
  name = "device"
  controller = "tcp://{LOOPBACK}:{port}"
  configuration_type = "request"
"""
    return head + "".join(_request(addresses) for addresses in requests)


def mqtt(port: int, qos: int, *, as_json: bool) -> str:
    form = (
        'data_format = "json"\n  json_query = ""\n  fieldinclude = ["v"]'
        if as_json
        else 'data_format = "value"\n  data_type = "float"'
    )
    return f"""
[[inputs.mqtt_consumer]]
  servers = ["tcp://{LOOPBACK}:{port}"]
  topics = ["plant/#"]
  qos = {qos}
  max_undelivered_messages = 10000
  {form}
"""


def _request(addresses: range) -> str:
    fields = ",\n".join(f'{{address={one}, name="r{one}", type="UINT16"}}' for one in addresses)
    return f"""
  [[inputs.modbus.request]]
    slave_id = 1
    byte_order = "ABCD"
    register = "holding"
    fields = [{fields}]
"""


# -------------------------------------------------------------------------------------------------


def _next_count(told: Path, kind: str) -> int:
    """What Telegraf says next of how much it gathered; it tells twice a second."""
    before, deadline = _counts(told, kind), time.monotonic() + _FIRST_VALUES_WITHIN
    while time.monotonic() < deadline:
        now = _counts(told, kind)
        if len(now) > len(before) and now[-1]:
            return now[-1]
        time.sleep(0.01)
    raise TimeoutError(f"Telegraf runs, but `{kind}` brings no values")


def _counts(told: Path, kind: str) -> list[int]:
    if not told.exists():
        return []
    lines = told.read_text("utf-8").splitlines()
    return [
        int(field.removeprefix("metrics_gathered=").rstrip("i"))
        for line in lines
        if f"input={kind}," in line
        for field in line.split(" ")[1].split(",")
        if field.startswith("metrics_gathered=")
    ]


def _cpu(process: int) -> float:
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)
