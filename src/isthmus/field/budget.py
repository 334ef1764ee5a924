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
        self._turns: deque[float] = deque()
        """When the last requests went out, and when those go that wait (monotonic)."""
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
        at = self.reserve()
        try:
            if (seconds := at - time.monotonic()) > 0:
                await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.give_back(at)
            raise

    def reserve(self) -> float:
        """Take the next turn, behind all that wait; when (monotonic) the request may be sent."""
        with self._lock:
            self.requests += 1
            now = time.monotonic()
            if not self.limited:
                return now
            at = max(now, self._next())
            self._take(at, now)
            return at

    def give_back(self, at: float) -> None:
        """A turn that was reserved, and will not be used."""
        with self._lock:
            self.requests -= 1
            if at in self._turns:
                self._turns.remove(at)

    def sent(self) -> None:
        """A request goes out now; one that could not wait makes the next one wait longer."""
        with self._lock:
            self.requests += 1
            if self.limited:
                now = time.monotonic()
                self._take(max([now, *self._turns]), now)

    def wait(self) -> float:
        """Seconds until the next request may be sent; never more than the rate in any stretch."""
        with self._lock:
            return max(0.0, self._next() - time.monotonic()) if self.limited else 0.0

    def _next(self) -> float:
        if not self._turns:
            return 0.0
        at = self._turns[-1] + self._pause
        if len(self._turns) >= self._count:
            at = max(at, self._turns[-self._count] + self._span)
        return at

    def _take(self, at: float, now: float) -> None:
        self._turns.append(at)
        # One that is still to come may be given back; then the ones before it count again.
        while len(self._turns) > self._count and self._turns[self._count] <= now:
            self._turns.popleft()
