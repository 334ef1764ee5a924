"""What the timeline island gets: compact intervals, merged to pixels where there are too many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, get_args

from isthmus.apps.oee.page import Kind, Label, StateInterval, Timeline, TimelineRow
from isthmus.base.clock import Micros
from isthmus.web.formats import Formats
from isthmus.web.i18n import Translator

WORST_LAST: Final[tuple[Kind, ...]] = (
    "running",
    "planned",
    "slow",
    "setup",
    "idle",
    "offline",
    "unclassified",
    "stopped",
)
"""The same order as in `timeline-layout.js`; a test compares them."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""In the order of a legend: what is normal first."""

COLUMNS: Final = 2000
"""More intervals than a wide screen has pixels are merged here, not in the browser."""
ROW_HEIGHT: Final = {"compact": 24, "normal": 26, "touch": 40}
AXIS_HEIGHT: Final = 24
MOST_ROWS: Final = 24
LONGEST_LISTED: Final = 200


@dataclass(frozen=True)
class Listed:
    """One line of the table beside the canvas."""

    name: str
    interval: StateInterval
    url: str
    reason: str


@dataclass(frozen=True)
class TimelineView:
    """Ready for the template."""

    id: str
    json: Mapping[str, Any]
    height: int
    """Reserved before the island draws, so that nothing jumps."""
    table: Sequence[Listed]
    cut: bool
    """Not every interval is in the table."""


def timeline_view(
    id_: str,
    timeline: Timeline,
    labels: Mapping[str, Label],
    t: Translator,
    f: Formats,
    *,
    density: str = "normal",
    follow: bool = False,
    cursor: tuple[Micros, Micros] | None = None,
) -> TimelineView:
    """`labels` are the reasons' labels by slug."""
    row_height = ROW_HEIGHT[density]
    intervals = [interval for row in timeline.rows for interval in row.intervals]
    listed = [
        (row.name, interval)
        for row in timeline.rows
        for interval in row.intervals
        if interval.kind != "running"
    ]
    longest = sorted(listed, key=lambda entry: -entry[1].seconds)[:LONGEST_LISTED]
    kept = {id(interval) for _, interval in longest}
    words = _Words(labels, t)
    json = _json(timeline, words, t, f, row_height, follow=follow) | {
        "label": t(
            "timeline.summary",
            machines=len(timeline.rows),
            intervals=len(intervals),
            span=f.span(timeline.start, timeline.end),
        )
    }
    if cursor:
        json["cursor"] = [round((at - timeline.start) / 1e6, 1) for at in cursor]
    return TimelineView(
        id_,
        json,
        min(len(timeline.rows), MOST_ROWS) * row_height + AXIS_HEIGHT,
        [
            Listed(name, interval, stop_url(interval.stop), words.reason(interval.reason))
            for name, interval in listed
            if id(interval) in kept
        ],
        len(listed) > LONGEST_LISTED,
    )


def merged(
    intervals: Sequence[StateInterval], start: Micros, end: Micros, columns: int = COLUMNS
) -> list[StateInterval]:
    """At most one interval per column, the worst that touches it: no stop ever vanishes."""
    if len(intervals) <= columns:
        return list(intervals)
    shown: list[StateInterval | None] = [None] * columns
    scale = columns / (end - start)
    for interval in intervals:
        first = max(0, int((interval.start - start) * scale))
        last = min(columns, max(first + 1, -int(-(interval.end - start) * scale // 1)))
        for column in range(first, last):
            there = shown[column]
            if there is None or _severity(interval) > _severity(there):
                shown[column] = interval
    return _runs(shown, start, (end - start) / columns)


def stop_url(stop: str) -> str:
    """Where a stop's page is; empty if there is no stop."""
    return f"/stop/{stop}" if stop else ""


def _runs(shown: Sequence[StateInterval | None], start: Micros, step: float) -> list[StateInterval]:
    runs: list[StateInterval] = []
    for column, interval in enumerate(shown):
        if interval is None:
            continue
        begin, end = start + round(column * step), start + round((column + 1) * step)
        last = runs[-1] if runs else None
        if last and last.end == begin and (last.kind, last.stop) == (interval.kind, interval.stop):
            runs[-1] = replace(last, end=end)
        else:
            runs.append(replace(interval, start=begin, end=end))
    return runs


def _severity(interval: StateInterval) -> int:
    return WORST_LAST.index(interval.kind)


class _Words:
    """Reasons and orders by number: a long text travels once."""

    def __init__(self, labels: Mapping[str, Label], t: Translator) -> None:
        self._labels = labels
        self._t = t
        self.reasons: dict[str, int] = {}
        self.orders: dict[str, int] = {}

    def reason(self, slug: str) -> str:
        return self._t.label(self._labels.get(slug, {}), slug)

    def numbers(self, interval: StateInterval) -> tuple[int, int]:
        reason = self.reason(interval.reason)
        order = " · ".join(filter(None, (interval.production_order, interval.material)))
        return _number(self.reasons, reason), _number(self.orders, order)


def _number(known: dict[str, int], text: str) -> int:
    return known.setdefault(text, len(known)) if text else -1


def _json(
    timeline: Timeline, words: _Words, t: Translator, f: Formats, row_height: int, *, follow: bool
) -> dict[str, Any]:
    rows = [_row(row, timeline, words) for row in timeline.rows]
    return {
        "start": timeline.start // 1000,
        "end": timeline.end // 1000,
        "follow": follow,
        "zone": timeline.timezone,
        "language": f.language,
        "row": row_height,
        "rows": rows,
        "reasons": list(words.reasons),
        "orders": list(words.orders),
        "kinds": {kind: t(f"kind.{kind}") for kind in WORST_LAST},
        "words": {
            key: t.texts[f"timeline.{key}"][0 if t.language == "en" else 1]
            for key in ("help", "reset", "reason", "order", "worst")
        },
    }


def _row(row: TimelineRow, timeline: Timeline, words: _Words) -> dict[str, Any]:
    intervals = merged(row.intervals, timeline.start, timeline.end)
    return {
        "machine": row.machine,
        "name": row.name,
        "url": stop_url(row.machine),
        "intervals": [
            [
                round((interval.start - timeline.start) / 1e6, 1),
                round(interval.seconds, 1),
                interval.kind,
                interval.stop.rpartition("@")[2],
                *words.numbers(interval),
            ]
            for interval in intervals
        ],
    }
