"""A Python device in a process of its own, so that its CPU time is not that of the reader."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

Serve = Callable[..., None]
"""`serve(pipe, …)`: sends its port once it listens, ends when something comes."""


@contextmanager
def device(serve: Serve, *arguments: object) -> Iterator[int]:
    """Yields its port."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(theirs, *arguments))
    process.start()
    try:
        yield _port(ours)
    finally:
        ours.send("end")
        process.join()


def _port(pipe: Connection) -> int:
    if not pipe.poll(30):
        raise TimeoutError("the device does not start")
    port: int = pipe.recv()
    return port
