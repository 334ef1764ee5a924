"""German for the sentences that Isthmus says in English; a table of sentences per area.

A sentence is made in English, where it is needed, with its values in it. What is shown to a person
who reads German goes through `said`, which finds the sentence in a table and puts the values into
the German one. Words of devices, of libraries and of the model itself stay as they are.

In the tables `<name>` is a value, `<name#>` one word, `<name!>` several sentences; on the German
side `<name!>` is a sentence or word that is translated in its turn, `<name*>` a list of such. `tests/docs/test_german.py` holds
that no sentence is forgotten.
"""

import re
from functools import cache, lru_cache
from itertools import chain
from types import MappingProxyType
from typing import Final, Literal

from isthmus.base.german import connect, keys, links, model, quarantine, rest, tags

Language = Literal["en", "de"]

TABLES: Final = (
    model.SENTENCES,
    tags.SENTENCES,
    links.SENTENCES,
    connect.SENTENCES,
    keys.SENTENCES,
    rest.SENTENCES,
    quarantine.SENTENCES,
)

LONGEST: Final = 20_000
LONGEST_SENTENCE: Final = 1_000
DEEPEST: Final = 12
"""Beyond these a text is left as it is: nobody wrote it, and it must not hold up a page."""

_GAP: Final = re.compile(r"<(\w+)([#!*]?)>")
_INSIDE: Final = MappingProxyType({"": r"(?:(?![.?] ).)+?", "#": r"[^\s,]+", "!": r"[\s\S]+?"})
"""What a value may be: no more than a part of one sentence, one word, anything."""
_JOINTS: Final = re.compile(r"(, or | or | and |, )")
_JOINTS_IN_GERMAN: Final = MappingProxyType(
    {", or ": ", oder ", " or ": " oder ", " and ": " und ", ", ": ", "}
)
_STOP: Final = "."
_SEAMS: Final = (r"(\n)", r"((?<=[.?]) )", r"(; )")
"""Between sentences that stand together: the widest first."""


def said(text: str, language: Language) -> str:
    """`text` for a person who reads `language`."""
    return german(text) if language == "de" else text


@lru_cache(maxsize=4096)
def german(text: str) -> str:
    """The German sentence; what no table knows stays as it is."""
    return _german(text, 0) if len(text) <= LONGEST else text


def _german(text: str, depth: int) -> str:
    if depth > DEEPEST:
        return text  # no sentence of ours: words of a device that look like many
    if (known := _known(text, depth)) is not None:
        return known
    for seam in _SEAMS:
        parts = re.split(seam, text)
        if len(parts) > 1:
            return "".join(
                part if at % 2 else _german(part, depth + 1) for at, part in enumerate(parts)
            )
    return text


def _known(text: str, depth: int) -> str | None:
    sentence = text.removesuffix(_STOP)
    if len(sentence) > LONGEST_SENTENCE:
        return None
    for pattern, other in _candidates(sentence[:1]):
        if found := pattern.fullmatch(sentence):
            return _filled(other, found, depth + 1) + text[len(sentence) :]
    return None


def _filled(other: str, found: re.Match[str], depth: int) -> str:
    def value(gap: re.Match[str]) -> str:
        name, form = gap.groups()
        match form:
            case "!":
                return _german(found[name], depth)
            case "*":
                return _listed(found[name], depth)
            case _:
                return found[name]

    return _GAP.sub(value, other)


def _listed(text: str, depth: int) -> str:
    if (known := _known(text, depth)) is not None:
        return known
    parts = _JOINTS.split(text)
    return "".join(
        _JOINTS_IN_GERMAN[part] if at % 2 else _german(part, depth) for at, part in enumerate(parts)
    )


@cache
def _candidates(first: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Sentences that may begin so; the one with the most words of its own is tried first."""
    return tuple(
        (_pattern(english), other)
        for english, other in _sentences()
        if english.startswith(first) or _GAP.match(english)
    )


@cache
def _sentences() -> tuple[tuple[str, str], ...]:
    pairs = chain.from_iterable(table.items() for table in TABLES)
    ordered = sorted(pairs, key=lambda pair: -len(_GAP.sub("", pair[0])))
    return tuple((one.removesuffix(_STOP), other.removesuffix(_STOP)) for one, other in ordered)


def _pattern(english: str) -> re.Pattern[str]:
    """A value in back-ticks has none in it; one that stands twice is the same both times."""
    made, end, names = "", 0, set[str]()
    for gap in _GAP.finditer(english):
        made += re.escape(english[end : gap.start()])
        before, end = english[: gap.start()], gap.end()
        name, form = gap.groups()
        ticked = before.endswith("`") and english[end:].startswith("`")
        inside = "[^`]*" if ticked else _INSIDE[form]
        made += f"(?P={name})" if name in names else f"(?P<{name}>{inside})"
        names.add(name)
    return re.compile(made + re.escape(english[end:]))
