"""PLCopen XML (TC6, version 2.01), which CODESYS, TwinCAT and many others import."""

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
from isthmus.field.plc.layout import Layout, Member, one_line
from isthmus.field.plc.names import IEC_NAMES
from isthmus.field.plc.target import File, Request, Target
from isthmus.field.plc.xml_text import Element, element, text, xml

NAMESPACE: Final = "http://www.plcopen.org/xml/tc6_0201"
_XHTML: Final = "http://www.w3.org/1999/xhtml"
_WRITTEN: Final = "2000-01-01T00:00:00"
"""The format wants a time; a fixed one makes the same model always give the same file."""


def _files(request: Request) -> tuple[File, ...]:
    root = element(
        "project",
        element(
            "fileHeader",
            companyName=request.settings.enterprise,
            productName="Isthmus",
            productVersion="1",
            creationDateTime=_WRITTEN,
        ),
        _content_header(),
        element("types", _data_types(request), element("pous")),
        element("instances", element("configurations", _configuration(request))),
        xmlns=NAMESPACE,
    )
    return (File("isthmus.xml", xml(root)),)


def _content_header() -> Element:
    scaling = element("scaling", x="1", y="1")
    views = (element(view, scaling) for view in ("fbd", "ld", "sfc"))
    return element("contentHeader", element("coordinateInfo", *views), name="Isthmus")


def _data_types(request: Request) -> Element:
    return element(
        "dataTypes",
        *(_enumeration(request, member) for member in enumerations(request)),
        *(_structure(request, one) for one in request.layouts),
        _whole(request),
    )


def _enumeration(request: Request, member: Member) -> Element:
    values = (
        element("value", name=value.name, value=str(value.number))
        for value in named_values(request, member)
    )
    base = None if member.type == "int16" else element("baseType", element(TYPES[member.type]))
    labels = (
        f"{value.name}: {one_line(value.label.get(request.settings.language, ''))}"
        for value in named_values(request, member)
        if value.label.get(request.settings.language)
    )
    return element(
        "dataType",
        element("baseType", element("enum", element("values", *values), base)),
        _documentation(", ".join(labels)),
        name=enum_name(member.enumeration),
    )


def _structure(request: Request, layout: Layout) -> Element:
    variables = (
        _variable(request.name(layout, member), _type(member), member.comment)
        for member in layout.members
    )
    comment = f"{layout.block}, version {layout.version}: {layout.comment}".rstrip(" :")
    return element(
        "dataType",
        element("baseType", element("struct", *variables)),
        _documentation(comment),
        name=request.type_name(layout),
    )


def _whole(request: Request) -> Element:
    variables = (
        _variable(
            request.block_name(one), element("derived", name=request.type_name(one)), one.comment
        )
        for one in request.layouts
    )
    return element(
        "dataType",
        element("baseType", element("struct", *variables)),
        name=request.whole_name,
    )


def _configuration(request: Request) -> Element:
    instance = _variable(request.settings.instance, element("derived", name=request.whole_name), "")
    return element(
        "configuration", element("globalVars", instance, name=GLOBALS), name="Configuration"
    )


def _variable(name: str, kind: Element, comment: str) -> Element:
    return element("variable", element("type", kind), _documentation(comment), name=name)


def _type(member: Member) -> Element:
    if member.type == "text":
        return element("string", length=str(member.length))
    if member.values:
        return element("derived", name=enum_name(member.enumeration))
    return element(TYPES[member.type])


def _documentation(comment: str) -> Element | None:
    return element("documentation", text("xhtml", comment, xmlns=_XHTML)) if comment else None


TARGET: Final = Target(
    title="PLCopen XML",
    rules=IEC_NAMES,
    files=_files,
    read_back=read_back,
    prefix=PREFIX,
    longest_text=MOST_CHARACTERS,
    why_longest="the string functions of IEC 61131-3 handle 255",
    named_values=True,
)
