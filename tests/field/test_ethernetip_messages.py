"""What a Logix controller is asked and answers, without one: paths, groups, values."""

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.field.connectors.ethernetip import EthernetIpSource
from isthmus.field.connectors.ethernetip.messages import (
    Answer,
    answers,
    groups,
    many,
    path_of,
    read_tag,
)
from isthmus.field.connectors.ethernetip.values import (
    BAD_ACCESS_DENIED,
    BAD_DECODING,
    BAD_ENCODING_UNSUPPORTED,
    BAD_INDEX_RANGE_NO_DATA,
    BAD_NOT_SUPPORTED,
    BAD_RESPONSE_TOO_LARGE,
    BAD_SYNTAX_ERROR,
    BAD_TYPE_MISMATCH,
    BAD_UNEXPECTED,
    STRING82,
    convert,
)
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD

# Messages ----------------------------------------------------------------------------------------


def test_paths_are_padded_symbols_and_members() -> None:
    path = path_of(EthernetIpSource.parse_tag("Recipe.Zones[300]"))
    assert path == b"\x0a\x91\x06Recipe\x91\x05Zones\x00\x29\x00\x2c\x01"


NAMES = st.from_regex(r"[A-Z][a-z]{0,30}(\[[0-9]{1,6}\])?", fullmatch=True)


@given(
    names=st.lists(NAMES, unique=True, max_size=60),
    size=st.integers(4, 400),
    connection=st.sampled_from([500, 4000]),
)
def test_groups_hold_every_path_once_and_fit_the_connection(
    names: list[str], size: int, connection: int
) -> None:
    paths = [path_of(EthernetIpSource.parse_tag(name)) for name in names]
    size_of = {path: size + number for number, path in enumerate(paths)}
    found = groups(paths, size_of, connection)
    assert [path for group in found for path in group] == paths
    for group in found:
        message = 2 + len(many([read_tag(path) for path in group]))
        answer = 2 + 4 + 2 + sum(2 + 4 + size_of[path] for path in group)
        assert max(message, answer) <= connection or len(group) == 1


@given(st.binary(max_size=40), st.integers(0, 4))
def test_garbled_answers_are_an_error_and_nothing_else(data: bytes, expected: int) -> None:
    try:
        assert len(answers(data, expected)) == expected
    except ValueError:
        return


# Values ------------------------------------------------------------------------------------------


def value_of(code: int, value: bytes, bit: int | None = None, strings: Any = (STRING82,)) -> Any:
    return convert(Answer(0, data=struct.pack("<H", code) + value), bit, strings, "utf-8")


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        (0xC1, b"\x00", 0.0),
        (0xC1, b"\xff", 1.0),
        (0x03C1, b"\x01", 1.0),
        (0xC2, struct.pack("<b", -5), -5.0),
        (0xC3, struct.pack("<h", -2), -2.0),
        (0xC4, struct.pack("<i", -70_000), -70_000.0),
        (0xC5, struct.pack("<q", -(2**53)), -(2.0**53)),
        (0xC8, struct.pack("<I", 2**32 - 1), 2.0**32 - 1),
        (0xCA, struct.pack("<f", 0.5), 0.5),
        (0xCB, struct.pack("<d", 0.1), 0.1),
    ],
)
def test_every_type_becomes_its_number(code: int, value: bytes, expected: float) -> None:
    assert value_of(code, value) == (expected, None, GOOD)


def test_integers_beyond_a_float_come_as_text() -> None:
    assert value_of(0xC5, struct.pack("<q", 2**60)) == (None, str(2**60), GOOD)


def test_bits_are_those_of_two_complement() -> None:
    assert value_of(0xC4, struct.pack("<i", -1), bit=31) == (1.0, None, GOOD)
    assert value_of(0xC3, struct.pack("<h", 1), bit=16) == (None, None, BAD_INDEX_RANGE_NO_DATA)
    assert value_of(0xCA, struct.pack("<f", 1), bit=1) == (None, None, BAD_TYPE_MISMATCH)


def test_nan_stays_nan_for_shape_to_judge() -> None:
    number, text, quality = value_of(0xCA, struct.pack("<f", math.nan))
    assert math.isnan(number)
    assert (text, quality) == (None, GOOD)


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        (0xD0, b"\x02\x00ok", (None, "ok", GOOD)),
        (0xDA, b"\x02ok", (None, "ok", GOOD)),
        (0x02A0, b"\xce\x0f\x02\x00\x00\x00ok\x00", (None, "ok", GOOD)),
        (0x02A0, b"\xce\x0f\x09\x00\x00\x00ok\x00", (None, None, BAD_DECODING)),
        (0x02A0, b"\xce\x0f\x01\x00\x00\x00\xff", (None, None, BAD_DECODING)),
        (0x02A0, b"\x11\x11" + bytes(8), (None, None, BAD_ENCODING_UNSUPPORTED)),
        (0xC4, b"\x01", (None, None, BAD_DECODING)),
        (0xD3, bytes(4), (None, None, BAD_TYPE_MISMATCH)),
        (0xFE, b"", (None, None, BAD_ENCODING_UNSUPPORTED)),
    ],
)
def test_strings_and_what_is_no_value(code: int, value: bytes, expected: Any) -> None:
    assert value_of(code, value) == expected


@pytest.mark.parametrize(
    ("status", "extended", "quality"),
    [
        (0x04, 0, BAD_NODE_UNKNOWN),
        (0x05, 0, BAD_NODE_UNKNOWN),
        (0x08, 0, BAD_NOT_SUPPORTED),
        (0x0F, 0, BAD_ACCESS_DENIED),
        (0x11, 0, BAD_RESPONSE_TOO_LARGE),
        (0x15, 0, BAD_SYNTAX_ERROR),
        (0xFF, 0x2105, BAD_INDEX_RANGE_NO_DATA),
        (0xFF, 0x2107, BAD_TYPE_MISMATCH),
        (0x77, 0, BAD_UNEXPECTED),
    ],
)
def test_cip_status_becomes_quality(status: int, extended: int, quality: int) -> None:
    assert convert(Answer(status, extended), None, (), "utf-8") == (None, None, quality)
