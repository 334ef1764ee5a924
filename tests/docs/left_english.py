"""Finds English in what should be German."""

import re

ENGLISH = re.compile(
    r"\b(the|is|are|no|of|and|or|not|has|have|this|to|a|with|it|be|that|by|from|for|must|needs|"
    r"does|there|one|only|as|at|too|than|into|which|cannot|its|them|what|where|found|write)\b",
    re.IGNORECASE,
)
"""Words that no German sentence has."""


def english_in(text: str) -> list[str]:
    """What is left of English outside of names, codes and values."""
    found = ENGLISH.findall(re.sub(r"`[^`]*`|\(`?[\w ]+`?\)$", "", text))
    return [word for word in found if not word.isupper()]  # SQL
