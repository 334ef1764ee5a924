"""Tag addresses: parameters that are declared, and syntax the connector understands."""

from collections.abc import Iterator
from typing import Final

from isthmus.base.problem import Problem
from isthmus.model.declaration import Declaration, Declared
from isthmus.model.document import Path
from isthmus.model.plant import Kinds
from isthmus.model.spec.machine_type import MachineType
from isthmus.model.spec.site import SourceSpec
from isthmus.model.suggest import did_you_mean_or_list
from isthmus.model.tag_text import filled, parameters, values_for

_SHOWN_MACHINES: Final = 3


def declared_parameters(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for machine_type in declaration.machine_types.values():
        declared = machine_type.spec.params
        used: set[str] = set()
        for path, tag in _tags(machine_type.spec):
            names = parameters(tag)
            used.update(names)
            for name in names:
                if name not in declared:
                    hint = did_you_mean_or_list(name, declared, "declared parameters")
                    said = f"the tag has a parameter `{name}` that the type does not declare"
                    yield machine_type.problem("M034", path, said, hint)
        for name in declared:
            if name not in used:
                said = f"no tag has `{{{name}}}`"
                yield machine_type.problem("M035", ("params", name), said, at_key=True)


def addresses(declaration: Declaration, kinds: Kinds) -> Iterator[Problem]:
    """Every tag of every machine, in the words of its source's protocol."""
    readable: dict[tuple[str, str], str] = {}
    wrong: dict[tuple[str, Path], list[tuple[str, str, str]]] = {}
    for machine in declaration.machines:
        machine_type = declaration.machine_types.get(machine.spec.type)
        source = declaration.sources.get(machine.spec.source)
        if machine_type is None or source is None:
            continue
        kind = source.spec.kind
        if machine_type.spec.kind not in {None, kind}:
            continue  # M039: the addresses are right, the source is not
        values = values_for(machine_type.spec, machine.spec.params)
        for path, written in _tags(machine_type.spec):
            if any(name not in values for name in parameters(written)):
                continue
            tag = filled(written, values)
            if (kind, tag) not in readable:
                readable[kind, tag] = _complaint(kinds.sources[kind], tag)
            if complaint := readable[kind, tag]:
                found = (machine.name, tag, complaint)
                wrong.setdefault((machine_type.name, path), []).append(found)
    for (type_name, path), found_in in wrong.items():
        yield _address_problem(declaration.machine_types[type_name], path, found_in)


def _tags(machine_type: MachineType) -> Iterator[tuple[Path, str]]:
    for key, mapping in machine_type.map.items():
        for path, tag in mapping.tags():
            yield ("map", key, *path), tag


def _complaint(kind: type[SourceSpec], tag: str) -> str:
    try:
        kind.parse_tag(tag)
    except ValueError as error:
        return str(error)
    return ""


def _address_problem(
    machine_type: Declared[MachineType], path: Path, found: list[tuple[str, str, str]]
) -> Problem:
    """Said once, at the type, where the mistake is to be mended."""
    _, tag, complaint = found[0]
    names = ", ".join(f"`{name}`" for name, _, _ in found[:_SHOWN_MACHINES])
    more = f" and {len(found) - _SHOWN_MACHINES} more" if len(found) > _SHOWN_MACHINES else ""
    said = complaint if f"`{tag}`" in complaint else f"`{tag}`: {complaint}"
    return machine_type.problem("M038", path, said, f"found at {names}{more}")
