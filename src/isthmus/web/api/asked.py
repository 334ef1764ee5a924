"""What a request asks, checked at the door: place, time, and which part of a long list."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Query, Request, Response
from fastapi.routing import APIRoute

from isthmus.base.clock import DAY, Micros, iso, to_micros
from isthmus.base.german import Language
from isthmus.model.plant import Machine, Plant
from isthmus.model.suggest import did_you_mean, did_you_mean_or_list
from isthmus.web.api.errors import ApiError
from isthmus.web.gate import SAFE_METHODS
from isthmus.web.i18n import as_language, language_of
from isthmus.web.platform import Platform

T = TypeVar("T")

EARLIEST: Final = to_micros(datetime.fromisoformat("2000-01-01T00:00:00Z"))


def _platform(request: Request) -> Platform:
    platform: Platform = request.app.state.web.platform
    return platform


Running = Annotated[Platform, Depends(_platform)]


def known_parameters(request: Request) -> None:
    """A misspelt parameter is an error, not a default."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = set(_query_names(route.dependant))
    for name in request.query_params:
        if name not in known:
            hint = did_you_mean_or_list(name, known, "parameters")
            raise ApiError(400, "unknown_parameter", f"there is no parameter `{name}` here", hint)


def _query_names(dependant: Any) -> Iterable[str]:
    yield from (field.alias for field in dependant.query_params)
    for below in dependant.dependencies:
        yield from _query_names(below)


# In which language ----------------------------------------------------------------------------


async def language_of_body(request: Request) -> None:
    """Note what a JSON body says of `language`: what is wrong with the rest is told in it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in SAFE_METHODS or kind != "application/json":
        return
    with suppress(ValueError):  # no JSON at all: that is told elsewhere
        body = await request.json()
        if isinstance(body, dict) and as_language(body.get("language")):
            request.scope["language"] = body["language"]


def _of_address(
    request: Request,
    language: Annotated[
        Language | None,
        Query(description="Of what is said in sentences; else as `Accept-Language` prefers."),
    ] = None,
) -> Language:
    return language or language_of(request)


def _of_request(request: Request) -> Language:
    return language_of(request)


Speech = Annotated[Language, Depends(_of_address)]
"""For what has `language` in its address."""
Told = Annotated[Language, Depends(_of_request)]
"""For what has it in its body."""


# Where ------------------------------------------------------------------------------------------


def _place(
    platform: Running,
    scope: Annotated[
        str,
        Query(
            max_length=300,
            description="Asset path of a site, area, line or machine; empty: the whole company.",
            examples=["acme/hamburg/moulding"],
        ),
    ] = "",
) -> str:
    chosen = scope or platform.plant.enterprise
    if not platform.plant.scope(chosen):
        raise _unknown(platform.plant, chosen)
    return chosen


Place = Annotated[str, Depends(_place)]
"""An asset path that has machines."""


def machine_at(plant: Plant, path: str) -> Machine:
    machine = plant.machines.get(path)
    if machine is None:
        known = did_you_mean_or_list(path, plant.machines, "machines")
        raise ApiError(404, "unknown_machine", f"there is no machine `{path}`", known)
    return machine


def source_of(plant: Plant, source: str) -> str:
    if source and source not in plant.sources:
        known = did_you_mean_or_list(source, plant.sources, "sources")
        raise ApiError(404, "unknown_source", f"there is no source `{source}`", known)
    return source


def _unknown(plant: Plant, scope: str) -> ApiError:
    known = {
        "/".join(parts[:depth])
        for parts in (path.split("/") for path in plant.machines)
        for depth in range(1, len(parts) + 1)
    }
    hint = did_you_mean(scope, known) or "`/api/v1/machines` lists all paths"
    return ApiError(404, "unknown_scope", f"there is no `{scope}` in this company", hint)


# When -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """A stretch of time, and what time it is."""

    start: Micros
    end: Micros
    now: Micros


class Within:
    """Dependency: the window of `from` and `to`, at most so many days long."""

    def __init__(self, days: int) -> None:
        self.days = days

    def __call__(
        self,
        platform: Running,
        start: Annotated[
            str,
            Query(
                alias="from", max_length=40, examples=["2026-11-17T05:00:00Z"],
                description="Begin, ISO 8601 with zone; default: 24 hours before `to`.",
            ),
        ] = "",
        end: Annotated[
            str,
            Query(
                alias="to", max_length=40, examples=["2026-11-17T13:00:00Z"],
                description="End (not included), ISO 8601 with zone; default: now.",
            ),
        ] = "",
    ) -> Window:  # fmt: skip
        now = platform.clock.now()
        until = moment("to", end) if end else now
        since = moment("from", start) if start else until - DAY
        if since >= until:
            raise ApiError(
                400, "empty_window", f"`from` {iso(since)} is not before `to` {iso(until)}"
            )
        if until - since > self.days * DAY:
            asked = (until - since) / DAY
            raise ApiError(
                400, "window_too_long", f"{asked:.0f} days are asked for, at most {self.days} are"
                " answered at once", "ask for shorter windows, one after another",
            )  # fmt: skip
        return Window(since, until, now)


def moment(name: str, text: str) -> Micros:
    """A time of a request; ApiError names what is wrong with it."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        # A plus sign that is not escaped arrives as a blank.
        hint = "write `+` as `%2B` in an address, or use `Z`" if " " in text else _EXAMPLE
        raise ApiError(400, "bad_time", f"`{name}`: `{text}` is no ISO 8601 time", hint) from None
    if parsed.tzinfo is None:
        raise ApiError(400, "bad_time", f"`{name}`: `{text}` has no time zone", _EXAMPLE)
    at = to_micros(parsed)
    if at < EARLIEST:
        raise ApiError(400, "bad_time", f"`{name}`: `{text}` is before the year 2000", _EXAMPLE)
    return at


_EXAMPLE: Final = "for example `2026-11-17T05:00:00Z` or `2026-11-17T06:00:00+01:00`"

Days31 = Annotated[Window, Depends(Within(31))]
Days400 = Annotated[Window, Depends(Within(400))]


# Which part -------------------------------------------------------------------------------------


class Part:
    """Dependency: `limit` and `offset` of a list."""

    def __init__(
        self,
        request: Request,
        response: Response,
        limit: Annotated[int, Query(ge=1, le=10_000, description="How many at most.")] = 1000,
        offset: Annotated[int, Query(ge=0, le=10_000_000, description="How many to skip.")] = 0,
    ) -> None:
        self._request = request
        self._response = response
        self.limit = limit
        self.offset = offset

    def of(self, found: Sequence[T]) -> list[T]:
        """The part that was asked for; headers say how many there are, and where the rest is."""
        self._response.headers["X-Total-Count"] = str(len(found))
        after = self.offset + self.limit
        if after < len(found):
            following = self._request.url.include_query_params(limit=self.limit, offset=after)
            target = following.path + (f"?{following.query}" if following.query else "")
            self._response.headers["Link"] = f'<{target}>; rel="next"'
        return list(found[self.offset : after])


Paged = Annotated[Part, Depends()]


def json_only(request: Request) -> None:
    """For writes: a form of a foreign page cannot send this."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(
            415, "not_json", f"the body is `{kind}`" if kind else "the body has no type",
            "send JSON with `Content-Type: application/json`",
        )  # fmt: skip


JsonOnly = Depends(json_only)
