"""What was read of which file, as the bytes that the log keeps: pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

VERSION: Final = 1
_KEEP_TAKEN: Final = 1_000
"""Contents that are remembered of files that were moved away."""
SHOWN: Final = 20
"""Problems of one file that are told one by one."""

Ranges = tuple[tuple[int, int], ...]
"""Rows from … to …, both counted from 1 among the data rows."""


class NewerError(ValueError):
    """The position was written by a newer Isthmus."""


@dataclass(frozen=True)
class Begun:
    """A file of which something was read, and that is still in the folder."""

    size: int
    modified: int
    content: str
    """Checksum of all of its bytes."""
    rows: int = 0
    """Data rows that were read."""
    prefix: str = ""
    """Checksum of those rows: a file that has grown begins with them."""
    ended: bool = False
    bad: Ranges = ()
    """Rows that could not be taken."""
    problems: tuple[str, ...] = ()

    def with_bad(self, ordinal: int, problem: str) -> "Begun":
        bad = self.bad
        if bad and bad[-1][1] == ordinal - 1:
            bad = (*bad[:-1], (bad[-1][0], ordinal))
        else:
            bad = (*bad, (ordinal, ordinal))
        shown = self.problems if len(self.problems) >= SHOWN else (*self.problems, problem)
        return replace(self, bad=bad, problems=shown)

    @property
    def bad_rows(self) -> int:
        return sum(last - first + 1 for first, last in self.bad)


@dataclass(frozen=True)
class Progress:
    """Where the reading of one folder stands."""

    folder: str
    """In which we have made our own folders."""
    begun: dict[str, Begun] = field(default_factory=dict)
    """By name."""
    taken: dict[str, Ranges] = field(default_factory=dict)
    """By content, the oldest first: the rows of it that could not be taken."""
    last: Mapping[str, Any] = field(default_factory=dict)
    """Newest values, where they are to be repeated."""

    def with_file(self, name: str, begun: Begun) -> "Progress":
        return replace(self, begun={**self.begun, name: begun})

    def with_taken(self, content: str, bad: Ranges) -> "Progress":
        taken = {known: rows for known, rows in self.taken.items() if known != content}
        taken[content] = bad
        present = {begun.content for begun in self.begun.values()}
        surplus = max(0, len(taken) - _KEEP_TAKEN)
        for known in [known for known in taken if known not in present][:surplus]:
            del taken[known]
        return replace(self, taken=taken)

    def without(self, names: Iterable[str]) -> "Progress":
        gone = set(names)
        return replace(self, begun={n: b for n, b in self.begun.items() if n not in gone})

    def encode(self) -> bytes:
        content = {
            "version": VERSION,
            "folder": self.folder,
            "begun": {name: asdict(begun) for name, begun in self.begun.items()},
            "taken": self.taken,
            "last": self.last,
        }
        return json.dumps(content, separators=(",", ":")).encode()


def resumed(position: bytes) -> Progress:
    """The progress that was kept; NewerError where we cannot read it."""
    content = json.loads(position)
    if content["version"] > VERSION:
        raise NewerError(f"the position has version {content['version']}, we read {VERSION}")
    return Progress(
        folder=content["folder"],
        begun={name: _begun(kept) for name, kept in content["begun"].items()},
        taken={known: _ranges(rows) for known, rows in content["taken"].items()},
        last=content["last"],
    )


def holds(ranges: Ranges, ordinal: int) -> bool:
    return any(first <= ordinal <= last for first, last in ranges)


def _begun(kept: dict[str, Any]) -> Begun:
    return Begun(**{**kept, "bad": _ranges(kept["bad"]), "problems": tuple(kept["problems"])})


def _ranges(rows: Iterable[Iterable[int]]) -> Ranges:
    return tuple((first, last) for first, last in rows)
