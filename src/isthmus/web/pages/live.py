"""Live line: what stands now, since when and why; a reason in one tap."""

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.apps.oee.page import LiveMachine, live_page
from isthmus.apps.oee.page_live import live
from isthmus.web.i18n import Text, merged
from isthmus.web.page import Ask, Page
from isthmus.web.pages.reason import TEXTS as REASON_TEXTS
from isthmus.web.pages.reason import for_reasons, router
from isthmus.web.pages.words import live_words, reason_labels, state_label
from isthmus.web.platform import Platform
from isthmus.web.shell import shift_label
from isthmus.web.timeline import KINDS, stop_url, timeline_view

TEXTS = {
    "live.title": Text("Live line", "Linie live"),
    "live.now": Text("Now", "Jetzt"),
    "live.shift": Text("Running shift", "Laufende Schicht"),
    "live.no_shift": Text("No shift is planned now", "Zurzeit ist keine Schicht geplant"),
    "live.left": Text("{value} left", "noch {value}"),
    "live.pace": Text("Pace", "Tempo"),
    "live.parts": Text("{produced} of {target} parts", "{produced} von {target} Teilen"),
    "live.normal": Text("{n} machines running normally", "{n} Maschinen laufen normal"),
    "live.normal.one": Text("1 machine running normally", "1 Maschine läuft normal"),
    "live.all_normal": Text("All machines run normally.", "Alle Maschinen laufen normal."),
    "live.since": Text("in this state for", "in diesem Zustand seit"),
    "live.order": Text("Order {order}", "Auftrag {order}"),
    "live.no_order": Text("No order", "Kein Auftrag"),
    "live.late": Text("late by {value}", "zu spät um {value}"),
    "live.due": Text("due {value}", "fällig {value}"),
    "live.ready": Text("Ready", "Fertig"),
    "live.orders": Text("Orders", "Aufträge"),
    "live.earlier": Text("{n} earlier stops without reason", "{n} frühere Stopps ohne Grund"),
    "live.earlier.one": Text("1 earlier stop without reason", "1 früherer Stopp ohne Grund"),
    "live.timeline": Text("Last 8 hours", "Letzte 8 Stunden"),
    "live.moved": Text("machines would move in this list.", "Maschinen würden den Platz wechseln."),
    "live.apply": Text("Sort again", "Neu sortieren"),
}

Fields = Mapping[str, Any]


def show(ask: Ask) -> Mapping[str, Any]:
    model = live_page(ask.platform.lake.query, ask.platform.plant, ask.scope.path, now=ask.now)
    plant = ask.platform.plant
    return {
        "model": model,
        "first": [machine for machine in model.machines if machine.abnormal],
        "normal": [machine for machine in model.machines if not machine.abnormal],
        "orders": [machine for machine in model.machines if machine.order],
        "timeline_data": timeline_view(
            "states", model.timeline, reason_labels(plant), ask.t, ask.f, follow=True
        ),
        "kinds": KINDS,
        "words": live_words(plant, ask.t),
        "state": lambda machine: state_label(plant, ask.t, machine.state or machine.kind),
        "shift": shift_label(ask.t, model.shift.shift) if model.shift else "",
        "stop_url": stop_url,
        **for_reasons(ask),
    }


def live_fields(platform: Platform, machines: Sequence[str]) -> list[tuple[str, Fields]]:
    """What the hub publishes: one topic per machine that somebody watches."""
    known = [machine for machine in machines if machine in platform.plant.machines]
    if not known:
        return []
    scope = posixpath.commonpath(known)
    now = platform.clock.now()
    found = live(platform.lake.query, platform.plant, scope, now=now, asking=False)
    return [
        (f"machine:{machine.machine}", _fields(machine))
        for machine in found
        if machine.machine in known
    ]


def _fields(machine: LiveMachine) -> Fields:
    return {
        "kind": machine.kind,
        "state": machine.state or machine.kind,
        "since": machine.since // 1000,
        "stop": machine.stop,
        "produced": machine.produced,
        "target": machine.target,
        "progress": machine.order.progress if machine.order else None,
        "reason": machine.reason,
    }


LIVE = Page(
    "live",
    "operate",
    "live",
    show,
    merged(TEXTS, REASON_TEXTS),
    default_range="",
    live=True,
    compares=False,
    router=router,
)
