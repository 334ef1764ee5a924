"""Installs what we are measured beside, on first use; a peer that cannot be here is None."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
TELEGRAF: Final = "v1.37.2"
_TELEGRAF_PLUGINS: Final = (
    "inputs.internal", "inputs.modbus", "inputs.mqtt_consumer", "inputs.opcua_listener",
    "outputs.discard", "outputs.file", "parsers.value", "parsers.json", "serializers.influx",
)  # fmt: skip
_BUILDS_WITHIN: Final = 600


def node() -> str:
    """Path of Node with everything of package.json beside it; FileNotFoundError without Node."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        raise FileNotFoundError("no Node.js here: Node-RED and the OPC UA server need it")
    if not (FOLDER / "node_modules" / "node-red").is_dir():
        # Their scripts only build faster variants of what is there already.
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=FOLDER, check=True, stdout=subprocess.DEVNULL)
    return program


def telegraf() -> str | None:
    """Path of a Telegraf with the few plugins we need; None without a Go toolchain."""
    built = FOLDER / "node_modules" / ".telegraf" / TELEGRAF / "telegraf"
    if built.exists():
        return str(built)
    go = shutil.which("go")
    if go is None:
        return None
    tags = ",".join(("custom", *_TELEGRAF_PLUGINS))
    package = f"github.com/influxdata/telegraf/cmd/telegraf@{TELEGRAF}"
    subprocess.run(
        [go, "install", "-tags", tags, package],
        env=os.environ | {"GOBIN": str(built.parent)}, check=True, timeout=_BUILDS_WITHIN,
    )  # fmt: skip
    return str(built)
