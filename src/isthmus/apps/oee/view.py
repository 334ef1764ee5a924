"""What the OEE pages show: frozen view models with raw numbers, no language, no formatting.

Times are microseconds UTC, durations seconds, ratios 0…1 (performance may exceed 1). `None` means
undefined, and the field beside it says why. The web formats, translates and draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from isthmus.base.clock import Micros

Kind = Literal["running", "slow", "idle", "setup", "planned", "stopped", "unclassified", "offline"]
"""The eight states people see; the palette has one colour for each."""

LossKey = Literal[
    "planned_busy", "breakdowns", "setup", "waiting", "unclassified", "minor_stops", "unknown",
    "operating", "speed", "net_operating", "scrap_rework", "productive",
]  # fmt: skip

Label = Mapping[str, str]
"""Language → text; empty when the model gives none (then show the slug)."""


@dataclass(frozen=True)
class Figure:
    """One KPI of one scope and window."""

    name: str
    """`oee`, `availability`, `effectiveness`, `quality_ratio`, `nee`, `good`, …"""
    value: float | None
    why_null: str = ""
    """Code from docs/reference/kpi.md, e.g. `no_ideal_cycle`; empty when there is a value."""
    target: float | None = None
    before: float | None = None
    """The same KPI in the window it is compared with."""
    coverage: float | None = None
    """Share of planned busy time in which the state was known."""
    above_one: bool = False
    """Raw value above 1: the ideal cycle time or the counts are wrong. Never clipped."""


@dataclass(frozen=True)
class StateInterval:
    """A stretch in which a machine's displayed state did not change."""

    machine: str
    start: Micros
    end: Micros
    kind: Kind
    state: str | None
    """Name from the code system; None while unknown."""
    category: str | None
    busy: bool
    """Inside planned busy time: only then its seconds count."""
    stop: str = ""
    """Id of the stop it belongs to (`{machine}@{start}`), for the drill-down; empty if none."""
    reason: str = ""
    production_order: str = ""
    material: str = ""

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e6


@dataclass(frozen=True)
class TimelineRow:
    machine: str
    name: str
    line: str
    intervals: tuple[StateInterval, ...]


@dataclass(frozen=True)
class ShiftSpan:
    """One shift on the time axis."""

    site: str
    line: str
    shift: str
    day: str
    """Production day, ISO date."""
    start: Micros
    end: Micros


@dataclass(frozen=True)
class Timeline:
    start: Micros
    end: Micros
    timezone: str
    rows: tuple[TimelineRow, ...]
    shifts: tuple[ShiftSpan, ...] = ()


@dataclass(frozen=True)
class LossStep:
    """One bar of the waterfall from planned busy time down to productive time."""

    key: LossKey
    seconds: float | None
    """Losses are positive numbers that are taken away; None when it cannot be computed."""
    total: bool = False
    """A level (planned busy, operating, net operating, productive), not a loss."""
    kind: Kind | None = None
    """Palette entry for losses."""
    left: float | None = None
    """Seconds that remain after this step: where the bar hangs."""


@dataclass(frozen=True)
class ParetoRow:
    reason: str
    """Slug of the reason; `unclassified` and `minor_stops` are rows of their own."""
    label: Label
    seconds: float
    stops: int
    share: float
    cumulative: float


@dataclass(frozen=True)
class ReasonPart:
    """Which stretch of a stop has which reason; a stop may be split."""

    id: str
    reason: str
    label: Label
    start: Micros
    end: Micros | None
    comment: str = ""
    author: str = ""


@dataclass(frozen=True)
class Stop:
    """A machine stood from … to …, in planned busy time at least in part."""

    id: str
    machine: str
    name: str
    start: Micros
    end: Micros | None
    """None while it lasts, or when it goes on behind the window."""
    seconds: float
    """Inside planned busy time and the window."""
    state: str | None
    category: str | None
    minor: bool
    """Not longer than the machine's minor stop: needs no reason."""
    unclassified_s: float
    """Seconds that still need a reason."""
    parts: tuple[ReasonPart, ...] = ()
    production_order: str = ""
    material: str = ""


@dataclass(frozen=True)
class HourRow:
    """Hour by hour: what came out against what could have."""

    start: Micros
    end: Micros
    produced: float | None
    good: float | None
    target: float | None
    """Parts that planned busy time allowed at the ideal cycle; None: no ideal cycle known."""
    pbt_s: float
    oee: float | None


@dataclass(frozen=True)
class GridCell:
    value: float | None
    why_null: str = ""
    coverage: float | None = None


@dataclass(frozen=True)
class GridRow:
    scope: str
    name: str
    cells: tuple[GridCell, ...]
    """One per column of the grid."""


@dataclass(frozen=True)
class ShiftGrid:
    """OEE per machine and shift."""

    columns: tuple[ShiftSpan, ...]
    rows: tuple[GridRow, ...]


@dataclass(frozen=True)
class GroupRow:
    """One line of the compare table."""

    scope: str
    group: str
    name: str
    oee: Figure
    availability: Figure
    effectiveness: Figure
    quality_ratio: Figure
    produced: float | None
    good: float | None
    pbt_s: float
    unknown_s: float


@dataclass(frozen=True)
class OeePage:
    scope: str
    name: str
    start: Micros
    end: Micros
    now: Micros
    oee: Figure
    availability: Figure
    effectiveness: Figure
    quality_ratio: Figure
    good: Figure
    """Good parts; target: what planned busy time allowed at the ideal cycle."""
    unclassified_s: float
    coverage: float | None
    timeline: Timeline
    losses: tuple[LossStep, ...]
    pareto: tuple[ParetoRow, ...]
    hours: tuple[HourRow, ...]
    grid: ShiftGrid
    groups: tuple[GroupRow, ...]
    stops: tuple[Stop, ...]
    """Longest first, at most 50."""


@dataclass(frozen=True)
class Attention:
    """Something abnormal right now; most urgent first."""

    what: Literal["stopped", "unclassified", "offline"]
    machine: str
    name: str
    scope: str
    """Line of the machine."""
    since: Micros
    seconds: float
    reason: str = ""
    label: Label = field(default_factory=dict)
    stop: str = ""


@dataclass(frozen=True)
class SparkPoint:
    day: str
    oee: float | None
    coverage: float | None


@dataclass(frozen=True)
class OverviewRow:
    scope: str
    name: str
    level: Literal["enterprise", "site", "area", "line", "machine"]
    depth: int
    oee: Figure
    availability: Figure
    effectiveness: Figure
    quality_ratio: Figure
    good: float | None
    biggest_loss: LossStep | None
    spark: tuple[SparkPoint, ...]
    """Up to 28 production days before the window's end, oldest first."""
    machines: int
    running: int
    """Machines that run (or run slow) now."""
    abnormal: int
    """Machines that stand, are unclassified or offline now, in planned busy time."""


@dataclass(frozen=True)
class ScopeLosses:
    scope: str
    name: str
    steps: tuple[LossStep, ...]


@dataclass(frozen=True)
class OverviewPage:
    scope: str
    name: str
    start: Micros
    end: Micros
    now: Micros
    attention: tuple[Attention, ...]
    rows: tuple[OverviewRow, ...]
    """A tree flattened depth first: the scope itself, then what is below it down to the lines."""
    losses: tuple[ScopeLosses, ...]
    """Of the direct children of the scope."""


@dataclass(frozen=True)
class ReasonChoice:
    """A tile of the reason picker, most used on this machine first."""

    reason: str
    label: Label
    category: str
    used: int


@dataclass(frozen=True)
class OrderNow:
    production_order: str
    operation: str
    material: str
    material_name: str
    start: Micros
    quantity: float | None
    produced: float | None
    good: float | None
    progress: float | None
    """good ÷ quantity; may exceed 1."""
    due: Micros | None
    finish: Micros | None
    """When it is done at the ideal cycle from now on."""


@dataclass(frozen=True)
class LiveMachine:
    machine: str
    name: str
    line: str
    kind: Kind
    state: str | None
    category: str | None
    since: Micros
    seconds: float
    reason: str
    label: Label
    stop: str
    """Id of the running stop; empty if it does not stand."""
    order: OrderNow | None
    produced: float | None
    """In the running shift."""
    good: float | None
    target: float | None
    """What the planned busy time of the running shift so far allowed at the ideal cycle."""
    unclassified_s: float
    unclassified: tuple[Stop, ...]
    """Stops of the running shift that still need a reason, newest first."""
    choices: tuple[ReasonChoice, ...]
    """At most nine tiles."""

    @property
    def abnormal(self) -> bool:
        return self.kind in {"stopped", "unclassified", "offline", "idle"}


@dataclass(frozen=True)
class LivePage:
    scope: str
    name: str
    now: Micros
    timezone: str
    shift: ShiftSpan | None
    """The running shift of the first machine that has one."""
    produced: float | None
    target: float | None
    unclassified_s: float
    machines: tuple[LiveMachine, ...]
    """Abnormal first, longest first; then the normal ones in the order of the model."""
    timeline: Timeline
    """The last eight hours."""


@dataclass(frozen=True)
class TrendSeries:
    block: str
    field: str
    unit: str
    points: tuple[tuple[Micros, float | None], ...]
    """At most 2,000; denser data is reduced to minimum and maximum per step."""


@dataclass(frozen=True)
class StopPage:
    stop: Stop
    timezone: str
    around: Timeline
    """Ten minutes before to ten minutes after."""
    trends: tuple[TrendSeries, ...]
    choices: tuple[ReasonChoice, ...]
    earlier: str
    """Id of the stop before this one; empty if none in the last 24 hours."""
    later: str
