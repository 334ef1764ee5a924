"""Codes of machines: every one names a value of the field's code system."""

from collections.abc import Iterator

from isthmus.base.problem import Problem
from isthmus.model.declaration import Declaration, Declared
from isthmus.model.document import Path
from isthmus.model.plant import Kinds
from isthmus.model.spec.block import CodeSystem
from isthmus.model.spec.machine_type import FieldMapping, MachineType
from isthmus.model.suggest import did_you_mean_or_list


def mapped_codes(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for machine_type, key, block, name, mapping in declaration.mappings():
        field = declaration.field(block, name)
        if field is None:
            continue
        if field.type != "enum":
            if mapping.codes is not None:
                said = f"`{key}` is of type {field.type}; only an enum has names"
                yield machine_type.problem("M064", ("map", key, "codes"), said)
            continue
        system = declaration.code_systems.get(field.values or "")
        if isinstance(mapping.codes, str):
            yield from _numbering(declaration, machine_type, key, mapping.codes, system)
        if system is not None:
            for path, value in _names(mapping):
                yield from _known(machine_type, ("map", key, *path), value, system)


def _names(mapping: FieldMapping) -> Iterator[tuple[Path, str]]:
    """Every name a mapping can yield, and where it is written."""
    if isinstance(mapping.codes, dict):
        for code, name in mapping.codes.items():
            yield ("codes", code), name
    if mapping.states is not None:
        for number, condition in enumerate(mapping.states.when):
            yield ("states", "when", number, "state"), condition.state
        yield ("states", "otherwise"), mapping.states.otherwise
    if mapping.rule is not None:
        yield ("rule", "running"), mapping.rule.running
        yield ("rule", "standing"), mapping.rule.standing


def _numbering(
    declaration: Declaration,
    machine_type: Declared[MachineType],
    key: str,
    name: str,
    system: Declared[CodeSystem] | None,
) -> Iterator[Problem]:
    """`codes` names another code system, whose numbers the machine sends."""
    path = ("map", key, "codes")
    numbered = declaration.code_systems.get(name)
    if numbered is None:
        hint = did_you_mean_or_list(name, declaration.code_systems, "code systems")
        yield machine_type.problem("M025", path, f"no code system `{name}` in this model", hint)
    elif system is not None:
        strange = [value for value in numbered.spec.values if value not in system.spec.values]
        without = [value for value, code in numbered.spec.values.items() if code.code is None]
        if strange:
            said = f"`{name}` has the value `{strange[0]}`, which `{system.name}` does not have"
            hint = "write the codes as `codes: {number: name}`"
            yield machine_type.problem("M030", path, said, hint)
        elif without:
            said = f"`{name}` gives no number to `{without[0]}`"
            yield machine_type.problem("M030", path, said, "write the codes one by one")


def _known(
    declared: Declared[object], path: Path, name: str, system: Declared[CodeSystem]
) -> Iterator[Problem]:
    if name not in system.spec.values:
        hint = did_you_mean_or_list(name, system.spec.values, f"values of `{system.name}`")
        said = f"code system `{system.name}` has no value `{name}`"
        yield declared.problem("M030", path, said, hint)
