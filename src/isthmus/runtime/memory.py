"""Memory nobody needs any more goes back to the system, in a process that runs for months.

SQLite, DuckDB and Arrow take and free blocks of many sizes in many threads. The C library keeps
what is freed for the next one who asks, and pages of it stay behind half empty.
"""

import ctypes
import sys
from typing import Final

# Of glibc; musl, macOS and Windows have none, and decide by themselves.
_TRIM: Final = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def give_back() -> None:
    """A few milliseconds, in which others may go on."""
    if _TRIM is not None:
        _TRIM(0)
