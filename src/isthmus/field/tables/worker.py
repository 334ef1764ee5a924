"""Calls that block (a driver, a network share) in a thread that nobody waits for too long."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

T = TypeVar("T")

_BUSY: Final[set[str]] = set()
"""Where something is at work. A share that hangs would take another thread with every try."""


class Worker:
    """One call at a time for one place, also after its connector was given up."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._ended = asyncio.Event()
        self._ended.set()

    async def call(
        self, work: Callable[[], T], seconds: float, interrupt: Callable[[], None] | None = None
    ) -> T:
        """The result of `work`; TimeoutError after so many seconds, or while a call still hangs.

        `interrupt` is called when nobody waits any more, and should make `work` end.
        """
        if self._place in _BUSY:
            raise TimeoutError("an earlier call still waits for an answer")
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        _BUSY.add(self._place)
        self._ended.clear()
        run = threading.Thread(
            target=self._run, args=(work, loop, result), name=self._place, daemon=True
        )
        run.start()
        try:
            done, _ = await asyncio.wait({result}, timeout=seconds)
        except asyncio.CancelledError:
            _give_up(result, interrupt)
            raise
        if not done:
            _give_up(result, interrupt)
            raise TimeoutError(f"no answer within {seconds:g} s")
        return result.result()

    async def ended(self, seconds: float) -> bool:
        """Whether the last call ends within so many seconds."""
        if self._ended.is_set():
            return True
        try:
            await asyncio.wait_for(self._ended.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _run(
        self,
        work: Callable[[], T],
        loop: asyncio.AbstractEventLoop,
        result: "asyncio.Future[T]",
    ) -> None:
        value: T | None = None
        failed: BaseException | None = None
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            failed = error
        _BUSY.discard(self._place)
        # With RuntimeError the loop has ended, and nobody waits any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._tell, result, value, failed)
        failed = None  # its traceback holds this frame: a circle would keep a driver's socket open

    def _tell(
        self, result: "asyncio.Future[T]", value: T | None, failed: BaseException | None
    ) -> None:
        self._ended.set()
        if result.cancelled():
            return
        if failed is not None:
            result.set_exception(failed)
        else:
            result.set_result(cast("T", value))


def _give_up(result: "asyncio.Future[Any]", interrupt: Callable[[], None] | None) -> None:
    result.cancel()
    if interrupt is not None:
        interrupt()
