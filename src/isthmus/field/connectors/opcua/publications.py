"""What a server publishes, read from its bytes: values of one layout in columns, not one by one.

A publication holds thousands of values that look alike on the wire: handle, mask, type, value,
status, times. Numbers and texts among them become columns, in whatever order their types come, with
one call of `struct` each and no object for any of them. Everything else is read one by one, with
the driver's decoder for its value (Part 6, 5.2).
"""

import struct
from collections.abc import Iterator
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

UNIX_EPOCH: Final = 11_644_473_600_000_000
"""Microseconds from 1601-01-01, where OPC UA begins to count, to 1970-01-01."""
_LATEST: Final = 2_650_467_743_990_000_000
"""9999-12-31 in ticks: what lies behind it means `for ever`, as the driver says it."""

_VALUE, _STATUS, _SOURCE, _SERVER, _SOURCE_PICO, _SERVER_PICO = 1, 2, 4, 8, 16, 32
_FORMATS: Final = {
    1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d",
}  # fmt: skip
"""Types of fixed size by the number the Variant has for them: Boolean … Double."""
STRING: Final = 12
_TEXT: Final = struct.Struct("<IxBi")
"""Handle, type and size of a text; the mask between them."""

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
    """Values with the same parts, in columns; times in ticks of 100 ns since 1601."""

    handles: list[int]
    types: list[int]
    """Of the values; numbers of OPC UA's built-in types."""
    values: list[Any]
    statuses: list[int] | None
    """None: all are good."""
    source_times: list[int] | None
    server_times: list[int] | None

    def part(self, start: int, stop: int) -> "Run":
        """Some of them."""
        return Run(
            self.handles[start:stop],
            self.types[start:stop],
            self.values[start:stop],
            self.statuses and self.statuses[start:stop],
            self.source_times and self.source_times[start:stop],
            self.server_times and self.server_times[start:stop],
        )


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
    return ticks // 10 - UNIX_EPOCH


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
        run, end = _run(data, at, left)
        if run is None:
            single, at = _single(data, at)
            left -= 1
            yield single
        else:
            at, left = end, left - len(run.handles)
            yield run


def _run(data: bytes, at: int, left: int) -> tuple[Run | None, int]:
    """The next values with the parts of the first, and where they end; None if we read none.

    Where a value stands follows from those before it. Columns are slices of one flat list: a tuple
    for each value would cost as much again as reading it.
    """
    mask, head = data[at + 4], b""
    flat: list[Any] = []
    for _ in range(left):
        here = data[at + 4 : at + 6]
        if here != head:
            found = _layout(here)
            if found is None or found.mask != mask:
                break
            head, layout = here, found
            unpack, size = layout.record.unpack_from, layout.record.size
        if layout.type != STRING:
            flat += unpack(data, at)
            at += size
            continue
        text = _text(data, at, layout.record)
        if text is None:
            break
        flat += text[0]
        at = text[1]
    return (_columns(mask, flat), at) if flat else (None, at)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Of values with the same mask and type."""

    mask: int
    type: int
    record: struct.Struct
    """All of it; of a text, whose size varies, what stands behind it."""


@cache
def _layout(mask_and_type: bytes) -> _Layout | None:
    """None where there is no value at all, or one that only the driver reads."""
    mask, kind = mask_and_type.ljust(2, b"\0")
    if not mask & _VALUE or mask >= 2 * _SERVER_PICO:
        return None
    if kind == STRING:
        return _Layout(mask, kind, struct.Struct(f"<{_rest(mask)}"))
    if kind in _FORMATS:
        return _Layout(mask, kind, struct.Struct(f"<IxB{_FORMATS[kind]}{_rest(mask)}"))
    return None


def _rest(mask: int) -> str:
    """What stands behind the value."""
    parts = {_STATUS: "I", _SOURCE: "q", _SOURCE_PICO: "2x", _SERVER: "q", _SERVER_PICO: "2x"}
    return "".join(form for bit, form in parts.items() if mask & bit)


def _text(data: bytes, at: int, rest: struct.Struct) -> tuple[tuple[Any, ...], int] | None:
    """Handle, type, text and what stands behind it, and its end; None if we do not read it."""
    handle, kind, size = _TEXT.unpack_from(data, at)
    end = at + _TEXT.size + size
    if size < 0 or end > len(data):
        return None
    try:
        text = data[at + _TEXT.size : end].decode()
    except UnicodeDecodeError:
        return None
    return (handle, kind, text, *rest.unpack_from(data, end)), end + rest.size


def _columns(mask: int, flat: list[Any]) -> Run:
    parts = [part for part in (_STATUS, _SOURCE, _SERVER) if mask & part]
    handles, types, values, *rest = (flat[at :: 3 + len(parts)] for at in range(3 + len(parts)))
    found = dict(zip(parts, rest, strict=True))
    return Run(handles, types, values, found.get(_STATUS), found.get(_SOURCE), found.get(_SERVER))


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
