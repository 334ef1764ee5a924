"""One edge node: what it says in order, made samples, gaps and wishes."""

from collections.abc import Iterable
from typing import assert_never

from isthmus.field.connector import Missed
from isthmus.field.connectors.sparkplug.metrics import Metrics
from isthmus.field.connectors.sparkplug.session import (
    Alive,
    Born,
    Data,
    Dead,
    Doubtful,
    Event,
    Lost,
    Message,
    Session,
    Unborn,
)
from isthmus.field.connectors.sparkplug.topics import NodeId
from isthmus.field.samples import Samples


class Edge:
    """Its session and its metrics together."""

    def __init__(
        self,
        node: NodeId,
        samples: Samples,
        reorder_timeout: float,
        birth_timeout: float,
        *,
        may_ask: bool = False,
    ) -> None:
        self.node = node
        self.metrics = Metrics(samples)
        self._session = Session(reorder_timeout, birth_timeout, may_ask=may_ask)
        self._missed: list[Missed] = []
        self._unborn = False

    @property
    def online(self) -> bool:
        return self._session.online

    @property
    def due(self) -> float | None:
        return self._session.due

    def take(self, message: Message, now: float) -> None:
        self._follow(self._session.take(message, now))

    def tick(self, now: float) -> None:
        self._follow(self._session.tick(now))

    def missed(self) -> list[Missed]:
        """Since the last call."""
        missed, self._missed = self._missed, []
        return missed

    def wants_birth(self) -> bool:
        """Whether something came since the last call that only a rebirth can make good."""
        unborn, self._unborn = self._unborn, False
        return unborn or self._session.in_doubt

    def _follow(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Born():
                    self.metrics.born(event.device, event.message)
                case Data():
                    self._take_data(event)
                case Dead():
                    self.metrics.dead(event.device, event.at, event.received)
                case Doubtful():
                    self.metrics.doubt(event.at)
                case Alive():
                    self.metrics.alive(event.message)
                case Lost():
                    self._miss(event)
                case Unborn():
                    self._unborn = True
                case _:
                    assert_never(event)

    def _take_data(self, data: Data) -> None:
        strangers = self.metrics.data(data.device, data.message, certain=data.certain)
        if strangers:
            self._unborn = True
            at = data.message.received
            self._miss(Lost(at, at + 1, f"{strangers} values of metrics that no birth named"))

    def _miss(self, lost: Lost) -> None:
        who = "/".join(self.node)
        self._missed.append(Missed(lost.start, lost.end, f"{who}: {lost.why}"))
