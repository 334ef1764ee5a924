"""The folder itself: which files are complete, and where they go. Blocking."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from isthmus.base.clock import iso
from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.files.progress import Begun
from isthmus.field.connectors.files.spec import FilesSource

_UNFINISHED: Final = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".reason.txt")
OVERDUE: Final = 600.0
"""Seconds after which a file that is not complete is named."""
SHELVES: Final = ("done", "failed")
_NO_SHELF: Final = "`{}`, which we made in it, is gone; make it again if it was deleted"


@dataclass(frozen=True)
class Drop:
    """A complete file."""

    path: Path
    size: int
    modified: int

    def is_still(self, begun: Begun) -> bool:
        return (self.size, self.modified) == (begun.size, begun.modified)


@dataclass(frozen=True)
class _Seen:
    """How a file looked, and since when (monotonic)."""

    size: int
    modified: int
    since: float
    first: float
    """When it was seen first, however it has changed since."""


class Folder:
    """One folder of one source."""

    def __init__(self, source: str, spec: FilesSource) -> None:
        self._source = source
        self._spec = spec
        self.path = Path(spec.folder)
        self._seen: dict[str, _Seen] = {}
        self._device = 0
        self._said: set[str] = set()

    def prepare(self, *, known: bool) -> None:
        """Look whether it is there; `known`: we have moved files in it before."""
        status = self._status()
        self._device = status.st_dev
        if self._spec.after == "leave":
            return
        try:
            for shelf in SHELVES:
                if known and not (self.path / shelf).is_dir():
                    raise self._gone(_NO_SHELF.format(shelf))
                (self.path / shelf).mkdir(exist_ok=True)
        except OSError as error:
            raise Refused(
                f"source `{self._source}`: cannot make `done` and `failed` in {self.path} "
                f"({error.strerror}): allow this user to write there, or set `after: leave`"
            ) from None

    def complete(self) -> list[Drop]:
        """Files that nobody writes any more, the oldest first."""
        if self._status().st_dev != self._device:
            raise self._gone("another file system is mounted there")
        found = self._look()
        if self._spec.after == "move" and not (self.path / SHELVES[0]).is_dir():
            raise self._gone(_NO_SHELF.format(SHELVES[0]))
        now = time.monotonic()
        before, self._seen = self._seen, {}
        drops = []
        for name, status in found.items():
            if not self._wanted(name):
                continue
            seen = before.get(name)
            if seen is None or (seen.size, seen.modified) != (status.st_size, status.st_mtime_ns):
                first = now if seen is None else seen.first
                seen = _Seen(status.st_size, status.st_mtime_ns, now, first)
            self._seen[name] = seen
            if self._is_ready(name, found, now - seen.since):
                drops.append(Drop(self.path / name, status.st_size, status.st_mtime_ns))
                self._said.discard(name)
                self._seen[name] = replace(seen, first=now)
        return sorted(drops, key=lambda drop: (drop.modified, drop.path.name))

    def overdue(self) -> list[str]:
        """Files that have not become complete for long; each is named once."""
        limit = time.monotonic() - OVERDUE
        late = [name for name, seen in self._seen.items() if seen.first < limit]
        new = [name for name in late if name not in self._said]
        self._said.update(new)
        return new

    def file_away(self, name: str, begun: Begun, why: Sequence[str], *, failed: bool) -> bool:
        """Move it, with a text beside it where there is something to say; False: it has changed."""
        path = self.path / name
        target = _free(self.path / SHELVES[failed] / name)
        try:
            status = path.stat()
            if (status.st_size, status.st_mtime_ns) != (begun.size, begun.modified):
                return False
            if why:  # first: a file that lies there without its reason would say that all is well
                lines = "".join(f"{line}\n" for line in why)
                target.with_name(f"{target.name}.reason.txt").write_text(lines, encoding="utf-8")
            path.rename(target)
            if self._spec.ready == "marker":
                (self.path / f"{name}{self._spec.marker}").unlink(missing_ok=True)
        except FileNotFoundError:
            return True  # taken away by somebody else after we had read it
        except OSError as error:
            raise Refused(
                f"source `{self._source}`: {name} is on our disk, but cannot be moved "
                f"({error.strerror}): allow this user to write in {self.path}, "
                "or set `after: leave`"
            ) from None
        return True

    def _is_ready(self, name: str, found: dict[str, os.stat_result], unchanged: float) -> bool:
        if self._spec.ready == "marker":
            return f"{name}{self._spec.marker}" in found
        return unchanged >= self._spec.settle

    def _wanted(self, name: str) -> bool:
        lower = name.lower()
        if name.startswith((".", "~$")) or lower.endswith(_UNFINISHED):
            return False
        if self._spec.ready == "marker" and name.endswith(self._spec.marker):
            return False
        return any(fnmatch(lower, pattern.lower()) for pattern in self._spec.files)

    def _status(self) -> os.stat_result:
        try:
            return self.path.stat()
        except PermissionError:
            raise self._forbidden() from None
        except OSError as error:
            raise self._gone(str(error.strerror)) from None

    def _look(self) -> dict[str, os.stat_result]:
        try:
            return dict(self._entries())
        except PermissionError:
            raise self._forbidden() from None
        except OSError as error:
            raise self._gone(str(error.strerror)) from None

    def _entries(self) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(self.path) as listing:
            for entry in listing:
                with suppress(FileNotFoundError):  # taken away between the two calls
                    if entry.is_file():
                        yield entry.name, entry.stat()

    def _gone(self, why: str) -> Unreachable:
        return Unreachable(
            f"source `{self._source}`: cannot read {self.path} ({why}). Is the share mounted? "
            f"`isthmus probe {self._source}` tries now."
        )

    def _forbidden(self) -> Refused:
        return Refused(
            f"source `{self._source}`: this user may not list {self.path}: allow it to read there"
        )


_ADVICE: Final = (
    "Correct what is declared of this source and move the file back: "
    "only the rows that could not be taken are read again."
)


def told(name: str, begun: Begun, taken: int, at: int) -> list[str]:
    """What stands beside a file of which some rows could not be taken."""
    return [
        f"{name}, {iso(at)}: {begun.bad_rows} rows could not be taken, {taken} were.",
        _ADVICE,
        *begun.problems,
        *(["…"] if begun.bad_rows > len(begun.problems) else []),
    ]


def _free(target: Path) -> Path:
    number, free = 1, target
    while free.exists():
        number += 1
        free = target.with_name(f"{target.stem}-{number}{target.suffix}")
    return free
