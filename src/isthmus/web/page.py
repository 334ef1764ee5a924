"""What a page is: a name, a place in the navigation, a function from a question to its view."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter

from isthmus.base.clock import Micros
from isthmus.web.auth import Role, User
from isthmus.web.formats import Formats
from isthmus.web.i18n import Texts, Translator
from isthmus.web.platform import Platform
from isthmus.web.scope import Level, Scope
from isthmus.web.timerange import TimeRange

Area = Literal["operate", "improve", "integrate"]


@dataclass(frozen=True)
class View:
    """All view state, and nothing else is: a link reproduces the picture."""

    page: str
    scope: str
    range: str
    cmp: str = ""
    by: str = ""
    sel: str = ""
    default_range: str = "24h"

    def url(self, **changes: str) -> str:
        """The URL of this view with some of its state changed."""
        view = replace(self, **changes)
        state = {"range": view.range, "cmp": view.cmp, "by": view.by, "sel": view.sel}
        if view.range == view.default_range:
            del state["range"]
        query = urlencode({key: value for key, value in state.items() if value}, safe=":/,@")
        path = f"/{view.page}/{quote(view.scope)}"
        return f"{path}?{query}" if query else path


@dataclass(frozen=True)
class Ask:
    """One request, resolved: who asks, where in the company, which time."""

    platform: Platform
    user: User
    t: Translator
    f: Formats
    scope: Scope
    view: View
    range: TimeRange
    before: TimeRange | None
    """The range to compare with."""
    now: Micros
    params: Mapping[str, str]
    """The rest of the query, for what is no state of the view."""


@dataclass(frozen=True)
class Page:
    """One entry of the navigation."""

    name: str
    """Also its URL, `/{name}/{scope}`, and its title, message `{name}.title`."""
    area: Area
    icon: str
    show: Callable[[Ask], Mapping[str, Any]]
    """What the template gets besides the shell's own words; runs in a thread."""
    texts: Texts
    default_range: str = "24h"
    live: bool = False
    """No range to choose: the page shows now."""
    compares: bool = True
    deepest: Level = "machine"
    """A deeper scope leads to this level."""
    role: Role = "viewer"
    listed: bool = True
    """Whether the navigation shows it."""
    crumbs_to: str = ""
    """The page the breadcrumb leads to; empty: this one, one level up."""
    template: str = ""
    """In `templates/`; empty: `{name}.html`."""
    router: APIRouter = field(default_factory=APIRouter)
    """Further routes of this page: data for islands, writes."""
