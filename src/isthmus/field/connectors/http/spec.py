"""What a person declares of a REST interface: how to sign in, how it pages, what is new."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from isthmus.field.connectors.http.address import Address, parse_address
from isthmus.field.json_path import json_path
from isthmus.field.json_samples import TimeFormat
from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Seconds, Spec, host_and_port


def _path(text: str) -> str:
    json_path(text)
    return text


def _instant(text: str) -> str:
    try:
        zoned = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        zoned = False
    if not zoned:
        raise ValueError(f"`{text}` is no time with a zone, such as `2026-11-01T00:00:00Z`")
    return text


Url = Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=1000)]
Parameter = Annotated[str, Field(min_length=1, max_length=200)]
JsonPathText = Annotated[str, Field(max_length=1000), AfterValidator(_path)]
Instant = Annotated[str, AfterValidator(_instant)]


class Basic(Spec):
    """User and password."""

    kind: Literal["basic"]
    user: str
    password: SecretStr


class Bearer(Spec):
    """A token that does not change."""

    kind: Literal["bearer"]
    token: SecretStr


class ApiKey(Spec):
    """A key in a header of its own."""

    kind: Literal["api_key"]
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")] = "X-API-Key"
    api_key: SecretStr


class OAuth2(Spec):
    """OAuth 2 client credentials: a token is fetched, and another before it ends."""

    kind: Literal["oauth2"]
    token_url: Url
    client_id: str
    client_secret: SecretStr
    scope: str = ""
    audience: str = ""
    send: Literal["header", "body"] = "header"
    """Where the token endpoint wants id and secret."""


class NextLink(Spec):
    """The answer itself says where the next page is."""

    kind: Literal["next"]
    next: JsonPathText
    """Of the next page's address, whole or relative; missing or null at the end."""


class LinkHeader(Spec):
    """The header `Link` says so (`rel="next"`, RFC 8288)."""

    kind: Literal["link"]


class PageNumber(Spec):
    """Pages are counted."""

    kind: Literal["page"]
    parameter: Parameter = "page"
    first: int = Field(default=1, ge=0)
    step: int = Field(default=1, ge=1)
    """Of interfaces that count rows instead (`offset`): rows of a page, with `first: 0`."""
    items: JsonPathText
    """Selects the rows of a page, such as `$.data[*]`; a page without any is the end."""


class Cursor(Spec):
    """The answer holds a word that the next request must carry."""

    kind: Literal["cursor"]
    cursor: JsonPathText
    """Missing, null or empty at the end."""
    parameter: Parameter = "cursor"


class Since(Spec):
    """Only what is new is asked for."""

    parameter: Parameter
    path: JsonPathText | None = None
    """Where the answer says what to ask with next time; without it the latest own time of a row."""
    format: TimeFormat = "iso"
    """How the interface wants a time."""
    overlap: Seconds = Field(default=0.0, ge=0)
    """So much is asked for again, since rows may come late; none is taken twice."""
    start: Instant | None = None
    """From when at the very first; without it the parameter is left out then."""


class HttpSource(SourceSpec):
    """Endpoints of one REST interface that answer in JSON."""

    counts_requests: ClassVar[bool] = True

    kind: Literal["http"] = "http"
    url: Url
    """Address of the interface, `https://api.example/v1`; a tag may name an endpoint below it."""
    interval: Seconds = 10.0
    auth: Annotated[Basic | Bearer | ApiKey | OAuth2, Field(discriminator="kind")] | None = None
    headers: dict[Parameter, str] = Field(default_factory=dict)
    """Sent with each request."""
    params: dict[Parameter, str] = Field(default_factory=dict)
    """Of the query."""
    post: dict[str, Any] | None = None
    """A body in JSON: the interface is asked by POST, which must change nothing there. The keys of
    paging and `since` then go into the body."""
    paging: (
        Annotated[NextLink | LinkHeader | PageNumber | Cursor, Field(discriminator="kind")] | None
    ) = None
    most_pages: int = Field(default=1000, ge=1)
    """Of one poll."""
    since: Since | None = None
    time: JsonPathText | None = None
    """JSON path of a value's own time; the time of receipt if not given."""
    time_format: TimeFormat = "iso"
    """`iso` needs a zone (`Z` or an offset); `s`, `ms`, `us`, `ns` count from 1970 in UTC."""
    ca: str | None = None
    """Certificate authority (PEM) of the interface; the system's own where it is not given."""
    timeout: Seconds = Field(default=10.0, gt=0)
    """For each whole answer."""
    max_answer_mb: int = Field(default=16, ge=1, le=1024)
    """A longer answer is not read."""

    @model_validator(mode="after")
    def _what_belongs_together(self) -> Self:
        if self.post is not None and isinstance(self.paging, NextLink | LinkHeader):
            raise ValueError("`post` pages by `page` or `cursor`: a link cannot carry the body")
        return self

    @property
    def reaches(self) -> str | None:
        return host_and_port(self.url)

    @classmethod
    def parse_tag(cls, tag: str) -> Address:
        return parse_address(tag)
