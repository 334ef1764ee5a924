"""When a socket is read: at once while it is quiet, every few milliseconds while it is busy."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

REST: Final = 0.01
"""Seconds in which what follows closely gathers: a turn of the event loop costs as much as a dozen
messages. So much later than it came does a message of a busy broker count as received, at most."""
AT_ONCE: Final = 65_536
"""Bytes per system call; what is more waits for the next turn of the event loop."""


class Turns:
    """Calls `read` whenever the socket has something; `close` before the socket is closed."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: Any,
        read: Callable[[], int],
        may_rest: Callable[[], bool],
    ) -> None:
        """`read` says how many bytes came; `may_rest` is false while the sender waits for us."""
        self._loop = loop
        self._sock = sock
        self._read = read
        self._may_rest = may_rest
        self._last = 0.0
        self._rest: asyncio.TimerHandle | None = None
        self._closed = False
        loop.add_reader(sock, self._came)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock)
        if self._rest is not None:
            self._rest.cancel()

    def _came(self) -> None:
        """After silence nothing waits; what comes soon after it does."""
        last, self._last = self._last, self._loop.time()
        busy = self._last - last < REST
        came = self._read()
        if busy and not self._closed and came < AT_ONCE and self._may_rest():
            self._loop.remove_reader(self._sock)
            self._rest = self._loop.call_later(REST, self._rested)

    def _rested(self) -> None:
        came = self._read()
        if self._closed:
            return
        if came and self._may_rest():
            self._rest = self._loop.call_later(REST if came < AT_ONCE else 0.0, self._rested)
            return
        self._rest = None
        self._last = self._loop.time()
        self._loop.add_reader(self._sock, self._came)
