"""What becomes of a post: believed, known already, put in line for our disk, answered."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from isthmus.base.clock import Clock, Micros
from isthmus.field.connectors.webhook.belief import doubt
from isthmus.field.connectors.webhook.deliveries import Deliveries, Delivery, identity_of
from isthmus.field.connectors.webhook.posts import Post, Reply
from isthmus.field.connectors.webhook.rate import Rate
from isthmus.field.connectors.webhook.spec import WebhookSource, WebhookTag
from isthmus.field.json_samples import Reading, readings_of
from isthmus.field.values import BAD_DECODING, cut

_MOST_WAITING: Final = 20_000
"""Samples in memory; a sender of more is asked to come again."""
_KEPT_OF_BROKEN: Final = 4_000
"""Bytes."""

Tags = Sequence[tuple[str, WebhookTag]]


@dataclass(frozen=True)
class Arrived:
    """A post in line for our disk."""

    delivery: Delivery
    readings: Sequence[Reading]
    received: Micros


class Reception:
    """Answers posts; what is in line is taken by `take`, and told its fate by `deliveries`."""

    def __init__(self, spec: WebhookSource, tags: Mapping[str, Tags], clock: Clock) -> None:
        self.refused: Counter[str] = Counter()
        """Posts that were not taken, by why."""
        self.arrived = asyncio.Event()
        self.deliveries = Deliveries()
        self.heard = _now()
        """When somebody we believe said something last, in seconds of the event loop."""
        self._spec = spec
        self._tags = tags
        self._clock = clock
        self._rate = Rate(spec.rate)
        self._line: deque[Arrived] = deque()
        self._samples = 0

    def __bool__(self) -> bool:
        """Whether anything is in line."""
        return bool(self._line)

    def take(self) -> Arrived:
        """Whatever has waited longest."""
        arrived = self._line.popleft()
        self._samples -= len(arrived.readings)
        return arrived

    async def answer(self, post: Post) -> Reply:
        """What its sender is told: 200 only when it is on our disk."""
        refusal = self._refusal(post)
        if refusal is not None:
            return refusal
        identity = self._identity(post)
        if identity is not None and self.deliveries.is_stored(identity):
            return Reply(200, "known already")
        delivery, readable = self._deliver(post, identity)
        # Another one may wait for the same delivery: it must not be cancelled with us.
        done, _ = await asyncio.wait({delivery.stored}, timeout=self._spec.stored_within)
        if not done or not delivery.stored.result():
            return self._refuse("not stored", 503, "not stored, send it again", wait="5")
        if not readable:
            return self._refuse("broken", 400, "no JSON; it is kept in quarantine")
        return Reply(200, "stored")

    def _refusal(self, post: Post) -> Reply | None:
        """Why it is not even looked at; None if it is."""
        why = None
        if post.path not in self._tags:
            why = self._refuse("path", 404, "nothing is expected here")
        elif reason := doubt(self._spec, post.headers, post.body, self._clock.now()):
            why = self._refuse(reason, 401, "not believed")
        elif not self._rate.allows(_now()):
            why = self._refuse("rate", 429, "too many posts", wait="1")
        elif self._spec.id is not None and self._identity(post) is None:
            why = self._refuse("id", 400, f"the header {self._spec.id} is missing")
        elif self._samples > _MOST_WAITING:
            why = self._refuse("full", 503, "too much is waiting", wait="1")
        return why

    def _deliver(self, post: Post, identity: int | None) -> tuple[Delivery, bool]:
        """The post on its way to our disk, and whether it could be understood."""
        self.heard = _now()
        coming = None if identity is None else self.deliveries.coming(identity)
        if coming is not None:
            return coming, True
        received = self._clock.now()
        readings, readable = self._readings(post, received)
        # A broken one is kept in quarantine, and may be sent again when it is mended.
        delivery = self.deliveries.begin(identity if readable else None)
        if readings:
            self._line.append(Arrived(delivery, readings, received))
            self._samples += len(readings)
            self.arrived.set()
        else:
            self.deliveries.end(delivery, stored=True)
        return delivery, readable

    def _readings(self, post: Post, received: Micros) -> tuple[list[Reading], bool]:
        tags = self._tags[post.path]
        try:
            document = json.loads(post.body)
        except (ValueError, RecursionError):
            text = cut(post.body[:_KEPT_OF_BROKEN].decode("utf-8", "backslashreplace"))
            return [Reading(tag, text, received, BAD_DECODING) for tag, _ in tags], False
        return [
            reading
            for tag, address in tags
            for reading in self._of_tag(tag, address, document, received)
        ], True

    def _of_tag(
        self, tag: str, address: WebhookTag, document: Any, received: Micros
    ) -> list[Reading]:
        partial = self._spec.partial
        try:
            return list(readings_of(tag, address, document, received, partial=partial))
        except (ValueError, RecursionError):  # the path library, on what is nested too deep
            return [Reading(tag, None, received, BAD_DECODING)]

    def _identity(self, post: Post) -> int | None:
        given = post.headers.get(self._spec.id.lower(), "") if self._spec.id else ""
        return identity_of(f"{post.path}\0{given}") if given else None

    def _refuse(self, why: str, status: int, text: str, wait: str = "") -> Reply:
        self.refused[why] += 1
        return Reply(status, text, {"retry-after": wait} if wait else {})


def _now() -> float:
    return asyncio.get_running_loop().time()
