"""Publications in the bytes of a broker: ours to read; every other packet is the driver's.

Pure functions and a buffer; MQTT 3.1.1 and 5, sections 2 and 3.3.
"""

import struct
from typing import Final, NamedTuple

PUBLISH: Final = 3
_CONTINUES: Final = 0x80
"""The highest bit of a byte of a length: another one follows, of four at most."""
_LONGEST_LENGTH: Final = 4
_SIZE: Final = struct.Struct(">H")


class Published(NamedTuple):
    """What a PUBLISH says; `id` is 0 with QoS 0."""

    topic: str
    payload: bytes
    retained: bool
    id: int
    qos: int


class Publications:
    """Cuts bytes into packets as they come."""

    def __init__(self, *, with_properties: bool) -> None:
        self._with_properties = with_properties
        """MQTT 5 has them."""
        self._begun = bytearray()
        """Of a packet that has not come whole."""
        self._needed = 0
        """Bytes of it, once its head is known."""

    def feed(self, data: bytes) -> tuple[list[Published], bytes]:
        """The publications that are complete now, and the bytes of all packets that are none.

        What is not as the standard has it is among the latter: the driver judges it.
        """
        if self._begun:
            self._begun += data
            if len(self._begun) < self._needed:
                return [], b""
            data = bytes(self._begun)
        found, others, used = _cut(data, with_properties=self._with_properties)
        self._begun = bytearray(data[used:])
        self._needed = _whole(self._begun) if self._begun else 0
        return found, others


def _cut(data: bytes, *, with_properties: bool) -> tuple[list[Published], bytes, int]:
    found: list[Published] = []
    others: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        try:
            length, body = _length(data, at + 1)
        except ValueError:
            return found, b"".join([*others, data[at:]]), end
        stop = body + length
        if length < 0 or stop > end:
            break
        published = _read(data, at, body, stop, with_properties=with_properties)
        if published is None:
            others.append(data[at:stop])
        else:
            found.append(published)
        at = stop
    return found, b"".join(others), at


def _read(data: bytes, at: int, body: int, stop: int, *, with_properties: bool) -> Published | None:
    """None: it is no publication, or none that we could acknowledge."""
    head = data[at]
    qos = head >> 1 & 3
    if head >> 4 != PUBLISH or qos > 1 or stop - body < 2:
        return None
    (size,) = _SIZE.unpack_from(data, body)
    after = body + 2 + size
    identifier = 0
    if qos and after + 2 <= stop:
        (identifier,) = _SIZE.unpack_from(data, after)
    start = after + 2 * qos
    if with_properties and start < stop:
        try:
            length, start = _length(data, start)
        except ValueError:
            return None
        start = start + length if length >= 0 else stop + 1
    elif with_properties or not size:
        return None
    if start > stop:
        return None
    return Published(
        _text(data[body + 2 : after]), data[start:stop], bool(head & 1), identifier, qos
    )


def _text(topic: bytes) -> str:
    try:
        return topic.decode()
    except UnicodeDecodeError:
        return ""  # against the standard; it matches no tag


def _length(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """A length and where it ends; -1 where it has not come whole, ValueError if it is too long."""
    if at < len(data) and data[at] < _CONTINUES:
        return data[at], at + 1
    value = 0
    for number, byte in enumerate(data[at : at + _LONGEST_LENGTH]):
        value |= (byte & ~_CONTINUES) << 7 * number
        if not byte & _CONTINUES:
            return value, at + number + 1
    if len(data) - at >= _LONGEST_LENGTH:
        raise ValueError("a length has at most four bytes")
    return -1, at


def _whole(begun: bytearray) -> int:
    """How many bytes the packet has that these begin; 0 while that is not known."""
    length, body = _length(begun, 1)
    return body + length if length >= 0 else 0
