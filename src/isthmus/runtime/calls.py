"""Calls of a connector that always end: in time, when we are stopped, and with errors we know."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from isthmus.field.connector import Refused, Unreachable

T = TypeVar("T")

_CANCEL_SECONDS: Final = 5.0


class FaultError(Exception):
    """A connector raised what its contract does not know."""


async def bounded(
    work: Coroutine[Any, Any, T], seconds: float, doing: str, stopping: asyncio.Event | None
) -> T | None:
    """The result; None when `stopping` came first. Unreachable if it takes longer than `seconds`.

    A connector has its own, shorter timeouts; this bounds a call that hangs in spite of them.
    """
    task = asyncio.ensure_future(work)
    awaited: set[asyncio.Future[Any]] = {task}
    if stopping is not None:
        awaited.add(asyncio.ensure_future(stopping.wait()))
    try:
        await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
    except (Unreachable, Refused):
        raise
    except Exception as error:
        raise FaultError(f"{type(error).__name__} while {doing}: {error}.") from error
    finally:
        await _end(awaited)
    if stopping is not None and stopping.is_set():
        return None
    raise Unreachable(f"no answer for {seconds:g} s while {doing}.")


async def _end(tasks: set[asyncio.Future[Any]]) -> None:
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending, timeout=_CANCEL_SECONDS)


async def noticed(
    work: Coroutine[Any, Any, T], seconds: float, late: Callable[[], Coroutine[Any, Any, None]]
) -> T:
    """The result; if it takes longer than `seconds`, `late` is called meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            await late()
        return await task
    finally:
        await _end({task})
