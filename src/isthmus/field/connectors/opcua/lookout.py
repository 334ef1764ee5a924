"""Whether it is worth leaving an unwell server of a redundant set for another one.

How well a server serves only a session tells, and a source never has two: so the session it has
must end before another server can be asked. That is a gap, if a short one. Therefore a channel
without a session is opened to the others first, which any server allows anybody: while none of
them answers, nothing is left. Each search that found nothing healthy doubles the pause.
"""

import asyncio
import random
import time
from contextlib import suppress
from typing import Final

from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.opcua.session import ways_in
from isthmus.field.connectors.opcua.spec import OpcuaSource

FIRST_LOOK: Final = 60.0
LAST_LOOK: Final = 1_800.0
"""Seconds before the first look at the others, and at most between two."""
JITTER: Final = 0.2
"""Sources of one server do not leave it all at once."""


class Lookout:
    """Looks now and then whether another server of the set answers."""

    def __init__(self, name: str, spec: OpcuaSource, endpoint: str, in_vain: int) -> None:
        """`endpoint` is the one that is read; `in_vain`: searches that found nothing healthy."""
        self._name = name
        self._spec = spec
        self._others = [one for one in (spec.endpoint, *spec.endpoints) if one != endpoint]
        jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
        self._pause = pause(in_vain) * jitter
        self._due = time.monotonic() + self._pause
        self._asking: asyncio.Task[str] | None = None

    def answers(self) -> str:
        """The endpoint of one that answers; empty while none does, or it is not time to look."""
        if self._asking is None and time.monotonic() >= self._due:
            self._asking = asyncio.create_task(self._ask())
        if self._asking is None or not self._asking.done():
            return ""
        found = self._asking.result()
        self._asking = None
        self._due = time.monotonic() + self._pause
        return found

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError):
                await self._asking

    async def _ask(self) -> str:
        for endpoint in self._others:
            with suppress(Unreachable, Refused):
                await ways_in(self._name, self._spec, endpoint)
                return endpoint
        return ""


def pause(in_vain: int) -> float:
    """Seconds until the next look."""
    return min(LAST_LOOK, FIRST_LOOK * 2.0 ** min(in_vain, 32))
