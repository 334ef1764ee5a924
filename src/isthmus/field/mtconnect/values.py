"""Values as MTConnect writes them: numbers, texts, vectors, time series, data sets and tables."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from isthmus.base.clock import SECOND, Micros, to_micros
from isthmus.field.values import BAD_DECODING, BAD_NO_DATA, Value, cut, from_text
from isthmus.flow.parcel import BAD_NOT_CONNECTED, GOOD

UNAVAILABLE: Final = "UNAVAILABLE"

Entry = str | Mapping[str, str]
"""An entry of a data set; one of a table is a row with its cells."""

_ELEMENTS: Final = re.compile(r"(?P<name>[^\[\]]+)(?P<elements>(?:\[[^\[\]]+\]){0,2})")


def split_elements(tag: str) -> tuple[str, tuple[str, ...]]:
    """`vars[a]` is `vars` and its element; ValueError where the brackets are wrong."""
    match = _ELEMENTS.fullmatch(tag)
    if match is None:
        raise ValueError(f"`{tag}` is no name with up to two elements, such as `vars[row][cell]`")
    return match["name"], tuple(match["elements"][1:-1].split("][")) if match["elements"] else ()


def read_value(text: str, *, numeric: bool) -> tuple[Value, int]:
    """The value and its quality; UNAVAILABLE is a value every data item may have."""
    if text == UNAVAILABLE:
        return None, BAD_NOT_CONNECTED
    if not numeric:
        return from_text(text), GOOD
    if not text:
        return None, BAD_NO_DATA
    try:
        return float(text), GOOD
    except ValueError:
        return cut(text), BAD_DECODING


def read_component(text: str, element: str, *, numeric: bool) -> tuple[Value, int]:
    """One of the numbers of `1039.897 0 269.0133`; elements count from 0."""
    parts = text.split()
    if text == UNAVAILABLE or int(element) >= len(parts):
        return (None, BAD_NOT_CONNECTED) if text == UNAVAILABLE else (cut(text), BAD_DECODING)
    return read_value(parts[int(element)], numeric=numeric)


def read_series(text: str, last: Micros, rate: float | None) -> list[tuple[Micros, Value, int]]:
    """The values of a time series, each with its time; `last` is that of the last one.

    `rate` is in Hz. Without it the times are unknown: the series comes as one text.
    """
    if text == UNAVAILABLE:
        return [(last, None, BAD_NOT_CONNECTED)]
    if not text:
        return [(last, None, BAD_NO_DATA)]
    if rate is None or not rate > 0 or not math.isfinite(rate):
        return [(last, text, GOOD)]
    parts = text.split()
    step = SECOND / rate
    return [
        (last - round((len(parts) - 1 - position) * step), *read_value(part, numeric=True))
        for position, part in enumerate(parts)
    ]


def read_time(text: str) -> Micros:
    """ISO 8601; a time without a zone is UTC, by the standard. ValueError where it is none."""
    at = datetime.fromisoformat(text)
    return to_micros(at if at.tzinfo is not None else at.replace(tzinfo=UTC))


class EntrySet:
    """The entries of one data set or table; sources tell only what changed."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._known = True

    def change(self, entries: Mapping[str, Entry | None], *, reset: bool) -> None:
        """Take in changed entries; None is one that was removed, `reset` forgets all others."""
        self._known = True
        if reset:
            self._entries.clear()
        for key, entry in entries.items():
            match entry, self._entries.get(key):
                case None, _:
                    self._entries.pop(key, None)
                case str(), _:
                    self._entries[key] = entry
                case cells, row if isinstance(row, Mapping):
                    self._entries[key] = {**row, **cells}
                case cells, _:
                    self._entries[key] = dict(cells)

    def lose(self) -> None:
        """The source says UNAVAILABLE."""
        self._known = False
        self._entries.clear()

    def value(self, elements: tuple[str, ...]) -> tuple[Value, int]:
        """`()` is the whole set as JSON, `(key,)` an entry, `(row, column)` a cell of a table."""
        if not self._known:
            return None, BAD_NOT_CONNECTED
        found: Entry | Mapping[str, Entry] | None = self._entries
        for element in elements:
            found = found.get(element) if isinstance(found, Mapping) else None
        if found is None:
            return None, BAD_NO_DATA
        if isinstance(found, str):
            return read_value(found, numeric=False)
        return json.dumps(found, ensure_ascii=False, sort_keys=True, default=dict), GOOD
