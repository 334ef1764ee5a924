"""The right tag comes first: measured on address spaces of many vendors' styles."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from isthmus.field.suggest import CONFIDENT, suggest

from .spaces import RECORDINGS, Space, blocks, spaces

FIRST, AMONG_THREE = 0.80, 0.95
GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "connect-a-machine.md"


@dataclass(frozen=True)
class Measured:
    """How often the right tag was first, and among the first three, of so many fields."""

    fields: int
    first: int
    among_three: int
    without_answer: int
    wrongly_sure: int
    """Fields without a right tag for which one was proposed as if it were."""

    def __add__(self, other: "Measured") -> "Measured":
        return Measured(*(a + b for a, b in zip(self.numbers, other.numbers, strict=True)))

    @property
    def numbers(self) -> tuple[int, int, int, int, int]:
        return (
            self.fields, self.first, self.among_three, self.without_answer, self.wrongly_sure,
        )  # fmt: skip


def measured(space: Space) -> Measured:
    asked = blocks()
    total = Measured(0, 0, 0, 0, 0)
    for machine, right in space.answers.items():
        found = suggest(
            space.nodes,
            [asked[name] for name in space.blocks],
            samples=space.samples,
            under=machine,
        )
        for one in found:
            tags = [proposal.tag for proposal in one.proposals]
            if one.key in right:
                first, three = set(tags[:1]) & right[one.key], set(tags[:3]) & right[one.key]
                total += Measured(1, bool(first), bool(three), 0, 0)
            else:
                sure = one.best is not None and one.best.score >= CONFIDENT
                total += Measured(0, 0, 0, 1, sure)
    return total


def of_half(split: Literal["tuning", "test"]) -> Measured:
    each = [measured(space) for space in spaces() if space.split == split]
    return sum(each, Measured(0, 0, 0, 0, 0))


@pytest.mark.parametrize("split", ["tuning", "test"])
def test_the_right_tag_is_mostly_first_and_nearly_always_among_three(split, record_property):
    total = of_half(split)
    record_property(f"first, {split} half", f"{total.first} of {total.fields}")
    record_property(f"among three, {split} half", f"{total.among_three} of {total.fields}")
    assert total.first / total.fields >= FIRST
    assert total.among_three / total.fields >= AMONG_THREE


@pytest.mark.parametrize("split", ["tuning", "test"])
def test_a_field_without_a_tag_rarely_gets_a_sure_proposal(split):
    total = of_half(split)
    assert total.wrongly_sure <= 0.15 * total.without_answer


def test_two_real_machines_that_nobody_here_named():
    if not RECORDINGS.is_dir():
        pytest.skip("the folder of recordings is not beside the repository")
    (recorded,) = [space for space in spaces() if space.name == "okuma_recorded"]
    assert measured(recorded).first / measured(recorded).fields >= FIRST


@pytest.mark.parametrize("split", ["tuning", "test"])
def test_the_guide_says_what_was_measured(split):
    if not RECORDINGS.is_dir():
        pytest.skip("the folder of recordings is not beside the repository")
    total = of_half(split)
    count = sum(space.split == split for space in spaces())
    first, three = (100 * one / total.fields for one in (total.first, total.among_three))
    row = (
        f"| {split} | {count} | {total.fields} | {first:.3g} % | {three:.3g} % "
        f"| {total.wrongly_sure} of {total.without_answer} |"
    )
    assert row in GUIDE.read_text(encoding="utf-8")


def test_the_halves_are_of_the_size_that_was_promised():
    by_half = {
        split: [one for one in spaces() if one.split == split] for split in ("tuning", "test")
    }
    assert len(by_half["tuning"]) >= 7
    assert len(by_half["test"]) >= 7
    for space in spaces():
        right = {tag for each in space.answers.values() for tags in each.values() for tag in tags}
        assert len(space.nodes) > len(right), "no distractors"
