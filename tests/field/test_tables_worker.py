"""Calls that block: bounded in time, one at a time, and never one more thread for each try."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from isthmus.field.tables.worker import Worker


@pytest.fixture
def share() -> Iterator[threading.Event]:
    """A share that hangs until it is set."""
    hangs = threading.Event()
    yield hangs
    hangs.set()


async def test_a_result_and_an_error_come_back():
    worker = Worker("here")
    assert await worker.call(lambda: 7, 1.0) == 7
    with pytest.raises(ZeroDivisionError):
        await worker.call(lambda: 1 // 0, 1.0)
    assert await worker.ended(0)


async def test_a_share_that_hangs_costs_one_thread_however_often_it_is_tried(share):
    with pytest.raises(TimeoutError, match="no answer within"):
        await Worker("there").call(share.wait, 0.02)
    for _ in range(5):
        again = Worker("there")
        with pytest.raises(TimeoutError, match="still waits"):
            await again.call(share.wait, 0.02)
    assert [thread.name for thread in threading.enumerate()].count("there") == 1
    assert await Worker("elsewhere").call(lambda: 1, 1.0) == 1


async def test_it_answers_again_when_the_share_does(share):
    worker = Worker("back")
    with pytest.raises(TimeoutError):
        await worker.call(share.wait, 0.02)
    assert not await worker.ended(0.02)
    share.set()
    assert await worker.ended(5)
    assert await worker.call(lambda: 1, 1.0) == 1


async def test_a_call_nobody_waits_for_is_interrupted(share):
    worker = Worker("left")
    call = asyncio.create_task(worker.call(share.wait, 60, share.set))
    await asyncio.sleep(0.02)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert await worker.ended(5)
