"""Use cases: whether any machine of the site can have them."""

from collections.abc import Iterator

from isthmus.base.problem import Problem
from isthmus.model.declaration import Declaration
from isthmus.model.plant import Kinds, Need


def needs(declaration: Declaration, kinds: Kinds) -> Iterator[Problem]:
    for use_case in declaration.use_cases:
        if not use_case.spec.enabled:
            continue
        mapped = _mapped(declaration, use_case.site)
        for need in kinds.needs.get(use_case.name, ()):
            if mapped and not any(_met(need, fields) for fields in mapped):
                wanted = ", or ".join(" and ".join(f"`{each}`" for each in way) for way in need)
                said = f"no machine of `{use_case.site}` has {wanted}"
                hint = f"map it in a machine type, or take `{use_case.name}` out"
                yield use_case.problem("M043", (), said, hint, at_key=True)


def _mapped(declaration: Declaration, site: str) -> list[frozenset[str]]:
    """The fields of each machine of a site; types that many share are looked at once."""
    types = {machine.spec.type for machine in declaration.machines if machine.site == site}
    return [
        frozenset(declaration.machine_types[name].spec.map)
        for name in sorted(types)
        if name in declaration.machine_types
    ]


def _met(need: Need, fields: frozenset[str]) -> bool:
    return any(fields.issuperset(way) for way in need)
