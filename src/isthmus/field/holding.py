"""States hold until the next one, also in rows where another field of the block went bad.

In a row of `machine_state`, `state` null with `_quality` 2 means: nobody knows the state. A bad
`mode` alone must not say that, so the state that holds at that time is written again.
"""

from bisect import bisect_right

import polars as pl
import pyarrow as pa

from isthmus.base.clock import Micros
from isthmus.field.carried import Carried, Held
from isthmus.field.mapping import BlockLayout, Mapping

_BAD = 2


def held(
    name: str,
    wide: pl.DataFrame,
    keyed: pl.DataFrame,
    told: pa.Array | None,
    pool: pa.Array,
    block: BlockLayout,
    mapping: Mapping,
    carried: Carried,
) -> pa.Array:
    """The column of a state, filled where only others are bad; `carried` gets the last states."""
    number = [column.name for column in block.columns].index(name)
    changes = keyed.filter(pl.col("column") == number)
    doubtful = wide.with_row_index("at").filter(pl.col("grade") == _BAD)
    if doubtful.height:
        doubtful = doubtful.join(changes, on=["row", "again"], how="anti")
    known = _Known(name, changes, pool, block, mapping, carried)
    values = told if told is not None else pa.nulls(wide.height, pa.string())
    if doubtful.height:
        filled = values.to_pylist()
        for at, machine, time in doubtful.select("at", "machine", "time").iter_rows():
            filled[at] = known.state(machine, time)
        values = pa.array(filled, pa.string())
    known.remember()
    return values


class _Known:
    """What this parcel and the ones before say about one state of every machine."""

    def __init__(
        self, name: str, changes: pl.DataFrame, pool: pa.Array, block: BlockLayout,
        mapping: Mapping, carried: Carried,
    ) -> None:  # fmt: skip
        self.changes = changes.select("machine", "time", "whole").sort("time", maintain_order=True)
        self.pool = pool
        self.mapping = mapping
        self.carried = carried
        self.suffix = f"{block.name}.{name}"
        self.times: dict[int, tuple[list[Micros], list[int | None]]] | None = None

    def state(self, machine: int, time: Micros) -> str | None:
        """None: it is unknown, or we no longer know what was true that long ago."""
        if self.times is None:
            self.times = {}
            for number, at, value in self.changes.iter_rows():
                times, values = self.times.setdefault(number, ([], []))
                times.append(at)
                values.append(value)
        times, values = self.times.get(machine, ([], []))
        before = bisect_right(times, time)
        if before:
            return self._name(values[before - 1])
        last = self.carried.held.get(self._key(machine))
        return last.name if last is not None and last.time <= time else None

    def remember(self) -> None:
        last = self.changes.group_by("machine", maintain_order=True).last()
        for machine, time, value in last.iter_rows():
            key = self._key(machine)
            before = self.carried.held.get(key)
            if before is None or before.time <= time:
                self.carried.held[key] = Held(time, self._name(value))

    def _key(self, machine: int) -> str:
        return f"{self.mapping.machines[machine].as_py()}|{self.suffix}"

    def _name(self, value: int | None) -> str | None:
        return None if value is None else self.pool[value].as_py()
