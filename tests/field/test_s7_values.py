"""Addresses and values of an S7: parsed, normalised, there and back, bad where they are none."""

import math
import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from snap7 import util

from isthmus.field.connectors.s7 import S7Source
from isthmus.field.connectors.s7.address import Address, S7Type, parse_tag
from isthmus.field.connectors.s7.values import Value, decode, encode, relevant, store
from isthmus.field.values import BAD_DECODING
from isthmus.flow.parcel import GOOD
from isthmus.testing.s7_values import CHARACTERS, expected, values

PLACES = {"bool": "M0.5", "counter": "C0", "string": f"M0:string[{CHARACTERS}]"} | {
    "wstring": f"M0:wstring[{CHARACTERS}]"
}
TAGS = {kind: PLACES.get(kind, f"M0:{kind}") for kind in get_args(S7Type)}
TYPES = st.sampled_from(sorted(TAGS))


# Addresses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "normal"),
    [
        ("DB10.14.0:bool", "DB10.14.0:bool"),
        ("DB10.4:real", "DB10.4:real"),
        ("DB10.26:string[10]", "DB10.26:string[10]"),
        ("M20:int", "M20:int"),
        ("I0.3:bool", "I0.3:bool"),
        ("Q4:word", "Q4:word"),
        ("DB10.40:dtl", "DB10.40:dtl"),
        ("DB10.DBX14.0", "DB10.14.0:bool"),
        ("DB10.DBD4:real", "DB10.4:real"),
        ("DB10.DBW2", "DB10.2:word"),
        ("DB10.DBL8:lint", "DB10.8:lint"),
        ("DB10.DBX26.0:string[10]", "DB10.26:string[10]"),
        ("MW20", "M20:word"),
        ("mb3", "M3:byte"),
        ("m0.1", "M0.1:bool"),
        ("%db10.dbd4:REAL", "DB10.4:real"),
        ("E0.3", "I0.3:bool"),
        ("AW4", "Q4:word"),
        ("DB1.0:dt", "DB1.0:date_and_time"),
        ("DB1.0:String", "DB1.0:string[254]"),
        ("DB1.0:WString", "DB1.0:wstring[254]"),
        ("T5", "T5"),
        ("t5:s5time", "T5"),
        ("Z3", "C3"),
    ],
)
def test_a_tag_has_one_normal_form(tag: str, normal: str) -> None:
    address = S7Source.parse_tag(tag)
    assert str(address) == normal
    assert S7Source.parse_tag(normal) == address


def test_a_tag_is_an_area_a_byte_and_a_type() -> None:
    assert parse_tag("DB10.26:string[10]") == Address("DB", 10, 26, "string", 12, length=10)
    assert parse_tag("DB10.14.7") == Address("DB", 10, 14, "bool", 1, bit=7)
    assert parse_tag("M20:wstring[10]") == Address("M", 0, 20, "wstring", 24, length=10)
    assert parse_tag("C3") == Address("C", 0, 3, "counter", 2)


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("DB10", "is no address; write area, byte, and type"),
        ("DB10.-1:int", "is no address"),
        ("holding:1", "is no address"),
        ("DB0.1:int", "no data block 0; there are 1 to 65535"),
        ("DB1.2", "`DB1.2` needs a type, such as `DB1.2:int`"),
        ("DB1.2:float", "no type `float`; there are bool, byte"),
        ("DB1.2:counter", "no type `counter`"),
        ("DB1.2:bool", "a bool needs its bit"),
        ("M1.9", "a bool needs its bit, `.0` to `.7`"),
        ("DB1.4.1:int", "only a bool has a bit"),
        ("DB1.DBX4:int", "only a bool has a bit"),
        ("MD2:int", "D is 4 byte(s), `int` is not"),
        ("MB2:bool", "B is 1 byte(s), `bool` is not"),
        ("DB1.65535:int", "byte 65535 with 2 byte(s) ends beyond 65535"),
        ("T5:int", "T is always `s5time`, not `int`"),
        ("DB1.2:string[300]", "`string[1]` to `string[254]`, not `string[300]`"),
        ("DB1.2:wstring[0]", "`wstring[1]` to `wstring[16382]`"),
        ("DB1.2:int[3]", "each element of an array is a tag of its own"),
    ],
)
def test_a_wrong_tag_says_what_is_wrong(tag: str, problem: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the text is compared below
        S7Source.parse_tag(tag)
    assert problem in str(raised.value)


# There and back ----------------------------------------------------------------------------------


@settings(max_examples=400)
@given(data=st.data(), kind=TYPES)
def test_every_value_comes_back(data: st.DataObject, kind: S7Type) -> None:
    address, value = parse_tag(TAGS[kind]), data.draw(values(kind))
    contents = encode(address, value)
    assert len(contents) == address.width
    assert decode(address, contents) == (*expected(value), GOOD)


@settings(max_examples=400)
@given(data=st.data(), kind=TYPES)
def test_any_bytes_are_a_value_or_bad(data: st.DataObject, kind: S7Type) -> None:
    address = parse_tag(TAGS[kind])
    contents = data.draw(st.binary(min_size=address.width, max_size=address.width))
    number, text, quality = decode(address, contents)
    if quality != GOOD:
        assert (number, text, quality) == (None, contents.hex(" "), BAD_DECODING)
        return
    assume(number is None or math.isfinite(number))
    value: Value | None = number if text is None else text
    assert value is not None
    assert decode(address, encode(address, value)) == (number, text, GOOD)


@given(memory=st.binary(min_size=4, max_size=4), bit=st.integers(0, 7), value=st.integers(0, 1))
def test_a_bit_leaves_its_neighbours_alone(memory: bytes, bit: int, value: int) -> None:
    changed = bytearray(memory)
    store(changed, parse_tag(f"M2.{bit}"), value)
    assert relevant(parse_tag(f"M2.{bit}"), changed[2:3]) == bytes([value << bit])
    assert changed[2] | 1 << bit == memory[2] | 1 << bit
    assert (changed[:2], changed[3:]) == (memory[:2], memory[3:])


def test_nothing_is_stored_beyond_the_memory() -> None:
    memory = bytearray(4)
    with pytest.raises(ValueError, match=r"`M3:int` is beyond the 4 bytes"):
        store(memory, parse_tag("M3:int"), 1)
    assert memory == bytearray(4)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("M0:int", 40_000),
        ("M0:usint", -1),
        ("M0:int", 1.5),
        ("M0:real", 1e300),
        ("M0:string[3]", "four"),
        ("M0:string[3]", "日本"),
        ("M0:wstring[1]", "😀"),
        ("M0:char", "ab"),
        ("M0:s5time", 5),
        ("M0:s5time", 10_000_000),
        ("M0:date", "1989-12-31"),
        ("M0:date_and_time", "2090-01-01T00:00:00.000"),
        ("M0:date_and_time", "2026-01-01T00:00:00.0001"),
        ("M0:dtl", "2026-01-01T00:00:00+01:00"),
        ("M0:ldt", "1969-12-31T23:59:59.999999999"),
        ("C0", 1000),
    ],
)
def test_a_value_a_type_cannot_hold_is_an_error(tag: str, value: Value) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the texts are for people
        encode(parse_tag(tag), value)


# Known bytes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "contents", "value"),
    [
        ("M0.3", "08", 1.0),
        ("M0:dint", "ff fe ee 90", -70_000.0),
        ("M0:ulint", "ff ff ff ff ff ff ff ff", "18446744073709551615"),
        ("M0:real", "3f c0 00 00", 1.5),
        ("M0:string[10]", "0a 06 67 69 65 df 65 6e 00 00 00 00", "gießen"),
        ("M0:wstring[5]", "00 05 00 02 00 67 00 df 00 00 00 00 00 00", "gß"),
        ("M0:char", "41", "A"),
        ("M0:char", "00", ""),
        ("M0:wchar", "20 ac", "€"),
        ("M0:date", "00 00", "1990-01-01"),
        ("M0:tod", "05 26 5b ff", "23:59:59.999"),
        ("M0:time", "ff ff ff ff", -1.0),
        ("M0:ltime", "00 00 00 00 3b 9a ca 00", 1e9),
        ("M0:s5time", "31 27", 1_270_000.0),
        ("M0:date_and_time", "26 11 22 17 02 14 12 31", "2026-11-22T17:02:14.123"),
        ("M0:date_and_time", "90 01 01 00 00 00 00 02", "1990-01-01T00:00:00.000"),
        ("M0:dtl", "07 ea 0b 16 01 11 02 0e 07 5b cd 15", "2026-11-22T17:02:14.123456789"),
        ("M0:ldt", "00 00 00 00 00 00 00 01", "1970-01-01T00:00:00.000000001"),
        ("T0", "01 27", 1_270.0),
        ("C0", "09 99", 999.0),
    ],
)
def test_known_bytes_are_known_values(tag: str, contents: str, value: Value) -> None:
    assert decode(parse_tag(tag), bytes.fromhex(contents)) == (*expected(value), GOOD)


BAD = {
    "a length beyond the maximum": ("M0:string[3]", "03 04 41 41 41"),
    "a length beyond what the tag says": ("M0:string[3]", "0a 04 41 41 41"),
    "no such character in the code page": ("M0:string[1]", "01 01 81"),
    "half a surrogate pair": ("M0:wstring[1]", "00 01 00 01 d8 00"),
    "a wide length beyond the maximum": ("M0:wstring[1]", "00 01 00 02 00 41"),
    "BCD of A to F": ("M0:date_and_time", "26 11 2a 17 02 14 12 31"),
    "month 13 in BCD": ("M0:date_and_time", "26 13 22 17 02 14 12 31"),
    "a date that was never set": ("M0:dtl", "00 00 00 00 00 00 00 00 00 00 00 00"),
    "month 13": ("M0:dtl", "07 ea 0d 16 01 11 02 0e 00 00 00 00"),
    "a second of nanoseconds": ("M0:dtl", "07 ea 0b 16 01 11 02 0e 3b 9a ca 00"),
    "later than the last moment": ("M0:ldt", "80 00 00 00 00 00 00 00"),
    "a 25th hour": ("M0:tod", "05 26 5c 00"),
    "a long 25th hour": ("M0:ltod", "00 00 4e 94 91 4f 00 00"),
    "a timer of A to F": ("T0", "0a 00"),
    "a counter of A to F": ("C0", "00 0f"),
}


@pytest.mark.parametrize(("tag", "contents"), BAD.values(), ids=BAD)
def test_what_is_no_value_comes_bad_with_its_bytes(tag: str, contents: str) -> None:
    assert decode(parse_tag(tag), bytes.fromhex(contents)) == (None, contents, BAD_DECODING)


def test_nan_stays_nan_for_shape_to_judge() -> None:
    number, text, quality = decode(parse_tag("M0:real"), struct.pack(">f", math.nan))
    assert number is not None
    assert math.isnan(number)
    assert (text, quality) == (None, GOOD)


def test_strings_are_of_the_code_page_of_the_source() -> None:
    address = parse_tag("M0:string[3]")
    contents = encode(address, "дом", "cp1251")
    assert decode(address, contents, "cp1251") == (None, "дом", GOOD)
    assert decode(address, contents, "latin-1") == (None, "äîì", GOOD)


def test_a_string_filled_up_with_nul_ends_at_the_first() -> None:
    assert decode(parse_tag("M0:string[4]"), b"\x04\x04ab\0\0") == (None, "ab", GOOD)


# Against somebody else's reading of the same bytes -----------------------------------------------

MIDNIGHT = datetime(2026, 1, 1)  # noqa: DTZ001 - the CPU's clock has no zone
SNAP7: dict[S7Type, Callable[[bytearray], Any]] = {
    "bool": lambda data: util.get_bool(data, 0, 5),
    "byte": lambda data: util.get_byte(data, 0),
    "word": lambda data: util.get_word(data, 0),
    "dword": lambda data: util.get_dword(data, 0),
    "sint": lambda data: util.get_sint(data, 0),
    "usint": lambda data: util.get_usint(data, 0),
    "int": lambda data: util.get_int(data, 0),
    "uint": lambda data: util.get_uint(data, 0),
    "dint": lambda data: util.get_dint(data, 0),
    "udint": lambda data: util.get_udint(data, 0),
    "lint": lambda data: util.get_lint(data, 0),
    "ulint": lambda data: util.get_ulint(data, 0),
    "real": lambda data: util.get_real(data, 0),
    "lreal": lambda data: util.get_lreal(data, 0),
    "wchar": lambda data: util.get_wchar(data, 0),
    "string": lambda data: util.get_string(data, 0, encoding="cp1252"),
    "wstring": lambda data: util.get_wstring(data, 0),
    "date": lambda data: util.get_date(data, 0).isoformat(),
}
SNAP7_MOMENTS: dict[S7Type, Callable[[bytearray], datetime]] = {
    "date_and_time": lambda data: util.get_date_time_object(data, 0),
    "dtl": lambda data: util.get_dtl(data, 0),
    "ldt": lambda data: util.get_ldt(data, 0),
    "tod": lambda data: MIDNIGHT + util.get_tod(data, 0),
    "ltod": lambda data: MIDNIGHT + util.get_ltod(data, 0),
}
"""Python's datetime drops what is shorter than a microsecond."""


@given(data=st.data(), kind=st.sampled_from(sorted(SNAP7)))
def test_snap7_reads_the_same(data: st.DataObject, kind: S7Type) -> None:
    contents = encode(parse_tag(TAGS[kind]), data.draw(values(kind)))
    number, text, _ = decode(parse_tag(TAGS[kind]), contents)
    assert (number, text) == expected(SNAP7[kind](bytearray(contents)))


@given(data=st.data(), kind=st.sampled_from(sorted(SNAP7_MOMENTS)))
def test_snap7_reads_the_same_moments(data: st.DataObject, kind: S7Type) -> None:
    contents = encode(parse_tag(TAGS[kind]), data.draw(values(kind)))
    _, text, _ = decode(parse_tag(TAGS[kind]), contents)
    theirs = SNAP7_MOMENTS[kind](bytearray(contents)).isoformat(timespec="microseconds")
    whole, _, fraction = str(text).partition(".")
    assert theirs.endswith(f"{whole}.{fraction[:6]:0<6}")


@given(steps=st.integers(0, 999), base=st.sampled_from([10, 100, 1_000, 10_000]))
def test_snap7_reads_the_same_durations(steps: int, base: int) -> None:
    contents = encode(parse_tag("M0:s5time"), steps * base)
    assert util.get_s5time(bytearray(contents), 0) == str(timedelta(milliseconds=steps * base))
