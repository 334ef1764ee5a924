"""What a person writes about an OPC UA source; no driver here."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from isthmus.field.connectors.opcua.address import EventTag, NodeTag, parse
from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Seconds, host_and_port

Endpoint = Annotated[
    str, Field(pattern=r"^opc\.tcp://(\[[0-9A-Fa-f:.]+\]|[^\s/:@\[\]]+)(:\d{1,5})?(/\S*)?$")
]
"""`opc.tcp://10.1.4.7:4840`; user and password have keys of their own."""


def _as_tuple(value: Any) -> Any:
    """One file is a list of one; and strict reading takes no list for a tuple by itself."""
    match value:
        case str() | Path():
            return (value,)
        case list():
            return tuple(value)
        case None:
            return ()
        case _:
            return value


Files = Annotated[
    tuple[Path, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=Path | list[Path] | None),
]
"""One file, or a list of them."""


class OpcuaSource(SourceSpec):
    """The nodes of one OPC UA server."""

    counts_requests: ClassVar[bool] = True

    kind: Literal["opcua"] = "opcua"
    endpoint: Endpoint
    endpoints: list[Endpoint] = Field(default_factory=list)
    """Further servers of the same redundant set; all have the same nodes."""
    security: Literal["none", "sign", "sign_and_encrypt"] = "none"
    policy: Literal["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"] = (
        "Basic256Sha256"
    )
    """Used unless `security` is `none`."""
    certificate: Path | None = None
    """Ours for this source (.der or .pem); without it the one of `isthmus certs create`."""
    private_key: Path | None = None
    server_certificate: Files = ()
    """The only one we accept from the server, or a list with one for each server: that of
    `endpoint` first; without it those of `isthmus certs list`."""
    user: str | None = None
    password: SecretStr | None = None
    user_certificate: Path | None = None
    """Of a user who signs in with a certificate instead of a password."""
    user_private_key: Path | None = None
    timeout: Seconds = Field(default=5.0, gt=0)
    """For each answer; a link that is silently dead is noticed within this time, too."""
    sampling: Seconds | None = None
    """How often the server looks at a value; without it: as often as it publishes (`interval`)."""
    queue_size: int = Field(default=100, ge=1, le=100_000)
    """Values per node the server keeps between two publications; what does not fit is a gap."""

    history: bool = False
    """After an outage, fill the gap from what the server has stored meanwhile."""

    @field_validator("server_certificate")
    @classmethod
    def _one_or_one_each(cls, files: tuple[Path, ...], info: ValidationInfo) -> tuple[Path, ...]:
        if "endpoints" not in info.data:
            return files  # what is wrong there is said already
        servers = 1 + len(info.data["endpoints"])
        if len(files) > 1 and len(files) != servers:
            raise ValueError(
                f"`server_certificate` names {len(files)} certificates, `endpoint` and "
                f"`endpoints` {servers} servers: write one for all, or one for each, that of "
                "`endpoint` first"
            )
        return files

    @model_validator(mode="after")
    def _complete(self) -> Self:
        _both("certificate", self.certificate, "private_key", self.private_key)
        _both("user_certificate", self.user_certificate, "user_private_key", self.user_private_key)
        if self.user is not None and self.user_certificate is not None:
            raise ValueError(
                "a user signs in with `user` or with `user_certificate`, not with both"
            )
        if self.password is not None and self.user is None:
            raise ValueError("a `password` needs a `user`")
        for endpoint in (self.endpoint, *self.endpoints):
            if (urlsplit(endpoint).port or 1) < 1:  # a port beyond 65535 raises by itself
                raise ValueError(f"`{endpoint}`: port 0 is no port")
        return self

    def pinned(self, endpoint: str) -> Path | None:
        """The only certificate we accept from this server; None: those that are trusted."""
        match self.server_certificate:
            case ():
                return None
            case (one,):
                return one
            case several:
                return several[(self.endpoint, *self.endpoints).index(endpoint)]

    @property
    def reaches(self) -> str | None:
        return host_and_port(self.endpoint)

    @classmethod
    def parse_tag(cls, tag: str) -> NodeTag | EventTag:
        """Read `ns=4;s=IM07.State`, `nsu=urn:maker;i=5001[2].Name`, `event(i=2253).Severity`."""
        return parse(tag)


def _both(one: str, first: Path | None, other: str, second: Path | None) -> None:
    if (first is None) != (second is None):
        there, missing = (one, other) if second is None else (other, one)
        raise ValueError(f"`{there}` needs `{missing}`")
