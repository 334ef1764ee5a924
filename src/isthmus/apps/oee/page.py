"""The OEE pages for the web: view models (view.py) and the functions that fill them.

    overview_page(query, plant, scope, start, end, compare, now=…)
    oee_page(query, plant, scope, start, end, compare, now=…, by="machine")
    live_page(query, plant, scope, now=…)
    stop_page(query, plant, stop, now=…)

They only read; times are microseconds UTC, numbers are raw.
"""

from isthmus.apps.oee.page_live import live_page
from isthmus.apps.oee.page_oee import oee_page
from isthmus.apps.oee.page_overview import overview_page
from isthmus.apps.oee.page_stop import stop_page
from isthmus.apps.oee.view import (
    Attention,
    Figure,
    GridCell,
    GridRow,
    GroupRow,
    HourRow,
    Kind,
    Label,
    LiveMachine,
    LivePage,
    LossKey,
    LossStep,
    OeePage,
    OrderNow,
    OverviewPage,
    OverviewRow,
    ParetoRow,
    ReasonChoice,
    ReasonPart,
    ScopeLosses,
    ShiftGrid,
    ShiftSpan,
    SparkPoint,
    StateInterval,
    Stop,
    StopPage,
    Timeline,
    TimelineRow,
    TrendSeries,
)

__all__ = [
    "Attention",
    "Figure",
    "GridCell",
    "GridRow",
    "GroupRow",
    "HourRow",
    "Kind",
    "Label",
    "LiveMachine",
    "LivePage",
    "LossKey",
    "LossStep",
    "OeePage",
    "OrderNow",
    "OverviewPage",
    "OverviewRow",
    "ParetoRow",
    "ReasonChoice",
    "ReasonPart",
    "ScopeLosses",
    "ShiftGrid",
    "ShiftSpan",
    "SparkPoint",
    "StateInterval",
    "Stop",
    "StopPage",
    "Timeline",
    "TimelineRow",
    "TrendSeries",
    "live_page",
    "oee_page",
    "overview_page",
    "stop_page",
]
