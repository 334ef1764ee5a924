"""Publications in the bytes of a broker: ours to read; every other packet is the driver's.

Pure functions and a buffer; MQTT 3.1.1 and 5, sections 2 and 3.3.
"""

from typing import Final

Published = tuple[bytes, bytes, int, int]
"""What a PUBLISH says: topic, payload, its first byte (see RETAINED, QOS_1), and its number with
QoS 1. No object of its own: there are tens of thousands a second."""

RETAINED: Final = 0x01
QOS_1: Final = 0x02
PUBLISH: Final = 0x30
_KIND: Final = 0xF4
"""Of the first byte: what is PUBLISH under it has QoS 0 or 1, which are those we read."""
_CONTINUES: Final = 0x80
"""The highest bit of a byte of a length: another one follows, of four at most."""
_LONGEST_LENGTH: Final = 4


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


def topic_name(topic: bytes) -> str:
    """A topic as text; empty, which no tag means, if it is none against the standard."""
    try:
        return topic.decode()
    except UnicodeDecodeError:
        return ""


def _cut(data: bytes, *, with_properties: bool) -> tuple[list[Published], bytes, int]:
    """One pass, without a call for an ordinary packet: this runs for every message there is."""
    found: list[Published] = []
    others: list[bytes] = []
    at, end = 0, len(data)
    while at + 1 < end:
        head, length, body = data[at], data[at + 1], at + 2
        if length >= _CONTINUES:
            try:
                length, body = _length(data, at + 1)
            except ValueError:
                return found, b"".join([*others, data[at:]]), end
        stop = body + length
        if length < 0 or stop > end:
            break
        if head & _KIND == PUBLISH and length > 1:
            topic = body + 2
            after = topic + (data[body] << 8 | data[body + 1])
            start = after + (head & QOS_1)  # its number has two bytes
            if with_properties:
                none = start < stop and not data[start]
                start = start + 1 if none else _after_properties(data, start, stop)
            if start <= stop and (with_properties or after > topic):
                number = data[after] << 8 | data[after + 1] if head & QOS_1 else 0
                found.append((data[topic:after], data[start:stop], head, number))
                at = stop
                continue
        others.append(data[at:stop])
        at = stop
    return found, b"".join(others), at


def _after_properties(data: bytes, at: int, stop: int) -> int:
    """Where the payload begins; beyond `stop` if that cannot be."""
    if at >= stop:
        return stop + 1
    try:
        length, start = _length(data, at)
    except ValueError:
        return stop + 1
    return start + length if length >= 0 else stop + 1


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
