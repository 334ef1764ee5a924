"""Which posts we have, so that one that is sent again is not taken twice."""

import asyncio
from array import array
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import xxhash

MOST_REMEMBERED: Final = 2_000
"""Posts that are on our disk; a sender repeats one soon or never."""
_MARK: Final = b"webhook1"


@dataclass(frozen=True)
class Delivery:
    """A post on its way to our disk; several may wait for one, when it is sent again."""

    identity: int | None
    stored: "asyncio.Future[bool]"


class Deliveries:
    """Those on our disk, and those on their way there."""

    def __init__(self) -> None:
        self._stored: OrderedDict[int, None] = OrderedDict()
        self._coming: dict[int, Delivery] = {}

    def is_stored(self, identity: int) -> bool:
        return identity in self._stored

    def coming(self, identity: int) -> Delivery | None:
        return self._coming.get(identity)

    def begin(self, identity: int | None) -> Delivery:
        delivery = Delivery(identity, asyncio.get_running_loop().create_future())
        if identity is not None:
            self._coming[identity] = delivery
        return delivery

    def end(self, delivery: Delivery, *, stored: bool) -> None:
        """It is on our disk, or will not get there."""
        if delivery.identity is not None:
            self._coming.pop(delivery.identity, None)
            if stored:
                self._remember(delivery.identity)
        if not delivery.stored.done():
            delivery.stored.set_result(stored)

    def pack(self, on_the_way: list[Delivery]) -> bytes:
        """What will be on our disk together with these."""
        known = [*self._stored, *(one.identity for one in on_the_way if one.identity is not None)]
        return _MARK + array("Q", known[-MOST_REMEMBERED:]).tobytes()

    def resume(self, position: bytes) -> None:
        """What `pack` gave; of another kind of source it is passed over."""
        if position.startswith(_MARK) and (len(position) - len(_MARK)) % 8 == 0:
            self._stored = OrderedDict.fromkeys(array("Q", position[len(_MARK) :]))

    def _remember(self, identity: int) -> None:
        self._stored[identity] = None
        while len(self._stored) > MOST_REMEMBERED:
            self._stored.popitem(last=False)


def identity_of(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))
