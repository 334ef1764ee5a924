"""Units: known, in UCUM, and convertible."""

from collections.abc import Iterator

from isthmus.base.problem import Problem
from isthmus.base.units import ALIASES, DimensionError, UnknownUnitError, canonical, conversion
from isthmus.model.declaration import Declaration, Declared
from isthmus.model.document import Path
from isthmus.model.plant import Kinds


def block_units(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for block in declaration.blocks.values():
        for name, field in block.spec.fields.items():
            if field.unit is not None:
                yield from _unit(block, ("fields", name, "unit"), field.unit)


def material_units(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for material in declaration.materials.values():
        yield from _unit(material, ("unit",), material.spec.unit)


def tag_units(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for machine_type, key, block, name, mapping in declaration.mappings():
        if mapping.unit is None:
            continue
        path: Path = ("map", key, "unit")
        wrong = list(_unit(machine_type, path, mapping.unit))
        yield from wrong
        target = declaration.field(block, name)
        if target is None or any(each.severity == "error" for each in wrong):
            continue
        if target.unit is None:
            said = f"`{key}` has no unit that `{mapping.unit}` could be converted to"
            hint = f"give the field a unit in block `{block}`, or leave this one out"
            yield machine_type.problem("M027", path, said, hint)
        else:
            yield from _dimension(machine_type, path, mapping.unit, target.unit)


def _unit(declared: Declared[object], path: Path, unit: str) -> Iterator[Problem]:
    try:
        code = canonical(unit)
    except UnknownUnitError as error:
        hint = f"did you mean `{error.suggestion}`?" if error.suggestion else "see ucum.org"
        yield declared.problem("M026", path, str(error), hint)
        return
    if unit in ALIASES:
        said = f"`{unit}` is understood, but the UCUM code is `{code}`"
        yield declared.problem("M028", path, said, f"write `{code}`")


def _dimension(declared: Declared[object], path: Path, unit: str, target: str) -> Iterator[Problem]:
    try:
        conversion(unit, target)
    except DimensionError as error:
        hint = "look at the tag's unit in the machine's documentation, and at the block's"
        yield declared.problem("M027", path, str(error), hint)
    except UnknownUnitError:
        return  # the block's own unit: said there
