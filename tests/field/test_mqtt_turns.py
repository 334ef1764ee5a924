"""When a broker's socket is read; the event loop and the socket are simulated."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.field.mqtt.turns import AT_ONCE, REST, Turns


@dataclass
class Handle:
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Line:
    """An event loop with one socket, into which bytes come at given times."""

    now: float = 100.0
    waiting: int = 0
    arrived: list[float] = field(default_factory=list)
    """Since when each of the waiting ones waits."""
    reads: list[tuple[float, int]] = field(default_factory=list)
    longest_wait: float = 0.0
    listener: Callable[[], None] | None = None
    timers: list[tuple[float, int, Callable[[], None], Handle]] = field(default_factory=list)
    may_rest: bool = True
    on_read: Callable[[], None] = lambda: None

    def time(self) -> float:
        return self.now

    def add_reader(self, _sock: Any, listener: Callable[[], None]) -> None:
        self.listener = listener

    def remove_reader(self, _sock: Any) -> bool:
        was, self.listener = self.listener, None
        return was is not None

    def call_later(self, seconds: float, call: Callable[[], None]) -> Handle:
        handle = Handle()
        heapq.heappush(self.timers, (self.now + seconds, len(self.reads), call, handle))
        return handle

    def read(self) -> int:
        size = min(self.waiting, AT_ONCE)
        self.waiting -= size
        if size:
            self.longest_wait = max(self.longest_wait, self.now - self.arrived[0])
            self.arrived = self.arrived if self.waiting else []
        self.reads.append((self.now, size))
        self.on_read()
        return size

    def come(self, at: float, size: int = 100) -> None:
        """These bytes come at `at`; what is due before happens before."""
        self.run(at)
        self.waiting += size
        self.arrived.append(at)
        self._listen()

    def run(self, until: float) -> None:
        self._listen()
        while self.timers and self.timers[0][0] <= until:
            self.now, _, call, handle = heapq.heappop(self.timers)
            if not handle.cancelled:
                call()
            self._listen()
        self.now = until

    def _listen(self) -> None:
        while self.waiting and self.listener is not None:
            self.listener()

    def turns(self) -> Turns:
        loop: Any = self
        return Turns(loop, object(), self.read, lambda: self.may_rest)


def test_what_comes_after_silence_is_read_at_once():
    line = Line()
    line.turns()
    for at in (101.0, 102.0, 102.0 + 1.01 * REST):
        line.come(at)
    assert [at for at, _ in line.reads] == [101.0, 102.0, 102.0 + 1.01 * REST]


def test_what_comes_close_together_is_read_together():
    line = Line()
    line.turns()
    for number in range(100):
        line.come(101 + number * REST / 50)
    line.run(102)
    assert len(line.reads) <= 5
    assert sum(size for _, size in line.reads) == 100 * 100


def test_more_than_one_read_takes_is_read_on_without_a_rest():
    line = Line()
    line.turns()
    line.come(101.0, 5 * AT_ONCE)
    assert line.waiting == 0
    line.come(101.0 + REST / 10)
    line.come(101.0 + REST / 5, 5 * AT_ONCE)
    line.run(101.0 + 1.2 * REST)
    assert line.waiting == 0


def test_there_is_no_rest_while_the_sender_waits_for_us():
    line = Line(may_rest=False)
    line.turns()
    for number in range(100):
        line.come(101 + number * REST / 50)
    assert len(line.reads) == 100
    assert line.longest_wait == 0


def test_a_rest_that_began_ends_when_the_sender_begins_to_wait():
    line = Line()
    line.turns()
    for number in range(10):
        line.come(101 + number * REST / 50)
    line.may_rest = False
    line.run(101 + 2 * REST)
    before = len(line.reads)
    line.come(101 + 2.1 * REST)
    line.come(101 + 2.2 * REST)
    assert len(line.reads) == before + 2


@pytest.mark.parametrize("reads", [1, 2, 3])
def test_after_close_nothing_is_read_also_if_a_read_closes(reads: int) -> None:
    """The second read begins a rest, which the third one ends."""
    line = Line()
    turns = line.turns()

    def close_at_last() -> None:
        if len(line.reads) == reads:
            turns.close()

    line.on_read = close_at_last
    for number in range(40):
        line.come(101.0 + number * REST / 10)
    line.run(102.0)
    assert len(line.reads) == reads
    assert line.listener is None


def test_close_ends_a_rest():
    line = Line()
    turns = line.turns()
    line.come(101.0)
    line.come(101.0 + REST / 10)
    turns.close()
    line.come(101.0 + REST / 5)
    line.run(102.0)
    assert len(line.reads) == 2


@given(
    st.lists(st.tuples(st.floats(0, 3 * REST), st.sampled_from([1, 100, AT_ONCE, 3 * AT_ONCE]))),
)
def test_everything_is_read_and_nothing_waits_longer_than_a_rest(steps):
    line = Line()
    line.turns()
    at, sent = 101.0, 0
    for pause, size in steps:
        at, sent = at + pause, sent + size
        line.come(at, size)
    line.run(at + 2 * REST)
    assert sum(size for _, size in line.reads) == sent
    assert line.longest_wait <= REST * 1.001
