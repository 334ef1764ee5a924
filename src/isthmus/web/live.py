"""Live values: one WebSocket per tab, topics, the latest frame wins, at most four a second.

A frame is `[topic, seq, ts_ms, {field: value, …}]` with ALL fields of the topic: a slow client
may miss frames and still shows the truth. Each frame is encoded once, whoever listens.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from isthmus.base.clock import Clock
from isthmus.web.auth import Role, User
from isthmus.web.gate import same_origin

INTERVAL: Final = 0.25
"""Seconds between two frames of one topic."""
HEARTBEAT: Final = 2.0
MOST_TOPICS: Final = 500
"""Of one connection."""

PERMISSIONS: Final[Mapping[str, Role]] = {
    "machine": "viewer",
    "platform": "viewer",
    "source": "engineer",
}
"""What stands before a topic's colon → the role it needs. Other topics are refused."""


class Subscriber:
    """One listener: at most one waiting frame per topic."""

    def __init__(self) -> None:
        self.topics: frozenset[str] = frozenset()
        self._waiting: dict[str, str] = {}
        self._woken = asyncio.Event()

    def offer(self, topic: str, frame: str) -> None:
        self._waiting[topic] = frame
        self._woken.set()

    async def take(self) -> list[str]:
        """Wait for frames; the newest of each topic."""
        await self._woken.wait()
        self._woken.clear()
        frames, self._waiting = list(self._waiting.values()), {}
        return frames


class Hub:
    """All topics of this process. Use it from the event loop's thread only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._fields: dict[str, dict[str, Any]] = {}
        self._sequence: dict[str, int] = defaultdict(int)
        self._frames: dict[str, str] = {}
        self._due: dict[str, float] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._listeners: dict[str, set[Subscriber]] = defaultdict(set)
        self._changed = asyncio.Event()

    def publish(self, topic: str, fields: Mapping[str, Any]) -> None:
        """Set fields of a topic; nothing is sent when nothing changed."""
        known = self._fields.setdefault(topic, {})
        if all(name in known and known[name] == value for name, value in fields.items()):
            return
        known.update(fields)
        self._sequence[topic] += 1
        self._frames.pop(topic, None)
        if self._listeners[topic] and topic not in self._timers:
            loop = asyncio.get_running_loop()
            wait = max(0.0, self._due.get(topic, 0.0) - loop.time())
            self._timers[topic] = loop.call_later(wait, self._send, topic)

    def rows_arrived(self) -> None:
        """The runtime says that new rows can be queried: live values are worth computing again."""
        self._changed.set()

    async def changed(self, at_most: float) -> None:
        """Wait for `rows_arrived`, but not longer than this many seconds."""
        try:
            async with asyncio.timeout(at_most):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    def watched(self, kind: str) -> list[str]:
        """What follows the colon of all topics of a kind that somebody listens to."""
        start = f"{kind}:"
        return [
            t.removeprefix(start)
            for t, who in self._listeners.items()
            if who and t.startswith(start)
        ]

    def listen(self, subscriber: Subscriber, topics: Iterable[str]) -> None:
        """Replace what a subscriber listens to; he gets each new topic's present state at once."""
        wanted = frozenset(topics)
        for topic in subscriber.topics - wanted:
            self._listeners[topic].discard(subscriber)
        for topic in wanted - subscriber.topics:
            self._listeners[topic].add(subscriber)
            if topic in self._fields:
                subscriber.offer(topic, self.frame(topic))
        if wanted - subscriber.topics:
            self._changed.set()
        subscriber.topics = wanted

    def frame(self, topic: str) -> str:
        """The present state of a topic, encoded once."""
        if topic not in self._frames:
            frame = [topic, self._sequence[topic], self.now_ms(), self._fields.get(topic, {})]
            self._frames[topic] = json.dumps(frame, separators=(",", ":"), ensure_ascii=False)
        return self._frames[topic]

    def heartbeat(self) -> str:
        """Plant time and its speed: pages tick between frames with it."""
        return json.dumps(["hb", self.now_ms(), self._clock.speed])

    def snapshot(self, topics: Iterable[str]) -> str:
        """The same as a list, for clients whose proxy breaks WebSockets."""
        frames = [self.frame(topic) for topic in topics if topic in self._fields]
        return f"[{','.join([self.heartbeat(), *frames])}]"

    def now_ms(self) -> int:
        return self._clock.now() // 1_000

    def _send(self, topic: str) -> None:
        del self._timers[topic]
        self._due[topic] = asyncio.get_running_loop().time() + INTERVAL
        frame = self.frame(topic)
        for subscriber in self._listeners[topic]:
            subscriber.offer(topic, frame)


def permitted(user: User, topic: str) -> bool:
    """Whether this user may listen to a topic."""
    role = PERMISSIONS.get(topic.partition(":")[0])
    return role is not None and user.may(role)


async def serve(socket: WebSocket, hub: Hub, user: User) -> None:
    """One connection: frames out, subscriptions in, until either side leaves."""
    if socket.headers.get("origin") is None or not same_origin(socket.headers):
        await socket.close(4403, "origin")
        return
    await socket.accept()
    subscriber = Subscriber()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_receive(socket, hub, user, subscriber))
            group.create_task(_frames(socket, subscriber))
            group.create_task(_heartbeats(socket, hub))
    except* (WebSocketDisconnect, _Left):
        pass
    finally:
        hub.listen(subscriber, ())


class _Left(Exception):  # noqa: N818 - the condition, not a bug
    """The client went away, or sent something that is not our protocol."""


async def _receive(socket: WebSocket, hub: Hub, user: User, subscriber: Subscriber) -> None:
    while True:
        topics = _subscription(await socket.receive_text())
        if topics is None:
            await socket.close(4400, "protocol")
            raise _Left
        hub.listen(subscriber, [topic for topic in topics if permitted(user, topic)])


def _subscription(text: str) -> list[str] | None:
    """The topics of `{"sub": […]}`; None if it is anything else."""
    try:
        message = json.loads(text)
    except ValueError:
        return None
    topics = message.get("sub") if isinstance(message, dict) else None
    if not isinstance(topics, list) or len(topics) > MOST_TOPICS:
        return None
    return topics if all(isinstance(topic, str) for topic in topics) else None


async def _frames(socket: WebSocket, subscriber: Subscriber) -> None:
    while True:
        for frame in await subscriber.take():
            await _send_or_leave(socket, frame)


async def _heartbeats(socket: WebSocket, hub: Hub) -> None:
    while True:
        await _send_or_leave(socket, hub.heartbeat())
        await asyncio.sleep(HEARTBEAT)


async def _send_or_leave(socket: WebSocket, frame: str) -> None:
    try:
        await socket.send_text(frame)
    except RuntimeError as error:  # starlette: send after close
        raise _Left from error


Compute = Callable[[list[str]], Iterable[tuple[str, Mapping[str, Any]]]]
"""Reads the present values of these machines (or whatever is watched): topic and fields."""


async def feed(
    hub: Hub,
    compute: Compute,
    *,
    kind: str = "machine",
    slowest: float = 1.0,
    pause: float = INTERVAL / 4,
) -> None:
    """Compute live values when rows arrive, with a pause between; only while watched."""
    while True:
        await hub.changed(slowest)
        watched = hub.watched(kind)
        if watched:
            for topic, fields in await asyncio.to_thread(compute, watched):
                hub.publish(topic, fields)
        await asyncio.sleep(pause)
