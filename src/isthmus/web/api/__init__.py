"""The REST API under /api/v1: one module per noun; `docs/reference/api.md` describes it."""

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware

from isthmus.web.api import (
    completeness,
    connect,
    drafts,
    errors,
    kpi,
    machines,
    model,
    revisions,
    shifts,
    sources,
    sql,
    stops,
)
from isthmus.web.api.asked import known_parameters, language_of_body
from isthmus.web.gate import verify_csrf
from isthmus.web.shell import Web

PREFIX = "/api/v1"
MOST_BODY = 200_000
"""Bytes of a request."""

ROUTERS = (
    kpi,
    completeness,
    machines,
    stops,
    sources,
    shifts,
    model,
    sql,
    connect,
    drafts,
    revisions,
)


def create_api(web: Web) -> FastAPI:
    """An application of its own, to be mounted at PREFIX: its errors are JSON, always."""
    api = FastAPI(
        title="Isthmus",
        summary="Machines joined with orders and shifts, provably complete.",
        description=DESCRIPTION,
        version=web.platform.version,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(language_of_body), Depends(verify_csrf), Depends(known_parameters)],
        responses=errors.DOCUMENTED,
        middleware=[Middleware(errors.SmallBodies, most=MOST_BODY)],
        servers=[{"url": PREFIX}],
        root_path_in_servers=False,
    )
    api.state.web = web
    for module in ROUTERS:
        api.include_router(module.router)
    errors.install(api)
    return api


DESCRIPTION = """
Send a token (`isthmus token create`) as `Authorization: Bearer …`, or the session of a browser
with its `X-CSRF-Token` for writes. Times are ISO 8601 with a zone, answers are in UTC. Lists that
may be long are cut by `limit` and `offset`; `X-Total-Count` says how many there are, `Link` where
the next ones are. An error is `{"error": {"code", "message", "hint"}}`; with `Accept-Language: de`
it is said in German.
"""
