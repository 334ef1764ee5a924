"""One message into the values of its tags; whatever came, nothing is lost and nothing raises."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from isthmus.base.clock import Micros
from isthmus.field.connectors.mqtt.address import Address
from isthmus.field.json_samples import Reading, reading, readings_of
from isthmus.field.values import BAD_DECODING, BAD_NO_DATA, cut, from_text
from isthmus.flow.parcel import GOOD

_DECODE: Final = json.JSONDecoder().decode
"""What `json.loads` does, without asking each time how."""
_LITERAL: Final = re.compile(r'\s*(?:true|false|null|"(?:[^"\\]|\\.)*")\s*', re.ASCII)
"""A plain payload of this form is read as JSON has it."""


@dataclass(frozen=True)
class Subscribed:
    """A tag and its address, with the source's own time settings filled in."""

    tag: str
    address: Address


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
        if tag.address.value is None or not text:
            found.append(_plain(tag.tag, text, received))
        else:
            found.extend(_from_json(tag, documents, received, partial=partial))
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
                self._decoded = _DECODE(self.text)
                self._broken = False
            except (ValueError, RecursionError):
                self._broken = True
        if self._broken:
            raise ValueError("no JSON")
        return self._decoded


def _text(payload: bytes, longest: int) -> str:
    if len(payload) > longest:
        raise ValueError("too long")
    return payload.decode().removeprefix("\ufeff")


def _plain(tag: str, text: str, received: Micros) -> Reading:
    """An empty payload clears a retained message: the value was withdrawn."""
    if not text:
        return Reading(tag, None, received, BAD_NO_DATA)
    if _LITERAL.fullmatch(text) is None:
        number = from_text(text.strip())
        return Reading(tag, text if isinstance(number, str) else number, received, GOOD)
    try:
        return reading(tag, json.loads(text), received)
    except ValueError:  # a control character in the string
        return Reading(tag, text, received, GOOD)


def _from_json(
    tag: Subscribed, document: _Document, received: Micros, *, partial: bool
) -> Iterator[Reading]:
    try:
        message = document.get()
        yield from readings_of(tag.tag, tag.address, message, received, partial=partial)
    except (ValueError, RecursionError):
        yield Reading(tag.tag, cut(document.text), received, BAD_DECODING)
