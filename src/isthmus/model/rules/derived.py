"""Fields that follow from other signals, and values that need not all be kept."""

from collections.abc import Iterator
from typing import Final

from isthmus.base.problem import Problem
from isthmus.model.declaration import Declaration, Declared
from isthmus.model.document import Path
from isthmus.model.expression import ExpressionError, expression
from isthmus.model.plant import Kinds
from isthmus.model.spec.machine_type import FieldMapping, MachineType
from isthmus.model.suggest import did_you_mean_or_list

_COMPUTED: Final = frozenset({"number", "integer", "boolean"})
_ALLOWED: Final = (
    "numbers, texts, inputs, + - * / %, < <= == !=, and, or, not, abs, min, max, round"
)
_THINNED: Final = frozenset({"number", "integer"})


def expressions(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    """Expressions that can be read and name their inputs."""
    for machine_type, key, _, _, mapping in declaration.mappings():
        used: set[str] = set()
        broken = False
        for path, text in _expressions(mapping):
            where = ("map", key, *path)
            try:
                names = expression(text).names
            except ExpressionError as error:
                broken = True
                yield machine_type.problem("M075", where, f"`{text}`: {error}", _ALLOWED)
            else:
                used |= names
                yield from _unknown(machine_type, where, names, mapping)
        if not broken:
            yield from _unused(machine_type, key, used, mapping)


def _expressions(mapping: FieldMapping) -> Iterator[tuple[Path, str]]:
    if mapping.formula is not None:
        yield ("formula", "value"), mapping.formula.value
    for number, condition in enumerate(mapping.states.when if mapping.states is not None else ()):
        yield ("states", "when", number, "if"), condition.if_
        if condition.until is not None:
            yield ("states", "when", number, "until"), condition.until


def _unknown(
    machine_type: Declared[MachineType], path: Path, names: frozenset[str], mapping: FieldMapping
) -> Iterator[Problem]:
    for name in sorted(names - mapping.inputs.keys()):
        hint = did_you_mean_or_list(name, mapping.inputs, "inputs")
        yield machine_type.problem("M076", path, f"`{name}` is no input of this field", hint)


def _unused(
    machine_type: Declared[MachineType], key: str, used: set[str], mapping: FieldMapping
) -> Iterator[Problem]:
    origin = "states" if mapping.states is not None else "formula"
    for name in mapping.inputs:
        if name not in used:
            path = ("map", key, origin, "inputs", name)
            yield machine_type.problem("M077", path, f"no expression uses `{name}`", at_key=True)


def field_types(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    """States are for fields that name them, formulas and thinning for numbers."""
    for machine_type, key, block, name, mapping in declaration.mappings():
        field = declaration.field(block, name)
        if field is None:
            continue
        if mapping.states is not None and field.type != "enum":
            said = f"`states` yields states, but `{key}` is of type {field.type}"
            yield machine_type.problem("M033", ("map", key, "states"), said)
        if mapping.formula is not None and field.type not in _COMPUTED:
            said = f"a formula yields a number, but `{key}` is of type {field.type}"
            yield machine_type.problem("M078", ("map", key, "formula"), said)
        for setting in ("dead_band", "at_most_every"):
            if getattr(mapping, setting) is not None and field.type not in _THINNED:
                said = f"`{key}` is of type {field.type} and has no `{setting}`"
                hint = "every change of it counts" if field.type != "text" else ""
                yield machine_type.problem("M063", ("map", key, setting), said, hint)
