"""Hints of the form `did you mean …`."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from itertools import takewhile


def closest(word: str, known: Iterable[str]) -> str | None:
    """The nearest word; of several equally near the one that starts alike longest."""
    near = get_close_matches(word, list(known), n=5, cutoff=0.6)

    def likeness(other: str) -> tuple[float, int]:
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(word, other, strict=False))
        return SequenceMatcher(None, word, other).ratio(), len(list(alike))

    return max(near, key=likeness, default=None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint, or nothing when no known word is near."""
    found = closest(word, known)
    return f"did you mean `{found}`?" if found else ""


def did_you_mean_or_list(word: str, known: Iterable[str], what: str) -> str:
    """The nearest word; else what there is, as long as a person can read it at a glance."""
    names = sorted(known)
    if guess := did_you_mean(word, names):
        return guess
    if not names:
        return f"no {what} is declared yet"
    shown = ", ".join(f"`{name}`" for name in names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"{what}: {shown}{more}"
