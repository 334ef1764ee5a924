"""XML as text, always the same for the same content; `xml.etree` cannot write CDATA."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

HEAD: Final = '<?xml version="1.0" encoding="utf-8"?>\n'
_IMPOSSIBLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True)
class Element:
    """A tag with attributes, and either text or further elements in it."""

    tag: str
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple["Element", ...] = ()
    text: str = ""
    cdata: bool = False


def element(tag: str, /, *children: "Element | None", **attributes: str | None) -> Element:
    """Attributes and children that are None are left out; `Use_` becomes `Use`."""
    given = tuple((key.rstrip("_"), v) for key, v in attributes.items() if v is not None)
    return Element(tag, given, tuple(child for child in children if child is not None))


def text(tag: str, content: str, /, *, cdata: bool = False, **attributes: str) -> Element:
    return Element(tag, tuple(attributes.items()), text=content, cdata=cdata)


def xml(root: Element) -> str:
    return HEAD + "\n".join(_lines(root, 0)) + "\n"


def _lines(one: Element, depth: int) -> Iterator[str]:
    pad = "  " * depth
    attributes = "".join(f" {key}={quoteattr(_possible(value))}" for key, value in one.attributes)
    if one.children:
        yield f"{pad}<{one.tag}{attributes}>"
        for child in one.children:
            yield from _lines(child, depth + 1)
        yield f"{pad}</{one.tag}>"
    elif one.text:
        yield f"{pad}<{one.tag}{attributes}>{_content(one)}</{one.tag}>"
    else:
        yield f"{pad}<{one.tag}{attributes}/>"


def _content(one: Element) -> str:
    possible = _possible(one.text)
    if not one.cdata:
        return escape(possible)
    return f"<![CDATA[{possible.replace(']]>', ']]]]><![CDATA[>')}]]>"


def _possible(content: str) -> str:
    """Without the characters that XML cannot hold in any form."""
    return _IMPOSSIBLE.sub("\ufffd", content)
