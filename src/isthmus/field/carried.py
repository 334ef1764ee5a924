"""What `shape` must remember of a source between two parcels, as the bytes that the log keeps."""

import json
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from isthmus.base.clock import Micros
from isthmus.model.expression import Value

VERSION: Final = 1

Status = Literal["unknown", "watching", "running", "standing"]
"""Of a machine that only counts. `watching`: readings come, but neither a pulse nor enough
silence yet."""


class StateError(Exception):
    """The carried state cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Reading:
    """The last reading of a cumulative counter that was believed."""

    time: Micros
    value: int
    rest: float = 0.0
    """Part of a piece not yet given out, where `scale` is not whole (two strokes per part)."""


@dataclass(frozen=True)
class Held:
    """The last name of a state; None: bad quality."""

    time: Micros
    name: str | None


@dataclass(frozen=True)
class Pulses:
    """Where the rule for a machine that only counts stands."""

    status: Status = "unknown"
    at: Micros = 0
    """Device time of the last pulse; while `watching`, since when readings come."""
    seen: Micros = 0
    """When we learnt it, by our clock."""


@dataclass(frozen=True)
class Kept:
    """The value that was kept last, of a field that keeps not all of them."""

    time: Micros
    amount: float | None
    """None: bad quality."""


@dataclass(frozen=True)
class Fresh:
    """When a tag's device time moved on last."""

    time: Micros
    seen: Micros
    """By our clock."""
    value: Value
    """As it came then; None: bad."""
    stale: bool = False
    """Whether it was said to be uncertain since."""


@dataclass(frozen=True)
class Since:
    """When a condition began to hold."""

    time: Micros
    """By the device's clock."""
    seen: Micros
    """By ours."""


@dataclass(frozen=True)
class Derived:
    """Where the expressions of one field stand."""

    values: dict[str, Value] = field(default_factory=dict)
    """Input → its last value; None: bad."""
    known: bool = False
    """Whether a value was yielded last, and not that nobody knows."""
    at: Micros = 0
    """Time of what was yielded last."""
    name: str | None = None
    """State that holds."""
    since: dict[int, Since] = field(default_factory=dict)
    """Number of a condition that holds → since when."""
    latched: frozenset[int] = frozenset()
    """Conditions that have held long enough."""
    unknown: frozenset[int] = frozenset()
    """Conditions of which nobody knows whether they hold."""


@dataclass
class Carried:
    """Decoded state; keys are `Mapping.keys` (or `machine|block.field` for derived states)."""

    counters: dict[str, Reading] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    pulses: dict[str, Pulses] = field(default_factory=dict)
    derived: dict[str, Derived] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
    fresh: dict[str, Fresh] = field(default_factory=dict)
    """By tag."""
    awaited: set[str] = field(default_factory=set)
    """Fields of which no value came since the source was opened."""
    moved: dict[str, Micros] = field(default_factory=dict)
    """Fields whose values are written at `opened` → latest device time of those that were."""
    unknown_since: Micros = 0
    """Time of the rows that said `unknown` when the source was lost."""
    opened: Micros = 0
    """When the source was opened after that."""


def decode(state: bytes | None) -> Carried:
    if state is None:
        return Carried()
    try:
        content: dict[str, Any] = json.loads(state)
        version = content["version"]
    except (ValueError, KeyError, TypeError) as damage:
        raise StateError(_ADVICE.format(what="is damaged")) from damage
    if version != VERSION:
        what = f"has version {version}, this Isthmus reads {VERSION}"
        raise StateError(_ADVICE.format(what=what))
    try:
        return _carried(content)
    except (KeyError, TypeError, ValueError) as damage:
        raise StateError(_ADVICE.format(what="is damaged")) from damage


def _carried(content: dict[str, Any]) -> Carried:
    return Carried(
        counters={key: Reading(*values) for key, values in content["counters"].items()},
        held={key: Held(*values) for key, values in content["held"].items()},
        pulses={key: Pulses(*values) for key, values in content["pulses"].items()},
        derived={key: _derived(values) for key, values in content.get("derived", {}).items()},
        kept={key: Kept(*values) for key, values in content.get("kept", {}).items()},
        fresh={tag: Fresh(*values) for tag, values in content.get("fresh", {}).items()},
        awaited=set(content["awaited"]),
        moved=content["moved"],
        unknown_since=content["unknown_since"],
        opened=content["opened"],
    )


def _derived(values: list[Any]) -> Derived:
    known, at, name, inputs, since, latched, unknown = values
    return Derived(
        values=inputs,
        known=known,
        at=at,
        name=name,
        since={int(number): Since(*times) for number, times in since.items()},
        latched=frozenset(latched),
        unknown=frozenset(unknown),
    )


def encode(carried: Carried) -> bytes:
    content = {
        "version": VERSION,
        "counters": {key: (r.time, r.value, r.rest) for key, r in carried.counters.items()},
        "held": {key: (h.time, h.name) for key, h in carried.held.items()},
        "pulses": {key: (p.status, p.at, p.seen) for key, p in carried.pulses.items()},
        "derived": {
            key: (
                d.known,
                d.at,
                d.name,
                d.values,
                {number: (since.time, since.seen) for number, since in d.since.items()},
                sorted(d.latched),
                sorted(d.unknown),
            )
            for key, d in carried.derived.items()
        },
        "kept": {key: (k.time, k.amount) for key, k in carried.kept.items()},
        "fresh": {tag: (f.time, f.seen, f.value, f.stale) for tag, f in carried.fresh.items()},
        "awaited": sorted(carried.awaited),
        "moved": carried.moved,
        "unknown_since": carried.unknown_since,
        "opened": carried.opened,
    }
    return json.dumps(content, separators=(",", ":")).encode()  # fmt: skip


_ADVICE = (
    "the carried state of this source {what}: counters have no baseline. "
    "Samples are kept raw; start the version that wrote it, or replay the source without state."
)
