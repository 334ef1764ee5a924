"""CIP services as bytes: reading tags by name, many in one message. Pure, no driver here."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from isthmus.field.connectors.ethernetip.spec import TagAddress

READ_TAG: Final = 0x4C
READ_TAG_FRAGMENTED: Final = 0x52
MULTIPLE_SERVICES: Final = 0x0A
MESSAGE_ROUTER: Final = b"\x02\x20\x02\x24\x01"

DONE: Final = 0x00
PARTIAL: Final = 0x06
TOO_LARGE: Final = 0x11

_UNKNOWN_ANSWER: Final = 100
"""Bytes we leave for the first answer of a tag: a STRING is 90."""
_REQUEST_FRAME: Final = 10
"""Sequence number, service, path and count around the services of one message."""
_PER_SERVICE: Final = 6
"""An answer's offset in the message, service, status and their padding."""


@dataclass(frozen=True)
class Answer:
    """What the controller says to one service."""

    status: int
    extended: int = 0
    data: bytes = b""
    """Type and value where `status` is DONE."""


def path_of(address: TagAddress) -> bytes:
    """A padded EPATH of symbols and member numbers, its length in words first."""
    path = b""
    for segment in address.segments:
        name = segment.name.encode("ascii")
        path += struct.pack("BB", 0x91, len(name)) + name + b"\0" * (len(name) % 2)
        path += b"".join(map(_member, segment.index))
    return struct.pack("B", len(path) // 2) + path


def read_tag(path: bytes) -> bytes:
    return struct.pack("B", READ_TAG) + path + struct.pack("<H", 1)


def read_fragment(path: bytes, offset: int) -> bytes:
    return struct.pack("B", READ_TAG_FRAGMENTED) + path + struct.pack("<HI", 1, offset)


def groups(
    paths: Iterable[bytes], answer_sizes: Mapping[bytes, int], connection_size: int
) -> list[list[bytes]]:
    """Paths that are read in one message: neither it nor its answer is too long for the connection.

    `answer_sizes` is what each path answered last.
    """
    found: list[list[bytes]] = []
    asked = answered = connection_size
    for path in paths:
        request = len(path) + 3 + 2
        answer = answer_sizes.get(path, _UNKNOWN_ANSWER) + _PER_SERVICE
        if asked + request > connection_size or answered + answer > connection_size:
            found.append([])
            asked = answered = _REQUEST_FRAME
        found[-1].append(path)
        asked += request
        answered += answer
    return found


def many(services: Sequence[bytes]) -> bytes:
    """One message with several services."""
    offset = 2 + 2 * len(services)
    offsets = []
    for service in services:
        offsets.append(offset)
        offset += len(service)
    head = struct.pack("<B", MULTIPLE_SERVICES) + MESSAGE_ROUTER
    counts = struct.pack(f"<{1 + len(offsets)}H", len(services), *offsets)
    return head + counts + b"".join(services)


def answers(data: bytes, expected: int) -> list[Answer]:
    """Several answers of one message; ValueError if they are not as many as the services were."""
    try:
        (count,) = struct.unpack_from("<H", data)
        offsets = struct.unpack_from(f"<{count}H", data, 2)
    except struct.error as error:
        raise ValueError("an answer is cut short") from error
    if count != expected:
        raise ValueError(f"{count} answers to {expected} services")
    ends = (*offsets[1:], len(data))
    return [answer(data[start:end]) for start, end in zip(offsets, ends, strict=True)]


def answer(reply: bytes) -> Answer:
    """One answer from its service code on; ValueError if it is cut short."""
    if len(reply) < 4 or len(reply) < 4 + 2 * reply[3]:
        raise ValueError("an answer is cut short")
    status, words = reply[2], reply[3]
    extended = int.from_bytes(reply[4 : 4 + 2 * words], "little")
    return Answer(status, extended, reply[4 + 2 * words :])


def _member(number: int) -> bytes:
    if number <= 0xFF:
        return struct.pack("BB", 0x28, number)
    if number <= 0xFFFF:
        return struct.pack("<BBH", 0x29, 0, number)
    return struct.pack("<BBI", 0x2A, 0, number)
