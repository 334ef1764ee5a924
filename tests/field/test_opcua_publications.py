"""Reading publications in columns gives what the driver's decoder gives, value by value."""

import asyncio
import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from asyncua.ua.uaerrors import BadNoSubscription
from hypothesis import given
from hypothesis import strategies as st

from isthmus.base.clock import to_micros
from isthmus.field.connectors.opcua import publications
from isthmus.field.connectors.opcua.address import NodeAddress, Reading
from isthmus.field.connectors.opcua.arrivals import Arrivals, NodeItem, Reader
from isthmus.field.connectors.opcua.publications import (
    UNIX_EPOCH,
    Publication,
    Run,
    Single,
    ticks_to_micros,
)
from isthmus.field.connectors.opcua.structures import Structures
from isthmus.field.samples import Samples

Kind = ua.VariantType
Seen = tuple[int, Any, int, int | None, int | None]
"""Handle, value, status, source time and server time in microseconds."""

NUMBERS = {
    Kind.Boolean: st.booleans(),
    Kind.SByte: st.integers(-(2**7), 2**7 - 1),
    Kind.Byte: st.integers(0, 2**8 - 1),
    Kind.Int16: st.integers(-(2**15), 2**15 - 1),
    Kind.UInt16: st.integers(0, 2**16 - 1),
    Kind.Int32: st.integers(-(2**31), 2**31 - 1),
    Kind.UInt32: st.integers(0, 2**32 - 1),
    Kind.Int64: st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**53) - 2, -(2**53) + 2),
    Kind.UInt64: st.integers(0, 2**64 - 1) | st.integers(2**53 - 2, 2**53 + 2),
    Kind.Float: st.floats(width=32, allow_nan=False),
    Kind.Double: st.floats(allow_nan=False),
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TIMES = st.none() | st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001 - the zone is `timezones`
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@st.composite
def variants(draw: st.DrawFn) -> ua.Variant:
    kind = draw(st.sampled_from([*NUMBERS, Kind.String, Kind.LocalizedText, None]))
    if kind is None:
        return ua.Variant(None)
    if kind is Kind.String:
        return ua.Variant(draw(TEXTS), kind)
    if kind is Kind.LocalizedText:
        return ua.Variant(ua.LocalizedText(draw(TEXTS)), kind)
    value = draw(NUMBERS[kind] | st.lists(NUMBERS[kind], max_size=3))
    return ua.Variant(value, kind, is_array=isinstance(value, list))


@st.composite
def data_values(draw: st.DrawFn) -> ua.DataValue:
    status = draw(st.sampled_from([0, 0x480, StatusCodes.BadSensorFailure, 0x4090_0000]))
    return ua.DataValue(
        draw(variants()),
        draw(st.sampled_from([None, ua.StatusCode(ua.UInt32(status))])),
        SourceTimestamp=draw(TIMES),
        ServerTimestamp=draw(TIMES),
    )


@st.composite
def alike(draw: st.DrawFn) -> list[ua.DataValue]:
    """As machines send it: many of the same type, mask and times."""
    kinds = NUMBERS | {Kind.String: TEXTS | st.none()}
    kind = draw(st.sampled_from([*kinds]))
    stamp: Any = draw(TIMES)
    values = draw(st.lists(kinds[kind], min_size=1, max_size=60))
    return [ua.DataValue(ua.Variant(value, kind), SourceTimestamp=stamp) for value in values]


MESSAGES = st.lists(st.lists(data_values(), max_size=12) | alike(), max_size=6)


def message(
    values: list[list[ua.DataValue]], *more: Any, handles: Iterable[int] = range(10_000)
) -> bytes:
    response = ua.PublishResponse()
    response.Parameters.SubscriptionId = ua.UInt32(3)
    response.Parameters.AvailableSequenceNumbers = [ua.UInt32(8), ua.UInt32(9)]
    response.Parameters.NotificationMessage.SequenceNumber = ua.UInt32(9)
    numbers = iter(handles)
    response.Parameters.NotificationMessage.NotificationData = [
        ua.DataChangeNotification(
            MonitoredItems=[
                ua.MonitoredItemNotification(ClientHandle=ua.UInt32(next(numbers)), Value=value)
                for value in part
            ]
        )
        for part in values
    ] + list(more)
    return struct_to_binary(response)


def ours(publication: Publication) -> Iterator[Seen]:
    for part in publication.parts:
        if isinstance(part, Single):
            yield _seen(part.handle, part.value)
        elif isinstance(part, Run):
            yield from _of_run(part)


def _of_run(run: Run) -> Iterator[Seen]:
    nothing = [None] * len(run.handles)
    statuses = run.statuses or [0] * len(run.handles)
    times = [
        [_micros(ticks) for ticks in column or nothing]
        for column in (run.source_times, run.server_times)
    ]
    yield from zip(run.handles, run.values, statuses, *times, strict=True)


def _micros(ticks: int | None) -> int | None:
    return ticks_to_micros(ticks) if ticks else None


def _seen(handle: int, data: ua.DataValue) -> Seen:
    status = data.StatusCode.value if data.StatusCode else 0
    value = data.Value.Value if data.Value is not None else None
    stamps = (data.SourceTimestamp, data.ServerTimestamp)
    source, server = (to_micros(stamp) if stamp else None for stamp in stamps)
    return handle, value, status, source, server


def the_drivers(body: bytes) -> list[Seen]:
    return [_seen(handle, value) for handle, value in the_drivers_values(body)]


def the_drivers_values(body: bytes) -> list[tuple[int, ua.DataValue]]:
    response = struct_from_binary(ua.PublishResponse, Buffer(body))
    return [
        (one.ClientHandle, one.Value)
        for part in response.Parameters.NotificationMessage.NotificationData
        if isinstance(part, ua.DataChangeNotification)
        for one in part.MonitoredItems
    ]


@given(MESSAGES)
def test_columns_say_what_the_driver_says_of_any_message(
    values: list[list[ua.DataValue]],
) -> None:
    body = message(values)
    publication = publications.read(body)
    assert (publication.subscription, publication.sequence) == (3, 9)
    assert list(ours(publication)) == the_drivers(body)


def test_a_thousand_values_alike_are_one_run() -> None:
    stamp: Any = datetime(2026, 11, 22, 6, tzinfo=UTC)
    values = [
        ua.DataValue(ua.Variant(float(number), Kind.Double), SourceTimestamp=stamp)
        for number in range(1_000)
    ]
    (run,) = publications.read(message([values])).parts
    assert isinstance(run, Run)
    assert run.values == [float(number) for number in range(1_000)]
    assert run.handles == list(range(1_000))


def test_a_run_goes_on_where_another_type_begins_and_ends_where_the_driver_must_read() -> None:
    number, text = ua.Variant(7, Kind.Int32), ua.Variant("Deckel", Kind.String)
    label = ua.Variant(ua.LocalizedText("Deckel"), Kind.LocalizedText)
    values = [ua.DataValue(one) for one in [number] * 20 + [text] * 2 + [label] + [number] * 3]
    parts = publications.read(message([values])).parts
    assert [type(part) for part in parts] == [Run, Single, Run]
    assert parts[0].values == [7] * 20 + ["Deckel"] * 2
    assert parts[2].values == [7] * 3


def test_values_with_other_parts_are_another_run() -> None:
    stamp: Any = datetime(2026, 11, 22, 6, tzinfo=UTC)
    bare = ua.DataValue(ua.Variant(7, Kind.Int32))
    timed = ua.DataValue(ua.Variant(7, Kind.Int32), SourceTimestamp=stamp)
    first, second = publications.read(message([[bare, bare, timed]])).parts
    assert (first.values, first.source_times) == ([7, 7], None)
    assert (second.values, len(second.source_times)) == ([7], 1)


def test_a_text_that_is_no_text_is_left_to_the_driver() -> None:
    text = ua.DataValue(ua.Variant("abc", Kind.String))
    broken = message([[text, text]]).replace(b"abc", b"\xffbc", 1)
    first, second = publications.read(broken).parts
    assert (type(first), type(second)) == (Single, Run)


def test_events_and_changes_of_status_come_as_the_driver_reads_them() -> None:
    ended = ua.StatusChangeNotification(Status=ua.StatusCode(StatusCodes.BadTimeout))
    (part,) = publications.read(message([], ended)).parts
    assert isinstance(part, ua.StatusChangeNotification)
    assert part.Status.value == StatusCodes.BadTimeout


def test_a_head_that_is_not_as_usual_is_left_to_the_driver() -> None:
    usual = message([[ua.DataValue(ua.Variant(7, Kind.Int32))]])
    response = struct_from_binary(ua.PublishResponse, Buffer(usual))
    response.ResponseHeader.StringTable = ["diagnostics"]
    body = struct_to_binary(response)
    assert list(ours(publications.read(body))) == list(ours(publications.read(usual)))


def test_a_server_that_says_no_is_an_error() -> None:
    response = ua.PublishResponse()
    response.ResponseHeader.ServiceResult = ua.StatusCode(StatusCodes.BadNoSubscription)
    with pytest.raises(BadNoSubscription):
        publications.read(struct_to_binary(response))


@pytest.mark.parametrize("kind", ["<d", "text"])
def test_picoseconds_are_skipped_where_the_standard_puts_them(kind: str) -> None:
    """Between the two times; written by hand, because the driver puts them behind both."""
    stamp = datetime(2026, 11, 22, 6, tzinfo=UTC)
    ticks = (stamp - datetime(1601, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10
    value = b"\x0b" + struct.pack("<d", 4.5) if kind == "<d" else b"\x0c\x02\0\0\0ab"
    record = struct.pack("<IB", 0, 0x3D) + value
    record += struct.pack("<qHqH", ticks, 77, ticks + 50, 88)
    data = struct.pack("<i", 2) + record + record + struct.pack("<i", 0)
    usual = message([[ua.DataValue(ua.Variant(1, Kind.Int32))]])
    at = usual.index(publications._DATA_CHANGE, 40)
    (size,) = struct.unpack_from("<i", usual, at + 5)
    body = usual[: at + 5] + struct.pack("<i", len(data)) + data + usual[at + 9 + size :]
    seen = list(ours(publications.read(body)))
    expected = (0, 4.5 if kind == "<d" else "ab", 0, to_micros(stamp), to_micros(stamp) + 5)
    assert seen == [expected, expected]


@given(MESSAGES, st.integers(1, 400))
def test_a_message_that_was_cut_is_an_error_and_never_wrong_values(
    values: list[list[ua.DataValue]], cut: int
) -> None:
    body = message(values)
    expected = the_drivers(body)
    try:
        seen = list(ours(publications.read(body[: max(0, len(body) - cut)])))
    except publications.UNREADABLE:
        return
    assert seen == expected[: len(seen)]


# Samples -----------------------------------------------------------------------------------------

RECEIVED = 1_800_000_000_000_000
STATUSES = [0, 0x480, 0x4090_0480, StatusCodes.BadNodeIdUnknown, StatusCodes.BadSensorFailure]
"""0x480 says that the server dropped values before this one."""


@st.composite
def mixed_values(draw: st.DrawFn) -> ua.DataValue:
    """Good numbers and texts, with something else now and then."""
    kinds = NUMBERS | {Kind.String: TEXTS | st.none()}
    kind = draw(st.sampled_from([*kinds]))
    usual = st.just(ua.Variant(draw(kinds[kind]), kind))
    status = draw(st.sampled_from([None, *[0] * 6, *STATUSES]))
    return ua.DataValue(
        draw(st.one_of(usual, usual, usual, variants())),
        None if status is None else ua.StatusCode(ua.UInt32(status)),
        SourceTimestamp=draw(TIMES),
        ServerTimestamp=draw(TIMES),
    )


def arrivals() -> Arrivals:
    """Items read as they come, as a part, as the name of a number, twice, and by nobody."""
    session: Any = None
    found = Arrivals(Samples(), Structures(session))
    node = NodeAddress("press", 2)
    plain, part = Reading(node), Reading(node, (0,))
    readers = [
        [Reader("a", plain)],
        [Reader("b", plain)],
        [Reader("c", part)],
        [Reader("d", Reading(node, as_name=True), {1: "running"})],
        [Reader("e", plain), Reader("f", plain)],
        [],
    ]
    for one in readers:
        found.add(NodeItem(node, ua.NodeId(), one, RECEIVED))
    return found


def state(of: Arrivals) -> tuple[Any, ...]:
    table = of.samples.take()
    times = [item.last_time for item in of.items]
    return None if table is None else table.to_pylist(), times, of.gone, of.missed


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from([0, 0, 1, 1, 2, 3, 4, 5]), mixed_values())),
        max_size=3,
    )
)
def test_columns_become_the_samples_that_values_one_by_one_become(
    published: list[list[tuple[int, ua.DataValue]]],
) -> None:
    in_columns, one_by_one = arrivals(), arrivals()
    for number, part in enumerate(published):
        body = message([[value for _, value in part]], handles=[handle for handle, _ in part])
        singles = [Single(handle, value) for handle, value in the_drivers_values(body)]
        parts = publications.read(body).parts
        asyncio.run(in_columns.take(parts, RECEIVED + number))
        asyncio.run(one_by_one.take(singles, RECEIVED + number))
    assert state(in_columns) == state(one_by_one)


@pytest.mark.parametrize("ticks", [0, -1, -(2**62)])
def test_a_time_that_is_not_set_is_not_the_time_of_a_value(ticks: int) -> None:
    server = (RECEIVED - 7 + UNIX_EPOCH) * 10
    run = Run([0, 1], [11, 11], [1.5, 2.5], None, [ticks, server + 30], [server, server])
    found = arrivals()
    asyncio.run(found.take([run], RECEIVED))
    assert [item.last_time for item in found.items[:2]] == [RECEIVED - 7, RECEIVED - 4]
