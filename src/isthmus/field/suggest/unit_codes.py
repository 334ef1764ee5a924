"""Units as sources write them (UNECE codes, MTConnect words, °C) to UCUM."""

from functools import lru_cache
from types import MappingProxyType
from typing import Final

from isthmus.base.units import DimensionError, UnknownUnitError, canonical, conversion

UNECE: Final = MappingProxyType({
    "CEL": "Cel", "FAH": "[degF]", "KEL": "K", "BAR": "bar", "MBR": "mbar", "PAL": "Pa",
    "KPA": "kPa", "MPA": "MPa", "PS": "[psi]", "MTR": "m", "CMT": "cm", "MMT": "mm", "4H": "um",
    "INH": "[in_i]", "FOT": "[ft_i]", "SEC": "s", "C26": "ms", "B98": "us", "MIN": "min",
    "HUR": "h", "DAY": "d", "KWH": "kW.h", "MWH": "MW.h", "WHR": "W.h", "JOU": "J", "KJO": "kJ",
    "3B": "MJ", "WTT": "W", "KWT": "kW", "MAW": "MW", "VLT": "V", "KVT": "kV", "2Z": "mV",
    "AMP": "A", "4K": "mA", "HTZ": "Hz", "KHZ": "kHz", "D46": "VA", "KVA": "kVA", "D44": "var",
    "KVR": "kvar", "P1": "%", "C62": "1", "H87": "1", "EA": "1", "NEW": "N", "B47": "kN",
    "B51": "kPa", "NU": "N.m", "B48": "kN.m", "KGM": "kg", "GRM": "g", "TNE": "t", "LBR": "[lb_av]",
    "LTR": "L", "MLT": "mL", "MTQ": "m3", "MQH": "m3/h", "L2": "L/min", "E32": "L/h",
    "CMQ": "cm3", "MTS": "m/s", "2X": "m/min", "C16": "mm/s", "H81": "mm/min", "RPM": "/min",
    "RPS": "/s", "C94": "/min", "DD": "deg", "C81": "rad", "OHM": "Ohm", "59": "[ppm]",
})  # fmt: skip
"""UNECE Recommendation 20 code, as EngineeringUnits carries it → UCUM."""

_WRITTEN: Final = MappingProxyType({
    "REVOLUTION/MINUTE": "/min", "REVOLUTION/SECOND": "/s", "MILLIMETER/SECOND": "mm/s",
    "MILLIMETER/MINUTE": "mm/min", "MILLIMETER": "mm", "PERCENT": "%", "CELSIUS": "Cel",
    "SECOND": "s", "MINUTE": "min", "HOUR": "h", "DEGREE": "deg", "DEGREE/SECOND": "deg/s",
    "WATT": "W", "KILOWATT": "kW", "WATT_SECOND": "W.s", "KILOWATT_HOUR": "kW.h", "VOLT": "V",
    "AMPERE": "A", "HERTZ": "Hz", "NEWTON": "N", "NEWTON_METER": "N.m", "PASCAL": "Pa",
    "LITER": "L", "LITER/SECOND": "L/s", "KILOGRAM": "kg", "VOLT_AMPERE": "VA", "COUNT": "1",
    "1/min": "/min", "1/h": "/h", "1/s": "/s", "min-1": "/min", "ft/min": "[ft_i]/min",
    "kWh": "kW.h", "kvarh": "kvar.h", "l/min": "L/min", "l/h": "L/h", "m³/h": "m3/h",
    "Nm³/h": "m3/h", "Stk.": "1", "Stk": "1", "µm/s": "um/s", "in/s": "[in_i]/s",
})  # fmt: skip


@lru_cache(maxsize=4096)
def ucum(written: str, code: str = "") -> str | None:
    """The UCUM code of a unit; None where nobody knows it or there is none."""
    if code in UNECE:
        return UNECE[code]
    written = written.strip()
    if not written:
        return None
    known = _WRITTEN.get(written) or UNECE.get(written)
    try:
        return canonical(known or written)
    except UnknownUnitError:
        return None


@lru_cache(maxsize=4096)
def compatible(unit: str, target: str) -> bool:
    """Whether one can be converted into the other."""
    try:
        conversion(unit, target)
    except (DimensionError, UnknownUnitError):
        return False
    return True
