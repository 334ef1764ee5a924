"""Structured Text for CODESYS, and the same as files of a TwinCAT project."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Final

from isthmus.field.plc.iec import (
    GLOBALS,
    MOST_CHARACTERS,
    PREFIX,
    TYPES,
    enum_name,
    enumerations,
    named_values,
    read_back,
)
from isthmus.field.plc.layout import Layout, Member
from isthmus.field.plc.names import IEC_NAMES
from isthmus.field.plc.target import File, Request, Target
from isthmus.field.plc.xml_text import element, text, xml

_PRAGMAS: Final = ("{attribute 'qualified_only'}", "{attribute 'strict'}")
_SYMBOL: Final = "{attribute 'symbol' := 'read'}"
"""CODESYS: in the symbol configuration, and nobody outside may write it."""


def _files(request: Request) -> tuple[File, ...]:
    types = dict(_types(request))
    variables = "\n".join(_globals(request))
    everything = "\n\n".join([*types.values(), variables])
    return (
        File("isthmus.st", everything + "\n"),
        *(_twincat(request, "DUT", name, said) for name, said in types.items()),
        _twincat(request, "GVL", GLOBALS, variables),
    )


def _types(request: Request) -> Iterator[tuple[str, str]]:
    for member in enumerations(request):
        yield enum_name(member.enumeration), "\n".join(_enumeration(request, member))
    for one in request.layouts:
        yield request.type_name(one), "\n".join(_structure(request, one))
    yield request.whole_name, "\n".join(_whole(request))


def _enumeration(request: Request, member: Member) -> Iterator[str]:
    yield from _PRAGMAS
    yield from (f"TYPE {enum_name(member.enumeration)} :", "(")
    values = list(named_values(request, member))
    for value in values:
        comma = "" if value is values[-1] else ","
        label = value.label.get(request.settings.language, "")
        yield _commented(f"    {value.name} := {value.number}{comma}", label)
    # INT is what an enumeration is unless it says otherwise.
    yield ");" if member.type == "int16" else f") {TYPES[member.type]};"
    yield "END_TYPE"


def _structure(request: Request, layout: Layout) -> Iterator[str]:
    yield f"// {layout.block}, version {layout.version}: {layout.comment}".rstrip(" :")
    yield from (f"TYPE {request.type_name(layout)} :", "STRUCT")
    for member in layout.members:
        yield _commented(f"    {request.name(layout, member)} : {_type(member)};", member.comment)
    yield from ("END_STRUCT;", "END_TYPE")


def _whole(request: Request) -> Iterator[str]:
    yield from (f"TYPE {request.whole_name} :", "STRUCT")
    for one in request.layouts:
        yield _commented(f"    {request.block_name(one)} : {request.type_name(one)};", one.comment)
    yield from ("END_STRUCT;", "END_TYPE")


def _globals(request: Request) -> Sequence[str]:
    return (
        _PRAGMAS[0],
        "VAR_GLOBAL",
        f"    {_SYMBOL}",
        f"    {request.settings.instance} : {request.whole_name};",
        "END_VAR",
    )


def _type(member: Member) -> str:
    if member.type == "text":
        return f"STRING({member.length})"
    return enum_name(member.enumeration) if member.values else TYPES[member.type]


def _commented(code: str, comment: str) -> str:
    return f"{code} // {comment}" if comment else code


def _twincat(request: Request, kind: str, name: str, declaration: str) -> File:
    """One object of a TwinCAT project; its id stays the same when it is written again."""
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"isthmus:{request.settings.enterprise}/plc/{name}")
    root = element(
        "TcPlcObject",
        element(
            kind,
            text("Declaration", declaration + "\n", cdata=True),
            Name=name,
            Id=f"{{{identity}}}",
        ),
        Version="1.1.0.1",
        ProductVersion="3.1.4024.0",
    )
    return File(f"{name}.Tc{kind}", xml(root), windows=True)


TARGET: Final = Target(
    title="CODESYS and TwinCAT",
    rules=IEC_NAMES,
    files=_files,
    read_back=read_back,
    prefix=PREFIX,
    longest_text=MOST_CHARACTERS,
    why_longest="the string functions of IEC 61131-3 handle 255",
    named_values=True,
)
