"""The one place where time comes from; everything else takes `now` as an argument."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

Micros = int
"""Microseconds since 1970-01-01T00:00Z: the unit of every time inside Isthmus."""

SECOND: Micros = 1_000_000
MINUTE: Micros = 60 * SECOND
HOUR: Micros = 3_600 * SECOND
DAY: Micros = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Plant time. In a demonstration it may run faster than the wall clock."""

    @property
    def speed(self) -> float:
        """Plant seconds per wall second; 1 everywhere but in `isthmus demo --speed`."""
        ...

    def now(self) -> Micros: ...


class SystemClock:
    """The computer's clock."""

    speed = 1.0

    def now(self) -> Micros:
        return time.time_ns() // 1_000


@dataclass(frozen=True)
class ScaledClock:
    """Starts at `start` when the wall clock shows `wall_start` and runs `speed` times as fast."""

    start: Micros
    wall_start: Micros
    speed: float

    def now(self) -> Micros:
        return self.start + int((time.time_ns() // 1_000 - self.wall_start) * self.speed)


def to_datetime(at: Micros) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def to_micros(at: datetime) -> Micros:
    """`at` must carry a zone: a naive time is a bug, not a guess."""
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone")
    return (at - _EPOCH) // timedelta(microseconds=1)


def parse_time(text: str) -> Micros:
    """Read ISO 8601 with a zone (`Z` or an offset)."""
    return to_micros(datetime.fromisoformat(text))


def iso(at: Micros) -> str:
    """ISO 8601 in UTC with `Z`, microseconds only where there are some."""
    return to_datetime(at).isoformat().replace("+00:00", "Z")
