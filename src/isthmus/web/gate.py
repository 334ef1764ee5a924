"""The gate in front of everything: who asks, may they, and did the request start on our pages.

Closed by default: a new route needs a sign-in unless its path is in `OPEN`.
"""

import hmac
from http.cookies import CookieError, SimpleCookie
from typing import Annotated, Final
from urllib.parse import quote, urlsplit

from fastapi import Depends, HTTPException, Request
from itsdangerous import BadSignature, TimestampSigner
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.base.german import said
from isthmus.web.auth import SESSION_SECONDS, Accounts, Role, User
from isthmus.web.i18n import language_of

COOKIE: Final = "isthmus_session"
OPEN: Final = ("/healthz", "/login", "/setup/", "/static/", "/favicon.ico", "/preferences")
"""Paths (or beginnings, with a slash at the end) that need no sign-in."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    """ASGI: puts the `User` (or None) into `state.user`, turns everybody else away."""

    def __init__(self, app: ASGIApp, accounts: Accounts) -> None:
        self._app = app
        self._accounts = accounts
        self._signer = TimestampSigner(accounts.secret("session"), salt=COOKIE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        user = await self._user(scope["path"], headers)
        scope.setdefault("state", {})["user"] = user
        if user is None and not _open(scope["path"]):
            await _refusal(scope, headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _user(self, path: str, headers: Headers) -> User | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and path.startswith("/api/"):
            return await run_in_threadpool(self._accounts.token, token)
        key = self.session_key(headers.get("cookie", ""))
        return await run_in_threadpool(self._accounts.session, key) if key else None

    def session_key(self, cookies: str) -> str | None:
        """The session key of a request's cookies, if we signed it and it is not too old."""
        return read_session(self._signer, cookies)


def read_session(signer: TimestampSigner, cookies: str) -> str | None:
    try:
        morsel = SimpleCookie(cookies).get(COOKIE)
        return signer.unsign(morsel.value, int(SESSION_SECONDS)).decode() if morsel else None
    except (BadSignature, CookieError):
        return None


def set_session(response: Response, accounts: Accounts, key: str, *, secure: bool) -> None:
    """`secure` where the page itself came over HTTPS: plants often run plain HTTP inside."""
    value = TimestampSigner(accounts.secret("session"), salt=COOKIE).sign(key).decode()
    response.set_cookie(
        COOKIE, value, max_age=int(SESSION_SECONDS), httponly=True, samesite="lax", secure=secure
    )


def local(url: str) -> str:
    """`url` if it is a page of ours: a form must not send people elsewhere."""
    return url if url.startswith("/") and not url.startswith(("//", "/\\")) else "/"


def same_origin(headers: Headers) -> bool:
    """Whether the request started on a page of this host; no `Origin` means no browser sent it."""
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


async def verify_csrf(connection: HTTPConnection) -> None:
    """For every route: a write must start on our own page and carry the session's token."""
    if connection.scope["type"] != "http" or connection.scope["method"] in SAFE_METHODS:
        return
    if not same_origin(connection.headers):
        raise HTTPException(403, "This request did not start on a page of this platform.")
    user: User | None = connection.scope["state"]["user"]
    if user is None or not user.csrf:
        return
    sent = connection.headers.get("x-csrf-token") or await _form_token(connection)
    if not hmac.compare_digest(sent.encode(), user.csrf.encode()):
        raise HTTPException(403, "The page was too old. Reload it and try again.")


async def _form_token(connection: HTTPConnection) -> str:
    if not isinstance(connection, Request):
        return ""
    kind = connection.headers.get("content-type", "").partition(";")[0]
    if kind not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return ""
    token = (await connection.form()).get("csrf")
    return token if isinstance(token, str) else ""


def signed_in(request: HTTPConnection) -> User:
    """The user of this request; the gate has let only users through."""
    user: User | None = request.scope["state"]["user"]
    if user is None:
        raise HTTPException(401, "Please sign in.")
    return user


SignedIn = Annotated[User, Depends(signed_in)]


class Requires:
    """Dependency: `Depends(Requires("engineer"))`."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, user: SignedIn) -> User:
        if not user.may(self.role):
            raise HTTPException(403, f"This needs the role {self.role}; yours is {user.role}.")
        return user


def _open(path: str) -> bool:
    return any(path.startswith(place) if place.endswith("/") else path == place for place in OPEN)


def _refusal(scope: Scope, headers: Headers) -> ASGIApp:
    if scope["type"] == "websocket":
        return _close_socket
    if scope["path"].startswith("/api/"):
        language = language_of(HTTPConnection(scope))
        words = {
            "code": "unauthorized",
            "message": said("no token and no session, or an old one", language),
            "hint": said("send `Authorization: Bearer ist_…`, or sign in", language),
        }
        return JSONResponse({"error": words}, 401, {"WWW-Authenticate": "Bearer"})
    query = scope["query_string"].decode("latin-1")
    target = quote(scope["path"] + (f"?{query}" if query else ""), safe="/")
    if "hx-request" in headers:
        return Response(status_code=401, headers={"HX-Redirect": f"/login?next={target}"})
    return RedirectResponse(f"/login?next={target}", 303)


async def _close_socket(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 4401, "reason": "sign in"})
