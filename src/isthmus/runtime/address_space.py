"""What is known of one source's address space, while it is being crawled and afterwards."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from isthmus.field.browse import Crawled, NodeIndex, Progress
from isthmus.field.connector import Node, Refused, Unreachable, Unsupported
from isthmus.model.plant import Source
from isthmus.runtime.background import begun, told
from isthmus.runtime.browse import Browsing, Stored
from isthmus.runtime.devices import Occupied
from isthmus.web.workbench import Crawling, RefusedChangeError, Trouble

_NEW_INDEX: Final = 1.0
"""Seconds between two indexes while a crawl runs."""
_TROUBLES: Final[Mapping[type[BaseException], Trouble]] = {
    Unreachable: "unreachable",
    Refused: "refused",
    Occupied: "refused",
    Unsupported: "unsupported",
}


class AddressSpace:
    """One source; what an earlier crawl found is read once."""

    def __init__(self, source: Source, make: Callable[[], Browsing]) -> None:
        self.source = source
        self._make = make
        self._browsing = make()
        self._stored: Stored | None = self._browsing.stored()
        self._task: asyncio.Task[None] | None = None
        self._index: NodeIndex | None = None
        self._indexed = 0.0

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    def crawl(self, *, again: bool) -> None:
        if self.running:
            return
        if again:
            self._stored = self._index = None
        self._browsing = self._make()
        self._task = begun(self._run(again=again), f"browsing `{self.source.name}`")

    def keep(self, nodes: Sequence[Node]) -> None:
        """Tags that a person listed take the place of a crawl."""
        if self.running:
            raise RefusedChangeError("it is being browsed now: wait until that ends")
        self._browsing = self._make()
        self._browsing.keep(nodes)
        self._task = self._index = None
        self._stored = self._browsing.stored()

    async def _run(self, *, again: bool) -> None:
        try:
            await self._browsing.run(again=again)
        finally:
            self._stored = self._browsing.stored()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def state(self) -> Crawling:
        known = self._known()
        progress = _progress(known) if known else None
        at = self._stored.at if self._stored and not self.running else None
        trouble, detail = _ended(None if self.running else self._task)
        return Crawling(self.running, progress, at, trouble, detail)

    def nodes(self) -> NodeIndex | None:
        """For searching; while it is being crawled, as of at most a second ago."""
        known = self._known()
        count = len(known.nodes) if known else 0
        old = self._index
        due = not self.running or time.monotonic() - self._indexed > _NEW_INDEX
        if known and count and (old is None or (len(old) != count and due)):
            self._index, self._indexed = NodeIndex(known.nodes), time.monotonic()
        return self._index

    def _known(self) -> Crawled | None:
        return self._browsing.so_far or (self._stored.crawled if self._stored else None)


def _progress(known: Crawled) -> Progress:
    waiting = len(known.waiting)
    return Progress(
        len(known.nodes), known.folders, waiting, len(known.refused), complete=not waiting
    )


def _ended(task: asyncio.Task[Any] | None) -> tuple[Trouble, str]:
    """How a crawl ended; what its connector should never raise is a fault of ours, and said so."""
    error = task.exception() if task is not None and not task.cancelled() else None
    if error is None:
        return "", ""
    return _TROUBLES.get(type(error), "fault"), told(error)
