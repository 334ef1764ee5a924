"""Asks an agent for its assets at the beginning, and for each that it says has changed."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from isthmus.base.clock import Clock
from isthmus.field.connector import Refused
from isthmus.field.connectors.mtconnect.answers import AssetNotFoundError
from isthmus.field.connectors.mtconnect.asset_tags import AssetTags
from isthmus.field.mtconnect import documents
from isthmus.field.mtconnect.assets import assets
from isthmus.field.mtconnect.documents import DataItem, Observation
from isthmus.field.mtconnect.values import UNAVAILABLE
from isthmus.field.samples import Samples

if TYPE_CHECKING:
    from isthmus.field.connectors.mtconnect.agent import Agent

BAD_NOT_SUPPORTED: Final = 0x803D_0000
_CHANGED: Final = "ASSET_CHANGED"
_REMOVED: Final = "ASSET_REMOVED"
_MOST_SINGLE: Final = 20
"""Assets asked for one by one; where more have changed all are read again."""
_MOST_ASSETS: Final = 1024
"""Asked for where an agent does not say how many it keeps."""


class Assets:
    """What the tags of assets need of an agent; does nothing where there are no such tags."""

    def __init__(self, tags: Sequence[str], clock: Clock) -> None:
        self._tags = AssetTags(tags)
        self._clock = clock
        self._events: dict[str, str] = {}
        """Data item → what it tells."""
        self._most = _MOST_ASSETS

    async def begin(
        self, agent: "Agent", probe: Any, items: Iterable[DataItem], to: Samples
    ) -> None:
        """All that there are now."""
        if not len(self._tags):
            return
        self._most = documents.header(probe).assets or _MOST_ASSETS
        self._events = {item.id: item.type for item in items if item.type in {_CHANGED, _REMOVED}}
        await self._read_all(agent, to)

    async def follow(self, agent: "Agent", seen: Iterable[Observation], to: Samples) -> None:
        """Those that a document says have changed or were taken away."""
        told = [one for one in seen if one.item in self._events and one.text != UNAVAILABLE]
        if not told:
            return
        changed = {one.text for one in told if self._events[one.item] == _CHANGED and one.text}
        if any(one.entries for one in told) or len(changed) > _MOST_SINGLE:
            await self._read_all(agent, to)
            return
        for one in told:
            if self._events[one.item] == _REMOVED:
                received = self._clock.now()
                self._tags.removed(one.text, one.time or received, received, to)
        for asset in sorted(changed):
            await self._read_one(agent, asset, to)

    async def _read_all(self, agent: "Agent", to: Samples) -> None:
        try:
            document = await agent.get("assets", {"count": self._most})
        except AssetNotFoundError:
            self._tags.present((), self._clock.now(), to)
        except Refused:  # agents before version 1.2 know no assets
            self._tags.none(BAD_NOT_SUPPORTED, self._clock.now(), to)
        else:
            self._tags.present(assets(document), self._clock.now(), to)

    async def _read_one(self, agent: "Agent", asset: str, to: Samples) -> None:
        try:
            document = await agent.asset(asset)
        except AssetNotFoundError:  # gone again meanwhile
            received = self._clock.now()
            self._tags.removed(asset, received, received, to)
        else:
            self._tags.changed(assets(document), self._clock.now(), to)
