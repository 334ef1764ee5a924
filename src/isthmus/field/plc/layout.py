"""What a block is to a controller: members of a definite size, each with its words; pure.

No target's syntax or names are here; see `target.py` for what a target makes of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, assert_never

from isthmus.base.german import Language
from isthmus.base.problem import Problem, ProblemsError
from isthmus.base.units import UnknownUnitError, label
from isthmus.field.plc.findings import error, warning
from isthmus.model.spec.block import Block, BlockField, CodeSystem
from isthmus.model.spec.words import Texts

Scalar = Literal["bit", "int16", "int32", "int64", "uint32", "real32", "real64", "text"]
Precision = Literal["single", "double"]

_INT16: Final = (-(2**15), 2**15 - 1)
_INT32: Final = (-(2**31), 2**31 - 1)
_INT64: Final = (-(2.0**63), 2.0**63)

_UP_TO: Final[Mapping[Language, str]] = {"en": "up to {} characters", "de": "bis {} Zeichen"}
_COUNTS: Final[Mapping[Language, str]] = {
    "en": "counts up, is not set back between orders",
    "de": "zählt aufwärts, wird zwischen Aufträgen nicht zurückgesetzt",
}


@dataclass(frozen=True)
class Value:
    """One value of an enumeration."""

    name: str
    number: int
    label: Texts


@dataclass(frozen=True)
class Member:
    """One field of a block, as a controller holds it."""

    field: str
    type: Scalar
    label: str
    """In the language asked for; empty where the model has none."""
    description: str
    comment: str
    """Description, unit and limits on one line."""
    labels: Texts
    descriptions: Texts
    unit: str = ""
    """UCUM; empty: none."""
    low: float | None = None
    high: float | None = None
    length: int = 0
    """Characters of a text."""
    enumeration: str = ""
    """The code system of `values`."""
    values: tuple[Value, ...] = ()
    counts: bool = False
    """A cumulative counter: the block keeps its increments."""
    codes: str = ""
    """What each number of an enumeration means, on one line."""

    @property
    def comment_with_codes(self) -> str:
        """For targets that have no enumerations."""
        return f"{self.comment} {self.codes}".strip()


@dataclass(frozen=True)
class Layout:
    """One block, as a controller holds it."""

    block: str
    version: int
    label: str
    comment: str
    labels: Texts
    descriptions: Texts
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Wording:
    """In which language, and how exact numbers are."""

    language: Language = "en"
    precision: Precision = "single"


def layout(
    block: Block, code_systems: Mapping[str, CodeSystem], wording: Wording
) -> tuple[Layout, list[Problem]]:
    """The block's members, and warnings. ProblemsError names every field no controller can hold."""
    members: list[Member] = []
    problems: list[Problem] = list(_codes_given(block, code_systems))
    for name, field in block.fields.items():
        try:
            members.append(_member(block.block, name, field, code_systems, wording))
        except ProblemsError as refused:
            problems += refused.problems
    if any(each.severity == "error" for each in problems):
        raise ProblemsError(problems)
    language = wording.language
    problems += _without_words(block, language)
    whole = Layout(
        block=block.block,
        version=block.version,
        label=one_line(block.label.get(language, "")),
        comment=_said(block, language),
        labels=_printable(block.label),
        descriptions=_all_words(block),
        members=tuple(members),
    )
    return whole, problems


def one_line(text: str) -> str:
    """Comments end with their line: line breaks and what cannot be printed become spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def unit_text(code: str) -> str:
    """The unit as people write it: `°C`; pieces have none."""
    if code in {"", "1"}:
        return ""
    try:
        return label(code)
    except UnknownUnitError:  # the loader has warned
        return code


def number_text(number: float) -> str:
    return f"{number:.0f}" if number.is_integer() else repr(number)


def _member(
    block: str,
    name: str,
    field: BlockField,
    code_systems: Mapping[str, CodeSystem],
    wording: Wording,
) -> Member:
    values = _values(code_systems[field.values]) if field.values is not None else ()
    kind = _scalar(f"blocks.{block}.{name}", field, values, wording.precision)
    language = wording.language
    description = _said(field, language)
    return Member(
        field=name,
        type=kind,
        label=one_line(field.label.get(language, "")),
        description=description,
        comment=_comment(description, field, language),
        labels=_printable(field.label),
        descriptions=_all_words(field),
        unit=field.unit or "",
        low=None if field.type == "counter" else field.min,
        high=None if field.type == "counter" else field.max,
        length=field.max_length if kind == "text" else 0,
        enumeration=field.values or "",
        values=values,
        counts=field.type == "counter",
        codes=", ".join(f"{v.number} = {_value_label(v, language)}" for v in values),
    )


def _scalar(
    address: str, field: BlockField, values: tuple[Value, ...], precision: Precision
) -> Scalar:
    match field.type:
        case "boolean":
            return "bit"
        case "text":
            return "text"
        case "number":
            return "real32" if precision == "single" else "real64"
        case "counter":
            return "uint32"
        case "integer":
            return _whole(address, field.min, field.max)
        case "enum":
            return _coded(address, values)
        case _:
            assert_never(field.type)


def _whole(address: str, low: float | None, high: float | None) -> Scalar:
    """The narrowest type for the limits; 32 bits where there are none."""
    lowest = low if low is not None else _INT32[0]
    highest = high if high is not None else _INT32[1]
    for kind, (least, most) in (("int16", _INT16), ("int32", _INT32)):
        if least <= lowest and highest <= most:
            return "int16" if kind == "int16" else "int32"
    if _INT64[0] <= lowest and highest < _INT64[1]:
        return "int64"
    said = f"the limits {lowest:g}…{highest:g} are beyond the 64 bits of a whole number"
    raise ProblemsError([error("P002", address, said, "narrow `min` and `max`, or take `number`")])


def _coded(address: str, values: tuple[Value, ...]) -> Scalar:
    numbers = [value.number for value in values]
    if _INT16[0] <= min(numbers) and max(numbers) <= _INT16[1]:
        return "int16"
    if _INT32[0] <= min(numbers) and max(numbers) <= _INT32[1]:
        return "int32"
    far = next(value for value in values if not _INT32[0] <= value.number <= _INT32[1])
    said = f"the code {far.number} of `{far.name}` is beyond 32 bits"
    raise ProblemsError([error("P003", address, said, "give the value a smaller `code`")])


def _values(system: CodeSystem) -> tuple[Value, ...]:
    """With their codes; those without one are numbered on behind the highest, from 1."""
    given = [code.code for code in system.values.values() if code.code is not None]
    free = max([0, *given]) + 1
    values = []
    for name, code in system.values.items():
        number, free = (free, free + 1) if code.code is None else (code.code, free)
        values.append(Value(name, number, _printable(code.label)))
    return tuple(values)


def _codes_given(block: Block, code_systems: Mapping[str, CodeSystem]) -> Iterator[Problem]:
    used = dict.fromkeys(field.values for field in block.fields.values() if field.values)
    for system in used:
        declared = code_systems[system].values
        numbered = [v for v in _values(code_systems[system]) if declared[v.name].code is None]
        if numbered:
            shown = ", ".join(f"{value.name} = {value.number}" for value in numbered)
            said = f"values without a code were numbered: {shown}"
            hint = "write `code:` beside them: a new value could move these numbers"
            yield warning("P102", f"code_systems.{system}", said, hint)


def _said(told: Block | BlockField, language: Language) -> str:
    words = told.description.get(language) or told.doc or told.label.get(language, "")
    return one_line(words or next(iter(told.description.values()), ""))


def _all_words(told: Block | BlockField) -> Texts:
    words: Texts = {"en": told.doc} if told.doc else {}
    return _printable(words | told.description)


def _printable(texts: Texts) -> Texts:
    return {language: one_line(text) for language, text in texts.items()}


def _without_words(block: Block, language: Language) -> Iterator[Problem]:
    told: dict[str, Block | BlockField] = {block.block: block, **block.fields}
    lacking = [place for place, one in told.items() if language not in _all_words(one)]
    if lacking:
        shown = ", ".join(f"`{place}`" for place in lacking)
        said = f"no description in `{language}` for {shown}"
        hint = f"add `description: {{{language}: …}}`; `doc` is taken where there is one"
        yield warning("P103", f"blocks.{block.block}", said, hint)


def _comment(description: str, field: BlockField, language: Language) -> str:
    parts = [description]
    if unit := unit_text(field.unit or ""):
        parts.append(f"[{unit}]")
    if field.type == "counter":
        parts.append(f"({_COUNTS[language]})")
    elif field.min is not None or field.max is not None:
        parts.append(_limits(field.min, field.max))
    if field.type == "text":
        parts.append(f"({_UP_TO[language].format(field.max_length)})")
    return " ".join(part for part in parts if part)


def _value_label(value: Value, language: Language) -> str:
    return value.label.get(language, "") or value.name


def _limits(low: float | None, high: float | None) -> str:
    if low is None:
        return f"≤ {number_text(high or 0.0)}"
    if high is None:
        return f"≥ {number_text(low)}"
    return f"{number_text(low)} … {number_text(high)}"
