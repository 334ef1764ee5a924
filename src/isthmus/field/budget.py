"""How often one device may be asked: counted per device, whatever its sources' tags would need."""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Collection

from isthmus.model.spec.site import Budget


def strictest(budgets: Collection[Budget]) -> Budget:
    """What holds for a device of which several sources declare something."""
    connections = [one.connections for one in budgets if one.connections is not None]
    rates = [one.requests_per_second for one in budgets if one.requests_per_second is not None]
    return Budget(
        connections=min(connections, default=None),
        requests_per_second=min(rates, default=None),
        min_interval=max((one.min_interval for one in budgets), default=0.0),
    )


class Allowance:
    """Wall time. Shared by all that ask one device, from any thread and over its sessions."""

    def __init__(self, budget: Budget) -> None:
        self.requests = 0
        """Sent since the start."""
        self._lock = threading.Lock()
        self._sent: deque[float] = deque()
        self.allow(budget)

    def allow(self, budget: Budget) -> None:
        """From now on so much, also where it was more or less before."""
        rate = budget.requests_per_second
        self.limited = budget.limits_requests
        """Whether anything has to be waited for at all."""
        self._count = 1 if rate is None else max(1, math.floor(rate))
        self._span = 0.0 if rate is None else self._count / rate
        self._pause = budget.min_interval

    async def turn(self) -> None:
        """Wait until a request may be sent, and count it."""
        while (seconds := self.take()) > 0:  # noqa: ASYNC110 - nothing but time has to pass
            await asyncio.sleep(seconds)

    def take(self) -> float:
        """0: a request goes out now, and is counted. Else the seconds after which to ask again."""
        with self._lock:
            seconds = self._wait()
            if seconds <= 0:
                self._count_one()
            return seconds

    def sent(self) -> None:
        """A request goes out now; one that could not wait makes the next one wait longer."""
        with self._lock:
            self._count_one()

    def wait(self) -> float:
        """Seconds until the next request may be sent; never more than the rate in any stretch."""
        with self._lock:
            return self._wait()

    def _wait(self) -> float:
        if not self._sent:
            return 0.0
        at = self._sent[-1] + self._pause
        if len(self._sent) >= self._count:
            at = max(at, self._sent[-self._count] + self._span)
        return max(0.0, at - time.monotonic())

    def _count_one(self) -> None:
        self.requests += 1
        if self.limited:
            self._sent.append(time.monotonic())
            while len(self._sent) > self._count:
                self._sent.popleft()
