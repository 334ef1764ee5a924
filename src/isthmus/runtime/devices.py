"""Which devices the sources of a plant reach, what each may be asked, who holds a connection.

Connections are locks on small files, and requests are noted beside them: so commands, which are
processes of their own, and the platform count together.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from isthmus.field.budget import Allowance, strictest
from isthmus.field.connector import AnyConnector, Refused
from isthmus.model.plant import Plant, Source
from isthmus.runtime.together import Asked, Place, locked, places

LOOKS: Final = 2
"""For those who look around, where no budget says otherwise: a crawl, and live values beside it."""
_PATIENCE: Final = 2.0
"""Seconds to wait for somebody who is just leaving."""
_LOOK: Final = 0.05

Look = Callable[[Source, AnyConnector | None], AbstractAsyncContextManager[None]]
"""Around every connection that is not intake's, from before it is opened until it is closed."""


class Occupied(Refused):
    """All connections that a device's budget allows are held."""


@dataclass(frozen=True)
class Reached:
    """A device, and what holds for all of its sources together."""

    key: str
    shown: str
    most: int
    """Connections at one time."""
    intake: int
    """Of these, those that are kept for the intake of its sources."""
    declared: bool
    """It is the device that has no more, whoever asks; else we only are polite."""


class Line:
    """Connections that may be open until `close`."""

    def __init__(self, handles: list[int]) -> None:
        self._handles = handles

    def close(self) -> None:
        while self._handles:
            os.close(self._handles.pop())


class Devices:
    """Of one data folder; the plant may change."""

    def __init__(self, folder: Path, plant: Callable[[], Plant], *, serves: bool = False) -> None:
        """`serves`: it is the platform itself, whose intake keeps its connections."""
        self._places = places(folder)
        self._plant = plant
        self._serves = serves
        self._allowances: dict[str, Allowance] = {}

    def adopt(self) -> None:
        """The plant has changed; what is under way is asked by its new budgets."""
        for source in self._plant().sources.values():
            self.allowance(source)

    def allowance(self, source: Source) -> Allowance:
        """Of its device, the same for all that read it; by the budgets of the plant as it is."""
        ours = [one.spec.budget for one in self._of_same_device(source)]
        budget = strictest(ours or [source.spec.budget])
        key = _key(source)
        if key not in self._allowances:
            # The name of a source says nothing beyond its own data folder.
            known = self._places if source.spec.budget_holds_for else self._places[:1]
            self._allowances[key] = Allowance(budget, Asked(known, f"{key}.asked"))
        self._allowances[key].allow(budget)
        return self._allowances[key]

    def intake(self, source: Source) -> Line | None:
        """For as long as the source is read; None while somebody else holds all connections."""
        reached = self._reached(source)
        if reached is None:
            return Line([])
        return self._hold(reached, range(reached.most), source.spec.intake_connections)

    @asynccontextmanager
    async def look(self, source: Source, connector: AnyConnector | None) -> AsyncIterator[None]:
        """A connection for a look at a source; Occupied if its device has none left."""
        if connector is not None:
            connector.allowance = self.allowance(source)
        line = await self._line_for_a_look(source)
        try:
            yield
        finally:
            line.close()

    async def _line_for_a_look(self, source: Source) -> Line:
        reached = self._reached(source)
        if reached is None:
            return Line([])
        first = reached.intake if self._serves else 0
        loop = asyncio.get_running_loop()
        end = loop.time() + _PATIENCE
        while (line := self._hold(reached, range(first, reached.most)[::-1], 1)) is None:
            if first >= reached.most or loop.time() > end:
                raise Occupied(_occupied(source, reached))
            await asyncio.sleep(_LOOK)
        return line

    def _reached(self, source: Source) -> Reached | None:
        if source.spec.reaches is None:
            return None
        others = self._of_same_device(source)
        intake = sum(one.spec.intake_connections for one in others)
        budget = strictest([one.spec.budget for one in (*others, source)])
        declared = budget.connections is not None
        most = budget.connections or intake + LOOKS
        return Reached(_key(source), source.spec.reaches, most, intake, declared)

    def _of_same_device(self, source: Source) -> list[Source]:
        there = self._plant().sources.values()
        return [one for one in there if one.spec.enabled and _key(one) == _key(source)]

    def _hold(self, reached: Reached, numbers: range, count: int) -> Line | None:
        """So many connections of these numbers; nobody waits for them here."""
        handles: list[int] = []
        for place in self._places if reached.declared else self._places[:1]:
            held = _held(place, reached.key, numbers, count)
            if held is None:
                Line(handles).close()
                return None
            handles += held
        return Line(handles)


def _held(place: Place, key: str, numbers: range, count: int) -> list[int] | None:
    """Handles of the first that are free; None if they are too few."""
    held: list[int] = []
    try:
        for number in numbers:
            handle = locked(place, f"{key}.{number}")
            if handle is not None:
                held.append(handle)
            if len(held) == count:
                return held
    except OSError:  # a full disk, or a folder of somebody else: no reason to read nothing
        return held
    Line(held).close()
    return None


@asynccontextmanager
async def freely(_source: Source, _connector: AnyConnector | None) -> AsyncIterator[None]:
    """A look that nobody counts."""
    yield


def _key(source: Source) -> str:
    """Names its files, too; what shares nothing is itself."""
    device = source.spec.budget_holds_for or f"source {source.name}"
    return quote(f"{source.site} {device}", safe=" :.-_")[:200]


def _occupied(source: Source, reached: Reached) -> str:
    several = "connection is" if reached.most == 1 else "connections are"
    return (
        f"source `{source.name}`: the budget of {reached.shown} allows {reached.most}, and "
        f"{'its' if reached.most == 1 else 'all'} {several} in use"
        f"{' by intake' if reached.intake >= reached.most else ''}. What comes is on the page of "
        f"its machine. To look around, wait until another look ends, allow one more "
        f"(`budget: {{connections: {reached.most + 1}}}`), or set `enabled: false` meanwhile"
    )
