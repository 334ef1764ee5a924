"""Messages of one topic into samples: what `readings` makes of them, on the shortest way there is.

Most messages are a number, or an object with plain values under known names. For these nothing is
made but the value; all else goes the long way.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

from isthmus.base.clock import Micros
from isthmus.field.connectors.mqtt.address import Address
from isthmus.field.connectors.mqtt.payload import Subscribed, readings
from isthmus.field.json_path import ABSENT, Get, getter
from isthmus.field.json_samples import device_time
from isthmus.field.samples import Samples
from isthmus.field.values import add_value, from_text
from isthmus.flow.parcel import GOOD

_VALUES: Final = frozenset({int, bool, str})


class Manner(NamedTuple):
    """What the source says of all its payloads; see `readings`."""

    longest: int
    partial: bool = False


def reader(tags: Sequence[Subscribed], manner: Manner) -> "Reader":
    """How messages of a topic with these tags are read."""
    addresses = [one.address for one in tags]
    if len(tags) == 1 and addresses[0].value is None:
        return _NumberReader(tags, manner)
    if tags and all(map(_is_plain, addresses)):
        return _DocumentReader(tags, manner)
    return Reader(tags, manner)


class Reader:
    """The long way, which every message can go."""

    __slots__ = ("_manner", "_tags")

    def __init__(self, tags: Sequence[Subscribed], manner: Manner) -> None:
        self._tags = tags
        self._manner = manner

    def take(self, payload: bytes, received: Micros, samples: Samples) -> None:
        """Put the values of one message into samples."""
        longest, partial = self._manner
        found = readings(self._tags, payload, received, longest=longest, partial=partial)
        for tag, value, at, quality in found:
            add_value(samples, tag, value, at, received, quality)


class _NumberReader(Reader):
    """The whole payload is one number of one tag."""

    __slots__ = ()

    def take(self, payload: bytes, received: Micros, samples: Samples) -> None:
        try:
            number = from_text(payload.decode())
        except UnicodeDecodeError:
            number = ""
        if type(number) is str or len(payload) > self._manner.longest:
            super().take(payload, received, samples)
        else:
            add_value(samples, self._tags[0].tag, number, received, received)


class _Place(NamedTuple):
    """Where a tag's value is in a document."""

    tag: str
    get: Get
    when: Address | None
    """The same object for all tags with one time: it is read once."""
    subscribed: Subscribed


class _DocumentReader(Reader):
    """Values at plain paths of one JSON document.

    pydantic's decoder takes half the time of the standard library's. It refuses more (nested
    deeper than 200, half a surrogate pair); of what it takes it says the same.
    """

    __slots__ = ("_places",)

    def __init__(self, tags: Sequence[Subscribed], manner: Manner) -> None:
        super().__init__(tags, manner)
        self._places = _places(tags)

    def take(self, payload: bytes, received: Micros, samples: Samples) -> None:
        longest, partial = self._manner
        try:
            document = from_json(payload if len(payload) <= longest else b"")
        except ValueError:
            return super().take(payload, received, samples)
        read, at, quality = None, received, GOOD
        for tag, get, when, subscribed in self._places:
            value = get(document)
            if when is not read:
                read, (at, quality) = when, _time(when, document, received)
            kind = type(value)
            if kind is float:
                samples.add(tag, at, received, value, None, quality)
            elif kind in _VALUES:
                add_value(samples, tag, value, at, received, quality)
            elif value is not ABSENT or not partial:
                Reader([subscribed], self._manner).take(payload, received, samples)
        return None


def _time(when: Address | None, document: Any, received: Micros) -> tuple[Micros, int]:
    return (received, GOOD) if when is None else device_time(when, document, document, received)


def _places(tags: Sequence[Subscribed]) -> tuple[_Place, ...]:
    timed: dict[Any, Address] = {}
    places = []
    for one in tags:
        tag, address = one.tag, one.address
        known = timed.setdefault((address.time, address.time_format), address)
        when = known if address.time is not None else None
        places.append(_Place(tag, getter(address.value), when, one))
    return tuple(places)


def _is_plain(address: Address) -> bool:
    value, time = address.value, address.time
    if value is None or value.steps is None or address.rows is not None:
        return False
    return time is None or time.steps is not None
