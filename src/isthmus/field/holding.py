"""States hold until the next one, also in rows where another field of the block went bad.

In a row of `machine_state`, `state` null with `_quality` 2 means: nobody knows the state. A bad
`mode` alone must not say that, so the state that holds at that time is written again.
"""

from bisect import bisect_right

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import Micros
from isthmus.field.carried import Carried, Held
from isthmus.field.columns import equals
from isthmus.field.convert import BAD_GRADE
from isthmus.field.mapping import Mapping


class States:
    """What this parcel and the ones before it say about one state (`block.field`)."""

    def __init__(
        self, path: str, told: pa.RecordBatch, pool: pa.Array, mapping: Mapping, carried: Carried
    ) -> None:
        self.path = path
        self.told = told
        self.pool = pool
        self.mapping = mapping
        self.carried = carried

    def held(
        self, cells: pa.Array, machine: pa.Array, time: pa.Array, quality: pa.Array
    ) -> pa.Array:
        """The column, filled where only others are bad; `carried` gets the last states."""
        changes = self._changes()
        doubtful = set(pc.indices_nonzero(equals(quality, BAD_GRADE)).to_pylist())
        doubtful -= set(self.told["row"].to_pylist()) if doubtful else set()
        if doubtful:
            filled = cells.to_pylist()
            for row in doubtful:
                filled[row] = self._at(machine[row].as_py(), time[row].as_py(), changes)
            cells = pa.array(filled, pa.string())
        self._remember(changes)
        return cells

    def _changes(self) -> dict[int, list[tuple[Micros, int, int | None]]]:
        """Per machine: time, order of arrival, position of the name; the latest last."""
        changes: dict[int, list[tuple[Micros, int, int | None]]] = {}
        columns = (self.told[n].to_pylist() for n in ("machine", "time", "sample", "whole"))
        for machine, time, sample, name in zip(*columns, strict=True):
            changes.setdefault(machine, []).append((time, sample, name))
        for one in changes.values():
            one.sort(key=lambda change: change[:2])
        return changes

    def _at(
        self, machine: int, time: Micros, changes: dict[int, list[tuple[Micros, int, int | None]]]
    ) -> str | None:
        """None: it is unknown, or we no longer know what was true that long ago."""
        ours = changes.get(machine, [])
        before = bisect_right(ours, time, key=lambda change: change[0])
        if before:
            return self._name(ours[before - 1][2])
        last = self.carried.held.get(self._key(machine))
        return last.name if last is not None and last.time <= time else None

    def _remember(self, changes: dict[int, list[tuple[Micros, int, int | None]]]) -> None:
        for machine, ours in changes.items():
            time, _, name = ours[-1]
            before = self.carried.held.get(self._key(machine))
            if before is None or before.time <= time:
                self.carried.held[self._key(machine)] = Held(time, self._name(name))

    def _key(self, machine: int) -> str:
        return f"{self.mapping.machines[machine].as_py()}|{self.path}"

    def _name(self, position: int | None) -> str | None:
        return None if position is None else self.pool[position].as_py()
