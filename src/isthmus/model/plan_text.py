"""Changes as a person or a program reads them; secrets stay hidden."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from isthmus.model.changes import Action, Change, affected_sources
from isthmus.model.masking import HIDDEN, is_secret_key, masked
from isthmus.model.report import Format
from isthmus.model.spec.words import Guarded

SIGNS: Final[Mapping[Action, str]] = MappingProxyType({"add": "+", "alter": "~", "remove": "−"})
_LONGEST: Final = 100
_NAMED: Final = 3
"""Of many names that change alike so many are shown."""

Details = tuple[tuple[str, str, str], ...]
"""Field, before, after."""


def plan_text(found: Sequence[Change], form: Format) -> str:
    """All changes, with a summary in the last line of the text."""
    if form == "json":
        return json.dumps([_as_dict(each) for each in found], ensure_ascii=False, indent=2)
    if not found:
        return "nothing would change"
    return "\n".join([*_lines(found), "", _summary(found)])


def _as_dict(change: Change) -> dict[str, Any]:
    return {
        "action": change.action,
        "kind": change.kind,
        "name": change.name,
        "details": [
            {"field": field, "before": before, "after": after}
            for field, before, after in details(change)
        ],
        "sources": sorted(change.sources),
    }


def _summary(found: Sequence[Change]) -> str:
    count = {action: sum(each.action == action for each in found) for action in SIGNS}
    said = f"{count['add']} to add, {count['alter']} to alter, {count['remove']} to remove"
    sources = sorted(affected_sources(found))
    return (
        f"{said}; interrupts {_names(sources, 10)}" if sources else f"{said}; interrupts no source"
    )


def _lines(found: Sequence[Change]) -> Iterator[str]:
    """One entry per change; machines whose mapping or calendar changes alike share one."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for change in _told(found):
        owner, _, part = change.name.partition(":")
        alone = "" if change.kind in {"mapping", "calendar"} else owner
        key = (change.action, change.kind, part, details(change), alone)
        groups.setdefault(key, []).append(owner)
    for (action, kind, part, altered, _), owners in groups.items():
        what = f"{SIGNS[action]} {kind.replace('_', ' ')}"
        names = _names(owners, _NAMED)
        yield f"{what} {part} of {names}" if part else f"{what} {names}".rstrip()
        for field, before, after in altered:
            yield f"    {field}: {before} → {after}" if field else f"    {before} → {after}"


def _told(found: Sequence[Change]) -> Iterator[Change]:
    """Without what comes and goes with its machine or site."""
    whole = {
        each.name for each in found if each.kind in {"machine", "site"} and each.action != "alter"
    }
    for each in found:
        part = each.kind in {"mapping", "calendar", "use_case"}
        if not (part and each.name.partition(":")[0] in whole):
            yield each


def _names(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def details(change: Change) -> Details:
    """What was altered, field by field."""
    if change.action != "alter":
        return ()
    hidden = _guarded(change.before) | _guarded(change.after)
    return tuple(
        (name, _shown(was, name, hidden), _shown(now, name, hidden))
        for name, was, now in _differences("", change.before, change.after)
    )


def _differences(name: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """As deep inside as both sides have the same form."""
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
            text = "nothing"
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
