"""What every page shows around its own content: navigation, place, time range, user."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.requests import Request

from isthmus.base.clock import DAY, Micros
from isthmus.base.german import Language
from isthmus.model.plant import Plant
from isthmus.web.assets import Assets
from isthmus.web.auth import Accounts, Throttle, User
from isthmus.web.formats import Formats
from isthmus.web.i18n import Texts, Translator, as_language
from isthmus.web.page import Ask, Page, View
from isthmus.web.platform import Lake, Platform
from isthmus.web.render import Templates
from isthmus.web.scope import Scope, trail
from isthmus.web.timerange import (
    ROLLING,
    Neighbours,
    TimeRange,
    neighbours,
    recent_shifts,
    resolve,
    span_text,
)

PREFERENCES = "isthmus_preferences"
THEMES = ("auto", "light", "dark")
DENSITIES = ("compact", "normal", "touch")
COMPARISONS: Mapping[str, Micros] = {"week": 7 * DAY, "4w": 28 * DAY}
"""How far back; `prev` is the range's own length."""


@dataclass(frozen=True)
class Web:
    """What all routes need; `request.app.state.web`."""

    platform: Platform
    accounts: Accounts
    assets: Assets
    templates: Templates
    texts: Texts
    throttle: Throttle
    pages: tuple[Page, ...]


@dataclass(frozen=True)
class Preferences:
    """What a person chose on this device."""

    language: Language
    theme: str = "auto"
    density: str = "normal"
    shortcuts: str = "on"

    def cookie(self) -> str:
        return f"{self.language}.{self.theme}.{self.density}.{self.shortcuts}"


def preferences(request: Request, plant: Plant) -> Preferences:
    """From the cookie; anything it does not say is the plant's or the usual."""
    parts = [*request.cookies.get(PREFERENCES, "").split("."), "", "", "", ""]
    return Preferences(
        as_language(parts[0]) or as_language(plant.language) or "en",
        parts[1] if parts[1] in THEMES else "auto",
        parts[2] if parts[2] in DENSITIES else "normal",
        "off" if parts[3] == "off" else "on",
    )


def bare(web: Web, request: Request) -> dict[str, Any]:
    """Enough for pages without a shell: sign-in, errors."""
    chosen = preferences(request, web.platform.plant)
    now = web.platform.clock.now()
    return {
        "t": Translator(web.texts, chosen.language),
        "f": Formats(chosen.language, web.platform.plant.timezone),
        "preferences": chosen,
        "full": "hx-request" not in request.headers
        or "hx-history-restore-request" in request.headers,
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "now": now,
        "live_page": False,
    }


def ask(web: Web, request: Request, user: User, page: Page, *, scope: Scope, sel: str) -> Ask:
    """The request's question; RangeError if its range says nothing."""
    base = bare(web, request)
    view = _view(request, page, scope, sel)
    now: Micros = base["now"]
    chosen = (
        TimeRange("", "rolling", now - DAY, now)
        if page.live
        else resolve(view.range, scope, web.platform.lake, now)
    )
    return Ask(
        web.platform,
        user,
        base["t"],
        Formats(base["preferences"].language, scope.timezone),
        scope,
        view,
        chosen,
        _before(view.cmp, chosen),
        now,
        request.query_params,
    )


def context(web: Web, request: Request, page: Page, question: Ask) -> dict[str, Any]:
    """Everything the shell's templates use."""
    lake, scope = web.platform.lake, question.scope
    return bare(web, request) | {
        "f": question.f,
        "user": question.user,
        "page": page,
        "view": question.view,
        "scope": scope,
        "crumbs": [
            (
                node.title,
                question.view.url(
                    scope=node.path,
                    sel="",
                    page=page.crumbs_to or page.name,
                ),
            )
            for node in trail(web.platform.plant, scope)
        ],
        "navigation": _navigation(web, question),
        "range": question.range,
        "range_label": "" if page.live else range_label(question.t, question.f, question.range),
        "neighbours": Neighbours(None, None)
        if page.live
        else neighbours(question.range, scope, lake),
        "choices": None if page.live else _choices(question, lake),
        "live_page": page.live,
    }


def range_label(t: Translator, f: Formats, chosen: TimeRange) -> str:
    """The shift comes first: people say `early shift, Tue 17 Nov`."""
    if chosen.kind == "rolling":
        return t(f"range.{chosen.text}")
    if chosen.kind == "shift":
        span = f"{f.clock(chosen.start)}–{f.clock(chosen.end)}"
        return f"{shift_label(t, chosen.shift)} · {f.day(chosen.day)} · {span}"
    if chosen.kind == "day":
        return f.day(chosen.day)
    if chosen.kind == "week" and chosen.day:
        return f"{f.day(chosen.day)}–{f.day(chosen.day + timedelta(6))}"
    return f.span(chosen.start, chosen.end)


def shift_label(t: Translator, name: str) -> str:
    """`Early shift`, `Frühschicht`; a name we do not know stays as the model says it."""
    key = f"shift.{name}"
    return t("shift.label", name=t(key)) if key in t.texts else name


def _view(request: Request, page: Page, scope: Scope, sel: str) -> View:
    state = request.query_params
    chosen = state.get("range") or page.default_range
    if state.get("from") and state.get("to"):
        chosen = f"{state['from']}..{state['to']}"
    return View(
        page.name,
        scope.path,
        chosen,
        state.get("cmp", ""),
        state.get("by", ""),
        sel or state.get("sel", ""),
        page.default_range,
    )


def _before(cmp: str, chosen: TimeRange) -> TimeRange | None:
    length = chosen.end - chosen.start
    back = length if cmp == "prev" else COMPARISONS.get(cmp)
    if back is None:
        return None
    start, end = chosen.start - back, chosen.end - back
    return TimeRange(span_text(start, end), "span", start, end)


def _navigation(web: Web, question: Ask) -> list[tuple[str, list[tuple[Page, str]]]]:
    """Areas with their pages and URLs; range and comparison survive inside an area."""
    areas: dict[str, list[tuple[Page, str]]] = {}
    own = next(page for page in web.pages if page.name == question.view.page)
    for page in web.pages:
        if page.listed and question.user.may(page.role):
            keep = page.area == own.area and not page.live and not own.live
            view = question.view if keep else View(page.name, question.scope.path, "")
            url = view.url(
                page=page.name,
                default_range=page.default_range,
                sel="",
                by="",
                range=question.view.range if keep else page.default_range,
            )
            areas.setdefault(page.area, []).append((page, url))
    return list(areas.items())


@dataclass(frozen=True)
class Choices:
    """What the range picker offers, as (URL, label, chosen)."""

    shifts: list[tuple[str, str, bool]]
    rolling: list[tuple[str, str, bool]]
    days: list[tuple[str, str, bool]]


def _choices(question: Ask, lake: Lake) -> Choices:
    t, f, view = question.t, question.f, question.view
    today = f.local(question.now).date()
    shifts = recent_shifts(question.scope, lake, question.now)[-6:]

    def entry(text: str, label: str) -> tuple[str, str, bool]:
        return view.url(range=text, sel=""), label, question.range.text == text

    return Choices(
        [entry(shift.text, range_label(t, f, shift)) for shift in reversed(shifts)],
        [entry(text, t(f"range.{text}")) for text in ROLLING],
        [
            entry(f"{today}", t("range.today")),
            entry(f"{today - timedelta(1)}", t("range.yesterday")),
            entry(f"{today:%G-W%V}", t("range.week")),
        ],
    )
