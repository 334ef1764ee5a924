"""What is in quarantine goes through the present mapping: first planned, then carried out at once.

The state that `shape` carries is neither read nor changed, so intake goes on meanwhile.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from isthmus.base.clock import DAY, Micros
from isthmus.field.mapping import Mapping as Wiring
from isthmus.field.overwritten import Place
from isthmus.field.quarantine import SHOWN
from isthmus.field.release import Key, Released, Stays, Waiting, Walk
from isthmus.flow.contract import Log, Release
from isthmus.flow.log_reader import LogReader, PutAside
from isthmus.flow.parcel import Parcel
from isthmus.model.plant import Plant, Source
from isthmus.runtime.failed import shape_failed, together
from isthmus.runtime.replay import as_taken, reopenings

WARM_UP: Final = DAY
"""Samples of so long before the first in quarantine are looked at too: a signal may stand still."""


@dataclass(frozen=True)
class QuarantineReplay:
    """What a replay would do, or has done."""

    source: str
    samples: int
    """In quarantine, or kept raw alone, before."""
    released: Released
    stays: Mapping[Stays, int]
    """Why → how many samples."""
    raws: Sequence[int] = ()
    """RAW parcels that were kept alone and are shaped now."""

    def as_dict(self) -> dict[str, Any]:
        rows: Counter[str] = Counter()
        for part in self.released.rows:
            rows[part.name] += part.table.num_rows
        return {
            "source": self.source,
            "samples": self.samples,
            "released": self.released.samples,
            "rows": dict(rows),
            "stays": [
                {"because": one.because, "detail": one.detail, "samples": count}
                for one, count in sorted(self.stays.items(), key=lambda item: -item[1])
            ],
        }


def sourced(plant: Plant, name: str) -> Source:
    """LookupError says what to do where the name is not that of a source."""
    if name in plant.systems:
        raise LookupError(
            f"`{name}` is a business system: what was refused is read again once it is corrected"
            " there"
        )
    if name not in plant.sources:
        known = ", ".join(sorted(plant.sources)[:8])
        raise LookupError(f"there is no source `{name}` in this model; some there are: {known}")
    return plant.sources[name]


def plan(
    log: LogReader, source: Source, plant: Plant, start: Micros, end: Micros
) -> QuarantineReplay:
    """What would become of the samples that were received in [start, end); writes nothing."""
    with log.view() as view:
        entries = view.put_aside(source.name, start, end)
    waiting, stays = grouped(entries)
    released = Released()
    if waiting:
        first = min(one.key[2] for one in waiting)
        with log.view() as view:
            around = view.put_aside(source.name, first - WARM_UP, 2**62)
        others = {_key(one) for one in around if not start <= one.what.received_time < end}
        walk = Walk(Wiring.of(source, plant), waiting, others)
        _show(walk, log, source.name, first)
        released = walk.done()
        stays.update(released.stays)
    failed = shape_failed(log, source, plant, start, end)
    stays.update(failed.stays)
    released = together(released, failed)
    samples = released.samples + stays.total()
    return QuarantineReplay(source.name, samples, released, stays, failed.raws)


def carry_out(log: Log, planned: QuarantineReplay, now: Micros) -> None:
    """Write it in one transaction; OvertakenError or Full, and nothing was written."""
    released = planned.released
    if released.samples or planned.raws:
        log.release(
            Release(
                released.rows, released.counts, released.replayed, released.uncounted,
                released.quarantined, planned.raws,
            ),
            now=now,
        )  # fmt: skip


def grouped(entries: Iterable[PutAside]) -> tuple[list[Waiting], Counter[Stays]]:
    """The samples that entries are of, and those that cannot be told from them."""
    alike: dict[Key, dict[Place, list[PutAside]]] = {}
    stays: Counter[Stays] = Counter()
    for one in entries:
        what = one.what
        if what.tag.startswith("="):
            stays[Stays("derived", f"{what.block}.{what.field}")] += 1
            continue
        key = _key(one)
        place = (what.machine, what.block, what.field)
        alike.setdefault(key, {}).setdefault(place, []).append(one)
    waiting = []
    for key, places in alike.items():
        for number in range(max(map(len, places.values()))):
            mine = {p: found[number] for p, found in places.items() if number < len(found)}
            counted = [one.counted for one in mine.values()]
            if None in counted or counted.count(True) > 1:
                stays[Stays("unclear")] += 1
                continue
            entered = {place: one.id for place, one in mine.items()}
            waiting.append(Waiting(key, entered, lost=True in counted))
    return waiting, stays


def _key(one: PutAside) -> Key:
    what = one.what
    return what.tag, what.device_time, what.received_time, what.value[:SHOWN]


def _show(walk: Walk, log: LogReader, source: str, first: Micros) -> None:
    """All RAW of a source that may matter, with the reopenings in between."""
    begin = first - WARM_UP
    gaps = reopenings(log, source, begin, 2**62)
    for _, samples, reopened in as_taken(_parcels(log, source, begin), gaps):
        for since, opened in reopened:
            walk.reopened(since, opened)
        walk.take(samples)
        if walk.over:
            return


def _parcels(log: LogReader, source: str, recorded: Micros) -> Iterator[Parcel]:
    after = 0
    while True:
        with log.view() as view:
            parcels = view.raw_of(source, recorded, after)
        if not parcels:
            return
        after = parcels[-1].seq
        yield from parcels
