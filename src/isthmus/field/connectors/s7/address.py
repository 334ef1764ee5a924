"""How a value in a SIMATIC S7 is addressed: area, byte, bit and type; pure, no driver here."""

import re
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

Area = Literal["DB", "M", "I", "Q", "T", "C"]
S7Type = Literal[
    "bool", "byte", "word", "dword", "lword",
    "sint", "usint", "int", "uint", "dint", "udint", "lint", "ulint",
    "real", "lreal", "char", "wchar", "string", "wstring",
    "date", "time", "ltime", "tod", "ltod", "date_and_time", "dtl", "ldt", "s5time", "counter",
]  # fmt: skip

WIDTHS: Final[dict[S7Type, int]] = {
    "bool": 1, "byte": 1, "sint": 1, "usint": 1, "char": 1,
    "word": 2, "int": 2, "uint": 2, "wchar": 2, "date": 2, "s5time": 2, "counter": 2,
    "dword": 4, "dint": 4, "udint": 4, "real": 4, "time": 4, "tod": 4,
    "lword": 8, "lint": 8, "ulint": 8, "lreal": 8, "ltime": 8, "ltod": 8, "ldt": 8,
    "date_and_time": 8, "dtl": 12,
}  # fmt: skip
"""Bytes of every type but the strings, whose width follows from their length."""
LONGEST_STRING: Final = 254
LONGEST_WSTRING: Final = 16_382
AREA_BYTES: Final = 65_536
"""As much as a block with standard access can have."""
HIGHEST_NUMBER: Final = 65_535
"""Of data blocks, timers and counters."""

_ALIASES: Final[dict[str, S7Type]] = {
    "dt": "date_and_time",
    "time_of_day": "tod",
    "ltime_of_day": "ltod",
    "date_and_ltime": "ldt",
}
_AREAS: Final[dict[str, Area]] = {
    "M": "M", "I": "I", "Q": "Q", "E": "I", "A": "Q", "T": "T", "C": "C", "Z": "C",
}  # fmt: skip
"""The German programming language says E, A and Z."""
_LETTERS: Final[dict[str, S7Type]] = {
    "X": "bool", "B": "byte", "W": "word", "D": "dword", "L": "lword",
}  # fmt: skip

_MEMORY: Final = re.compile(
    r"%?(?:DB(?P<db>\d{1,5})\.(?:DB(?P<db_letter>[XBWDL]))?|(?P<area>[MIQEA])(?P<letter>[XBWDL])?)"
    r"(?P<byte>\d{1,6})(?:\.(?P<bit>\d))?"
    r"(?::(?P<type>[a-z]\w*)(?:\[(?P<length>\d{1,5})\])?)?",
    re.IGNORECASE | re.ASCII,
)
_COUNTED: Final = re.compile(
    r"%?(?P<area>[TCZ])(?P<number>\d{1,5})(?::(?P<type>\w+))?", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True)
class Address:
    """What one tag reads. `str()` is its one normal form: `DB10.4:real`, `M20.3:bool`, `T5`."""

    area: Area
    db: int
    """0 outside of data blocks."""
    start: int
    """The first byte; of the areas T and C the number."""
    type: S7Type
    width: int
    """Bytes."""
    bit: int = 0
    length: int = 0
    """Characters a string may have."""

    @property
    def end(self) -> int:
        """Behind the last byte; of the areas T and C behind the number."""
        return self.start + (1 if self.area in {"T", "C"} else self.width)

    def __str__(self) -> str:
        if self.area in {"T", "C"}:
            return f"{self.area}{self.start}"
        area = f"DB{self.db}." if self.area == "DB" else self.area
        bit = f".{self.bit}" if self.type == "bool" else ""
        length = f"[{self.length}]" if self.type in {"string", "wstring"} else ""
        return f"{area}{self.start}{bit}:{self.type}{length}"


def parse_tag(tag: str) -> Address:
    """Read `DB10.4:real`, `M20.3:bool`, `DB10.26:string[10]` and what TIA shows: `DB10.DBD4:real`.

    ValueError says what is wrong.
    """
    if (counted := _COUNTED.fullmatch(tag)) is not None:
        return _counted(counted)
    match = _MEMORY.fullmatch(tag)
    if match is None:
        raise ValueError(
            f"`{tag}` is no address; write area, byte, and type, such as `DB10.4:real`, "
            "`DB10.14.0:bool`, `DB10.26:string[10]`, `M20:int`, `I0.3:bool`, `Q4:word`, "
            "or as TIA shows it: `DB10.DBX14.0`, `DB10.DBD4:real`, `MW20`"
        )
    letter = (match["db_letter"] or match["letter"] or "").upper()
    kind = _type(tag, match["type"], letter, match["bit"])
    length = _length(kind, match["length"])
    width = _width(kind, length)
    _check_letter(tag, letter, kind, width)
    return Address(
        _AREAS[match["area"].upper()] if match["area"] else "DB",
        _number("data block", match["db"], lowest=1) if match["db"] else 0,
        _start(match["byte"], width),
        kind,
        width,
        bit=_bit(tag, kind, letter, match["bit"]),
        length=length,
    )


def _counted(match: re.Match[str]) -> Address:
    area = _AREAS[match["area"].upper()]
    kind: S7Type = "s5time" if area == "T" else "counter"
    if match["type"] is not None and match["type"].lower() != kind:
        raise ValueError(f"{area} is always `{kind}`, not `{match['type']}`")
    return Address(area, 0, _number("timer or counter", match["number"], lowest=0), kind, 2)


def _type(tag: str, written: str | None, letter: str, bit: str | None) -> S7Type:
    if written is None:
        if letter:
            return _LETTERS[letter]
        if bit is not None:
            return "bool"
        raise ValueError(f"`{tag}` needs a type, such as `{tag}:int`")
    kind = _ALIASES.get(written.lower(), written.lower())
    if kind not in get_args(S7Type) or kind == "counter":
        known = ", ".join([*(name for name in WIDTHS if name != "counter"), "string", "wstring"])
        raise ValueError(f"no type `{written}`; there are {known}")
    return cast("S7Type", kind)


def _length(kind: S7Type, written: str | None) -> int:
    if kind not in {"string", "wstring"}:
        if written is not None:
            raise ValueError(
                f"only a string has a length, `{kind}` has none; each element of an array is a "
                "tag of its own, with its offset"
            )
        return 0
    longest = LONGEST_STRING if kind == "string" else LONGEST_WSTRING
    # TIA: a STRING without a length holds 254 characters, and so does a WSTRING.
    length = LONGEST_STRING if written is None else int(written)
    if not 0 < length <= longest:
        raise ValueError(f"`{kind}[1]` to `{kind}[{longest}]`, not `{kind}[{length}]`")
    return length


def _width(kind: S7Type, length: int) -> int:
    """A string has its maximum and its present length in front: two bytes, or two words."""
    if kind == "string":
        return length + 2
    if kind == "wstring":
        return 2 * length + 4
    return WIDTHS[kind]


def _check_letter(tag: str, letter: str, kind: S7Type, width: int) -> None:
    """DBD with a type that takes no four bytes is a slip of the pen."""
    size = {"B": 1, "W": 2, "D": 4, "L": 8}.get(letter)
    if size is not None and (size != width or kind == "bool"):
        raise ValueError(
            f"`{tag}`: {letter} is {size} byte(s), `{kind}` is not; leave the letter out or "
            "correct the type"
        )


def _bit(tag: str, kind: S7Type, letter: str, written: str | None) -> int:
    if kind == "bool":
        if written is None or int(written) > 7:
            raise ValueError(f"`{tag}`: a bool needs its bit, `.0` to `.7`")
        return int(written)
    # TIA writes where a string or a structure begins as P#DB10.DBX26.0.
    if (written is not None or letter == "X") and (letter, written) != ("X", "0"):
        raise ValueError(f"`{tag}`: only a bool has a bit, `{kind}` begins at a byte")
    return 0


def _start(written: str, width: int) -> int:
    start = int(written)
    if start + width > AREA_BYTES:
        raise ValueError(f"byte {start} with {width} byte(s) ends beyond {AREA_BYTES - 1}")
    return start


def _number(what: str, written: str, *, lowest: int) -> int:
    number = int(written)
    if not lowest <= number <= HIGHEST_NUMBER:
        raise ValueError(f"no {what} {number}; there are {lowest} to {HIGHEST_NUMBER}")
    return number
