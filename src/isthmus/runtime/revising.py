"""From what a person wants of sources and machines on the Connect pages to a changed model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, assert_never

from isthmus.base.problem import Problem, ProblemsError
from isthmus.model.load import model_files
from isthmus.model.plant import Plant, Source
from isthmus.model.suggest import did_you_mean_or_list
from isthmus.model.write.bulk import (
    Bulk,
    Into,
    RowProblem,
    RowsError,
    machines_of,
    read_table,
)
from isthmus.model.write.clone import cloned
from isthmus.model.write.edits import (
    ChangeSource,
    Edit,
    Edited,
    EditError,
    ReadFrom,
    RemoveMachine,
    RemoveSource,
    edited,
)
from isthmus.model.write.written import written_at
from isthmus.runtime.open import kinds
from isthmus.web.workbench import (
    AddedMachines,
    ClonedMachine,
    RemovedSource,
    RevisedSource,
    SwitchedSource,
)

_NOTHING: Final = object()

OfSource = RevisedSource | SwitchedSource | RemovedSource
Wanted = OfSource | AddedMachines | ClonedMachine


@dataclass(frozen=True)
class Rewritten:
    """What a person wants a source to say otherwise, until it is written."""

    put: Mapping[str, Any]
    drop: Sequence[str]

    @classmethod
    def between(cls, base: Mapping[str, Any], entry: Mapping[str, Any]) -> "Rewritten":
        """`base`: what the model said, `entry`: all that the source is to say."""
        put = {key: value for key, value in entry.items() if base.get(key, _NOTHING) != value}
        return cls(put, [key for key in base if key not in entry])

    def over(self, now: Mapping[str, Any]) -> dict[str, Any]:
        """What the person changed, over what the model says by now."""
        kept = {key: value for key, value in now.items() if key not in self.drop}
        return kept | dict(self.put)


def revised(folder: Path, plant: Plant, wanted: Wanted) -> Edited:
    """The model as it would be, checked; EditError, RowsError, ProblemsError. Touches no file."""
    texts, _ = model_files(folder)
    match wanted:
        case AddedMachines():
            return _added(folder, plant, wanted)
        case ClonedMachine():
            edits = cloned(texts, plant, wanted.original, wanted.copy, wanted.given)
        case _:
            source = _declared(plant, wanted.name)
            edits = list(_edits(texts, plant, source, wanted))
    return edited(folder, edits, kinds())


def _added(folder: Path, plant: Plant, wanted: AddedMachines) -> Edited:
    """RowsError, too, with what `isthmus check` says, where it belongs to a row."""
    parts = wanted.line.split("/")
    if len(parts) != 3:
        raise EditError("say in which line the machine stands, as `site/area/line`")
    site, area, line = parts
    rows = read_table(wanted.table)
    bulk = machines_of(rows, Into(site, area, line, wanted.type), plant, wanted.sets)
    try:
        return edited(folder, bulk.edits, kinds())
    except ProblemsError as error:
        placed = [_in_table(bulk, one) for one in error.problems]
        found = [one for one in placed if one is not None]
        if len(found) < len(error.problems):
            raise
        raise RowsError(found) from error


def _in_table(bulk: Bulk, problem: Problem) -> RowProblem | None:
    row = bulk.row_of(problem.address)
    if row is None:
        return None
    said = f"{problem.message}. {problem.hint}" if problem.hint else problem.message
    match problem.address.split("."):
        case [_, _, "sources", _, *key]:
            return RowProblem(row, ".".join(["source", *key]) if key else "", said)
        case [_, _, "machines", _, "params", key]:
            return RowProblem(row, key, said)
        case [_, _, "machines", _, key]:
            return RowProblem(row, key, said)
        case _:
            return RowProblem(row, "", said)


def _edits(
    texts: Mapping[str, str], plant: Plant, source: Source, wanted: OfSource
) -> Iterator[Edit]:
    match wanted:
        case RevisedSource():
            yield ChangeSource(source.site, source.name, wanted.entry)
        case SwitchedSource():
            entry = written_at(texts, source.site, ("sources", source.name))
            entry = {key: value for key, value in entry.items() if key != "enabled"}
            off = {} if wanted.on else {"enabled": False}
            yield ChangeSource(source.site, source.name, entry | off)
        case RemovedSource():
            yield from _without(plant, source, wanted.instead)
        case _:
            assert_never(wanted)


def _without(plant: Plant, source: Source, instead: str) -> Iterator[Edit]:
    """Its machines first: none may read from what is not there."""
    if instead:
        _declared(plant, instead)
    for path in source.machines:
        _, site, area, line, name = path.split("/")
        if instead:
            yield ReadFrom(site, area, line, name, instead)
        else:
            yield RemoveMachine(site, area, line, name)
    yield RemoveSource(source.site, source.name)


def _declared(plant: Plant, name: str) -> Source:
    if name not in plant.sources:
        hint = did_you_mean_or_list(name, plant.sources, "sources")
        raise EditError(f"no source `{name}`; {hint}")
    return plant.sources[name]
