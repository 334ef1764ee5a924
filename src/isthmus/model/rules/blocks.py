"""Blocks by themselves: whether the settings of a field fit its type."""

from collections.abc import Iterator
from typing import Final

from isthmus.base.problem import Problem
from isthmus.model.declaration import Declaration, Declared
from isthmus.model.plant import Kinds
from isthmus.model.resolve import STATE_FIELD
from isthmus.model.spec.block import Block, BlockField
from isthmus.model.suggest import did_you_mean_or_list

NUMBERS: Final = frozenset({"number", "integer", "counter"})


def field_settings(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for block in declaration.blocks.values():
        for name, field in block.spec.fields.items():
            yield from _values(declaration, block, name, field)
            yield from _limits(block, name, field)


def _values(
    declaration: Declaration, block: Declared[Block], name: str, field: BlockField
) -> Iterator[Problem]:
    path = ("fields", name)
    if field.type == "enum" and field.values is None:
        hint = "add `values:` with the name of a code system, such as `packml`"
        yield block.problem(
            "M060", path, f"`{name}` is an enum without `values`", hint, at_key=True
        )
    elif field.type != "enum" and field.values is not None:
        said = f"`{name}` is of type {field.type}; only an enum takes named values"
        yield block.problem("M061", (*path, "values"), said)
    elif field.values is not None and field.values not in declaration.code_systems:
        hint = did_you_mean_or_list(field.values, declaration.code_systems, "code systems")
        said = f"no code system `{field.values}` in this model"
        yield block.problem("M025", (*path, "values"), said, hint)


def _limits(block: Declared[Block], name: str, field: BlockField) -> Iterator[Problem]:
    path = ("fields", name)
    if field.type not in NUMBERS:
        for key in ("min", "max", "unit"):
            if getattr(field, key) is not None:
                said = f"`{name}` is of type {field.type} and has no `{key}`"
                yield block.problem("M063", (*path, key), said)
    elif field.min is not None and field.max is not None and field.min > field.max:
        said = f"the minimum {field.min:g} is above the maximum {field.max:g}"
        yield block.problem("M062", (*path, "min"), said)


def state_categories(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    field = declaration.field(*STATE_FIELD)
    system = declaration.code_systems.get(field.values or "") if field else None
    if system is None:
        return
    for name, code in system.spec.values.items():
        if code.category is None:
            said = f"time in the state `{name}` would count as nothing"
            hint = "give it a `category`: production, setup, idle, stopped, maintenance or off"
            yield system.problem("M066", ("values", name), said, hint, at_key=True)
