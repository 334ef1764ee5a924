"""The pace of reads: polls without drift, subscriptions in parcels of a quarter of a second."""

import asyncio
from typing import cast

import pyarrow as pa
import pytest

from isthmus.field.connector import AnyConnector
from isthmus.runtime import pace as module
from isthmus.runtime.backoff import Backoff
from isthmus.runtime.calls import bounded
from isthmus.runtime.pace import PARCEL_SAMPLES, Pace
from isthmus.testing.line_device import ListeningConnector, PollingConnector

ONE = pa.table({"tag": ["t"]})
MANY = pa.table({"tag": ["t"] * PARCEL_SAMPLES})


class Watch:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    found = Watch()
    monkeypatch.setattr(module, "_wall", found)
    return found


def polling(interval: float) -> Pace:
    return Pace(cast("AnyConnector", PollingConnector), interval)


def test_polls_do_not_drift(watch: Watch) -> None:
    pace, begun = polling(1.0), []
    for took in (0.3, 0.0, 0.7, 0.2):
        begun.append(watch.now)
        watch.now += took
        pace.read(ONE)
        watch.now += pace.pause()
    assert begun == pytest.approx([100.0, 101.0, 102.0, 103.0])


def test_a_poll_that_took_too_long_skips_its_turns(watch: Watch) -> None:
    pace = polling(1.0)
    watch.now += 2.5
    pace.read(ONE)
    assert watch.now + pace.pause() == pytest.approx(103.0)


def test_fast_polls_share_a_parcel(watch: Watch) -> None:
    pace, full = polling(0.12), []
    for _ in range(4):
        pace.read(ONE)
        full.append(pace.is_full([ONE]))
        watch.now += 0.12
    assert full == [False, False, True, False]


def test_slow_polls_are_written_at_once(watch: Watch) -> None:
    pace = polling(1.0)
    pace.read(ONE)
    assert pace.is_full([ONE])


def test_what_a_subscription_brings_is_written_at_once_and_then_collected(watch: Watch) -> None:
    pace = Pace(cast("AnyConnector", ListeningConnector), 1.0)
    pace.read(ONE)
    assert pace.is_full([ONE])
    assert pace.pause() == pytest.approx(0.25)


def test_a_subscription_with_a_backlog_or_without_news_is_read_on(watch: Watch) -> None:
    pace = Pace(cast("AnyConnector", ListeningConnector), 1.0)
    for samples in (MANY, None):
        pace.read(samples)
        assert pace.pause() <= 0


def test_pauses_double_up_to_the_longest_with_jitter() -> None:
    backoff = Backoff(1.0, 30.0)
    pauses = [backoff.pause() for _ in range(8)]
    for pause, steady in zip(pauses, (1, 2, 4, 8, 16, 30, 30, 30), strict=True):
        assert 0.8 * steady <= pause <= 1.2 * steady
    backoff.reset()
    assert backoff.pause() <= 1.2


async def test_a_call_that_is_stopped_is_cancelled() -> None:
    stopping, cancelled = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def hangs() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return 1

    stopping.set_result(None)
    assert await bounded(hangs(), 60, "reading", stopping) is None
    assert cancelled.is_set()
