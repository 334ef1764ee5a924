"""The hub: topics, shared frames, latest wins, four a second."""

import asyncio
import json
from dataclasses import dataclass

import pytest

from isthmus.base.clock import SECOND
from isthmus.web.auth import User
from isthmus.web.live import INTERVAL, Hub, Subscriber, feed, permitted


@dataclass
class Standing:
    at: int = 1_763_380_000 * SECOND
    speed: float = 1.0

    def now(self) -> int:
        return self.at


@pytest.fixture
def hub() -> Hub:
    return Hub(Standing())


async def taken(subscriber: Subscriber) -> list[list[object]]:
    async with asyncio.timeout(2):
        return [json.loads(frame) for frame in await subscriber.take()]


async def test_a_subscriber_gets_the_present_state_at_once(hub: Hub) -> None:
    hub.publish("machine:a", {"kind": "running", "produced": 7})
    listener = Subscriber()
    hub.listen(listener, ["machine:a"])
    (frame,) = await taken(listener)
    assert frame == ["machine:a", 1, 1_763_380_000_000, {"kind": "running", "produced": 7}]


async def test_a_frame_carries_all_fields_so_that_missing_one_does_no_harm(hub: Hub) -> None:
    listener = Subscriber()
    hub.listen(listener, ["machine:a"])
    hub.publish("machine:a", {"kind": "stopped", "produced": 7})
    hub.publish("machine:a", {"produced": 8})
    (frame,) = await taken(listener)
    assert frame[3] == {"kind": "stopped", "produced": 8}


async def test_nothing_is_sent_when_nothing_changed(hub: Hub) -> None:
    listener = Subscriber()
    hub.listen(listener, ["machine:a"])
    hub.publish("machine:a", {"produced": 8})
    await taken(listener)
    hub.publish("machine:a", {"produced": 8})
    hub.publish("machine:b", {"produced": 1})
    hub.publish("machine:a", {"produced": 9})
    assert [frame[0] for frame in await taken(listener)] == ["machine:a"]


async def test_a_topic_is_sent_at_most_four_times_a_second(hub: Hub) -> None:
    listener = Subscriber()
    hub.listen(listener, ["machine:a"])
    loop = asyncio.get_running_loop()
    arrived: list[float] = []
    for produced in range(3):
        hub.publish("machine:a", {"produced": produced})
        await taken(listener)
        arrived.append(loop.time())
    assert arrived[1] - arrived[0] >= INTERVAL * 0.95
    assert arrived[2] - arrived[1] >= INTERVAL * 0.95


async def test_a_slow_client_gets_the_latest_frame_only(hub: Hub) -> None:
    slow = Subscriber()
    for sequence in range(50):
        slow.offer("machine:a", json.dumps(["machine:a", sequence, 0, {}]))
    (frame,) = await taken(slow)
    assert frame[1] == 49


async def test_a_frame_is_encoded_once_for_all(hub: Hub) -> None:
    listeners = [Subscriber() for _ in range(20)]
    for listener in listeners:
        hub.listen(listener, ["machine:a"])
    hub.publish("machine:a", {"produced": 1})
    frames = [(await listener.take())[0] for listener in listeners]
    assert all(frame is frames[0] for frame in frames)


async def test_who_left_hears_nothing_more(hub: Hub) -> None:
    listener = Subscriber()
    hub.listen(listener, ["machine:a", "machine:b"])
    assert sorted(hub.watched("machine")) == ["a", "b"]
    hub.listen(listener, ["machine:b"])
    assert hub.watched("machine") == ["b"]
    hub.listen(listener, ())
    assert hub.watched("machine") == []


async def test_live_values_are_computed_only_while_somebody_watches(hub: Hub) -> None:
    asked: list[list[str]] = []

    def compute(machines: list[str]) -> list[tuple[str, dict[str, object]]]:
        asked.append(machines)
        return [(f"machine:{machine}", {"kind": "running"}) for machine in machines]

    feeding = asyncio.create_task(feed(hub, compute, slowest=0.02))
    try:
        hub.rows_arrived()
        await asyncio.sleep(0.05)
        assert asked == []
        listener = Subscriber()
        hub.listen(listener, ["machine:a"])
        (frame,) = await taken(listener)
        assert frame[3] == {"kind": "running"}
        assert asked[0] == ["a"]
    finally:
        feeding.cancel()


def test_topics_need_a_role_and_unknown_ones_are_refused() -> None:
    viewer, engineer = User("v", "v", "viewer"), User("e", "e", "engineer")
    assert permitted(viewer, "machine:acme/x")
    assert not permitted(viewer, "source:im-01")
    assert permitted(engineer, "source:im-01")
    assert not permitted(engineer, "secrets")


def test_the_snapshot_speaks_the_same_language(hub: Hub) -> None:
    hub._fields["machine:a"] = {"produced": 1}
    beat, frame = json.loads(hub.snapshot(["machine:a", "machine:unknown"]))
    assert beat == ["hb", 1_763_380_000_000, 1.0]
    assert frame[0] == "machine:a"
