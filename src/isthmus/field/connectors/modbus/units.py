"""Which units behind one connection answer, and when a silent one is asked again."""

from collections.abc import Iterable


class Units:
    """Times are seconds of the event loop."""

    def __init__(self, units: Iterable[int], rest: float) -> None:
        """Leave a unit that did not answer alone for `rest` seconds."""
        self._rest = rest
        self._again: dict[int, float] = {}
        """Of those that did not answer: when to ask again."""
        self._untried = list(units)
        self._answering: list[int] = []
        """The one that answered last is the last."""

    @property
    def all_silent(self) -> bool:
        return not self._untried and not self._answering

    def due(self, now: float) -> list[int]:
        """Those to be asked in this round: of the silent ones at most one, and last."""
        rested = sorted((at, unit) for unit, at in self._again.items() if at <= now)
        return [*self._answering, *self._untried, *(unit for _, unit in rested[:1])]

    def answered(self, unit: int) -> None:
        self._forget(unit)
        self._answering.append(unit)

    def silent(self, unit: int, now: float, *, rest: bool = True) -> None:
        """It did not answer; without a `rest` it is asked again in the next round."""
        self._forget(unit)
        self._again[unit] = now + (self._rest if rest else 0.0)

    def witness(self) -> int | None:
        """Who answered last: if that one is silent too, the link is lost, not one unit."""
        return self._answering[-1] if self._answering else None

    def _forget(self, unit: int) -> None:
        self._again.pop(unit, None)
        for units in (self._untried, self._answering):
            if unit in units:
                units.remove(unit)
