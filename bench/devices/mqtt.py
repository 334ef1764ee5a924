"""Debian's mosquitto, and a publisher that writes its packets itself: fast and at a steady pace."""

import asyncio
import json
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from bench.devices.process import device

from isthmus.testing.mosquitto import Mosquitto
from isthmus.testing.tcp_proxy import LOOPBACK

TICK = 0.01
"""Seconds between two bursts."""
_CONNECT = bytes([0x10, 17, 0, 4]) + b"MQTT" + bytes([4, 2, 0, 0, 0, 5]) + b"bench"
_PUBLISH, _QOS_1 = 0x30, 0x02


@contextmanager
def broker() -> Iterator[int]:
    """Mosquitto without limits to what waits for a reader; yields its port."""
    with tempfile.TemporaryDirectory() as folder:
        limits = ("max_queued_messages 0", "max_inflight_messages 0", "set_tcp_nodelay true")
        mosquitto = Mosquitto(Path(folder), "allow_anonymous true", *limits)
        asyncio.run(mosquitto.start())
        try:
            yield mosquitto.port
        finally:
            asyncio.run(mosquitto.stop())


@contextmanager
def published(port: int, topics: int, per_second: int, *, qos: int, as_json: bool) -> Iterator[int]:
    """`topics` topics in turn at the broker on `port`, while the context lasts."""
    with device(_publish, port, topics, per_second, qos, as_json) as at:
        yield at


def topic(number: int) -> str:
    return f"plant/line-{number % 10}/machine-{number}/value"


def _publish(  # noqa: PLR0917 - as the other process gets them
    pipe: Connection,
    port: int,
    topics: int,
    per_second: int,
    qos: int,
    as_json: bool,  # noqa: FBT001
) -> None:
    with socket.create_connection((LOOPBACK, port)) as connection:
        connection.sendall(_CONNECT)
        threading.Thread(target=_drain, args=(connection,), daemon=True).start()
        pipe.send(port)
        names = [topic(number).encode() for number in range(topics)]
        begun, sent = time.perf_counter(), 0
        while not pipe.poll():
            due = int((time.perf_counter() - begun) * per_second)
            numbers = range(sent, due)
            burst = [_packet(names[one % topics], one, qos, as_json=as_json) for one in numbers]
            connection.sendall(b"".join(burst))
            sent = due
            time.sleep(TICK)


def _drain(connection: socket.socket) -> None:
    """The broker's acknowledgements; unread they would stop it."""
    while connection.recv(65_536):
        pass


def _packet(name: bytes, number: int, qos: int, *, as_json: bool) -> bytes:
    value = number / 10
    payload = json.dumps({"v": value, "unit": "kW", "n": number}) if as_json else f"{value}"
    identifier = struct.pack(">H", number % 65_535 + 1) if qos else b""
    body = struct.pack(">H", len(name)) + name + identifier + payload.encode()
    return bytes([_PUBLISH | (_QOS_1 if qos else 0)]) + _length(len(body)) + body


def _length(size: int) -> bytes:
    """The standard's number of variable width; ours are under 16,384."""
    return bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
