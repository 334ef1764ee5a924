"""What a field of a block asks for: a quantity we know words for, else the field's own words."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import yaml

from isthmus.field.suggest.words import Token, is_number, thesaurus, tokens
from isthmus.model.spec.block import Block, BlockField

GENERIC: Final = frozenset({
    "actual", "code", "count", "factor", "flow", "force", "frequency", "import", "last", "level",
    "machine", "mode", "name", "number", "part", "path", "position", "power", "pressure", "rate",
    "speed", "specific", "state", "temperature", "text", "time", "total", "energy", "load",
})  # fmt: skip
"""Concepts that say what kind of thing a value is, not which one."""

HEADS: Final = frozenset({
    "time", "temperature", "pressure", "force", "torque", "flow", "level", "speed", "position",
    "distance", "humidity", "power", "energy", "voltage", "frequency", "weight", "rate",
})  # fmt: skip
"""What is measured: a name that says another one means something else."""

_OWN_WORDS: Final = 0.9


@dataclass(frozen=True)
class Phrase:
    """Concepts that together name a quantity."""

    concepts: frozenset[str]
    weight: float

    @cached_property
    def size(self) -> float:
        return sum(map(weight_of, self.concepts))

    @cached_property
    def heaviest(self) -> frozenset[str]:
        """Without one of these a name does not fit, whatever else it says."""
        most = max(map(weight_of, self.concepts))
        return frozenset(one for one in self.concepts if weight_of(one) == most)


@dataclass(frozen=True)
class Quantity:
    """Something machines measure or count, with the ways to name it."""

    name: str
    english: str
    german: str
    phrases: tuple[Phrase, ...]


@dataclass(frozen=True)
class Target:
    """One field of a block, as the proposals see it."""

    block: str
    field: str
    spec: BlockField
    quantity: Quantity
    context: frozenset[str]
    """Concepts of the block's name and the field's documentation."""
    numbers: frozenset[str]
    """Numbers in the field's name: `zone_2_temp` wants a tag with a 2."""

    @property
    def key(self) -> str:
        return f"{self.block}.{self.field}"


def weight_of(concept: str) -> float:
    return 1.0 if concept in GENERIC or concept in thesaurus().modifiers else 2.0


def targets(blocks: Iterable[Block]) -> list[Target]:
    return [
        Target(
            block=block.block,
            field=name,
            spec=spec,
            quantity=_quantity(block.block, name),
            context=_concepts(tokens(block.block)) | _concepts(tokens(spec.doc)),
            numbers=frozenset(filter(is_number, _concepts(tokens(name)))),
        )
        for block in blocks
        for name, spec in block.fields.items()
    ]


def _quantity(block: str, field: str) -> Quantity:
    by_field, quantities = _known()
    for name in (f"{block}.{field}", field):
        if name in by_field:
            return by_field[name]
    concepts = frozenset(one for one in _concepts(tokens(field)) if not is_number(one))
    best = max(quantities, key=lambda one: _named_by(one, concepts))
    if _named_by(best, concepts) > _OWN_WORDS:
        return best
    words = field.replace("_", " ")
    own = concepts or frozenset({words})
    return Quantity(field, words, words, (Phrase(own, 1.0),))


def _named_by(quantity: Quantity, concepts: frozenset[str]) -> float:
    """Whether these concepts are one of its phrases; a bare generic one names nothing."""
    if concepts <= GENERIC:
        return 0.0
    return max((one.weight for one in quantity.phrases if one.concepts == concepts), default=0.0)


@cache
def _known() -> tuple[Mapping[str, Quantity], tuple[Quantity, ...]]:
    text = files("isthmus.field.suggest").joinpath("quantities.yaml").read_text(encoding="utf-8")
    by_field: dict[str, Quantity] = {}
    every = []
    for name, written in yaml.safe_load(text).items():
        phrases = tuple(
            Phrase(frozenset(words.split()), float(weight))
            for words, weight in written["phrases"].items()
        )
        label = written["label"]
        quantity = Quantity(name, label["en"], label["de"], phrases)
        every.append(quantity)
        by_field.update(dict.fromkeys(written["fields"], quantity))
    return MappingProxyType(by_field), tuple(every)


def known_quantities() -> frozenset[str]:
    return frozenset(one.name for one in _known()[1])


def _concepts(words: Iterable[Token]) -> frozenset[str]:
    return frozenset(concept for word in words for concept in word.concepts)


def limits(spec: BlockField) -> tuple[float, float]:
    low = -math.inf if spec.min is None else spec.min
    high = math.inf if spec.max is None else spec.max
    return low, high
