"""Units of measure: UCUM codes in, conversions out; `pint` knows the sizes.

UCUM (ucum.org) is the code machines, laboratories and business systems share: `Cel`, `kW.h`,
`/min`, `1` for pieces. Only the atoms that industry uses are listed; add a line for another.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, Final


class UnknownUnitError(ValueError):
    """The text is no UCUM code that Isthmus knows."""

    def __init__(self, code: str, suggestion: str = "") -> None:
        super().__init__(f"`{code}` is not a unit of UCUM")
        self.code = code
        self.suggestion = suggestion


class DimensionError(ValueError):
    """Two units that measure different things."""

    def __init__(self, source: str, target: str) -> None:
        super().__init__(
            f"`{source}` ({_described(source)}) cannot be converted to "
            f"`{target}` ({_described(target)})"
        )


@dataclass(frozen=True)
class _Atom:
    """One unit of UCUM."""

    pint: str
    """Name in pint's registry."""
    label: str = ""
    """As people write it; empty: as the code."""
    metric: bool = False
    """Takes prefixes."""


_PREFIXES: Final = MappingProxyType({
    "T": "tera", "G": "giga", "M": "mega", "k": "kilo", "h": "hecto", "da": "deca",
    "d": "deci", "c": "centi", "m": "milli", "u": "micro", "n": "nano", "p": "pico",
})  # fmt: skip

_METRIC: Final = {
    "m": "meter", "s": "second", "g": "gram", "K": "kelvin", "A": "ampere", "mol": "mole",
    "cd": "candela", "rad": "radian", "Hz": "hertz", "N": "newton", "Pa": "pascal",
    "bar": "bar", "J": "joule", "W": "watt", "V": "volt", "Ohm": "ohm", "S": "siemens",
    "F": "farad", "C": "coulomb", "H": "henry", "T": "tesla", "lm": "lumen", "lx": "lux",
    "L": "liter", "l": "liter", "t": "metric_ton", "eV": "electron_volt", "cal": "calorie",
    "Bq": "becquerel", "By": "byte", "bit": "bit", "VA": "volt_ampere", "var": "volt_ampere",
}  # fmt: skip

_ATOMS: Final = MappingProxyType({
    **{code: _Atom(name, metric=True) for code, name in _METRIC.items()},
    "Ohm": _Atom("ohm", "Ω", metric=True),
    "By": _Atom("byte", "B", metric=True),
    "Cel": _Atom("degree_Celsius", "°C"),
    "[degF]": _Atom("degree_Fahrenheit", "°F"),
    "%": _Atom("percent"),
    "[ppth]": _Atom("permille", "‰"),
    "[ppm]": _Atom("ppm", "ppm"),
    "[pH]": _Atom("dimensionless", "pH"),
    "min": _Atom("minute"), "h": _Atom("hour"), "d": _Atom("day"), "wk": _Atom("week"),
    "mo": _Atom("month"), "a": _Atom("year"),
    "deg": _Atom("degree", "°"), "'": _Atom("arcminute", "′"), "''": _Atom("arcsecond", "″"),
    "circ": _Atom("turn", "rev"),
    "[in_i]": _Atom("inch", "in"), "[ft_i]": _Atom("foot", "ft"), "[yd_i]": _Atom("yard", "yd"),
    "[mi_i]": _Atom("mile", "mi"), "[mil_i]": _Atom("thou", "mil"),
    "[lb_av]": _Atom("pound", "lb"), "[oz_av]": _Atom("ounce", "oz"),
    "[lbf_av]": _Atom("force_pound", "lbf"), "[psi]": _Atom("psi", "psi"),
    "[gal_us]": _Atom("gallon", "gal"), "[foz_us]": _Atom("fluid_ounce", "fl oz"),
    "[HP]": _Atom("horsepower", "hp"), "[Btu_IT]": _Atom("Btu_it", "Btu"),
    "atm": _Atom("standard_atmosphere"), "gf": _Atom("force_gram", metric=True),
    "mm[Hg]": _Atom("millimeter_Hg", "mmHg"), "m[H2O]": _Atom("meter_H2O", "mH₂O", metric=True),
    "ar": _Atom("are", metric=True),
})  # fmt: skip

ALIASES: Final = MappingProxyType({
    "degC": "Cel", "°C": "Cel", "celsius": "Cel", "Celsius": "Cel", "grdC": "Cel",
    "degF": "[degF]", "°F": "[degF]", "fahrenheit": "[degF]", "Fahrenheit": "[degF]",
    "kelvin": "K", "°": "deg", "degree": "deg", "grad": "deg",
    "percent": "%", "Prozent": "%", "ppm": "[ppm]",
    "pcs": "1", "pc": "1", "piece": "1", "pieces": "1", "Stk": "1", "Stück": "1", "ST": "1",
    "µm": "um", "μm": "um", "micron": "um", "µs": "us", "μs": "us",
    "sec": "s", "second": "s", "seconds": "s", "hr": "h", "hour": "h", "hours": "h",
    "minute": "min", "minutes": "min", "day": "d", "days": "d",
    "rpm": "/min", "RPM": "/min", "U/min": "/min", "rev/min": "/min", "1/sec": "/s",
    "Wh": "W.h", "kWh": "kW.h", "MWh": "MW.h", "kwh": "kW.h", "Nm": "N.m", "kNm": "kN.m",
    "psi": "[psi]", "PSI": "[psi]", "hp": "[HP]", "lbf": "[lbf_av]",
    "inch": "[in_i]", "in": "[in_i]", "ft": "[ft_i]", "foot": "[ft_i]", "feet": "[ft_i]",
    "lb": "[lb_av]", "lbs": "[lb_av]", "oz": "[oz_av]", "gal": "[gal_us]",
    "m²": "m2", "mm²": "mm2", "m³": "m3", "cm³": "cm3", "m³/h": "m3/h", "ccm": "cm3",
    "ohm": "Ohm", "Ω": "Ohm", "VAr": "var", "kVAr": "kvar",
    "litre": "L", "liter": "L", "ltr": "L", "l/m": "L/min", "to": "t", "tonne": "t",
})  # fmt: skip
"""What people write → UCUM."""

_NOTE: Final = re.compile(r"\{[^{}]*\}$")


@dataclass(frozen=True)
class _Factor:
    """One component of a code."""

    atom: str
    """UCUM atom without prefix; empty for a plain number."""
    prefix: str
    power: int
    number: float = 1.0


def canonical(code: str) -> str:
    """The UCUM code of what was written: itself, or what the alias stands for."""
    if code in ALIASES:
        return ALIASES[code]
    _parsed(code)
    return code


def known(code: str) -> bool:
    try:
        canonical(code)
    except UnknownUnitError:
        return False
    return True


@lru_cache(maxsize=1024)
def conversion(source: str, target: str) -> tuple[float, float]:
    """`(scale, offset)` so that `value * scale + offset` is in `target`.

    Raises UnknownUnitError or DimensionError.
    """
    source, target = canonical(source), canonical(target)
    if source == target:
        return (1.0, 0.0)
    if source in _TEMPERATURES and target in _TEMPERATURES:
        (size, zero), (to_size, to_zero) = _TEMPERATURES[source], _TEMPERATURES[target]
        return (float(size / to_size), float((zero - to_zero) / to_size))
    here, there = _size(source), _size(target)
    if here.dimension != there.dimension or _is_angle(source) != _is_angle(target):
        raise DimensionError(source, target)
    quantity = _registry().Quantity

    def converted(value: float) -> float:
        return float(quantity(value * here.number, here.unit).to(there.unit).magnitude)

    offset = converted(0.0) / there.number
    # 1000 units rather than one: the difference keeps more digits beside a large offset.
    scale = (converted(1000.0) / there.number - offset) / 1000.0
    return (_clean(scale), _clean(offset))


_TEMPERATURES: Final = MappingProxyType(
    {
        "K": (Fraction(1), Fraction(0)),
        "Cel": (Fraction(1), Fraction("273.15")),
        "[degF]": (Fraction(5, 9), Fraction("459.67") * Fraction(5, 9)),
    }
)
"""`(scale, zero)` to kelvin. As fractions, so that 32 °F are 0 °C and not 4e-14."""


@lru_cache(maxsize=1024)
def label(code: str) -> str:
    """How people write the unit: `Cel` is °C, `kW.h` is kWh, `/min` is 1/min, `1` is nothing."""
    code = canonical(code)
    above: list[str] = []
    below: list[str] = []
    for factor in _parsed(code):
        (above if factor.power > 0 else below).append(_factor_label(factor))
    numerator = "·".join(filter(None, above)).replace("W·h", "Wh").replace("A·h", "Ah")
    if not below:
        return numerator
    return f"{numerator or '1'}/{'/'.join(below)}"


def _factor_label(factor: _Factor) -> str:
    power = abs(factor.power)
    if not factor.atom:
        return "" if factor.number == 1 else f"{factor.number:g}"
    symbol = _ATOMS[factor.atom].label or factor.atom
    prefix = "µ" if factor.prefix == "u" else factor.prefix
    raised = "" if power == 1 else str(power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{prefix}{symbol}{raised}"


@lru_cache(maxsize=1024)
def _parsed(code: str) -> tuple[_Factor, ...]:
    """UCUM's grammar without parentheses: components joined by `.` and `/`, from left to right."""
    if not code or code != code.strip():
        raise UnknownUnitError(code, _suggestion(code))
    factors = []
    sign = 1
    for separator, part in _parts(code):
        sign = -1 if separator == "/" else 1
        factors.append(_factor(code, part, sign))
    return tuple(factors)


def _parts(code: str) -> Iterator[tuple[str, str]]:
    """Components with the separator before them; dots and slashes inside `{…}` and `[…]` stay."""
    separator, part, depth = ".", "", 0
    rest = code
    if code.startswith("/"):
        separator, rest = "/", code[1:]
    for character in rest:
        depth += (character in "[{") - (character in "]}")
        if character in "./" and depth == 0:
            yield separator, part
            separator, part = character, ""
        else:
            part += character
    yield separator, part


def _factor(code: str, part: str, sign: int) -> _Factor:
    bare = _NOTE.sub("", part)
    if bare == "" and part:
        return _Factor("", "", sign)
    if bare.isdecimal():
        return _Factor("", "", sign, float(bare))
    if ten := re.fullmatch(r"10[*^]([+-]?\d+)", bare):
        return _Factor("", "", sign, 10.0 ** int(ten[1]))
    found = re.fullmatch(r"(.*?[^\d+-])([+-]?\d+)?", bare)
    if found is None:
        raise UnknownUnitError(code, _suggestion(code))
    prefix, atom = _split(code, found[1])
    return _Factor(atom, prefix, sign * int(found[2] or 1))


def _split(code: str, symbol: str) -> tuple[str, str]:
    if symbol in _ATOMS:
        return "", symbol
    for length in (1, 2):
        prefix, atom = symbol[:length], symbol[length:]
        if prefix in _PREFIXES and atom in _ATOMS and _ATOMS[atom].metric:
            return prefix, atom
    raise UnknownUnitError(code, _suggestion(code))


def _suggestion(code: str) -> str:
    """The nearest code: another case, an alias of another case, or a similar spelling."""
    everything = [*_ATOMS, *ALIASES, "kW.h", "mbar", "mm", "kg", "mL", "kPa", "MPa", "/min", "kN"]
    same = [each for each in everything if each.casefold() == code.strip().casefold()]
    near = same or get_close_matches(code.strip(), everything, n=1, cutoff=0.6)
    return ALIASES.get(near[0], near[0]) if near else ""


@cache
def _registry() -> Any:
    import pint  # noqa: PLC0415 - half a second that a model without conversions need not wait

    return pint.UnitRegistry(cache_folder=None)


@dataclass(frozen=True)
class _Size:
    """What pint knows of a code: a unit, and the number that stood in it, as in `10*3/min`."""

    unit: Any
    number: float

    @property
    def dimension(self) -> str:
        return str(self.unit.dimensionality)


def _size(code: str) -> _Size:
    factors = _parsed(code)
    registry = _registry()
    if len(factors) == 1 and factors[0].power == 1 and factors[0].atom:
        return _Size(registry.Unit(_pint_name(factors[0])), 1.0)
    unit, number = registry.Unit(""), 1.0
    for factor in factors:
        if factor.atom:
            unit *= (
                registry.Unit(_DIFFERENCES.get(factor.atom) or _pint_name(factor)) ** factor.power
            )
        else:
            number *= factor.number**factor.power
    return _Size(unit, number)


_DIFFERENCES: Final = MappingProxyType({"Cel": "kelvin", "[degF]": "delta_degree_Fahrenheit"})
"""Within a product a temperature is a difference: K/min and Cel/min are the same."""


def _pint_name(factor: _Factor) -> str:
    return _PREFIXES.get(factor.prefix, "") + _ATOMS[factor.atom].pint


def _is_angle(code: str) -> bool:
    """Angles have no dimension of their own, yet `deg` is no share like `%`."""
    return any(factor.atom in {"deg", "rad", "'", "''", "circ"} for factor in _parsed(code))


def _described(code: str) -> str:
    if _is_angle(code):
        return "angle"
    dimension = _size(code).dimension
    return _DIMENSIONS.get(dimension, dimension)


def _clean(number: float) -> float:
    """Without the last bits' noise where there is a short number: 0.001, not 0.00100…02."""
    short = float(f"{number:.14g}") + 0.0
    return short if len(repr(short)) <= 12 else number


_DIMENSIONS: Final = MappingProxyType(
    {
        "dimensionless": "a plain number",
        "[temperature]": "temperature",
        "[length]": "length",
        "[time]": "time",
        "[mass]": "mass",
        "1 / [time]": "per time",
        "[length] ** 2": "area",
        "[length] ** 3": "volume",
        "[length] / [time]": "speed",
        "[length] ** 3 / [time]": "flow",
        "[mass] / [time]": "mass flow",
        "[mass] / [length] / [time] ** 2": "pressure",
        "[length] * [mass] / [time] ** 2": "force",
        "[mass] * [length] / [time] ** 2": "force",
        "[length] ** 2 * [mass] / [time] ** 2": "energy",
        "[mass] * [length] ** 2 / [time] ** 2": "energy",
        "[length] ** 2 * [mass] / [time] ** 3": "power",
        "[mass] * [length] ** 2 / [time] ** 3": "power",
        "[current]": "current",
        "[mass] * [length] ** 2 / [current] / [time] ** 3": "voltage",
        "[length] ** 2 * [mass] / [current] / [time] ** 3": "voltage",
    }
)
