"""Errors of the API: a stable code, what is wrong, and what to do next."""

import logging
import secrets
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.base.german import Language, said
from isthmus.web.i18n import language_of

LOG = logging.getLogger("isthmus.web")


class ApiError(Exception):
    """Raised by endpoints; becomes the answer."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint

    def answer(self, language: Language) -> JSONResponse:
        return answered(self.status, self.code, self.message, self.hint, language)


class Problem(BaseModel):
    """What is wrong."""

    code: str = Field(description="Stable.", examples=["unknown_scope"])
    message: str = Field(
        description="In German where the request asks for it.",
        examples=["there is no `acme/hamburq` in this company"],
    )
    hint: str = Field(description="May be empty.", examples=["did you mean `acme/hamburg`?"])


class Answer(BaseModel):
    """The body of every error."""

    error: Problem


_WORDS: Final = {
    400: ("bad_request", "The request cannot be answered as it is."),
    401: ("unauthorized", "No token and no session, or an old one."),
    403: ("forbidden", "Your role may not do this."),
    404: ("not_found", "There is no such thing."),
    405: ("method_not_allowed", "Not with this method."),
    413: ("too_large", "The body is too large."),
    415: ("not_json", "Send JSON."),
    422: ("invalid", "A parameter or the body is not what it must be."),
    503: ("busy", "Too much at once; try again."),
}
DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Answer, "description": _WORDS[status][1]} for status in (400, 401, 403, 422)
}
NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Answer, "description": _WORDS[404][1]}
}
_HINTS: Final = {
    401: "send `Authorization: Bearer ist_…`; `isthmus token create` makes one",
    403: "an administrator can give you the role for it",
    404: "`/api/v1/openapi.json` lists all paths",
}


def answered(status: int, code: str, message: str, hint: str, language: Language) -> JSONResponse:
    """Sentences are found in English; what is not ours, such as words of a driver, stays so."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    words = {"message": said(message, language), "hint": said(hint, language)}
    return JSONResponse({"error": {"code": code, **words}}, status, headers)


class SmallBodies:
    """ASGI: a body that says it is too large is refused before it is read."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http":
            length = Headers(scope=scope).get("content-length", "0")
            if not length.isdigit() or int(length) > self._most:
                said_ = f"a body of {length[:20]} bytes; {self._most} at most"
                language = language_of(HTTPConnection(scope))
                app = answered(413, "too_large", said_, "", language)
        await app(scope, receive, send)


def install(api: FastAPI) -> None:
    api.add_exception_handler(ApiError, _ours)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(Exception, _failed)


async def _ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise TypeError(type(error))
    return error.answer(language_of(request))


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(type(error))
    status = error.status_code
    code = _WORDS.get(status, ("error", ""))[0]
    return answered(status, code, str(error.detail), _HINTS.get(status, ""), language_of(request))


async def _invalid(request: Request, error: Exception) -> Response:
    """All findings in one sentence each; values are not repeated, they may be long."""
    if not isinstance(error, RequestValidationError):
        raise TypeError(type(error))
    language = language_of(request)
    found = [f"`{_place(one['loc'])}`: {_lower(one['msg'])}" for one in error.errors()]
    message = "; ".join(said(one, language) for one in found)
    return answered(
        422, "invalid", message, "`/api/v1/openapi.json` says what is expected", language
    )


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location[1:]) or str(location[0])


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


async def _failed(request: Request, error: Exception) -> Response:
    """A bug of ours: the id leads from the answer to the log."""
    number = secrets.token_hex(4)
    LOG.error("error %s at %s", number, request.url.path, exc_info=error)
    message, hint = f"error {number} on our side", "the log has it under this number"
    return answered(500, "internal", message, hint, language_of(request))
