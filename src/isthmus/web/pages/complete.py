"""Is it complete? What was received against what is stored, gaps, quarantine, the proof."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from isthmus.base.clock import DAY, HOUR, Micros, to_datetime
from isthmus.data.completeness import (
    Completeness,
    Counts,
    SourceGap,
    SourceHour,
    completeness,
    summed,
)
from isthmus.data.latest import heard
from isthmus.model.plant import Plant
from isthmus.web.page import Ask, Page
from isthmus.web.pages.complete_texts import TEXTS
from isthmus.web.platform import Platform
from isthmus.web.scope import machine_title
from isthmus.web.timerange import span_text

MOST_COLUMNS: Final = 48
MOST_TIMES: Final = 12
MOST_DAYS: Final = 8
"""Labels over the heat table; a day is written longer than a time."""
MOST_GAPS: Final = 50
EXAMPLES: Final = 3
STEPS: Final = (1, 2, 3, 4, 6, 12, 24, 48, 96, 192, 384)
"""Hours per column of the heat table."""
WHOLE: Final = 0.9995
"""What is shown as 100 %: less than two seconds of an hour."""

Tone = Literal["full", "part", "none", "wrong", "before"]


@dataclass(frozen=True)
class Cell:
    """One source in one column of the heat table."""

    start: Micros
    end: Micros
    counts: Counts
    coverage: float | None
    tone: Tone


@dataclass(frozen=True)
class SourceRow:
    """One source: its line of the heat table and of the ledger."""

    source: str
    kind: str
    machines: Sequence[str]
    cells: Sequence[Cell]
    counts: Counts
    coverage: float | None
    gap_s: float
    gaps: Sequence[SourceGap]
    heard: Micros | None
    connected: bool | None
    impaired: str
    """What is not as it should be although it answers: `disk_full`, `bad`, `slow`; or empty."""
    detail: str
    clock_off: float | None
    """Seconds its device's clock is ahead of ours, where that is more than tolerated."""


@dataclass(frozen=True)
class PutAside:
    """Quarantined samples of one code."""

    code: str
    count: int
    last: Micros
    fields: Sequence[Mapping[str, str]]
    """`source`, `block`, `field` of all of them."""
    examples: Sequence[Mapping[str, Any]]


def show(ask: Ask) -> Mapping[str, Any]:
    platform, plant = ask.platform, ask.platform.plant
    here = _sources(plant, ask.scope.path)
    chosen = {ask.view.sel} & here or here
    found = completeness(platform.lake.query, chosen, ask.range.start, ask.range.end, now=ask.now)
    step = _step(found)
    rows = [_row(platform, name, found, step) for name in sorted(chosen)]
    last = heard(platform.lake.query, plant, now=ask.now)
    rows = [_with_heard(row, last.get(row.source)) for row in rows]
    sequences = _sequences(platform, {plant.sources[name].site for name in chosen})
    raw = sum(one.samples for one in platform.lake.failures() if one.source in chosen)
    return {
        "found": found,
        "total": found.total,
        "verdict": verdict(ask, found, raw, proved=all(one["complete"] for one in sequences)),
        "rows": rows,
        "columns": _labelled(_columns(found, step), MOST_TIMES if step < DAY else MOST_DAYS),
        "step": step,
        "gaps": found.gaps[:MOST_GAPS],
        "more_gaps": len(found.gaps) - MOST_GAPS,
        "put_aside": _put_aside(ask, chosen, found),
        "sequences": sequences,
        "names": lambda source: _names(plant, source),
        "cell_url": lambda cell, source: ask.view.url(
            range=span_text(cell.start, cell.end), sel=source
        ),
        "place": lambda gap: _place(gap, found),
        "why": lambda gap: _why(ask, gap),
        "todo": lambda code: _todo(ask, code),
        "replayable": lambda group: _replayable(plant, group),
        "chosen": ask.view.sel if ask.view.sel in here else "",
        "empty": not found.hours,
    }


# The verdict ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """One sentence, and how it is meant."""

    tone: Literal["good", "crit"]
    text: str
    more: Sequence[str]


def verdict(ask: Ask, found: Completeness, raw: int, *, proved: bool) -> Verdict:
    t, f, total = ask.t, ask.f, found.total
    numbers = {"n": f.number(total.received), "stored": f.number(total.stored)}
    gaps = (
        t("complete.gaps.some", n=len(found.gaps), value=f.duration(found.gap_s))
        if found.gaps
        else t("complete.gaps.none")
    )
    aside = total.quarantined + total.unmapped
    more = []
    if aside:
        key = "complete.aside"
        more.append(
            t(key, quarantined=f.number(total.quarantined), unmapped=f.number(total.unmapped))
        )
    if raw:
        more.append(t("complete.raw", samples=f.number(raw)))
    if not proved:
        more.append(t("complete.unproved"))
    if found.surplus:
        more.append(t("complete.surplus", samples=f.number(found.surplus)))
    if found.holds and proved and not raw:
        key = "complete.accounted" if aside else "complete.all"
        return Verdict("good", t(key, gaps=gaps, **numbers), more)
    return Verdict(
        "crit", t("complete.lost", lost=f.number(found.lost), gaps=gaps, **numbers), more
    )


# The heat table ---------------------------------------------------------------------------------


def _step(found: Completeness) -> Micros:
    hours = max(1, -(-(found.end - found.start) // HOUR))
    return next(step for step in STEPS if hours <= MOST_COLUMNS * step) * HOUR


def _columns(found: Completeness, step: Micros) -> list[Micros]:
    return list(range(found.start, found.end, step))


def _labelled(columns: Sequence[Micros], most: int) -> list[tuple[Micros, bool]]:
    """Columns and which of them are labelled: so that the last label has as much room as others."""
    every = max(1, -(-len(columns) // most))
    return [(start, (len(columns) - at) % every == 0) for at, start in enumerate(columns)]


def _row(platform: Platform, name: str, found: Completeness, step: Micros) -> SourceRow:
    source = platform.plant.sources[name]
    hours = [hour for hour in found.hours if hour.source == name]
    by_column: dict[Micros, list[SourceHour]] = {}
    for hour in hours:
        column = found.start + (hour.hour - found.start) // step * step
        by_column.setdefault(column, []).append(hour)
    said = platform.source_states().get(name)
    return SourceRow(
        source=name,
        kind=source.spec.kind,
        machines=source.machines,
        cells=[
            _cell(start, min(start + step, found.end), by_column.get(start, ()))
            for start in _columns(found, step)
        ],
        counts=summed(hour.counts for hour in hours),
        coverage=_coverage(hours),
        gap_s=sum(hour.seconds - hour.known_s for hour in hours),
        gaps=[gap for gap in found.gaps if gap.source == name],
        heard=None,
        connected=said.connected if said else None,
        impaired=said.impaired if said else "",
        detail=said.detail if said else "",
        clock_off=_clock_off(platform, name),
    )


def _with_heard(row: SourceRow, at: Micros | None) -> SourceRow:
    return SourceRow(**{**vars(row), "heard": at})


def _cell(start: Micros, end: Micros, hours: Sequence[SourceHour]) -> Cell:
    coverage = _coverage(hours)
    return Cell(start, end, summed(hour.counts for hour in hours), coverage, _tone(hours, coverage))


def _clock_off(platform: Platform, name: str) -> float | None:
    offset = platform.clock_offsets().get(name, 0.0)
    tolerated = platform.plant.sources[name].spec.clock_tolerance * platform.clock.speed
    return offset if abs(offset) > tolerated else None


def _coverage(hours: Sequence[SourceHour]) -> float | None:
    seconds = sum(hour.seconds for hour in hours)
    return sum(hour.known_s for hour in hours) / seconds if seconds else None


def _tone(hours: Sequence[SourceHour], coverage: float | None) -> Tone:
    if not all(hour.counts.holds for hour in hours):
        return "wrong"
    if coverage is None:
        return "before"
    if coverage >= WHOLE:
        return "full"
    return "part" if coverage > 0 else "none"


# Gaps, quarantine, sequences ----------------------------------------------------------------------


def _sources(plant: Plant, scope: str) -> set[str]:
    return {machine.source for machine in plant.scope(scope)} & set(plant.sources)


def _names(plant: Plant, source: str) -> str:
    found = plant.sources.get(source)
    machines = [plant.machines[path] for path in found.machines] if found else []
    return ", ".join(machine_title(machine) for machine in machines)


def _place(gap: SourceGap, found: Completeness) -> tuple[float, float]:
    """Left and width of a gap on its strip, in percent; never too small to be seen."""
    whole = found.end - found.start
    start = max(gap.start, found.start)
    end = found.end if gap.end is None else min(gap.end, found.end)
    width = max(0.3, 100 * (end - start) / whole)
    return min(100 * (start - found.start) / whole, 100 - width), width


def _why(ask: Ask, gap: SourceGap) -> str:
    key = f"gap.{gap.reason}"
    return ask.t(key) if key in ask.t.texts else gap.reason


def _todo(ask: Ask, code: str) -> str:
    key = f"todo.{code}"
    return ask.t(key if key in ask.t.texts else "todo.other")


_PUT_ASIDE: Final = """
    SELECT code, count(*) AS count, epoch_us(max(received_time)) AS last,
        array_agg(DISTINCT {'source': source, 'block': block, 'field': field}) AS fields,
        array_agg({'source': source, 'tag': tag, 'machine': machine, 'block': block,
            'field': field, 'at': epoch_us(received_time), 'value': value, 'reason': reason}
            ORDER BY received_time DESC)[:$examples] AS examples
    FROM quarantine
    WHERE received_time >= $from AND received_time < $to
        AND (source IN (SELECT unnest($sources::VARCHAR[])) OR $everything)
    GROUP BY code ORDER BY count DESC, code
"""


def _put_aside(ask: Ask, sources: set[str], found: Completeness) -> list[PutAside]:
    whole = ask.scope.path == ask.platform.plant.enterprise and not ask.view.sel
    params = {
        "from": to_datetime(found.start),
        "to": to_datetime(found.end),
        "sources": sorted(sources),
        "everything": whole,
        "examples": EXAMPLES,
    }
    return [PutAside(**row) for row in ask.platform.lake.query(_PUT_ASIDE, params).to_pylist()]


def _replayable(plant: Plant, group: PutAside) -> list[str]:
    """Sources whose samples a replay could shape; a counter's parts are counted without one."""
    return sorted(
        {
            one["source"]
            for one in group.fields
            if one["source"] in plant.sources and not _counts(plant, one["block"], one["field"])
        }
    )


def _counts(plant: Plant, block: str, field: str) -> bool:
    declared = plant.blocks[block].fields.get(field) if block in plant.blocks else None
    return declared is not None and declared.type == "counter"


def _sequences(platform: Platform, sites: set[str]) -> list[Mapping[str, Any]]:
    return [
        row | {"complete": row["parcels"] == row["last"] - row["first"] + 1}
        for row in platform.lake.sequences().to_pylist()
        if row["_site"] in sites
    ]


# Live -------------------------------------------------------------------------------------------


def heard_fields(platform: Platform, watched: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """What the hub publishes as `platform:heard`: source → when it was heard last, in ms."""
    if "heard" not in watched:
        return []
    last = heard(platform.lake.query, platform.plant, now=platform.clock.now())
    return [("platform:heard", {source: at // 1000 for source, at in last.items()})]


COMPLETE = Page("complete", "integrate", "check", show, TEXTS, compares=False)
