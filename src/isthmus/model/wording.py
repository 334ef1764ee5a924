"""What pydantic found becomes problems a person can act on: right place, plain words, one hint."""

import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from isthmus.base.problem import Problem
from isthmus.model.document import Document, ListNode, MappingNode, Node, Path, Scalar
from isthmus.model.known_keys import known_keys
from isthmus.model.masking import is_secret_key
from isthmus.model.scalars import plain_value
from isthmus.model.suggest import did_you_mean, did_you_mean_or_list

SpecT = TypeVar("SpecT", bound=BaseModel)

_VARIABLE: Final = re.compile(r"\$\{[^{}]*\}")
_SCALARS: Final = frozenset({"int_type", "float_type", "bool_type"})

_EXPECTED: Final = MappingProxyType(
    {
        "string_type": "a text",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "bool_type": "`true` or `false`",
        "dict_type": "a mapping",
        "model_type": "a mapping",
        "list_type": "a list",
        "tuple_type": "a list",
        "date_type": "a date such as 2026-01-31",
        "none_required": "nothing",
    }
)
"""Pydantic's complaints about the type of a value, and what they wanted."""

_FORMS: Final = MappingProxyType(
    {
        "(?:[-_][a-z0-9]+)*$": "lower case letters and digits, joined by `-` or `_`",
        r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$": "`block.field`, such as `machine_state.state`",
        "^[a-z][a-z0-9_]*$": "lower case letters, digits and `_`, a letter first",
        r"[0-5]\d$": "a time span such as `06:00-14:00`",
        "^[A-Z]{2}": "a country and region such as `DE-HH`",
        "(us|ms|s|min|h|d)": "a duration such as `28 s` or `5 min`",
        r"^[^\s/]+$": "a host name or address without spaces and slashes",
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
        finding = _finding(each, root)
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


@dataclass(frozen=True)
class _Finding:
    """One complaint of pydantic, with its place in the document instead of in the schema."""

    type: str
    path: Path
    """Relative to what was validated; for a missing key, that of its parent."""
    node: Node
    unions: tuple[tuple[Path, str], ...]
    """Branches of unions that were tried on the way: where, and which."""
    at_key: bool
    wanted: str
    """The missing or unknown key, else empty."""
    input: Any
    context: Mapping[str, Any]
    message: str


_Alternatives = list[_Finding]
"""Complaints about one value of which any one had to be absent."""


def _problems(
    error: ValidationError, spec: type[BaseModel], document: Document, prefix: Path
) -> list[Problem]:
    _, root, _ = document.find(prefix)
    findings = [_finding(each, root) for each in error.errors(include_url=False)]
    return [
        _problem(group, spec, document, prefix)
        for group in _settled(findings)
        if id(group[0].node) not in document.unfilled
    ]


def _finding(error: Any, root: Node) -> _Finding:
    node, path, unions = root, [], []
    at_key, wanted = False, ""
    location = error["loc"]
    for depth, part in enumerate(location):
        last = depth == len(location) - 1
        if last and error["type"] in {"missing", "extra_forbidden"}:
            wanted = str(part)
        elif last and part == "[key]":
            at_key = True
        elif (child := _child(node, part)) is not None:
            node = child
            path.append(part)
        else:
            unions.append((tuple(path), str(part)))
    return _Finding(
        error["type"],
        tuple(path),
        node,
        tuple(unions),
        at_key,
        wanted,
        error["input"],
        error.get("ctx", {}),
        error["msg"],
    )


def _child(node: Node, part: str | int) -> Node | None:
    match node:
        case MappingNode():
            pair = node.pairs.get(str(part))
            return pair[1] if pair else None
        case ListNode() if isinstance(part, int) and part < len(node.items):
            return node.items[part]
        case _:
            return None


def _settled(findings: Sequence[_Finding], depth: int = 0) -> list[_Alternatives]:
    """Of each union keep the branch that understood most of the value."""
    groups: list[_Alternatives] = [[each] for each in findings if len(each.unions) <= depth]
    unions: dict[Path, dict[str, list[_Finding]]] = {}
    for each in findings:
        if len(each.unions) > depth:
            place, branch = each.unions[depth]
            unions.setdefault(place, {}).setdefault(branch, []).append(each)
    for place, branches in unions.items():
        groups += _best(place, [_settled(found, depth + 1) for found in branches.values()])
    return groups


def _best(place: Path, branches: list[list[_Alternatives]]) -> list[_Alternatives]:
    """The branch that got past the value's own type; else all of them, read as alternatives."""

    def refused(branch: list[_Alternatives]) -> bool:
        return any(
            each.path == place and not each.at_key and not each.wanted
            for group in branch
            for each in group
        )

    understood = [branch for branch in branches if not refused(branch)]
    if understood:
        return min(understood, key=len)
    alternatives = [each for branch in branches for group in branch for each in group]
    fitting = [each for each in alternatives if each.type not in _EXPECTED]
    return [fitting or alternatives]


def _problem(
    group: _Alternatives, spec: type[BaseModel], document: Document, prefix: Path
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
        case known if known in _EXPECTED:
            wanted = " or ".join(dict.fromkeys(_EXPECTED[each.type] for each in group))
            shown = _shown(first, with_type=True)
            return document.problem("M012", path, f"expected {wanted}, found {shown}")
        case _:
            message, *others = dict.fromkeys(_complaint(each) for each in group)
            message = ", or ".join((message, *(other.removeprefix("must be ") for other in others)))
            complete = message.startswith("`") or isinstance(first.input, dict | list)
            joint = " " if message.startswith(("must be ", "has too ")) else ": "
            text = message if complete else f"{_shown(first)}{joint}{message}"
            return document.problem("M013", path, text, _choice_hint(first), at_key=first.at_key)


def _complaint(finding: _Finding) -> str:
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


def _choice_hint(finding: _Finding) -> str:
    if finding.type != "literal_error" or not isinstance(finding.input, str):
        return ""
    return did_you_mean(finding.input, re.findall("'([^']*)'", finding.context["expected"]))


def _backticks(expected: str) -> str:
    return expected.replace("'", "`")


def _shown(finding: _Finding, *, with_type: bool = False) -> str:
    """The value as the person wrote it; never what a variable or a secret stands for."""
    if kept_back := _kept_back(finding):
        return kept_back
    match finding.input:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str() as text:
            quoted, what = f"`{_cut(text)}`", "the text"
        case bool() as truth:
            quoted, what = f"`{str(truth).lower()}`", "the truth value"
        case number:
            quoted, what = f"`{number}`", "the number"
    return f"{what} {quoted}" if with_type else quoted


def _kept_back(finding: _Finding) -> str:
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


def _without_value(message: str, finding: _Finding) -> str:
    """A message of a validator may quote the value; where that was filled in it must not."""
    if _kept_back(finding) and str(finding.input):
        return message.replace(f"`{finding.input}`", "it").replace(str(finding.input), "•••")
    return message


def _cut(text: str) -> str:
    line = text.replace("\n", " ")
    return line if len(line) <= 60 else line[:57] + "…"
