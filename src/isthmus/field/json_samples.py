"""Samples in JSON documents: how a tag says where they are, and what is found there. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, TypedDict, get_args

from isthmus.base.clock import Micros, to_micros
from isthmus.field.json_path import JsonPath, json_path
from isthmus.field.values import BAD_DECODING, BAD_NO_DATA, Value, cut
from isthmus.flow.parcel import GOOD, UNCERTAIN

TimeFormat = Literal["iso", "s", "ms", "us", "ns"]

_OPTION: Final = re.compile(r";(?=(?:rows|time|format)=)")
_PER_MICRO: Final[dict[TimeFormat, tuple[int, int]]] = {
    "s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000),
}  # fmt: skip
_LATEST: Final[Micros] = to_micros(datetime(9999, 12, 31, tzinfo=UTC))


@dataclass(frozen=True, kw_only=True)
class JsonAddress:
    """Where in a document a tag's values are."""

    value: JsonPath | None = None
    """None: the whole document is the value."""
    rows: JsonPath | None = None
    """Selects the samples inside one document; `value` and `time` then start at each of them."""
    time: JsonPath | None = None
    time_format: TimeFormat | None = None


class Places(TypedDict, total=False):
    """Keywords of `JsonAddress`."""

    value: JsonPath
    rows: JsonPath
    time: JsonPath
    time_format: TimeFormat


class Reading(NamedTuple):
    """One value of a tag."""

    tag: str
    value: Value
    device_time: Micros
    quality: int


def split_options(tag: str) -> tuple[str, list[str]]:
    """`$.v;rows=$.list[*];format=ms` into what stands before the options, and the options."""
    head, *options = _OPTION.split(tag)
    return head, options


def places(path: str, options: Sequence[str]) -> Places:
    """Read a path and its options; ValueError says what is wrong."""
    given: dict[str, str] = {}
    for option in options:
        key, _, value = option.partition("=")
        if key in given:
            raise ValueError(f"`{key}=` is given twice")
        given[key] = value
    found = Places(value=json_path(path))
    if "rows" in given:
        found["rows"] = json_path(given["rows"])
    if "time" in given:
        found["time"] = json_path(given["time"])
    if "format" in given:
        found["time_format"] = _format(given["format"])
    return found


def rows_of(address: JsonAddress, document: Any) -> list[Any]:
    """What each sample is read from: the document itself, unless the address selects rows."""
    return [document] if address.rows is None else address.rows.find(document)


def readings_of(
    tag: str, address: JsonAddress, document: Any, received: Micros, *, partial: bool
) -> Iterator[Reading]:
    """All samples of one tag. `partial`: a path that is not there says nothing."""
    for row in rows_of(address, document):
        reading = row_reading(tag, address, row, document, received)
        if reading is not None:
            yield reading
        elif not partial:
            at, _ = device_time(address, row, document, received)
            yield Reading(tag, cut(dump(row)), at, BAD_DECODING)


def row_reading(
    tag: str, address: JsonAddress, row: Any, document: Any, received: Micros
) -> Reading | None:
    """The value of one row; None if its path finds nothing. Several values are a broken one."""
    values = [row] if address.value is None else address.value.find(row)
    if not values:
        return None
    at, quality = device_time(address, row, document, received)
    if len(values) > 1:
        return Reading(tag, cut(dump(row)), at, BAD_DECODING)
    return reading(tag, values[0], at, quality)


def reading(tag: str, value: Any, at: Micros, quality: int = GOOD) -> Reading:
    """A decoded value: `null` is no value, an object or a list a broken one."""
    match value:
        case None:
            return Reading(tag, None, at, BAD_NO_DATA)
        case bool() | int() | float() | str():
            return Reading(tag, value, at, quality)
        case _:
            return Reading(tag, cut(dump(value)), at, BAD_DECODING)


def dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def device_time(
    address: JsonAddress, row: Any, document: Any, received: Micros
) -> tuple[Micros, int]:
    """The value's own time; UNCERTAIN with the time of receipt where it cannot be read."""
    if address.time is None:
        return received, GOOD
    stamps = address.time.find(row)
    if not stamps and row is not document:
        stamps = address.time.find(document)
    if len(stamps) != 1:
        return received, UNCERTAIN
    try:
        return read_time(stamps[0], address.time_format or "iso"), GOOD
    except (ValueError, OverflowError):
        return received, UNCERTAIN


def read_time(stamp: Any, time_format: TimeFormat) -> Micros:
    """Read a time as the source writes it; ValueError where it is none."""
    if isinstance(stamp, bool | list | dict) or stamp is None:
        raise ValueError(f"`{stamp}` is no time")
    if time_format == "iso":
        return to_micros(datetime.fromisoformat(str(stamp)))
    factor, divisor = _PER_MICRO[time_format]
    number = _number(stamp)
    time = (
        number * factor // divisor if isinstance(number, int) else round(number * factor / divisor)
    )
    if not 0 <= time <= _LATEST:
        raise ValueError(f"`{stamp}` is no time between 1970 and 9999")
    return time


def _number(stamp: float | str) -> int | float:
    if not isinstance(stamp, str):
        return stamp
    try:
        return int(stamp)
    except ValueError:
        return float(stamp)


def _format(text: str) -> TimeFormat:
    for known in get_args(TimeFormat):
        if text == known:
            return text  # type: ignore[return-value]
    raise ValueError(f"`format={text}`: there are {', '.join(get_args(TimeFormat))}")
