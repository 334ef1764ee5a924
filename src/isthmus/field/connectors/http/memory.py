"""Which rows of an endpoint we have had, so that overlapping answers bring none twice."""

import json
from array import array
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

import xxhash

from isthmus.base.clock import Micros
from isthmus.field.json_samples import Reading, dump
from isthmus.flow.parcel import GOOD

MOST_REMEMBERED: Final = 50_000
"""Rows of one endpoint; an answer with more may bring its oldest ones twice."""


class Memory:
    """The rows of the last whole poll, and where the next one begins."""

    def __init__(self) -> None:
        self.since: str | None = None
        """What the interface itself told us to ask with."""
        self.latest: Micros | None = None
        """Latest own time of a row."""
        self._before: dict[int, None] = {}
        self._now: dict[int, None] = {}
        self._newest: Micros | None = None

    def is_new(self, reading: Reading, row: Any) -> bool:
        """Whether it was neither in the last poll nor in this one so far."""
        known = identity(reading, row)
        new = known not in self._before and known not in self._now
        self._now[known] = None
        if reading.quality == GOOD:
            self._newest = max(self._newest or reading.device_time, reading.device_time)
        return new

    def complete(self, since: str | None) -> None:
        """All pages were read. An answer without rows says nothing of those before."""
        if self._now:
            self._before, self._now = _youngest(self._now), {}
        if self._newest is not None:
            self.latest = max(self.latest or self._newest, self._newest)
        self._newest = None
        self.since = since or self.since

    def kept(self) -> dict[str, Any]:
        """To be stored: until a poll is complete the next one begins where it did."""
        seen = array("Q", _youngest(self._before | self._now))
        return {
            "since": self.since,
            "latest": self.latest,
            "seen": b64encode(seen.tobytes()).decode(),
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Memory":
        memory = cls()
        memory.since, memory.latest = kept["since"], kept["latest"]
        memory._before = dict.fromkeys(array("Q", b64decode(kept["seen"])))
        return memory


def identity(reading: Reading, row: Any) -> int:
    """By tag, own time and value; of one without a time or a value of its own by the whole row."""
    if reading.quality == GOOD:
        said = [reading.tag, reading.device_time, reading.value]
    else:
        said = [reading.tag, row]
    return xxhash.xxh3_64_intdigest(dump(said).encode("utf-8", "surrogatepass"))


def pack(of: str, memories: Mapping[str, Memory]) -> bytes:
    """All endpoints of a source; `of` is what they hold for."""
    endpoints = {name: memory.kept() for name, memory in memories.items()}
    return json.dumps({"http": 1, "of": of, "endpoints": endpoints}).encode()


def unpack(of: str, position: bytes) -> dict[str, Memory]:
    """Nothing where the position is that of another interface or kind of source."""
    try:
        kept = json.loads(position)
    except ValueError:
        return {}
    if not isinstance(kept, dict) or kept.get("http") != 1 or kept["of"] != of:
        return {}
    return {name: Memory.of(memory) for name, memory in kept["endpoints"].items()}


def _youngest(seen: Mapping[int, None]) -> dict[int, None]:
    excess = len(seen) - MOST_REMEMBERED
    return dict.fromkeys(list(seen)[max(excess, 0) :])
