"""The form of a kind of source, made from its spec: every key that a person may write.

Texts of the form and values of the entry are `connect_values`.
"""

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from isthmus.model.masking import is_secret_key
from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Seconds

Widget = Literal[
    "text", "long", "number", "choice", "flag", "secret", "lines", "pairs", "yaml", "group",
    "one_of",
]  # fmt: skip
"""`lines`: a list, one per line. `pairs`: `name: text`, one per line. `group`: keys of its own;
`one_of`: one of several kinds, each with keys of its own. `yaml`: whatever else there is."""

_NOT_ASKED: Final = frozenset({"kind", "enabled"})
_LONG: Final = frozenset({"query"})
"""Texts of several lines."""
_DURATION: Final = next(one for one in get_args(Seconds) if isinstance(one, BeforeValidator))
_UNITS: Final = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3))


@dataclass(frozen=True)
class FormField:
    """One key of a source."""

    path: tuple[str, ...]
    """In the entry."""
    input: str
    """Name of its input; keys of one of several kinds have the kind in it."""
    widget: Widget
    required: bool = False
    default: Any = None
    """As the spec has it; None where it has none."""
    doc: str = ""
    choices: tuple[Any, ...] = ()
    whole: bool = False
    optional: bool = False
    """It may be said that there is none, whatever the default."""
    fields: tuple["FormField", ...] = ()
    """Of a group."""
    kinds: Mapping[str, tuple["FormField", ...]] = field(default_factory=dict)
    """Of `one_of`: name → its keys; the name itself is at `kind_key`."""
    kind_key: str = ""

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def key(self) -> str:
        return ".".join(self.path)

    @property
    def usual(self) -> str:
        """The default as a person would write it; empty where there is nothing to say."""
        match self.default:
            case None | "" | () | [] | {}:
                return ""
            case bool() as truth:
                return str(truth).lower()
            case float() as seconds if self.widget == "text":
                return duration_text(seconds)
            case tuple() as several:
                return ", ".join(several)
            case other:
                return str(other)


def fields_of(spec: type[SourceSpec]) -> tuple[FormField, ...]:
    """Every key of a kind but the kind itself, and whether it is switched on."""
    return tuple(one for one in _fields(spec, (), "k") if one.name not in _NOT_ASKED)


def every(fields: Sequence[FormField]) -> Iterator[FormField]:
    """These fields and all inside them."""
    for one in fields:
        yield one
        yield from every(one.fields)
        for inside in one.kinds.values():
            yield from every(inside)


def duration_text(seconds: float) -> str:
    """`604800.0` is `7 d`, `0.25` is `250 ms`."""
    for unit, size in _UNITS:
        number = seconds / size
        if number >= 1 and number == round(number):
            return f"{number:.0f} {unit}"
    return f"{seconds:g} s"


# From annotations ---------------------------------------------------------------------------


def _fields(spec: type[BaseModel], above: tuple[str, ...], prefix: str) -> Iterator[FormField]:
    for name, info in spec.model_fields.items():
        made = _field((*above, name), f"{prefix}.{name}", info.annotation, info.metadata, info)
        required = info.is_required()
        default = None if required else info.get_default(call_default_factory=True)
        if default is PydanticUndefined or isinstance(default, BaseModel):
            default = None
        doc = " ".join((info.description or "").split())
        yield replace(made, required=required, default=default, doc=doc)


def _field(
    path: tuple[str, ...], name: str, annotation: Any, about: Sequence[Any], info: FieldInfo
) -> FormField:
    plain, optional, more = _plain(annotation)
    about = [*about, *more]
    made = FormField(path, name, "yaml", optional=optional)
    origin, inside = get_origin(plain), get_args(plain)
    if origin is Literal:
        return replace(made, widget="choice", choices=inside)
    if origin in {list, tuple} and _is_text(inside[0]):
        return replace(made, widget="lines")
    if origin is dict and all(map(_is_text, inside)):
        return replace(made, widget="pairs")
    tag = next((d for d in map(_discriminator, (info, *about)) if d), "")
    if origin in {Union, types.UnionType} and tag:
        kinds = {get_args(each.model_fields[tag].annotation)[0]: each for each in inside}
        fields = {
            kind: tuple(f for f in _fields(each, path, f"{name}.{kind}") if f.name != tag)
            for kind, each in kinds.items()
        }
        return replace(made, widget="one_of", kinds=fields, kind_key=tag)
    if isinstance(plain, type) and issubclass(plain, BaseModel):
        return replace(made, widget="group", fields=tuple(_fields(plain, path, name)))
    return _scalar(made, plain, is_duration=_DURATION in about)


def _scalar(made: FormField, plain: Any, *, is_duration: bool) -> FormField:
    if plain is SecretStr or (plain is str and is_secret_key(made.name)):
        return replace(made, widget="secret")
    if plain is str or plain is Path or is_duration:
        return replace(made, widget="long" if made.name in _LONG else "text")
    if plain is bool and not made.optional:
        return replace(made, widget="flag")
    if plain in {int, float}:
        return replace(made, widget="number", whole=plain is int)
    return made


def _discriminator(about: Any) -> str:
    found = getattr(about, "discriminator", None)
    return found if isinstance(found, str) else ""


def _plain(annotation: Any) -> tuple[Any, bool, list[Any]]:
    """`Annotated[int, …] | None` is an int here that may be none, and what is said about it."""
    about: list[Any] = []
    optional = False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *said = get_args(annotation)
            about += said
            continue
        if get_origin(annotation) in {Union, types.UnionType}:
            kinds = [one for one in get_args(annotation) if one is not types.NoneType]
            optional = optional or len(kinds) < len(get_args(annotation))
            if len(kinds) == 1:
                annotation = kinds[0]
                continue
            annotation = Union[tuple(kinds)]  # noqa: UP007 - made of values
        return annotation, optional, about


def _is_text(annotation: Any) -> bool:
    return _plain(annotation)[0] in {str, Path}
