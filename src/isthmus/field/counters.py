"""Cumulative counters become increments; what is not certain counts nothing.

A reading is believed when its device time is later than that of the last one (or the same with
a larger value). An older one counts 0: it is a redelivery, or came out of order. So it does not
matter how samples are cut into parcels, and nothing counts twice. The parts made while nobody
was listening are the difference of the first reading after it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.field.carried import Carried, Reading
from isthmus.field.columns import Column, case, equals, shifted, split, with_columns
from isthmus.field.mapping import Mapping
from isthmus.field.quarantine import Why
from isthmus.model.plant import FieldMap

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Counted:
    """Entries of counters, ordered by field and arrival; `whole` is the increment."""

    entries: pa.RecordBatch
    out_of_order: list[int]
    """Samples older than one that was believed before."""


def counted(entries: pa.RecordBatch, mapping: Mapping, carried: Carried) -> Counted:
    """Take increments from readings in the order of arrival; `carried` gets the last readings."""
    ordered = entries.take(pc.sort_indices(entries["field"]))
    increments, usual = _steps(ordered, mapping, carried)
    walked = ordered["field"].filter(pc.invert(usual)).unique()
    regular, odd = split(ordered, pc.invert(pc.is_in(ordered["field"], value_set=walked)))
    if regular.num_rows:
        _remember(regular, mapping, carried)
    if not odd.num_rows:
        return Counted(with_columns(ordered, whole=increments), [])
    kept = increments.filter(pc.invert(pc.is_in(ordered["field"], value_set=walked)))
    parts, late = [with_columns(regular, whole=kept)], []
    for number in walked.to_pylist():
        one = _walked(odd.filter(equals(odd["field"], number)), number, mapping, carried)
        parts.append(one.entries)
        late += one.out_of_order
    return Counted(pa.concat_batches(parts), late)


def _steps(entries: pa.RecordBatch, mapping: Mapping, carried: Carried) -> tuple[Column, Column]:
    """Increments, and whether each step is one that needs no look at its surroundings."""
    field, time, whole = entries["field"], entries["time"], entries["whole"]
    before_time, before = _before(entries, mapping, carried)
    size = mapping.size.take(field)
    step, noise = _forward(field, whole, before, mapping)
    per_step = mapping.pieces.take(field)
    pieces = pc.multiply(step.cast(pa.float64(), safe=False), per_step)
    follows = pc.and_(
        pc.greater(time, before_time),
        pc.less_equal(pieces, mapping.most.take(field)).fill_null(True),  # noqa: FBT003
    )
    if noise is not None:
        follows = pc.and_(follows, pc.invert(noise))
    possible = pc.and_(
        pc.greater_equal(whole, 0),
        pc.less(whole, size).fill_null(True),  # noqa: FBT003
    )
    usual = pc.and_(pc.and_(possible, pc.equal(per_step, pc.round(per_step))),
                    pc.coalesce(follows, pc.is_null(before)))  # fmt: skip
    increments = pc.multiply(step, per_step.cast(pa.int64(), safe=False))
    return increments, usual


def _forward(
    field: Column, whole: Column, before: Column, mapping: Mapping
) -> tuple[Column, Column | None]:
    """How far each reading went (0 for a first one), and which smaller ones mean nothing.

    Most parcels have no smaller ones.
    """
    ahead = pc.subtract(whole, before)
    back = pc.less(ahead, 0)
    if not pc.any(back).as_py():
        return ahead.fill_null(0), None
    rolled = pc.and_kleene(
        pc.greater_equal(before, mapping.rolls_from.take(field)),
        pc.less(whole, mapping.rolls_to.take(field)),
    ).fill_null(False)  # noqa: FBT003
    around = pc.add(ahead, mapping.size.take(field))
    step = case((pc.invert(back), ahead), (rolled, around), (back, whole), default=0)
    return step, pc.and_(pc.and_(mapping.ignore.take(field), back), pc.invert(rolled))


def _before(entries: pa.RecordBatch, mapping: Mapping, carried: Carried) -> tuple[Column, Column]:
    """Time and value of the reading before each, from `carried` for the first of its field."""
    field = entries["field"]
    first = pc.not_equal(field, shifted(field)).fill_null(True)  # noqa: FBT003
    last = [carried.counters.get(mapping.keys[n]) for n in field.filter(first).to_pylist()]
    rank = pc.subtract(pc.cumulative_sum(first.cast(pa.int32())), 1)
    times = pa.array([None if r is None else r.time for r in last], pa.int64()).take(rank)
    values = pa.array([None if r is None else r.value for r in last], pa.int64()).take(rank)
    return (
        pc.if_else(first, times, shifted(entries["time"])),
        pc.if_else(first, values, shifted(entries["whole"])),
    )


def _remember(entries: pa.RecordBatch, mapping: Mapping, carried: Carried) -> None:
    field = entries["field"]
    ends = pa.concat_arrays([pc.not_equal(field[:-1], field[1:]), pa.array([True])])
    last = entries.select(["field", "time", "whole"]).filter(ends)
    for number, time, value in zip(*(column.to_pylist() for column in last.columns), strict=True):
        carried.counters[mapping.keys[number]] = Reading(time, value)


def _walked(entries: pa.RecordBatch, number: int, mapping: Mapping, carried: Carried) -> Counted:
    """One field whose readings are not all as usual, reading by reading."""
    key, mapped = mapping.keys[number], mapping.maps[number]
    readings = zip(entries["time"].to_pylist(), entries["whole"].to_pylist(), strict=True)
    taken = list(_walk(readings, carried.counters.get(key), mapped))
    last = taken[-1].last
    if last is not None:
        carried.counters[key] = last
    samples = entries["sample"].to_pylist()
    return Counted(
        with_columns(
            entries,
            whole=pa.array([t.pieces for t in taken], pa.int64()),
            why=pa.array([int(t.why) for t in taken], pa.uint8()),
        ),
        [sample for sample, t in zip(samples, taken, strict=True) if t.out_of_order],
    )


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
        size: int = 2**counter.bits
        if before >= size // 4 * 3 and value < size // 4:
            return value - before + size
    if counter is not None and counter.decrements == "ignore":
        return None
    return value
