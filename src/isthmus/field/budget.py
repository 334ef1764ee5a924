"""How often one device may be asked: counted per source, whatever its tags would need."""

import asyncio
import math
import time
from collections import deque

from isthmus.model.spec.site import Budget


class Allowance:
    """Wall time. One thread at a time; the runtime hands it on from session to session."""

    def __init__(self, budget: Budget) -> None:
        self.limited = budget.limits_requests
        """Whether anything has to be waited for at all."""
        self.requests = 0
        """Sent since the start."""
        rate = budget.requests_per_second
        count = 1 if rate is None else max(1, math.floor(rate))
        self._span = 0.0 if rate is None else count / rate
        self._pause = budget.min_interval
        self._sent: deque[float] = deque(maxlen=count)

    async def turn(self) -> None:
        """Wait until a request may be sent, and count it."""
        await self.ready()
        self.sent()

    async def ready(self) -> None:
        seconds = self.wait()
        if seconds > 0:
            await asyncio.sleep(seconds)

    def sent(self) -> None:
        """A request goes out now; one that could not wait makes the next one wait longer."""
        self.requests += 1
        if self.limited:
            self._sent.append(time.monotonic())

    def wait(self) -> float:
        """Seconds until the next request may be sent; never more than the rate in any stretch."""
        if not self._sent:
            return 0.0
        allowed = self._sent[-1] + self._pause
        if len(self._sent) == self._sent.maxlen:
            allowed = max(allowed, self._sent[0] + self._span)
        return max(0.0, allowed - time.monotonic())
