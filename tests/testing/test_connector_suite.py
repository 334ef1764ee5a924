"""What the contract of connectors stands on."""

import os
import signal
import subprocess
import sys
import time

from isthmus.testing.connector_suite import stopwatch


def test_a_stopwatch_counts_while_nothing_else_can_run() -> None:
    with stopwatch() as took:
        time.sleep(0.5)  # as a driver that blocks the event loop
        assert took() > 0.2


STOPPED = """
import sys, time
from isthmus.testing.connector_suite import stopwatch
with stopwatch() as took:
    print("runs", flush=True)
    sys.stdin.readline()
    print(took(), flush=True)
"""


def test_a_stopwatch_does_not_count_while_its_process_is_stopped() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", STOPPED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child, child.stdin, child.stdout:
        assert child.stdout.readline() == "runs\n"
        os.kill(child.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        time.sleep(2.0)
        stopped = time.monotonic() - stopped
        os.kill(child.pid, signal.SIGCONT)
        child.stdin.write("\n")
        child.stdin.flush()
        assert float(child.stdout.readline()) < stopped / 2
