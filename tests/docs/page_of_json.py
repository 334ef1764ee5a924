"""What the page on output for programs promises, to be compared with what commands print."""

import re
from collections.abc import Iterator
from typing import Any, Final

from tests.docs.pages import REFERENCE

ANY_NAME: Final = frozenset({"rows", "details", "refused"})
"""Objects whose keys are names of the model or the device."""


def documented(command: str) -> set[str]:
    """Keys of one command; `[]` are the entries of a list, `*` is any name."""
    return set(re.findall(r"^\| `([^`]+)` \|", _section(command), re.MULTILINE))


def commands() -> set[str]:
    return set(re.findall(r"^## isthmus (.+)$", _page(), re.MULTILINE))


def keys(value: Any, place: str = "") -> set[str]:
    """Every key that a document has, as the page writes them."""
    return set(_keys(value, place))


def _keys(value: Any, place: str) -> Iterator[str]:
    match value:
        case dict():
            last = place.rpartition(".")[2]
            for name, one in value.items():
                inside = "*" if last in ANY_NAME else name
                below = f"{place}.{inside}" if place else inside
                yield below
                yield from _keys(one, below)
        case list():
            for one in value:
                yield from _keys(one, f"{place}[]")
        case _:
            return


def _page() -> str:
    return (REFERENCE / "json.md").read_text("utf-8")


def _section(command: str) -> str:
    _, _, rest = _page().partition(f"\n## isthmus {command}\n")
    return rest.partition("\n## ")[0]
