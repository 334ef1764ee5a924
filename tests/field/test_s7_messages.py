"""What the S7 connector asks for in one message, what it makes of any answer: no device here."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.field.connectors.s7 import wire
from isthmus.field.connectors.s7.address import Address, parse_tag
from isthmus.field.connectors.s7.groups import groups, requests, split
from isthmus.field.connectors.s7.quality import quality_of
from isthmus.field.connectors.s7.wire import Answer, Item

TAGS = st.one_of(
    st.builds(
        "DB{}.{}:{}".format,
        st.integers(1, 3),
        st.integers(0, 2_000),
        st.sampled_from(["int", "real", "lreal", "dtl", "string[80]", "wstring[300]"]),
    ),
    st.builds("{}{}.{}".format, st.sampled_from("MIQ"), st.integers(0, 200), st.integers(0, 7)),
    st.builds("{}{}".format, st.sampled_from("TC"), st.integers(0, 200)),
)
PDUS = st.sampled_from([240, 480, 960])


def addresses(tags: set[str]) -> dict[str, Address]:
    return {tag: parse_tag(tag) for tag in tags}


@settings(deadline=None)
@given(tags=st.sets(TAGS), pdu=PDUS, max_gap=st.integers(0, 50))
def test_groups_cover_every_tag_once_and_only_a_single_tag_is_longer_than_a_message(
    tags: set[str], pdu: int, max_gap: int
) -> None:
    found = groups(addresses(tags), pdu, max_gap)
    assert sorted(tag for group in found for tag, _ in group.members) == sorted(tags)
    for group in found:
        assert len(group.members) == 1 or group.count <= pdu - 18
        for _, address in group.members:
            assert (address.area, address.db) == (group.area, group.db)
            assert group.start <= address.start
            assert address.end <= group.start + group.count


@settings(deadline=None)
@given(tags=st.sets(TAGS), pdu=PDUS)
def test_requests_ask_for_every_byte_once_within_the_limits(tags: set[str], pdu: int) -> None:
    found = groups(addresses(tags), pdu, 16)
    asked: dict[int, int] = {}
    for request in requests(found, pdu):
        assert 0 < len(request) <= 20
        assert 12 + 12 * len(request) <= pdu
        assert 14 + sum(4 + (piece.item.width + 1) // 2 * 2 for piece in request) <= pdu
        for piece in request:
            group = found[piece.group]
            assert piece.item.start == group.start + asked.get(piece.group, 0)
            asked[piece.group] = asked.get(piece.group, 0) + piece.item.count
    assert asked == {number: group.count for number, group in enumerate(found)}


@settings(deadline=None)
@given(tags=st.sets(TAGS, min_size=2))
def test_split_keeps_all_members_and_ends_with_single_tags(tags: set[str]) -> None:
    work = groups(addresses(tags), 960, 200)
    alone: list[str] = []
    while work:
        group = work.pop()
        if len(group.members) == 1:
            alone.append(group.members[0][0])
            continue
        left, right = split(group)
        assert left.members + right.members == group.members
        assert left.members
        assert right.members
        work += [left, right]
    assert sorted(alone) == sorted(tags)


def test_neighbours_come_together_and_a_wide_gap_parts() -> None:
    found = groups(addresses({"DB1.0:int", "DB1.2:real", "DB1.22:int", "DB1.60:int"}), 240, 16)
    assert [(group.start, group.count) for group in found] == [(0, 24), (60, 2)]


def test_split_cuts_at_the_widest_hole() -> None:
    (group,) = groups(addresses({"M0:int", "M2:int", "M4:int", "M20:int"}), 240, 16)
    assert [len(part.members) for part in split(group)] == [3, 1]


@pytest.mark.parametrize(
    ("code", "quality"),
    [(0x03, 0x801F_0000), (0x0A, 0x8034_0000), (0xD241, 0x801F_0000), (0x8500, 0x8001_0000)],
)
def test_every_return_code_is_a_bad_quality(code: int, quality: int) -> None:
    assert quality_of(code) == quality


ITEMS = [Item("M", 0, 0, 3), Item("T", 0, 5, 2)]


@given(received=st.binary(max_size=30))
def test_any_bytes_are_an_answer_or_a_value_error(received: bytes) -> None:
    for parse in (
        lambda message: wire.frame_length(message[:4].ljust(4)),
        wire.is_confirmed,
        wire.data_piece,
        lambda message: wire.granted_pdu(wire.parse_answer(message)),
        lambda message: wire.read_answers(wire.parse_answer(message), ITEMS),
        lambda message: wire.read_answers(Answer(0, 0, bytes([4, 2]), message), ITEMS),
        lambda message: wire.granted_pdu(Answer(0, 0, message, b"")),
    ):
        with suppress(ValueError):
            parse(received)
