"""Mappings of machine types: fields that exist and can take the value."""

from collections.abc import Iterator

from isthmus.base.problem import Problem
from isthmus.model.declaration import Declaration, Declared
from isthmus.model.plant import Kinds
from isthmus.model.rules.blocks import NUMBERS
from isthmus.model.spec.machine_type import MachineType, PulseRule
from isthmus.model.suggest import did_you_mean_or_list


def targets(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    """Blocks and fields that types name."""
    for machine_type in declaration.machine_types.values():
        for position, block in enumerate(machine_type.spec.blocks):
            if block not in declaration.blocks:
                hint = did_you_mean_or_list(block, declaration.blocks, "blocks")
                said = f"no block `{block}` in this model"
                yield machine_type.problem("M023", ("blocks", position), said, hint)
            elif block in machine_type.spec.blocks[:position]:
                said = f"`{block}` is listed twice"
                yield machine_type.problem("M017", ("blocks", position), said)
    for machine_type, key, block, name, _ in declaration.mappings():
        yield from _target(declaration, machine_type, key, block, name)


def _target(
    declaration: Declaration, machine_type: Declared[MachineType], key: str, block: str, name: str
) -> Iterator[Problem]:
    path = ("map", key)
    declared = declaration.blocks.get(block)
    if declared is None:
        if block not in machine_type.spec.blocks:  # else it is said there
            hint = did_you_mean_or_list(block, machine_type.spec.blocks, "blocks of this type")
            said = f"no block `{block}` in this model"
            yield machine_type.problem("M023", path, said, hint, at_key=True)
    elif name not in declared.spec.fields:
        hint = did_you_mean_or_list(name, declared.spec.fields, f"fields of `{block}`")
        said = f"block `{block}` has no field `{name}`"
        yield machine_type.problem("M024", path, said, hint, at_key=True)
    elif block not in machine_type.spec.blocks:
        hint = f"add `{block}` to `blocks`"
        said = f"`{machine_type.name}` maps `{key}` but does not list block `{block}`"
        yield machine_type.problem("M047", path, said, hint, at_key=True)


def empty_blocks(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for machine_type in declaration.machine_types.values():
        mapped = {key.partition(".")[0] for key in machine_type.spec.map}
        for position, block in enumerate(machine_type.spec.blocks):
            if block in declaration.blocks and block not in mapped:
                said = f"no field of `{block}` is mapped, so it stays empty"
                hint = (
                    f"map one, as in `{block}.{next(iter(declaration.blocks[block].spec.fields))}`"
                )
                yield machine_type.problem("M048", ("blocks", position), said, hint)


def counters(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    """Settings of numbers on fields that are none."""
    for machine_type, key, block, name, mapping in declaration.mappings():
        field = declaration.field(block, name)
        if field is None:
            continue
        if mapping.counter is not None and field.type != "counter":
            said = f"`{key}` is of type {field.type}, not counter"
            hint = f"remove `counter:`, or declare `{name}` as a counter in block `{block}`"
            yield machine_type.problem("M031", ("map", key, "counter"), said, hint)
        for setting in ("scale", "offset") if field.type not in NUMBERS else ():
            if setting in mapping.model_fields_set:
                said = f"`{key}` is of type {field.type} and has no `{setting}`"
                yield machine_type.problem("M063", ("map", key, setting), said)
        if mapping.scale == 0:
            said = f"with a scale of 0 `{key}` would always be {mapping.offset:g}"
            yield machine_type.problem("M065", ("map", key, "scale"), said)


def pulse_rules(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for machine_type, key, block, name, mapping in declaration.mappings():
        field = declaration.field(block, name)
        if mapping.rule is None or field is None:
            continue
        if field.type != "enum":
            said = f"a rule yields states, but `{key}` is of type {field.type}"
            yield machine_type.problem("M033", ("map", key, "rule"), said)
        yield from _pulses(declaration, machine_type, key, mapping.rule)


def _pulses(
    declaration: Declaration, machine_type: Declared[MachineType], key: str, rule: PulseRule
) -> Iterator[Problem]:
    path = ("map", key, "rule", "pulses")
    counted = [
        other
        for other, mapping in machine_type.spec.map.items()
        if mapping.tag is not None and _is_counter(declaration, other)
    ]
    mapping = machine_type.spec.map.get(rule.pulses)
    if mapping is None or mapping.tag is None:
        hint = did_you_mean_or_list(rule.pulses, counted, "counters of this type")
        said = f"`{machine_type.name}` maps no tag to `{rule.pulses}`"
        yield machine_type.problem("M032", path, said, hint)
    elif rule.pulses not in counted:
        hint = did_you_mean_or_list(rule.pulses, counted, "counters of this type")
        yield machine_type.problem("M032", path, f"`{rule.pulses}` is no counter", hint)


def _is_counter(declaration: Declaration, key: str) -> bool:
    block, _, name = key.partition(".")
    field = declaration.field(block, name)
    return field is not None and field.type == "counter"
