"""Endpoint: a new source or one of the model: what it reaches, its security, a test of a minute.

Changing, switching off and removing one of the model is `connect_source`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from isthmus.field.registry import SOURCE_KINDS
from isthmus.web import places
from isthmus.web.auth import User
from isthmus.web.formats import Formats
from isthmus.web.gate import Requires
from isthmus.web.i18n import Translator
from isthmus.web.page import Ask, Page
from isthmus.web.pages.connect import address_of, browse_url
from isthmus.web.pages.connect_form import fields_of
from isthmus.web.pages.connect_form_view import FormView, form_again, form_of
from isthmus.web.pages.connect_source import (
    UnreadError,
    current,
    read,
    revision_of,
    rewrite,
    source_words,
)
from isthmus.web.pages.connect_source_texts import SOURCE
from isthmus.web.pages.connect_texts import ENDPOINT
from isthmus.web.shell import Web, ask, bare, context
from isthmus.web.workbench import RefusedChangeError, Trial, Workbench

TEST_SECONDS: Final = 60
GOOD: Final = 0
"""The two highest bits of a StatusCode."""

Engineer = Annotated[User, Depends(Requires("engineer"))]
router = APIRouter()
Form = Mapping[str, str]


def show(question: Ask) -> Mapping[str, Any]:
    return view(question, question.params)


def view(
    question: Ask, given: Form, refused: str = "", form: FormView | None = None
) -> Mapping[str, Any]:
    """The page; `form` is what a person wrote and what could not be kept, if `refused`."""
    bench, plant = question.platform.workbench, question.platform.plant
    name = given.get("sel", "")
    source = bench.source(name) if name else None
    if name and source is None and not refused:
        raise HTTPException(404)
    kind = source.spec.kind if source else given.get("kind", "")
    kind = kind if kind in SOURCE_KINDS else ""
    draft = source is None or name in bench.drafts()
    site = f"{plant.enterprise}/{source.site}" if source else question.scope.path
    words = {
        "kinds": sorted(SOURCE_KINDS),
        "kind": kind,
        "form": form,
        "name": given.get("name", name),
        "source": source,
        "is_draft": draft,
        "address": address_of(source) if source else "",
        "browse": browse_url(site, source.name) if source else "",
        "map": f"/map/{site}?{urlencode({'sel': name})}",
        "ways": bench.ways(name) if source and kind == "opcua" else None,
        "used": _used(source),
        "refused": refused,
        **trial_words(bench, name if source else "", question.t),
    }
    if kind and draft and form is None:
        words["form"] = form_of(fields_of(SOURCE_KINDS[kind]), bench.entry(name))
    return words | source_words(question, given, None if draft else source, form)


def trial_words(bench: Workbench, name: str, t: Translator) -> dict[str, Any]:
    trial = bench.trial(name) if name else None
    tone, verdict = _verdict(trial, t) if trial is not None and not trial.running else ("", "")
    return {
        "trial": trial,
        "tone": tone,
        "verdict": verdict,
        "test_seconds": TEST_SECONDS,
        "gone": bool(name) and bench.source(name) is None,
    }


def _used(source: Any) -> tuple[str, str]:
    security = getattr(source.spec, "security", "") if source else ""
    policy = getattr(source.spec, "policy", "") if security not in {"", "none"} else "None"
    return security, policy


def _verdict(trial: Trial, t: Translator) -> tuple[str, str]:
    """How it is meant, and the sentence."""
    if trial.trouble:
        return "crit", t("endpoint.fails")
    if not trial.asked:
        return "warn", t("endpoint.answers")
    bad = sum(one.quality >> 30 != GOOD or bool(one.problem) for one in trial.tags)
    heard, seconds = len(trial.tags), round(trial.elapsed)
    numbers = {"heard": heard, "asked": trial.asked, "seconds": seconds}
    if bad or heard < trial.asked:
        return "warn", t("endpoint.doubtful", bad=bad, **numbers)
    return "good", t("endpoint.works", **numbers)


# What a person does -----------------------------------------------------------------------------


@router.post("/endpoint/{path:path}")
async def act(request: Request, path: str, user: Engineer) -> Response:
    web: Web = request.app.state.web
    form = {key: text for key, text in (await request.form()).items() if isinstance(text, str)}
    places.found(web.platform.plant, path)
    try:
        return RedirectResponse(await _done(web, path, form), 303)
    except RefusedChangeError as error:
        return await run_in_threadpool(_refused, request, user, path, form, error)


async def _done(web: Web, path: str, form: Form) -> str:
    """Where a person goes on."""
    bench, name = web.platform.workbench, form.get("sel", "")
    match form.get("do", "").split(" "):
        case ["keep"]:
            name = _kept(bench, path, form)
        case ["show" | "try" as then]:
            await run_in_threadpool(rewrite, bench, name, form)
            if then == "show":
                return _url(path, sel=name, show="change")
            bench.begin_trial(name, TEST_SECONDS, changed=True)
        case ["forget"]:
            bench.forget(name)
        case ["apply"]:
            return await _applied(web, path, form)
        case ["use", security, policy]:
            return await run_in_threadpool(_used_way, bench, path, name, (security, policy))
        case ["trust", *fingerprint]:
            await bench.trust(name, " ".join(fingerprint))
        case ["discard"]:
            await bench.discard(name)
            return f"/connect/{path}"
        case _:
            await _looked(bench, name, form)
    return _url(path, sel=name)


async def _looked(bench: Workbench, name: str, form: Form) -> None:
    """What changes neither draft nor model."""
    match form.get("do", ""):
        case "ask":
            await bench.ask_ways(name)
        case "make":
            await run_in_threadpool(bench.make_certificate)
            await bench.ask_ways(name)
        case "test":
            bench.begin_trial(name, TEST_SECONDS)
        case _:
            raise HTTPException(400)


async def _applied(web: Web, path: str, form: Form) -> str:
    """Written; back to the source or its draft, or to the list if both are gone."""
    bench, name = web.platform.workbench, form.get("sel", "")
    revision = revision_of(bench, name, form)
    if revision is None:
        raise HTTPException(400)
    done = await bench.revise(revision, form.get("digest", ""))
    said = {"applied": "1"} | ({"undo": done.undo} if done.undo else {})
    if bench.source(name) is None:
        return f"/connect/{path}?{urlencode(said)}"
    return _url(path, sel=name, **said)


def _url(path: str, **state: str) -> str:
    anchor = "#change" if state.get("show") else ""
    return f"/endpoint/{path}?{urlencode(state)}{anchor}"


def _kept(bench: Workbench, path: str, form: Form) -> str:
    kind, parts = form.get("kind", ""), path.split("/")
    if kind not in SOURCE_KINDS or len(parts) < 2:
        raise HTTPException(400)
    name = form.get("sel") or form.get("name", "").strip()
    bench.keep(parts[1], name, {"kind": kind} | read(kind, form, bench.entry(name)))
    return name


def _used_way(bench: Workbench, path: str, name: str, way: tuple[str, str]) -> str:
    """Of a draft it holds at once; of a source of the model it is a change to be looked at."""
    security, policy = way
    source = bench.source(name)
    if source is None:
        raise RefusedChangeError(f"there is no source `{name}`")
    there = bench.entry(name) if name in bench.drafts() else current(bench, name)
    entry = dict(there) | {"security": security}
    entry |= {"policy": policy} if security != "none" else {}
    if name in bench.drafts():
        bench.keep(source.site, name, entry)
        return _url(path, sel=name)
    bench.rewrite(name, entry)
    return _url(path, sel=name, show="change")


def _refused(
    request: Request, user: User, path: str, form: Form, why: RefusedChangeError
) -> Response:
    web: Web = request.app.state.web
    scope = places.found(web.platform.plant, path)
    question = ask(web, request, user, ENDPOINT_PAGE, scope=scope, sel=form.get("sel", ""))
    question = replace(question, params=form)
    shown, kind = None, form.get("kind", "")
    if form.get("do") in {"keep", "show", "try"} and kind in SOURCE_KINDS:
        unread = why.wrong if isinstance(why, UnreadError) else {}
        fields = fields_of(SOURCE_KINDS[kind])
        shown = form_again(fields, form, question.t, problems=why.problems, unread=unread)
    said = question.t("endpoint.look") if shown is not None and shown.said else str(why)
    words = context(web, request, ENDPOINT_PAGE, question)
    words |= dict(view(question, form, said, shown))
    return web.templates.answer(ENDPOINT_PAGE.template, words, 409)


@router.get("/endpoint-test/{name}")
def progress(request: Request, name: str, _: Engineer) -> Response:
    """The panel of a running test: asked again by the page every second, until it ends.

    It also ends when the draft is discarded, here or on another screen.
    """
    web: Web = request.app.state.web
    bench = web.platform.workbench
    words = bare(web, request)
    words |= trial_words(bench, name, words["t"]) | {"sel": name}
    words["is_draft"] = name in bench.drafts()
    words["f"] = Formats(words["t"].language, web.platform.plant.timezone)
    return web.templates.answer("connect_test.html", words)


ENDPOINT_PAGE = Page(
    "endpoint", "integrate", "plug", show, {**ENDPOINT, **SOURCE}, live=True, compares=False,
    role="engineer", default_range="", listed=False, crumbs_to="connect",
    template="connect_endpoint.html", router=router,
)  # fmt: skip
