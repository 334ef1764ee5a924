"""The same shape over what was kept raw: for corrected mappings and released quarantine."""

from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import DAY, Micros
from isthmus.field.note import note_of, timed
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
    for parcel, samples, reopened in as_taken(
        _parcels(log, mapping.source, start - warm_up, end), gaps
    ):
        for since, opened in reopened:
            state = resume(state, mapping, unknown_since=since, opened=opened)
        shaped = shape(samples, mapping, state, now=parcel.recorded)
        state = shaped.state
        if parcel.recorded >= start:
            yield shaped


def as_taken(
    parcels: Iterable[Parcel], gaps: Iterable[Gap]
) -> Iterator[tuple[Parcel, pa.Table, list[tuple[Micros, Micros]]]]:
    """The samples of each parcel with the times that held, and what was reopened before them.

    Intake notes that with the samples. Only of what it noted nowhere, because it was killed or is
    older, the gaps (the earliest end first) tell.
    """
    waiting = list(gaps)
    known: set[Micros] = set()
    for parcel in parcels:
        samples = parcel.table()
        note, first = note_of(samples), _first_received(samples)
        known.update(since for since, _ in note.reopened)
        untold: list[tuple[Micros, Micros]] = []
        while waiting and waiting[0].end is not None and waiting[0].end <= first:
            gap = waiting.pop(0)
            if gap.start not in known:
                untold.append((gap.start, gap.end or first))
        yield parcel, timed(samples, note), [*untold, *note.reopened]


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
