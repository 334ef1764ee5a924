"""Samples of one source become rows of blocks; what breaks its contract is quarantined.

`shape` is a pure function of samples, mapping, carried state and the time. Every sample has one
fate: it is *shaped* (at least one field took it), *quarantined* (no field could), *unmapped* (no
field wants its tag) or *thinned* (the model says that it need not be kept), so `received = shaped +
quarantined + unmapped + thinned`, and the `_samples` of all rows add up to `shaped`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import HOUR, MINUTE, Micros
from isthmus.field.carried import Carried, Derived, Held, Pulses, StateError, decode, encode
from isthmus.field.columns import Column, below, equals, single, split
from isthmus.field.convert import BAD_GRADE, converted, graded, no_entries
from isthmus.field.counters import counted
from isthmus.field.derived import derive
from isthmus.field.mapping import Kind, Mapping
from isthmus.field.quarantine import Raw, Why, quarantined
from isthmus.field.reopening import since_reopening
from isthmus.field.rows import Making, rows_of, unknown_rows
from isthmus.field.rules import Pulse, StateChange, changes
from isthmus.field.thinning import thinned
from isthmus.field.watchdog import stood_still, watched
from isthmus.flow.parcel import COUNTS_SCHEMA, Counts, Quarantined, Rows, Shaped

__all__ = ["Mapping", "StateError", "resume", "shape", "unknown_rows"]

LATE = MINUTE
"""A sample this much older than its arrival counts as late."""


def shape(samples: pa.Table, mapping: Mapping, state: bytes | None, *, now: Micros) -> Shaped:
    """Rows, quarantine and counts of these samples (SAMPLES_SCHEMA; may be empty), and new state.

    `now` lets the rules for machines that only count see silence. Raises StateError where the
    carried state cannot be read.
    """
    carried = decode(state)
    parts = []
    told = samples.num_rows
    if mapping.watch:
        samples = watched(samples, mapping.watch, carried)
        samples = pa.concat_tables([samples, stood_still(mapping.watch, carried, now)])
    if mapping.expressions:
        samples = pa.concat_tables([samples, derive(mapping.expressions, samples, carried, now)])
    if samples.num_rows:
        tags, batch = numbered(samples, mapping)
        parts = [
            _shape_hour(_Hour(hour, tags, mapping, told), part, carried)
            for hour, part in by_hour(batch)
        ]
    silence = [c for d in mapping.derived for c in changes(d, (), carried, now)]
    rows = [rows for part in parts for rows in part.rows]
    if silence:
        rows += rows_of(no_entries(), silence, Making(mapping.names, mapping, carried))
    return Shaped(
        rows=_joined(rows),
        quarantined=[entry for part in parts for entry in part.quarantined],
        counts=Counts.joined(part.counts for part in parts),
        state=encode(carried),
    )


def resume(
    state: bytes | None, mapping: Mapping, *, unknown_since: Micros, opened: Micros
) -> bytes:
    """State for a source that was opened after a time in which nobody listened.

    Counters keep their last reading: parts made meanwhile are counted. States are unknown until
    a value comes; a first value whose device time is older than `unknown_since` (the state has
    not changed since) holds from `opened` on.
    """
    before = decode(state)
    return encode(
        Carried(
            counters=before.counters,
            held={key: Held(unknown_since, None) for key in before.held},
            pulses={key: Pulses() for key in before.pulses},
            derived={key: Derived(at=unknown_since) for key in before.derived},
            awaited=set(mapping.keys),
            unknown_since=unknown_since,
            # A device whose clock is ahead may have pushed `unknown_since` past our own time.
            opened=max(opened, unknown_since + 1),
        )
    )


def numbered(samples: pa.Table, mapping: Mapping) -> tuple[Column, pa.RecordBatch]:
    """The samples with `tag` as a number into the returned names, and its place in the mapping."""
    tags = single(samples["tag"]).dictionary_encode()
    position = pc.index_in(tags.dictionary, value_set=mapping.tags)
    columns = {
        "sample": pa.arange(0, samples.num_rows),
        "tag": tags.indices,
        "position": position.take(tags.indices),
        "time": single(samples["device_time"]).view(pa.int64()),
        "received": single(samples["received_time"]).view(pa.int64()),
        "number": single(samples["number"]),
        "text": single(samples["text"]),
        "quality": single(samples["quality"]),
    }
    return tags.dictionary, pa.record_batch(columns)


def by_hour(batch: pa.RecordBatch) -> Iterator[tuple[Micros, pa.RecordBatch]]:
    """The ledger counts by hour of arrival, so no row may mix two of them."""
    received = batch["received"]
    bounds = pc.min_max(received).as_py()
    if bounds["min"] // HOUR == bounds["max"] // HOUR:
        yield bounds["min"] // HOUR * HOUR, batch
        return
    hours = pc.divide(received, HOUR)
    for hour in hours.unique().to_pylist():
        yield hour * HOUR, batch.filter(pc.equal(hours, hour))


@dataclass(frozen=True)
class _Hour:
    """One hour of a parcel, and what is the same for all of it."""

    hour: Micros
    tags: Column
    """Of the whole parcel; samples have a number into it."""
    mapping: Mapping
    told: int
    """Samples from this number on were told by nobody, but follow from others."""


def _shape_hour(of: _Hour, samples: pa.RecordBatch, carried: Carried) -> Shaped:
    mapping = of.mapping
    checked = graded(samples)
    entries = entries_of(checked, mapping)
    if not entries.num_rows:
        return Shaped(counts=_counts(of, checked, _Fates()))
    entries, pool = converted(entries, mapping)
    entries, out_of_order = _count_up(entries, mapping, carried)
    fine, broken = entries, entries[:0]
    if pc.max(entries["why"]).as_py():
        fine, broken = split(entries, equals(entries["why"], 0))
    fine, thin = thinned(fine, mapping, carried)
    fine = since_reopening(fine, mapping, carried)
    derived = _derived_changes(fine, mapping, carried)
    lost, dropped = _fates(broken, thin, fine)
    return Shaped(
        rows=rows_of(_taken_once(fine, of), derived, Making(pool, mapping, carried)),
        quarantined=_quarantined(broken, samples, of, lost),
        counts=_counts(of, checked, _Fates(lost, dropped, out_of_order)),
    )


def entries_of(samples: pa.RecordBatch, mapping: Mapping) -> pa.RecordBatch:
    """One entry per sample and field that it feeds."""
    needed = samples.select(["sample", "time", "received", "number", "text", "grade", "why"])
    layers = []
    for layer in mapping.layers:
        fields = layer.take(samples["position"])
        if fields.null_count:
            layers.append(
                needed.filter(fields.is_valid()).append_column("field", fields.drop_null())
            )
        else:
            layers.append(needed.append_column("field", fields))
    return layers[0] if len(layers) == 1 else pa.concat_batches(layers)


def _count_up(
    entries: pa.RecordBatch, mapping: Mapping, carried: Carried
) -> tuple[pa.RecordBatch, list[int]]:
    if not mapping.has_counters:
        return entries, []
    usable = pc.and_(equals(entries["why"], 0), below(entries["grade"], BAD_GRADE))
    counter = equals(mapping.kind.take(entries["field"]), Kind.COUNTER)
    readings, others = split(entries, pc.and_(usable, counter))
    if not readings.num_rows:
        return entries, []
    up = counted(readings, mapping, carried)
    return pa.concat_batches([others, up.entries]), up.out_of_order


def _taken_once(fine: pa.RecordBatch, of: _Hour) -> pa.RecordBatch:
    """`taken` adds up to the number of samples, however many fields one of them feeds."""
    if len(of.mapping.layers) == 1 and not of.mapping.adds:
        return fine.append_column("taken", pa.repeat(pa.scalar(1, pa.int32()), fine.num_rows))
    met: set[int] = set()
    taken = []
    for sample in fine["sample"].to_pylist():
        taken.append(int(sample not in met and sample < of.told))
        met.add(sample)
    return fine.append_column("taken", pa.array(taken, pa.int32()))


def _derived_changes(fine: pa.RecordBatch, mapping: Mapping, carried: Carried) -> list[StateChange]:
    if not mapping.derived:
        return []
    watched = pa.array({d.pulses for d in mapping.derived}, pa.int32())
    seen = fine.filter(pc.is_in(fine["field"], value_set=watched)).sort_by("sample")
    readings: dict[int, list[Pulse]] = {}
    columns = (seen[name].to_pylist() for name in ("field", "time", "received", "whole"))
    for number, time, received, pieces in zip(*columns, strict=True):
        readings.setdefault(number, []).append(Pulse(time, received, pieces))
    return [
        change
        for d in mapping.derived
        if d.pulses in readings
        for change in changes(d, readings[d.pulses], carried, readings[d.pulses][-1].received)
    ]


def _quarantined(
    broken: pa.RecordBatch, samples: pa.RecordBatch, of: _Hour, lost: Sequence[int]
) -> list[Quarantined]:
    if not broken.num_rows:
        return []
    raw = samples.take(pc.index_in(broken["sample"], value_set=samples["sample"]))
    names = of.tags.take(raw["tag"]).to_pylist()
    values = (raw[name].to_pylist() for name in ("time", "received", "number", "text"))
    told = map(Raw, names, *values)
    fields, whys = broken["field"].to_pylist(), broken["why"].to_pylist()
    counted = _first_of(broken["sample"].to_pylist(), {one for one in lost if one < of.told})
    return [
        quarantined(of.mapping.source, one, of.mapping.maps[field], Why(why), counted=once)
        for one, field, why, once in zip(told, fields, whys, counted, strict=True)
    ]


def _first_of(entries: Sequence[int], samples: set[int]) -> Iterator[bool]:
    """Of the entries of each of these samples, one."""
    for sample in entries:
        yield sample in samples
        samples.discard(sample)


def _fates(
    broken: pa.RecordBatch, thin: set[int], fine: pa.RecordBatch
) -> tuple[list[int], list[int]]:
    """Samples that no field could take, and those that no field had to keep."""
    if not broken.num_rows and not thin:
        return [], []
    taken = set(fine["sample"].to_pylist())
    thin = thin - taken
    return sorted(set(broken["sample"].to_pylist()) - taken - thin), sorted(thin)


@dataclass(frozen=True)
class _Fates:
    """Samples that did not go into rows, and those that came out of order."""

    lost: Sequence[int] = ()
    thin: Sequence[int] = ()
    out_of_order: Sequence[int] = ()


def _counts(of: _Hour, samples: pa.RecordBatch, fates: _Fates) -> Counts:
    """Of each tag that came in this hour."""
    mapping = of.mapping
    if mapping.adds:
        samples = samples.filter(pc.less(samples["sample"], of.told))
    tally = partial(_tally, samples["tag"], len(of.tags))
    received, nothing = tally(None), pa.repeat(pa.scalar(0, pa.int64()), len(of.tags))
    uncertain = bad = unmapped = quarantined = thinned = nothing
    good = shaped = received
    if pc.max(samples["grade"]).as_py():
        uncertain = tally(equals(samples["grade"], 1))
        bad = tally(equals(samples["grade"], BAD_GRADE))
        good = pc.subtract(pc.subtract(received, uncertain), bad)
    if samples["position"].null_count:
        nowhere = tally(samples["position"].is_null())
        unmapped = pc.if_else(pc.is_in(of.tags, value_set=mapping.inputs), 0, nowhere)
        thinned = pc.subtract(nowhere, unmapped)
    if fates.lost:
        quarantined = tally(_among(fates.lost, samples))
    if fates.thin:
        thinned = pc.add(thinned, tally(_among(fates.thin, samples)))
    for gone in (unmapped, quarantined, thinned):
        shaped = shaped if gone is nothing else pc.subtract(shaped, gone)
    late = _late(samples, fates.out_of_order)
    columns = {
        "source": pa.repeat(pa.scalar(mapping.source), len(of.tags)),
        "tag": of.tags,
        "hour": pa.repeat(pa.scalar(of.hour, pa.int64()), len(of.tags)),
        "received": received,
        "good": good,
        "uncertain": uncertain,
        "bad": bad,
        "unmapped": unmapped,
        "quarantined": quarantined,
        "late": nothing if late is None else tally(late),
        "shaped": shaped,
        "thinned": thinned,
    }
    table = pa.table(columns, schema=COUNTS_SCHEMA)
    everyone = pc.min(received).as_py() > 0
    return Counts(table if everyone else table.filter(pc.greater(received, 0)))


def _late(samples: pa.RecordBatch, out_of_order: Sequence[int]) -> Column | None:
    """Which samples are late; None: not one of them."""
    delays = pc.subtract(samples["received"], samples["time"])
    if not out_of_order and (pc.max(delays).as_py() or 0) <= LATE:
        return None
    return pc.or_(pc.greater(delays, LATE), _among(out_of_order, samples))


def _tally(tags: Column, size: int, chosen: Column | None) -> Column:
    """How many samples each of `size` tags has, of all or of the chosen ones."""
    counts = pc.value_counts(tags if chosen is None else tags.filter(chosen))
    told = pc.scatter(counts.field("counts"), counts.field("values"), max_index=size - 1)
    return told.fill_null(0) if told.null_count else told


def _among(chosen: Sequence[int], samples: pa.RecordBatch) -> Column:
    return pc.is_in(samples["sample"], value_set=pa.array(chosen, pa.int64()))


def _joined(rows: list[Rows]) -> list[Rows]:
    """One `Rows` per block."""
    tables: dict[str, list[pa.Table]] = {}
    for part in rows:
        tables.setdefault(part.name, []).append(part.table)
    return [Rows(name, pa.concat_tables(parts)) for name, parts in tables.items()]
