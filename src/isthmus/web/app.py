"""The web application: every route, and what stands in front of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, Response

from isthmus.web import errors, places, sign_in, vendor
from isthmus.web.api import PREFIX, create_api
from isthmus.web.assets import Assets
from isthmus.web.auth import Accounts, Throttle, accounts_folder
from isthmus.web.gate import Gate, SignedIn, signed_in, verify_csrf
from isthmus.web.headers import SafeHeaders
from isthmus.web.i18n import merged
from isthmus.web.live import feed, permitted, serve
from isthmus.web.page import Page
from isthmus.web.pages import PAGES
from isthmus.web.pages.complete import heard_fields
from isthmus.web.pages.live import live_fields
from isthmus.web.platform import Platform
from isthmus.web.render import Templates
from isthmus.web.shell import Web, ask, context
from isthmus.web.texts import KPIS, PANELS, SHELL, SIGN_IN

HERE: Final = Path(__file__).parent
MOST_BODY: Final = 1_000_000
"""Bytes of a request; nothing a person or a program sends us is larger."""


def create_app(platform: Platform, accounts: Accounts | None = None) -> FastAPI:
    """The application for a running platform; `accounts` is shared with who prints the link."""
    vendor.require()
    accounts = accounts or Accounts(accounts_folder(platform.data))
    assets = Assets({"": HERE / "static", "islands/": HERE / "islands"})
    texts = merged(SHELL, PANELS, KPIS, SIGN_IN, *(page.texts for page in PAGES))
    web = Web(platform, accounts, assets, Templates(static=assets.url), texts, Throttle(), PAGES)
    app = FastAPI(
        title="Isthmus",
        version=platform.version,
        openapi_url=None,  # the API has its own
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        max_body_size=MOST_BODY,
        dependencies=[Depends(verify_csrf)],
        middleware=[
            Middleware(SafeHeaders),
            Middleware(GZipMiddleware, minimum_size=600, compresslevel=6),
            Middleware(Gate, accounts=accounts),
        ],
    )
    app.state.web = web
    _routes(app, web)
    return app


def _routes(app: FastAPI, web: Web) -> None:
    app.mount("/static", web.assets)
    app.mount(PREFIX, create_api(web))
    app.include_router(sign_in.router, include_in_schema=False)
    app.include_router(places.router, include_in_schema=False)
    app.add_api_route("/healthz", healthz, tags=["health"])
    app.add_api_route("/live/snapshot", snapshot, include_in_schema=False)
    app.add_api_websocket_route("/live", live)
    for page in web.pages:
        app.include_router(page.router, include_in_schema=False)
        _mount(app, page)
    errors.install(app)


def _mount(app: FastAPI, page: Page) -> None:
    """`/{page}` leads to the whole company, `/{page}/{scope}` shows a place."""

    def home(request: Request, _: SignedIn) -> Response:
        plant = request.app.state.web.platform.plant
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/{page.name}/{plant.enterprise}{query}", 303)

    def show(request: Request, path: str, user: SignedIn) -> Response:
        web: Web = request.app.state.web
        place, at, moment = path.rpartition("@")
        if at and not moment.isdecimal():
            raise HTTPException(404)
        scope = places.found(web.platform.plant, place if at else path)
        question = ask(web, request, user, page, scope=scope, sel=path if at else "")
        words = context(web, request, page, question)
        if not user.may(page.role):
            return web.templates.answer("permission.html", words, 403)
        template = page.template or f"{page.name}.html"
        return web.templates.answer(template, words | dict(page.show(question)))

    app.add_api_route(f"/{page.name}", home, include_in_schema=False)
    app.add_api_route(f"/{page.name}/{{path:path}}", show, include_in_schema=False)


def healthz(request: Request) -> dict[str, Any]:
    """Whether the platform is up: for whoever watches it, without a sign-in."""
    platform: Platform = request.app.state.web.platform
    return {"status": platform.health()["status"], "version": platform.version}


async def live(socket: WebSocket) -> None:
    web: Web = socket.app.state.web
    await serve(socket, web.platform.hub, signed_in(socket))


async def snapshot(request: Request, user: SignedIn, topics: str = "") -> Response:
    """The same frames by HTTP, for pages whose proxy breaks WebSockets."""
    hub = request.app.state.web.platform.hub
    wanted = [topic for topic in topics.split(",") if permitted(user, topic)]
    hub.rows_arrived()
    return Response(hub.snapshot(wanted), media_type="application/json")


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    web: Web = app.state.web
    hub = web.platform.hub
    feeds = [
        asyncio.create_task(feed(hub, lambda those: live_fields(web.platform, those))),
        asyncio.create_task(
            feed(hub, lambda those: heard_fields(web.platform, those), kind="platform", pause=2.0)
        ),
    ]
    try:
        yield
    finally:
        for feeding in feeds:
            feeding.cancel()
        await asyncio.gather(*feeds, return_exceptions=True)
