"""The address of a Sparkplug tag: `plant/edge-1/press-4:Counters/Good`, `…:Motor;member=Speed`."""

import re
from dataclasses import dataclass
from typing import Final

from isthmus.field.connectors.sparkplug.topics import NodeId, check_id

_OPTION: Final = re.compile(r";(?=(?:member|parameter|column|row|index|property)=)")
_ESCAPED: Final = {"%3A": ":", "%25": "%"}


@dataclass(frozen=True)
class Address:
    """One metric of an edge node or of a device, or a part of it."""

    node: NodeId
    device: str
    """Empty: the metric is the edge node's own."""
    metric: str
    steps: tuple[str | int, ...] = ()
    """Into a template, a data set or an array."""
    property: str = ""
    """Of the metric, instead of its value."""


def parse_address(tag: str) -> Address:
    """Read a tag; ValueError says what is wrong with it."""
    owner, colon, rest = tag.partition(":")
    if not colon:
        raise ValueError(f"`{tag}` needs a metric: `group/node:metric`, `group/node/device:metric`")
    levels = owner.split("/")
    if len(levels) not in {2, 3}:
        raise ValueError(f"`{owner}` must be `group/node` or `group/node/device`")
    ids = [_unescape(level) for level in levels]
    for level, what in zip(ids, ("group", "edge node", "device"), strict=False):
        check_id(level, what)
    metric, *options = _OPTION.split(rest)
    if not metric:
        raise ValueError(f"`{tag}` names no metric after the colon")
    steps, property_ = _steps(options)
    return Address((ids[0], ids[1]), ids[2] if len(ids) == 3 else "", metric, steps, property_)


def format_address(node: NodeId, device: str, metric: str) -> str:
    """Write the tag of a whole metric; what `parse_address` reads."""
    owner = "/".join(_escape(level) for level in (*node, device) if level)
    return f"{owner}:{metric}"


def _steps(options: list[str]) -> tuple[tuple[str | int, ...], str]:
    steps: list[str | int] = []
    for position, option in enumerate(options):
        kind, _, given = option.partition("=")
        if not given:
            raise ValueError(f"`{kind}=` is empty")
        if kind == "property":
            if len(options) > 1:
                raise ValueError("`property=` stands alone: it is read instead of the value")
            return (), given
        steps.append(_number(kind, given) if kind in {"row", "index"} else given)
        if kind == "parameter" and position + 1 < len(options):
            raise ValueError("nothing can follow `parameter=`")
    return tuple(steps), ""


def _number(kind: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"`{kind}={text}`: a whole number from 0 on")
    return int(text)


def _unescape(level: str) -> str:
    return re.sub("%3A|%25", lambda found: _ESCAPED[found[0]], level)


def _escape(level: str) -> str:
    return level.replace("%", "%25").replace(":", "%3A")
