"""A drop folder: CSV and Excel files that somebody or something puts there."""

import fcntl
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, ClassVar, Literal

import xxhash
from pydantic import Field, model_validator

from isthmus.base.clock import iso
from isthmus.model.spec.words import Seconds, Spec
from isthmus.provision.columns import Column, ColumnMap, check_columns
from isthmus.provision.entities import EntityName
from isthmus.provision.sheet import Delimiter, Encoding, Layout, UnreadableError, records
from isthmus.provision.system import (
    BusinessSpec,
    Changes,
    Delivery,
    Receipt,
    Refused,
    System,
    Unreachable,
)

_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart")


class FileEntity(Spec):
    """Which files hold an entity, and in which columns."""

    files: str | list[str]
    """Name pattern such as `orders*.xlsx`; upper and lower case are the same."""
    sheet: str | None = None
    """Sheet of a workbook; without it the first one."""
    header: int = Field(default=1, ge=1, le=1000)
    """Row with the column names, counted from 1."""
    columns: ColumnMap
    complete: bool = False
    """Each file holds everything there is: what is missing in it has been withdrawn."""

    def matches(self, name: str) -> bool:
        patterns = [self.files] if isinstance(self.files, str) else self.files
        return any(fnmatch(name.lower(), pattern.lower()) for pattern in patterns)


class FilesSpec(BusinessSpec):
    """A folder into which an ERP, a person or a transfer program drops CSV or Excel files."""

    kind: Literal["files"] = "files"
    folder: str = Field(min_length=1)
    """Absolute, or below the platform's data folder. It must exist; `done` and `failed` are made
    in it."""
    encoding: Encoding = "auto"
    """Of CSV files. `auto`: byte order mark, else UTF-8, else Windows-1252."""
    delimiter: Delimiter = "auto"
    """Of CSV files. `auto`: the sign that finds the declared columns in the header."""
    decimal: Literal[".", ","] = "."
    """Sign before the decimals of numbers that are written as text."""
    thousands: Literal["", ".", ",", " ", "'"] = ""
    """Sign between groups of three digits; empty: there is none."""
    settle: Seconds = 2.0
    """A file is read when neither its size nor its time has changed for this long."""
    max_mb: int = Field(default=100, ge=1, le=4096)
    """Larger files are refused."""
    entities: dict[EntityName, FileEntity] = Field(min_length=1)

    @model_validator(mode="after")
    def _columns_fit(self) -> "FilesSpec":
        for name, entity in self.entities.items():
            check_columns(name, entity.columns)
        if self.decimal == self.thousands:
            raise ValueError("`decimal` and `thousands` are the same sign")
        return self

    def columns(self, entity: EntityName) -> Mapping[str, Column]:
        return self.entities[entity].columns

    @property
    def declared(self) -> tuple[EntityName, ...]:
        return tuple(self.entities)

    @property
    def signs(self) -> tuple[str, str]:
        return self.decimal, self.thousands


@dataclass(frozen=True)
class _Seen:
    """How a file looked, and since when it has looked so."""

    size: int
    modified: int
    since: float

    def same(self, status: os.stat_result) -> bool:
        return (self.size, self.modified) == (status.st_size, status.st_mtime_ns)


class FilesSystem(System[FilesSpec]):
    """Reads settled files, and moves them to `done` or `failed` once they are recorded.

    The same file may hold several entities: it is moved after all of them have it.
    """

    Spec: ClassVar[type[BusinessSpec]] = FilesSpec
    seconds: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.drop = self.folder / self.spec.folder
        self._seen: dict[Path, _Seen] = {}
        self._round: list[Path] | None = None
        self._unreadable: dict[Path, str] = {}

    def pull(self, entity: EntityName, since: str) -> Changes:  # noqa: ARG002 - content tells
        """Settled files of this entity, oldest first."""
        if self._round is None:
            self._round = self._settled()
        wanted = self.spec.entities[entity]
        paths = [path for path in self._round if wanted.matches(path.name)]
        found = (self._delivery(path, wanted) for path in paths)
        return Changes(tuple(delivery for delivery in found if delivery is not None))

    def acknowledge(self, receipts: Sequence[Receipt]) -> None:
        """Move what was read, with a text beside it that says what is wrong in it."""
        waiting, self._round = self._round or [], None
        stuck = ""
        for path in waiting:
            own = [receipt for receipt in receipts if receipt.origin == path.name]
            try:
                if own:
                    self._file_away(path, own)
            except OSError as error:
                stuck = f"{path.name} is recorded, but cannot be moved ({error.strerror})"
        if stuck:
            raise Refused(f"{stuck}: allow this user to write in {self.drop}")

    def notices(self) -> list[str]:
        """Files that lie there and are not read, because nobody asks for them or may read them."""
        asked = self.spec.entities.values()
        left = [
            f"{path.name} matches no entity of this system and is left alone"
            for path in sorted(self._seen)
            if not any(entity.matches(path.name) for entity in asked)
        ]
        return left + [
            f"{path.name} cannot be read ({why}) and stays where it is"
            for path, why in self._unreadable.items()
        ]

    def _settled(self) -> list[Path]:
        now = self.seconds()
        found = self._look()
        self._unreadable = {}
        before, self._seen = self._seen, {}
        settled = []
        for path, status in found.items():
            seen = before.get(path)
            if seen is None or not seen.same(status):
                seen = _Seen(status.st_size, status.st_mtime_ns, now)
            elif now - seen.since >= self.spec.settle and not _in_use(path):
                settled.append(path)
            self._seen[path] = seen
        return sorted(settled, key=lambda path: (found[path].st_mtime_ns, path.name))

    def _look(self) -> dict[Path, os.stat_result]:
        try:
            with os.scandir(self.drop) as listing:
                entries = list(listing)
        except PermissionError as error:
            raise Refused(f"may not list {self.drop}: allow this user to read it") from error
        except OSError as error:
            raise Unreachable(
                f"cannot list {self.drop} ({error.strerror}): is the share mounted?"
            ) from error
        found = {}
        for entry in entries:
            with suppress(FileNotFoundError):  # taken away between the two calls
                if entry.is_file() and not _unfinished(entry.name):
                    found[Path(entry.path)] = entry.stat()
        return found

    def _delivery(self, path: Path, entity: FileEntity) -> Delivery | None:
        """None where the file cannot be read: that must not keep the others back."""
        try:
            data = self._bytes(path)
            layout = Layout(entity.header, entity.sheet, self.spec.encoding, self.spec.delimiter)
            needed = [name for column in entity.columns.values() for name in column.reads]
            rows = records(path.name, data, layout, list(dict.fromkeys(needed)))
        except UnreadableError as error:
            return Delivery(path.name, fault=error.fault)
        except OSError as error:
            self._unreadable[path] = str(error.strerror)
            return None
        content = xxhash.xxh3_128_hexdigest(data)
        return Delivery(path.name, tuple(rows), content, complete=entity.complete)

    def _bytes(self, path: Path) -> bytes:
        if self._seen[path].size > self.spec.max_mb * 2**20:
            raise UnreadableError("Q120", f"is larger than `max_mb: {self.spec.max_mb}`")
        return path.read_bytes()

    def _file_away(self, path: Path, receipts: Sequence[Receipt]) -> None:
        failed = any(receipt.failed for receipt in receipts)
        shelf = self.drop / ("failed" if failed else "done")
        stamp = iso(self.clock.now())[:19].replace("-", "").replace(":", "")
        target = _free(shelf / f"{stamp}Z_{path.name}")
        try:
            shelf.mkdir(exist_ok=True)
            path.rename(target)
            if not self._seen[path].same(target.stat()):
                # Somebody went on writing: what we read is recorded, the rest is read next time.
                target.rename(path)
                return
        except FileNotFoundError:
            return  # taken away after we had read it
        text = _explained(receipts)
        if text:
            target.with_name(f"{target.name}.reason.txt").write_text(text, encoding="utf-8")


def _unfinished(name: str) -> bool:
    """Still being written by its name, or a note that an editor leaves beside its file."""
    return name.startswith((".", "~$")) or name.lower().endswith(_UNFINISHED)


def _in_use(path: Path) -> bool:
    editors = (path.with_name(f"~${path.name}"), path.with_name(f".~lock.{path.name}#"))
    return any(editor.exists() for editor in editors) or _locked(path)


def _locked(path: Path) -> bool:
    """Whether a program holds an exclusive lock."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # reading it will say why
    return False


def _free(target: Path) -> Path:
    number = 1
    free = target
    while free.exists():
        number += 1
        free = target.with_name(f"{target.stem}-{number}{target.suffix}")
    return free


def _explained(receipts: Sequence[Receipt]) -> str:
    lines: list[str] = []
    for receipt in receipts:
        if receipt.failed:
            lines.append(f"{receipt.entity}: nothing was read: {receipt.failed}")
        elif receipt.repeated:
            lines.append(f"{receipt.entity}: the same content was taken before; nothing changed")
        elif receipt.faults:
            bad = len(receipt.faults)
            lines.append(
                f"{receipt.entity}: {bad} of {receipt.records} rows went to quarantine, "
                "the others were taken"
            )
            lines += [f"  {fault}" for fault in receipt.faults]
    return "".join(f"{line}\n" for line in lines)
