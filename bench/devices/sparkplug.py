"""A Sparkplug edge node whose devices report all their metrics in turn, at a steady pace."""

import time
from multiprocessing.connection import Connection

from isthmus.testing.sparkplug_edge import DOUBLE, INT64, Metric, SparkplugEdge, now_ms

DEVICES = 10
TICK = 0.005


def tags(metrics: int) -> list[str]:
    return [f"plant/edge-1/press-{one}:M{n}" for one in range(DEVICES) for n in range(metrics)]


def serve(pipe: Connection, port: int, metrics: int, per_second: int) -> None:
    """Through the broker on `port`: `metrics` of each device, together `per_second`."""
    edge = SparkplugEdge(port)
    for one in range(DEVICES):
        kinds = [DOUBLE if number % 2 else INT64 for number in range(metrics)]
        edge.add(f"press-{one}", *(Metric(f"M{n}", kind, n) for n, kind in enumerate(kinds)))
    edge.start()
    pipe.send(port)
    begun, said = time.perf_counter(), 0
    while not pipe.poll():
        due = int((time.perf_counter() - begun) * per_second / metrics)
        for number in range(said, due):
            _say(edge, f"press-{number % DEVICES}", number)
        said = due
        time.sleep(TICK)
    edge.stop()


def _say(edge: SparkplugEdge, device: str, value: int) -> None:
    now = now_ms()
    for metric in edge.owners[device]:
        metric.value, metric.at = value, max(now, metric.at + 1)
    edge.say("DDATA", device, metrics=edge.owners[device])
