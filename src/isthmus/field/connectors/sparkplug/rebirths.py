"""Which edge nodes to ask for a rebirth, and when: at once, then ever more slowly."""

from typing import Final

from isthmus.field.connectors.sparkplug.topics import NodeId

FIRST_PAUSE: Final = 5.0
"""Seconds between the first two requests; they double."""
LONGEST_PAUSE: Final = 300.0
_CALM: Final = 10
"""After so many pauses without a need for it the next request begins anew."""


class Rebirths:
    """A node whose births do not help must not be asked for one with every message."""

    def __init__(self) -> None:
        self._wanted: dict[NodeId, float] = {}
        """Node → when it is to be asked."""
        self._asked: dict[NodeId, tuple[float, float]] = {}
        """Node → when it was asked last, and the pause that must follow."""

    def want(self, node: NodeId, now: float) -> None:
        """Ask this node until it is born; `now` in seconds of the event loop."""
        if node in self._wanted:
            return
        asked, pause = self._asked.get(node, (now, 0.0))
        if now - asked > _CALM * pause:
            self._asked.pop(node, None)
        self._wanted[node] = max(now, asked + pause)

    def born(self, node: NodeId) -> None:
        self._wanted.pop(node, None)

    def due(self) -> float | None:
        """When `take` has something to give."""
        return min(self._wanted.values(), default=None)

    def take(self, now: float) -> list[NodeId]:
        """The nodes to be asked now; each is asked again later unless it is born."""
        ready = [node for node, at in self._wanted.items() if at <= now]
        for node in ready:
            _, pause = self._asked.get(node, (now, 0.0))
            pause = min(pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
            self._asked[node] = (now, pause)
            self._wanted[node] = now + pause
        return ready
