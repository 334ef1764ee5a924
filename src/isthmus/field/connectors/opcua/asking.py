"""What we ask in a session, request by request, each when it is its turn.

Publications are no requests of ours: the server sends them when something has changed. Connecting,
signing in and the driver's look whether the link still lives do not wait either.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.ua.attribute_ids import AttributeIds

from isthmus.field.budget import Allowance

Answer = TypeVar("Answer")


class Asking:
    """The driver's session, as far as we use it."""

    def __init__(self, session: UaSession, allowance: Allowance) -> None:
        self._session = session
        self._allowance = allowance

    async def turn(self) -> None:
        """For a request that is sent otherwise."""
        await self._allowance.turn()

    async def read_attributes(
        self, nodes: Sequence[ua.NodeId], attribute: AttributeIds
    ) -> list[ua.DataValue]:
        return await self._ask(self._session.read_attributes, list(nodes), attribute)

    async def browse(self, parameters: ua.BrowseParameters) -> list[ua.BrowseResult]:
        return await self._ask(self._session.browse, parameters)

    async def browse_next(self, parameters: ua.BrowseNextParameters) -> list[ua.BrowseResult]:
        return await self._ask(self._session.browse_next, parameters)

    async def translate_browsepaths_to_nodeids(
        self, paths: list[ua.BrowsePath]
    ) -> list[ua.BrowsePathResult]:
        return await self._ask(self._session.translate_browsepaths_to_nodeids, paths)

    async def history_read(self, parameters: ua.HistoryReadParameters) -> list[Any]:
        return await self._ask(self._session.history_read, parameters)

    async def create_monitored_items(
        self, parameters: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        return await self._ask(self._session.create_monitored_items, parameters)

    async def delete_monitored_items(
        self, parameters: ua.DeleteMonitoredItemsParameters
    ) -> list[ua.StatusCode]:
        return await self._ask(self._session.delete_monitored_items, parameters)

    async def call(self, methods: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        return await self._ask(self._session.call, methods)

    async def _ask(self, ask: Callable[..., Awaitable[Answer]], *arguments: Any) -> Answer:
        await self._allowance.turn()
        return await ask(*arguments)
