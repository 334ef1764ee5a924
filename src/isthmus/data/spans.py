"""Stretches of time that must be looked at again, joined where they touch."""

from collections.abc import Iterator

from isthmus.base.clock import HOUR, Micros


class Spans:
    """A set of half-open stretches; empty ones are kept as the moment they are."""

    def __init__(self) -> None:
        self._spans: list[tuple[Micros, Micros]] = []

    def add(self, start: Micros, end: Micros) -> None:
        self._spans.append((start, max(start, end)))

    def __iter__(self) -> Iterator[tuple[Micros, Micros]]:
        return iter(self._spans)

    def whole_hours(self) -> list[tuple[Micros, Micros]]:
        """The hours they touch, as few stretches of whole hours, in order.

        The hour in which a stretch ends is among them: what begins there is judged by what was
        before it.
        """
        joined: list[tuple[Micros, Micros]] = []
        for start, end in sorted(self._spans):
            first, last = start // HOUR * HOUR, end // HOUR * HOUR + HOUR
            if joined and first <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], last))
            else:
                joined.append((first, last))
        return joined
