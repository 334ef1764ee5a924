"""One message into the values of its tags; whatever came, nothing is lost and nothing raises."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from isthmus.base.clock import Micros, to_micros
from isthmus.field.connectors.mqtt.address import Address, TimeFormat
from isthmus.field.json_path import JsonPath
from isthmus.field.values import BAD_DECODING, BAD_NO_DATA, Value, cut, from_text
from isthmus.flow.parcel import GOOD, UNCERTAIN

_LITERAL: Final = re.compile(r'\s*(?:true|false|null|"(?:[^"\\]|\\.)*")\s*', re.ASCII)
"""A plain payload of this form is read as JSON has it."""

_PER_MICRO: Final[dict[TimeFormat, tuple[int, int]]] = {
    "s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000),
}  # fmt: skip
_LATEST: Final[Micros] = to_micros(datetime(9999, 12, 31, tzinfo=UTC))


@dataclass(frozen=True)
class Subscribed:
    """A tag and its address, with the source's own time settings filled in."""

    tag: str
    address: Address


class Reading(NamedTuple):
    """One value of a tag."""

    tag: str
    value: Value
    device_time: Micros
    quality: int


def readings(
    tags: Sequence[Subscribed],
    payload: bytes,
    received: Micros,
    *,
    longest: int,
    partial: bool = False,
) -> list[Reading]:
    """Read all tags of one topic from one message.

    A payload longer than `longest` bytes, broken JSON, a wrong encoding or a missing path gives
    BAD_DECODING with what came as text. `partial`: a path that is not there says nothing.
    """
    try:
        text = _text(payload, longest)
    except ValueError:
        kept = cut(payload[:4_000].decode("utf-8", "backslashreplace"))
        return [Reading(tag.tag, kept, received, BAD_DECODING) for tag in tags]
    found: list[Reading] = []
    documents = _Document(text)
    for tag in tags:
        path = tag.address.value
        if path is None or not text:
            found.append(_plain(tag.tag, text, received))
        else:
            found.extend(_from_json(tag, path, documents, received, partial=partial))
    return found


class _Document:
    """The payload's JSON, decoded when the first tag asks for it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._decoded: Any = None
        self._broken: bool | None = None

    def get(self) -> Any:
        """Decode; ValueError if it is no JSON."""
        if self._broken is None:
            try:
                self._decoded = json.loads(self.text)
                self._broken = False
            except (ValueError, RecursionError):
                self._broken = True
        if self._broken:
            raise ValueError("no JSON")
        return self._decoded


def _text(payload: bytes, longest: int) -> str:
    if len(payload) > longest:
        raise ValueError("too long")
    return payload.decode("utf-8-sig")


def _plain(tag: str, text: str, received: Micros) -> Reading:
    """An empty payload clears a retained message: the value was withdrawn."""
    if not text:
        return Reading(tag, None, received, BAD_NO_DATA)
    if _LITERAL.fullmatch(text) is None:
        number = from_text(text.strip())
        return Reading(tag, text if isinstance(number, str) else number, received, GOOD)
    try:
        return _reading(tag, json.loads(text), received, GOOD)
    except ValueError:  # a control character in the string
        return Reading(tag, text, received, GOOD)


def _from_json(
    tag: Subscribed, path: JsonPath, document: _Document, received: Micros, *, partial: bool
) -> Iterator[Reading]:
    try:
        message = document.get()
        rows = [message] if tag.address.rows is None else tag.address.rows.find(message)
        for row in rows:
            yield from _from_row(tag, path, row, message, received, partial=partial)
    except (ValueError, RecursionError):
        yield Reading(tag.tag, cut(document.text), received, BAD_DECODING)


def _from_row(
    tag: Subscribed, path: JsonPath, row: Any, message: Any, received: Micros, *, partial: bool
) -> Iterator[Reading]:
    values = path.find(row)
    if not values and partial:
        return
    time, quality = _device_time(tag.address, row, message, received)
    if len(values) == 1:
        yield _reading(tag.tag, values[0], time, quality)
    else:
        yield Reading(tag.tag, cut(_dump(row)), time, BAD_DECODING)


def _reading(tag: str, value: Any, time: Micros, quality: int) -> Reading:
    match value:
        case None:
            return Reading(tag, None, time, BAD_NO_DATA)
        case bool() | int() | float() | str():
            return Reading(tag, value, time, quality)
        case _:
            return Reading(tag, cut(_dump(value)), time, BAD_DECODING)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _device_time(address: Address, row: Any, message: Any, received: Micros) -> tuple[Micros, int]:
    """The value's own time; UNCERTAIN with the time of receipt where it cannot be read."""
    if address.time is None:
        return received, GOOD
    stamps = address.time.find(row)
    if not stamps and row is not message:
        stamps = address.time.find(message)
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
