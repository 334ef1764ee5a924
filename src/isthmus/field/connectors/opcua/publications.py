"""What a server publishes, read from its bytes: values of one layout in columns, not one by one.

A publication holds thousands of values that look alike on the wire: handle, mask, type, value,
status, times. Where they do, and their type has a fixed size, `struct` takes all of them in one
call. Texts are columns, too; anything else is read one by one, with the driver's decoder for its
value (Part 6, 5.2).
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from asyncua import ua
from asyncua.common.utils import Buffer, NotEnoughData
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import (
    extensionobject_from_binary,
    struct_from_binary,
    variant_from_binary,
)
from asyncua.ua.uaerrors import UaStructParsingError

from isthmus.base.clock import Micros, to_datetime

_UNIX_EPOCH: Final = 11_644_473_600_000_000
"""Microseconds from 1601-01-01, where OPC UA begins to count, to 1970-01-01."""
_LATEST: Final = 2_650_467_743_990_000_000
"""9999-12-31 in ticks: what lies behind it means `for ever`, as the driver says it."""

_VALUE, _STATUS, _SOURCE, _SERVER, _SOURCE_PICO, _SERVER_PICO = 1, 2, 4, 8, 16, 32
_FORMATS: Final = {
    1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d",
}  # fmt: skip
"""Types of fixed size by the number the Variant has for them: Boolean … Double."""
STRING: Final = 12
_TEXT: Final = struct.Struct("<I2xi")
"""Handle and size of a text; mask and type between them."""

_HEAD: Final = struct.Struct("<4xqII B i3s I i")
"""Of a PublishResponse, as nearly all servers send it: no diagnostics, no strings, no header."""
_PUBLISH_RESPONSE: Final = struct.pack(
    "<BBH", 1, 0, ObjectIds.PublishResponse_Encoding_DefaultBinary
)
_MESSAGE: Final = struct.Struct("<?Iqi")
_PART: Final = struct.Struct("<4sBi")
_DATA_CHANGE: Final = struct.pack(
    "<BBH", 1, 0, ObjectIds.DataChangeNotification_Encoding_DefaultBinary
)


@dataclass(frozen=True, slots=True)
class Run:
    """Values of one layout, in columns; times in ticks of 100 ns since 1601."""

    type: int
    handles: tuple[int, ...]
    values: tuple[Any, ...]
    statuses: tuple[int, ...] | None
    """None: all are good."""
    source_times: tuple[int, ...] | None
    server_times: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Single:
    """A value of its own layout."""

    handle: int
    value: ua.DataValue


@dataclass(frozen=True, slots=True)
class Publication:
    """One answer to a publish request."""

    subscription: int
    sequence: int
    parts: list[Run | Single | Any]
    """Others are what the driver makes of them: lists of events, changes of status."""


UNREADABLE: Final = (UaStructParsingError, NotEnoughData, struct.error, ValueError, LookupError)
"""What the bytes of a publication we cannot read raise."""


def read(body: bytes) -> Publication:
    """UaStatusCodeError where the server says no."""
    return _read(body) or _with_the_driver(body)


def ticks_to_micros(ticks: int) -> Micros:
    return ticks // 10 - _UNIX_EPOCH


def _read(body: bytes) -> Publication | None:
    """None if its head is not as usual."""
    if len(body) < _HEAD.size or body[:4] != _PUBLISH_RESPONSE:
        return None
    _, _, result, diagnostics, strings, header, subscription, available = _HEAD.unpack_from(body)
    if result or diagnostics or strings > 0 or header != b"\0\0\0":
        return None
    at = _HEAD.size + 4 * max(available, 0)
    _, sequence, _, count = _MESSAGE.unpack_from(body, at)
    at += _MESSAGE.size
    parts: list[Any] = []
    for _ in range(count):
        kind, encoding, size = _PART.unpack_from(body, at)
        if encoding != 1 or size < 0 or kind[:2] != b"\1\0":
            return None
        inside, end = at + _PART.size, at + _PART.size + size
        if kind == _DATA_CHANGE:
            parts += _changes(body[inside:end])
        else:
            parts.append(extensionobject_from_binary(Buffer(body, at, end - at)))
        at = end
    return Publication(subscription, sequence, parts)


def _with_the_driver(body: bytes) -> Publication:
    response = struct_from_binary(ua.PublishResponse, Buffer(body))
    response.ResponseHeader.ServiceResult.check()
    message = response.Parameters.NotificationMessage
    parts: list[Any] = []
    for notification in message.NotificationData or ():
        if isinstance(notification, ua.DataChangeNotification):
            parts += [Single(one.ClientHandle, one.Value) for one in notification.MonitoredItems]
        else:
            parts.append(notification)
    return Publication(response.Parameters.SubscriptionId, message.SequenceNumber, parts)


# Values ------------------------------------------------------------------------------------------


def _changes(data: bytes) -> Iterator[Run | Single]:
    (left,) = struct.unpack_from("<i", data)
    at = 4
    while left > 0:
        layout = _layout(data[at + 4 : at + 6])
        if layout is None and (texts := _texts(data, at, left)) is not None:
            run, at = texts
            left -= len(run.handles)
            yield run
        elif layout is None:
            single, at = _single(data, at)
            left -= 1
            yield single
        else:
            count = _alike(data, at, left, layout)
            end = at + count * layout.record.size
            yield layout.run(data[at:end])
            at, left = end, left - count


@dataclass(frozen=True)
class _Layout:
    """Of values with a type of fixed size: the same mask and type, hence the same size."""

    mask: int
    type: int
    record: struct.Struct

    def run(self, data: bytes) -> Run:
        return _run(self.mask, self.type, self.record.iter_unpack(data))


@cache
def _layout(mask_and_type: bytes) -> _Layout | None:
    """None where the size varies, or there is no value at all."""
    mask, kind = mask_and_type.ljust(2, b"\0")
    if not mask & _VALUE or mask >= 2 * _SERVER_PICO or kind not in _FORMATS:
        return None
    return _Layout(mask, kind, struct.Struct(f"<I2x{_FORMATS[kind]}{_rest(mask)}"))


def _rest(mask: int) -> str:
    """What stands behind the value."""
    parts = {_STATUS: "I", _SOURCE: "q", _SOURCE_PICO: "2x", _SERVER: "q", _SERVER_PICO: "2x"}
    return "".join(form for bit, form in parts.items() if mask & bit)


def _run(mask: int, kind: int, rows: Iterable[tuple[Any, ...]]) -> Run:
    columns = iter(zip(*rows, strict=True))
    return Run(
        kind,
        next(columns),
        next(columns),
        next(columns) if mask & _STATUS else None,
        next(columns) if mask & _SOURCE else None,
        next(columns) if mask & _SERVER else None,
    )


@cache
def _text_layout(mask: int) -> tuple[bytes, struct.Struct] | None:
    """Mask and type as they stand in the bytes, and what stands behind a text."""
    if not mask & _VALUE or mask >= 2 * _SERVER_PICO:
        return None
    return bytes((mask, STRING)), struct.Struct(f"<{_rest(mask)}")


def _texts(data: bytes, at: int, left: int) -> tuple[Run, int] | None:
    """The next texts with one mask, and where they end; None where there is none that we read."""
    layout = _text_layout(data[at + 4])
    if layout is None:
        return None
    head, rest = layout
    rows: list[tuple[Any, ...]] = []
    while len(rows) < left and data[at + 4 : at + 6] == head:
        handle, size = _TEXT.unpack_from(data, at)
        end = at + _TEXT.size + size
        if size < 0 or end > len(data):
            break
        try:
            text = data[at + _TEXT.size : end].decode()
        except UnicodeDecodeError:
            break
        rows.append((handle, text, *rest.unpack_from(data, end)))
        at = end + rest.size
    return (_run(head[0], STRING, rows), at) if rows else None


def _alike(data: bytes, at: int, left: int, layout: _Layout) -> int:
    """How many of the next values have this layout.

    Where a value stands follows from those before it, so only an unbroken row of equal masks and
    types counts. It is looked for in growing steps: mixed types cost little, equal ones nothing.
    """
    size, found, step = layout.record.size, 1, 8
    mask, kind = bytes((layout.mask,)), bytes((layout.type,))
    while found < left:
        step = min(step * 4, left - found)
        start, stop = at + found * size, at + (found + step) * size
        same = min(
            _leading(data[start + 4 : stop : size], mask),
            _leading(data[start + 5 : stop : size], kind),
        )
        found += same
        if same < step:
            break
    return found


def _leading(row: bytes, byte: bytes) -> int:
    return len(row) - len(row.lstrip(byte))


def _single(data: bytes, at: int) -> tuple[Single, int]:
    """One value, and where the next begins.

    The driver's own decoder takes the picoseconds for a part of the server's time.
    """
    handle, mask = struct.unpack_from("<IB", data, at)
    buffer = Buffer(data, at + 5)
    value = variant_from_binary(buffer) if mask & _VALUE else None
    status = _number(buffer, "<I") if mask & _STATUS else 0
    source = _number(buffer, "<q") if mask & _SOURCE else None
    buffer.skip(2 if mask & _SOURCE_PICO else 0)
    server = _number(buffer, "<q") if mask & _SERVER else None
    buffer.skip(2 if mask & _SERVER_PICO else 0)
    data_value = ua.DataValue(
        value,
        ua.StatusCode(ua.UInt32(status)),
        SourceTimestamp=tick_time(source),
        ServerTimestamp=tick_time(server),
    )
    return Single(handle, data_value), buffer.cur_pos


def _number(buffer: Buffer, form: str) -> int:
    number: int
    (number,) = struct.unpack(form, buffer.read(struct.calcsize(form)))
    return number


def tick_time(ticks: int | None) -> Any:
    if ticks is None or ticks <= 0:
        return None
    return to_datetime(ticks_to_micros(min(ticks, _LATEST)))
