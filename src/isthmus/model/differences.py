"""What differs between two values, field by field, in words; secrets stay hidden."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from isthmus.model.masking import HIDDEN, is_secret_key, masked
from isthmus.model.spec.words import Guarded

_LONGEST: Final = 100
NOTHING: Final = "nothing"
"""What is said of a value that is not there."""

Details = tuple[tuple[str, str, str], ...]
"""Field, before, after."""


def details(before: Any, after: Any) -> Details:
    """What was altered, as deep inside as both have the same form."""
    hidden = _guarded(before) | _guarded(after)
    return tuple(
        (name, _shown(was, name, hidden), _shown(now, name, hidden))
        for name, was, now in _differences("", before, after)
    )


def _differences(name: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    was, now = _fields(before), _fields(after)
    if was is None or now is None or type(before) is not type(after):
        yield name, before, after
        return
    for key in {**was, **now}:
        if was.get(key) != now.get(key):
            inside = f"{name}.{key}" if name else str(key)
            yield from _differences(inside, was.get(key), now.get(key))


def _fields(value: Any) -> Mapping[str, Any] | None:
    """The fields of a value by name; those of a `spec` inside it as if they were its own."""
    match value:
        case BaseModel():
            return {name: getattr(value, name) for name in type(value).model_fields}
        case Mapping():
            return value
        case _ if is_dataclass(value):
            own = {each.name: getattr(value, each.name) for each in fields(value)}
            spec = own.pop("spec", None)
            return own | dict(_fields(spec) or {})
        case _:
            return None


def _guarded(value: Any) -> frozenset[str]:
    spec = getattr(value, "spec", value)
    return spec.guarded if isinstance(spec, Guarded) else frozenset()


def _shown(value: Any, name: str = "", hidden: frozenset[str] = frozenset()) -> str:
    field, _, _ = name.partition(".")
    if value is not None and (field in hidden or is_secret_key(name)):
        return HIDDEN
    text = masked(_written(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _written(value: Any) -> str:
    """Near to how it is written in the model."""
    match value:
        case None | "":
            text = NOTHING
        case SecretStr():
            text = HIDDEN
        case bool():
            text = str(value).lower()
        case float():
            text = f"{value:g}"
        case BaseModel():
            given = {each: getattr(value, each) for each in sorted(value.model_fields_set)}
            text = _written(given)
        case Mapping():
            entries = (f"{key}: {_shown(entry, str(key))}" for key, entry in value.items())
            text = "{" + ", ".join(entries) + "}"
        case tuple() | list():
            text = "[" + ", ".join(_shown(entry) for entry in value) + "]"
        case _:
            text = str(value)
    return text
