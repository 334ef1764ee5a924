"""The plant's MQTT broker: nats-server with its MQTT gateway, a child process on loopback.

Good enough for live cells whose last message is retained; the reference company does not keep
data on it (see docs/decisions).
"""

import asyncio
import json
import shutil
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path

from isthmus.testing.sim.devices import HOST, wait_for_port


class Broker:
    """Start, stop, start again: retained messages survive in its folder."""

    def __init__(self, port: int, folder: Path, window: int = 1024) -> None:
        """`window`: messages it sends to one subscriber before the first is acknowledged."""
        self.port = port
        self.folder = folder
        self.window = window
        self._process: Process | None = None

    async def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats.conf"
        config.write_text(
            json.dumps(
                {
                    "server_name": "acme-broker",
                    "host": HOST,
                    "port": -1,
                    "jetstream": {
                        "store_dir": str(self.folder / "store"),
                        "max_file_store": 64 << 20,
                    },
                    "mqtt": {
                        "host": HOST,
                        "port": self.port,
                        "max_ack_pending": self.window,
                    },
                }
            )
        )
        self._process = await asyncio.create_subprocess_exec(
            _program(), "-c", str(config), stdout=DEVNULL, stderr=DEVNULL
        )
        await wait_for_port(self.port)

    async def stop(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            if process.returncode is None:
                process.terminate()
            await process.wait()


def _program() -> str:
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise FileNotFoundError("nats-server is missing: pip install 'isthmus[demo]'")
    return found
