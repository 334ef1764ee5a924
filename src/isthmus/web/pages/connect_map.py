"""Map: proposals for a machine's fields, a person's decisions, the change, and applying it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from isthmus.field.connector import Unreachable
from isthmus.field.suggest import CONFIDENT, Proposal, Suggestion
from isthmus.model.plant import Plant, Source
from isthmus.web import places
from isthmus.web.auth import User
from isthmus.web.gate import Requires
from isthmus.web.page import Ask, Page
from isthmus.web.pages.connect import browse_url
from isthmus.web.pages.connect_change import applied_words, change_words
from isthmus.web.pages.connect_state import (
    BY_HAND,
    CODES,
    NONE,
    OTHER,
    TAG,
    State,
    decisions,
    target_of,
)
from isthmus.web.pages.connect_texts import MAP
from isthmus.web.scope import machine_title
from isthmus.web.shell import Web, ask, context
from isthmus.web.workbench import RefusedChangeError, Target

WATCH_SECONDS: Final = 10
_NOT_STATE: Final = frozenset({"csrf", "digest", "do", "watched", "applied", "undo"})

Engineer = Annotated[User, Depends(Requires("engineer"))]
router = APIRouter()


@dataclass(frozen=True)
class Option:
    """One tag a field may be fed from."""

    proposal: Proposal
    reasons: Sequence[tuple[str, bool]]
    """Text in the reader's language, and whether it speaks against."""
    chosen: bool


@dataclass(frozen=True)
class Wish:
    """One field that has no tag yet."""

    key: str
    unit: str
    doc: str
    options: Sequence[Option]
    none: bool
    by_hand: bool
    other: str
    names: Sequence[str]
    """Of an enum: what its codes may mean."""
    codes: str
    wrong: str

    @property
    def open(self) -> bool:
        """There is something to decide, or something was."""
        return bool(self.options) or not self.none


def show(question: Ask) -> Mapping[str, Any]:
    return view(question, question.params)


def view(question: Ask, state: State, failed: str = "") -> Mapping[str, Any]:
    """The page for a state of its address; `failed`: what was tried and refused just now."""
    plant = question.platform.plant
    bench = question.platform.workbench
    known = bench.source(state.get("sel", "")) is not None
    target = target_of(plant, question.scope, state, known=known)
    source = bench.source(target.source if target else state.get("sel", ""))
    words: dict[str, Any] = {
        "source": source,
        "target": target,
        "state": state,
        "wishes": (),
        "mapped": (),
        "draft": None,
        "failed": failed,
        "watched": _whole(state.get("watched", "")),
        "watch_seconds": WATCH_SECONDS,
        "looked": False,
        "under": state.get("under", ""),
        "blocks": list(plant.blocks),
        "hidden": [(key, text) for key, text in state.items() if _of_target(key)],
        "machines": _machines(plant, source.machines) if source else [],
        **applied_words(state, _undo_url(plant, source)),
    }
    if source is None:
        return words
    words |= _choices(question, plant, source.spec.kind, source.site)
    words["browse"] = browse_url(f"{plant.enterprise}/{source.site}", source.name)
    if target is not None:
        words |= _proposals(question, state, target, failed)
    return words


def _undo_url(plant: Plant, source: Source | None) -> str:
    """Changes are undone where its source is."""
    if source is None:
        return ""
    state = urlencode({"sel": source.name, "show": "undo"})
    return f"/endpoint/{plant.enterprise}/{source.site}?{state}&undo="


def _proposals(question: Ask, state: State, target: Target, failed: str) -> Mapping[str, Any]:
    bench, plant = question.platform.workbench, question.platform.plant
    index = bench.nodes(target.source)
    found: dict[str, Any] = {"looked": index is not None, "nodes": len(index or ())}
    try:
        proposed = bench.propose(target)
    except RefusedChangeError as error:
        return found | {"failed": failed or str(error)}
    given = decisions(state)
    found |= {
        "wishes": [_wish(question, plant, state, one, given.wrong) for one in proposed.suggestions],
        "mapped": proposed.mapped,
        "under": proposed.under,
    }
    if state.get("show") and not given.wrong:
        draft = bench.draft(target, given.choices)
        found |= change_words(draft, question.t.language)
    return found


def _wish(
    question: Ask, plant: Plant, state: State, one: Suggestion, wrong: Mapping[str, str]
) -> Wish:
    spec = plant.blocks[one.block].fields[one.field]
    given = state.get(f"{TAG}{one.key}")
    sure = one.best.tag if one.best is not None and one.best.score >= CONFIDENT else NONE
    # Proposed until a person has decided; from then on only what he chose.
    chosen = given if given is not None else (NONE if state.get("show") else sure)
    known = {each.tag for each in one.proposals}
    # A tag of the address bar that is no proposal was chosen by hand.
    by_hand = chosen == BY_HAND or (chosen != NONE and chosen not in known)
    other = chosen if by_hand and chosen != BY_HAND else state.get(f"{OTHER}{one.key}", "")
    system = plant.code_systems.get(spec.values or "")
    return Wish(
        key=one.key,
        unit=question.f.unit(spec.unit or ""),
        doc=spec.description.get(question.t.language, spec.doc),
        options=[_option(question, each, chosen) for each in one.proposals],
        none=chosen == NONE,
        by_hand=by_hand,
        other=other,
        names=list(system.values) if system is not None else [],
        codes=state.get(f"{CODES}{one.key}", ""),
        wrong=wrong.get(one.key, ""),
    )


def _option(question: Ask, one: Proposal, chosen: str) -> Option:
    reasons = [(reason.text(question.t.language), reason.against) for reason in one.reasons]
    return Option(one, reasons, one.tag == chosen)


def _choices(question: Ask, plant: Plant, kind: str, site: str) -> Mapping[str, Any]:
    """Lines of the source's site and types of its kind, for a machine that is to be added."""
    types = [name for name, one in plant.machine_types.items() if one.kind in {None, kind}]
    params = plant.machine_types[chosen].params if (chosen := _type(question)) in types else {}
    return {
        "lines_of": [f"{site}/{line}" for line in plant.sites[site].lines],
        "types": types,
        "params": list(params),
    }


def _type(question: Ask) -> str:
    return question.params.get("type", "")


def _machines(plant: Plant, paths: Sequence[str]) -> list[tuple[str, str]]:
    return [(path, machine_title(plant.machines[path])) for path in paths]


def _of_target(key: str) -> bool:
    return key in {"sel", "line", "name", "type", "newtype", "under"} or key.startswith(
        ("p.", "b.")
    )


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 6 else None


# Deciding ---------------------------------------------------------------------------------------


@router.post("/map/{path:path}")
async def decide(request: Request, path: str, user: Engineer) -> Response:
    """`do=watch` listens to the likeliest tags, `do=apply` writes what was shown and applies it."""
    web: Web = request.app.state.web
    form = {key: text for key, text in (await request.form()).items() if isinstance(text, str)}
    state = {key: text for key, text in form.items() if key not in _NOT_STATE}
    scope = places.found(web.platform.plant, path)
    bench = web.platform.workbench
    known = bench.source(state.get("sel", "")) is not None
    target = target_of(web.platform.plant, scope, state, known=known)
    if target is None:
        raise HTTPException(400)
    try:
        if form.get("do") == "watch":
            watched = await bench.watch(target, WATCH_SECONDS)
            return RedirectResponse(f"/map/{path}?{urlencode(state | {'watched': watched})}", 303)
        given = decisions(state)
        done = await bench.apply(target, given.choices, form.get("digest", ""))
    except (RefusedChangeError, Unreachable) as error:
        return await run_in_threadpool(_refused, request, user, path, state, str(error))
    machine = target.machine or f"{web.platform.plant.enterprise}/{target.line}/{target.name}"
    said = {"applied": "1"} | ({"undo": done.undo} if done.undo else {})
    return RedirectResponse(f"/map/{machine}?{urlencode(said)}", 303)


def _refused(request: Request, user: User, path: str, state: State, why: str) -> Response:
    web: Web = request.app.state.web
    scope = places.found(web.platform.plant, path)
    question = replace(
        ask(web, request, user, MAP_PAGE, scope=scope, sel=state.get("sel", "")), params=state
    )
    words = context(web, request, MAP_PAGE, question) | dict(view(question, state, why))
    return web.templates.answer(MAP_PAGE.template, words, 409)


MAP_PAGE = Page(
    "map", "integrate", "plug", show, MAP, live=True, compares=False, role="engineer",
    default_range="", listed=False, crumbs_to="connect", template="connect_map.html",
    router=router,
)  # fmt: skip
