"""Which cells of a row are values of which tags: pure."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from isthmus.base.clock import Micros
from isthmus.field.samples import Samples
from isthmus.field.tables.address import Address, parse_address
from isthmus.field.tables.spec import TableSource
from isthmus.field.values import BAD_DECODING, BAD_NO_DATA, Value, add_value, cut, from_text
from isthmus.flow.parcel import GOOD, UNCERTAIN

BAD_CONFIGURATION: Final = 0x8089_0000
"""The tag names no keys where the source has some, or others."""

Row = Mapping[str, Any]
_Place = tuple[str, ...]
"""Values of the key columns, in the order of the spec."""


class Layout:
    """The tags of one source, looked up by row."""

    def __init__(self, spec: TableSource, tags: Sequence[str]) -> None:
        self.spec = spec
        self.misfits: list[str] = []
        """Tags whose keys are not those of the source."""
        self.columns: dict[str, str] = {}
        """Wide table: tag → its column."""
        self._wide: dict[_Place, list[tuple[str, str]]] = {}
        self._narrow: dict[tuple[_Place, str], str] = {}
        for tag in tags:
            self._place(tag, parse_address(tag))

    def _place(self, tag: str, address: Address) -> None:
        given = dict(address.keys)
        if given.keys() != set(self.spec.keys):
            self.misfits.append(tag)
            return
        place = tuple(given[key] for key in self.spec.keys)
        if self.spec.tag is not None:
            self._narrow[place, address.name] = tag
            return
        self._wide.setdefault(place, []).append((tag, address.name))
        self.columns[tag] = address.name

    def without(self, tags: Iterable[str]) -> None:
        """These tags have no column after all."""
        gone = set(tags)
        for place, members in self._wide.items():
            self._wide[place] = [member for member in members if member[0] not in gone]

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns of every row that is read, whatever its tags."""
        spec = self.spec
        named = [*spec.time, *spec.keys, *([spec.tag] if spec.tag else []), *spec.value]
        return tuple(dict.fromkeys(named))

    @property
    def widest(self) -> int:
        """Samples of one row, at most."""
        return max([1, *(len(members) for members in self._wide.values())])

    def tags_of(self, row: Row) -> list[tuple[str, str]]:
        """Tags that this row has values of, with the column of each (narrow: empty)."""
        place = tuple(key_text(row[key]) for key in self.spec.keys)
        if self.spec.tag is None:
            return self._wide.get(place, [])
        tag = self._narrow.get((place, key_text(row[self.spec.tag])))
        return [] if tag is None else [(tag, "")]

    def cells(self, row: Row) -> Iterator[tuple[str, Any, bool]]:
        """Tag, its cell, and whether it says something where it is empty."""
        for tag, column in self.tags_of(row):
            if column:
                yield tag, row[column], self.spec.empty == "bad"
            else:
                filled = (row[name] for name in self.spec.value if row[name] not in (None, ""))
                yield tag, next(filled, None), True

    def add(
        self, samples: Samples, row: Row, at: Micros, received: Micros, *, certain: bool
    ) -> None:
        """The samples of one row."""
        quality = GOOD if certain else UNCERTAIN
        for tag, cell, counts in self.cells(row):
            if cell is None or cell == "":
                if counts:
                    samples.add(tag, at, received, None, None, BAD_NO_DATA)
                continue
            value, readable = plain(cell)
            add_value(samples, tag, value, at, received, quality if readable else BAD_DECODING)


def key_text(value: Any) -> str:
    """A key as a person writes it in a tag: 7, whatever kind of number the column holds."""
    if isinstance(value, float | Decimal) and value == int(value):
        return str(int(value))
    return str(value).strip()


def plain(cell: Any) -> tuple[Value, bool]:
    """A cell as number, text or boolean; False where a table may hold it but a tag may not."""
    value: Value
    match cell:
        case str():
            value = from_text(cell.rstrip(" "))
        case bool() | int() | float():
            value = cell
        case Decimal():
            value = int(cell) if cell == cell.to_integral_value() else float(cell)
        case bytes() | memoryview() if len(cell) == 1:  # BIT(1)
            value = bytes(cell)[0]
        case timedelta():
            value = cell.total_seconds()
        case datetime() | date() | time():
            value = cell.isoformat()
        case uuid.UUID():
            value = str(cell)
        case _:
            return cut(str(cell)), False
    return value, True
