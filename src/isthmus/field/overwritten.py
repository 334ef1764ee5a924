"""States that were written again while they were wrong.

Where another field of a block goes bad, the row says the state that holds (see `holding`). Was the
sample that told the right one in quarantine then, the row says a wrong one, and no late row can
take it back.
"""

from bisect import bisect_left, bisect_right

import pyarrow as pa

from isthmus.base.clock import Micros
from isthmus.field.convert import BAD_GRADE
from isthmus.field.mapping import Mapping

Place = tuple[str, str, str]
"""Machine, block, field."""


class Overwritten:
    """Sees the entries of all samples, then knows which states were written again."""

    def __init__(self, mapping: Mapping) -> None:
        holds = {block.name: set(block.holds) for block in mapping.blocks if block.holds}
        self._places = [(m.machine, m.block, m.field) for m in mapping.maps]
        self._watched = [block in holds for _, block, _ in self._places]
        self._told: dict[Place, list[Micros]] = {
            place: [] for place in self._places if place[2] in holds.get(place[1], ())
        }
        self._doubtful: dict[Place, list[Micros]] = {place: [] for place in self._told}

    @property
    def watches(self) -> bool:
        return bool(self._told)

    def reopened(self, unknown_since: Micros) -> None:
        """What held before does not hold any more."""
        for told in self._told.values():
            told.append(unknown_since)

    def see(self, entries: pa.RecordBatch) -> None:
        if not self.watches:
            return
        columns = (entries[name].to_pylist() for name in ("field", "time", "grade"))
        for number, time, grade in zip(*columns, strict=True):
            if not self._watched[number]:
                continue
            place = self._places[number]
            if place in self._told:
                self._told[place].append(time)
            if grade == BAD_GRADE:
                for other, doubtful in self._doubtful.items():
                    if other[:2] == place[:2] and other != place:
                        doubtful.append(time)

    def finish(self) -> None:
        """All has been seen."""
        for times in (*self._told.values(), *self._doubtful.values()):
            times.sort()

    def hides(self, place: Place, time: Micros) -> bool:
        """Whether a row after `time`, and before the state was told again, says an older one."""
        if place not in self._told:
            return False
        doubtful, told = self._doubtful[place], self._told[place]
        at, following = bisect_left(doubtful, time), bisect_right(told, time)
        if at == len(doubtful):
            return False
        return following == len(told) or doubtful[at] < told[following]
