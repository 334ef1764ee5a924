"""MQTT packets as bytes on the wire: what a client really sent to its broker."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

CONNECT: Final = 1
PUBLISH: Final = 3
SUBSCRIBE: Final = 8
DISCONNECT: Final = 14

_SESSION_EXPIRY: Final = 0x11
_V5: Final = 5


@dataclass(frozen=True)
class Packet:
    """One control packet."""

    kind: int
    flags: int
    body: bytes


@dataclass(frozen=True)
class Published:
    """A publication or a will."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True)
class Connect:
    """How a client began its session."""

    version: int
    clean: bool
    session_expiry: int
    """0 where it is not given, by the standard."""
    will: Published | None


def packets(sent: bytes) -> Iterator[Packet]:
    """All complete packets of one connection, in their order."""
    at = 0
    while at + 1 < len(sent):
        first = sent[at]
        length, at = _varint(sent, at + 1)
        yield Packet(first >> 4, first & 15, sent[at : at + length])
        at += length


def connection(packet: Packet) -> Connect:
    """Read a CONNECT."""
    name, at = _text(packet.body, 0)
    if name != b"MQTT":
        raise ValueError(f"`{name!r}` is not MQTT")
    version, flags = packet.body[at], packet.body[at + 1]
    at += 4  # the keep-alive is two of them
    expiry = 0
    if version == _V5:
        expiry, at = _properties(packet.body, at)
    _, at = _text(packet.body, at)
    will = _will(packet.body, at, flags, version) if flags & 4 else None
    return Connect(version, bool(flags & 2), expiry, will)


def publications(sent: bytes) -> list[Published]:
    """Everything that was published on one connection."""
    found = list(packets(sent))
    version = connection(found[0]).version if found else 0
    return [published(packet, version) for packet in found if packet.kind == PUBLISH]


def published(packet: Packet, version: int) -> Published:
    """Read a PUBLISH."""
    topic, at = _text(packet.body, 0)
    qos = packet.flags >> 1 & 3
    at += 2 if qos else 0
    if version == _V5:
        _, at = _properties(packet.body, at)
    return Published(topic.decode(), packet.body[at:], qos, bool(packet.flags & 1))


def subscriptions(packet: Packet, version: int) -> list[str]:
    """Topic filters of a SUBSCRIBE."""
    at, found = 2, []
    if version == _V5:
        _, at = _properties(packet.body, at)
    while at < len(packet.body):
        topic, at = _text(packet.body, at)
        found.append(topic.decode())
        at += 1
    return found


def _will(body: bytes, at: int, flags: int, version: int) -> Published:
    if version == _V5:
        _, at = _properties(body, at)
    topic, at = _text(body, at)
    payload, at = _text(body, at)
    return Published(topic.decode(), payload, flags >> 3 & 3, bool(flags & 32))


def _properties(body: bytes, at: int) -> tuple[int, int]:
    """Session expiry, where it comes first or after a receive maximum; and what follows."""
    length, at = _varint(body, at)
    end, expiry = at + length, 0
    while at < end:
        if body[at] == _SESSION_EXPIRY:
            (expiry,) = struct.unpack_from(">I", body, at + 1)
            at += 5
        else:
            at += 3  # all others that we send have two bytes
    return expiry, end


def _text(body: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">H", body, at)
    return body[at + 2 : at + 2 + length], at + 2 + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if not data[at - 1] & 128:
            return value, at
