"""Keeps a few programs running as children: starts them again when they die, stops them in time."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STOP_SECONDS = 8.0
"""SIGTERM first; who has not stopped by then is killed. Everything is down within ten seconds."""

PARENT = "ISTHMUS_PARENT"
"""Tells a child whose death it must not survive."""

QUICK_SECONDS = 10.0
"""A program that dies sooner than this has a standing reason: wait longer each time."""


@dataclass(frozen=True)
class Program:
    """One child process."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: str = ""
    """The line on its standard output that says it is up; empty: as soon as it runs."""
    once: bool = False
    """It does its work and ends; it is not started again."""


class StartError(Exception):
    """A program ended before it was ready; its own words are above."""


class Supervisor:
    """Starts programs stage by stage and watches over them.

    The programs of a stage start together; the next stage begins when all of them are ready, or,
    if they run once, done.
    """

    def __init__(self, stages: Sequence[Sequence[Program]], say: Callable[[str], None]) -> None:
        self.stages = stages
        self.say = say
        self.stopping = asyncio.Event()
        self._children: dict[str, Process] = {}

    async def run(self) -> None:
        """Until SIGINT or SIGTERM; then stop all, the last one first."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stopping.set)
        watchers: list[asyncio.Task[None]] = []
        try:
            for stage in self.stages:
                starting = [asyncio.create_task(self._first(program)) for program in stage]
                await asyncio.gather(*starting)
                watchers += [asyncio.create_task(self._watch(p)) for p in stage if not p.once]
            await self.stopping.wait()
        finally:
            self.stopping.set()
            await self._stop_all()
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    async def _first(self, program: Program) -> None:
        """Start a program; StartError if it fails before it is ready, or at its one task."""
        if self.stopping.is_set():
            return
        ready = await self._start(program)
        child = self._children[program.name]
        if self.stopping.is_set():
            return
        if program.once:
            await self._done_or_stopping(asyncio.create_task(child.wait()))
            if child.returncode:
                raise StartError(f"{program.name} failed with {child.returncode}")
        elif not ready:
            raise StartError(f"{program.name} ended with {await child.wait()} before it was ready")

    async def _start(self, program: Program) -> bool:
        """Whether it is ready; False if it ended first, or if we are stopping."""
        child = await asyncio.create_subprocess_exec(
            *program.command,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **program.env, PARENT: str(os.getpid())},
            # Ctrl-C reaches the whole terminal group; we want to stop them in our order.
            start_new_session=True,
        )
        self._children[program.name] = child
        ready = asyncio.create_task(self._follow(program, child))
        await self._done_or_stopping(ready)
        return ready.done() and ready.result()

    async def _done_or_stopping(self, task: asyncio.Task[Any]) -> None:
        stopping = asyncio.create_task(self.stopping.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()

    async def _follow(self, program: Program, child: Process) -> bool:
        """Pass its output on until it says it is ready, and go on passing; False if it ended."""
        if child.stdout is None:
            return True
        if not program.ready:
            self._pass_on(child)
            return True
        while line := await child.stdout.readline():
            if line.decode(errors="replace").strip() == program.ready:
                self._pass_on(child)
                return True
            _print(line)
        return False

    def _pass_on(self, child: Process) -> None:
        async def copy() -> None:
            while child.stdout is not None and (line := await child.stdout.readline()):
                _print(line)

        task = asyncio.create_task(copy())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _watch(self, program: Program) -> None:
        pause = 1.0
        while not self.stopping.is_set():
            began = asyncio.get_running_loop().time()
            code = await _ended(self._children[program.name])
            if self.stopping.is_set():
                return
            lasted = asyncio.get_running_loop().time() - began
            pause = min(pause * 2, 30.0) if lasted < QUICK_SECONDS else 1.0
            self.say(f"{program.name} ended with {code}; it is started again in {pause:.0f} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), pause)
            if not self.stopping.is_set():
                await self._start(program)

    async def _stop_all(self) -> None:
        """One after another, the last started first: a platform does not see its devices vanish."""
        deadline = asyncio.get_running_loop().time() + STOP_SECONDS
        programs = [program for stage in self.stages for program in stage]
        for program in reversed(programs):
            child = self._children.get(program.name)
            if child is None or child.returncode is not None:
                continue
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            try:
                left = max(1.0, deadline - asyncio.get_running_loop().time())
                await asyncio.wait_for(_ended(child), left)
            except TimeoutError:
                self.say(f"{program.name} did not stop in time and was killed")
                # With its session: who holds on to its output would be waited for.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                await child.wait()


async def _ended(child: Process) -> int:
    """Its code; what it started itself and left behind, in the session it leads, ends too."""
    code = await child.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    return code


async def orphaned() -> None:
    """Return when the supervisor that started this process is gone; never without one."""
    parent = os.environ.get(PARENT)
    while parent is None or os.getppid() == int(parent):  # noqa: ASYNC110 - nothing tells us
        await asyncio.sleep(1.0)


def _print(line: bytes) -> None:
    sys.stdout.write(line.decode(errors="replace"))
    sys.stdout.flush()
