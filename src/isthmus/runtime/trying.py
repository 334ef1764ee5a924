"""One source that is tried for a minute, in the background of a page."""

import asyncio
from dataclasses import replace

from isthmus.base.clock import SystemClock
from isthmus.model.plant import Plant, Source
from isthmus.runtime.background import begun, told
from isthmus.runtime.devices import Look, freely
from isthmus.runtime.probe import Probed, probe
from isthmus.web.workbench import TagTried, Trial


class Trying:
    """A probe and how far it is; nothing is left behind."""

    def __init__(
        self,
        source: Source,
        plant: Plant,
        seconds: float,
        look: Look = freely,
        *,
        changed: bool = False,
    ) -> None:
        self._changed = changed
        self._asked = len(source.tags)
        self._seconds = seconds
        self._began = asyncio.get_running_loop().time()
        # The mapping knows machines of the plant only: a draft is read by none.
        known = replace(plant, sources={**plant.sources, source.name: source})
        work = probe(source, known, SystemClock(), seconds, look=look)
        self._task = begun(work, f"testing `{source.name}`")

    @property
    def running(self) -> bool:
        return not self._task.done()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def state(self) -> Trial:
        return replace(self._state(), changed=self._changed)

    def _state(self) -> Trial:
        if self.running:
            elapsed = self._task.get_loop().time() - self._began
            return Trial(self._seconds, min(elapsed, self._seconds), running=True)
        if (error := self._task.exception()) is not None:
            return Trial(self._seconds, 0.0, running=False, trouble=told(error))
        return _told(self._task.result(), self._seconds, self._asked)


def _told(result: Probed, seconds: float, asked: int) -> Trial:
    return Trial(
        seconds=seconds,
        elapsed=result.seconds,
        running=False,
        asked=asked,
        tags=tuple(
            TagTried(one.tag, one.value, one.quality, one.per_second, one.problem)
            for one in result.tags
        ),
        trouble=result.trouble,
        attention=result.attention,
        details=result.details,
    )
