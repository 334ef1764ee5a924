"""UCUM → the codes of UN/CEFACT (Recommendation 20), which OPC UA wants for units."""

from typing import Final

NAMESPACE: Final = "http://www.opcfoundation.org/UA/units/un/cefact"
UCUM: Final = "http://unitsofmeasure.org"
"""For units without such a code: their UCUM code is the name, and they have no number."""

_CODES: Final = {
    "Cel": "CEL", "K": "KEL", "[degF]": "FAH", "%": "P1", "1": "C62", "[ppm]": "59",
    "m": "MTR", "mm": "MMT", "cm": "CMT", "um": "4H", "km": "KMT", "[in_i]": "INH",
    "m2": "MTK", "mm2": "MMK", "m3": "MTQ", "cm3": "CMQ", "L": "LTR", "l": "LTR", "mL": "MLT",
    "s": "SEC", "ms": "C26", "us": "B98", "min": "MIN", "h": "HUR", "d": "DAY",
    "g": "GRM", "kg": "KGM", "mg": "MGM", "t": "TNE", "[lb_av]": "LBR",
    "bar": "BAR", "mbar": "MBR", "Pa": "PAL", "kPa": "KPA", "MPa": "MPA", "[psi]": "PS",
    "N": "NEW", "kN": "B47", "N.m": "NU", "J": "JOU", "kJ": "KJO",
    "W": "WTT", "kW": "KWT", "MW": "MAW", "W.h": "WHR", "kW.h": "KWH", "MW.h": "MWH",
    "V": "VLT", "mV": "2Z", "kV": "KVT", "A": "AMP", "mA": "4K", "Ohm": "OHM",
    "VA": "D46", "kVA": "KVA", "var": "D44", "kvar": "KVR",
    "Hz": "HTZ", "kHz": "KHZ", "MHz": "MHZ", "/min": "C94", "/s": "C97", "/h": "HN",
    "m/s": "MTS", "mm/s": "C16", "m/min": "2X", "mm/min": "H81", "km/h": "KMH",
    "m3/h": "MQH", "L/min": "L2", "L/h": "E32", "kg/h": "E93", "kg/s": "KGS",
    "deg": "DD", "rad": "C81", "lm": "LUM", "lx": "LUX", "kg/m3": "KMQ", "g/cm3": "23",
}  # fmt: skip


def unit_number(ucum: str) -> int | None:
    """The number OPC UA makes of the code: its characters as bytes. None: there is no code."""
    code = _CODES.get(ucum)
    return None if code is None else int.from_bytes(code.encode("ascii"), "big")
