"""Some tags of a source, live for a person who looks at them; ends when nobody does."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa

from isthmus.base.clock import SECOND, Clock, Micros, SystemClock
from isthmus.field.connector import AnyConnector, Refused, Unreachable
from isthmus.model.plant import Source
from isthmus.runtime.background import begun, told
from isthmus.runtime.devices import Look, freely
from isthmus.runtime.probe import OPEN_SECONDS, closing, registered
from isthmus.web.workbench import Heard, Point, TagHeard

WINDOW: Final = 60 * SECOND
_IDLE: Final = 10.0
"""Seconds nobody asked: the page was closed."""
_AGAIN: Final = 5.0
_LOOK: Final = 0.05
_MOST_POINTS: Final = 3_000
"""Per tag: 50 values per second for a minute."""

Make = Callable[[Source, Clock], AnyConnector]


class Listening:
    """One session with one source; `heard` keeps it alive."""

    def __init__(
        self,
        source: Source,
        tags: Sequence[str],
        make: Make = registered,
        *,
        look: Look = freely,
    ) -> None:
        self.source = replace(source, tags=tuple(tags))
        self._make = make
        self._look = look
        # A person looks at the clock on the wall, also where plant time runs faster.
        self._clock = SystemClock()
        self._since = self._clock.now()
        self._tags = {tag: _Tag(tag) for tag in tags}
        self._open = False
        self._trouble = ""
        self._asked = asyncio.get_running_loop().time()
        self._task = begun(self._always(), f"listening to `{source.name}`")

    @property
    def over(self) -> bool:
        """Nobody looked any more. What failed by a fault of ours is not begun again and again."""
        return self._task.done() and (self._task.cancelled() or self._task.exception() is None)

    def heard(self) -> Heard:
        self._asked = asyncio.get_running_loop().time()
        now = self._clock.now()
        tags = tuple(one.heard(now, self._since) for one in self._tags.values())
        failed = self._task.done() and not self._task.cancelled() and self._task.exception()
        return Heard(now, tags, self._open, told(failed) if failed else self._trouble)

    def values(self) -> dict[str, tuple[float | str, ...]]:
        """What came of each tag, for those who judge its behaviour."""
        return {tag: one.values() for tag, one in self._tags.items() if one.points}

    async def through(self, seconds: float) -> None:
        """Listen for so long after it opened; Unreachable if it does not open."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(OPEN_SECONDS + seconds):
            while not self._open and not self._trouble:
                self._trouble = self.heard().trouble
                await asyncio.sleep(_LOOK)
            if self._trouble:
                raise Unreachable(self._trouble)
            end = loop.time() + seconds
            while (left := end - loop.time()) > 0:
                self.heard()
                await asyncio.sleep(min(left, 1.0))

    def end(self) -> None:
        """Close it; nobody waits for it."""
        self._task.cancel()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def _unwatched(self) -> bool:
        return asyncio.get_running_loop().time() - self._asked > _IDLE

    async def _always(self) -> None:
        while not self._unwatched:
            try:
                await self._session()
            except (Unreachable, Refused) as error:
                self._trouble = str(error)
            except TimeoutError:
                self._trouble = f"source `{self.source.name}`: no answer for {OPEN_SECONDS:.0f} s"
            self._open = False
            await asyncio.sleep(0 if self._unwatched else _AGAIN)

    async def _session(self) -> None:
        connector = self._make(self.source, self._clock)
        async with self._look(self.source, connector), closing(connector):
            async with asyncio.timeout(OPEN_SECONDS):
                await connector.open()
            self._open, self._trouble = True, ""
            while not self._unwatched:
                samples = await connector.read()
                if samples is not None:
                    self._take(samples)
                if connector.polled:
                    await asyncio.sleep(connector.spec.interval)

    def _take(self, samples: pa.Table) -> None:
        now = self._clock.now()
        columns = ["tag", "number", "text", "quality"]
        times = samples["device_time"].cast(pa.int64()).to_pylist()
        for row, at in zip(samples.select(columns).to_pylist(), times, strict=True):
            if row["tag"] in self._tags:
                self._tags[row["tag"]].take(row, at, now)


class _Tag:
    """The last minute of one tag."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.points: deque[Point] = deque(maxlen=_MOST_POINTS)
        self._quality: int | None = None
        self._device_time: Micros | None = None

    def take(self, row: dict[str, Any], device_time: Micros, now: Micros) -> None:
        self._quality, self._device_time = row["quality"], device_time
        text = "" if row["text"] is None else row["text"][:200]
        self.points.append(Point(now, row["number"], text))
        # One older than the window stays: it says where the line begins.
        while len(self.points) > 1 and self.points[1].at < now - WINDOW:
            self.points.popleft()

    def heard(self, now: Micros, since: Micros) -> TagHeard:
        received = sum(point.at >= now - WINDOW for point in self.points)
        points = tuple(self.points)
        return TagHeard(self.tag, points, self._quality, self._device_time, received, since)

    def values(self) -> tuple[float | str, ...]:
        return tuple(p.number if p.number is not None else p.text for p in self.points)
