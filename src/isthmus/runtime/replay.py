"""The same shape over what was kept raw: for corrected mappings and released quarantine."""

from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import DAY, Micros
from isthmus.field.shape import Mapping, resume, shape
from isthmus.flow.contract import Gap, Log
from isthmus.flow.log_reader import LogReader
from isthmus.flow.parcel import Parcel, Shaped

UNKNOWN_REASONS: Final = frozenset({"lost", "refused", "fault", "stopped", "disk_full"})
"""Gaps after which a source was opened anew; after others it went on."""


def replay(
    log: Log,
    mapping: Mapping,
    start: Micros,
    end: Micros,
    *,
    state: bytes | None = None,
    warm_up: Micros = DAY,
) -> Iterator[Shaped]:
    """Shape the samples of one source that were recorded in [start, end), parcel by parcel.

    Nothing is written. Counters need a reading from before `start`, so parcels of `warm_up` before
    it are read too, but not yielded; pass `state` and no `warm_up` to go on from a known point.
    """
    gaps = reopenings(log, mapping.source, start - warm_up, end)
    for parcel in _parcels(log, mapping.source, start - warm_up, end):
        samples = parcel.table()
        first = _first_received(samples)
        while gaps and gaps[0].end is not None and gaps[0].end <= first:
            gap = gaps.pop(0)
            state = resume(state, mapping, unknown_since=gap.start, opened=gap.end or first)
        shaped = shape(samples, mapping, state, now=parcel.recorded)
        state = shaped.state
        if parcel.recorded >= start:
            yield shaped


def reopenings(log: Log | LogReader, source: str, start: Micros, end: Micros) -> list[Gap]:
    """Closed gaps of this source, the earliest end first."""
    closed = [
        (gap.end, gap.start, gap)
        for gap in log.gaps(start, end)
        if gap.source == source and gap.reason in UNKNOWN_REASONS and gap.end is not None
    ]
    return [gap for _, _, gap in sorted(closed, key=lambda one: one[:2])]


def _parcels(log: Log, source: str, start: Micros, end: Micros) -> Iterator[Parcel]:
    after = 0
    while parcels := log.read("raw", after):
        after = parcels[-1].seq
        yield from (p for p in parcels if p.name == source and start <= p.recorded < end)


def _first_received(samples: pa.Table) -> Micros:
    first: Micros = pc.min(samples["received_time"].cast(pa.int64())).as_py()
    return first
