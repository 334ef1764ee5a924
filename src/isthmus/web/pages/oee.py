"""OEE & losses: five numbers, what the machines did, where the time went and why."""

from collections.abc import Mapping
from typing import Any

from isthmus.apps.oee.page import Label, OeePage, ShiftGrid, ShiftSpan, oee_page
from isthmus.web.i18n import Text
from isthmus.web.page import Ask, Page
from isthmus.web.pages.words import Empty, reason_labels, state_label, why_empty
from isthmus.web.timeline import KINDS, stop_url, timeline_view

TEXTS = {
    "oee.title": Text("OEE & losses", "OEE & Verluste"),
    "oee.numbers": Text("Key figures", "Kennzahlen"),
    "oee.states": Text("Machine states", "Maschinenzustände"),
    "oee.losses": Text("Where the time went", "Wo die Zeit blieb"),
    "oee.losses.note": Text("minutes, all machines", "Minuten, alle Maschinen"),
    "losses.step": Text("Loss", "Verlust"),
    "losses.share": Text("Share", "Anteil"),
    "oee.partial": Text(
        "Some losses cannot be computed because a machine has no ideal cycle time or no counter.",
        "Einige Verluste sind nicht berechenbar, weil eine Maschine keine Soll-Zykluszeit oder"
        " keinen Zähler hat.",
    ),
    "oee.coverage": Text(
        "The state of the machines was known for {value} of the planned time.",
        "Der Zustand der Maschinen war für {value} der geplanten Zeit bekannt.",
    ),
    "pareto.title": Text("Top reasons", "Häufigste Gründe"),
    "pareto.reason": Text("Reason", "Grund"),
    "pareto.stops": Text("stops", "Stopps"),
    "pareto.cumulative": Text("cum.", "kum."),
    "pareto.none": Text("No stop in this time range.", "Kein Stopp in diesem Zeitraum."),
    "hours.title": Text("Hour by hour", "Stunde für Stunde"),
    "hours.hour": Text("Hour", "Stunde"),
    "hours.produced": Text("Produced", "Produziert"),
    "hours.good": Text("Good", "Gut"),
    "hours.bad": Text("Scrap & rework", "Ausschuss & Nacharbeit"),
    "hours.target": Text("Possible at ideal cycle", "Möglich bei Soll-Zyklus"),
    "grid.title": Text("OEE by machine and shift", "OEE je Maschine und Schicht"),
    "compare.title": Text("Compare", "Vergleich"),
    "compare.group": Text("Group", "Gruppe"),
    "by.choose": Text("Group by", "Gruppieren nach"),
    "by.machine": Text("By machine", "Je Maschine"),
    "by.line": Text("By line", "Je Linie"),
    "by.shift": Text("By shift", "Je Schicht"),
    "by.day": Text("By day", "Je Tag"),
    "by.order": Text("By order", "Je Auftrag"),
    "by.material": Text("By material", "Je Material"),
    "stops.title": Text("Longest stops", "Längste Stopps"),
    "stops.running": Text("still standing", "steht noch"),
    "stops.minor": Text("Minor stop", "Kurzstopp"),
    "stops.all": Text("All reasons", "Alle Gründe"),
    "stops.of": Text("Stops: {reason}", "Stopps: {reason}"),
}

SHIFTS = 7
GROUPINGS = ("machine", "line", "shift", "day", "order", "material")


def show(ask: Ask) -> Mapping[str, Any]:
    by = ask.view.by if ask.view.by in GROUPINGS else "machine"
    model = oee_page(
        ask.platform.lake.query,
        ask.platform.plant,
        ask.scope.path,
        ask.range.start,
        ask.range.end,
        compare=(ask.before.start, ask.before.end) if ask.before else None,
        by=by,
        now=ask.now,
    )
    labels = reason_labels(ask.platform.plant)
    chosen = ask.view.sel.removeprefix("reason:") if ask.view.sel.startswith("reason:") else ""
    return {
        "model": model,
        "timeline_data": timeline_view("states", model.timeline, labels, ask.t, ask.f),
        "kinds": [kind for kind in KINDS if _shown(model, kind)],
        "peak": _peak(model),
        "by": by,
        "groupings": GROUPINGS,
        "empty": Empty() if _anything(model) else why_empty(ask),
        "partial": any(step.seconds is None for step in model.losses),
        "chosen": chosen,
        "chosen_label": _reason_label(ask, labels, chosen),
        "group_label": lambda row: row.name or row.group,
        "stops": [stop for stop in model.stops if not chosen or _about(stop, chosen)],
        "pareto_label": lambda row: _reason_label(ask, labels, row.reason),
        "grid_label": lambda column: (_short_shift(ask, column), ask.f.date(column.day)),
        "grid": _latest(model.grid),
        "stop_url": stop_url,
    }


def _anything(model: OeePage) -> bool:
    """Whether the range shows more than planned stops and silence."""
    kinds = {interval.kind for row in model.timeline.rows for interval in row.intervals}
    return bool(model.good.value) or bool(kinds - {"offline", "planned"})


def _peak(model: OeePage) -> float:
    """The highest bar or target of the hours: the scale of the chart."""
    heights = [height for hour in model.hours for height in (hour.produced, hour.target) if height]
    return max(heights, default=1.0)


def _shown(model: OeePage, kind: str) -> bool:
    return any(i.kind == kind for row in model.timeline.rows for i in row.intervals)


def _about(stop: Any, reason: str) -> bool:
    if reason == "unclassified":
        return bool(stop.unclassified_s)
    if reason == "minor_stops":
        return bool(stop.minor)
    return any(part.reason == reason for part in stop.parts)


def _reason_label(ask: Ask, labels: Mapping[str, Label], reason: str) -> str:
    """A reason people gave, ours for what needs none, else the state the machine named itself."""
    if f"reason.{reason}" in ask.t.texts:
        return ask.t(f"reason.{reason}")
    if reason in labels:
        return ask.t.label(labels[reason], reason)
    return state_label(ask.platform.plant, ask.t, reason)


def _short_shift(ask: Ask, column: ShiftSpan) -> str:
    key = f"shift.{column.shift}"
    return ask.t(key) if key in ask.t.texts else column.shift


def _latest(grid: ShiftGrid) -> ShiftGrid:
    """The last shifts: more columns are not readable."""
    return ShiftGrid(
        grid.columns[-SHIFTS:],
        tuple(type(row)(row.scope, row.name, row.cells[-SHIFTS:]) for row in grid.rows),
    )


OEE = Page("oee", "improve", "oee", show, TEXTS, default_range="shift")
