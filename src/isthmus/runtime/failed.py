"""Samples that were kept as RAW alone, because shaping failed, are shaped now.

Readings of counters become rows that count nothing, as any reading that comes late: the next one
that was believed has counted the difference. Where rows follow from several samples in the order
they came, that order is over, and nothing is made up for it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import Micros
from isthmus.field.mapping import Mapping as Wiring
from isthmus.field.release import Released, Stays
from isthmus.field.shape import resume, shape
from isthmus.flow.contract import Failure, Gap
from isthmus.flow.log_reader import LogReader
from isthmus.flow.parcel import Parcel, Rows, Shaped
from isthmus.model.plant import Plant, Source
from isthmus.runtime.replay import as_taken, reopenings


@dataclass(frozen=True)
class Again:
    """Parcels that can be shaped, and why others cannot."""

    raws: Sequence[int] = ()
    shaped: Sequence[Shaped] = ()
    stays: Counter[Stays] = field(default_factory=Counter)


def shape_failed(log: LogReader, source: Source, plant: Plant, start: Micros, end: Micros) -> Again:
    """Of the parcels that were recorded in [start, end); writes nothing."""
    with log.view() as view:
        failures = [
            one
            for one in view.failures()
            if one.source == source.name and start <= one.recorded < end
        ]
    if not failures:
        return Again()
    mapping = Wiring.of(source, plant)
    if _needs_order(mapping):
        return Again(stays=Counter({Stays("in_order"): sum(one.samples for one in failures)}))
    gaps = reopenings(log, source.name, 0, 2**62)
    raws, shaped, stays = [], [], Counter[Stays]()
    for failure in failures:
        parcel = _parcel(log, failure)
        found = _shaped(parcel, mapping, gaps) if parcel is not None else Stays("raw")
        if isinstance(found, Stays):
            stays[found] += failure.samples
        else:
            raws.append(failure.raw)
            shaped.append(replace(found, rows=[_counting_nothing(r, plant) for r in found.rows]))
    for one in shaped:
        for entry in one.quarantined:
            if entry.counted:
                stays[Stays("refused", f"{entry.code}: {entry.reason}")] += 1
        for count in one.counts:
            if count.unmapped:
                stays[Stays("unmapped", count.tag)] += count.unmapped
    return Again(raws, shaped, stays)


def together(released: Released, failed: Again) -> Released:
    """What leaves quarantine and what was RAW alone, for one transaction."""
    counts = [count for one in failed.shaped for count in one.counts]
    return replace(
        released,
        rows=[*released.rows, *(rows for one in failed.shaped for rows in one.rows)],
        counts=[*released.counts, *counts],
        samples=released.samples + sum(count.shaped + count.thinned for count in counts),
        quarantined=[*released.quarantined, *(q for s in failed.shaped for q in s.quarantined)],
    )


def _needs_order(mapping: Wiring) -> bool:
    beside = any(block.holds for block in mapping.blocks)
    return beside or bool(mapping.derived or mapping.expressions or mapping.watch)


def _parcel(log: LogReader, failure: Failure) -> Parcel | None:
    with log.view() as view:
        found = view.raw_of(failure.source, 0, failure.raw - 1, limit=1)
    return found[0] if found and found[0].seq == failure.raw else None


def _shaped(parcel: Parcel, mapping: Wiring, gaps: Sequence[Gap]) -> Shaped | Stays:
    state = None
    [(_, samples, reopened)] = as_taken([parcel], gaps)
    for since, opened in reopened:
        state = resume(None, mapping, unknown_since=since, opened=opened)
    try:
        return shape(samples, mapping, state, now=parcel.recorded)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is named and RAW is kept
        return Stays("fails", f"{type(error).__name__}: {error}")


def _counting_nothing(rows: Rows, plant: Plant) -> Rows:
    table = rows.table
    for name, declared in plant.blocks[rows.name].fields.items():
        if declared.type == "counter":
            at = table.schema.get_field_index(name)
            nothing = pc.if_else(pc.is_valid(table[name]), pa.scalar(0, pa.int64()), None)
            table = table.set_column(at, table.schema.field(at), nothing)
    return Rows(rows.name, table)
