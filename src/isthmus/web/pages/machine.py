"""One machine: what it does now, what it did, what it measures; above it, a list to choose from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from isthmus.apps.oee.memory import once
from isthmus.apps.oee.page_live import live
from isthmus.apps.oee.page_oee import timeline
from isthmus.apps.oee.page_overview import present
from isthmus.apps.oee.timeline import states
from isthmus.base.clock import Micros, iso
from isthmus.data.latest import Latest, heard, latest
from isthmus.model.plant import Machine
from isthmus.web.api import PREFIX
from isthmus.web.i18n import Text
from isthmus.web.page import Ask, Page
from isthmus.web.pages.words import live_words, reason_labels, state_label
from isthmus.web.scope import machine_title
from isthmus.web.timeline import KINDS, stop_url, timeline_view

TEXTS = {
    "machine.title": Text("Machine", "Maschine"),
    "machine.choose": Text("Machines of this place", "Maschinen dieses Ortes"),
    "machine.now": Text("Now", "Jetzt"),
    "machine.state": Text("State", "Zustand"),
    "machine.order": Text("Order", "Auftrag"),
    "machine.no_order": Text("No order", "Kein Auftrag"),
    "machine.shift": Text("This shift", "Diese Schicht"),
    "machine.no_shift": Text("No shift is planned now", "Zurzeit ist keine Schicht geplant"),
    "machine.parts": Text("{produced} of {target} parts", "{produced} von {target} Teilen"),
    "machine.source": Text("Source", "Quelle"),
    "machine.connected": Text("connected", "verbunden"),
    "machine.lost": Text("not connected", "nicht verbunden"),
    "machine.untried": Text("not tried yet", "noch nicht versucht"),
    "machine.last": Text("last value", "letzter Wert"),
    "machine.states": Text("What it did", "Was sie tat"),
    "machine.trends": Text("What it measures", "Was sie misst"),
    "machine.zoom": Text(
        "Drag to look closer, double-click for the whole range.",
        "Ziehen vergrößert, Doppelklick zeigt den ganzen Zeitraum.",
    ),
    "machine.no_trends": Text(
        "This machine sends no numbers.", "Diese Maschine sendet keine Zahlen."
    ),
    "machine.values": Text("Latest values", "Letzte Werte"),
    "machine.field": Text("Field", "Feld"),
    "machine.value": Text("Value", "Wert"),
    "machine.quality": Text("Quality", "Qualität"),
    "machine.age": Text("Age", "Alter"),
    "machine.never": Text("nothing yet", "noch nichts"),
    "machine.stale": Text("source silent", "Quelle stumm"),
    "machine.increment": Text("last increment", "letzter Zuwachs"),
    "quality.0": Text("good", "gut"),
    "quality.1": Text("uncertain", "unsicher"),
    "quality.2": Text("bad", "schlecht"),
    "machine.stops": Text("Stops and losses", "Stopps und Verluste"),
    "machine.complete": Text("Is it complete?", "Ist alles da?"),
    "machine.live": Text("Live line", "Linie live"),
}

TREND_POINTS: Final = 1200


def show(ask: Ask) -> Mapping[str, Any]:
    plant = ask.platform.plant
    common: dict[str, Any] = {
        "words": live_words(plant, ask.t),
        "state": lambda one: state_label(plant, ask.t, one.state or one.kind),
        "label": lambda one: ask.t.label(one.label, one.reason),
        "stop_url": stop_url,
    }
    machine = plant.machines.get(ask.scope.path)
    return {**common, **(_one(ask, machine) if machine else _several(ask))}


@dataclass(frozen=True)
class Card:
    """One machine to choose."""

    machine: Machine
    name: str
    kind: str
    state: str | None
    since: Micros


def _several(ask: Ask) -> Mapping[str, Any]:
    plant, scope = ask.platform.plant, ask.scope.path
    now = present(ask.platform.lake.query, plant, scope, now=ask.now)
    cards = [
        Card(
            machine,
            machine_title(machine),
            now[machine.path]["kind"],
            now[machine.path]["state"] or None,
            now[machine.path]["stretch_s"],
        )
        for machine in plant.scope(scope)
        if machine.path in now
    ]
    return {"machine": None, "cards": cards}


def _one(ask: Ask, machine: Machine) -> Mapping[str, Any]:
    platform, plant = ask.platform, ask.platform.plant
    query, start, end = once(platform.lake.query), ask.range.start, ask.range.end
    now = live(query, plant, machine.path, now=ask.now)
    intervals = states(query, plant, machine.path, start, end, now=ask.now)
    line = timeline(query, plant, machine.path, start, end, intervals)
    return {
        "machine": machine,
        "name": machine_title(machine),
        "now_": now[0] if now else None,
        "event": platform.source_states().get(machine.source),
        "heard": heard(query, plant, now=ask.now).get(machine.source),
        "values": [_value(ask, one) for one in latest(query, plant, machine, now=ask.now)],
        "timeline_data": timeline_view("states", line, reason_labels(plant), ask.t, ask.f),
        "kinds": KINDS,
        "empty": not intervals,
        "trends": _trends(ask, machine),
    }


def _value(ask: Ask, one: Latest) -> Mapping[str, Any]:
    return {
        "name": f"{one.block}.{one.field}",
        "unit": ask.f.unit(one.unit),
        "shown": _shown(ask, one),
        "at": one.at,
        "quality": one.quality,
        "stale": one.stale,
        "counter": one.type == "counter",
    }


def _shown(ask: Ask, one: Latest) -> str:
    if one.at is None:
        return ask.f.number(None)
    if one.type == "enum":
        return state_label(ask.platform.plant, ask.t, one.text or "")
    if one.number is None:
        return one.text or ""
    if one.type == "counter":
        return ask.f.signed(one.number)
    return ask.f.number(one.number, _digits(one.number))


def _digits(number: float) -> int:
    """Four significant digits are enough to read, and integers stay what they are."""
    if number.is_integer() or abs(number) >= 1000:
        return 0
    return 1 if abs(number) >= 100 else 2 if abs(number) >= 10 else 3


def _trends(ask: Ask, machine: Machine) -> Mapping[str, Any]:
    """Where the island gets each line; it asks again for a closer look."""
    start, end = ask.range.start, min(ask.range.end, ask.now)
    fields = [one for one in machine.maps if one.type in {"number", "integer"}]
    blocks = ask.platform.plant.blocks
    return {
        "zone": ask.f.timezone,
        "language": ask.f.language,
        "range": [start / 1e6, end / 1e6],
        "series": [
            {
                "label": f"{one.block}.{one.field}",
                "unit": ask.f.unit(blocks[one.block].fields[one.field].unit or ""),
                "src": _series_url(machine.path, one.block, one.field),
                "from": iso(start),
                "to": iso(end),
            }
            for one in fields
        ]
        if start < end
        else [],
    }


def _series_url(machine: str, block: str, field: str) -> str:
    query = urlencode({"block": block, "field": field, "points": TREND_POINTS})
    return f"{PREFIX}/machines/{quote(machine)}/series?{query}"


MACHINE = Page("machine", "operate", "machine", show, TEXTS, default_range="8h", compares=False)
