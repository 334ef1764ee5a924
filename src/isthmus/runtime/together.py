"""How the processes of one computer count together what they ask of a device: by small files.

A lock holds a connection, or keeps others away while a request is counted. The kernel gives it back
however a process ends. Where there are no such locks (Windows) every process counts for itself.
"""

import os
import tempfile
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

_PATIENCE: Final = 1.0
"""Seconds for who counts a request, which takes microseconds, unless he was stopped amid it."""


@dataclass(frozen=True)
class Place:
    """A folder of such files."""

    folder: Path
    private: bool = False
    """Others may write beside it: it is used only while it is ours and nobody else's to write."""


def places(data: Path) -> tuple[Place, ...]:
    """For who uses this data folder, and for all of this user on this computer.

    The second is not the folder of his session: a service has none, and it ends with the session.
    """
    own = Place(data / "connections")
    if fcntl is None:
        return (own,)
    with suppress(OSError):  # nowhere to write
        return own, Place(Path(tempfile.gettempdir()) / f"isthmus-{os.getuid()}", private=True)
    return (own,)


def locked(place: Place, name: str) -> int | None:
    """A handle that holds the file until it is closed; None while somebody else holds it.

    OSError where nothing can be held: a full disk, a folder of somebody else.
    """
    if fcntl is None:
        raise OSError("no locks on this system")
    handle = _opened(place, name)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        os.close(handle)
        raise
    return handle


def _opened(place: Place, name: str) -> int:
    folder = _folder(place)
    try:
        if place.private and not _is_ours_alone(os.fstat(folder)):
            raise PermissionError(f"{place.folder} is not ours alone")
        # Through the folder that was looked at: nobody can put another one in between.
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    finally:
        os.close(folder)


def _folder(place: Place) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if place.private else 0)
    try:
        return os.open(place.folder, flags)
    except FileNotFoundError:
        place.folder.mkdir(mode=0o700 if place.private else 0o777, parents=True, exist_ok=True)
        return os.open(place.folder, flags)


def _is_ours_alone(folder: os.stat_result) -> bool:
    return folder.st_uid == os.getuid() and not folder.st_mode & 0o077


class Asked:
    """When a device was asked last, told between processes: a `Together` of its allowance.

    The files hold these times by the monotonic clock, which all processes share. It begins anew
    when the computer starts: a time ahead of it is older than that, and no longer matters.
    """

    def __init__(self, places: Sequence[Place], name: str) -> None:
        self._places = places
        self._name = name
        self._waiting_since: float | None = None

    @contextmanager
    def __call__(self, sent: "array[float]") -> Iterator[bool]:
        handles: list[int] = []
        try:
            if free := self._take(handles):
                for handle in handles:
                    _learn(sent, handle)
            yield free
            if free:
                for handle in handles:
                    _tell(sent, handle)
        finally:
            for handle in handles:
                os.close(handle)

    def _take(self, handles: list[int]) -> bool:
        """Lock all files that can be; False while one is locked by somebody else."""
        for place in self._places:
            with suppress(OSError):  # then we count for ourselves, which harms nobody's data
                if (handle := locked(place, self._name)) is not None:
                    handles.append(handle)
                elif self._is_patient():
                    return False
        if len(handles) == len(self._places):
            self._waiting_since = None
        return True

    def _is_patient(self) -> bool:
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        return now - self._waiting_since < _PATIENCE


def _learn(sent: "array[float]", handle: int) -> None:
    with suppress(OSError):
        there = os.pread(handle, os.fstat(handle).st_size // 8 * 8, 0)
        if there != sent.tobytes():
            now = time.monotonic() + 0.001  # two of one moment are told apart by a trifle
            theirs = [one for one in array("d", there) if one < now]
            sent[:] = array("d", sorted({*sent, *theirs}))


def _tell(sent: "array[float]", handle: int) -> None:
    """Killed between the two calls we leave some times that are too old to matter."""
    with suppress(OSError):
        os.pwrite(handle, sent.tobytes(), 0)
        os.ftruncate(handle, 8 * len(sent))
