"""Findings as a person or a program reads them."""

import json
from collections.abc import Sequence
from typing import Literal

from isthmus.base.german import Language, said
from isthmus.base.problem import Problem

Format = Literal["text", "json"]


def report(problems: Sequence[Problem], form: Format, language: Language = "en") -> str:
    """All findings; as text with a summary in the last line, as JSON a list of objects."""
    if form == "json":
        found = [each.translated(language).as_dict() for each in problems]
        return json.dumps(found, ensure_ascii=False, indent=2)
    whole = said(summary(problems), language)
    return "\n\n".join([*(each.render(language) for each in problems), whole])


def summary(problems: Sequence[Problem]) -> str:
    """One line: `2 errors, 1 warning`, or that all is well."""
    errors = sum(each.severity == "error" for each in problems)
    if not problems:
        return "no problems"
    return f"{_counted(errors, 'error')}, {_counted(len(problems) - errors, 'warning')}"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
