"""The start page and the list of places: where the scope switcher gets its tree."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from isthmus.model.plant import Plant
from isthmus.web import vendor
from isthmus.web.gate import SignedIn
from isthmus.web.page import View
from isthmus.web.scope import Scope, scope_at, tree
from isthmus.web.shell import Web, bare

router = APIRouter()


def found(plant: Plant, path: str) -> Scope:
    scope = scope_at(plant, path)
    if scope is None:
        raise HTTPException(404)
    return scope


@router.get("/")
def start(_: SignedIn) -> Response:
    return RedirectResponse("/overview", 303)


@router.get("/favicon.ico")
def favicon(request: Request) -> Response:
    web: Web = request.app.state.web
    return RedirectResponse(web.assets.url("icon.svg"), 308)


@router.get("/scopes")
def scopes(
    request: Request,
    _: SignedIn,
    page: str = "overview",
    range_: Annotated[str, Query(alias="range")] = "",
) -> Response:
    """Every place with its URL on a page; the range goes with it."""
    web: Web = request.app.state.web
    known = next((entry for entry in web.pages if entry.name == page), None)
    if known is None:
        raise HTTPException(404)
    nodes = [
        (depth, node, View(page, node.path, range_, default_range=known.default_range).url())
        for depth, node in tree(web.platform.plant)
    ]
    return web.templates.answer("scopes.html", bare(web, request) | {"nodes": nodes})


@router.get("/about")
def about(request: Request, _: SignedIn) -> Response:
    """What this is made of."""
    web: Web = request.app.state.web
    words = {"version": web.platform.version, "packages": vendor.packages()}
    return web.templates.answer("about.html", bare(web, request) | words)
