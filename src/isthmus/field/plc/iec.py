"""What CODESYS, TwinCAT and PLCopen XML have in common: types, names, and who can read them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from isthmus.field.plc.layout import Member, Scalar, Value
from isthmus.field.plc.target import Given, ReadBack, Request
from isthmus.model.spec.words import Texts

TYPES: Final[Mapping[Scalar, str]] = MappingProxyType({
    "bit": "BOOL", "int16": "INT", "int32": "DINT", "int64": "LINT", "uint32": "UDINT",
    "real32": "REAL", "real64": "LREAL",
})  # fmt: skip
PREFIX: Final = "ST_"
GLOBALS: Final = "GVL_Isthmus"
MOST_CHARACTERS: Final = 255
NOT_SET: Final = "not_set"
_NOT_SET: Final[Texts] = {
    "en": "Nothing was written yet",
    "de": "Noch nichts geschrieben",
}


def enum_name(system: str) -> str:
    return f"E_{system.replace('-', '_')}"


def enumerations(request: Request) -> Iterator[Member]:
    """One member for each enumeration there is."""
    members = [m for one in request.layouts for m in one.members if m.values]
    yield from {member.enumeration: member for member in members}.values()


def named_values(request: Request, member: Member) -> Iterator[Value]:
    """Values as the controller names them, with one for the zero it starts with.

    Without it the first value would be the initial one, and a machine that has said nothing
    would seem to be in that state.
    """
    names = {request.value_name(member, value) for value in member.values}
    if all(value.number for value in member.values) and NOT_SET not in names:
        yield Value(NOT_SET, 0, _NOT_SET)
    for value in member.values:
        yield replace(value, name=request.value_name(member, value))


def read_back(request: Request) -> tuple[ReadBack, ...]:
    """TwinCAT by ADS, CODESYS by its OPC UA server."""
    path = request.tags(request.path)
    symbol = f"{GLOBALS}.{request.settings.instance}"
    return (
        ReadBack(
            "ads",
            {key: f"{{symbol}}.{name}" for key, name in path.items()},
            {"symbol": Given(symbol, "Global variable in the controller.")},
            remark="TwinCAT, by ADS.",
        ),
        ReadBack(
            "opcua",
            {
                key: f"ns=4;s=|var|{{device}}.Application.{{symbol}}.{name}"
                for key, name in path.items()
            },
            {
                "device": Given("CODESYS Control Win V3 x64", "Name of the runtime, as it shows."),
                "symbol": Given(symbol, "Global variable in the application."),
            },
            remark="CODESYS, by the OPC UA server of its runtime: needs a symbol configuration.",
        ),
    )
