"""The OPC UA connector: what the runtime calls, told to the session and its subscription."""

import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import Connector, Missed, Node, Unreachable
from isthmus.field.connectors.opcua.granted import Revised, granted, ungranted
from isthmus.field.connectors.opcua.spec import OpcuaSource
from isthmus.field.samples import Samples

if TYPE_CHECKING:
    from asyncua.client.client import Client

    from isthmus.field.connectors.opcua.asking import Asking
    from isthmus.field.connectors.opcua.history import History
    from isthmus.field.connectors.opcua.lookout import Lookout
    from isthmus.field.connectors.opcua.subscription import Subscription

WAIT = 1.0
"""Seconds `read()` waits for a publication."""


class OpcuaConnector(Connector[OpcuaSource]):
    """Reads by subscription; asks for nothing that would change the server's values."""

    Spec: ClassVar[type[OpcuaSource]] = OpcuaSource
    live: ClassVar[bool] = True
    browses_at_once: ClassVar[int] = 4

    def __init__(self, name: str, spec: OpcuaSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self.revised: Revised | None = None
        """The intervals the server granted, once it is open."""
        self._samples = Samples()
        self._paths: dict[str, str] = {}
        self._attention: list[str] = []
        self._endpoint = spec.endpoint
        self._level = 0
        self._looked = 0.0
        self._lookout: Lookout | None = None
        self._client: Client | None = None
        self._session: Asking | None = None
        self._subscription: Subscription | None = None
        self._history: History | None = None

    async def open(self) -> None:
        from isthmus.field.connectors.opcua.asking import Asking
        from isthmus.field.connectors.opcua.redundancy import connect_to_best, service_level
        from isthmus.field.connectors.opcua.session import named_errors
        from isthmus.field.connectors.opcua.subscription import Subscription

        tags = {tag: self.spec.parse_tag(tag) for tag in self.tags}
        session = await connect_to_best(self.name, self.spec)
        self._client, self._endpoint = session.client, session.endpoint
        self._attention = session.attention
        asking = self._session = Asking(self._client.uaclient.session, self.allowance)
        self._subscription = Subscription(
            self._client, asking, self.spec, self._samples, self.clock
        )
        with named_errors(self.name, self._endpoint):
            self.revised = await self._subscription.start(tags)
            if self.spec.endpoints:
                self._level = await service_level(self._client)

    async def read(self) -> pa.Table | None:
        subscription = self._opened()
        from isthmus.field.connectors.opcua.session import named_errors

        with named_errors(self.name, self._endpoint):
            await subscription.wait(WAIT)
            if self.spec.endpoints and not subscription.lost:
                await self._look_at_level()
                self._look_at_others()
        table = self._samples.take()
        subscription.drained()
        if subscription.failure is not None:
            raise subscription.failure
        if table is None and subscription.lost:
            raise Unreachable(f"source `{self.name}`: lost {self._endpoint}: {subscription.lost}")
        return table

    async def _look_at_level(self) -> None:
        """Another server may serve better: the runtime opens anew, and the best is taken."""
        from isthmus.field.connectors.opcua.redundancy import category, service_level

        now = time.monotonic()
        if now - self._looked < self.spec.timeout:
            return
        self._looked = now
        await self._asking().turn()
        level = await service_level(self._connected())
        if category(level) < category(self._level):
            raise Unreachable(
                f"source `{self.name}`: {self._endpoint} serves worse than before (ServiceLevel "
                f"{level} instead of {self._level}); the best server of the set is looked for"
            )
        self._level = level

    def _look_at_others(self) -> None:
        """While this server is unwell. How well others serve only a session with them tells."""
        from isthmus.field.connectors.opcua.lookout import Lookout
        from isthmus.field.connectors.opcua.redundancy import HEALTHY

        if self._level >= HEALTHY:
            self.memory = None
            return
        in_vain = self.memory or 0
        if self._lookout is None:
            self._lookout = Lookout(self.name, self.spec, self._endpoint, in_vain)
        if other := self._lookout.answers():
            self.memory = in_vain + 1
            raise Unreachable(
                f"source `{self.name}`: {self._endpoint} is unwell (ServiceLevel {self._level}) "
                f"and {other} answers; the best server of the set is looked for"
            )

    def missed(self) -> list[Missed]:
        if self._subscription is None:
            return []
        return self._subscription.missed()

    def attention(self) -> list[str]:
        if self._subscription is None or self.revised is None:
            return self._attention
        monitoring = self._subscription.monitoring
        less = ungranted(self.spec, self.revised, monitoring.granted)
        return [*self._attention, *monitoring.attention, *less]

    def details(self) -> dict[str, str]:
        """What the server granted, in words."""
        if self._subscription is None or self.revised is None:
            return {}
        told = granted(self.revised, self._subscription.monitoring.granted)
        return {"endpoint": self._endpoint, **told}

    async def close(self) -> None:
        if self._lookout is not None:
            await self._lookout.close()
        client, self._client = self._client, None
        if client is None:
            return
        from isthmus.field.connectors.opcua.session import disconnect

        lost = False
        if self._subscription is not None:
            lost = bool(self._subscription.lost)
            await self._subscription.close()
        await disconnect(client, lost=lost)

    async def browse(self, parent: str = "") -> AsyncIterator[Node]:
        """Objects and variables below a node; `parent` is a `tag` that came from here."""
        from isthmus.field.connectors.opcua.browse import children
        from isthmus.field.connectors.opcua.session import named_errors

        client = self._connected()
        with named_errors(self.name, self._endpoint):
            async for node in children(client, self._asking(), parent, self._paths):
                yield node

    @property
    def fills_gaps(self) -> bool:
        return self.spec.history

    async def history(self, start: Micros, end: Micros) -> pa.Table:
        """What the server itself has stored of our tags; nodes without history give nothing."""
        from isthmus.field.connectors.opcua.history import History
        from isthmus.field.connectors.opcua.session import named_errors

        if self._history is None:
            self._history = History(self._asking(), self._opened().arrivals, self.clock)
        with named_errors(self.name, self._endpoint):
            return await self._history.read(start, end)

    def _opened(self) -> "Subscription":
        if self._subscription is None:
            raise RuntimeError(f"source `{self.name}` is read before it is open")
        return self._subscription

    def _asking(self) -> "Asking":
        if self._session is None:
            raise RuntimeError(f"source `{self.name}` is asked before it is open")
        return self._session

    def _connected(self) -> "Client":
        if self._client is None:
            raise RuntimeError(f"source `{self.name}` is asked before it is open")
        return self._client
