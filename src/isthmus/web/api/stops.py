"""Stops, and the reasons people give for them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from isthmus.apps.oee.losses import find_stop, stops
from isthmus.apps.oee.reasons import ReasonError, give, withdraw
from isthmus.apps.oee.timeline import parse_stop_id
from isthmus.apps.oee.view import ReasonPart, Stop
from isthmus.base.clock import iso
from isthmus.flow.parcel import Rows
from isthmus.model.suggest import did_you_mean_or_list
from isthmus.web.api.asked import Days31, JsonOnly, Paged, Place, Running
from isthmus.web.api.errors import NOT_FOUND, ApiError
from isthmus.web.auth import User
from isthmus.web.gate import Requires

router = APIRouter(tags=["stops"], responses=NOT_FOUND)

Operator = Annotated[User, Depends(Requires("operator"))]
StopId = Annotated[
    str,
    Path(
        max_length=330,
        description="As `GET /stops` gives it: asset path, `@`, start in microseconds.",
        examples=["acme/hamburg/moulding/line-1/im-01@1795173000000000"],
    ),
]


class PartOut(BaseModel):
    """A stretch of a stop and its reason."""

    id: str
    reason: str = Field(examples=["hydraulics"])
    start: str
    end: str | None = Field(description="Null: as long as the stop lasts.")
    comment: str
    author: str


class StopOut(BaseModel):
    """A machine stood, in planned busy time at least in part."""

    id: str = Field(examples=["acme/hamburg/moulding/line-1/im-01@1795173000000000"])
    machine: str
    name: str = Field(examples=["IM 01"])
    start: str
    end: str | None = Field(description="Null while it lasts, or goes on behind the window.")
    seconds: float = Field(description="Inside planned busy time and the window.")
    state: str | None
    category: str | None
    minor: bool = Field(description="So short that it needs no reason.")
    unclassified_s: float = Field(description="Seconds that still need a reason.")
    reasons: list[PartOut]
    order: str
    material: str


class ReasonIn(BaseModel):
    """Why it stood; replaces what was said about the same stop before."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(
        min_length=1, max_length=100, description="Slug of the model.", examples=["hydraulics"]
    )
    comment: str = Field(default="", max_length=1000, examples=["hose changed"])


class ReasonOut(BaseModel):
    """The reason is durable and in every answer from now on."""

    id: str
    stop: str
    reason: str
    comment: str
    author: str


@router.get("/stops")
def get_stops(platform: Running, scope: Place, window: Days31, part: Paged) -> list[StopOut]:
    """Stops that touch planned busy time in the window, longest first."""
    found = stops(
        platform.lake.query, platform.plant, scope, window.start, window.end, now=window.now
    )
    return [_stop(stop) for stop in part.of(found)]


@router.post("/stops/{stop:path}/reason", status_code=201, dependencies=[JsonOnly])
async def give_reason(platform: Running, user: Operator, stop: StopId, body: ReasonIn) -> ReasonOut:
    """Say why a machine stood or stands. Needs the role operator."""
    given = await run_in_threadpool(_give, platform, user, stop, body)
    await platform.append_rows([given[1]])
    return ReasonOut(
        id=given[0], stop=stop, reason=body.reason, comment=body.comment, author=user.name
    )


@router.delete("/stops/{stop:path}/reason", status_code=204)
async def withdraw_reason(platform: Running, user: Operator, stop: StopId) -> None:
    """Take back what was said about a stop. Needs the role operator."""
    rows = await run_in_threadpool(_withdraw, platform, user, stop)
    await platform.append_rows(rows)


def _give(platform: Running, user: User, stop: str, body: ReasonIn) -> tuple[str, Rows]:
    _found(platform, stop)
    reasons = [reason.reason for reason in platform.plant.reasons]
    if body.reason not in reasons:
        hint = did_you_mean_or_list(body.reason, reasons, "reasons")
        raise ApiError(400, "unknown_reason", f"no reason `{body.reason}` in the model", hint)
    try:
        given = give(
            platform.lake.query, platform.plant, stop, body.reason,
            author=user.name, now=platform.clock.now(), comment=body.comment,
        )  # fmt: skip
    except ReasonError as error:
        raise ApiError(400, "refused", str(error)) from None
    return given.id, given.rows


def _withdraw(platform: Running, user: User, stop: str) -> list[Rows]:
    found = _found(platform, stop)
    if not found.parts:
        raise ApiError(404, "no_reason", f"nobody gave a reason for `{stop}`")
    now = platform.clock.now()
    rows = [
        withdraw(platform.lake.query, part.id, author=user.name, now=now) for part in found.parts
    ]
    return [one for one in rows if one is not None]


def _found(platform: Running, stop: str) -> Stop:
    try:
        parse_stop_id(stop)
    except ValueError:
        raise ApiError(
            404, "unknown_stop", f"`{stop}` is no stop", "ids are as `/api/v1/stops` gives them"
        ) from None
    found = find_stop(platform.lake.query, platform.plant, stop, now=platform.clock.now())
    if found is None:
        raise ApiError(
            404, "unknown_stop", f"there is no stop `{stop}`", "`/api/v1/stops` lists them"
        )
    return found


def _stop(stop: Stop) -> StopOut:
    return StopOut(
        id=stop.id,
        machine=stop.machine,
        name=stop.name,
        start=iso(stop.start),
        end=None if stop.end is None else iso(stop.end),
        seconds=stop.seconds,
        state=stop.state,
        category=stop.category,
        minor=stop.minor,
        unclassified_s=stop.unclassified_s,
        reasons=[_part(part) for part in stop.parts],
        order=stop.production_order,
        material=stop.material,
    )


def _part(part: ReasonPart) -> PartOut:
    return PartOut(
        id=part.id,
        reason=part.reason,
        start=iso(part.start),
        end=None if part.end is None else iso(part.end),
        comment=part.comment,
        author=part.author,
    )
