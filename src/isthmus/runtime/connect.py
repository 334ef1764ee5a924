"""From an address space to a mapping: propose, preview, accept. For the command and the pages."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from isthmus.base.clock import Clock
from isthmus.field.connector import Node
from isthmus.field.suggest import CONFIDENT, Proposal, Suggestion, suggest
from isthmus.field.suggest.behaviour import Value
from isthmus.field.suggest.entry import entry, standard_codes
from isthmus.model.load import model_files
from isthmus.model.plant import Machine, Plant, Source
from isthmus.model.spec.block import Block
from isthmus.model.suggest import did_you_mean_or_list
from isthmus.model.write.edits import Edit, Edited, EditError, MapField, edited, params_of
from isthmus.runtime.browse import heard
from isthmus.runtime.devices import Look, freely
from isthmus.runtime.open import kinds
from isthmus.runtime.probe import Factory

_LISTENED_TO: Final = 3
"""Proposals per field whose values are looked at."""


@dataclass(frozen=True)
class Wanted:
    """Which machine's fields are to be mapped from which source."""

    source: Source
    machine: Machine
    blocks: tuple[Block, ...]
    params: Mapping[str, str] = field(default_factory=dict)
    under: str = ""
    """Path of the machine's folder where the source has several."""
    others: frozenset[str] = frozenset()
    """Parameters of the source's other machines: a name that says one is theirs."""


@dataclass(frozen=True)
class Chosen:
    """A person's decision for one field."""

    key: str
    """`block.field`."""
    proposal: Proposal
    codes: Mapping[str | int, str] | None = None
    """The machine's codes → names; None: those of the standard, where one fixes them."""


def wanted(
    folder: Path,
    plant: Plant,
    source: str,
    *,
    machine: str = "",
    blocks: Sequence[str] = (),
    under: str = "",
    nodes: Sequence[Node] = (),
) -> Wanted:
    """What a person asks for, complete; EditError says what is unclear.

    Without `machine` the only one of the source; without `blocks` those its type lists; without
    `under` the folder that is named as a parameter of the machine says.
    """
    declared = plant.sources.get(source)
    if declared is None:
        raise EditError(
            f"no source `{source}` that a machine reads from; "
            + did_you_mean_or_list(source, plant.sources, "sources")
        )
    found = _machine(plant, declared, machine)
    texts = model_files(folder)[0]
    params, *beside = (
        params_of(texts, plant, one)
        for one in (found, *(plant.machines[path] for path in declared.machines))
    )
    names = list(blocks) or list(plant.machine_types[found.type].blocks)
    for name in names:
        if name not in plant.blocks:
            hint = did_you_mean_or_list(name, plant.blocks, "blocks")
            raise EditError(f"no block `{name}`; {hint}")
    place = under or _folder_of(nodes, params)
    asked = tuple(plant.blocks[name] for name in names)
    others = {value for one in beside for value in one.values()} - set(params.values())
    return Wanted(declared, found, asked, params, place, frozenset(others))


def _machine(plant: Plant, source: Source, name: str) -> Machine:
    there = [plant.machines[path] for path in source.machines]
    matching = [one for one in there if not name or f"/{one.path}".endswith(f"/{name}")]
    match matching:
        case [one]:
            return one
        case _:
            listed = ", ".join(f"`{one.path}`" for one in there) or "no machine"
            raise EditError(f"`{source.name}` is read by {listed}; say which with --machine")


def _folder_of(nodes: Sequence[Node], params: Mapping[str, str]) -> str:
    values = {value.lower() for value in params.values()}
    named = [node.path for node in nodes if node.has_children and node.name.lower() in values]
    return min(named, key=len, default="")


def propose(
    asked: Wanted, nodes: Sequence[Node], samples: Mapping[str, Sequence[Value]] | None = None
) -> list[Suggestion]:
    """Proposals for every field that has no tag yet; pure."""
    mapped = {f"{one.block}.{one.field}" for one in asked.machine.maps}
    taken = {one.tag for one in asked.machine.maps if one.tag}
    blocks = [open_ for one in asked.blocks if (open_ := _without(one, mapped)) is not None]
    nodes = _without_those_of(asked.others, nodes)
    return suggest(nodes, blocks, samples=samples, under=asked.under, taken=taken)


def _without_those_of(others: frozenset[str], nodes: Sequence[Node]) -> Sequence[Node]:
    """Behind a gateway machines often share a folder, and only the names tell them apart."""
    names = [re.escape(one) for one in others if re.search(r"[^\W\d_]", one)]
    if not names:
        return nodes
    theirs = re.compile(rf"(?<![^\W_])(?:{'|'.join(names)})(?![^\W_])", re.IGNORECASE)
    return [node for node in nodes if not theirs.search(f"{node.path}\n{node.tag}")]


def _without(block: Block, mapped: set[str]) -> Block | None:
    left = {
        name: spec for name, spec in block.fields.items() if f"{block.block}.{name}" not in mapped
    }
    return block.model_copy(update={"fields": left}) if left else None


async def propose_listening(
    asked: Wanted,
    nodes: Sequence[Node],
    clock: Clock,
    seconds: float,
    factory: Factory | None = None,
    *,
    look: Look = freely,
) -> list[Suggestion]:
    """As `propose`, having listened to the likeliest tags for so long; reads, never writes."""
    first = propose(asked, nodes)
    tags = [one.tag for each in first for one in each.proposals[:_LISTENED_TO]]
    if not tags or seconds <= 0:
        return first
    unique = list(dict.fromkeys(tags))
    samples = await heard(asked.source, unique, clock, seconds, factory, look=look)
    return propose(asked, nodes, samples)


def sure(found: Sequence[Suggestion]) -> list[Chosen]:
    """The best proposal of every field that has one worth accepting at a glance."""
    return [
        Chosen(one.key, one.best)
        for one in found
        if one.best is not None and one.best.score >= CONFIDENT
    ]


def preview(folder: Path, plant: Plant, asked: Wanted, chosen: Sequence[Chosen]) -> Edited:
    """The model with these mappings, checked; `diff()` shows it, `write()` accepts it.

    EditError or ProblemsError where it cannot be; nothing is written then, nor here.
    """
    if not chosen:
        raise EditError("nothing is chosen")
    edits: list[Edit] = [map_field(plant, asked, one) for one in chosen]
    return edited(folder, edits, kinds())


def accept(folder: Path, plant: Plant, asked: Wanted, chosen: Sequence[Chosen]) -> Edited:
    """As `preview`, and written."""
    change = preview(folder, plant, asked, chosen)
    change.write()
    return change


def map_field(plant: Plant, asked: Wanted, chosen: Chosen) -> MapField:
    """What a decision writes into the machine's type."""
    block, _, name = chosen.key.partition(".")
    spec = plant.blocks[block].fields[name]
    codes = chosen.codes
    system = plant.code_systems.get(spec.values or "")
    if codes is None and system is not None:
        codes = standard_codes(chosen.proposal, system)
    written = entry(chosen.proposal, spec, params=asked.params, codes=codes)
    return MapField(asked.machine.type, chosen.key, written)


def needs_codes(plant: Plant, asked: Wanted, chosen: Chosen) -> bool:
    """An enum whose machine's codes nobody has named yet: its values would go to quarantine."""
    block, _, name = chosen.key.partition(".")
    spec = plant.blocks[block].fields[name]
    return spec.type == "enum" and "codes" not in map_field(plant, asked, chosen).entry
