"""Where in an agent's buffer we have read to, so that we go on there after an outage."""

import json
from dataclasses import asdict, dataclass

from isthmus.field.mtconnect.documents import Header


@dataclass(frozen=True)
class Place:
    """A sequence number of one run of one agent."""

    agent: str
    """Its address, and of which device."""
    instance: str
    model_changed: str
    next: int
    """The first observation that is not on our disk."""

    def is_in(self, header: Header) -> bool:
        """Whether the agent still has all from here on, and what was true before it."""
        same = (self.instance, self.model_changed) == (header.instance, header.model_changed)
        return same and header.first < self.next <= header.next

    def pack(self) -> bytes:
        return json.dumps({"mtconnect": 1} | asdict(self)).encode()


def place(agent: str, header: Header) -> Place:
    return Place(agent, header.instance, header.model_changed, header.next)


def unpack(agent: str, position: bytes) -> Place | None:
    """None where it is that of another agent or kind of source."""
    try:
        kept = json.loads(position)
    except ValueError:
        return None
    if not isinstance(kept, dict) or kept.pop("mtconnect", None) != 1 or kept["agent"] != agent:
        return None
    return Place(**kept)
