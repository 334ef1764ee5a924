"""Memory nobody needs any more goes back to the system, in a process that runs for months.

SQLite, DuckDB and Arrow take and free blocks of many sizes in many threads. The C library keeps
what is freed for the next one who asks, and pages of it stay behind half empty.
"""

import ctypes
import sys
from typing import Final

# Of glibc; musl, macOS and Windows have neither, and decide by themselves.
_LIBRARY: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_ARENA_MAX: Final = -8
"""M_ARENA_MAX of malloc.h."""


def few_arenas() -> None:
    """Two for all threads, not eight per core: what one has freed serves the others."""
    _call("mallopt", _ARENA_MAX, 2)


def give_back() -> None:
    """A few milliseconds, in which others may go on."""
    _call("malloc_trim", 0)


def _call(name: str, *values: int) -> None:
    function = getattr(_LIBRARY, name, None)
    if function is not None:
        function(*values)
