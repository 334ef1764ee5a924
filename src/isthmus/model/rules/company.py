"""Reasons, targets, durations, and names of machine types outside machines."""

from collections.abc import Iterator
from typing import Final

from isthmus.base.problem import Problem
from isthmus.model.declaration import Declaration, Declared
from isthmus.model.document import Path
from isthmus.model.plant import Kinds
from isthmus.model.spec.site import Material, Reason
from isthmus.model.suggest import did_you_mean_or_list

MANY_REASONS: Final = 12
TOO_MANY_REASONS: Final = 20


def reasons(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    """Counted per machine type; said at the first reason that is too many."""
    said_at: set[tuple[str, str]] = set()
    for type_name in declaration.machine_types or ("",):
        offered = [
            reason
            for reason in declaration.reasons
            if not reason.spec.types or type_name in reason.spec.types
        ]
        for code, limit in (("M071", TOO_MANY_REASONS), ("M070", MANY_REASONS)):
            if len(offered) > limit:
                surplus = offered[limit]
                if (code, surplus.name) not in said_at:
                    said_at.add((code, surplus.name))
                    yield _surplus(code, surplus, type_name, len(offered), limit)
                break
    language = declaration.company.spec.language
    for reason in declaration.reasons:
        if language not in reason.spec.label:
            said = f"`{reason.name}` has no label in the company's language `{language}`"
            hint = f"add `{language}: …` to its label"
            yield reason.problem("M074", ("label",), said, hint, at_key=True)


def _surplus(
    code: str, reason: Declared[Reason], type_name: str, offered: int, limit: int
) -> Problem:
    reasons = f"stop reasons for `{type_name}`" if type_name else "stop reasons"
    said = f"{offered} {reasons} are more than {limit}"
    hint = "join some, or narrow them with `types`"
    return reason.problem(code, ("reason",), said, hint)


def targets(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for site in declaration.sites.values():
        for name, target in site.spec.targets.items():
            if not 0 <= target <= 1:
                said = f"the target {target:g} is not between 0 and 1"
                hint = f"write `{target / 100:g}`" if 1 < target <= 100 else ""
                yield site.problem("M072", ("targets", name), said, hint)


def durations(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    """Every span of time that may not be nothing."""
    for declared, path, seconds in _durations(declaration):
        if seconds == 0:
            yield declared.problem("M073", path, f"`{path[-1]}` is a time of 0 seconds")


def _durations(declaration: Declaration) -> Iterator[tuple[Declared[object], Path, float]]:
    for source in declaration.sources.values():
        yield source, ("interval",), source.spec.interval
    for system in declaration.systems.values():
        yield system, ("interval",), system.spec.interval
    for machine in declaration.machines:
        if isinstance(machine.spec.ideal_cycle, float):
            yield machine, ("ideal_cycle",), machine.spec.ideal_cycle
    for material in declaration.materials.values():
        yield from _cycles(material)
    for machine_type, key, _, _, mapping in declaration.mappings():
        if mapping.rule is not None:
            yield machine_type, ("map", key, "rule", "after"), mapping.rule.after
    for site in declaration.sites.values():
        yield site, ("keep", "age"), site.spec.keep.age


def _cycles(material: Declared[Material]) -> Iterator[tuple[Declared[object], Path, float]]:
    cycle = material.spec.ideal_cycle
    if isinstance(cycle, dict):
        for type_name, seconds in cycle.items():
            yield material, ("ideal_cycle", type_name), seconds
    elif cycle is not None:
        yield material, ("ideal_cycle",), cycle


def type_names(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    """Machine types that materials and reasons name."""
    types = declaration.machine_types
    for material in declaration.materials.values():
        if isinstance(material.spec.ideal_cycle, dict):
            for name in material.spec.ideal_cycle:
                if name not in types:
                    yield _unknown_type(declaration, material, ("ideal_cycle", name), name)
    for reason in declaration.reasons:
        for position, name in enumerate(reason.spec.types):
            if name not in types:
                yield _unknown_type(declaration, reason, ("types", position), name)


def _unknown_type(
    declaration: Declaration, declared: Declared[object], path: Path, name: str
) -> Problem:
    hint = did_you_mean_or_list(name, declaration.machine_types, "machine types")
    said = f"no machine type `{name}` in this model"
    return declared.problem("M022", path, said, hint, at_key=True)


def no_machine(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    if not declaration.machines:
        said = "this model has no machine"
        hint = "a site's `areas` have `lines`, and these have `machines`"
        yield declaration.company.problem("M019", ("enterprise",), said, hint)
