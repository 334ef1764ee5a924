"""Sparkplug topics: `spBv1.0/GROUP/KIND/NODE[/DEVICE]` and `spBv1.0/STATE/HOST`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

NAMESPACE: Final = "spBv1.0"
REBIRTH: Final = "Node Control/Rebirth"

NodeKind = Literal["NBIRTH", "NDEATH", "NDATA", "NCMD"]
DeviceKind = Literal["DBIRTH", "DDEATH", "DDATA", "DCMD"]
Kind = NodeKind | DeviceKind

NodeId = tuple[str, str]
"""Group and edge node: unique in the whole infrastructure."""

_KINDS: Final[dict[tuple[str, int], Kind]] = {
    **{(kind, 4): kind for kind in get_args(NodeKind)},
    **{(kind, 5): kind for kind in get_args(DeviceKind)},
}
"""By its name and the number of levels of its topic."""


@dataclass(frozen=True)
class Topic:
    """Who says what kind of thing."""

    kind: Kind
    node: NodeId
    device: str = ""
    """Empty: the edge node itself."""


def parse_topic(text: str) -> Topic | None:
    """Read a topic; None where it is none of Sparkplug's."""
    levels = text.split("/")
    if levels[0] != NAMESPACE or len(levels) < 4 or not all(levels):
        return None
    kind = _KINDS.get((levels[2], len(levels)))
    if kind is None:
        return None
    return Topic(kind, (levels[1], levels[3]), levels[4] if len(levels) == 5 else "")


def state_topic(host_id: str) -> str:
    return f"{NAMESPACE}/STATE/{host_id}"


def command_topic(node: NodeId) -> str:
    return f"{NAMESPACE}/{node[0]}/NCMD/{node[1]}"


def filters(nodes: Iterable[NodeId]) -> list[str]:
    """What to subscribe to; the whole namespace where no node is known yet."""
    ours = [f"{NAMESPACE}/{group}/+/{node}/#" for group, node in nodes]
    return ours or [f"{NAMESPACE}/#"]


def check_id(text: str, what: str) -> None:
    """ValueError where it cannot be a level of a topic."""
    if not text:
        raise ValueError(f"the {what} is empty")
    if any(reserved in text for reserved in "+#/\0"):
        raise ValueError(f"the {what} `{text}` may not contain `+`, `#`, `/`")
