"""A platform of a test's own model, as a process of its own: what a plant would have running."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isthmus.cli.demo import free_ports
from isthmus.runtime.control import NotRunning, ask
from isthmus.runtime.open import clock, load_plant
from isthmus.runtime.reading import reading


class Running:
    """The platform of the model in `folder/model`, its data in `folder/data`."""

    def __init__(self, folder: Path, clock: str = "") -> None:
        self.model = folder / "model"
        self.data = folder / "data"
        self.env = {
            **os.environ, "ISTHMUS_DATA": str(self.data), "ISTHMUS_LOG": "info",
            "ISTHMUS_PORT": str(free_ports(["web"])["web"]), "ISTHMUS_CLOCK": clock,
        }  # fmt: skip
        self.data.mkdir(exist_ok=True)
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.data / "platform.log").open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "isthmus.runtime.serve", str(self.model)],
                env=self.env, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def stop(self) -> None:
        child = self._child
        assert child is not None
        child.terminate()
        try:
            code = child.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the platform did not stop\n{self.said()}") from None
        assert code == 0, self.said()

    def said(self) -> str:
        return (self.data / "platform.log").read_text(errors="replace")

    def health(self) -> Mapping[str, Any]:
        try:
            return asyncio.run(ask(self.data / "control.sock", {"do": "health"}))
        except NotRunning:
            return {"status": "gone", "sources": {}, "systems": {}}

    def check_alive(self) -> None:
        assert self._child is not None
        assert self._child.poll() is None, f"the platform ended\n{self.said()}"

    def wait(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            self.check_alive()
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {what}\n{self.said()[-4000:]}")
            time.sleep(0.05)

    def wait_connected(self, seconds: float = 60) -> None:
        """Until it is ready and every source of the model talks."""

        def connected() -> bool:
            health = self.health()
            sources = set(health["sources"].values())
            return health["status"] == "ready" and sources == {"connected"}

        self.wait(connected, seconds, "all sources are connected")

    def isthmus(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command as a person types it, on this platform's data."""
        return subprocess.run(
            [sys.executable, "-m", "isthmus", *arguments],
            env=self.env, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        done = self.isthmus(*arguments, "--format", "json")
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def sql(self, query: str) -> list[dict[str, Any]]:
        """What `isthmus sql` answers, without the start of a new Python for every question."""
        plant, now = load_plant(self.model), clock(self.env["ISTHMUS_CLOCK"]).now()
        with self._environment(), reading(plant, now, facts="oee_fact" in query) as lake:
            found: list[dict[str, Any]] = lake.query(query).to_pylist()
            return found

    @contextmanager
    def _environment(self) -> Iterator[None]:
        before = os.environ.get("ISTHMUS_DATA")
        os.environ["ISTHMUS_DATA"] = self.env["ISTHMUS_DATA"]
        try:
            yield
        finally:
            del os.environ["ISTHMUS_DATA"]
            if before is not None:
                os.environ["ISTHMUS_DATA"] = before


@contextmanager
def running(folder: Path, model: str, clock: str = "") -> Iterator[Running]:
    """`model` is the text of its one file; sources must be up already."""
    (folder / "model").mkdir()
    (folder / "model" / "model.yaml").write_text(model, encoding="utf-8")
    with started(folder, clock) as platform:
        yield platform


@contextmanager
def started(folder: Path, clock: str = "") -> Iterator[Running]:
    """The platform of the model in `folder/model`; it stops in good order at the end."""
    platform = Running(folder, clock)
    platform.start()
    try:
        yield platform
    except BaseException:
        platform.kill()
        raise
    platform.stop()


def unbalanced(platform: Running) -> list[dict[str, Any]]:
    """Ledger lines that do not add up; none, or something is lost."""
    return platform.sql("""
        SELECT source, tag, hour, received, shaped, quarantined, unmapped, stored FROM ledger
        WHERE received <> shaped + quarantined + unmapped OR stored <> shaped""")
