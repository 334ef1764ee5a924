"""Proposals for all fields of some blocks at once: each tag goes to one field only."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from typing import Final

from isthmus.base.german import Language
from isthmus.field.connector import Node
from isthmus.field.suggest.assign import assigned
from isthmus.field.suggest.behaviour import Value
from isthmus.field.suggest.quantities import Target, targets
from isthmus.field.suggest.reason import Reason
from isthmus.field.suggest.score import LEAST, Scored, score
from isthmus.field.suggest.view import Space, View, space
from isthmus.model.spec.block import Block

CONFIDENT: Final = 0.6
"""From here on a proposal is worth accepting at a glance."""
_SHOWN: Final = 5
_CANDIDATES: Final = 40
_TOGETHER: Final = 1.15
_SURE: Final = 0.7


@dataclass(frozen=True)
class Proposal:
    """One tag for one field."""

    tag: str
    name: str
    path: str
    score: float
    reasons: tuple[Reason, ...]
    type: str = ""
    unit: str | None = None
    """UCUM code of the tag, as the mapping needs it."""

    def why(self, language: Language = "en") -> str:
        return "; ".join(reason.text(language) for reason in self.reasons)


@dataclass(frozen=True)
class Suggestion:
    """All proposals for one field, best first; none where nothing fits."""

    block: str
    field: str
    proposals: tuple[Proposal, ...]

    @property
    def key(self) -> str:
        return f"{self.block}.{self.field}"

    @property
    def best(self) -> Proposal | None:
        return self.proposals[0] if self.proposals else None


def suggest(
    nodes: Sequence[Node],
    blocks: Iterable[Block],
    *,
    samples: Mapping[str, Sequence[Value]] | None = None,
    under: str = "",
    taken: Collection[str] = (),
) -> list[Suggestion]:
    """For each field of the blocks the tags that may feed it.

    `under` is the path of one machine where a source has several; `taken` are tags that are
    mapped already. `samples` are values by tag, oldest first. Pure: needs no network.
    """
    seen = space(nodes, samples or {}, under)
    views, wanted = seen.views, targets(blocks)
    table = [_row(target, seen, frozenset(taken)) for target in wanted]
    first = assigned([_scores(row) for row in table])
    table = _together(wanted, table, first, views)
    chosen = assigned([_scores(row) for row in table])
    return [
        Suggestion(target.block, target.field, _ranked(row, best, views))
        for target, row, best in zip(wanted, table, chosen, strict=True)
    ]


_Row = dict[int, Scored]


def _row(target: Target, seen: Space, taken: frozenset[str]) -> _Row:
    found: _Row = {}
    for place in sorted(_worth_a_look(target, seen)):
        view = seen.views[place]
        if view.node.tag not in taken:
            scored = score(target, view, seen)
            if scored.score >= LEAST:
                found[place] = scored
    best = nlargest(_CANDIDATES, found, key=lambda place: (found[place].score, -place))
    return {place: found[place] for place in sorted(best)}


def _worth_a_look(target: Target, seen: Space) -> set[int]:
    quantity = target.quantity
    heaviest = {concept for phrase in quantity.phrases for concept in phrase.heaviest}
    said = (seen.saying.get(concept, ()) for concept in heaviest)
    return set(seen.defined.get(quantity.name, ())).union(*said)


def _scores(row: _Row) -> dict[int, float]:
    # Squared: one good pair is worth more than two middling ones.
    return {place: one.score**2 for place, one in row.items()}


def _together(
    wanted: Sequence[Target],
    table: Sequence[_Row],
    chosen: Sequence[int | None],
    views: Sequence[View],
) -> list[_Row]:
    """Fields of a block mostly stand in one folder: what stands there too gains."""
    homes: dict[str, Counter[str]] = {}
    for target, row, place in zip(wanted, table, chosen, strict=True):
        if place is not None and row[place].score >= _SURE:
            homes.setdefault(target.block, Counter())[_home(views[place])] += 1
    raised = []
    for target, row in zip(wanted, table, strict=True):
        home = homes.get(target.block, Counter[str]())
        raised.append({
            place: _raised(one) if _others_there(home, views[place], one) else one
            for place, one in row.items()
        })  # fmt: skip
    return raised


def _others_there(homes: Counter[str], view: View, scored: Scored) -> bool:
    itself = 1 if scored.score >= _SURE else 0
    return homes[_home(view)] > itself and len(homes) > 0


def _raised(scored: Scored) -> Scored:
    points = 1 - (1 - scored.score) / _TOGETHER
    return replace(scored, score=points, reasons=(*scored.reasons, Reason("together")))


def _home(view: View) -> str:
    return view.node.path.removesuffix(view.node.name)


def _ranked(row: _Row, best: int | None, views: Sequence[View]) -> tuple[Proposal, ...]:
    order = sorted(row, key=lambda place: (place != best, -row[place].score, views[place].order))
    return tuple(
        Proposal(
            tag=views[place].node.tag,
            name=views[place].node.name,
            path=views[place].node.path,
            score=round(row[place].score, 3),
            reasons=row[place].reasons,
            type=views[place].node.type,
            unit=views[place].unit,
        )
        for place in order[:_SHOWN]
    )
