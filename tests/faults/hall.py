"""One machine on the real platform, and all that a person in front of the screen can see of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from isthmus.base.clock import HOUR, SECOND, Clock, Micros, ScaledClock, SystemClock
from isthmus.data.completeness import SourceGap, gaps_in
from isthmus.data.ledger import check
from isthmus.runtime.open import load_plant
from isthmus.runtime.platform import EmbeddedPlatform
from isthmus.runtime.settings import Settings
from isthmus.web.live import Subscriber

MACHINE = "acme/plant/hall/line/m"
SOURCE = "m"
SHOWN_WITHIN = 3.0
"""Seconds from when a fault can be known to when the screen says it."""
PATIENCE = 15.0

MODEL = """
enterprise: acme
---
machine_type: box
kind: {kind}
blocks: [machine_state, part_count]
map:
  machine_state.state: {{tag: "{state}", codes: {{3: execute, 7: aborted}}{watch}}}
  part_count.good: {{tag: "{good}", counter: {{}}}}
---
site: plant
areas: {{hall: {{lines: {{line: {{machines: {{m: {{type: box, source: m}}}}}}}}}}}}
sources:
  m: {{kind: {kind}, {source}}}
calendar: {{shifts: {{early: "06:00-14:00"}}}}
keep: {{free_mb: {free_mb}}}
"""


class Hall:
    """A running platform; `screen` keeps every live frame in the order in which it came."""

    def __init__(self, platform: EmbeddedPlatform) -> None:
        self.platform = platform
        self.screen: list[tuple[str, dict[str, Any]]] = []
        self._subscriber = Subscriber()

    async def watch(self) -> None:
        topics = [f"source:{SOURCE}", f"machine:{MACHINE}"]
        self.platform.hub.listen(self._subscriber, topics)
        while True:
            for frame in await self._subscriber.take():
                topic, _, _, fields = json.loads(frame)
                self.screen.append((topic, fields))

    @property
    def source(self) -> dict[str, Any]:
        """What the screen says of the source now."""
        return self._latest(f"source:{SOURCE}")

    @property
    def machine(self) -> dict[str, Any]:
        return self._latest(f"machine:{MACHINE}")

    @property
    def told(self) -> list[str]:
        """What the screen said of the source, one after the other."""
        return [fields["what"] for topic, fields in self.screen if topic.startswith("source:")]

    def _latest(self, topic: str) -> dict[str, Any]:
        return next((fields for name, fields in reversed(self.screen) if name == topic), {})

    @property
    def health(self) -> str:
        said: str = self.platform.health()["sources"].get(SOURCE, "")
        return said

    @property
    def wrong(self) -> list[str]:
        """What programs hear is wrong with the source although it answers."""
        return [one.what for one in self.platform.source_states()[SOURCE].wrong]

    @property
    def now(self) -> Micros:
        return self.platform.clock.now()

    def gaps(self, reason: str = "") -> list[SourceGap]:
        """As the gap view shows them, the earliest first."""
        found = gaps_in(self.platform.lake.query, {SOURCE}, 0, self.now + 2 * HOUR)
        return sorted(
            (gap for gap in found if reason in {"", gap.reason}), key=lambda gap: gap.start
        )

    def sql(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.platform.lake.query(query).to_pylist()
        return found

    def parts(self) -> int:
        return int(self.sql("SELECT coalesce(sum(good), 0) AS n FROM part_count")[0]["n"])

    def states(self) -> list[str | None]:
        """In the order of time; None: nobody knows."""
        return [row["state"] for row in self.sql("SELECT state FROM machine_state ORDER BY time")]

    def counted(self, what: str) -> int:
        return int(self.sql(f"SELECT coalesce(sum({what}), 0) AS n FROM ledger")[0]["n"])

    def nothing_unaccounted(self) -> bool:
        return check(self.platform.lake) == []

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            said = f"not within {seconds} s; screen: {self.screen[-8:]}"
            assert time.monotonic() < deadline, said
            await asyncio.sleep(0.02)

    async def shows(self, what: str) -> None:
        """The screen says so in time, and so does the health of the platform."""
        await self.until(lambda: self.source.get("what") == what, SHOWN_WITHIN)

    async def shows_unknown(self, what: str, reason: str = "") -> SourceGap:
        """Source and machine on the screen, health and gap view agree; the gap is running."""
        await self.shows(what)
        await self.until(lambda: self.machine.get("kind") == "offline", SHOWN_WITHIN)
        assert self.health == what
        (gap,) = [gap for gap in self.gaps(reason or what) if gap.end is None]
        return gap

    async def back(self, state: str = "execute") -> None:
        """The machine is known again on the screen, and no gap is open."""
        await self.until(lambda: self.health == "connected")
        await self.until(lambda: self.source.get("connected") is True)
        await self.until(lambda: self.machine.get("state") == state)
        await self.until(lambda: all(gap.end is not None for gap in self.gaps()))


@asynccontextmanager
async def hall(
    folder: Path,
    kind: str,
    source: str,
    *,
    state: str,
    good: str,
    clock: Clock | None = None,
    free_mb: int = 0,
    watch: str = "",
) -> AsyncIterator[Hall]:
    """The platform, connected; `source` are the keys of the one source, `watch` of its state."""
    model = folder / "model"
    model.mkdir(exist_ok=True)
    text = MODEL.format(
        kind=kind, source=source, state=state, good=good, free_mb=free_mb, watch=watch
    )
    (model / "model.yaml").write_text(text)
    settings = Settings(data=folder / "data")
    platform = EmbeddedPlatform(load_plant(model), settings, clock or SystemClock())
    await platform.open()
    await platform.start()
    found = Hall(platform)
    watching = asyncio.create_task(found.watch())
    try:
        yield found
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await platform.stop()


def hurried(speed: float) -> Clock:
    """Plant time runs faster, so that pauses between tries are short."""
    now = SystemClock().now()
    return ScaledClock(now, now, speed)


def seconds(gap: SourceGap) -> float:
    assert gap.end is not None
    return (gap.end - gap.start) / SECOND
