"""The nodes of one machine, each with everything that proposals look at."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from isthmus.field.connector import Node
from isthmus.field.suggest.behaviour import Behaviour, Value, observed
from isthmus.field.suggest.companion import Defined, defined, infrastructure
from isthmus.field.suggest.unit_codes import ucum
from isthmus.field.suggest.words import Token, tokens

Place = Literal["name", "comment", "folder"]
ValueKind = Literal["boolean", "integer", "real", "text", "time", "enum", "other", "unknown"]

_IN_COMMENT: Final = 0.95
_IN_FOLDER: Final = (0.8, 0.65, 0.5)
"""What a word is worth that stands in the comment, or in the folders from the nearest one up."""
_COMMON: Final = 0.3
_FEWEST_FOR_COMMON: Final = 8
_DIGITS: Final = re.compile(r"\d+")
_STEP: Final = re.compile(r"[./](?=[A-Za-z_$])")
_ADDRESS: Final = re.compile(
    r"(coil|discrete|holding|input):|%?(db\d+[.,])?(db)?[miqedxbw]{1,2}\d+(\.\d+)*$|\d+$",
    re.IGNORECASE,
)
"""A register or memory address: it says where, not what."""
_KINDS: Final = (
    ("boolean", re.compile(r"^(bool(ean)?|bit|bit\[.*)$", re.IGNORECASE)),
    ("time", re.compile(r"date|utctime|^tod$|timeofday|^ltime$|^time$", re.IGNORECASE)),
    ("text", re.compile(r"string|^w?char|text", re.IGNORECASE)),
    ("real", re.compile(r"float|real|double|duration|decimal", re.IGNORECASE)),
    ("integer", re.compile(
        r"^(u?(s|d|l)?int(8|16|32|64|eger)?|(d|l)?word|byte|long|short|[us]?int\d+)(be|le)?$",
        re.IGNORECASE)),
    ("enum", re.compile(r"enum|^e_|mode$|state$|status$", re.IGNORECASE)),
)  # fmt: skip


@dataclass(frozen=True)
class View:
    """One node, understood."""

    node: Node
    order: int
    name: tuple[Token, ...]
    comment: tuple[Token, ...]
    folders: tuple[tuple[Token, ...], ...]
    """From the nearest one up, below the machine itself."""
    kind: ValueKind
    unit: str | None
    behaviour: Behaviour
    values: tuple[Value, ...]
    alike: int
    """How many nodes differ from this one only in numbers, itself included."""
    defined: Defined | None
    infrastructure: bool
    said: Mapping[str, tuple[float, Place]]
    """Concept → how sure its best place is, and which."""


@dataclass(frozen=True)
class Space:
    """All nodes of one machine that have a value."""

    views: tuple[View, ...]
    common: frozenset[str]
    """Words in the names of so many nodes that they tell none from another."""
    saying: Mapping[str, tuple[int, ...]]
    """Concept → places in `views` of those that say it."""
    defined: Mapping[str, tuple[int, ...]]
    """Quantity → places of those that a standard defines as it."""


def space(nodes: Sequence[Node], samples: Mapping[str, Sequence[Value]], under: str = "") -> Space:
    """`under`: the path of the machine; nodes elsewhere are left out."""
    inside = [node for node in nodes if _inside(node, under)]
    by_path = {node.path: node for node in inside}
    masked = Counter(_masked(node) for node in inside)
    types: dict[str, set[str]] = {}
    for node in inside:
        types.setdefault(_folder(node), set()).add(node.type)
    views = tuple(
        _view(node, order, under, by_path, types[_folder(node)], masked[_masked(node)], samples)
        for order, node in enumerate(inside)
        if not (node.has_children and not node.type)
    )
    saying = _index((place, view.said) for place, view in enumerate(views))
    by_standard = _index(
        (place, view.defined.quantities) for place, view in enumerate(views) if view.defined
    )
    return Space(views, _common(views), saying, by_standard)


def _index(entries: Iterable[tuple[int, Iterable[str]]]) -> Mapping[str, tuple[int, ...]]:
    places: dict[str, list[int]] = {}
    for place, words in entries:
        for word in words:
            places.setdefault(word, []).append(place)
    return {word: tuple(found) for word, found in places.items()}


def _view(  # noqa: PLR0917 - what `space` gathered, once for all nodes
    node: Node,
    order: int,
    under: str,
    by_path: Mapping[str, Node],
    beside: Collection[str],
    alike: int,
    samples: Mapping[str, Sequence[Value]],
) -> View:
    name, comment = tokens(_leaf(node.name)), tokens(_comment(node))
    folders = tuple(_folders(node, under))
    values = tuple(samples.get(node.tag, ()))
    return View(
        node=node,
        order=order,
        name=name,
        comment=comment,
        folders=folders,
        kind=value_kind(node.type),
        unit=ucum(node.unit, node.unit_code),
        behaviour=observed(values),
        values=values,
        alike=alike,
        defined=defined(node, by_path.get(_folder(node))),
        infrastructure=infrastructure(node),
        said=_said(name, comment, folders, spindle=_is_spindle(beside)),
    )


def _said(
    name: Sequence[Token],
    comment: Sequence[Token],
    folders: Sequence[Sequence[Token]],
    *,
    spindle: bool,
) -> Mapping[str, tuple[float, Place]]:
    places: list[tuple[Place, float, Sequence[Token]]] = [
        ("name", 1.0, name),
        ("comment", _IN_COMMENT, comment),
        *(("folder", worth, words) for worth, words in zip(_IN_FOLDER, folders, strict=False)),
    ]
    said: dict[str, tuple[float, Place]] = {"spindle": (_IN_FOLDER[0], "folder")} if spindle else {}
    for place, worth, words in places:
        for word in words:
            for concept in word.concepts:
                if word.certainty * worth > said.get(concept, (0.0, place))[0]:
                    said[concept] = (word.certainty * worth, place)
    return said


def _is_spindle(types: Collection[str]) -> bool:
    """An axis that tells how fast it turns; its load has no other name than that of any axis."""
    return any("ROTARY_VELOCITY " in one or "SPINDLE_SPEED " in one for one in types)


def value_kind(written: str) -> ValueKind:
    """What kind of value a type holds, in the words of whatever protocol."""
    if not written:
        return "unknown"
    if written.startswith(("EVENT ", "SAMPLE ", "CONDITION ")):
        category = written.partition(" ")[0]
        return "real" if category == "SAMPLE" else "unknown" if category == "EVENT" else "other"
    for kind, pattern in _KINDS:
        if pattern.search(written.removesuffix("[]")):
            return kind  # type: ignore[return-value]
    return "other"


def _inside(node: Node, under: str) -> bool:
    return not under or node.path == under or node.path.startswith(under.rstrip("/") + "/")


def _leaf(name: str) -> str:
    """The part of a name that names the value; nothing where it is only an address."""
    return "" if _ADDRESS.match(name) else _steps(name)[-1]


def _steps(name: str) -> list[str]:
    """`Fault.ActiveCode` is `ActiveCode` in `Fault`."""
    return [step for step in _STEP.split(name) if step] or [name]


def _comment(node: Node) -> str:
    """The source's own words; the type of an MTConnect data item is one of them."""
    if node.type.startswith(("EVENT ", "SAMPLE ", "CONDITION ")):
        return f"{node.description} {node.type.partition(' ')[2]}"
    return node.description


def _folder(node: Node) -> str:
    """Protocols differ in whether the path ends with the node's own name."""
    path, _, last = node.path.rpartition("/")
    return path if last == node.name else node.path


def _folders(node: Node, under: str) -> Iterator[tuple[Token, ...]]:
    below = _folder(node).removeprefix(under).strip("/")
    inner = [] if _ADDRESS.match(node.name) else _steps(node.name)[:-1]
    for part in reversed([*filter(None, below.split("/")), *inner]):
        yield tokens(part)


def _masked(node: Node) -> str:
    return _DIGITS.sub("#", f"{_folder(node)}/{node.name}")


def _common(views: Sequence[View]) -> frozenset[str]:
    if len(views) < _FEWEST_FOR_COMMON:
        return frozenset()
    seen = Counter(
        text
        for view in views
        for text in {concept for one in view.name for concept in (one.text, *one.concepts)}
    )
    return frozenset(text for text, times in seen.items() if times > _COMMON * len(views))
