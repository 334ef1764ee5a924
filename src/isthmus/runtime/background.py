"""Work of a page that goes on behind it: how it ended is shown, a fault of ours is logged, too."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from isthmus.field.connector import Refused, Unreachable, Unsupported

LOG: Final = logging.getLogger("isthmus")

T = TypeVar("T")


def begun(work: Coroutine[Any, Any, T], doing: str) -> asyncio.Task[T]:
    """A task whose failure is never lost, whether or not somebody looks at it again."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: _ended(done, doing))
    return task


def told(error: BaseException) -> str:
    """For a person: what a connector says, or that it is our fault."""
    if isinstance(error, Unreachable | Refused | Unsupported):
        return str(error)
    return f"{type(error).__name__}: {error}. This is a fault of Isthmus; its log has more."


def _ended(task: asyncio.Task[Any], doing: str) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, Unreachable | Refused | Unsupported):
        LOG.error("a fault while %s", doing, exc_info=error)
