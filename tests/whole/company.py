"""Runs the reference company for tests: devices and platform as child processes, at any speed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from isthmus.base.clock import SECOND, Micros
from isthmus.cli.demo import MODEL, PORTS, environment, free_ports
from isthmus.runtime.control import NotRunning, ask
from isthmus.testing.sim.run import Settings as SimSettings


def lead() -> float:
    """Wall seconds from the clock's start to the machines' start; a busy computer needs more."""
    return min(25 + 8 * os.getloadavg()[0], 150)


@dataclass
class Company:
    """A running company; its pages are at `url`."""

    sim: SimSettings
    data: Path
    port: int
    env: dict[str, str]
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    token: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start_devices(self) -> None:
        file = self.data / "demo" / "sim.json"
        self.sim.save(file)
        self._start("devices", "isthmus.testing.sim.run", str(file))

    def start_platform(self) -> None:
        self._start("platform", "isthmus.runtime.serve", str(MODEL))

    def kill_platform(self) -> None:
        """As a power cut would: no goodbye."""
        child = self.children.pop("platform")
        child.send_signal(signal.SIGKILL)
        child.wait()

    def _start(self, name: str, module: str, argument: str) -> None:
        log = (self.data / f"{name}.log").open("ab")
        command = [sys.executable, "-m", module, argument]
        self.children[name] = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        log.close()

    def said(self, name: str) -> str:
        return (self.data / f"{name}.log").read_text(errors="replace")

    def wait_ready(self, seconds: float = 60) -> None:
        def ready() -> bool:
            try:
                return httpx.get(f"{self.url}/healthz", timeout=5).json()["status"] == "ready"
            except httpx.HTTPError:
                return False

        self.wait(ready, seconds, "the platform is ready")

    def wait(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                tail = {name: self.said(name)[-3000:] for name in self.children}
                raise AssertionError(f"not within {seconds} s: {what}\n{tail}")
            for name, child in self.children.items():
                if child.poll() is not None:
                    raise AssertionError(f"{name} ended: {self.said(name)[-3000:]}")
            time.sleep(0.05)

    def wait_until(self, at: Micros) -> None:
        """Until plant time `at`."""
        ahead = (at - self.sim.clock.now()) / SECOND / self.sim.speed
        self.wait(lambda: self.sim.clock.now() >= at, max(ahead, 0) + 30, "plant time passes")

    def get(self, path: str, **params: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.get(f"{self.url}{path}", params=params, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def sql(self, text: str) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.post(
            f"{self.url}/api/v1/sql", json={"sql": text}, headers=headers, timeout=60
        )
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["rows"]
        return found

    def health(self) -> dict[str, Any]:
        try:
            return dict(asyncio.run(ask(self.data / "control.sock", {"do": "health"})))
        except NotRunning:
            return {"status": "gone"}

    def wait_connected(self, seconds: float = 120) -> None:
        """Until values come from every source."""

        def connected() -> bool:
            return set(self.health().get("sources", {"": ""}).values()) == {"connected"}

        self.wait(connected, seconds, "all sources are connected")

    def stop(self) -> None:
        for name in ("platform", "devices"):
            child = self.children.pop(name, None)
            if child is None or child.poll() is not None:
                continue
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                raise AssertionError(f"{name} did not stop within 10 s") from None


@contextmanager
def company(
    folder: Path, *, start: Micros, end: Micros, speed: float, seed: int = 1, faults: bool = True
) -> Iterator[Company]:
    """Devices and platform; machines live from plant time `start` and stand still after `end`.

    The clock begins a little earlier, so that all are up when the machines start.
    """
    data = folder / "data"
    (data / "demo").mkdir(parents=True)
    ports = free_ports([*PORTS, "web"])
    wall = time.time_ns() // 1000
    sim = SimSettings(
        seed, start, start - round(lead() * speed) * SECOND, wall, speed, ports, f"sqlite:///{data}/demo/erp.sqlite",
        str(data / "demo"), faults=faults, end=end,
    )  # fmt: skip
    env = {
        **os.environ, **environment(sim), "ISTHMUS_DATA": str(data),
        "ISTHMUS_PORT": str(ports["web"]), "ISTHMUS_LOG": "info",
    }  # fmt: skip
    running = Company(sim, data, ports["web"], env)
    made = subprocess.run(
        [sys.executable, "-m", "isthmus", "token", "create", "--name", "test", "--role", "admin"],
        env=env, check=True, capture_output=True, text=True,
    )  # fmt: skip
    running.token = made.stdout.strip().splitlines()[-1]
    try:
        yield running
    finally:
        running.stop()
