"""How a tag of an OPC UA source is written, and what it addresses; no driver here."""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

Identifier = int | str | UUID | bytes
Step = int | str
"""One step into a value: an index of an array, or a member of a structure."""

_NODE: Final = re.compile(
    r"(?:ns=(?P<index>\d{1,5});|nsu=(?P<uri>[^;]+);)?(?P<kind>[isgb])=(?P<id>.+)"
)
_LAST_STEP: Final = re.compile(
    r'(?P<before>.+?)(?:\[(?P<element>\d{1,9}(?:,\d{1,9})*)\]|\.(?P<member>"[^"]+"|[^.\[\]#"]+))$'
)
_NAME: Final = "#name"
_EVENT: Final = re.compile(r"event\((?P<notifier>[^)]+?)(?:,\s*(?P<type>[^)]+))?\)\.(?P<field>.+)")
_FIELD_STEP: Final = re.compile(r"(?:(?P<index>\d{1,5}):)?(?P<name>[^/:]+)")


@dataclass(frozen=True)
class NodeAddress:
    """A NodeId, its namespace given by index or by URI."""

    identifier: Identifier
    namespace: int | str = 0


@dataclass(frozen=True)
class Reading:
    """A node, and which part of its value; an empty `path` is the value as it is."""

    node: NodeAddress
    path: tuple[Step, ...] = ()
    as_name: bool = False
    """Of an enumeration: the name instead of the number."""

    @property
    def plain(self) -> bool:
        return not self.path and not self.as_name


@dataclass(frozen=True)
class NodeTag:
    """What a tag can mean, the first that the server knows counts.

    Some servers (S7-1500) have a node per array element and member, whose string identifier itself
    ends in `[2]` or `.Quantity`; others only have the array or the structure.
    """

    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class Events:
    """The events of one notifier, all or those of a type."""

    notifier: NodeAddress
    type: NodeAddress | None = None


@dataclass(frozen=True)
class EventTag:
    """A field of events: browse names with their namespace indexes, from the event type down."""

    events: Events
    field: tuple[tuple[int, str], ...]


CONDITION_ID: Final = ((0, "ConditionId"),)
"""Not a field but the node of the condition itself; it is asked for in another way."""


def parse(tag: str) -> NodeTag | EventTag:
    """Read a tag; ValueError says what is wrong."""
    if tag.startswith("event("):
        return _event(tag)
    return NodeTag(tuple(_readings(tag)))


def _readings(tag: str) -> Iterator[Reading]:
    """The node of the whole name first, then the shorter ones; numbers and GUIDs have no dots."""
    whole, as_name, steps = tag.removesuffix(_NAME), tag.endswith(_NAME), list[Step]()
    if not _kind(whole):
        _address(tag)  # says what is wrong
    if as_name and _kind(tag) == "s":
        yield Reading(_address(tag))
    while True:
        last = _LAST_STEP.fullmatch(whole)
        of_text = _kind(whole) == "s"
        if of_text or last is None:
            yield Reading(_address(whole), tuple(steps), as_name)
        if last is None or _NODE.fullmatch(last["before"]) is None:
            return
        steps = [*_steps(last), *steps]
        whole = last["before"]


def _kind(text: str) -> str:
    match = _NODE.fullmatch(text)
    return match["kind"] if match is not None else ""


def _steps(last: re.Match[str]) -> list[Step]:
    if last["element"] is not None:
        return [int(index) for index in last["element"].split(",")]
    return [last["member"].strip('"')]


def _event(tag: str) -> EventTag:
    match = _EVENT.fullmatch(tag)
    if match is None:
        raise ValueError(
            f"`{tag}` is no field of an event; write `event(i=2253).Severity`, with the node that "
            "reports it in the brackets, or `event(ns=2;s=IM07, i=2915).ActiveState/Id`"
        )
    of_type = _address(match["type"]) if match["type"] else None
    events = Events(_address(match["notifier"]), of_type)
    return EventTag(events, tuple(_field_step(tag, part) for part in match["field"].split("/")))


def _field_step(tag: str, part: str) -> tuple[int, str]:
    match = _FIELD_STEP.fullmatch(part)
    if match is None:
        raise ValueError(f"`{part}` in `{tag}` is no browse name; write `Severity` or `2:Zone`")
    return _index(match["index"]), match["name"]


def _address(text: str) -> NodeAddress:
    match = _NODE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"`{text}` is no NodeId; write `ns=4;s=IM07.State`, `ns=2;i=1001` or `nsu=urn:…;s=…`"
        )
    identifier = _identifier(match["kind"], match["id"])
    return NodeAddress(identifier, match["uri"] or _index(match["index"]))


def _index(text: str | None) -> int:
    index = int(text or 0)
    if index > 0xFFFF:
        raise ValueError(f"namespace index {index} is beyond 65535")
    return index


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
