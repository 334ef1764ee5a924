"""What may be wrong with a block for a controller: stable codes, explained in the guide."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from isthmus.base.problem import Problem

CODES: Final[Mapping[str, str]] = MappingProxyType({
    "P001": "Text too long for the target",
    "P002": "Whole number beyond 64 bits",
    "P003": "Code beyond 32 bits",
    "P004": "Name the target cannot have",
    "P005": "Two things of one name",
    "P006": "No such block",
    "P007": "File exists",
    "P008": "Renaming of nothing",
    "P009": "Option the target does not have",
    "P010": "Data block too large",
    "P101": "Renamed",
    "P102": "Value without a code",
    "P103": "Description missing in the language",
    "P104": "Not on every controller",
})  # fmt: skip
"""P0… are errors: nothing is written. P1… are warnings."""


def error(code: str, address: str, said: str, hint: str = "") -> Problem:
    return Problem(code, address, said, hint=hint)


def warning(code: str, address: str, said: str, hint: str = "") -> Problem:
    return Problem(code, address, said, hint=hint, severity="warning")
