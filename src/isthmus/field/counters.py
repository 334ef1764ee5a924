"""Cumulative counters become increments; what is not certain counts nothing.

A reading is believed when its device time is later than that of the last one (or the same with
a larger value). An older one counts 0: it is a redelivery, or came out of order. So it does not
matter how samples are cut into parcels, and nothing counts twice. The parts made while nobody
was listening are the difference of the first reading after it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from isthmus.field.carried import Carried, Reading
from isthmus.field.mapping import Mapping
from isthmus.field.quarantine import Why
from isthmus.model.plant import FieldMap

_HIGH, _LOW = 0.75, 0.25
"""65,530 → 20 is a rollover, 40,000 → 100 is not: before it a counter is in the last quarter of
its range, after it in the first."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Counted:
    """Entries of counters, ordered by field and arrival; `whole` is the increment."""

    entries: pl.DataFrame
    out_of_order: list[int]
    """Positions (`sample`) of readings older than one that was believed before."""


def counted(entries: pl.DataFrame, mapping: Mapping, carried: Carried) -> Counted:
    """Take increments from readings in the order of arrival; `carried` gets the last readings."""
    steps = _steps(entries.sort("field", maintain_order=True), mapping, carried)
    odd = steps.filter(~pl.col("usual"))["field"].unique()
    if not odd.len():
        _remember(steps, mapping, carried)
        return Counted(_finished(steps), [])
    regular = steps.filter(~pl.col("field").is_in(odd.implode()))
    _remember(regular, mapping, carried)
    parts, late = [_finished(regular)], []
    for one in steps.filter(pl.col("field").is_in(odd.implode())).partition_by("field"):
        walked = _walked(one, mapping, carried)
        parts.append(walked.entries)
        late += walked.out_of_order
    return Counted(pl.concat(parts), late)


def _steps(entries: pl.DataFrame, mapping: Mapping, carried: Carried) -> pl.DataFrame:
    """Add `step` since the reading before, and whether that step is the usual one."""
    fields = entries["field"].unique(maintain_order=True)
    last = [carried.counters.get(mapping.keys[number]) for number in fields]
    base = pl.DataFrame(
        {
            "base_time": [None if r is None else r.time for r in last],
            "base": [None if r is None else r.value for r in last],
        },
        schema={"base_time": pl.Int64, "base": pl.Int64},
    )
    first = pl.col("field").ne_missing(pl.col("field").shift())
    return entries.hstack(base[entries["field"].rle_id()]).with_columns(first=first).with_columns(
        base_time=pl.when("first").then("base_time").otherwise(pl.col("time").shift()),
        base=pl.when("first").then("base").otherwise(pl.col("whole").shift()),
    ).with_columns(step=_step(), rolled=_rolled()).with_columns(usual=_usual())  # fmt: skip


def _rolled() -> pl.Expr:
    size = pl.col("size")
    near = (pl.col("base") >= size * _HIGH) & (pl.col("whole") < size * _LOW)
    return near.fill_null(value=False)


def _step() -> pl.Expr:
    """Null: there is no reading before."""
    ahead = pl.col("whole") - pl.col("base")
    return (
        pl.when(ahead >= 0).then(ahead)
        .when(_rolled()).then(ahead + pl.col("size"))
        .when(ahead < 0).then("whole")
    )  # fmt: skip


def _usual() -> pl.Expr:
    """Later than the reading before, and no case for `_walked`."""
    noise = pl.col("ignore") & (pl.col("whole") < pl.col("base")) & ~pl.col("rolled")
    possible = (pl.col("whole") >= 0) & (
        pl.col("size").is_null() | (pl.col("whole") < pl.col("size"))
    )
    pieces = pl.col("step") * pl.col("scale")
    whole_scale = pl.col("scale") == pl.col("scale").round()
    follows = (pl.col("time") > pl.col("base_time")) & (pieces <= pl.col("high")) & ~noise
    return possible & whole_scale & pl.when(pl.col("base").is_null()).then(True).otherwise(follows)  # noqa: FBT003


def _finished(steps: pl.DataFrame) -> pl.DataFrame:
    pieces = pl.col("step").fill_null(0) * pl.col("scale").cast(pl.Int64)
    return steps.with_columns(whole=pieces).drop(_STEP_COLUMNS)


_STEP_COLUMNS = ("base_time", "base", "first", "step", "rolled", "usual")


def _remember(steps: pl.DataFrame, mapping: Mapping, carried: Carried) -> None:
    last = steps.filter(pl.col("field").ne_missing(pl.col("field").shift(-1)))
    for number, time, value in last.select("field", "time", "whole").iter_rows():
        carried.counters[mapping.keys[number]] = Reading(time, value)


def _walked(entries: pl.DataFrame, mapping: Mapping, carried: Carried) -> Counted:
    """One field whose readings are not all as usual, reading by reading."""
    number = entries["field"][0]
    key, mapped = mapping.keys[number], mapping.maps[number]
    readings = zip(entries["time"], entries["whole"], strict=True)
    taken = list(_walk(readings, carried.counters.get(key), mapped))
    if taken[-1].last is not None:
        carried.counters[key] = taken[-1].last
    late = [sample for sample, t in zip(entries["sample"], taken, strict=True) if t.out_of_order]
    changed = entries.with_columns(
        whole=pl.Series([t.pieces for t in taken], dtype=pl.Int64),
        why=pl.Series([t.why for t in taken], dtype=pl.UInt8),
    )
    return Counted(changed.drop(_STEP_COLUMNS), late)


@dataclass(frozen=True)
class _Taken:
    pieces: int
    last: Reading | None
    why: Why = Why.FINE
    out_of_order: bool = False


def _walk(
    readings: Iterator[tuple[int, int]], last: Reading | None, mapped: FieldMap
) -> Iterator[_Taken]:
    for time, value in readings:
        taken = _take(time, value, last, mapped)
        last = taken.last
        yield taken


def _take(time: int, value: int, last: Reading | None, mapped: FieldMap) -> _Taken:
    if not _possible(value, mapped):
        return _Taken(0, last, Why.NOT_A_COUNT)
    if last is None:
        return _Taken(0, Reading(time, value))
    if time < last.time or (time == last.time and value <= last.value):
        return _Taken(0, last, out_of_order=time < last.time)
    step = _advance(last.value, value, mapped)
    if step is None:
        return _Taken(0, last)
    if mapped.max is not None and step * mapped.scale > mapped.max:
        return _Taken(0, last, Why.ABOVE_MAX)
    exact = last.rest + step * mapped.scale
    pieces = math.floor(exact + _ROUNDING)
    return _Taken(pieces, Reading(time, value, exact - pieces))


def _possible(value: int, mapped: FieldMap) -> bool:
    bits = mapped.counter.bits if mapped.counter is not None else None
    return value >= 0 and (bits is None or value < 2**bits)


def _advance(before: int, value: int, mapped: FieldMap) -> int | None:
    """How far the counter went; None: a smaller value that means nothing."""
    if value >= before:
        return value - before
    counter = mapped.counter
    if counter is not None and counter.bits is not None:
        size = 2**counter.bits
        if before >= size * _HIGH and value < size * _LOW:
            return value - before + size
    if counter is not None and counter.decrements == "ignore":
        return None
    return value
