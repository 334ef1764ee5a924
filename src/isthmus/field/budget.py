"""How often one device may be asked: counted per device, whatever its sources' tags would need."""

import asyncio
import math
import threading
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from isthmus.model.spec.site import Budget

_AT_IT: Final = 0.001
"""Seconds after which to ask again, while another process counts its own request."""

Together = Callable[["array[float]"], AbstractContextManager[bool]]
"""Around the counting of a request: adds to our times those of other processes, tells them ours at
its end. False: one of them is just at it."""


def alone(_sent: "array[float]") -> AbstractContextManager[bool]:
    """No other process asks this device."""
    return nullcontext(True)  # noqa: FBT003 - what a `with` is given


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
    """Wall time. Shared by all that ask one device, from any thread and over its sessions.

    Other processes are asked only where something is limited, and only when we may send.
    """

    def __init__(self, budget: Budget, together: Together = alone) -> None:
        self.requests = 0
        """Sent by us since the start."""
        self._together = together
        self._lock = threading.Lock()
        self._sent = array("d")
        """When: those that still matter, oldest first."""
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
            if not self.limited:
                self.requests += 1
                return 0.0
            if (seconds := self._wait()) > 0:
                return seconds
            with self._together(self._sent) as free:
                self._forget()
                seconds = self._wait() if free else _AT_IT
                if seconds <= 0:
                    self._count_one()
            return seconds

    def sent(self) -> None:
        """A request goes out now; one that could not wait makes the next one wait longer."""
        with self._lock, self._together(self._sent) if self.limited else alone(self._sent):
            self._forget()
            self._count_one()

    def wait(self) -> float:
        """Seconds until the next request may be sent, as far as this process knows."""
        with self._lock:
            return self._wait()

    def _wait(self) -> float:
        """Never more than the rate in any stretch of time."""
        if not self.limited or not self._sent:
            return 0.0
        at = self._sent[-1] + self._pause
        if len(self._sent) >= self._count:
            at = max(at, self._sent[-self._count] + self._span)
        return max(0.0, at - time.monotonic())

    def _forget(self) -> None:
        """What no longer matters, as it was too long ago or enough was sent since."""
        past = bisect_right(self._sent, time.monotonic() - max(self._span, self._pause))
        del self._sent[: max(past, len(self._sent) - self._count)]

    def _count_one(self) -> None:
        self.requests += 1
        if self.limited:
            # Never twice the same moment, so that processes see what they know already.
            after_all = math.nextafter(self._sent[-1], math.inf) if self._sent else 0.0
            self._sent.append(max(time.monotonic(), after_all))
