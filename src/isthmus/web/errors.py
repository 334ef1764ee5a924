"""What people see when something goes wrong; programs get JSON."""

import logging
import secrets

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from isthmus.web.shell import bare
from isthmus.web.timerange import RangeError

LOG = logging.getLogger("isthmus.web")


def install(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _said)
    app.add_exception_handler(RangeError, _range)
    app.add_exception_handler(Exception, _failed)


async def _said(request: Request, error: Exception) -> Response:
    """404, 403 and the like."""
    if not isinstance(error, HTTPException):
        raise TypeError(type(error))
    if _for_programs(request):
        return await http_exception_handler(request, error)
    key = f"error.{error.status_code}"
    known = key in request.app.state.web.texts
    return _page(request, error.status_code, key if known else "error.400")


async def _range(request: Request, error: Exception) -> Response:
    return _page(request, 400, "range.wrong", back=request.url.path, text=str(error))


async def _failed(request: Request, error: Exception) -> Response:
    """A bug: a short id leads from the screen to the log; starlette logs the trace."""
    number = secrets.token_hex(4)
    LOG.error("error %s at %s", number, request.url.path, exc_info=error)
    if _for_programs(request):
        return JSONResponse({"detail": f"error {number}"}, 500)
    return _page(request, 500, "error.500", id=number)


def _page(request: Request, status: int, key: str, back: str = "", **values: str) -> Response:
    web = request.app.state.web
    words = bare(web, request)
    words |= {"problem": words["t"](key, **values), "back": back}
    answer: Response = web.templates.answer("error.html", words, status)
    if not words["full"]:
        # Never a card inside the shell: the whole page is asked for again.
        answer.headers["HX-Retarget"] = "body"
        answer.headers["HX-Reswap"] = "innerHTML"
    return answer


def _for_programs(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/live/", "/healthz"))
