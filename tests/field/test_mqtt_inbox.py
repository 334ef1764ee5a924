"""What waits between the event loop and a connector."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.field.mqtt import inbox as module
from isthmus.field.mqtt.inbox import Inbox, Message
from isthmus.field.mqtt.publications import PUBLISH, QOS_1, RETAINED, Published

NOW = 1_700_000_000_000_000


@dataclass
class Clock:
    """Stands still until it is told to go."""

    at: int = NOW
    speed: float = 1.0

    def now(self) -> int:
        return self.at


def told(number: int, head: int = PUBLISH) -> Published:
    return b"cell/temp", str(number).encode(), head, number if head & QOS_1 else 0


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), max_size=8))
def test_no_two_messages_are_received_at_one_time_and_all_keep_their_order(batches):
    clock = Clock()
    inbox = Inbox(clock)
    for size, step in batches:
        inbox.add([told(number) for number in range(size)])
        clock.at += step
    found = [message for batch in inbox.take(100) for message in batch.messages()]
    received = [message.received for message in found]
    assert received == sorted(set(received))
    assert [int(message.payload) for message in found] == [
        number for size, _ in batches for number in range(size)
    ]


def test_a_message_tells_what_the_publication_said():
    inbox = Inbox(Clock())
    inbox.add([told(1), told(2, PUBLISH | RETAINED | QOS_1), (b"\xff", b"3", PUBLISH, 0)])
    (batch,) = inbox.take(1)
    assert list(batch.messages()) == [
        Message("cell/temp", b"1", retained=False, received=NOW),
        Message("cell/temp", b"2", retained=True, received=NOW + 1),
        Message("", b"3", retained=False, received=NOW + 2),
    ]
    assert batch.identifiers == [2]


def test_batches_are_taken_whole_until_there_are_enough():
    inbox = Inbox(Clock())
    for first in (0, 3, 6):
        inbox.add([told(first), told(first + 1), told(first + 2)])
    assert [len(batch.publications) for batch in inbox.take(4)] == [3, 3]
    assert inbox
    assert [len(batch.publications) for batch in inbox.take(4)] == [3]
    assert not inbox
    assert inbox.take(4) == []


def test_without_room_qos_0_is_counted_and_qos_1_is_left_to_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    inbox = Inbox(Clock())
    asked = [told(number, PUBLISH | QOS_1) for number in range(1, 6)]
    assert inbox.add([told(1), *asked[:1]]) == 1
    assert inbox.add([asked[1], told(2), asked[2], told(3)]) == 1
    assert inbox.add([told(4), asked[3]]) == 0
    assert inbox.overflowed == 3
    assert [number for batch in inbox.take(9) for number in batch.identifiers] == [1, 2]
    assert inbox.add([asked[4]]) == 1
