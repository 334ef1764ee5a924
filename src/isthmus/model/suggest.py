"""Hints of the form `did you mean …`."""

from collections.abc import Iterable
from difflib import get_close_matches


def closest(word: str, known: Iterable[str]) -> str | None:
    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


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
