"""Tells the log once a second which sources are connected: after a crash, gaps start there."""

import asyncio
from contextlib import suppress

from isthmus.base.clock import Micros
from isthmus.flow.contract import Full, Log

PERIOD = 1.0
"""Wall seconds."""


class Heartbeat:
    """One for all sources of a log, so that many sources cost one synced transaction a second."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self._heard: dict[str, Micros] = {}
        self._task: asyncio.Task[None] | None = None

    def heard(self, source: str, at: Micros) -> None:
        """This source answered at `at`. Raises what kept an earlier beat from the log."""
        self._heard[source] = at
        if self._task is not None and self._task.done():
            self._task.result()
        if self._task is None:
            self._task = asyncio.create_task(self._beat(), name="heartbeat")

    def gone(self, source: str) -> None:
        self._heard.pop(source, None)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _beat(self) -> None:
        while True:
            heard, self._heard = self._heard, {}
            if heard:
                # A full disk is named by the intake; the time of the last beat stays true.
                with suppress(Full):
                    await asyncio.to_thread(self.log.alive, list(heard), min(heard.values()))
            await asyncio.sleep(PERIOD)
