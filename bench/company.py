"""The reference company as a person starts it: `isthmus demo` in an empty data folder."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import psutil

from isthmus.cli.demo import free_ports
from isthmus.web.auth import Accounts, accounts_folder

PASSWORD: Final = "only for the benchmark"  # noqa: S105 - no real one
START_SECONDS: Final = 300.0
"""After this it is broken, not slow."""


@dataclass
class Company:
    """A running demonstration; its pages are at `url`."""

    data: Path
    url: str
    process: subprocess.Popen[str]
    began: float
    said: list[tuple[float, str]] = field(default_factory=list)
    """Seconds since the start, and the line it printed."""

    def wait(self, done: Callable[[], bool], what: str) -> float:
        """Seconds since the start at which `done` was first true."""
        while not done():
            if self.process.poll() is not None or self.seconds() > START_SECONDS:
                told = "\n".join(line for _, line in self.said[-20:])
                raise RuntimeError(f"the company did not get there: {what}\n{told}")
            time.sleep(0.02)
        return self.seconds()

    def wait_ready(self) -> float:
        return self.wait(self._ready, "ready")

    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def line(self, text: str) -> tuple[float, str] | None:
        """The first line with this text, and when it came."""
        return next(((at, line) for at, line in self.said if text in line), None)

    def platform(self) -> psutil.Process:
        """The one process that reads, keeps, computes and serves."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if "isthmus.runtime.serve" in child.cmdline():
                return child
        raise RuntimeError("the platform's process is not there")

    def sign_in(self) -> httpx.Client:
        """A client with an administrator's session."""
        accounts = Accounts(accounts_folder(self.data))
        if accounts.empty():
            accounts.create("bench", "Bench", "admin", PASSWORD)
        accounts.close()
        client = httpx.Client(base_url=self.url, timeout=60)
        client.post("/login", data={"name": "bench", "password": PASSWORD})
        return client

    def _ready(self) -> bool:
        try:
            return bool(httpx.get(f"{self.url}/healthz", timeout=5).json()["status"] == "ready")
        except httpx.HTTPError:
            return False

    def _follow(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append((self.seconds(), line.rstrip()))


@contextmanager
def company(*options: str) -> Iterator[Company]:
    """Starts it, and stops it at the end."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        port = free_ports(["web"])["web"]
        env = {**os.environ, "ISTHMUS_DATA": str(data), "ISTHMUS_PORT": str(port)}
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "isthmus", "demo", *options],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        running = Company(data, f"http://127.0.0.1:{port}", process, began)
        reader = threading.Thread(target=running._follow, daemon=True)  # noqa: SLF001
        reader.start()
        try:
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            reader.join(5)
