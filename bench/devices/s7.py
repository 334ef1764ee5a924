"""A SIMATIC S7 whose REALs all change every 10 ms; python-snap7's server answers."""

import struct
import time
from multiprocessing.connection import Connection

from isthmus.testing.s7_server import S7Server

CHANGES_EVERY = 0.01


def tags(count: int) -> list[str]:
    return [f"DB1.{4 * number}:real" for number in range(count)]


def serve(pipe: Connection, count: int) -> None:
    with S7Server({"DB1": 4 * count}) as plc:
        pipe.send(plc.port)
        round_ = 0
        while not pipe.poll():
            round_ += 1
            plc.memory["DB1"][:] = struct.pack(">f", round_ / 10) * count
            plc.requests.clear()
            time.sleep(CHANGES_EVERY)
