"""What one edge node says, in its order: births, deaths, sequence numbers. Pure; no clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from isthmus.base.clock import Micros
from isthmus.field.connectors.sparkplug.topics import Topic
from isthmus.field.connectors.sparkplug.values import time_of

_NUMBERS: Final = 256
"""Sequence numbers go from 0 to 255 and begin again."""
BD_SEQ: Final = "bdSeq"


@dataclass(frozen=True)
class Message:
    """One publication of an edge node."""

    topic: Topic
    payload: Any
    received: Micros


@dataclass(frozen=True)
class Born:
    """The node, or a device, tells all its metrics with their present values."""

    device: str
    message: Message


@dataclass(frozen=True)
class Data:
    """Metrics that changed."""

    device: str
    message: Message
    certain: bool
    """False: a message before it is missing, so its aliases may have been given anew."""


@dataclass(frozen=True)
class Dead:
    """Nothing more is known of these metrics, until a birth or a value comes."""

    device: str | None
    """None: of the node and all its devices."""
    at: Micros
    received: Micros


@dataclass(frozen=True)
class Doubtful:
    """Whether the node lives, nobody knows: its values are uncertain from then on."""

    at: Micros


@dataclass(frozen=True)
class Alive:
    """It speaks: what was doubtful is certain again."""

    message: Message


@dataclass(frozen=True)
class Lost:
    """Values that we never read."""

    start: Micros
    end: Micros
    why: str


@dataclass(frozen=True)
class Unborn:
    """Only a rebirth can tell what the node means."""


Event = Born | Data | Dead | Doubtful | Alive | Lost | Unborn
_SPEAKS: Final = frozenset({"NDATA", "DBIRTH", "DDATA"})
"""A death of a device is none: it may be the will of a node that died."""


class Session:
    """One edge node as seen by a host. `now` is in seconds of a clock that only goes forward."""

    def __init__(
        self, reorder_timeout: float, birth_timeout: float, *, may_ask: bool = False
    ) -> None:
        self.online = False
        self._reorder_timeout = reorder_timeout
        self._birth_timeout = birth_timeout
        self._may_ask = may_ask
        """The node may be asked for a rebirth."""
        self._bd_seq: int | None = None
        self._next = 0
        self._certain = True
        self._early: dict[int, Message] = {}
        """Came before their turn."""
        self._gives_up: float | None = None
        self._devices: set[str] = set()
        self._awaited: set[str] = set()
        """Devices that were there before a rebirth and have not come again."""
        self._births_end: float | None = None
        self._doubt_ends: float | None = None
        """When a node that was asked whether it lives has had its time to answer."""
        self._doubted: Micros = 0
        """Since when that is not known."""
        self._unproven = False
        """The same of a node that may not be asked: until it speaks by itself."""
        self._in_order: Micros = 0
        """When the last message in order was received."""
        self._deaf: dict[str, Micros] = {}
        """Device, or empty: the node → since when it speaks without a birth."""

    @property
    def due(self) -> float | None:
        """When `tick` must be called."""
        times = (self._gives_up, self._births_end, self._doubt_ends)
        return min((at for at in times if at is not None), default=None)

    @property
    def in_doubt(self) -> bool:
        """Whether it lives is to be asked."""
        return self._doubt_ends is not None

    def take(self, message: Message, now: float) -> Iterator[Event]:
        """What follows from a message."""
        yield from self._take(message, now)
        if self._unproven and message.topic.kind in _SPEAKS:
            self._unproven = False
            yield Alive(message)

    def _take(self, message: Message, now: float) -> Iterator[Event]:
        match message.topic.kind:
            case "NCMD" | "DCMD":
                return  # what another host says to the node
            case "NBIRTH":
                yield from self._node_birth(message, now)
            case "NDEATH":
                yield from self._node_death(message, now)
            case _ if not self.online:
                yield from self._unheard("", message)
            case _ if not message.payload.HasField("seq"):
                yield from self._apply(message)
            case _:
                yield from self._ordered(message, now)

    def tick(self, now: float) -> Iterator[Event]:
        """What follows from silence."""
        if self._gives_up is not None and now >= self._gives_up:
            yield from self._drain_all()
            yield Unborn()
        if self._births_end is not None and now >= self._births_end:
            yield from self._end_births(self._in_order)
        if self._doubt_ends is not None and now >= self._doubt_ends:
            self._doubt_ends = None
            yield Dead(None, self._doubted, self._doubted)

    # Birth and death of the node -----------------------------------------------------------------

    def _node_birth(self, message: Message, now: float) -> Iterator[Event]:
        yield from self._drain_all()
        bd_seq = _bd_seq(message.payload)
        if not self.online or bd_seq != self._bd_seq:
            # A new connection of which we saw no death: nobody vouches for the devices.
            yield from self._end_births(message.received)
            for device in sorted(self._devices):
                yield Dead(device, message.received, message.received)
            self._devices.clear()
        yield from self._heard("", message)
        self._deaf.clear()
        self._awaited |= self._devices
        self._devices.clear()
        self._births_end = now + self._birth_timeout if self._awaited else None
        self._doubt_ends, self._unproven = None, False
        self.online, self._certain = True, True
        self._bd_seq = bd_seq
        self._next = (message.payload.seq + 1) % _NUMBERS
        self._in_order = message.received
        yield Born("", message)

    def _node_death(self, message: Message, now: float) -> Iterator[Event]:
        bd_seq = _bd_seq(message.payload)
        if self.online and None not in {bd_seq, self._bd_seq} and bd_seq != self._bd_seq:
            yield from self._doubt(message.received, now, f"{bd_seq} instead of {self._bd_seq}")
            return
        yield from self._drain_all()
        self.online = False
        self._devices.clear()
        self._awaited.clear()
        self._births_end, self._doubt_ends, self._unproven = None, None, False
        yield Dead(None, message.received, message.received)

    def _doubt(self, at: Micros, now: float, number: str) -> Iterator[Event]:
        """The will of an earlier connection, or of a node that counts wrongly: it is asked.

        Where it may not be asked, the death is not believed, but its values are not either.
        """
        if self._may_ask and not self.in_doubt:
            self._doubt_ends, self._doubted = now + self._birth_timeout, at
            yield Unborn()
        elif not self._may_ask and not self._unproven:
            self._unproven = True
            yield Doubtful(at)
            why = f"its death came with another number (`bdSeq` {number}): its values are uncertain"
            yield Lost(at, at + 1, f"{why} until it speaks; `rebirth: true` lets us ask it")

    def _unheard(self, device: str, message: Message) -> Iterator[Event]:
        """Without a birth nobody knows what it says; named at once, and when the birth comes."""
        if device not in self._deaf:
            self._deaf[device] = message.received
            who = f"device `{device}`" if device else "it"
            why = f"{who} speaks, but its birth has not come: `rebirth: true` lets us ask for it"
            yield Lost(message.received, message.received + 1, why)
        yield Unborn()

    def _heard(self, device: str, message: Message) -> Iterator[Event]:
        since = self._deaf.pop(device, None)
        if since is not None:
            who = f"device `{device}`" if device else "it"
            yield Lost(since, message.received, f"{who} spoke before its birth came")

    # Order ---------------------------------------------------------------------------------------

    def _ordered(self, message: Message, now: float) -> Iterator[Event]:
        seq = message.payload.seq
        if seq == self._next:
            yield from self._advance(message)
            yield from self._drain()
            self._gives_up = now + self._reorder_timeout if self._early else None
            return
        if seq in self._early:  # a whole round has passed
            yield from self._drain_all()
            yield Unborn()
        self._early[seq] = message
        if self._gives_up is None:
            self._gives_up = now + self._reorder_timeout

    def _advance(self, message: Message) -> Iterator[Event]:
        self._next = (message.payload.seq + 1) % _NUMBERS
        self._in_order = message.received
        yield from self._apply(message)

    def _drain(self) -> Iterator[Event]:
        while (message := self._early.pop(self._next, None)) is not None:
            yield from self._advance(message)

    def _drain_all(self) -> Iterator[Event]:
        """What came before its turn, as it came, without waiting for what is missing."""
        self._gives_up = None
        if not self._early:
            return
        first, last = self._next, max(message.received for message in self._early.values())
        yield Lost(self._in_order, last, f"message {first} of its sequence did not come")
        self._certain = False
        for seq in sorted(self._early, key=lambda seq: (seq - first) % _NUMBERS):
            yield from self._advance(self._early.pop(seq))

    # Devices -------------------------------------------------------------------------------------

    def _apply(self, message: Message) -> Iterator[Event]:
        device = message.topic.device
        match message.topic.kind:
            case "NDATA":
                yield Data("", message, self._certain)
            case "DBIRTH":
                self._devices.add(device)
                self._awaited.discard(device)
                yield from self._heard(device, message)
                yield Born(device, message)
            case "DDEATH":
                self._devices.discard(device)
                self._awaited.discard(device)
                at = time_of(message.payload.timestamp) or message.received
                yield Dead(device, at, message.received)
            case "DDATA" if device in self._devices:
                yield Data(device, message, self._certain)
            case _:
                yield from self._unheard(device, message)

    def _end_births(self, at: Micros) -> Iterator[Event]:
        """Devices that were not born again are no longer there."""
        self._births_end = None
        for device in sorted(self._awaited):
            yield Dead(device, at, at)
        self._awaited.clear()


def _bd_seq(payload: Any) -> int | None:
    """Of the connection to which a birth or death belongs; None where it says none."""
    for metric in payload.metrics:
        if metric.name == BD_SEQ:
            form = metric.WhichOneof("value")
            found = getattr(metric, form) if form else None
            return found if isinstance(found, int) else None
    return None
