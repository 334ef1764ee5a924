"""What became of everything that was received: per source and hour, with gaps and the proof.

`ledger.check` looks at all there is; here is one stretch of time, for people and programs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pyarrow as pa

from isthmus.base.clock import HOUR, Micros, to_datetime
from isthmus.data.views import EVER, Window


class Query(Protocol):
    """`Lake.query`."""

    def __call__(
        self, sql: str, params: Mapping[str, object] | None = None, *, ledger: Window = EVER
    ) -> pa.Table: ...


@dataclass(frozen=True)
class Counts:
    """Samples by what became of them: stored, quarantined, unmapped, thinned; nothing else."""

    received: int = 0
    good: int = 0
    uncertain: int = 0
    bad: int = 0
    unmapped: int = 0
    quarantined: int = 0
    late: int = 0
    shaped: int = 0
    thinned: int = 0
    stored: int = 0

    @property
    def difference(self) -> int:
        """What was received and is nowhere; negative: more is there than was received."""
        return self.received - self.stored - self._aside

    @property
    def holds(self) -> bool:
        """Whether all of it is accounted for, at each stage."""
        return self.received - self._aside == self.shaped == self.stored

    @property
    def _aside(self) -> int:
        """What was received and belongs into no table, each for a reason of its own."""
        return self.quarantined + self.unmapped + self.thinned


COUNTS: Final = tuple(Counts.__annotations__)


@dataclass(frozen=True)
class SourceHour:
    """One source in one hour."""

    source: str
    site: str
    hour: Micros
    counts: Counts
    seconds: float
    """Of the hour, as far as it has passed."""
    known_s: float
    """Those that no gap covers."""

    @property
    def coverage(self) -> float | None:
        return self.known_s / self.seconds if self.seconds else None


@dataclass(frozen=True)
class SourceGap:
    """Time in which a source told us nothing we could trust."""

    id: str
    source: str
    site: str
    start: Micros
    end: Micros | None
    """None while it lasts."""
    reason: str
    detail: str

    def seconds(self, start: Micros, end: Micros) -> float:
        """Its length inside a window that ends now or earlier."""
        last = end if self.end is None else min(self.end, end)
        return max(0, last - max(self.start, start)) / 1e6


@dataclass(frozen=True)
class Completeness:
    """The answer for some sources and a stretch of time, widened to whole hours."""

    start: Micros
    end: Micros
    """Not behind now."""
    hours: tuple[SourceHour, ...]
    """Every source, every hour since it was first heard of; by source, then time."""
    gaps: tuple[SourceGap, ...]
    """Running ones first, then the latest first."""

    @property
    def total(self) -> Counts:
        return summed(hour.counts for hour in self.hours)

    @property
    def holds(self) -> bool:
        """Whether the invariant holds in every hour of every source: errors do not cancel out."""
        return all(hour.counts.holds for hour in self.hours)

    @property
    def lost(self) -> int:
        return sum(max(0, hour.counts.difference) for hour in self.hours)

    @property
    def surplus(self) -> int:
        """Samples that are there more than once."""
        return sum(max(0, -hour.counts.difference) for hour in self.hours)

    @property
    def gap_s(self) -> float:
        """Source time without data; gaps of one source that overlap count once."""
        by_source: dict[str, list[SourceGap]] = {}
        for gap in self.gaps:
            by_source.setdefault(gap.source, []).append(gap)
        return sum(_covered(found, self.start, self.end) for found in by_source.values())


def completeness(
    query: Query, sources: Collection[str], start: Micros, end: Micros, *, now: Micros
) -> Completeness:
    """Ledger and gaps of these sources in the hours that touch `[start, end)`."""
    first, last = start // HOUR * HOUR, min(-(-end // HOUR) * HOUR, now)
    params = {"sources": sorted(sources), "from": to_datetime(first), "to": to_datetime(last)}
    counted = query(_LEDGER, params, ledger=(first, last)).to_pylist()
    heard = {row["source"]: row for row in query(_FIRST, {"sources": sorted(sources)}).to_pylist()}
    gaps = gaps_in(query, sources, first, last)
    known = {(row["source"], row["hour"]): row for row in counted}
    by_source = {source: [gap for gap in gaps if gap.source == source] for source in sorted(heard)}
    hours = tuple(
        _hour(known.get((source, hour)), source, heard[source]["site"], hour, last, found)
        for source, found in by_source.items()
        for hour in range(max(first, heard[source]["first"]), last, HOUR)
    )
    return Completeness(first, last, hours, gaps)


def gaps_in(
    query: Query, sources: Collection[str], start: Micros, end: Micros
) -> tuple[SourceGap, ...]:
    """Gaps that touch `[start, end)`: running ones first, then the latest first."""
    params = {"sources": sorted(sources), "from": to_datetime(start), "to": to_datetime(end)}
    return tuple(SourceGap(**row) for row in query(_GAPS, params).to_pylist())


def summed(parts: Any) -> Counts:
    """Counts added up."""
    sums = dict.fromkeys(COUNTS, 0)
    for part in parts:
        for name in COUNTS:
            sums[name] += getattr(part, name)
    return Counts(**sums)


_SUMS: Final = ", ".join(f"sum({name})::BIGINT AS {name}" for name in COUNTS)

_LEDGER: Final = f"""
    SELECT source, epoch_us(hour) AS hour, {_SUMS} FROM ledger
    WHERE source IN (SELECT unnest($sources::VARCHAR[])) AND hour >= $from AND hour < $to
    GROUP BY source, hour ORDER BY source, hour
"""
# What `ledger` itself would say, which would read every count of all years: rows that were stored
# and never counted have an hour there and no site.
_FIRST: Final = """
    SELECT source, max(site) AS site, epoch_us(min(hour)) AS first FROM (
        SELECT source, site, hour FROM ledger_since
        UNION ALL SELECT source, '', hour FROM ledger_stored
    )
    WHERE source IN (SELECT unnest($sources::VARCHAR[])) GROUP BY source
"""
_GAPS: Final = """
    SELECT id, source, site, epoch_us("start") AS "start", epoch_us("end") AS "end",
        reason, detail
    FROM gap
    WHERE source IN (SELECT unnest($sources::VARCHAR[]))
        AND "start" < $to AND ("end" IS NULL OR "end" > $from)
    ORDER BY "end" IS NOT NULL, "start" DESC, source
"""


def _hour(  # noqa: PLR0917 - one cell of the table, made in one place
    row: Mapping[str, Any] | None,
    source: str,
    site: str,
    hour: Micros,
    end: Micros,
    gaps: Sequence[SourceGap],
) -> SourceHour:
    until = min(hour + HOUR, end)
    seconds = (until - hour) / 1e6
    counts = Counts(**{name: row[name] for name in COUNTS}) if row else Counts()
    return SourceHour(source, site, hour, counts, seconds, seconds - _covered(gaps, hour, until))


def _covered(gaps: Sequence[SourceGap], start: Micros, end: Micros) -> float:
    """Seconds of the stretch that at least one of the gaps covers."""
    covered, reached = 0, start
    for gap in sorted(gaps, key=lambda gap: gap.start):
        last = end if gap.end is None else min(gap.end, end)
        covered += max(0, last - max(gap.start, reached))
        reached = max(reached, last)
    return covered / 1e6
