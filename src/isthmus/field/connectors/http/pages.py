"""Which request comes first and which next: pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from isthmus.base.clock import Micros, iso
from isthmus.field.connectors.http.spec import (
    Cursor,
    HttpSource,
    LinkHeader,
    NextLink,
    PageNumber,
)
from isthmus.field.json_path import json_path
from isthmus.field.json_samples import TimeFormat

_LINK: Final = re.compile(r"<(?P<url>[^<>]*)>(?P<attributes>[^<]*)")
_NEXT: Final = re.compile(r""";\s*rel\s*=\s*(?:"[^"]*\bnext\b[^"]*"|next\b)""", re.IGNORECASE)
_PER_MICRO: Final[dict[TimeFormat, tuple[int, int]]] = {
    "s": (1, 1_000_000), "ms": (1, 1_000), "us": (1, 1), "ns": (1_000, 1),
}  # fmt: skip


class PagingError(Exception):
    """The answer does not page as was declared."""


@dataclass(frozen=True)
class Ask:
    """One request."""

    url: str
    body: Mapping[str, Any] | None = None
    """Sent by POST; None is a GET."""
    number: int = 0
    """Of the page, from 0."""


@dataclass(frozen=True)
class Answer:
    """What came."""

    url: str
    """From where in the end."""
    document: Any
    links: str = field(default="")
    """The header `Link`."""


def first(spec: HttpSource, endpoint: str, since: str | None) -> Ask:
    """The first page of an endpoint."""
    given: dict[str, Any] = {}
    if spec.since is not None and since is not None:
        given[spec.since.parameter] = since
    if isinstance(spec.paging, PageNumber):
        given[spec.paging.parameter] = spec.paging.first
    url = f"{spec.url.rstrip('/')}/{endpoint}" if endpoint else spec.url
    return _with(Ask(_query(url, spec.params), spec.post), given)


def following(spec: HttpSource, ask: Ask, answer: Answer) -> Ask | None:
    """The page after this one; None at the end. PagingError where it makes no sense."""
    number = ask.number + 1
    match spec.paging:
        case None:
            return None
        case NextLink(next=path):
            found = _word(path, answer)
            return Ask(_joined(answer.url, found), number=number) if found else None
        case LinkHeader():
            found = _next_link(answer.links)
            return Ask(_joined(answer.url, found), number=number) if found else None
        case PageNumber() as counted:
            if not json_path(counted.items).find(answer.document):
                return None
            page = counted.first + number * counted.step
            return _with(replace(ask, number=number), {counted.parameter: page})
        case Cursor() as cursor:
            found = _word(cursor.cursor, answer)
            after = replace(ask, number=number)
            return _with(after, {cursor.parameter: found}) if found else None


def write_time(at: Micros, time_format: TimeFormat) -> str:
    """A time as an interface wants it; whole units, never later than `at`."""
    if time_format == "iso":
        return iso(at)
    factor, divisor = _PER_MICRO[time_format]
    return str(at * factor // divisor)


def _word(path: str, answer: Answer) -> str:
    """What tells the next page; empty at the end."""
    found = json_path(path).find(answer.document)
    match found:
        case [] | [None] | [""] | [False]:
            return ""
        case [str() | int() as word]:
            return str(word)
        case _:
            raise PagingError(f"`{path}` finds no single word that leads to the next page")


def _joined(url: str, found: str) -> str:
    try:
        return urljoin(url, found)
    except ValueError:
        raise PagingError(f"the next page is at no address, `{found[:200]}`") from None


def _next_link(header: str) -> str:
    for link in _LINK.finditer(header):
        if _NEXT.search(link["attributes"]):
            return link["url"]
    return ""


def _with(ask: Ask, given: Mapping[str, Any]) -> Ask:
    """Put parameters where this interface reads them."""
    if not given:
        return ask
    if ask.body is not None:
        return replace(ask, body={**ask.body, **given})
    return replace(ask, url=_query(ask.url, given))


def _query(url: str, given: Mapping[str, Any]) -> str:
    """The address with these parameters; those of the same name are replaced."""
    if not given:
        return url
    parts = urlsplit(url)
    kept = [
        pair
        for pair in parts.query.split("&")
        if pair and pair.partition("=")[0] not in {urlencode({key: ""})[:-1] for key in given}
    ]
    return urlunsplit(parts._replace(query="&".join([*kept, urlencode(given)])))
