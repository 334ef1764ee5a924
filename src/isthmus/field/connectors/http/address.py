"""The address of a value behind a REST interface: `machines/7#$.state`, `$.list[0];time=$.ts`."""

import re
from dataclasses import dataclass
from typing import Final

from isthmus.field.json_samples import JsonAddress, places, split_options

_ENDPOINT: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
"""A path (RFC 3986) below the source's own, with a query; it can lead to no other host."""
_ELSEWHERE: Final = re.compile(r"^[^?]*//|(?:^|/)(?:\.|%2e){2}(?:/|\?|$)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Address(JsonAddress):
    """Which endpoint is asked, and where in its answers a tag's values are."""

    endpoint: str = ""
    """Below the source's `url`; empty: the `url` itself."""


def parse_address(tag: str) -> Address:
    """Read a tag; ValueError says what is wrong with it."""
    head, options = split_options(tag)
    endpoint, marker, path = head.partition("#$") if not head.startswith("$") else ("", "#", head)
    if not marker:
        raise ValueError(
            f"`{tag}` names no value; write its JSON path, `$.state`, or `machines/7#$.state` "
            "where it is at an endpoint of its own"
        )
    if endpoint and (not _ENDPOINT.fullmatch(endpoint) or _ELSEWHERE.search(endpoint)):
        raise ValueError(f"`{endpoint}` is no path below the source's `url`, such as `machines/7`")
    path = path if path.startswith("$") else "$" + path
    return Address(endpoint=endpoint, **places(path, options))
