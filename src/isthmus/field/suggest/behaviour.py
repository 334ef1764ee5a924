"""What the values of a tag look like over time: counter, two-valued, constant, few integers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Value = float | str

Shape = Literal[
    "nothing", "constant", "two_valued", "counter", "counter_with_resets",
    "few_integers", "few_words", "words", "numbers",
]  # fmt: skip

_FEW = 12
_RESETS_PER_STEP = 0.2
_LEAST_RISES = 2


@dataclass(frozen=True)
class Behaviour:
    """The shape of a tag's values; `low` and `high` are set for numbers."""

    shape: Shape
    low: float | None = None
    high: float | None = None
    distinct: int = 0
    only_rose: bool = False
    """Numbers that rose at least once and never fell: a counter, for all that is known."""

    @property
    def counts(self) -> bool:
        return self.shape in {"counter", "counter_with_resets"}


def observed(values: Sequence[Value]) -> Behaviour:
    """Values in the order of their times; bad ones left out by the caller."""
    if not values:
        return Behaviour("nothing")
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) < len(values):
        distinct = len(set(values))
        shape: Shape = "constant" if distinct == 1 else "few_words" if distinct <= _FEW else "words"
        return Behaviour(shape, distinct=distinct)
    distinct = len(set(numbers))
    only_rose = distinct > 1 and all(after >= before for before, after in pairwise(numbers))
    return Behaviour(_shape(numbers, distinct), min(numbers), max(numbers), distinct, only_rose)


def _shape(numbers: Sequence[float], distinct: int) -> Shape:
    if distinct == 1:
        return "constant"
    rises = sum(after > before for before, after in pairwise(numbers))
    falls = [(before, after) for before, after in pairwise(numbers) if after < before]
    if rises >= _LEAST_RISES and not falls:
        return "counter"
    fell_far = all(after < (before + min(numbers)) / 2 for before, after in falls)
    if rises >= _LEAST_RISES and len(falls) <= _RESETS_PER_STEP * len(numbers) + 1 and fell_far:
        whole = all(value.is_integer() for value in map(float, numbers))
        if whole and distinct > len(numbers) / 2:
            return "counter_with_resets"
    if distinct == 2:
        return "two_valued"
    if distinct <= _FEW and all(
        float(value).is_integer() and abs(value) < 1e4 for value in numbers
    ):
        return "few_integers"
    return "numbers"
