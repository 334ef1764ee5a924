"""Sparkplug's data types on the wire and back, addresses, and sequences in any order."""

import itertools
import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.base.clock import Micros
from isthmus.field.connectors.sparkplug.address import Address, format_address, parse_address
from isthmus.field.connectors.sparkplug.definitions import Definitions
from isthmus.field.connectors.sparkplug.edge import Edge
from isthmus.field.connectors.sparkplug.payload import decode
from isthmus.field.connectors.sparkplug.proto import messages
from isthmus.field.connectors.sparkplug.rebirths import FIRST_PAUSE, LONGEST_PAUSE, Rebirths
from isthmus.field.connectors.sparkplug.session import (
    Alive,
    Born,
    Data,
    Dead,
    Doubtful,
    Lost,
    Message,
    Session,
    Unborn,
)
from isthmus.field.connectors.sparkplug.topics import Kind, Topic, parse_topic
from isthmus.field.connectors.sparkplug.tree import children
from isthmus.field.connectors.sparkplug.values import value
from isthmus.field.samples import Samples
from isthmus.testing.sparkplug_edge import Metric, SparkplugEdge, fill

SIGNED = {1: 8, 2: 16, 3: 32, 4: 64}
UNSIGNED = {5: 8, 6: 16, 7: 32, 8: 64}
PACKED = {22: "b", 23: "h", 24: "i", 25: "q", 26: "B", 27: "H", 28: "I", 29: "Q", 31: "d"}
NODE = ("plant", "edge-1")


def metric(datatype: int, content: Any) -> Any:
    """A metric as it comes out of the wire."""
    made = messages().Metric()
    fill(made, datatype, content)
    return messages().Metric.FromString(made.SerializeToString())


@st.composite
def integers(draw: st.DrawFn) -> tuple[int, int]:
    datatype = draw(st.sampled_from([*SIGNED, *UNSIGNED]))
    bits = SIGNED.get(datatype) or UNSIGNED[datatype]
    low = -(1 << (bits - 1)) if datatype in SIGNED else 0
    high = (1 << (bits - 1 if datatype in SIGNED else bits)) - 1
    return datatype, draw(st.integers(low, high))


@given(integers())
def test_every_integer_comes_back(case: tuple[int, int]) -> None:
    datatype, number = case
    assert value(metric(datatype, number), datatype) == number


@given(st.sampled_from([5, 6, 7]), st.integers(0, 2**32 - 1))
def test_an_unsigned_integer_that_is_too_wide_is_no_value(datatype: int, number: int) -> None:
    if number < 1 << UNSIGNED[datatype]:
        assert value(metric(datatype, number), datatype) == number
    else:
        with pytest.raises(ValueError, match="more than"):
            value(metric(datatype, number), datatype)


def test_a_narrow_negative_number_may_be_carried_in_its_own_width() -> None:
    assert value(metric(1, 0xFB), 1) == -5
    assert value(metric(2, 0xFFFF), 2) == -1


@given(st.floats(allow_nan=False))
def test_every_double_comes_back(number: float) -> None:
    assert value(metric(10, number), 10) == number


def test_nan_comes_as_it_is() -> None:
    assert math.isnan(value(metric(10, math.nan), 10))


@given(st.sampled_from([*PACKED]), st.data())
def test_every_array_comes_back(datatype: int, data: st.DataObject) -> None:
    code = PACKED[datatype]
    bits = struct.calcsize(code) * 8
    low, high = (
        (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if code.islower() else (0, (1 << bits) - 1)
    )
    numbers = st.floats(allow_nan=False) if code == "d" else st.integers(low, high)
    items = data.draw(st.lists(numbers, max_size=20))
    assert value(metric(datatype, struct.pack(f"<{len(items)}{code}", *items)), datatype) == items


def test_booleans_strings_and_times_are_packed_as_the_specification_shows() -> None:
    booleans = bytes([0x0C, 0, 0, 0, 0x34, 0xD0])
    bits = [False, False, True, True, False, True, False, False, True, True, False, True]
    assert value(metric(32, booleans), 32) == bits
    assert value(metric(33, b"ABC\0hello\0"), 33) == ["ABC", "hello"]
    times = struct.pack("<2q", 1_256_102_875_335, 1_656_107_875_000)
    assert value(metric(34, times), 34) == ["2009-10-21T05:27:55.335000Z", "2022-06-24T21:57:55Z"]


@pytest.mark.parametrize(
    ("datatype", "content"),
    [
        (23, b"\x01"),
        (32, b"\x0c\0\0\0\x34"),
        (32, b"\xff"),
        (33, b"no end"),
        (33, b"\xff\0"),
        (34, struct.pack("<q", -1)),
        (13, 2**63),
        (20, b""),
        (99, b""),
    ],
)
def test_bytes_that_do_not_fit_their_type_are_no_value(datatype: int, content: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        value(metric(datatype, content), datatype)


@given(st.binary(max_size=40), st.integers(0, 40))
def test_whatever_the_bytes_are_nothing_but_valueerror_is_raised(
    content: bytes, datatype: int
) -> None:
    made = messages().Metric(bytes_value=content)
    try:
        value(made, datatype)
    except ValueError:
        return


def test_without_a_type_only_what_cannot_be_mistaken_is_read() -> None:
    assert value(messages().Metric(double_value=1.5), 0) == 1.5
    assert value(messages().Metric(int_value=5), 0) == 5
    with pytest.raises(ValueError, match="data type 0"):
        value(messages().Metric(int_value=2**32 - 5), 0)  # -5, or not


# Damage -----------------------------------------------------------------------------------------


def whole_birth() -> bytes:
    """One metric of each kind, as a birth."""
    node = SparkplugEdge(0)
    motor = messages().Template(template_ref="Motor")
    motor.metrics.add(name="Speed", datatype=10, double_value=1.5)
    motor.parameters.add(name="Poles", type=3, int_value=4)
    zones = messages().DataSet(num_of_columns=1, columns=["Zone"], types=[12])
    zones.rows.add().elements.add(string_value="nozzle")
    node.add(
        "", Metric("Motor", 19, motor), Metric("Zones", 16, zones), Metric("Door", 11, value=True)
    )
    node.metric("", "Door").properties |= {"Quality": (3, 192), "engUnit": (12, "mm")}
    birth: bytes = node.payload("NBIRTH", "", node.owners[""]).SerializeToString()
    return birth


WHOLE = whole_birth()
TAGS = ("Motor", "Motor;member=Speed", "Motor;parameter=Poles", "Zones", "Zones;row=0;column=Zone",
        "Door", "Door;property=engUnit")  # fmt: skip


@settings(max_examples=600)
@given(st.dictionaries(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), max_size=6))
def test_a_damaged_message_is_refused_or_read_but_breaks_nothing(damage: dict[int, int]) -> None:
    damaged = bytearray(WHOLE)
    for at, byte in damage.items():
        damaged[at] = byte
    edge = Edge(NODE, samples := Samples(), 2.0, 3.0)
    for tag in TAGS:
        edge.metrics.want(tag, parse_address(f"plant/edge-1:{tag}"))
    try:
        payload = decode(bytes(damaged), 10_000)
    except ValueError:
        return
    edge.take(Message(Topic("NBIRTH", NODE), payload, 1), 0.0)
    payload.seq = (payload.seq + 1) % 256
    edge.take(Message(Topic("NDATA", NODE), payload, 2), 0.0)
    list(children({NODE: edge}, "plant/edge-1"))
    table = samples.take()
    assert table is not None
    assert set(table["tag"].to_pylist()) == set(TAGS)


def test_a_name_no_birth_named_is_found_by_its_alias() -> None:
    birth = messages().Payload()
    birth.metrics.add(name="DATA/Temp", alias=2, datatype=10)
    known = Definitions(birth.metrics, {})
    (said,) = messages().Payload(metrics=[{"name": "Temp", "alias": 2}]).metrics
    assert known.of(said) is known.by_name["DATA/Temp"]


# Addresses --------------------------------------------------------------------------------------

IDS = st.text(st.characters(exclude_characters="+#/\0", codec="utf-8"), min_size=1, max_size=8)


@given(IDS, IDS, st.one_of(st.just(""), IDS), st.text(st.characters(codec="utf-8"), min_size=1))
def test_an_address_that_is_written_is_read_back(
    group: str, node: str, device: str, name: str
) -> None:
    if ";" in name:
        name = name.replace(";", ",")
    read = parse_address(format_address((group, node), device, name))
    assert read == Address((group, node), device, name)


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("plant/edge-1", "needs a metric"),
        ("plant:Temp", "must be `group/node`"),
        ("a/b/c/d:Temp", "must be `group/node`"),
        ("plant//press:Temp", "edge node is empty"),
        ("plant/+/press:Temp", "may not contain"),
        ("plant/edge-1:", "names no metric"),
        ("plant/edge-1:Zones;row=first", "whole number"),
        ("plant/edge-1:Motor;member=", "is empty"),
        ("plant/edge-1:Motor;member=Speed;property=engUnit", "stands alone"),
        ("plant/edge-1:Motor;parameter=Poles;member=Speed", "nothing can follow"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(tag: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_address(tag)


@pytest.mark.parametrize(
    "topic",
    [
        "spBv1.0/plant/NDATA", "spBv1.0/plant/NDATA/edge-1/press", "spBv1.0/plant/DDATA/edge-1",
        "spBv1.0/STATE/host", "spAv1.0/plant/NDATA/edge-1", "spBv1.0//NDATA/edge-1", "",
    ],
)  # fmt: skip
def test_other_topics_are_none_of_ours(topic: str) -> None:
    assert parse_topic(topic) is None


# Sequences --------------------------------------------------------------------------------------


def message(kind: Kind, seq: int, device: str = "", *, at: Micros = 0, bd_seq: int = 0) -> Message:
    payload = messages().Payload(timestamp=seq + 1, seq=seq % 256)
    payload.metrics.add(name="bdSeq", datatype=4, long_value=bd_seq)
    return Message(Topic(kind, NODE, device), payload, at or seq + 1)


def born(first: int = 0) -> Session:
    session = Session(2.0, 3.0)
    list(session.take(message("NBIRTH", first), 0.0))
    return session


@given(st.permutations(range(1, 7)), st.integers(0, 255))
def test_in_whatever_order_messages_come_they_are_taken_in_theirs(
    order: list[int], first: int
) -> None:
    session = born(first)
    events = [event for n in order for event in session.take(message("NDATA", first + n), 0.0)]
    assert [type(event) for event in events] == [Data] * 6
    seqs = [event.message.payload.seq for event in events if isinstance(event, Data)]
    assert seqs == [(first + n) % 256 for n in range(1, 7)]
    assert session.due is None


@given(st.permutations(range(1, 7)), st.sets(st.integers(1, 6), max_size=5))
def test_nothing_that_came_is_dropped_and_what_did_not_come_is_named_once(
    order: list[int], missing: set[int]
) -> None:
    session = born()
    came = [n for n in order if n not in missing]
    events = [event for n in came for event in session.take(message("NDATA", n), 0.0)]
    events += list(session.tick(10.0))
    taken = [event.message.payload.seq for event in events if isinstance(event, Data)]
    assert taken == sorted(came)
    in_between = any(n < max(came, default=0) for n in missing)
    assert len([event for event in events if isinstance(event, Lost)]) == in_between
    following = list(session.take(message("NDATA", max(came, default=0) + 1), 11.0))
    assert [type(event) for event in following] == [Data]


def test_a_round_of_256_messages_is_one_sequence() -> None:
    session = born()
    events = [event for n in range(1, 600) for event in session.take(message("NDATA", n), 0.0)]
    assert {type(event) for event in events} == {Data}


def test_a_new_connection_whose_death_was_not_seen_makes_devices_stale() -> None:
    session = born()
    list(session.take(message("DBIRTH", 1, "press"), 0.0))
    events = list(session.take(message("NBIRTH", 0, at=50, bd_seq=1), 1.0))
    assert [type(event) for event in events] == [Dead, Born]


def test_a_message_that_was_missing_before_a_birth_is_still_named() -> None:
    session = born()
    list(session.take(message("NDATA", 2), 0.0))
    events = list(session.take(message("NBIRTH", 0, at=50), 1.0))
    assert [type(event) for event in events] == [Lost, Data, Born]
    assert session.due is None


def test_a_node_that_answers_lives_whatever_number_a_death_had() -> None:
    session = Session(2.0, 3.0, may_ask=True)
    list(session.take(message("NBIRTH", 0, bd_seq=2), 0.0))
    events = list(session.take(message("NDEATH", 0, at=50, bd_seq=1), 1.0))
    assert [type(event) for event in events] == [Unborn]
    assert session.in_doubt
    assert session.due == 4.0
    list(session.take(message("NBIRTH", 0, bd_seq=2), 2.0))
    assert list(session.tick(10.0)) == []


def test_a_node_that_does_not_answer_is_stale_since_its_death_whatever_its_number() -> None:
    session = Session(2.0, 3.0, may_ask=True)
    list(session.take(message("NBIRTH", 0, bd_seq=1), 0.0))
    list(session.take(message("NDEATH", 0, at=50, bd_seq=3), 1.0))
    assert list(session.tick(3.9)) == []
    assert list(session.tick(4.0)) == [Dead(None, 50, 50)]
    assert list(session.tick(5.0)) == []
    following = list(session.take(message("NDATA", 1), 6.0))
    assert [type(event) for event in following] == [Data]


def test_a_death_of_another_number_is_a_doubt_once_where_the_node_may_not_be_asked() -> None:
    session = Session(2.0, 3.0)
    list(session.take(message("NBIRTH", 0, bd_seq=2), 0.0))
    doubt, lost = session.take(message("NDEATH", 0, at=50, bd_seq=1), 1.0)
    assert doubt == Doubtful(50)
    assert isinstance(lost, Lost)
    assert "`bdSeq` 1 instead of 2" in lost.why
    assert session.online
    assert session.due is None
    assert list(session.take(message("NDEATH", 0, at=60, bd_seq=1), 2.0)) == []


@pytest.mark.parametrize(
    ("kind", "proves"), [("NDATA", True), ("DDATA", True), ("DBIRTH", True), ("DDEATH", False)]
)
def test_a_doubtful_node_lives_when_it_speaks_and_not_when_a_device_dies(
    kind: Kind,
    proves: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    session = Session(2.0, 3.0)
    list(session.take(message("NBIRTH", 0, bd_seq=2), 0.0))
    list(session.take(message("DBIRTH", 1, "press"), 0.0))
    list(session.take(message("NDEATH", 0, bd_seq=1), 1.0))
    spoken = message(kind, 2, "" if kind == "NDATA" else "press")
    assert (list(session.take(spoken, 2.0))[-1] == Alive(spoken)) is proves
    again = list(session.take(message("NDATA", 3), 3.0))
    assert [type(event) for event in again] == [Data] if proves else [Data, Alive]


def test_a_doubtful_node_that_dies_of_its_own_number_is_dead() -> None:
    session = Session(2.0, 3.0)
    list(session.take(message("NBIRTH", 0, bd_seq=2), 0.0))
    list(session.take(message("NDEATH", 0, bd_seq=1), 1.0))
    assert list(session.take(message("NDEATH", 0, at=70, bd_seq=2), 2.0)) == [Dead(None, 70, 70)]


# Asking for births ------------------------------------------------------------------------------


def test_a_node_whose_births_do_not_help_is_asked_ever_more_slowly() -> None:
    rebirths, asked = Rebirths(), []
    for second in range(3_600):
        rebirths.born(NODE)
        rebirths.want(NODE, float(second))
        asked += [second for _ in rebirths.take(float(second))]
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert max(pauses) == LONGEST_PAUSE


def test_a_node_that_was_calm_is_asked_at_once_again() -> None:
    rebirths = Rebirths()
    rebirths.want(NODE, 0.0)
    assert rebirths.take(0.0) == [NODE]
    rebirths.born(NODE)
    rebirths.want(NODE, 1.0)
    assert rebirths.take(1.0) == []
    rebirths.born(NODE)
    rebirths.want(NODE, 1_000.0)
    assert rebirths.take(1_000.0) == [NODE]
    assert rebirths.due() == 1_000.0 + FIRST_PAUSE
