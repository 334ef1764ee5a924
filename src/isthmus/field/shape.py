"""Samples of one source become rows of blocks; what breaks its contract is quarantined.

`shape` is a pure function of samples, mapping, carried state and the time. Every sample has one
fate: it is *shaped* (at least one field took it), *quarantined* (no field could) or *unmapped*
(no field wants its tag), so `received = shaped + quarantined + unmapped`, and the `_samples` of
all rows add up to `shaped`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import HOUR, MINUTE, Micros
from isthmus.field.carried import Carried, Held, Pulses, StateError, decode, encode
from isthmus.field.columns import Column, below, equals, single, split
from isthmus.field.convert import BAD_GRADE, converted, graded, no_entries
from isthmus.field.counters import counted
from isthmus.field.mapping import Kind, Mapping
from isthmus.field.quarantine import Raw, Why, quarantined
from isthmus.field.reopening import since_reopening
from isthmus.field.rows import Making, rows_of, unknown_rows
from isthmus.field.rules import Pulse, StateChange, changes
from isthmus.flow.parcel import Count, Quarantined, Rows, Shaped

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
    if samples.num_rows:
        tags, batch = _batch(samples, mapping)
        parts = [_shape_hour(hour, tags, part, mapping, carried) for hour, part in _by_hour(batch)]
    silence = [c for d in mapping.derived for c in changes(d, (), carried, now)]
    rows = [rows for part in parts for rows in part.rows]
    if silence:
        rows += rows_of(no_entries(), silence, Making(mapping.names, mapping, carried))
    return Shaped(
        rows=_joined(rows),
        quarantined=[entry for part in parts for entry in part.quarantined],
        counts=[count for part in parts for count in part.counts],
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
            awaited=set(mapping.keys),
            unknown_since=unknown_since,
            # A device whose clock is ahead may have pushed `unknown_since` past our own time.
            opened=max(opened, unknown_since + 1),
        )
    )


def _batch(samples: pa.Table, mapping: Mapping) -> tuple[list[str], pa.RecordBatch]:
    """The samples with `tag` as a number into the returned names, and its place in the mapping."""
    tags = single(samples["tag"]).dictionary_encode()
    position = pc.index_in(tags.dictionary, value_set=mapping.tags)
    columns = {
        "sample": pa.arange(0, samples.num_rows),
        "tag": tags.indices,
        "position": position.take(tags.indices),
        "time": single(samples["device_time"]).cast(pa.int64()),
        "received": single(samples["received_time"]).cast(pa.int64()),
        "number": single(samples["number"]),
        "text": single(samples["text"]),
        "quality": single(samples["quality"]),
    }
    return tags.dictionary.to_pylist(), pa.record_batch(columns)


def _by_hour(batch: pa.RecordBatch) -> Iterator[tuple[Micros, pa.RecordBatch]]:
    """The ledger counts by hour of arrival, so no row may mix two of them."""
    received = batch["received"]
    bounds = pc.min_max(received).as_py()
    if bounds["min"] // HOUR == bounds["max"] // HOUR:
        yield bounds["min"] // HOUR * HOUR, batch
        return
    hours = pc.divide(received, HOUR)
    for hour in hours.unique().to_pylist():
        yield hour * HOUR, batch.filter(pc.equal(hours, hour))


def _shape_hour(
    hour: Micros, tags: list[str], samples: pa.RecordBatch, mapping: Mapping, carried: Carried
) -> Shaped:
    checked = graded(samples)
    entries = _entries(checked, mapping)
    if not entries.num_rows:
        return Shaped(counts=_counts(_Hour(hour, tags, mapping.source), checked, [], []))
    entries, pool = converted(entries, mapping)
    entries, out_of_order = _count_up(entries, mapping, carried)
    fine, broken = split(entries, equals(entries["why"], 0))
    fine = since_reopening(fine, mapping, carried)
    derived = _derived_changes(fine, mapping, carried)
    lost = _lost(broken, fine)
    return Shaped(
        rows=rows_of(_taken_once(fine, mapping), derived, Making(pool, mapping, carried)),
        quarantined=_quarantined(broken, samples, tags, mapping),
        counts=_counts(_Hour(hour, tags, mapping.source), checked, lost, out_of_order),
    )


def _entries(samples: pa.RecordBatch, mapping: Mapping) -> pa.RecordBatch:
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
    usable = pc.and_(equals(entries["why"], 0), below(entries["grade"], BAD_GRADE))
    counter = equals(mapping.kind.take(entries["field"]), Kind.COUNTER)
    readings, others = split(entries, pc.and_(usable, counter))
    if not readings.num_rows:
        return entries, []
    up = counted(readings, mapping, carried)
    return pa.concat_batches([others, up.entries]), up.out_of_order


def _taken_once(fine: pa.RecordBatch, mapping: Mapping) -> pa.RecordBatch:
    """`taken` adds up to the number of samples, however many fields one of them feeds."""
    if len(mapping.layers) == 1:
        return fine.append_column("taken", pa.repeat(pa.scalar(1, pa.int32()), fine.num_rows))
    met: set[int] = set()
    taken = []
    for sample in fine["sample"].to_pylist():
        taken.append(int(sample not in met))
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
    broken: pa.RecordBatch, samples: pa.RecordBatch, tags: list[str], mapping: Mapping
) -> list[Quarantined]:
    if not broken.num_rows:
        return []
    raw = samples.take(pc.index_in(broken["sample"], value_set=samples["sample"]))
    names = [tags[tag] for tag in raw["tag"].to_pylist()]
    values = (raw[name].to_pylist() for name in ("time", "received", "number", "text"))
    told = map(Raw, names, *values)
    fields, whys = broken["field"].to_pylist(), broken["why"].to_pylist()
    return [
        quarantined(mapping.source, one, mapping.maps[field], Why(why))
        for one, field, why in zip(told, fields, whys, strict=True)
    ]


def _lost(broken: pa.RecordBatch, fine: pa.RecordBatch) -> list[int]:
    """Samples that no field could take."""
    if not broken.num_rows:
        return []
    return sorted(set(broken["sample"].to_pylist()) - set(fine["sample"].to_pylist()))


@dataclass(frozen=True)
class _Hour:
    """Whose counts these are."""

    hour: Micros
    tags: list[str]
    source: str


def _counts(
    of: _Hour, samples: pa.RecordBatch, lost: list[int], out_of_order: list[int]
) -> list[Count]:
    late = pc.greater(pc.subtract(samples["received"], samples["time"]), LATE)
    if out_of_order:
        late = pc.or_(late, _among(out_of_order, samples))
    tag = samples["tag"]
    received = _tally(tag, None)
    uncertain = _tally(tag, equals(samples["grade"], 1))
    bad = _tally(tag, equals(samples["grade"], BAD_GRADE))
    unmapped = _tally(tag, samples["position"].is_null())
    quarantined = _tally(tag, _among(lost, samples)) if lost else {}
    delayed = _tally(tag, late)
    return [
        Count(
            source=of.source,
            tag=of.tags[tag],
            hour=of.hour,
            received=count,
            good=count - uncertain.get(tag, 0) - bad.get(tag, 0),
            uncertain=uncertain.get(tag, 0),
            bad=bad.get(tag, 0),
            unmapped=unmapped.get(tag, 0),
            quarantined=quarantined.get(tag, 0),
            late=delayed.get(tag, 0),
            shaped=count - unmapped.get(tag, 0) - quarantined.get(tag, 0),
        )
        for tag, count in received.items()
    ]


def _tally(tags: Column, chosen: Column | None) -> dict[int, int]:
    """How many of the chosen samples each tag has; most parcels have none of most kinds."""
    if chosen is not None:
        if not pc.any(chosen).as_py():
            return {}
        tags = tags.filter(chosen)
    counts = pc.value_counts(tags)
    return dict(zip(*(column.to_pylist() for column in counts.flatten()), strict=True))


def _among(chosen: list[int], samples: pa.RecordBatch) -> Column:
    return pc.is_in(samples["sample"], value_set=pa.array(chosen, pa.int64()))


def _joined(rows: list[Rows]) -> list[Rows]:
    """One `Rows` per block."""
    tables: dict[str, list[pa.Table]] = {}
    for part in rows:
        tables.setdefault(part.name, []).append(part.table)
    return [Rows(name, pa.concat_tables(parts)) for name, parts in tables.items()]
