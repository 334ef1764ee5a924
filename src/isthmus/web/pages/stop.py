"""One stop: what the machine did around it, its reasons, and the raw signals."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException

from isthmus.apps.oee.page import StopPage, TrendSeries, stop_page
from isthmus.web.i18n import Text
from isthmus.web.page import Ask, Page
from isthmus.web.pages.reason import for_reasons
from isthmus.web.pages.words import reason_labels, state_label
from isthmus.web.timeline import stop_url, timeline_view

TEXTS = {
    "stop.title": Text("Stop", "Stopp"),
    "stop.facts": Text("The stop", "Der Stopp"),
    "stop.still": Text("still standing", "steht noch"),
    "stop.length": Text("Planned time lost", "Verlorene geplante Zeit"),
    "stop.state": Text("State", "Zustand"),
    "stop.order": Text("Order", "Auftrag"),
    "stop.reasons": Text("Reasons", "Gründe"),
    "stop.none": Text("No reason given yet.", "Noch kein Grund angegeben."),
    "stop.minor": Text("Minor stop: needs no reason.", "Kurzstopp: braucht keinen Grund."),
    "stop.by": Text("by {author}", "von {author}"),
    "stop.around": Text("Ten minutes before and after", "Zehn Minuten davor und danach"),
    "stop.trends": Text("Raw signals", "Rohsignale"),
    "stop.no_trends": Text("This machine sends no numbers.", "Diese Maschine sendet keine Zahlen."),
    "stop.earlier": Text("Earlier stop", "Früherer Stopp"),
    "stop.later": Text("Later stop", "Späterer Stopp"),
    "stop.back": Text("To the machine's losses", "Zu den Verlusten der Maschine"),
}


def show(ask: Ask) -> Mapping[str, Any]:
    model = stop_page(ask.platform.lake.query, ask.platform.plant, ask.view.sel, now=ask.now)
    if model is None:
        raise HTTPException(404)
    stop = model.stop
    end = stop.end if stop.end is not None else ask.now
    return {
        "model": model,
        "stop": stop,
        "seconds": (end - stop.start) / 1e6,
        "timeline_data": timeline_view(
            "around",
            model.around,
            reason_labels(ask.platform.plant),
            ask.t,
            ask.f,
            cursor=(stop.start, end),
        ),
        "trends": _trends(model, ask, (stop.start, end)),
        "state": state_label(ask.platform.plant, ask.t, stop.state or "offline"),
        "stop_url": stop_url,
        **for_reasons(ask),
    }


def _trends(model: StopPage, ask: Ask, cursor: tuple[int, int]) -> Mapping[str, Any]:
    return {
        "zone": model.timezone,
        "language": ask.f.language,
        "cursor": [at / 1e6 for at in cursor],
        "series": [_series(series, ask) for series in model.trends],
    }


def _series(series: TrendSeries, ask: Ask) -> Mapping[str, Any]:
    return {
        "label": f"{series.block}.{series.field}",
        "unit": ask.f.unit(series.unit),
        "times": [at / 1e6 for at, _ in series.points],
        "values": [value for _, value in series.points],
    }


STOP = Page(
    "stop",
    "improve",
    "oee",
    show,
    TEXTS,
    default_range="",
    live=True,
    compares=False,
    listed=False,
    crumbs_to="oee",
)
