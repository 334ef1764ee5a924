"""What a plain YAML 1.2 scalar means (core schema, YAML 1.2.2 chapter 10.3.2).

PyYAML's own resolvers speak YAML 1.1, where `14:00` is 840, `NO` is false and `1_000` is 1000.
"""

import re
from typing import Final

Scalar = str | int | float | bool | None

_WORDS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGERS: Final = (
    (re.compile(r"[-+]?[0-9]+\Z"), 10),
    (re.compile(r"0o[0-7]+\Z"), 8),
    (re.compile(r"0x[0-9a-fA-F]+\Z"), 16),
)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE: Final = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_NUMBER_STARTS: Final = frozenset("+-.0123456789")
_LONGEST_NUMBER: Final = 400


def plain_value(text: str) -> Scalar:
    """The value of a scalar that stands without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS or len(text) > _LONGEST_NUMBER:
        return text
    return _number(text)


def _number(text: str) -> Scalar:
    for pattern, base in _INTEGERS:
        if pattern.match(text):
            return int(text, base)
    if _FLOAT.match(text):
        return float(text)
    if _NOT_FINITE.match(text):
        return float(text.replace(".", ""))
    return text


def code_text(text: str) -> str:
    """A machine's own code, as samples show it: numbers in decimal, booleans as 1 and 0."""
    match plain_value(text):
        case bool(value):
            return "1" if value else "0"
        case int(value):
            return str(value)
        case float(value) if value.is_integer():
            return str(int(value))
        case _:
            return text
