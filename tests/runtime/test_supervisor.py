"""Children are started stage by stage, started again when they die, and stopped in time."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from isthmus.runtime.supervisor import Program, StartError, Supervisor

WORKER = """
import signal, sys, time, os, pathlib
file = pathlib.Path(sys.argv[1])
def stop(*_):
    with file.open("a") as f: f.write("stopped " + sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
with file.open("a") as f: f.write("started " + sys.argv[2] + " " + str(os.getpid()) + "\\n")
print("up", flush=True)
while True: time.sleep(0.02)
"""

STARTS_ANOTHER = """
import signal, subprocess, sys
command = [sys.executable, "-c", sys.argv[1], sys.argv[2], "child"]
subprocess.Popen(command, stdout=subprocess.DEVNULL)
signal.pause()
"""


def worker(file: Path, name: str) -> Program:
    return Program(name, [sys.executable, "-c", WORKER, str(file), name], ready="up")


def told(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


async def until(done, seconds: float = 15.0):
    deadline = asyncio.get_running_loop().time() + seconds
    while not done():
        assert asyncio.get_running_loop().time() < deadline, "waited too long"
        await asyncio.sleep(0.02)


async def test_what_dies_is_started_again(tmp_path):
    file, said = tmp_path / "told", []
    supervisor = Supervisor([[worker(file, "a")]], said.append)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: len(told(file)) == 1)
    os.kill(int(told(file)[0][2]), signal.SIGKILL)
    await until(lambda: len(told(file)) == 2)
    supervisor.stopping.set()
    await running
    assert [line[0] for line in told(file)] == ["started", "started", "stopped"]
    assert "started again" in said[0]


async def test_stages_start_in_order_and_stop_in_reverse(tmp_path):
    file = tmp_path / "told"
    supervisor = Supervisor([[worker(file, "first")], [worker(file, "second")]], print)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: len(told(file)) == 2)
    supervisor.stopping.set()
    await running
    assert [" ".join(line[:2]) for line in told(file)] == [
        "started first", "started second", "stopped second", "stopped first",
    ]  # fmt: skip


async def test_what_a_program_left_behind_ends_with_it(tmp_path):
    """A broker that nobody stops any more would hold its port."""
    file = tmp_path / "told"
    command = [sys.executable, "-c", STARTS_ANOTHER, WORKER, str(file)]
    starts_another = Program("parent", command)
    supervisor = Supervisor([[starts_another]], print)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: len(told(file)) == 1)
    supervisor.stopping.set()
    await running
    await until(lambda: not alive(int(told(file)[0][2])))
    assert told(file)[-1] == ["stopped", "child"]


async def test_a_stop_does_not_wait_for_what_runs_once(tmp_path):
    """The history of days takes its time; it is told to end as all others are."""
    file = tmp_path / "told"
    once = Program("history", [sys.executable, "-c", WORKER, str(file), "history"], once=True)
    supervisor = Supervisor([[once], [worker(file, "second")]], print)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: len(told(file)) == 1)
    supervisor.stopping.set()
    await asyncio.wait_for(running, 15)
    assert [" ".join(line[:2]) for line in told(file)] == ["started history", "stopped history"]


async def test_a_program_that_runs_once_must_succeed(tmp_path):
    failing = Program("history", [sys.executable, "-c", "import sys; sys.exit(3)"], once=True)
    supervisor = Supervisor([[failing], [worker(tmp_path / "told", "a")]], print)
    with pytest.raises(StartError, match="history failed with 3"):
        await supervisor.run()
    assert told(tmp_path / "told") == []


async def test_a_program_that_ends_before_it_is_ready_is_an_error():
    early = Program("early", [sys.executable, "-c", "print('no')"], ready="up")
    with pytest.raises(StartError, match="before it was ready"):
        await Supervisor([[early]], print).run()


def test_a_child_notices_that_its_supervisor_is_gone(tmp_path):
    child = (
        "import asyncio; from isthmus.runtime.supervisor import orphaned; asyncio.run(orphaned())"
    )
    parent = (
        "import os, subprocess, sys, time\n"
        f"env = {{**os.environ, 'ISTHMUS_PARENT': str(os.getpid())}}\n"
        f"print(subprocess.Popen([sys.executable, '-c', {child!r}], env=env).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    orphan = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 15
    while alive(orphan):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
