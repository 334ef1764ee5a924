"""Parameters in tag addresses: `ns=4;s={root}.State` is written once and filled per machine."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from isthmus.model.spec.machine_type import MachineType

_PARAMETER: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


@lru_cache(maxsize=4096)
def parameters(tag: str) -> tuple[str, ...]:
    """Names in braces, in order; `{{` and `}}` are braces themselves."""
    return tuple(found[1] for found in _PARAMETER.finditer(tag) if found[0] not in {"{{", "}}"})


def filled(tag: str, values: Mapping[str, str]) -> str:
    """The machine's own tag. KeyError if a parameter has no value."""
    if "{" not in tag and "}" not in tag:
        return tag

    def value(found: re.Match[str]) -> str:
        return found[0][0] if found[0] in {"{{", "}}"} else values[found[1]]

    return _PARAMETER.sub(value, tag)


def values_for(machine_type: MachineType, given: Mapping[str, str | int | float]) -> dict[str, str]:
    """The machine's parameters over the type's defaults; those without a value are absent."""
    defaults = {
        name: param.default
        for name, param in machine_type.params.items()
        if param.default is not None
    }
    return defaults | {name: str(value) for name, value in given.items()}
