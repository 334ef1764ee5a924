"""Browse: the address space of one source, searched, and live values of what is chosen."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from isthmus.web import places
from isthmus.web.api import PREFIX
from isthmus.web.api.connect import MOST_LISTENED
from isthmus.web.auth import User
from isthmus.web.gate import Requires
from isthmus.web.page import Ask, Page
from isthmus.web.pages.connect import address_of
from isthmus.web.pages.connect_texts import BROWSE, LISTED
from isthmus.web.pages.connect_upload import uploaded
from isthmus.web.scope import machine_title
from isthmus.web.shell import Web, ask, context
from isthmus.web.workbench import RefusedChangeError

_SPOKEN: Final = "browse."

Engineer = Annotated[User, Depends(Requires("engineer"))]
router = APIRouter()


def show(question: Ask) -> Mapping[str, Any]:
    return view(question, question.params)


def view(question: Ask, given: Mapping[str, str], refused: str = "") -> Mapping[str, Any]:
    """The page; `refused`: why the table that `given` has was not taken."""
    platform, name = question.platform, given.get("sel", "")
    bench = platform.workbench
    source = bench.source(name)
    if name and source is None:
        raise HTTPException(404)
    if source is None:
        return {"source": None, "island": {}, "machines": [], "address": ""}
    machines = [platform.plant.machines[path] for path in source.machines]
    taken = given.get("listed", "")
    return {
        "source": source,
        "address": address_of(source),
        "machines": [(one.path, machine_title(one)) for one in machines],
        "table": given.get("table", ""),
        "refused": refused,
        "listed": int(taken) if taken.isdecimal() and len(taken) < 7 else None,
        "asks_list": not (bench.browsable(source.name) or bench.nodes(source.name)),
        "island": {
            "api": f"{PREFIX}/connect/{source.name}",
            "csrf": question.user.csrf,
            "most": MOST_LISTENED,
            "language": question.f.language,
            "zone": question.f.timezone,
            "words": _words(question),
        },
    }


def _words(question: Ask) -> dict[str, str]:
    """Everything the island says, with its gaps still open."""
    return {
        key.removeprefix(_SPOKEN): getattr(text, question.t.language)
        for key, text in BROWSE.items()
    }


@router.post("/browse/{path:path}")
async def take_list(request: Request, path: str, user: Engineer) -> Response:
    """Tags from a table take the place of a crawl."""
    web: Web = request.app.state.web
    places.found(web.platform.plant, path)
    form, at = await uploaded(request)
    name = form.get("sel", "")
    if at is not None:
        return await run_in_threadpool(_refused, request, user, path, form, f"utf8 {at}")
    try:
        taken = web.platform.workbench.list_tags(name, form.get("table", ""))
    except RefusedChangeError as error:
        return await run_in_threadpool(_refused, request, user, path, form, str(error))
    return RedirectResponse(f"/browse/{path}?{urlencode({'sel': name, 'listed': taken})}", 303)


def _refused(
    request: Request, user: User, path: str, form: Mapping[str, str], why: str
) -> Response:
    web: Web = request.app.state.web
    scope = places.found(web.platform.plant, path)
    question = ask(web, request, user, BROWSE_PAGE, scope=scope, sel=form.get("sel", ""))
    question = replace(question, params=form)
    if why.startswith("utf8 "):
        why = question.t("machines.not_utf8", at=why.partition(" ")[2])
    words = context(web, request, BROWSE_PAGE, question) | dict(view(question, form, why))
    return web.templates.answer(BROWSE_PAGE.template, words, 409)


BROWSE_PAGE = Page(
    "browse", "integrate", "plug", show, {**BROWSE, **LISTED}, live=True, compares=False,
    role="engineer", default_range="", listed=False, crumbs_to="connect",
    template="connect_browse.html", router=router,
)  # fmt: skip
