"""The form of a kind of source, made from its spec: what a person may write, and what he wrote."""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from isthmus.model.masking import is_secret_key
from isthmus.model.spec.site import SourceSpec

Widget = Literal["text", "number", "choice", "flag", "secret"]

_NOT_ASKED: Final = frozenset({"kind", "enabled"})


@dataclass(frozen=True)
class FormField:
    """One key of a source."""

    name: str
    widget: Widget
    required: bool
    default: str
    doc: str
    choices: tuple[str, ...]
    whole: bool = False


def fields_of(spec: type[SourceSpec]) -> list[FormField]:
    """Keys that are one value; what is a list or a table is written in YAML."""
    found = [_field(name, info) for name, info in spec.model_fields.items()]
    return [one for one in found if one is not None and one.name not in _NOT_ASKED]


def entry_of(spec: type[SourceSpec], kind: str, given: Mapping[str, str]) -> dict[str, Any]:
    """As it will stand in the model: only what differs from the usual."""
    entry: dict[str, Any] = {"kind": kind}
    for one in fields_of(spec):
        text = given.get(f"k.{one.name}", "").strip()
        if one.widget == "flag":
            text = "true" if text else "false"
        if text and text != one.default:
            entry[one.name] = _value(one, text)
    return entry


def _value(one: FormField, text: str) -> Any:
    """Text that is no number stays text: the spec says what is wrong with it."""
    if one.widget == "flag":
        return text == "true"
    try:
        return int(text) if one.whole else float(text) if one.widget == "number" else text
    except ValueError:
        return text


def _field(name: str, info: FieldInfo) -> FormField | None:
    found = _widget(name, info.annotation)
    if found is None:
        return None
    widget, choices, whole = found
    default = "" if info.is_required() or info.default is None else str(info.default)
    return FormField(
        name, widget, info.is_required(), default.lower() if widget == "flag" else default,
        (info.description or "").strip(), choices, whole,
    )  # fmt: skip


def _widget(name: str, annotation: Any) -> tuple[Widget, tuple[str, ...], bool] | None:
    plain = _plain(annotation)
    if get_origin(plain) is Literal:
        return "choice", tuple(map(str, get_args(plain))), False
    if plain is SecretStr or (plain is str and is_secret_key(name)):
        return "secret", (), False
    known: dict[Any, tuple[Widget, tuple[str, ...], bool]] = {
        bool: ("flag", (), False),
        int: ("number", (), True),
        float: ("text", (), False),  # a duration may be written as `100 ms`
        str: ("text", (), False),
    }
    return known.get(plain)


def _plain(annotation: Any) -> Any:
    """`Annotated[int, …] | None` is an int here."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        kinds = [one for one in get_args(annotation) if one is not type(None)]
        return _plain(kinds[0]) if len(kinds) == 1 else None
    return annotation
