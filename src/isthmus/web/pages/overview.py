"""Overview: what is abnormal now, then every plant with its numbers and its biggest loss."""

from collections.abc import Mapping
from typing import Any

from isthmus.apps.oee.page import OverviewPage, overview_page
from isthmus.base.clock import Micros
from isthmus.web.i18n import Text
from isthmus.web.page import Ask, Page
from isthmus.web.pages.connect import sources_at
from isthmus.web.pages.words import Empty, why_empty
from isthmus.web.timeline import stop_url

TEXTS = {
    "overview.title": Text("Overview", "Übersicht"),
    "overview.attention": Text("Attention now", "Jetzt beachten"),
    "overview.calm": Text("Nothing is abnormal right now.", "Im Moment ist nichts auffällig."),
    "overview.stopped": Text("stopped", "steht"),
    "overview.unclassified": Text("stopped, no reason given", "steht, Grund fehlt"),
    "overview.offline": Text("no data", "keine Daten"),
    "overview.open": Text("Open", "Öffnen"),
    "overview.classify": Text("Give reason", "Grund angeben"),
    "overview.places": Text("Plants and lines", "Werke und Linien"),
    "overview.place": Text("Place", "Ort"),
    "overview.good": Text("Good parts", "Gutteile"),
    "overview.biggest": Text("Biggest loss", "Größter Verlust"),
    "overview.spark": Text("28 days", "28 Tage"),
    "overview.days": Text("OEE of {n} days", "OEE von {n} Tagen"),
    "overview.now": Text("Now", "Jetzt"),
    "overview.running": Text("{running} of {n} run", "{running} von {n} laufen"),
    "overview.losses": Text("Loss by place", "Verluste je Ort"),
    "overview.losses.note": Text("share of planned time", "Anteil der geplanten Zeit"),
    "overview.more": Text("{n} more", "{n} weitere"),
}

MOST_ALERTS = 6


def show(ask: Ask) -> Mapping[str, Any]:
    model = overview_page(
        ask.platform.lake.query,
        ask.platform.plant,
        ask.scope.path,
        ask.range.start,
        ask.range.end,
        compare=(ask.before.start, ask.before.end) if ask.before else None,
        now=ask.now,
    )
    return {
        "model": model,
        "alerts": model.attention[:MOST_ALERTS],
        "more": len(model.attention) - MOST_ALERTS,
        "impaired": _impaired(ask)[:MOST_ALERTS],
        "loss_keys": _loss_keys(model),
        "stop_url": stop_url,
        "empty": Empty() if any(row.good for row in model.rows) else why_empty(ask),
    }


def _impaired(ask: Ask) -> list[tuple[str, str, Micros]]:
    """Source, what is wrong with it although it answers, and since when."""
    states = ask.platform.source_states()
    here = [one.name for one in sources_at(ask.platform.plant, ask.scope) if one.name in states]
    return [(name, one.detail, one.since) for name in here for one in states[name].wrong]


def _loss_keys(model: OverviewPage) -> list[tuple[str, str]]:
    """Losses that have a colour in the stacked bars, in the order of the waterfall."""
    keys = {
        step.key: step.kind or "total"
        for place in model.losses
        for step in place.steps
        if not step.total and step.seconds
    }
    return list(keys.items())


OVERVIEW = Page("overview", "operate", "overview", show, TEXTS)
