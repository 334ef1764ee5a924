"""JSONPath (RFC 9535) into decoded JSON: plain dotted paths are walked, the rest is compiled."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

_STEP: Final = re.compile(
    r"""\.(?P<name>[^\W\d]\w*) | \[(?P<index>-?\d{1,9})\] | \['(?P<quoted>[^'\\]*)'\]""", re.VERBOSE
)

ABSENT: Final = object()
"""Nothing is there; not even null."""
Get = Callable[[Any], Any]
"""The one value at a place of a document, or ABSENT."""


@dataclass(frozen=True)
class JsonPath:
    """One path; `steps` is None where only the JSONPath library can follow it."""

    text: str
    steps: tuple[str | int, ...] | None

    def find(self, document: Any) -> list[Any]:
        """Every value the path selects: none, one or more."""
        if self.steps is None:
            found: list[Any] = _query(self.text).findall(document)
            return found
        for step in self.steps:
            if isinstance(document, str):
                return []
            try:
                document = document[step]
            except (KeyError, IndexError, TypeError):
                return []
        return [document]


def json_path(text: str) -> JsonPath:
    """Read a path; ValueError says what is wrong with it.

    Where the library is not installed (`isthmus check` needs none) a path with filters or
    wildcards is taken as it is, and checked when the source is opened.
    """
    steps = _plain_steps(text)
    if steps is None:
        try:
            _query(text)
        except ModuleNotFoundError:
            return JsonPath(text, None)
    return JsonPath(text, steps)


@lru_cache(maxsize=4096)
def getter(path: JsonPath) -> Get:
    """What a path with `steps` finds, without a list around it."""
    match path.steps:
        case (str(name),):
            return lambda document: document.get(name, ABSENT) if type(document) is dict else ABSENT
        case _:
            return lambda document: next(iter(path.find(document)), ABSENT)


def _plain_steps(text: str) -> tuple[str | int, ...] | None:
    if not text.startswith("$"):
        return None
    steps: list[str | int] = []
    position = 1
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            return None
        steps.append(_step(match))
        position = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> str | int:
    if match["index"] is not None:
        return int(match["index"])
    return match["name"] if match["name"] is not None else match["quoted"]


@lru_cache(maxsize=4096)
def _query(text: str) -> Any:
    import jsonpath  # noqa: PLC0415 - comes with the driver: `isthmus check` needs none

    try:
        return jsonpath.compile(text, strict=True)
    except jsonpath.JSONPathError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"`{text}` is no JSONPath: {reason}") from error
