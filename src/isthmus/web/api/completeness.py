"""What became of everything that was received, and the proof that it is complete."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from isthmus.base.clock import iso
from isthmus.data.completeness import (
    COUNTS,
    Completeness,
    Counts,
    SourceGap,
    SourceHour,
    completeness,
    gaps_in,
)
from isthmus.model.plant import Plant
from isthmus.web.api.asked import Days31, Paged, Place, Running, source_of
from isthmus.web.api.errors import NOT_FOUND

router = APIRouter(tags=["completeness"])

Source = Annotated[str, Query(max_length=100, description="Only this source.", examples=["im-01"])]


class CountsOut(BaseModel):
    """Samples by what became of them; `received = stored + quarantined + unmapped + thinned`."""

    received: int = Field(examples=[3600])
    good: int
    uncertain: int
    bad: int
    unmapped: int = Field(description="No mapping wants this tag.")
    quarantined: int
    late: int
    shaped: int = Field(description="Went into rows.")
    thinned: int = Field(description="Not kept, as the model says: dead-bands, rates, rules.")
    stored: int = Field(description="Are in the tables or on the way into them.", examples=[3600])


class LedgerRow(CountsOut):
    """One source in one hour."""

    source: str = Field(examples=["im-01"])
    site: str = Field(examples=["hamburg"])
    hour: str = Field(examples=["2026-11-17T05:00:00Z"])
    coverage: float | None = Field(
        description="Share of the hour, as far as it has passed, that no gap covers.",
        examples=[0.98],
    )
    difference: int = Field(description="Received and nowhere; 0 when complete.", examples=[0])


class GapOut(BaseModel):
    """Time in which a source told us nothing we could trust."""

    id: str
    source: str = Field(examples=["im-01"])
    site: str = Field(examples=["hamburg"])
    machines: list[str] = Field(examples=[["acme/hamburg/moulding/line-1/im-01"]])
    start: str = Field(examples=["2026-11-17T05:12:00Z"])
    end: str | None = Field(description="Null while it lasts.")
    seconds: float = Field(description="Inside the window.", examples=[42.5])
    reason: str = Field(examples=["lost"])
    detail: str


class SequenceOut(BaseModel):
    """Parcels of one log: complete if every number between first and last is there."""

    site: str = Field(examples=["hamburg"])
    epoch: str = Field(examples=["fc6e726a0599fecb"])
    first: int = Field(examples=[1])
    last: int = Field(examples=[4711])
    parcels: int = Field(examples=[4711])
    complete: bool


class Verdict(BaseModel):
    """Whether everything that was received is stored, in every hour of every source."""

    complete: bool
    lost: int = Field(description="Samples received and found nowhere.", examples=[0])
    surplus: int = Field(description="Samples stored more than once.", examples=[0])
    raw_only: int = Field(
        description="Samples of any time kept as RAW alone: shaping them failed.",
        examples=[0],
    )
    gaps: int = Field(examples=[3])
    gap_s: float = Field(description="Source time without data.", examples=[840.0])


class LedgerOut(BaseModel):
    """The ledger of a window, widened to whole hours."""

    start: str = Field(alias="from", examples=["2026-11-17T05:00:00Z"])
    end: str = Field(alias="to", examples=["2026-11-17T13:00:00Z"])
    verdict: Verdict
    totals: CountsOut
    rows: list[LedgerRow]
    gaps: list[GapOut]
    sequences: list[SequenceOut]


@router.get("/ledger", responses=NOT_FOUND)
def get_ledger(platform: Running, scope: Place, window: Days31, source: Source = "") -> LedgerOut:
    """Samples per source and hour at every stage, gaps, sequences, and whether it is complete."""
    chosen = _sources(platform.plant, scope, source)
    found = completeness(platform.lake.query, chosen, window.start, window.end, now=window.now)
    sites = {platform.plant.sources[name].site for name in chosen}
    sequences = _sequences(platform, sites)
    raw = sum(one.samples for one in platform.lake.failures() if one.source in chosen)
    return LedgerOut.model_validate(
        {
            "from": iso(found.start),
            "to": iso(found.end),
            "verdict": _verdict(found, sequences, raw),
            "totals": _counts(found.total),
            "rows": [_row(hour) for hour in found.hours],
            "gaps": [_gap(platform.plant, gap, found.start, found.end) for gap in found.gaps],
            "sequences": sequences,
        }
    )


@router.get("/gaps", responses=NOT_FOUND)
def get_gaps(
    platform: Running, scope: Place, window: Days31, part: Paged, source: Source = ""
) -> list[GapOut]:
    """Gaps that touch the window: running ones first, then the latest first."""
    chosen = _sources(platform.plant, scope, source)
    end = min(window.end, window.now)
    found = gaps_in(platform.lake.query, chosen, window.start, end)
    return [_gap(platform.plant, gap, window.start, end) for gap in part.of(found)]


def _sources(plant: Plant, scope: str, source: str) -> set[str]:
    wanted = source_of(plant, source)
    here = {machine.source for machine in plant.scope(scope)}
    return here & {wanted} if wanted else here


def _verdict(found: Completeness, sequences: Sequence[SequenceOut], raw: int) -> Verdict:
    return Verdict(
        complete=found.holds and not raw and all(one.complete for one in sequences),
        lost=found.lost,
        surplus=found.surplus,
        raw_only=raw,
        gaps=len(found.gaps),
        gap_s=found.gap_s,
    )


def _counts(counts: Counts) -> dict[str, int]:
    return {name: getattr(counts, name) for name in COUNTS}


def _row(hour: SourceHour) -> LedgerRow:
    return LedgerRow(
        source=hour.source,
        site=hour.site,
        hour=iso(hour.hour),
        coverage=hour.coverage,
        difference=hour.counts.difference,
        **_counts(hour.counts),
    )


def _gap(plant: Plant, gap: SourceGap, start: int, end: int) -> GapOut:
    source = plant.sources.get(gap.source)
    return GapOut(
        id=gap.id,
        source=gap.source,
        site=gap.site,
        machines=list(source.machines) if source else [],
        start=iso(gap.start),
        end=None if gap.end is None else iso(gap.end),
        seconds=gap.seconds(start, end),
        reason=gap.reason,
        detail=gap.detail,
    )


def _sequences(platform: Running, sites: set[str]) -> list[SequenceOut]:
    rows = platform.lake.sequences().to_pylist()
    return [
        SequenceOut(
            site=row["_site"],
            epoch=row["_epoch"],
            first=row["first"],
            last=row["last"],
            parcels=row["parcels"],
            complete=row["parcels"] == row["last"] - row["first"] + 1,
        )
        for row in rows
        if row["_site"] in sites
    ]
