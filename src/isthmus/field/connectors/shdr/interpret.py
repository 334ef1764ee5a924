"""Lines of an adapter into samples of our tags; carries active conditions and data sets."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, assert_never

from isthmus.base.clock import Micros
from isthmus.field.connectors.shdr.address import Form, ShdrTag, parse_address
from isthmus.field.connectors.shdr.lines import Entry, parse_line
from isthmus.field.mtconnect import values
from isthmus.field.mtconnect.conditions import Conditions
from isthmus.field.mtconnect.documents import DataItem
from isthmus.field.mtconnect.values import UNAVAILABLE, EntrySet
from isthmus.field.samples import Samples
from isthmus.field.values import BAD_DECODING, Value, add_value, cut
from isthmus.flow.parcel import BAD_NOT_CONNECTED, GOOD, UNCERTAIN

_ENTRY: Final = re.compile(
    r"""(?P<key>[^\s=]+)
        (?:=(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|\{(?P<row>[^{}]*)\}|(?P<plain>\S*)))?""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class _Wanted:
    tag: str
    elements: tuple[str, ...]


class _Stamp(NamedTuple):
    """When a line was true and when it came, and how sure that is."""

    time: Micros
    received: Micros
    quality: int


class Interpreter:
    """What the tags of one source make of an adapter's lines."""

    def __init__(
        self, tags: Sequence[str], device: str = "", items: Iterable[DataItem] = ()
    ) -> None:
        self.skipped_assets = 0
        self._device = device
        self._aliases: dict[str, str] = {}
        self._forms: dict[str, Form] = {}
        self._numeric: set[str] = set()
        self._wanted: dict[str, list[_Wanted]] = {}
        self._conditions: dict[str, Conditions] = {}
        self._sets: dict[str, EntrySet] = {}
        for item in items:
            self._know(item)
        for tag in tags:
            self._want(tag, parse_address(tag))

    def read(self, raw: bytes, received: Micros, samples: Samples) -> list[str]:
        """Add the samples of one line; the tags that came."""
        try:
            line, broken = raw.decode(), False
        except UnicodeDecodeError:
            line, broken = raw.decode("utf-8", "backslashreplace"), True
        parsed = parse_line(line, self._form_of)
        if parsed is None:
            self.skipped_assets += 1
            return []
        stamp = _stamp(parsed.time, received)
        came: list[str] = []
        for entry in parsed.entries:
            key = self._key(entry.key)
            for wanted in self._wanted.get(key, ()):
                came.append(wanted.tag)
                if broken:
                    text = cut("|".join(entry.fields))
                    add_value(samples, wanted.tag, text, stamp.time, received, BAD_DECODING)
            if not broken:
                self._take(key, entry, stamp, samples)
        return came

    def _know(self, item: DataItem) -> None:
        """Adapters name an item by its id, its name or the name the machine gave it."""
        for alias in (item.id, item.name, item.source):
            if alias:
                self._aliases.setdefault(alias, item.id)
        self._forms.setdefault(item.id, _form(item))
        if item.category == "SAMPLE":
            self._numeric.add(item.id)

    def _want(self, tag: str, address: ShdrTag) -> None:
        key = self._aliases.get(address.key, address.key)
        if address.form is not None:
            self._forms[key] = address.form
        self._wanted.setdefault(key, []).append(_Wanted(tag, address.elements))

    def _key(self, key: str) -> str:
        if self._device and key.startswith(self._device + ":"):
            key = key[len(self._device) + 1 :]
        return self._aliases.get(key, key)

    def _form_of(self, key: str) -> Form:
        return self._forms.get(self._key(key), "value")

    def _take(self, key: str, entry: Entry, stamp: _Stamp, samples: Samples) -> None:
        wanted = self._wanted.get(key)
        if wanted is None:
            return
        touched = self._observe(key, entry)
        for one in wanted:
            if one.elements and touched is not None and one.elements[0] not in touched:
                continue
            for at, value, own in self._values(key, entry, one.elements, stamp.time):
                worst = max(own, stamp.quality)
                add_value(samples, one.tag, value, at, stamp.received, worst)

    def _observe(self, key: str, entry: Entry) -> set[str] | None:
        """Carry on what a line changes; for a data set the entries it speaks of, None for all."""
        if entry.form == "condition":
            level, code, *_ = entry.fields
            self._conditions.setdefault(key, Conditions()).observe(level, code)
        elif entry.form == "set":
            return _change(self._sets.setdefault(key, EntrySet()), entry.fields[0])
        return None

    def _values(
        self, key: str, entry: Entry, elements: tuple[str, ...], time: Micros
    ) -> list[tuple[Micros, Value, int]]:
        fields = entry.fields
        match entry.form:
            case "condition":
                return [(time, *self._conditions[key].value(level_only=bool(elements)))]
            case "set":
                return [(time, *self._sets[key].value(elements))]
            case "message":
                return [(time, *values.read_value(fields[0 if elements else 1], numeric=False))]
            case "series":
                return _series(fields, elements, time)
            case "value":
                return [(time, *_plain(fields[0], elements, numeric=key in self._numeric))]
            case _:
                assert_never(entry.form)


def _plain(text: str, elements: tuple[str, ...], *, numeric: bool) -> tuple[Value, int]:
    if elements:
        return values.read_component(text, elements[0], numeric=numeric)
    return values.read_value(text, numeric=numeric and " " not in text)


def _series(
    fields: tuple[str, ...], elements: tuple[str, ...], time: Micros
) -> list[tuple[Micros, Value, int]]:
    """`count|rate|values`; an adapter that has none sends UNAVAILABLE in the first field."""
    count, rate, text = fields
    if UNAVAILABLE in fields:
        return [(time, None, BAD_NOT_CONNECTED)]
    if elements:
        return [(time, *values.read_component(text, elements[0], numeric=True))]
    try:
        points = values.read_series(text, time, float(rate) if rate else None)
        complete = int(count) == len(text.split())
    except ValueError:
        complete = False
    return points if complete else [(time, cut("|".join(fields)), BAD_DECODING)]


def _change(entries: EntrySet, text: str) -> set[str] | None:
    """`a=1 b='x y' c` sets a and b and removes c; `:MANUAL` before them resets the set."""
    if text == UNAVAILABLE:
        entries.lose()
        return None
    reset = text.startswith(":")
    changes = _entries(text.partition(" ")[2] if reset else text)
    entries.change(changes, reset=reset)
    return None if reset else set(changes)


def _entries(text: str) -> dict[str, values.Entry | None]:
    found: dict[str, values.Entry | None] = {}
    for match in _ENTRY.finditer(text):
        row = match["row"]
        if row is not None:
            found[match["key"]] = {
                key: cell for key, cell in _entries(row).items() if isinstance(cell, str)
            }
        else:
            given = (match["double"], match["single"], match["plain"])
            found[match["key"]] = next((text for text in given if text is not None), None)
    return found


def _stamp(text: str, received: Micros) -> _Stamp:
    """A line without a time was true when it came; one with an unreadable time perhaps."""
    if not text:
        return _Stamp(received, received, GOOD)
    try:
        return _Stamp(values.read_time(text), received, GOOD)
    except ValueError:
        return _Stamp(received, received, UNCERTAIN)


def _form(item: DataItem) -> Form:
    if item.category == "CONDITION":
        return "condition"
    if item.type == "MESSAGE":
        return "message"
    match item.representation:
        case "TIME_SERIES":
            return "series"
        case "DATA_SET" | "TABLE":
            return "set"
        case _:
            return "value"
