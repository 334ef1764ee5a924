"""Publications in a broker's bytes, however they are cut, as paho itself reads them."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt._packet import decode_publish
from paho.mqtt.enums import MQTTProtocolVersion

from isthmus.field.mqtt.publications import (
    PUBLISH,
    QOS_1,
    RETAINED,
    Publications,
    Published,
    topic_name,
)

PING_RESPONSE = bytes([0xD0, 0])
AGAIN = 0x08
"""The broker has sent it before."""
VERSION = {False: MQTTProtocolVersion.MQTTv311, True: MQTTProtocolVersion.MQTTv5}

topics = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
payloads = st.binary(max_size=300)


def length(size: int) -> bytes:
    out = bytearray()
    while True:
        size, byte = size >> 7, size & 127
        out.append(byte | (128 if size else 0))
        if not size:
            return bytes(out)


def packet(one: Published, *, with_properties: bool, properties: bytes = b"") -> bytes:
    topic, payload, head, number = one
    body = struct.pack(">H", len(topic)) + topic
    body += struct.pack(">H", number) if head & QOS_1 else b""
    body += length(len(properties)) + properties if with_properties else b""
    body += payload
    return bytes([head]) + length(len(body)) + body


@st.composite
def publications(draw: st.DrawFn) -> Published:
    head = PUBLISH | draw(st.sampled_from([0, QOS_1])) | draw(st.sampled_from([0, RETAINED, AGAIN]))
    number = draw(st.integers(1, 65_535)) if head & QOS_1 else 0
    return draw(topics).encode(), draw(payloads), head, number


@given(
    st.lists(st.one_of(publications(), st.just(PING_RESPONSE)), max_size=8),
    st.booleans(),
    st.lists(st.integers(1, 90), max_size=40),
)
def test_bytes_cut_anywhere_give_the_same_publications(found, with_properties, cuts):
    whole = b"".join(
        one if isinstance(one, bytes) else packet(one, with_properties=with_properties)
        for one in found
    )
    stream = Publications(with_properties=with_properties)
    read, others = [], b""
    for size in [*cuts, len(whole)]:
        part, whole = whole[:size], whole[size:]
        published, rest = stream.feed(part)
        read += published
        others += rest
    assert read == [one for one in found if not isinstance(one, bytes)]
    assert others == PING_RESPONSE * found.count(PING_RESPONSE)


@given(publications(), st.booleans(), st.text("abc", max_size=5), st.sampled_from([0, 1, 30]))
def test_a_publication_reads_as_paho_reads_it(one, with_properties, value, count):
    said = value.encode()
    user_property = b"\x26" + struct.pack(">H", 1) + b"k" + struct.pack(">H", len(said)) + said
    properties = user_property * count if with_properties else b""
    sent = packet(one, with_properties=with_properties, properties=properties)
    ((read,), others) = Publications(with_properties=with_properties).feed(sent)
    body = sent[2:] if sent[1] < 128 else sent[3:]
    theirs = decode_publish(sent[0], body, VERSION[with_properties])
    topic, payload, head, number = read
    assert topic_name(topic) == theirs.topic.decode()
    assert (payload, number) == (theirs.payload, theirs.mid)
    assert (bool(head & RETAINED), bool(head & QOS_1)) == (theirs.retain, theirs.qos == 1)
    assert others == b""


@given(st.binary(max_size=60), st.booleans())
def test_nothing_gets_lost_and_nothing_raises_whatever_comes(sent, with_properties):
    stream = Publications(with_properties=with_properties)
    published, others = stream.feed(sent)
    assert len(others) <= len(sent)
    for one in published:
        assert one[1] in sent


def test_what_the_driver_must_judge_goes_to_it_as_it_came():
    exactly_once = bytes([0x34, 5, 0, 1]) + b"t" + bytes([0, 9])
    no_topic = bytes([0x30, 2, 0, 0])
    topic_beyond_its_end = bytes([0x30, 3, 0, 9]) + b"t"
    endless_length = bytes([0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0])
    for sent in (exactly_once, no_topic, topic_beyond_its_end, endless_length):
        assert Publications(with_properties=False).feed(sent) == ([], sent)
    no_properties = bytes([0x30, 3, 0, 1]) + b"t"
    properties_beyond_its_end = bytes([0x30, 5, 0, 1]) + b"t" + bytes([9, 0])
    endless_properties = bytes([0x30, 8, 0, 1]) + b"t" + bytes([0xFF] * 5)
    for sent in (exactly_once, no_properties, properties_beyond_its_end, endless_properties):
        assert Publications(with_properties=True).feed(sent) == ([], sent)


def test_a_topic_that_is_no_text_is_the_empty_one():
    sent = bytes([0x30, 5, 0, 2, 0xFF, 0xFE]) + b"1"
    ((read,), _) = Publications(with_properties=False).feed(sent)
    assert (topic_name(read[0]), read[1]) == ("", b"1")
