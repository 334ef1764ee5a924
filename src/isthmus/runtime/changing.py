"""From what a person wants on the Connect pages to a changed model; writes nothing by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus.field.connector import Node
from isthmus.model.plant import Machine, Plant, Source
from isthmus.model.spec.block import Block
from isthmus.model.suggest import did_you_mean_or_list
from isthmus.model.write.edits import (
    AddMachine,
    AddSource,
    AddType,
    Edit,
    Edited,
    EditError,
    edited,
)
from isthmus.runtime.connect import Chosen, Wanted, map_field, wanted
from isthmus.runtime.open import kinds
from isthmus.web.workbench import Target


@dataclass(frozen=True)
class Asked:
    """What is wanted, and what has to be added to the model for it."""

    wanted: Wanted
    plant: Plant
    """With the machine that is to be added, if its type exists already."""
    first: tuple[Edit, ...] = ()
    """Additions that come before the fields are mapped."""
    new_type: str = ""


def asked_for(
    folder: Path,
    plant: Plant,
    source: Source,
    target: Target,
    nodes: Sequence[Node],
    *,
    added: AddSource | None = None,
) -> Asked:
    """EditError or ProblemsError where the target is unclear or cannot be added.

    `added`: the source is not in the model yet, either.
    """
    before = () if added is None else (added,)
    if target.machine:
        asked = wanted(
            folder, plant, source.name,
            machine=target.machine, blocks=target.blocks, under=target.under, nodes=nodes,
        )  # fmt: skip
        return Asked(asked, plant)
    if target.new_type:
        return _of_a_new_type(plant, source, target, before)
    return _of_a_known_type(folder, plant, source, target, before)


def change_of(folder: Path, asked: Asked, chosen: Sequence[Chosen]) -> Edited:
    """The model with these decisions, checked. EditError, ProblemsError; touches no file."""
    maps = [map_field(asked.plant, asked.wanted, one) for one in chosen]
    if asked.new_type:
        written = {one.field: one.entry for one in maps}
        params = dict.fromkeys(asked.wanted.params, "")
        made = AddType(asked.new_type, asked.wanted.source.spec.kind, written, params=params)
        if not written:
            raise EditError("nothing is chosen: a machine type needs at least one field")
        return edited(folder, [made, *asked.first], kinds())
    if not maps and not asked.first:
        raise EditError("nothing is chosen")
    return edited(folder, [*asked.first, *maps], kinds())


def put_back(change: Edited) -> None:
    """Undo `change.write()`: the files as they were before."""
    for name, text in change.before.items():
        file = change.folder / name
        if text:
            file.write_bytes(text.encode("utf-8"))
        else:
            file.unlink(missing_ok=True)


def _of_a_known_type(
    folder: Path, plant: Plant, source: Source, target: Target, before: tuple[AddSource, ...]
) -> Asked:
    first: tuple[Edit, ...] = (*before, _addition(plant, source, target))
    after = edited(folder, first, kinds()).loaded.plant
    if after is None:
        raise EditError("the model has errors already: `isthmus check` shows them")
    machine = after.machines[f"{plant.enterprise}/{target.line}/{target.name}"]
    blocks = _blocks(after, target.blocks or machine.blocks)
    asked = Wanted(after.sources[source.name], machine, blocks, dict(target.params), target.under)
    return Asked(asked, after, first)


def _of_a_new_type(
    plant: Plant, source: Source, target: Target, before: tuple[AddSource, ...]
) -> Asked:
    if target.type in plant.machine_types:
        raise EditError(f"there is a machine type `{target.type}` already")
    added = _addition(plant, source, target)
    site, area, line = target.line.split("/")
    machine = Machine(
        path=f"{plant.enterprise}/{target.line}/{target.name}", name="", site=site, area=area,
        line=line, type=target.type, source=source.name, maps=(), blocks=target.blocks,
        ideal_cycle=None, calendars=(), timezone=plant.timezone, minor_stop=0.0, slow_factor=1.0,
    )  # fmt: skip
    blocks = _blocks(plant, target.blocks)
    asked = Wanted(source, machine, blocks, dict(target.params), target.under)
    return Asked(asked, plant, (*before, added), new_type=target.type)


def _addition(plant: Plant, source: Source, target: Target) -> AddMachine:
    parts = target.line.split("/")
    if len(parts) != 3:
        raise EditError("say in which line the machine stands, as `site/area/line`")
    if not target.name or not target.type:
        raise EditError("a machine needs a name and a type")
    if not target.new_type and target.type not in plant.machine_types:
        hint = did_you_mean_or_list(target.type, plant.machine_types, "machine types")
        raise EditError(f"no machine type `{target.type}`; {hint}")
    entry: dict[str, object] = {"type": target.type, "source": source.name}
    given = {name: text for name, text in target.params.items() if text}
    entry |= {"params": given} if given else {}
    site, area, line = parts
    return AddMachine(site, area, line, target.name, entry)


def _blocks(plant: Plant, names: Sequence[str]) -> tuple[Block, ...]:
    for name in names:
        if name not in plant.blocks:
            hint = did_you_mean_or_list(name, plant.blocks, "blocks")
            raise EditError(f"no block `{name}`; {hint}")
    return tuple(plant.blocks[name] for name in names)
