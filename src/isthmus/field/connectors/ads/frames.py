"""AMS frames and ADS commands as bytes: pure functions, no I/O here.

Of ADS's two commands that change something there is none here but `release`, which gives a
handle back that we asked for ourselves.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from isthmus.base.clock import Micros

_TCP: Final = struct.Struct("<HI")
_AMS: Final = struct.Struct("<6sH6sHHHIII")
TCP_HEADER: Final = _TCP.size
AMS_HEADER: Final = _AMS.size
LARGEST_FRAME: Final = 16 * 1024 * 1024

REQUEST: Final = 0x0004
RESPONSE: Final = 0x0005

_FILETIME_OF_1970: Final = 116_444_736_000_000_000
_UNIT: Final = 10
"""FILETIME and cycle times count 100 ns."""


class Command(IntEnum):
    """ADS commands, and those that a reader has no use for."""

    READ = 2
    WRITE = 3
    READ_STATE = 4
    WRITE_CONTROL = 5
    ADD_NOTIFICATION = 6
    DELETE_NOTIFICATION = 7
    NOTIFICATION = 8
    READ_WRITE = 9


class Group(IntEnum):
    """Index groups of the symbol service."""

    HANDLE_BY_NAME = 0xF003
    VALUE_BY_HANDLE = 0xF005
    RELEASE_HANDLE = 0xF006
    VERSION = 0xF008
    INFO_BY_NAME = 0xF009
    UPLOAD = 0xF00B
    TYPES = 0xF00E
    UPLOAD_INFO = 0xF00F
    SUM_READ = 0xF080
    SUM_READ_WRITE = 0xF082


@dataclass(frozen=True)
class Address:
    """An AMS address."""

    net_id: bytes
    port: int

    @classmethod
    def parse(cls, net_id: str, port: int) -> "Address":
        return cls(bytes(int(number) for number in net_id.split(".")), port)


class Frame(NamedTuple):
    """What travels between two routers."""

    target: Address
    source: Address
    command: int
    flags: int
    error: int
    invoke: int
    data: bytes


class Stamped(NamedTuple):
    """One value of a notification."""

    handle: int
    time: Micros
    data: bytes


def pack(frame: Frame) -> bytes:
    header = _AMS.pack(
        frame.target.net_id, frame.target.port, frame.source.net_id, frame.source.port,
        frame.command, frame.flags, len(frame.data), frame.error, frame.invoke,
    )  # fmt: skip
    return _TCP.pack(0, len(header) + len(frame.data)) + header + frame.data


def body_length(tcp_header: bytes) -> int:
    """What follows the header; ValueError for what no router sends."""
    reserved, length = _TCP.unpack(tcp_header)
    if reserved != 0 or not AMS_HEADER <= length <= LARGEST_FRAME:
        raise ValueError("this is no AMS frame")
    return int(length)


def unpack(body: bytes) -> Frame:
    """A frame without its TCP header; ValueError if its length is wrong."""
    target, target_port, source, source_port, command, flags, length, error, invoke = (
        _AMS.unpack_from(body)
    )
    if AMS_HEADER + length != len(body):
        raise ValueError("an AMS frame says another length than it has")
    ends = Address(target, target_port), Address(source, source_port)
    return Frame(*ends, command, flags, error, invoke, body[AMS_HEADER:])


def read(group: int, offset: int, length: int) -> bytes:
    return struct.pack("<III", group, offset, length)


def read_write(group: int, offset: int, length: int, data: bytes) -> bytes:
    return struct.pack("<IIII", group, offset, length, len(data)) + data


def release(handle: int) -> bytes:
    return struct.pack("<III", Group.RELEASE_HANDLE, 0, 4) + struct.pack("<I", handle)


def add_notification(handle: int, size: int, cycle: Micros) -> bytes:
    """On change; the controller looks every `cycle`."""
    on_change, no_delay = 4, 0
    head = struct.pack("<III", Group.VALUE_BY_HANDLE, handle, size)
    return head + struct.pack("<III16x", on_change, no_delay, cycle * _UNIT)


def sum_read(items: Sequence[tuple[int, int, int]]) -> bytes:
    """Many reads of (group, offset, length) as one request."""
    length = sum(4 + size for *_, size in items)
    data = b"".join(struct.pack("<III", *item) for item in items)
    return read_write(Group.SUM_READ, len(items), length, data)


def sum_read_results(data: bytes, items: Sequence[tuple[int, int, int]]) -> list[tuple[int, bytes]]:
    """Error and value of each read; ValueError if the answer is cut short."""
    heads = 4 * len(items)
    if len(data) < heads + sum(size for *_, size in items):
        raise ValueError("a sum answer is cut short")
    found, at = [], heads
    for error, (*_, size) in zip(struct.unpack_from(f"<{len(items)}I", data), items, strict=True):
        found.append((error, data[at : at + size]))
        at += size
    return found


def sum_read_write(group: int, length: int, names: Sequence[bytes]) -> bytes:
    """The same question about many names as one request."""
    heads = b"".join(struct.pack("<IIII", group, 0, length, len(name)) for name in names)
    total = len(names) * (8 + length)
    return read_write(Group.SUM_READ_WRITE, len(names), total, heads + b"".join(names))


def sum_read_write_results(data: bytes, count: int) -> list[tuple[int, bytes]]:
    """Error and answer of each; ValueError if the answer is cut short."""
    if len(data) < 8 * count:
        raise ValueError("a sum answer is cut short")
    heads = struct.unpack_from(f"<{2 * count}I", data)
    found, at = [], 8 * count
    for error, size in zip(heads[::2], heads[1::2], strict=True):
        found.append((error, data[at : at + size]))
        at += size
    if at > len(data):
        raise ValueError("a sum answer is cut short")
    return found


def notified(data: bytes) -> Iterator[Stamped]:
    """All values of a notification frame; struct.error or ValueError if it is cut short."""
    _, stamps = struct.unpack_from("<II", data)
    at = 8
    for _ in range(stamps):
        filetime, samples = struct.unpack_from("<QI", data, at)
        at += 12
        for _ in range(samples):
            handle, size = struct.unpack_from("<II", data, at)
            at += 8 + size
            if at > len(data):
                raise ValueError("a notification is cut short")
            yield Stamped(handle, micros(filetime), data[at - size : at])


def micros(filetime: int) -> Micros:
    """100 ns since 1601 as our time."""
    return (filetime - _FILETIME_OF_1970) // _UNIT
