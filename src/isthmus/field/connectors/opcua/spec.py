"""What a person writes about an OPC UA source, and how a tag of it is addressed; no driver here."""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import Field, SecretStr, model_validator

from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Seconds

Endpoint = Annotated[
    str, Field(pattern=r"^opc\.tcp://(\[[0-9A-Fa-f:.]+\]|[^\s/:@\[\]]+)(:\d{1,5})?(/\S*)?$")
]
"""`opc.tcp://10.1.4.7:4840`; user and password have keys of their own."""

Identifier = int | str | UUID | bytes

_NODE = re.compile(r"(?:ns=(?P<index>\d{1,5});|nsu=(?P<uri>[^;]+);)?(?P<kind>[isgb])=(?P<id>.+)")
_ELEMENT = re.compile(r"(?P<node>.+)\[(?P<element>\d{1,9}(?:,\d{1,9})*)\]")


class OpcuaSource(SourceSpec):
    """The nodes of one OPC UA server."""

    kind: Literal["opcua"] = "opcua"
    endpoint: Endpoint
    security: Literal["none", "sign", "sign_and_encrypt"] = "none"
    policy: Literal["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"] = (
        "Basic256Sha256"
    )
    """Used unless `security` is `none`."""
    certificate: Path | None = None
    """Ours for this source (.der or .pem); without it the one of `isthmus certs create`."""
    private_key: Path | None = None
    server_certificate: Path | None = None
    """The only one we accept from the server; without it those of `isthmus certs list`."""
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
        if (urlsplit(self.endpoint).port or 1) < 1:  # a port beyond 65535 raises by itself
            raise ValueError("`endpoint`: port 0 is no port")
        return self

    @classmethod
    def parse_tag(cls, tag: str) -> "NodeTag":
        """Read `ns=4;s=IM07.State`, `nsu=urn:maker;i=5001`, either with `[2]` for an element."""
        with_element = _ELEMENT.fullmatch(tag)
        if with_element is None:
            return NodeTag((Reading(_address(tag)),))
        element = tuple(int(index) for index in with_element["element"].split(","))
        of_array = Reading(_address(with_element["node"]), element)
        if not isinstance(of_array.node.identifier, str):
            return NodeTag((of_array,))
        return NodeTag((Reading(_address(tag)), of_array))


def _both(one: str, first: Path | None, other: str, second: Path | None) -> None:
    if (first is None) != (second is None):
        there, missing = (one, other) if second is None else (other, one)
        raise ValueError(f"`{there}` needs `{missing}`")


@dataclass(frozen=True)
class NodeAddress:
    """A NodeId, its namespace given by index or by URI."""

    identifier: Identifier
    namespace: int | str = 0


@dataclass(frozen=True)
class Reading:
    """A node, and which element of its array; an empty `element` is the value as it is."""

    node: NodeAddress
    element: tuple[int, ...] = ()


@dataclass(frozen=True)
class NodeTag:
    """What a tag can mean, the first that the server knows counts.

    Some servers (S7-1500) have a node per array element, whose string identifier itself ends in
    `[2]`; others only have the array.
    """

    readings: tuple[Reading, ...]


def _address(text: str) -> NodeAddress:
    match = _NODE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"`{text}` is no NodeId; write `ns=4;s=IM07.State`, `ns=2;i=1001` or `nsu=urn:…;s=…`"
        )
    identifier = _identifier(match["kind"], match["id"])
    if match["uri"] is not None:
        return NodeAddress(identifier, match["uri"])
    index = int(match["index"] or 0)
    if index > 0xFFFF:
        raise ValueError(f"namespace index {index} is beyond 65535")
    return NodeAddress(identifier, index)


def _identifier(kind: str, text: str) -> Identifier:
    match kind:
        case "i":
            if not text.isascii() or not text.isdigit() or int(text) > 0xFFFF_FFFF:
                raise ValueError(f"`i={text}` is no number from 0 to 4294967295")
            return int(text)
        case "g":
            try:
                return UUID(text)
            except ValueError:
                raise ValueError(f"`g={text}` is no GUID") from None
        case "b":
            try:
                return b64decode(text, validate=True)
            except Base64Error:
                raise ValueError(f"`b={text}` is not base64") from None
        case _:
            return text
