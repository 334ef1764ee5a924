"""Samples of one source become rows of blocks; what breaks its contract is quarantined.

`shape` is a pure function of samples, mapping, carried state and the time. Every sample has one
fate: it is *shaped* (at least one field took it), *quarantined* (no field could) or *unmapped*
(no field wants its tag), so `received = shaped + quarantined + unmapped`, and the `_samples` of
all rows add up to `shaped`.
"""

from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import HOUR, MINUTE, Micros
from isthmus.field.carried import Carried, Held, Pulses, StateError, decode, encode
from isthmus.field.convert import converted, graded
from isthmus.field.counters import counted
from isthmus.field.mapping import Kind, Mapping
from isthmus.field.quarantine import Why, quarantined
from isthmus.field.rows import rows_of, unknown_rows
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
        tags, frame = _frame(samples, mapping)
        parts = [_shape_hour(hour, tags, part, mapping, carried) for hour, part in _by_hour(frame)]
    silence = [c for d in mapping.derived for c in changes(d, (), carried, now)]
    rows = [rows for part in parts for rows in part.rows]
    rows += rows_of(_NO_ENTRIES, mapping.names, silence, mapping, carried)
    after = encode(carried)
    return Shaped(
        rows=_joined(rows),
        quarantined=[entry for part in parts for entry in part.quarantined],
        counts=[count for part in parts for count in part.counts],
        state=after,
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
            opened=opened,
        )
    )


def _frame(samples: pa.Table, mapping: Mapping) -> tuple[list[str], pl.DataFrame]:
    """The samples with `tag` as a number into the returned names, and its place in the mapping."""
    tags = samples["tag"].combine_chunks().dictionary_encode()
    number = pl.Series("tag", tags.indices, dtype=pl.UInt32)
    position = pl.Series(pc.index_in(tags.dictionary, value_set=mapping.tags), dtype=pl.UInt32)
    frame = pl.DataFrame(
        [
            pl.int_range(samples.num_rows, dtype=pl.UInt32, eager=True).alias("sample"),
            number,
            position.gather(number).alias("position"),
            pl.Series("time", samples["device_time"].cast(pa.int64())),
            pl.Series("received", samples["received_time"].cast(pa.int64())),
            pl.Series("number", samples["number"]),
            pl.Series("text", samples["text"]),
            pl.Series("quality", samples["quality"]),
        ]
    )
    return tags.dictionary.to_pylist(), frame


def _by_hour(frame: pl.DataFrame) -> Iterator[tuple[Micros, pl.DataFrame]]:
    """The ledger counts by hour of arrival, so no row may mix two of them."""
    hours = frame["received"] // HOUR
    if hours.min() == hours.max():
        yield hours[0] * HOUR, frame
        return
    for hour in hours.unique(maintain_order=True):
        yield hour * HOUR, frame.filter(hours == hour)


def _shape_hour(
    hour: Micros, tags: list[str], samples: pl.DataFrame, mapping: Mapping, carried: Carried
) -> Shaped:
    checked = graded(samples)
    entries, pool = converted(_entries(checked, mapping), mapping)
    entries, out_of_order = _count_up(entries, mapping, carried)
    fine = _first_values(entries.filter(pl.col("why") == 0), mapping, carried)
    broken = entries.filter(pl.col("why") > 0)
    derived = _derived_changes(fine, mapping, carried)
    return Shaped(
        rows=rows_of(_taken_once(fine, mapping), pool, derived, mapping, carried),
        quarantined=_quarantined(broken, samples, tags, mapping),
        counts=_counts(hour, checked, _lost(broken, fine), out_of_order, tags, mapping.source),
    )


def _entries(samples: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    """One entry per sample and field that it feeds."""
    needed = samples.select("sample", "time", "received", "number", "text", "grade", "why")
    layers = []
    for layer in mapping.layers:
        fields = layer.gather(samples["position"])
        known = fields.is_not_null()
        if known.all():
            layers.append(needed.hstack(mapping.fields[fields]))
        else:
            layers.append(needed.filter(known).hstack(mapping.fields[fields.drop_nulls()]))
    return layers[0] if len(layers) == 1 else pl.concat(layers)


def _count_up(
    entries: pl.DataFrame, mapping: Mapping, carried: Carried
) -> tuple[pl.DataFrame, list[int]]:
    reading = (pl.col("kind") == Kind.COUNTER) & (pl.col("why") == 0) & (pl.col("grade") < _BAD)
    is_reading = entries.select(reading.alias("reading"))["reading"]
    if not is_reading.any():
        return entries, []
    up = counted(entries.filter(is_reading), mapping, carried)
    return pl.concat([entries.filter(~is_reading), up.entries]), up.out_of_order


def _first_values(fine: pl.DataFrame, mapping: Mapping, carried: Carried) -> pl.DataFrame:
    """What was true before the source was lost and still is holds from the reopening on."""
    if not carried.awaited:
        return fine
    first = fine.unique("field", keep="first", maintain_order=True).select("field", "sample")
    awaited = [mapping.keys[number] in carried.awaited for number in first["field"]]
    first = first.filter(pl.Series(awaited, dtype=pl.Boolean))
    carried.awaited -= {mapping.keys[number] for number in first["field"]}
    old = (pl.col("time") <= carried.unknown_since) & pl.col("first").is_not_null()
    marked = fine.join(
        first.with_columns(first=True), on=["field", "sample"], how="left", maintain_order="left"
    )
    time = pl.when(old).then(carried.opened).otherwise("time")
    return marked.with_columns(time=time).drop("first")


def _taken_once(fine: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    """`taken` adds up to the number of samples, however many fields one of them feeds."""
    taken = pl.lit(1, pl.Int32)
    if len(mapping.layers) > 1:
        taken = pl.col("sample").is_first_distinct().cast(pl.Int32)
    return fine.with_columns(taken=taken)


def _derived_changes(
    fine: pl.DataFrame, mapping: Mapping, carried: Carried
) -> list[StateChange]:
    if not mapping.derived or not fine.height:
        return []
    watched = pl.Series([d.pulses for d in mapping.derived], dtype=pl.UInt32).unique()
    readings: dict[int, list[Pulse]] = {}
    seen = fine.filter(pl.col("field").is_in(watched.implode())).sort("sample")
    for number, time, received, pieces in seen.select(
        "field", "time", "received", "whole"
    ).iter_rows():
        readings.setdefault(number, []).append(Pulse(time, received, pieces))
    return [
        change
        for d in mapping.derived
        if d.pulses in readings
        for change in changes(d, readings[d.pulses], carried, readings[d.pulses][-1].received)
    ]


def _quarantined(
    broken: pl.DataFrame, samples: pl.DataFrame, tags: list[str], mapping: Mapping
) -> list[Quarantined]:
    if not broken.height:
        return []
    raw = samples.select("sample", "tag", "time", "received", "number", "text")
    told = broken.select("sample", "field", "why").join(raw, on="sample", maintain_order="left")
    return [
        quarantined(mapping.source, tags[tag], mapping.maps[field], Why(why), *values)
        for _, field, why, tag, *values in told.iter_rows()
    ]


def _lost(broken: pl.DataFrame, fine: pl.DataFrame) -> pl.Series:
    """Samples that no field could take."""
    lost = broken["sample"].unique()
    return lost.filter(~lost.is_in(fine["sample"].implode())) if lost.len() else lost


def _counts(
    hour: Micros,
    samples: pl.DataFrame,
    lost: pl.Series,
    out_of_order: list[int],
    tags: list[str],
    source: str,
) -> list[Count]:
    unmapped = samples["position"].is_null()
    late = samples["received"] - samples["time"] > LATE
    if out_of_order:
        late |= samples["sample"].is_in(out_of_order)
    quarantined = samples["sample"].is_in(lost.implode()) & ~unmapped
    fates = samples.select("tag", "grade").with_columns(
        unmapped=unmapped, late=late, quarantined=quarantined
    )
    per_tag = fates.group_by("tag", maintain_order=True).agg(
        pl.len(),
        (pl.col("grade") == 0).sum().alias("good"),
        (pl.col("grade") == 1).sum().alias("uncertain"),
        pl.col("unmapped", "quarantined", "late").sum(),
    )
    return [
        Count(
            source=source,
            tag=tags[tag],
            hour=hour,
            received=received,
            good=good,
            uncertain=uncertain,
            bad=received - good - uncertain,
            unmapped=unmapped,
            quarantined=quarantined,
            late=late,
            shaped=received - unmapped - quarantined,
        )
        for tag, received, good, uncertain, unmapped, quarantined, late in per_tag.iter_rows()
    ]


def _joined(rows: list[Rows]) -> list[Rows]:
    """One `Rows` per block."""
    tables: dict[str, list[pa.Table]] = {}
    for part in rows:
        tables.setdefault(part.name, []).append(part.table)
    return [Rows(name, pa.concat_tables(parts)) for name, parts in tables.items()]


_BAD = 2
_NO_ENTRIES = pl.DataFrame()
