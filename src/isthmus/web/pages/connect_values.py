"""Between the texts of a form and the entry of a source; what was not changed stays as written.

A text that would lose something in a form (blanks at its ends, several lines, quotes) stands in
quotes there, as in JSON. What is secret is shown as dots, and stays when it comes back as dots.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from isthmus.model.compose import Composer
from isthmus.model.document import ListNode, MappingNode, Node, Scalar
from isthmus.model.masking import HIDDEN, is_secret_key, masked, url_password
from isthmus.model.scalars import plain_value
from isthmus.model.write.flow import Raw, flow
from isthmus.model.write.written import Written
from isthmus.web.pages.connect_form import FormField, every

ON: Final = "true"
_SECRET: Final = re.compile(r"!secret [\w.-]+")
_PLAIN_KEY: Final = re.compile(r"[^\s:\"][^:\n]*(?<!\s)")
_OPEN_ADDRESS: Final = re.compile(r"[\w+.-]+://[^@?\s]*")
_NOTHING: Final = object()


@dataclass(frozen=True)
class Unread:
    """A text that cannot be taken at all; what can be is judged by the model's loader."""

    message: str
    """Key of what the page says."""
    part: str


class _UnreadError(ValueError):
    def __init__(self, message: str, part: str) -> None:
        super().__init__(message)
        self.unread = Unread(message, part)


@dataclass(frozen=True)
class Reading:
    """What a person wrote."""

    entry: dict[str, Any]
    wrong: Mapping[str, Unread]
    """Key of a field → what cannot be read there."""


def values_of(fields: Sequence[FormField], entry: Mapping[str, Any]) -> dict[str, str]:
    """Name of an input → its text, for what the entry says; never a secret."""
    texts: dict[str, str] = {}
    for one in fields:
        if one.name in entry:
            texts |= _texts(one, entry[one.name])
    return texts


def reading_of(
    fields: Sequence[FormField], given: Mapping[str, str], was: Mapping[str, Any]
) -> Reading:
    """The entry as it will stand in the model: what stays, and what differs from the usual."""
    wrong: dict[str, Unread] = {}
    return Reading(_mapping(fields, given, was, wrong), wrong)


def options(one: FormField) -> list[str]:
    """Texts of a choice, the usual one first."""
    texts = [_quoted(_plain_text(each)) for each in one.choices]
    usual = _quoted(_plain_text(one.default)) if one.default in one.choices else ""
    return [usual, *(each for each in texts if each != usual)]


def without_secrets(fields: Sequence[FormField], given: Mapping[str, str]) -> dict[str, str]:
    """Texts as they may be shown again: what a person typed as a secret is gone."""
    typed = {one.input: one for one in every(fields) if one.widget == "secret"}
    return {
        name: "" if name in typed and not (_is_open(typed[name], text) or text == HIDDEN) else text
        for name, text in given.items()
    }


def _is_open(one: FormField, text: str) -> bool:
    """A reference, or an address in which no secret has a place, may be seen."""
    return refers(text) or (
        not is_secret_key(one.name) and _OPEN_ADDRESS.fullmatch(text) is not None
    )


def refers(text: str) -> bool:
    """Whether it only names a secret or an environment variable."""
    return _SECRET.fullmatch(text) is not None or "${" in text


# What is shown ------------------------------------------------------------------------------


def _texts(one: FormField, value: Any) -> dict[str, str]:
    match one.widget, value:
        case "group", Mapping():
            return {one.input: ON} | values_of(one.fields, value)
        case "one_of", Mapping():
            kind = _plain_text(value.get(one.kind_key, ""))
            return {one.input: kind} | values_of(one.kinds.get(kind, ()), value)
        case _:
            return {one.input: _shown(one, value)}


def _shown(one: FormField, value: Any) -> str:
    match one.widget, value:
        case "yaml", _:
            return _block(value)
        case "pairs", Mapping():
            pairs = (f"{_key(name)}: {_kept_back(name, text)}" for name, text in value.items())
            return "\n".join(pairs) or "{}"
        case "lines", list() | tuple():
            return "\n".join(_quoted(_plain_text(each)) for each in value) or "[]"
        case "secret", _:
            text = _plain_text(value)
            return text if _is_open(one, text) else HIDDEN
        case _, Mapping() | list():
            return _block(value)  # of a form it should not have; the loader says so
        case _:
            return _quoted(_of_no_password(_plain_text(value)), lines=one.widget == "long")


def _plain_text(value: Any) -> str:
    match value:
        case Written():
            return value.shown
        case Raw():
            return value.text
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _of_no_password(text: str) -> str:
    return masked(text) if url_password(text) else text


def _kept_back(name: str, value: Any) -> str:
    text = _plain_text(value)
    return HIDDEN if is_secret_key(name) and not refers(text) else _quoted(_of_no_password(text))


def _quoted(text: str, *, lines: bool = False) -> str:
    inside = text.replace("\n", "") if lines else text
    plain = text and text == text.strip() and text[0] != '"' and inside.isprintable()
    return text if plain and text not in {"[]", "{}"} else _in_quotes(text)


def _in_quotes(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _key(name: str) -> str:
    return name if _PLAIN_KEY.fullmatch(name) and name.isprintable() else _in_quotes(name)


def _block(value: Any) -> str:
    """YAML with one entry per line."""
    if isinstance(value, Mapping) and value:
        return "\n".join(f"{flow(key)}: {flow(_open(one, key))}" for key, one in value.items())
    return flow(_open(value, ""))


def _open(value: Any, key: str) -> Any:
    match value:
        case Mapping():
            return {name: _open(one, name) for name, one in value.items()}
        case list():
            return [_open(one, key) for one in value]
        case Written(value=None):
            return None
        case _ if is_secret_key(key) and not refers(_plain_text(value)):
            return HIDDEN
        case _:
            return value


# What is read -------------------------------------------------------------------------------


def _mapping(
    fields: Sequence[FormField],
    given: Mapping[str, str],
    was: Mapping[str, Any],
    wrong: dict[str, Unread],
) -> dict[str, Any]:
    known = {one.name: one for one in fields}
    entry: dict[str, Any] = {}
    for name in dict.fromkeys([*was, *known]):  # in the order of the file
        if name not in known:
            entry[name] = was[name]
            continue
        try:
            value = _value(known[name], given, was.get(name, _NOTHING), wrong)
        except _UnreadError as error:
            wrong[known[name].key] = error.unread
            continue
        if value is not _NOTHING:
            entry[name] = value
    return entry


def _value(one: FormField, given: Mapping[str, str], was: Any, wrong: dict[str, Unread]) -> Any:
    text = given.get(one.input, "").replace("\r\n", "\n").strip()
    if one.widget == "group" and (was is _NOTHING or isinstance(was, Mapping)):
        inside = _mapping(one.fields, given, was if isinstance(was, Mapping) else {}, wrong)
        there = text == ON if one.optional else bool(inside)
        return inside if there else _NOTHING
    if one.widget == "one_of" and (was is _NOTHING or isinstance(was, Mapping)):
        return _one_of(one, text, given, was, wrong) if text else _NOTHING
    if was is not _NOTHING and text == _shown(one, was):
        return was
    if not text and one.widget != "flag":
        return _NOTHING
    value = _read(one, text, was)
    return _NOTHING if _is_usual(one, value) else value


def _one_of(
    one: FormField, kind: str, given: Mapping[str, str], was: Any, wrong: dict[str, Unread]
) -> dict[str, Any]:
    there = was if isinstance(was, Mapping) else {}
    same = _plain_text(there.get(one.kind_key, "")) == kind
    if same:
        return _mapping(one.kinds.get(kind, ()), given, there, wrong)
    return {one.kind_key: kind} | _mapping(one.kinds.get(kind, ()), given, {}, wrong)


def _is_usual(one: FormField, value: Any) -> bool:
    if one.default is None:
        return False
    plain = tuple(value) if isinstance(value, list) else value
    return plain == one.default or (one.widget == "text" and value == one.usual)


def _read(one: FormField, text: str, was: Any) -> Any:
    """A text that is no number stays one: the loader says what is wrong with it."""
    if one.optional and one.default is not None and text == "null":
        return None
    reads: Mapping[str, Callable[[], Any]] = {
        "flag": lambda: text == ON if text in {ON, "", "false"} else text,
        "choice": lambda: {_quoted(_plain_text(each)): each for each in one.choices}.get(
            text, text
        ),
        "number": lambda: _number(one, text),
        "lines": lambda: _lines(text, was),
        "pairs": lambda: _pairs(text, was),
        "yaml": lambda: _yaml(text, was),
        "group": lambda: _yaml(text, was),
        "one_of": lambda: _yaml(text, was),
    }
    return reads.get(one.widget, lambda: _text(text))()


def _text(text: str) -> str | Raw:
    if _SECRET.fullmatch(text):
        return Raw(text)
    if not text.startswith('"'):
        return text
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, str):
        raise _UnreadError("endpoint.wrong.quotes", text)
    return read


def _number(one: FormField, text: str) -> Any:
    try:
        return int(text) if one.whole else float(text)
    except ValueError:
        return _text(text)


def _lines(text: str, was: Any) -> list[Any]:
    if text == "[]":
        return []
    there = {_quoted(_plain_text(each)): each for each in _listed(was)}
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return [there.get(line, _NOTHING) if line in there else _text(line) for line in lines]


def _listed(was: Any) -> Sequence[Any]:
    return was if isinstance(was, list | tuple) else () if was is _NOTHING else (was,)


def _pairs(text: str, was: Any) -> dict[str, Any]:
    if text == "{}":
        return {}
    there = was if isinstance(was, Mapping) else {}
    found: dict[str, Any] = {}
    for line in filter(None, (each.strip() for each in text.split("\n"))):
        name, rest = _pair(line)
        if name in found:
            raise _UnreadError("endpoint.wrong.twice", name)
        stays = name in there and rest == _kept_back(name, there[name])
        found[name] = there[name] if stays else _text(rest)
    return found


def _pair(line: str) -> tuple[str, str]:
    if line.startswith('"'):
        try:
            name, end = json.JSONDecoder().raw_decode(line)
        except ValueError:
            raise _UnreadError("endpoint.wrong.quotes", line) from None
        colon, rest = line[end:].lstrip()[:1], line[end:].lstrip()[1:]
    else:
        name, colon, rest = line.partition(":")
    if colon != ":" or not name or not rest.strip():
        raise _UnreadError("endpoint.wrong.pair", line)
    return name.strip() if not line.startswith('"') else name, rest.strip()


def _yaml(text: str, was: Any) -> Any:
    composer = Composer("", text)
    composer.compose()
    if composer.problems:
        first = composer.problems[0]
        line = f"{first.place.line}: " if first.place else ""
        raise _UnreadError("endpoint.wrong.yaml", line + first.message)
    if len(composer.documents) != 1:
        raise _UnreadError("endpoint.wrong.yaml", "---")
    return _restored(_node(composer.documents[0].root), was)


def _node(node: Node) -> Any:
    match node:
        case Scalar():
            if node.secret:
                return Raw(f"!secret {node.text}")
            return plain_value(node.text) if node.plain and "${" not in node.text else node.text
        case MappingNode():
            return {key: _node(value) for key, (_, value) in node.pairs.items()}
        case ListNode():
            return [_node(each) for each in node.items]


def _restored(value: Any, was: Any) -> Any:
    """Dots are what stood there before."""
    match value, was:
        case str(), Written() | str() if value == HIDDEN:
            return was
        case dict(), Mapping():
            return {name: _restored(one, was.get(name)) for name, one in value.items()}
        case list(), list() if len(value) == len(was):
            return [_restored(*both) for both in zip(value, was, strict=True)]
        case _:
            return value
