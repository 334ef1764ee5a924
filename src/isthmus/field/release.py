"""Samples that are in quarantine go through the present mapping and become late rows.

Only fields that judge every sample by itself take part. A counter's reading counts what came since
the reading before it, and the next one that is believed counts that too: it stays where it is, or
parts would count twice. For the same reason nothing is derived from released samples:
expressions saw them when they came.

What a row depends on besides its sample is seen again too: times after a reopening, and whether a
signal stood still. So `Walk` is shown all samples, not only those in quarantine.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import HOUR, Micros
from isthmus.field.carried import Carried, decode, encode
from isthmus.field.columns import below, equals, single, with_columns
from isthmus.field.convert import BAD_GRADE, converted, graded
from isthmus.field.enclosed import Parts, Shown, parts
from isthmus.field.mapping import Kind
from isthmus.field.mapping import Mapping as Wiring
from isthmus.field.overwritten import Overwritten, Place
from isthmus.field.quarantine import Raw, Why, quarantined, shown
from isthmus.field.reopening import since_reopening
from isthmus.field.rows import Making, rows_of
from isthmus.field.shape import entries_of, numbered, resume
from isthmus.field.watchdog import watched
from isthmus.flow.parcel import Count, Quarantined, Rows

Key = tuple[str, Micros, Micros, str]
"""Tag, device time, time of receipt, value as shown: samples that have all in common are alike."""


@dataclass(frozen=True)
class Waiting:
    """One sample in quarantine."""

    key: Key
    entries: Mapping[Place, int]
    """Field that refused it → its entry in the log."""
    lost: bool
    """No field took it: the ledger counts it as quarantined, and any field may take it now."""


Because = Literal[
    "refused",
    "counted",
    "not_yet",
    "unproven",
    "unmapped",
    "overwritten",
    "raw",
    "derived",
    "unclear",
    "in_order",
    "fails",
]


@dataclass(frozen=True)
class Stays:
    """Why a sample stays in quarantine."""

    because: Because
    detail: str = ""
    """Tag, field, or the sentence of the refusal."""


@dataclass(frozen=True)
class Released:
    """What would leave quarantine; nothing is written yet."""

    rows: Sequence[Rows] = ()
    counts: Sequence[Count] = ()
    """Differences: quarantined less, shaped more."""
    samples: int = 0
    replayed: Sequence[int] = ()
    """Entries that leave."""
    uncounted: Sequence[int] = ()
    """Entries that stay, of samples that another field takes now."""
    quarantined: Sequence[Quarantined] = ()
    """New entries, of samples that one field takes now and another refuses."""
    stays: Mapping[Stays, int] = field(default_factory=dict)
    """Why → how many samples."""


@dataclass
class _Fate:
    """What becomes of one sample."""

    sample: Waiting
    number: int
    taken: set[Place] = field(default_factory=set)
    refused: dict[Place, Quarantined] = field(default_factory=dict)
    counter: Place | None = None
    """That would read it, if any."""
    parts: Parts = "unproven"
    """What became of those that it shows."""
    overwritten: list[Place] = field(default_factory=list)

    def may_feed(self, place: Place) -> bool:
        return self.sample.lost or place in self.sample.entries

    @property
    def stays(self) -> Stays:
        """Of a sample that no field takes."""
        if self.refused:
            said = next(iter(self.refused.values()))
            return Stays("refused", f"{said.code}: {said.reason}")
        if self.overwritten:
            return Stays("overwritten", _named(self.overwritten[0]))
        if self.counter:
            return Stays(self.parts, _named(self.counter))
        return Stays("unmapped", self.sample.key[0])


@dataclass(frozen=True)
class _Part:
    """Entries to release of one parcel and one hour of receipt: they may share rows."""

    entries: pa.RecordBatch
    pool: pa.Array
    fates: Mapping[int, _Fate]
    """By position of the sample."""


_OTHER: Final = -1


class Walk:
    """Is shown the samples of one source in the order in which they came, then is `done`."""

    def __init__(
        self, mapping: Wiring, waiting: Iterable[Waiting], others: Collection[Key] = ()
    ) -> None:
        """`others` are in quarantine too, but not asked for."""
        self._mapping = mapping
        self._others = frozenset(others)
        self._places: list[Place] = [(m.machine, m.block, m.field) for m in mapping.maps]
        self._awaited: dict[Key, list[Waiting]] = {}
        for one in waiting:
            self._awaited.setdefault(one.key, []).append(one)
        self._left = sum(map(len, self._awaited.values()))
        tags = {key[0] for key in (*self._awaited, *self._others)}
        self._tags = pa.array(tags, pa.string())
        self._counters = pa.array(
            [n for n, m in enumerate(mapping.maps) if m.type == "counter" and m.tag in tags],
            pa.int32(),
        )
        self._readings: dict[Place, list[Shown]] = {}
        self._carried = Carried()
        self._overwritten = Overwritten(mapping)
        self._parts: list[_Part] = []
        self._fates: list[_Fate] = []

    @property
    def over(self) -> bool:
        """Whether later samples cannot change anything any more."""
        rewritten = bool(self._parts) and self._overwritten.watches
        pending = any(readings[-1].aside is not None for readings in self._readings.values())
        return not (self._left or rewritten or pending)

    def reopened(self, unknown_since: Micros, opened: Micros) -> None:
        """The source was lost at `unknown_since` and opened again at `opened`."""
        before = encode(self._carried)
        self._carried = decode(
            resume(before, self._mapping, unknown_since=unknown_since, opened=opened)
        )
        self._overwritten.reopened(unknown_since)

    def take(self, samples: pa.Table) -> None:
        """The next parcel (SAMPLES_SCHEMA)."""
        met, others = self._met(samples)
        if self._mapping.watch:
            samples = watched(samples, self._mapping.watch, self._carried)
        _, batch = numbered(samples, self._mapping)
        entries = entries_of(graded(batch), self._mapping)
        if not entries.num_rows:
            return
        entries, pool = converted(entries, self._mapping)
        entries = _counts_judged(entries, self._mapping)
        fine = entries.filter(equals(entries["why"], 0))
        fine = since_reopening(fine, self._mapping, self._carried)
        self._overwritten.see(fine)
        self._read(fine, met, others)
        if met:
            ours = pa.array(met, pa.int64())
            self._note_refused(_of(entries, ours), samples, met)
            self._choose(_of(fine, ours), pool, met)

    def done(self) -> Released:
        """Rows of all that can be released exactly."""
        self._overwritten.finish()
        for place, readings in self._readings.items():
            for number, word in parts(readings).items():
                if number >= 0 and self._fates[number].counter == place:
                    self._fates[number].parts = word
        rows: list[Rows] = []
        for part in self._parts:
            left = self._without_overwritten(part)
            if left.num_rows:
                making = Making(part.pool, self._mapping, self._carried)
                rows += rows_of(_taken_once(left, part.fates), [], making)
        released = [fate for fate in self._fates if fate.taken]
        stays = Counter(fate.stays for fate in self._fates if not fate.taken)
        if self._left:
            stays[Stays("raw")] += self._left
        return self._sum(rows, released, stays)

    # One parcel -----------------------------------------------------------------------------------

    def _met(self, samples: pa.Table) -> tuple[dict[int, _Fate], set[int]]:
        """By position: samples in quarantine that were asked for, and others."""
        met: dict[int, _Fate] = {}
        others: set[int] = set()
        if not (self._left or self._others):
            return met, others
        chosen = single(pc.is_in(samples["tag"], value_set=self._tags))
        positions = pc.indices_nonzero(chosen).to_pylist()
        for position, raw in zip(positions, _raws(samples.filter(chosen)), strict=True):
            key = _key(raw)
            alike = self._awaited.get(key)
            if alike:
                met[position] = _Fate(alike.pop(0), len(self._fates) + len(met))
                self._left -= 1
            elif key in self._others:
                others.add(position)
        self._fates += met.values()
        return met, others

    def _read(self, fine: pa.RecordBatch, met: Mapping[int, _Fate], others: set[int]) -> None:
        """Readings of the counters whose tags are in quarantine."""
        if not len(self._counters):
            return
        ours = fine.filter(pc.is_in(fine["field"], value_set=self._counters))
        ours = ours.filter(below(ours["grade"], BAD_GRADE)).sort_by("sample")
        columns = (ours[name].to_pylist() for name in ("sample", "field", "whole"))
        for position, number, value in zip(*columns, strict=True):
            fate = met.get(position)
            aside = fate.number if fate is not None else _OTHER if position in others else None
            self._readings.setdefault(self._places[number], []).append(Shown(value, aside))

    def _note_refused(
        self, entries: pa.RecordBatch, samples: pa.Table, met: Mapping[int, _Fate]
    ) -> None:
        columns = (entries[name].to_pylist() for name in ("sample", "field", "why"))
        for position, number, why in zip(*columns, strict=True):
            fate, place = met[position], self._places[number]
            if why and fate.may_feed(place):
                [raw] = _raws(samples.slice(position, 1))
                mapped = self._mapping.maps[number]
                fate.refused[place] = quarantined(
                    self._mapping.source, raw, mapped, Why(why), counted=False
                )

    def _choose(self, fine: pa.RecordBatch, pool: pa.Array, met: Mapping[int, _Fate]) -> None:
        columns = (fine[name].to_pylist() for name in ("sample", "field"))
        chosen = [
            self._chosen(met[position], number) for position, number in zip(*columns, strict=True)
        ]
        ours = fine.filter(pa.array(chosen, pa.bool_()))
        hours = pc.divide(ours["received"], HOUR)
        for hour in hours.unique().to_pylist():
            self._parts.append(_Part(ours.filter(equals(hours, hour)), pool, met))

    def _chosen(self, fate: _Fate, number: int) -> bool:
        place = self._places[number]
        if not fate.may_feed(place):
            return False
        if self._mapping.maps[number].type == "counter":
            fate.counter = place
            return False
        return True

    # All of them ----------------------------------------------------------------------------------

    def _without_overwritten(self, part: _Part) -> pa.RecordBatch:
        kept = []
        columns = (part.entries[name].to_pylist() for name in ("sample", "field", "time"))
        for position, number, time in zip(*columns, strict=True):
            place, fate = self._places[number], part.fates[position]
            hidden = self._overwritten.hides(place, time)
            if hidden:
                fate.overwritten.append(place)
            else:
                fate.taken.add(place)
            kept.append(not hidden)
        return part.entries.filter(pa.array(kept, pa.bool_()))

    def _sum(
        self, rows: list[Rows], released: Sequence[_Fate], stays: Mapping[Stays, int]
    ) -> Released:
        replayed: list[int] = []
        uncounted: list[int] = []
        again: list[Quarantined] = []
        moved: Counter[tuple[str, Micros]] = Counter()
        fed = self._fed()
        for fate in released:
            tag, _, received, _ = fate.sample.key
            for place, entry in fate.sample.entries.items():
                gone = place in fate.taken or (fate.sample.lost and place not in fed[tag])
                (replayed if gone else uncounted).append(entry)
            again += [q for p, q in fate.refused.items() if p not in fate.sample.entries]
            if fate.sample.lost:
                moved[tag, received // HOUR * HOUR] += 1
        return Released(
            rows=_joined(rows),
            counts=[
                Count(self._mapping.source, tag, hour, quarantined=-n, shaped=n)
                for (tag, hour), n in moved.items()
            ],
            samples=len(released),
            replayed=replayed,
            uncounted=uncounted,
            quarantined=again,
            stays=stays,
        )

    def _fed(self) -> Mapping[str, set[Place]]:
        fed: dict[str, set[Place]] = {}
        for place, mapped in zip(self._places, self._mapping.maps, strict=True):
            fed.setdefault(mapped.tag or "", set()).add(place)
        return fed


def _counts_judged(entries: pa.RecordBatch, mapping: Wiring) -> pa.RecordBatch:
    """As `counters` judges readings that no counter of that width can show."""
    whole, size = entries["whole"], mapping.size.take(entries["field"])
    counts = equals(mapping.kind.take(entries["field"]), Kind.COUNTER)
    wrong = pc.or_kleene(pc.less(whole, 0), pc.greater_equal(whole, size))
    impossible = pc.and_(pc.and_(counts, equals(entries["why"], 0)), pc.coalesce(wrong, False))
    why = pc.if_else(impossible, pa.scalar(Why.NOT_A_COUNT, pa.uint8()), entries["why"])
    return with_columns(entries, why=why)


def _of(entries: pa.RecordBatch, samples: pa.Array) -> pa.RecordBatch:
    return entries.filter(pc.is_in(entries["sample"], value_set=samples))


def _raws(samples: pa.Table) -> Iterator[Raw]:
    columns = (
        samples["tag"],
        samples["device_time"].cast(pa.int64()),
        samples["received_time"].cast(pa.int64()),
        samples["number"],
        samples["text"],
    )
    return map(Raw, *(column.to_pylist() for column in columns))


def _key(raw: Raw) -> Key:
    return raw.tag, raw.device_time, raw.received_time, shown(raw.number, raw.text)


def _named(place: Place) -> str:
    return f"{place[1]}.{place[2]}"


def _taken_once(entries: pa.RecordBatch, fates: Mapping[int, _Fate]) -> pa.RecordBatch:
    """`taken` is 1 once for a sample that no row has taken in yet."""
    met: set[int] = set()
    taken = []
    for position in entries["sample"].to_pylist():
        taken.append(int(fates[position].sample.lost and position not in met))
        met.add(position)
    return entries.append_column("taken", pa.array(taken, pa.int32()))


_PARCEL_ROWS: Final = 50_000


def _joined(rows: Iterable[Rows]) -> list[Rows]:
    """Few parcels, none of them very large."""
    tables: dict[str, list[pa.Table]] = {}
    for part in rows:
        tables.setdefault(part.name, []).append(part.table)
    return [
        Rows(name, whole.slice(start, _PARCEL_ROWS))
        for name, parts in tables.items()
        for whole in [pa.concat_tables(parts)]
        for start in range(0, whole.num_rows, _PARCEL_ROWS)
    ]
