"""The address of a tag in a table: `melt_temp`, or `melt_temp[machine=M7]` where rows have keys."""

import re
from dataclasses import dataclass
from typing import Final

_ADDRESS: Final = re.compile(r"(?P<name>.*?)(?:\[(?P<keys>[^\[\]=]+=[^\[\]]*)\])?", re.DOTALL)


@dataclass(frozen=True)
class Address:
    """Where in which rows a tag's values are."""

    name: str
    """Wide table: the column. Narrow table: what its `tag` column holds."""
    keys: tuple[tuple[str, str], ...] = ()
    """Column and value of the rows that are meant, by column."""


def parse_address(tag: str) -> Address:
    """Read a tag; ValueError says what is wrong with it."""
    found = _ADDRESS.fullmatch(tag)
    if found is None or not found["name"].strip():
        raise ValueError("write a column, such as `melt_temp` or `melt_temp[machine=M7]`")
    if found["keys"] is None:
        return Address(tag)
    keys: dict[str, str] = {}
    for part in found["keys"].split(","):
        column, equals, value = (piece.strip() for piece in part.partition("="))
        if not (column and equals and value):
            raise ValueError(f"`[{found['keys']}]`: write keys as `[machine=M7,station=2]`")
        if column in keys:
            raise ValueError(f"key `{column}` is given twice")
        keys[column] = value
    return Address(found["name"], tuple(sorted(keys.items())))
