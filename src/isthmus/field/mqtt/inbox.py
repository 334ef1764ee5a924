"""Publications that wait to be taken, together as they were read; no more than memory has room."""

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from isthmus.base.clock import SECOND, Clock, Micros
from isthmus.field.mqtt.publications import QOS_1, RETAINED, Published, topic_name

MOST_WAITING: Final = 100_000
"""Messages kept in memory. With QoS 1 the broker stops long before; QoS 0 knows no such brake."""


class Message(NamedTuple):
    """One publication, for whoever reads few and large ones."""

    topic: str
    payload: bytes
    retained: bool
    received: Micros


class Batch(NamedTuple):
    """Publications that were read at once."""

    received: Micros
    """Of the first; each other one counts as received a microsecond after the one before."""
    publications: list[Published]
    identifiers: list[int]
    """Of those the broker wants acknowledged."""

    def messages(self) -> Iterator[Message]:
        for received, (topic, payload, head, _) in enumerate(self.publications, self.received):
            yield Message(topic_name(topic), payload, bool(head & RETAINED), received)


class Inbox:
    """Filled by the event loop, emptied by a connector."""

    def __init__(self, clock: Clock) -> None:
        self.overflowed = 0
        """QoS 0 messages that found no room."""
        self._clock = clock
        self._last: Micros = 0
        self._batches: deque[Batch] = deque()
        self._waiting = 0

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(self, published: list[Published]) -> int:
        """Keep what has room; how many of them the broker wants acknowledged.

        QoS 1 without room is not acknowledged: the broker keeps it for the next connection.
        """
        room = MOST_WAITING - self._waiting
        if len(published) > room:
            self.overflowed += sum(not one[2] & QOS_1 for one in published[room:])
            published = published[:room]
        if not published:
            return 0
        identifiers = [one[3] for one in published if one[2] & QOS_1]
        self._batches.append(Batch(self._times(len(published)), published, identifiers))
        self._waiting += len(published)
        return len(identifiers)

    def take(self, most: int) -> list[Batch]:
        """Whole batches, until there are about so many messages."""
        taken: list[Batch] = []
        while self._batches and most > 0:
            batch = self._batches.popleft()
            most -= len(batch.publications)
            taken.append(batch)
        self._waiting -= sum(len(batch.publications) for batch in taken)
        return taken

    def _times(self, count: int) -> Micros:
        """Time of receipt, never twice the same: (tag, device time) tells samples apart."""
        now = self._clock.now()
        if self._last - SECOND < now <= self._last:
            now = self._last + 1
        self._last = now + count - 1
        return now
