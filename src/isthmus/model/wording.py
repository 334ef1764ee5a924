"""What pydantic found becomes problems a person can act on: right place, plain words, one hint."""

import json
import re
from copy import deepcopy
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from isthmus.base.problem import Problem
from isthmus.model.document import Document, Path, Scalar
from isthmus.model.findings import EXPECTED_TYPES, Alternatives, Finding, located, settled
from isthmus.model.known_keys import known_keys
from isthmus.model.masking import is_secret_key
from isthmus.model.scalars import plain_value
from isthmus.model.suggest import did_you_mean, did_you_mean_or_list

SpecT = TypeVar("SpecT", bound=BaseModel)

_VARIABLE: Final = re.compile(r"\$\{[^{}]*\}")
_SCALARS: Final = frozenset({"int_type", "float_type", "bool_type"})

_FORMS: Final = MappingProxyType(
    {
        "(?:[-_][a-z0-9]+)*$": "lower case letters and digits, joined by `-` or `_`",
        r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$": "`block.field`, such as `machine_state.state`",
        "^[a-z][a-z0-9_]*$": "lower case letters, digits and `_`, a letter first",
        r"[0-5]\d$": "a time span such as `06:00-14:00`",
        "^[A-Z]{2}": "a country and region such as `DE-HH`",
        "(us|ms|s|min|h|d)": "a duration such as `28 s` or `5 min`",
        r"^[^\s/]+$": "a host name or address without spaces and slashes",
        r"^opc\.tcp://": "an address such as `opc.tcp://10.1.4.7:4840`",
        "^https?://": "an address such as `http://10.1.4.7:5000`",
        "){5}$": "an AMS net id, six numbers such as `10.1.4.7.1.1`",
        "^(?:backplane|": "a way through ports such as `bp/0` or `enet/10.1.4.9/bp/0`",
        r"^/[^\s?#]*$": "a path that begins with `/`, such as `/quality`",
        "^[^/?#]*$": "a name without `/`, `?` and `#`",
        "^[A-Za-z0-9!#": "the name of an HTTP header, such as `X-API-Key`",
    }
)
"""A part of a pattern → how a person says it; the first that fits is taken."""

_LIMITS: Final = MappingProxyType(
    {
        "greater_than": ("gt", "must be more than"),
        "greater_than_equal": ("ge", "must be at least"),
        "less_than": ("lt", "must be less than"),
        "less_than_equal": ("le", "must be at most"),
        "string_too_short": ("min_length", "has too few characters; the fewest are"),
        "string_too_long": ("max_length", "has too many characters; the most are"),
        "too_short": ("min_length", "has too few entries; the fewest are"),
        "too_long": ("max_length", "has too many entries; the most are"),
    }
)


def validated(
    spec: type[SpecT], document: Document, path: Path, data: Any
) -> tuple[SpecT | None, list[Problem]]:
    """`data` as a `spec`, or what is wrong with it.

    By way of JSON, whose strict mode is right for YAML: a date is a text there, a number is not.
    """
    try:
        return spec.model_validate_json(json.dumps(data), strict=True), []
    except ValidationError as error:
        typed = _typed_variables(error, document, path, data)
        if typed is not None:
            return validated(spec, document, path, typed)
        return None, _problems(error, spec, document, path)


def checked(adapter: TypeAdapter[Any], document: Document, path: Path, data: Any) -> list[Problem]:
    """What is wrong with `data`, for shapes that are no spec."""
    try:
        adapter.validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        return _problems(error, BaseModel, document, path)
    return []


def _typed_variables(error: ValidationError, document: Document, prefix: Path, data: Any) -> Any:
    """`data` with numbers where `"${PORT}"` stands for one, or None if there is no such place.

    In `{…}` YAML wants quotes around a variable, which otherwise make it a text.
    """
    _, root, _ = document.find(prefix)
    typed, found = deepcopy(data), False
    for each in error.errors(include_url=False):
        finding = located(each, root)
        node = finding.node
        if finding.type not in _SCALARS or not isinstance(node, Scalar) or node.plain:
            continue
        if not _VARIABLE.fullmatch(node.text) or finding.input == "":
            continue
        value = plain_value(str(finding.input))
        if not isinstance(value, str):
            _put(typed, finding.path, value)
            found = True
    return typed if found else None


def _put(data: Any, path: Path, value: Any) -> None:
    *above, last = path
    for part in above:
        data = data[part]
    data[last] = value


def _problems(
    error: ValidationError, spec: type[BaseModel], document: Document, prefix: Path
) -> list[Problem]:
    _, root, _ = document.find(prefix)
    findings = [located(each, root) for each in error.errors(include_url=False)]
    return [
        _problem(group, spec, document, prefix)
        for group in settled(findings)
        if id(group[0].node) not in document.unfilled
    ]


def _problem(
    group: Alternatives, spec: type[BaseModel], document: Document, prefix: Path
) -> Problem:
    first = group[0]
    path = (*prefix, *first.path)
    match first.type:
        case "missing":
            return document.problem("M010", path, f"`{first.wanted}` is missing", at_key=True)
        case "extra_forbidden":
            keys = known_keys(spec, first.path)
            return document.problem(
                "M011",
                (*path, first.wanted),
                f"unknown key `{first.wanted}`",
                did_you_mean_or_list(first.wanted, keys, "known keys"),
                at_key=True,
            )
        case known if known in EXPECTED_TYPES:
            wanted = " or ".join(dict.fromkeys(EXPECTED_TYPES[each.type] for each in group))
            shown = _shown(first, with_type=True)
            return document.problem("M012", path, f"expected {wanted}, found {shown}")
        case _:
            message, *others = dict.fromkeys(_complaint(each) for each in group)
            message = ", or ".join((message, *(other.removeprefix("must be ") for other in others)))
            complete = message.startswith("`") or isinstance(first.input, dict | list | tuple)
            joint = " " if message.startswith(("must be ", "has too ")) else ": "
            text = message if complete else f"{_shown(first)}{joint}{message}"
            return document.problem("M013", path, text, _choice_hint(first), at_key=first.at_key)


def _complaint(finding: Finding) -> str:
    """What is wrong, to be read after the value."""
    context = finding.context
    match finding.type:
        case "literal_error":
            return f"must be {_backticks(context['expected'])}"
        case "string_pattern_mismatch":
            return f"must be {form_in_words(context['pattern'])}"
        case limit if limit in _LIMITS:
            name, words = _LIMITS[limit]
            return f"{words} {context[name]}"
        case "value_error":
            return _without_value(str(context["error"]), finding)
        case "date_parsing" | "date_from_datetime_parsing" | "date_from_datetime_inexact":
            return "must be a date, written as 2026-01-31"
        case _:
            return _without_value(finding.message[:1].lower() + finding.message[1:], finding)


def form_in_words(pattern: str) -> str:
    """What a pattern asks for, as a person says it."""
    forms = (form for part, form in _FORMS.items() if part in pattern)
    return next(forms, f"of the form {pattern}")


def _choice_hint(finding: Finding) -> str:
    if finding.type != "literal_error" or not isinstance(finding.input, str):
        return ""
    return did_you_mean(finding.input, re.findall("'([^']*)'", finding.context["expected"]))


def _backticks(expected: str) -> str:
    return expected.replace("'", "`")


def _shown(finding: Finding, *, with_type: bool = False) -> str:
    """The value as the person wrote it; never what a variable or a secret stands for."""
    if kept_back := _kept_back(finding):
        return kept_back
    match finding.input:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case str() as text:
            quoted, what = f"`{_cut(text)}`", "the text"
        case bool() as truth:
            quoted, what = f"`{str(truth).lower()}`", "the truth value"
        case number:
            quoted, what = f"`{number}`", "the number"
    return f"{what} {quoted}" if with_type else quoted


def _kept_back(finding: Finding) -> str:
    """What is said instead of a value that was filled in, or that looks like a password."""
    node = finding.node
    if not isinstance(node, Scalar) or finding.at_key:
        return ""
    if node.secret:
        return f"the secret `{node.text}`"
    if "${" in node.text:
        return f"`{_cut(node.text)}`"
    if finding.path and is_secret_key(str(finding.path[-1])):
        return "something else"
    return ""


def _without_value(message: str, finding: Finding) -> str:
    """A message of a validator may quote the value; where that was filled in it must not."""
    if _kept_back(finding) and str(finding.input):
        return message.replace(f"`{finding.input}`", "it").replace(str(finding.input), "•••")
    return message


def _cut(text: str) -> str:
    line = text.replace("\n", " ")
    return line if len(line) <= 60 else line[:57] + "…"
