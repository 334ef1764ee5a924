"""Machines: the types, sources and parameters they name."""

from collections.abc import Iterator

from isthmus.base.problem import Problem
from isthmus.model.declaration import Declaration, DeclaredMachine
from isthmus.model.plant import Kinds
from isthmus.model.suggest import did_you_mean_or_list


def references(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for machine in declaration.machines:
        machine_type = machine.spec.type
        if machine_type not in declaration.machine_types:
            hint = did_you_mean_or_list(machine_type, declaration.machine_types, "machine types")
            said = f"no machine type `{machine_type}` in this model"
            yield machine.problem("M022", ("type",), said, hint)
        yield from _source(declaration, machine)


def _source(declaration: Declaration, machine: DeclaredMachine) -> Iterator[Problem]:
    name = machine.spec.source
    source = declaration.sources.get(name)
    if source is None:
        here = [other for other, each in declaration.sources.items() if each.site == machine.site]
        hint = did_you_mean_or_list(name, here, f"sources of `{machine.site}`")
        yield machine.problem("M020", ("source",), f"no source `{name}` in this model", hint)
        return
    if source.site != machine.site:
        said = f"`{name}` is a source of site `{source.site}`, not of `{machine.site}`"
        hint = f"declare it in `{machine.site}`, whose network the machine is in"
        yield machine.problem("M021", ("source",), said, hint)
    machine_type = declaration.machine_types.get(machine.spec.type)
    wanted = machine_type.spec.kind if machine_type else None
    if wanted is not None and source.spec.kind != wanted:
        said = (
            f"`{name}` is of kind {source.spec.kind}, but the tags of `{machine.spec.type}` "
            f"are written for {wanted}"
        )
        yield machine.problem("M039", ("source",), said)


def parameters(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    """What machines give their types, and what they owe them."""
    for machine in declaration.machines:
        machine_type = declaration.machine_types.get(machine.spec.type)
        if machine_type is None:
            continue
        declared = machine_type.spec.params
        for name in machine.spec.params.keys() - declared.keys():
            hint = did_you_mean_or_list(name, declared, f"parameters of `{machine_type.name}`")
            said = f"`{machine_type.name}` has no parameter `{name}`"
            yield machine.problem("M037", ("params", name), said, hint, at_key=True)
        for name, param in declared.items():
            if param.default is None and name not in machine.spec.params:
                said = f"the parameter `{name}` of `{machine_type.name}` is missing"
                hint = f"add it, as in `params: {{{name}: …}}`"
                at = ("params",) if machine.spec.params else ()
                yield machine.problem("M036", at, said, hint, at_key=True)
