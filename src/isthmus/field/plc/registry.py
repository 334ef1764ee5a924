"""Which targets there are: one line each, imported when it is first asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from isthmus.field.plc.target import Target

TARGETS: Final[Mapping[str, str]] = {
    "siemens": "siemens",
    "codesys": "codesys",
    "rockwell": "rockwell",
    "plcopen": "plcopen",
    "opcua-nodeset": "opcua_nodeset",
    "aas": "aas",
}
"""Name on the command line → module of this folder."""


def target(name: str) -> Target:
    """The target; KeyError names those there are."""
    if name not in TARGETS:
        raise KeyError(f"no target `{name}`; there are {', '.join(TARGETS)}")
    found: Target = import_module(f"isthmus.field.plc.{TARGETS[name]}").TARGET
    return found
