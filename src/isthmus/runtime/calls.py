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
    work: Coroutine[Any, Any, T], seconds: float, doing: str, stopping: asyncio.Future[Any] | None
) -> T | None:
    """The result; None when `stopping` came first. Unreachable if it takes longer than `seconds`.

    A connector has its own, shorter timeouts; this bounds a call that hangs in spite of them.
    """
    task = asyncio.ensure_future(work)
    awaited = {task} if stopping is None else {task, stopping}
    try:
        await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
    except (Unreachable, Refused):
        raise
    except Exception as error:
        raise FaultError(f"{type(error).__name__} while {doing}: {error}.") from error
    finally:
        await _end(task)
    if stopping is not None and stopping.done():
        return None
    raise Unreachable(f"no answer for {seconds:g} s while {doing}.")


async def _end(task: asyncio.Future[Any]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_SECONDS)


async def noticed(
    work: Coroutine[Any, Any, T], seconds: float, late: Callable[[], Coroutine[Any, Any, None]]
) -> T:
    """The result; if it takes longer than `seconds`, `late` is called meanwhile."""
    loop = asyncio.get_running_loop()
    called: list[asyncio.Task[None]] = []
    timer = loop.call_later(seconds, lambda: called.append(loop.create_task(late())))
    try:
        return await work
    except asyncio.CancelledError:
        for one in called:
            one.cancel()
        raise
    finally:
        timer.cancel()
        for one in called:
            await one
