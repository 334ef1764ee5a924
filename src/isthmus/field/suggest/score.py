"""How well one tag fits one field, from 0 to 1, and why."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from isthmus.field.suggest.quantities import (
    GENERIC,
    HEADS,
    Phrase,
    Target,
    limits,
    weight_of,
)
from isthmus.field.suggest.reason import Kind, Reason
from isthmus.field.suggest.unit_codes import compatible
from isthmus.field.suggest.view import Space, ValueKind, View
from isthmus.field.suggest.words import Token, is_number, thesaurus
from isthmus.model.spec.block import FieldType

LEAST: Final = 0.25
"""Below this a tag is not worth showing."""
_HOPELESS: Final = 0.12
"""Words that fit so badly are not saved by unit and values."""
_EXACT: Final = 0.97
_INEXACT: Final = 0.96
_SURELY: Final = 0.9
_UNSAID: Final = (0.0, "folder")
_HARMLESS: Final = frozenset({"actual", "last", "machine", "present", "part", "main"})
"""Concepts that a name may have besides without meaning something else."""

_FITS: Final = MappingProxyType({
    "number": {"integer": 0.97, "boolean": 0.1, "text": 0.15, "time": 0.1, "enum": 0.2},
    "integer": {"real": 0.85, "boolean": 0.15, "text": 0.3, "time": 0.1, "enum": 0.4},
    "counter": {"real": 0.85, "boolean": 0.1, "text": 0.15, "time": 0.1, "enum": 0.2},
    "enum": {"real": 0.4, "boolean": 0.35, "text": 0.95, "time": 0.1},
    "text": {"integer": 0.9, "real": 0.4, "boolean": 0.15, "time": 0.15, "enum": 0.6},
    "boolean": {"integer": 0.5, "real": 0.15, "text": 0.2, "time": 0.1, "enum": 0.4},
})  # fmt: skip
"""Field type → what each kind of value is worth there; not listed: fits."""
_OTHER_KIND: Final = 0.4


@dataclass(frozen=True)
class Scored:
    """What speaks for and against one tag."""

    score: float
    reasons: tuple[Reason, ...] = ()


NONE: Final = Scored(0.0)


@dataclass(frozen=True)
class _Named:
    """How well the words fit, and the phrase they fit."""

    score: float
    phrase: Phrase
    where: Literal["name", "comment"]
    against: tuple[str, ...]


def score(target: Target, view: View, space: Space) -> Scored:
    named = _named(target, view, space)
    exact = view.defined is not None and target.quantity.name in view.defined.quantities
    if named is None and not exact:
        return NONE
    reasons: list[Reason] = []
    points = 0.0
    if named is not None:
        points = named.score
        reasons += _name_reasons(target, view, named)
    if exact and view.defined is not None:
        points = max(points, _EXACT)
        reasons.insert(0, Reason("standard", (view.defined.standard,)))
    elif view.defined is not None:
        points *= 0.6  # a standard says that it is something else
    for factor, reason in (_kind(target, view), _unit(target, view), *_behaves(target, view)):
        points = points * factor if factor <= 1 else 1 - (1 - points) / factor
        if reason is not None:
            reasons.append(reason)
    points *= _repeated(target, view, reasons)
    if exact and points > _SURELY:
        return Scored(max(points, _EXACT), tuple(reasons))
    # Scaled, not cut: of two good ones the better must stay the better.
    return Scored(points * _INEXACT, tuple(reasons))


# Words ---------------------------------------------------------------------------------------


def _named(target: Target, view: View, space: Space) -> _Named | None:
    found = [_by_phrase(phrase, target, view, space) for phrase in target.quantity.phrases]
    best = max((one for one in found if one is not None), key=lambda one: one.score, default=None)
    return best if best is not None and best.score > 0 else None


def _by_phrase(phrase: Phrase, target: Target, view: View, space: Space) -> _Named | None:
    said = [(concept, view.said.get(concept, _UNSAID)) for concept in phrase.concepts]
    points = sum(weight_of(concept) * worth for concept, (worth, _) in said)
    coverage = (points / phrase.size) ** 2
    places = {place for _, (worth, place) in said if worth}
    if coverage * phrase.weight < _HOPELESS or not places & {"name", "comment"}:
        return None
    rest, against = _besides(phrase, target, view, space)
    numbers = _numbers(target, view, space)
    where: Literal["name", "comment"] = "name" if "name" in places else "comment"
    return _Named(coverage * phrase.weight * rest * numbers, phrase, where, against)


def _besides(
    phrase: Phrase, target: Target, view: View, space: Space
) -> tuple[float, tuple[str, ...]]:
    """What the words say that was not asked for, and which of them change the meaning."""
    others = {concept for one in target.quantity.phrases for concept in one.concepts}
    wanted = phrase.concepts | target.numbers
    factor, against = 1.0, []
    # With a good name the comment explains; without one it is the name.
    for words, softness in ((view.name, 0.0), (view.comment, 0.5 if view.name else 0.0)):
        for word in words:
            worth = _extra(word, wanted, others, target, space)
            factor *= 1 - (1 - worth) * (1 - softness)
            if worth <= _MODIFIES:
                against.append(word.text)
    for word in view.folders[0] if view.folders else ():
        if thesaurus().modifiers.intersection(word.concepts) - wanted - _HARMLESS:
            factor *= 0.75
    return factor, tuple(against)


_MODIFIES: Final = 0.5
_OTHER_HEAD: Final = 0.65


def _extra(
    word: Token, wanted: frozenset[str], others: set[str], target: Target, space: Space
) -> float:
    """What a word that was not asked for leaves of the score."""
    concepts = set(word.concepts)
    harmless = [
        (concepts & wanted or (concepts and all(map(is_number, concepts))), 1.0),
        (word.text in space.common or concepts & space.common, 0.99),
        (not concepts, 0.95),
        (concepts & others or concepts & target.context, 0.96),
        (concepts & _HARMLESS, 0.98),
        (concepts & thesaurus().modifiers, _MODIFIES),
        (concepts <= HEADS, _OTHER_HEAD),
        (concepts <= GENERIC, 0.9),
    ]
    return next((worth for holds, worth in harmless if holds), 0.8)


def _numbers(target: Target, view: View, space: Space) -> float:
    """`zone_2_temp` wants a 2; a field without a number wants the first or the only one."""
    found = {
        concept
        for one in (*view.name, *view.comment)
        for concept in one.concepts
        if is_number(concept) and concept not in space.common
    }
    if target.numbers:
        return 1.0 if target.numbers <= found else 0.3
    if not found:
        return 1.0
    return 0.95 if found <= {"#0", "#1"} else 0.75


def _name_reasons(target: Target, view: View, named: _Named) -> list[Reason]:
    quantity = target.quantity
    shown = view.node.description if named.where == "comment" else view.node.name
    kind: Kind = "comment" if named.where == "comment" and view.node.description else "name"
    reasons = [Reason(kind, (shown or view.node.name, quantity.english, quantity.german))]
    missing = named.phrase.concepts - {
        concept for one in (*view.name, *view.comment) for concept in one.concepts
    }
    if missing and view.folders:
        folder = view.node.path.removesuffix(view.node.name).strip("/").rpartition("/")[2]
        if folder:
            reasons.append(Reason("folder", (folder,)))
    return reasons + [Reason("modifier", (word,), against=True) for word in named.against[:1]]


# Type, unit, values --------------------------------------------------------------------------

_Judged = tuple[float, Reason | None]


def _kind(target: Target, view: View) -> _Judged:
    factor = fits(target.spec.type, view.kind)
    if factor > 0.6:
        return factor, None
    return factor, Reason("type_differs", (view.node.type,), against=True)


def fits(field: FieldType, kind: ValueKind) -> float:
    if kind in {"unknown", "enum"} and field == "enum":
        return 1.0
    return _FITS[field].get(kind, _OTHER_KIND if kind == "other" else 1.0)


def _unit(target: Target, view: View) -> _Judged:
    wanted, given = target.spec.unit, view.unit
    if target.spec.type in {"text", "enum", "boolean"}:
        return (0.5, None) if given not in {None, "1"} else (1.0, None)
    if wanted is None or given is None:
        return (0.93, None) if wanted not in {None, "1"} else (1.0, None)
    if not compatible(given, wanted):
        return 0.12, Reason("unit_other", (given, wanted), against=True)
    if wanted == "1":
        return 1.0, None
    reason = (
        Reason("unit", (given,)) if given == wanted else Reason("unit_differs", (given, wanted))
    )
    return 1.25, reason


def _behaves(target: Target, view: View) -> list[_Judged]:
    seen = view.behaviour
    if seen.shape == "nothing":
        return []
    judged: list[_Judged] = []
    match target.spec.type:
        case "counter":
            judged.append(_counts(view))
        case "enum" if seen.shape in {"few_integers", "few_words", "two_valued"}:
            values = ", ".join(dict.fromkeys(_shown(one) for one in view.values))
            kind: Kind = "few_words" if seen.shape == "few_words" else "few_integers"
            judged.append((1.2, Reason(kind, (values,))))
        case "enum" if seen.shape in {"counter", "numbers", "words", "counter_with_resets"}:
            judged.append((0.5, None))
        case "boolean" if seen.shape == "two_valued":
            judged.append((1.2, Reason("two_valued")))
        case "number" | "integer":
            judged.append(_in_range(target, view))
        case _:
            pass
    if seen.shape == "constant" and target.spec.type in {"number", "boolean"}:
        judged.append((0.98, Reason("constant", against=True)))
    return judged


def _counts(view: View) -> _Judged:
    if view.behaviour.counts:
        kind: Kind = "counter" if view.behaviour.shape == "counter" else "counter_with_resets"
        return 1.3, Reason(kind)
    # Scrap is rare: one part more while somebody listens does not speak against a counter.
    fits = view.behaviour.shape == "constant" or view.behaviour.only_rose
    return (1.0, None) if fits else (0.7, None)


def _in_range(target: Target, view: View) -> _Judged:
    low, high = view.behaviour.low, view.behaviour.high
    least, most = limits(target.spec)
    if low is None or high is None or (view.unit or target.spec.unit) != target.spec.unit:
        return 1.0, None
    words = (f"{low:g}", f"{high:g}")
    if low < least or high > most:
        return 0.5, Reason("out_of_range", words, against=True)
    return (1.05, Reason("in_range", words)) if most < float("inf") else (1.0, None)


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _repeated(target: Target, view: View, reasons: list[Reason]) -> float:
    """One of many alike is rarely the one that is meant, unless the field has a number, too."""
    factor = 0.3 if view.infrastructure else 1.0
    if view.alike < 3 or target.numbers or any(one.kind == "standard" for one in reasons):
        return factor
    reasons.append(Reason("one_of_many", (str(view.alike),), against=True))
    return factor * 0.8
