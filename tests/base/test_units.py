"""Units: UCUM codes, sizes, dimensions, labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.base.units import (
    ALIASES,
    DimensionError,
    UnknownUnitError,
    canonical,
    conversion,
    known,
    label,
)

COMMON = (
    "Cel", "[degF]", "K", "bar", "mbar", "Pa", "kPa", "MPa", "mm", "m", "um", "s", "ms", "min", "h",
    "kW.h", "kW", "W", "A", "V", "%", "1", "/min", "mm/min", "m/s", "kg", "g", "t", "N", "kN",
    "N.m", "Hz",
    "L", "mL", "deg", "[psi]", "L/min", "m3/h", "kg/h", "m/s2", "cm3", "g/cm3", "/h", "kOhm",
)  # fmt: skip


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        ("[degF]", "Cel", 32.0, 0.0),
        ("[degF]", "Cel", 212.0, 100.0),
        ("Cel", "[degF]", -40.0, -40.0),
        ("Cel", "K", 0.0, 273.15),
        ("mbar", "bar", 1013.0, 1.013),
        ("[psi]", "bar", 100.0, 6.894757293168361),
        ("kW.h", "J", 1.0, 3_600_000.0),
        ("/min", "Hz", 90.0, 1.5),
        ("mm/min", "m/s", 60_000.0, 1.0),
        ("%", "1", 85.0, 0.85),
        ("N.m", "J", 5.0, 5.0),
        ("L/min", "m3/h", 100.0, 6.0),
        ("10*3/min", "/s", 6.0, 100.0),
        ("[degF]/min", "K/s", 108.0, 1.0),
        ("cm2", "m2", 10_000.0, 1.0),
        ("[in_i]", "mm", 1.0, 25.4),
        ("1/min", "/min", 7.0, 7.0),
        ("{pcs}", "1", 7.0, 7.0),
        ("{pcs}/h", "/min", 60.0, 1.0),
        ("m.s-2", "mm/s2", 1.0, 1000.0),
    ],
)
def test_value_is_converted(source: str, target: str, value: float, expected: float):
    scale, offset = conversion(source, target)
    assert value * scale + offset == pytest.approx(expected, rel=1e-12, abs=1e-9)


def test_same_unit_changes_no_bit():
    assert conversion("bar", "bar") == (1.0, 0.0)
    assert conversion("degC", "Cel") == (1.0, 0.0)


@pytest.mark.parametrize("code", COMMON)
def test_common_codes_are_known_and_have_a_size(code: str):
    assert canonical(code) == code
    assert conversion(code, code) == (1.0, 0.0)


@given(st.sampled_from(COMMON), st.sampled_from(COMMON), st.floats(-1e6, 1e6))
def test_there_and_back_is_the_same_value(source: str, target: str, value: float):
    try:
        scale, offset = conversion(source, target)
    except DimensionError:
        return
    back_scale, back_offset = conversion(target, source)
    back = (value * scale + offset) * back_scale + back_offset
    assert back == pytest.approx(value, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("kW.h", "kW", "`kW.h` (energy) cannot be converted to `kW` (power)"),
        ("bar", "Cel", "`bar` (pressure) cannot be converted to `Cel` (temperature)"),
        ("deg", "%", "`deg` (angle) cannot be converted to `%` (a plain number)"),
        ("/min", "m/s", "`/min` (per time) cannot be converted to `m/s` (speed)"),
    ],
)
def test_different_dimensions_name_both_units(source: str, target: str, said: str):
    with pytest.raises(DimensionError) as raised:
        conversion(source, target)
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("code", "suggestion"),
    [
        ("CEL", "Cel"), ("Bar", "bar"), ("kwH", "kW.h"), ("°c", "Cel"), ("KG", "kg"),
        ("", ""), ("m//s", ""), ("()", ""), (" m", "m"), ("m^2", ""),
        ("{", ""), (".", ""), ("m.", "m"),
    ],
)  # fmt: skip
def test_unknown_unit_has_a_suggestion_where_one_is_near(code: str, suggestion: str):
    assert not known(code)
    with pytest.raises(UnknownUnitError) as raised:
        canonical(code)
    assert raised.value.suggestion == suggestion


@given(st.text(max_size=12))
def test_any_text_is_known_or_refused(text: str):
    if known(text):
        assert conversion(text, text) == (1.0, 0.0)


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_every_alias_stands_for_a_code_of_ucum(alias: str):
    assert canonical(ALIASES[alias]) == ALIASES[alias]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("Cel", "°C"), ("[degF]", "°F"), ("kW.h", "kWh"), ("/min", "1/min"), ("1", ""), ("%", "%"),
        ("um", "µm"), ("kOhm", "kΩ"), ("m3/h", "m³/h"), ("N.m", "N·m"), ("m.s-2", "m/s²"),
        ("deg", "°"), ("10*3/min", "1000/min"), ("{pcs}/h", "1/h"),
        ("rpm", "1/min"), ("[psi]", "psi"),
    ],
)  # fmt: skip
def test_label_is_what_people_write(code: str, shown: str):
    assert label(code) == shown
