"""What a person declares of a webhook: where we listen, whom we believe, what is in the posts."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from string import Formatter
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from isthmus.field.json_path import json_path
from isthmus.field.json_samples import JsonAddress, TimeFormat, places, split_options
from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Host, Port, Seconds, Spec

_PATH: Final = re.compile(r"[A-Za-z0-9._~$&'()*+,;=:@-]+(?:/[A-Za-z0-9._~$&'()*+,;=:@-]+)*")
_SIGNED: Final = frozenset({"body", "timestamp", "id"})

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=100)]


def _path(text: str) -> str:
    json_path(text)
    return text


def _template(text: str) -> str:
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError:
        names = [""]
    if not set(names) <= _SIGNED or names.count("body") != 1:
        raise ValueError(
            f"`{text}`: write once `{{body}}`, and what else is signed with it, such as "
            "`{timestamp}.{body}` or `{id}.{timestamp}.{body}`"
        )
    return text


class Hmac(Spec):
    """Every post is signed: HMAC-SHA256 with a secret that both sides know."""

    kind: Literal["hmac"]
    secret: SecretStr
    secret_form: Literal["text", "base64", "hex"] = "text"  # noqa: S105 - a word
    header: HeaderName = "X-Hub-Signature-256"
    """Holds the signature; several, separated by blanks, while a secret is being replaced."""
    prefix: str = "sha256="
    """Of each signature."""
    form: Literal["hex", "base64"] = "hex"
    signed: Annotated[str, AfterValidator(_template)] = "{body}"
    """What is signed: the body, and with it the headers of `timestamp` and `id`."""
    timestamp: HeaderName | None = None
    """Header with the time of the post; an old one is a replay and not believed."""
    timestamp_format: TimeFormat = "s"
    tolerance: Seconds = Field(default=300.0, gt=0)
    """How far that time may be from ours."""

    @model_validator(mode="after")
    def _a_time_is_signed(self) -> Self:
        if (self.timestamp is not None) != ("{timestamp}" in self.signed):
            raise ValueError(
                "a `timestamp` protects only where it is signed: name its header, and put "
                "`{timestamp}` into `signed`"
            )
        return self


class Bearer(Spec):
    """Every post carries a token that both sides know."""

    kind: Literal["bearer"]
    token: SecretStr


class Tls(Spec):
    """Our certificate; paths of PEM files."""

    cert: str
    key: str | None = None
    key_password: SecretStr | None = None


@dataclass(frozen=True, kw_only=True)
class WebhookTag(JsonAddress):
    """Where in which posts a tag's values are."""

    path: str = ""
    """Below the source's `path`; empty: that itself."""


def parse_address(tag: str) -> WebhookTag:
    """Read a tag; ValueError says what is wrong with it."""
    head, options = split_options(tag)
    below, marker, path = head.partition("#$") if not head.startswith("$") else ("", "#", head)
    if not marker or (below and not _PATH.fullmatch(below)):
        raise ValueError(
            f"`{tag}` is no value of a post; write its JSON path, `$.state`, or "
            "`presses/7#$.state` where it comes under a path of its own"
        )
    path = path if path.startswith("$") else "$" + path
    return WebhookTag(path=below, **places(path, options))


class WebhookSource(SourceSpec):
    """Posts in JSON that others send us."""

    kind: Literal["webhook"] = "webhook"
    host: Host = "127.0.0.1"
    """Address of ours to listen on; only this computer reaches us where it is not given."""
    port: Port
    path: Annotated[str, Field(pattern=r"^/[^\s?#]*$", max_length=500)] = "/"
    tls: Tls | None = None
    auth: Annotated[Hmac | Bearer, Field(discriminator="kind")] | None = None
    """Needed unless only this computer reaches us."""
    id: HeaderName | None = None
    """Header that tells a post from every other, the same when it is sent again."""
    time: Annotated[str, AfterValidator(_path)] | None = None
    """JSON path of a value's own time; the time of receipt if not given."""
    time_format: TimeFormat = "iso"
    """`iso` needs a zone (`Z` or an offset); `s`, `ms`, `us`, `ns` count from 1970 in UTC."""
    partial: bool = True
    """A path that is not there says nothing: posts may be of several kinds. Otherwise it is a
    broken post."""
    rate: int = Field(default=100, ge=1, le=100_000)
    """Posts a second that we take; the sender of one more is asked to come again."""
    max_body_kb: int = Field(default=256, ge=1, le=65_536)
    """A longer post is not read."""
    stored_within: Seconds = Field(default=20.0, gt=0)
    """A post that is not on our disk by then is answered with 503; its sender tries again."""
    silence: Seconds | None = None
    """After so long without a post the values are unknown; never where it is not given."""
    first_value: Seconds = 1.0
    """A tag counts as waiting for its first value so long after we began to listen."""
    timeout: Seconds = Field(default=10.0, gt=0)
    """For a whole request to come in."""

    @model_validator(mode="after")
    def _strangers_must_sign(self) -> Self:
        if self.auth is None and not _is_loopback(self.host):
            raise ValueError("`auth` is needed where others than this computer can reach us")
        return self

    @classmethod
    def parse_tag(cls, tag: str) -> WebhookTag:
        return parse_address(tag)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
