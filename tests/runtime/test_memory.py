"""What is freed goes back to the system; asked of the C library, in a process of its own."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc keeps what is freed in arenas"
)

ARENAS = """
import ctypes, tempfile, threading
from isthmus.runtime.memory import few_arenas
{}
held = threading.Barrier(11)
def work():
    blocks = [bytes(5000) for _ in range(100)]
    held.wait()
for _ in range(10):
    threading.Thread(target=work).start()
held.wait()
c = ctypes.CDLL(None)
c.fopen.restype = ctypes.c_void_p
c.malloc_info.argtypes = ctypes.c_int, ctypes.c_void_p
c.fclose.argtypes = (ctypes.c_void_p,)
with tempfile.NamedTemporaryFile() as file:
    stream = c.fopen(file.name.encode(), b"w")
    c.malloc_info(0, stream)
    c.fclose(stream)
    print(file.read().count(b"<heap "))
"""

FREED = """
import psutil
from isthmus.runtime.memory import give_back
used = lambda: psutil.Process().memory_info().rss
blocks = [bytes(20_000) for _ in range(5_000)]
last = bytes(20_000)
del blocks
before = used()
give_back()
print(before - used())
"""


def said(program: str) -> int:
    return int(subprocess.check_output([sys.executable, "-c", program], text=True))


def test_many_threads_share_two_arenas():
    assert said(ARENAS.format("few_arenas()")) == 2
    assert said(ARENAS.format("")) > 2


def test_freed_blocks_below_one_that_is_held_go_back_to_the_system():
    assert said(FREED) > 90_000_000
