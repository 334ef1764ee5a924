"""When a source is read next, and when what was read fills a parcel. All in wall seconds."""

import asyncio
from typing import Final

import pyarrow as pa

from isthmus.field.connector import AnyConnector

PARCEL_SECONDS: Final = 0.25
PARCEL_SAMPLES: Final = 10_000
"""A parcel is written when one of the two is reached."""


class Pace:
    """When to read next, and when a parcel is full."""

    def __init__(self, connector: AnyConnector, interval: float) -> None:
        self.polled = connector.polled
        self.interval = interval
        self.samples = 0
        self.began = 0.0
        self.due = _wall()

    def read(self, samples: pa.Table | None) -> None:
        now = _wall()
        count = samples.num_rows if samples is not None else 0
        if count and not self.samples:
            self.began = now
        self.samples += count
        if self.polled:
            # Without drift, and never two at once: a poll that took too long skips its turns.
            self.due += self.interval * max(1, -(-(now - self.due) // self.interval))
        else:
            # What arrives meanwhile waits in the connector and shares the next transaction.
            self.due = now + PARCEL_SECONDS if 0 < count < PARCEL_SAMPLES else now

    def is_full(self, batch: list[pa.Table]) -> bool:
        if not batch:
            return False
        aged = _wall() + self.interval / 2 - self.began >= PARCEL_SECONDS
        if self.polled and not aged and self.samples < PARCEL_SAMPLES:
            return False
        self.samples = 0
        return True

    def pause(self) -> float:
        return self.due - _wall()


def _wall() -> float:
    return asyncio.get_running_loop().time()
