"""Giving a stop its reason in one tap, and ten seconds to take it back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from isthmus.apps.oee.reasons import ReasonError, give, withdraw
from isthmus.base.clock import SECOND, to_datetime
from isthmus.web.auth import User
from isthmus.web.gate import Requires, local
from isthmus.web.i18n import Text
from isthmus.web.page import Ask
from isthmus.web.pages.words import reason_labels
from isthmus.web.platform import Platform
from isthmus.web.scope import machine_title

TEXTS = {
    "reason.why": Text("Why does it stand?", "Warum steht die Maschine?"),
    "reason.undo": Text("Undo", "Rückgängig"),
    "reason.given": Text("{machine}: {reason}", "{machine}: {reason}"),
    "reason.may_not": Text(
        "Operators can give reasons; your role only looks.",
        "Gründe geben Bediener an; Ihre Rolle sieht nur zu.",
    ),
    "reason.none": Text(
        "No reason in the model fits this machine.",
        "Kein Grund im Modell passt zu dieser Maschine.",
    ),
}

UNDO_SECONDS = 10


@dataclass(frozen=True)
class Undo:
    """What was just done, and how to take it back."""

    id: str
    machine: str
    reason: str


_GIVEN = """
    select machine, reason from stop_reason
    where id = $id and author = $author and recorded > $since
"""


def undo_of(ask: Ask) -> Undo | None:
    """The reason this user gave a moment ago, if the URL names one."""
    id_ = ask.params.get("undo", "")
    # A second more than the bar shows: the tap may have come just before it went away.
    since = ask.now - int((UNDO_SECONDS + 1) * SECOND * ask.platform.clock.speed)
    found = (
        id_
        and ask.platform.lake.query(
            _GIVEN, {"id": id_, "author": ask.user.name, "since": to_datetime(since)}
        ).to_pylist()
    )
    if not found:
        return None
    machine = ask.platform.plant.machines[found[0]["machine"]]
    slug = found[0]["reason"]
    label = ask.t.label(reason_labels(ask.platform.plant).get(slug, {}), slug)
    return Undo(id_, machine_title(machine), label)


def for_reasons(ask: Ask) -> Mapping[str, object]:
    """What a template needs to show tiles and the undo bar."""
    return {
        "may_write": ask.user.may("operator"),
        "undo": undo_of(ask),
        "undo_seconds": UNDO_SECONDS,
        "back": ask.view.url() if ask.view.page != "stop" else f"/stop/{ask.view.sel}",
        "label": lambda thing: ask.t.label(thing.label, thing.reason),
    }


router = APIRouter()
Operator = Annotated[User, Depends(Requires("operator"))]


@router.post("/reason")
async def give_reason(
    request: Request,
    user: Operator,
    stop: Annotated[str, Form()],
    reason: Annotated[str, Form()],
    back: Annotated[str, Form()],
) -> RedirectResponse:
    """The reason is durable, and in every query, when this answers."""
    platform: Platform = request.app.state.web.platform
    now = platform.clock.now()
    try:
        given = await run_in_threadpool(
            give, platform.lake.query, platform.plant, stop, reason, author=user.name, now=now
        )
    except ReasonError as error:
        raise HTTPException(400, str(error)) from error
    await platform.append_rows([given.rows])
    return RedirectResponse(_back(back, given.id), 303)


@router.post("/reason/undo")
async def undo_reason(
    request: Request, user: Operator, given: Annotated[str, Form()], back: Annotated[str, Form()]
) -> RedirectResponse:
    platform: Platform = request.app.state.web.platform
    rows = await run_in_threadpool(
        withdraw, platform.lake.query, given, author=user.name, now=platform.clock.now()
    )
    if rows is None:
        raise HTTPException(404)
    await platform.append_rows([rows])
    return RedirectResponse(_back(back, ""), 303)


def _back(url: str, undo: str) -> str:
    path = local(url)
    return f"{path}{'&' if '?' in path else '?'}undo={undo}" if undo else path
