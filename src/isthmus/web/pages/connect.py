"""Connect: every source with its state, rate and last value, and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import urlencode

from isthmus.base.clock import HOUR, SECOND, Micros
from isthmus.data.latest import heard
from isthmus.data.views import EVER
from isthmus.model.masking import masked
from isthmus.model.plant import Plant, Source
from isthmus.model.rules.connections import ENDPOINT
from isthmus.web.page import Ask, Page
from isthmus.web.pages.connect_change import applied_words
from isthmus.web.pages.connect_texts import LIST
from isthmus.web.scope import Scope, machine_title

State = Literal["connected", "lost", "off", "untried", "draft"]


_BARE: Final = frozenset({"endpoint", "url", "host", "path"})
"""Keys whose values speak for themselves; a unit alone would be taken for a port."""


@dataclass(frozen=True)
class SourceRow:
    """One line of the list."""

    name: str
    kind: str
    address: str
    state: State
    detail: str
    """Why, and what to do; empty while all is well."""
    since: Micros | None
    rate: float | None
    heard: Micros | None
    tags: int
    machines: tuple[tuple[str, str], ...]
    """Asset path and title."""
    browse: str
    endpoint: str
    draft: bool = False


def show(ask: Ask) -> Mapping[str, Any]:
    plant = ask.platform.plant
    here = sources_at(plant, ask.scope)
    rates = _rates(ask)
    last = heard(ask.platform.lake.query, plant, now=ask.now)
    rows = [_row(ask, one, rates.get(one.name), last.get(one.name)) for one in here]
    sites = {one.site for one in plant.scope(ask.scope.path)}
    drafts = ask.platform.workbench.drafts().values()
    rows += [
        replace(_row(ask, one, None, None), state="draft", draft=True)
        for one in drafts
        if one.site in sites
    ]
    site = min(sites, key=list(plant.sites).index, default="")
    return {
        "rows": rows,
        "map_url": lambda path: f"/map/{path}",
        **applied_words(
            ask.params, f"/endpoint/{plant.enterprise}/{site}?{urlencode({'show': 'undo'})}&undo="
        ),
        "add": f"/endpoint/{plant.enterprise}/{site}",
    }


def endpoint_url(site: str, source: str) -> str:
    return f"/endpoint/{site}?{urlencode({'sel': source})}"


def sources_at(plant: Plant, scope: Scope) -> list[Source]:
    """Sources that machines of a place read from; of a site also those nobody reads yet."""
    inside = {machine.source for machine in plant.scope(scope.path)}
    sites = {machine.site for machine in plant.scope(scope.path)}
    whole = scope.level in {"enterprise", "site"}
    return [
        one
        for one in plant.sources.values()
        if one.name in inside or (whole and not one.machines and one.site in sites)
    ]


def browse_url(site: str, source: str, **more: str) -> str:
    return f"/browse/{site}?{urlencode({'sel': source} | more)}"


def address_of(source: Source) -> str:
    """What it reaches, as its kind says it; a password in a URL stays hidden."""
    keys = [key for key in ENDPOINT if getattr(source.spec, key, None) not in {None, ""}]
    told = {key: masked(str(getattr(source.spec, key))) for key in keys}
    if "host" in told and "port" in told:
        told["host"] += f":{told.pop('port')}"
    return " ".join(one if key in _BARE else f"{key} {one}" for key, one in told.items())


def _row(ask: Ask, source: Source, rate: float | None, last: Micros | None) -> SourceRow:
    plant = ask.platform.plant
    said = ask.platform.source_states().get(source.name)
    well = said is None or (said.connected and said.what in {"connected", "back"})
    return SourceRow(
        name=source.name,
        kind=source.spec.kind,
        address=address_of(source),
        state=_state(source, said),
        detail="" if well or said is None else said.detail,
        since=said.at if said else None,
        rate=rate,
        heard=last,
        tags=len(source.tags),
        machines=tuple((path, machine_title(plant.machines[path])) for path in source.machines),
        browse=browse_url(f"{plant.enterprise}/{source.site}", source.name),
        endpoint=endpoint_url(f"{plant.enterprise}/{source.site}", source.name),
    )


def _state(source: Source, said: Any) -> State:
    if not source.spec.enabled:
        return "off"
    if said is None:
        return "untried"
    return "connected" if said.connected else "lost"


_RATES: Final = """
    SELECT source, sum(received)::DOUBLE AS received FROM ledger GROUP BY source
"""


def _rates(ask: Ask) -> dict[str, float]:
    start = ask.now // HOUR * HOUR - HOUR
    found = ask.platform.lake.query(_RATES, ledger=(start, EVER[1])).to_pylist()
    seconds = (ask.now - start) / SECOND
    return {row["source"]: row["received"] / seconds for row in found}


CONNECT = Page(
    "connect", "integrate", "plug", show, LIST, live=True, compares=False, role="engineer",
    default_range="",
)  # fmt: skip
