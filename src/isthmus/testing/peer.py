"""An independent implementation in a child process, told what to do by lines of JSON."""

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

STARTS_WITHIN = 30.0
ANSWERS_WITHIN = 10.0
ENDS_WITHIN = 10.0


class Peer:
    """A program that prints `ready PORT`, answers each line on stdin with `done`, ends with it."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.port = 0
        self._command = command
        self._folder = folder
        self._lines: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(  # noqa: S603 - the command is the test's own
            self._command,
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        try:
            self.port = int(self._wait_for("ready ", STARTS_WITHIN))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """Of its process, to freeze or kill it as a machine hangs or loses its power."""
        return self._process.pid

    def tell(self, **command: Any) -> str:
        """Returns once the peer has done it, with what it says behind `done`."""
        stdin = self._process.stdin
        if stdin is None:
            raise RuntimeError("the peer has no stdin")
        stdin.write(json.dumps(command) + "\n")
        stdin.flush()
        return self._wait_for("done", ANSWERS_WITHIN)

    def _collect(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line.rstrip("\n"))

    def _wait_for(self, beginning: str, seconds: float) -> str:
        """What follows `beginning` on the next line that starts so; other lines are chatter."""
        while True:
            try:
                line = self._lines.get(timeout=seconds)
            except queue.Empty:
                self._errors.seek(0)
                said = self._errors.read()
                raise TimeoutError(f"{self._command}: no `{beginning}`; it said: {said}") from None
            if line.startswith(beginning):
                return line.removeprefix(beginning)

    def _end(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()


def node_peer(folder: Path, script: str, package: str, *arguments: str) -> Peer:
    """A Node program of `folder`; the test is skipped where Node or its packages are missing."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js here: this peer is an npm package")
    if not (folder / "node_modules" / package).is_dir():
        pytest.skip(f"{package} is not installed: run `npm ci` in {folder.name}/")
    return Peer([node, script, *arguments], folder)


def python_peer(environment: Path, folder: Path, script: str, *arguments: str) -> Peer:
    """A program of `folder` run by another virtual environment; skipped where that is missing."""
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        pytest.skip(f"no {environment.name} here: `python3 requirements/install.py test` makes it")
    return Peer([str(python), script, *arguments], folder)
