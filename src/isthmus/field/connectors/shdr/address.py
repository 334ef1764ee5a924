"""The address of an SHDR tag: `key`, `condition:key`, `series:key[0]`, `set:key[entry]`, …."""

from dataclasses import dataclass
from typing import Final, Literal

from isthmus.field.mtconnect.values import split_elements

Form = Literal["value", "condition", "message", "series", "set"]
"""How many fields a key has on the line, and what they mean; the line itself does not tell."""

_FORMS: Final[dict[str, Form]] = {
    "condition": "condition", "message": "message", "series": "series", "set": "set",
}  # fmt: skip


@dataclass(frozen=True)
class ShdrTag:
    """Which part of which key of an adapter's lines."""

    key: str
    form: Form | None
    """None: not said; a plain value unless the devices file knows better."""
    elements: tuple[str, ...] = ()


def parse_address(tag: str) -> ShdrTag:
    """Read a tag; ValueError says what is wrong with it."""
    prefix, colon, rest = tag.partition(":")
    form = _FORMS.get(prefix) if colon else None
    key, elements = split_elements(rest if form else tag)
    if key != key.strip() or "|" in key or key.startswith("@"):
        raise ValueError(f"`{key}` is no key of an adapter")
    _check_elements(tag, form, elements)
    return ShdrTag(key, form, elements)


def _check_elements(tag: str, form: Form | None, elements: tuple[str, ...]) -> None:
    match form:
        case "set":
            return
        case "condition" if elements not in ((), ("level",)):
            raise ValueError(f"`{tag}`: the element of a condition is `[level]`")
        case "message" if elements not in ((), ("code",)):
            raise ValueError(f"`{tag}`: the element of a message is `[code]`")
        case "condition" | "message":
            return
        case _ if len(elements) > 1 or not all(element.isdecimal() for element in elements):
            raise ValueError(f"`{tag}`: an element is a number from 0; entries are `set:{tag}`")
        case _:
            return
