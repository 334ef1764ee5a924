"""Signing in and out, the first account, and how this device wants to see things."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from itsdangerous import TimestampSigner
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from isthmus.web.auth import RefusedError
from isthmus.web.gate import COOKIE, local, read_session, set_session
from isthmus.web.i18n import as_language
from isthmus.web.shell import (
    DENSITIES,
    PREFERENCES,
    THEMES,
    Preferences,
    Web,
    bare,
    preferences,
)

router = APIRouter()
YEAR = 365 * 24 * 3600


@router.get("/login")
def login_form(request: Request, next: str = "/") -> Response:  # noqa: A002 - the URL's word
    return _login(request, next)


@router.post("/login")
def login(
    request: Request,
    name: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=1024)],
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    web: Web = request.app.state.web
    keys = (f"name {name.lower()}", f"from {request.client.host if request.client else ''}")
    words = bare(web, request)
    wait = web.throttle.wait(*keys)
    if wait > 0:
        return _login(request, next, words["t"]("login.wait", seconds=round(wait)), name, 429)
    key = web.accounts.sign_in(name, password)
    if key is None:
        web.throttle.failed(*keys)
        return _login(request, next, words["t"]("login.wrong"), name, 401)
    response = RedirectResponse(local(next), 303)
    set_session(response, web.accounts, key, secure=request.url.scheme == "https")
    return response


@router.post("/logout")
def logout(request: Request) -> Response:
    web: Web = request.app.state.web
    signer = TimestampSigner(web.accounts.secret("session"), salt=COOKIE)
    key = read_session(signer, request.headers.get("cookie", ""))
    if key:
        web.accounts.sign_out(key)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response


@router.get("/setup/{key}")
def setup_form(request: Request, key: str) -> Response:
    web: Web = request.app.state.web
    opened = web.accounts.setup_open(key)
    return _setup(request, "" if opened else "setup.over", opened=opened)


class FirstAccount(BaseModel):
    """What the set-up form sends."""

    name: str = Field(max_length=200)
    title: str = Field("", max_length=200)
    password: str = Field(max_length=1024)
    repeat: str = Field(max_length=1024)


@router.post("/setup/{key}")
def setup(request: Request, key: str, form: Annotated[FirstAccount, Form()]) -> Response:
    """Make the administrator and sign in with it."""
    web: Web = request.app.state.web
    said = {"name": form.name, "title": form.title}
    if form.password != form.repeat:
        return _setup(request, "setup.differ", opened=True, **said)
    try:
        web.accounts.complete_setup(key, form.name, form.title, form.password)
    except RefusedError as error:
        return _setup(request, error.key, opened=web.accounts.setup_open(key), **said)
    response = RedirectResponse("/", 303)
    session = web.accounts.sign_in(form.name, form.password)
    if session:
        set_session(response, web.accounts, session, secure=request.url.scheme == "https")
    return response


class Choice(BaseModel):
    """One button of the user menu: one of the four is filled."""

    back: str = "/"
    language: str = ""
    theme: str = ""
    density: str = ""
    shortcuts: str = ""


@router.post("/preferences")
def choose(request: Request, form: Annotated[Choice, Form()]) -> Response:
    """Kept on this device, because a shop-floor tablet is not an office."""
    web: Web = request.app.state.web
    now = preferences(request, web.platform.plant)
    chosen = Preferences(
        as_language(form.language) or now.language,
        form.theme if form.theme in THEMES else now.theme,
        form.density if form.density in DENSITIES else now.density,
        form.shortcuts if form.shortcuts in {"on", "off"} else now.shortcuts,
    )
    response = RedirectResponse(local(form.back), 303)
    response.set_cookie(
        PREFERENCES,
        chosen.cookie(),
        max_age=YEAR,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


def _login(
    request: Request, target: str, problem: str = "", name: str = "", status: int = 200
) -> Response:
    web: Web = request.app.state.web
    words = {"next": local(target), "problem": problem, "name": name, "first": web.accounts.empty()}
    return web.templates.answer("login.html", bare(web, request) | words, status)


def _setup(
    request: Request, problem: str, *, opened: bool, name: str = "", title: str = ""
) -> Response:
    web: Web = request.app.state.web
    words = bare(web, request)
    words |= {
        "problem": words["t"](problem) if problem else "",
        "open": opened,
        "name": name,
        "title": title,
    }
    status = 200 if not problem else 400 if opened else 410
    return web.templates.answer("setup.html", words, status)
