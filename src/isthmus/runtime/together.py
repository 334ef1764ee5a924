"""How the processes of one computer count together what they ask of a device: by small files.

A lock holds a connection, or keeps others away while a request is counted. The kernel gives it back
however a process ends. Where there are no such locks (Windows) every process counts for itself.
"""

import os
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

_PATIENCE: Final = 1.0
"""Seconds for who counts a request, which takes microseconds, unless he was stopped amid it."""


def locked(file: Path) -> int | None:
    """A handle that holds the file until it is closed; None while somebody else holds it.

    OSError where nothing can be held: a full disk, a folder of somebody else.
    """
    if fcntl is None:
        raise OSError("no locks on this system")
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        os.close(handle)
        raise
    return handle


class Asked:
    """When a device was asked last, told between processes: a `Together` of its allowance.

    Each file holds these times by the monotonic clock, which all processes share. It begins anew
    when the computer starts: a time ahead of it is older than that, and no longer matters.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
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
        for file in self._files:
            with suppress(OSError):  # then we count for ourselves, which harms nobody's data
                file.parent.mkdir(parents=True, exist_ok=True)
                if (handle := locked(file)) is not None:
                    handles.append(handle)
                elif self._is_patient():
                    return False
        if len(handles) == len(self._files):
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
