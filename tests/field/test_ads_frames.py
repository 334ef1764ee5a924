"""Frames to and from a TwinCAT router, without one, and the values that are in them."""

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.base.clock import SECOND
from isthmus.field.connectors.ads.frames import (
    Address,
    Frame,
    body_length,
    micros,
    notified,
    pack,
    sum_read_results,
    sum_read_write_results,
    unpack,
)
from isthmus.field.connectors.ads.symbols import Symbol, data_types, symbols
from isthmus.field.connectors.ads.values import (
    BAD_DECODING,
    BAD_ENCODING_UNSUPPORTED,
    BAD_NOT_READABLE,
    convert,
    quality_of,
)
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD

# Frames ------------------------------------------------------------------------------------------

ADDRESSES = st.builds(Address, st.binary(min_size=6, max_size=6), st.integers(0, 65535))
NUMBERS = st.integers(0, 2**32 - 1)
FRAMES = st.builds(
    Frame, ADDRESSES, ADDRESSES, st.integers(0, 65535), st.integers(0, 65535), NUMBERS, NUMBERS,
    st.binary(max_size=50),
)  # fmt: skip


@given(FRAMES)
def test_a_frame_comes_out_as_it_went_in(frame: Frame) -> None:
    packed = pack(frame)
    assert body_length(packed[:6]) == len(packed) - 6
    assert unpack(packed[6:]) == frame


@given(st.binary(max_size=60))
def test_garbled_answers_are_an_error_and_nothing_else(data: bytes) -> None:
    for parse in (
        lambda: list(notified(data)),
        lambda: sum_read_results(data, [(1, 2, 3)] * 3),
        lambda: sum_read_write_results(data, 3),
        lambda: list(symbols(data)),
        lambda: data_types(data),
        lambda: body_length(data[:6].ljust(6, b"\0")),
    ):
        try:
            parse()
        except (ValueError, struct.error):
            continue


def test_the_controllers_time_counts_from_1601() -> None:
    assert micros(116_444_736_000_000_000) == 0
    assert micros(134_119_872_000_000_000) == 1_767_513_600 * SECOND


# Values ------------------------------------------------------------------------------------------


def value_of(kind: str, ads_type: int, data: bytes, encoding: str = "cp1252") -> Any:
    return convert(Symbol("x", kind, ads_type, len(data)), data, encoding)


@pytest.mark.parametrize(
    ("kind", "ads_type", "data", "number"),
    [
        ("BOOL", 33, b"\x01", 1.0),
        ("SINT", 16, b"\xff", -1.0),
        ("BYTE", 17, b"\xff", 255.0),
        ("INT", 2, struct.pack("<h", -2), -2.0),
        ("WORD", 18, struct.pack("<H", 65_535), 65_535.0),
        ("DINT", 3, struct.pack("<i", -70_000), -70_000.0),
        ("UDINT", 19, struct.pack("<I", 2**32 - 1), 2.0**32 - 1),
        ("LINT", 20, struct.pack("<q", -(2**53)), -(2.0**53)),
        ("REAL", 4, struct.pack("<f", 0.5), 0.5),
        ("LREAL", 5, struct.pack("<d", 0.1), 0.1),
        ("E_State", 2, struct.pack("<h", 3), 3.0),
        ("TIME", 65, struct.pack("<I", 28_500), 28_500.0),
        ("LTIME", 65, struct.pack("<Q", 1_500_000), 1_500_000.0),
    ],
)
def test_every_type_becomes_its_number(
    kind: str, ads_type: int, data: bytes, number: float
) -> None:
    assert value_of(kind, ads_type, data) == (number, None, GOOD)


@pytest.mark.parametrize(
    ("kind", "ads_type", "data", "expected"),
    [
        ("STRING(8)", 30, b"Deckel\0x\0", (None, "Deckel", GOOD)),
        ("STRING(3)", 30, b"\x81\0\0\0", (None, None, BAD_DECODING)),
        ("WSTRING(3)", 31, "añ".encode("utf-16-le") + bytes(4), (None, "añ", GOOD)),
        ("WSTRING(1)", 31, b"\x00\xd8\0\0", (None, None, BAD_DECODING)),
        ("LDT", 65, struct.pack("<Q", 1_500_000_000), (None, "1970-01-01T00:00:01.500000", GOOD)),
        ("DINT", 3, b"\x01", (None, None, BAD_DECODING)),
        ("ULINT", 21, struct.pack("<Q", 2**64 - 1), (None, str(2**64 - 1), GOOD)),
        ("ST_Recipe", 65, bytes(8), (None, None, BAD_ENCODING_UNSUPPORTED)),
        ("ARRAY [0..1] OF ST_Recipe", 65, bytes(8), (None, None, BAD_ENCODING_UNSUPPORTED)),
        ("ARRAY [0..1] OF BOOL", 33, b"\x00\x01", (None, "[false, true]", GOOD)),
        ("ARRAY [0..1] OF INT", 2, b"\x00", (None, None, BAD_DECODING)),
    ],
)
def test_texts_and_what_is_no_value(kind: str, ads_type: int, data: bytes, expected: Any) -> None:
    assert value_of(kind, ads_type, data) == expected


def test_nan_stays_nan_for_shape_to_judge() -> None:
    number, text, quality = value_of("REAL", 4, struct.pack("<f", math.nan))
    assert math.isnan(number)
    assert (text, quality) == (None, GOOD)


def test_an_ads_error_becomes_a_quality() -> None:
    assert quality_of(0x710) == BAD_NODE_UNKNOWN
    assert quality_of(0x704) == BAD_NOT_READABLE
