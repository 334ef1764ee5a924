"""User-defined types for Studio 5000 Logix Designer, as an L5X file to import.

The members lie as Studio itself would write them: bits that follow each other share a hidden SINT,
eight at most, which stands before them.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Final

from isthmus.field.plc.layout import Layout, Member, Scalar
from isthmus.field.plc.names import LOGIX_NAMES
from isthmus.field.plc.target import File, Given, ReadBack, Request, Target
from isthmus.field.plc.xml_text import Element, element, text, xml

TYPES: Final[Mapping[Scalar, str]] = MappingProxyType({
    "int16": "INT", "int32": "DINT", "int64": "LINT", "uint32": "DINT",
    "real32": "REAL", "real64": "LREAL",
})  # fmt: skip
BITS_PER_HOST: Final = 8
COUNTER_BITS: Final = 31
"""A DINT has a sign: the program sets it to 0 after 2,147,483,647."""
_HOST: Final = "ZZZZZZZZZZ{:.10}{}"


def _files(request: Request) -> tuple[File, ...]:
    name = request.whole_name
    types = [
        *(_string(length) for length in _lengths(request)),
        *(_structure(request, one) for one in request.layouts),
        _whole(request, name),
    ]
    root = element(
        "RSLogix5000Content",
        element(
            "Controller",
            element("DataTypes", *types, Use="Context"),
            Use="Context",
            Name="Isthmus",
        ),
        SchemaRevision="1.0",
        SoftwareRevision="24.00",
        TargetName=name,
        TargetType="DataType",
        ContainsContext="true",
        ExportOptions="References NoRawData L5KData DecoratedData Context Dependencies",
    )
    return (File(f"{name}.L5X", xml(root)),)


def _lengths(request: Request) -> list[int]:
    return sorted({m.length for one in request.layouts for m in one.members if m.type == "text"})


def _string(length: int) -> Element:
    return element(
        "DataType",
        element(
            "Members",
            _member("LEN", "DINT"),
            _member("DATA", "SINT", dimension=length, radix="ASCII"),
        ),
        Name=_string_name(length),
        Family="StringFamily",
        Class="User",
    )


def _string_name(length: int) -> str:
    return f"STR_{length}"


def _structure(request: Request, layout: Layout) -> Element:
    name = request.type_name(layout)
    comment = f"{layout.block}, version {layout.version}: {layout.comment}".rstrip(" :")
    return element(
        "DataType",
        _description(comment),
        element("Members", *_members(request, layout, name)),
        _dependencies(_string_name(m.length) for m in layout.members if m.type == "text"),
        Name=name,
        Family="NoFamily",
        Class="User",
    )


def _whole(request: Request, name: str) -> Element:
    members = (
        _member(request.block_name(one), request.type_name(one), one.comment, radix="NullType")
        for one in request.layouts
    )
    return element(
        "DataType",
        element("Members", *members),
        _dependencies(request.type_name(one) for one in request.layouts),
        Use="Target",
        Name=name,
        Family="NoFamily",
        Class="User",
    )


def _members(request: Request, layout: Layout, owner: str) -> Iterator[Element]:
    written = 0
    for bits, group in groupby(layout.members, lambda member: member.type == "bit"):
        members = list(group)
        if not bits:
            yield from (_plain(request.name(layout, member), member) for member in members)
            written += len(members)
            continue
        for start in range(0, len(members), BITS_PER_HOST):
            shared = members[start : start + BITS_PER_HOST]
            named = [(request.name(layout, member), member.comment_with_codes) for member in shared]
            # Studio numbers a host by its place among the members.
            yield from _bits(named, _HOST.format(owner, written))
            written += len(shared) + 1


def _plain(name: str, member: Member) -> Element:
    if member.type == "text":
        return _member(
            name, _string_name(member.length), member.comment_with_codes, radix="NullType"
        )
    radix = "Float" if member.type in {"real32", "real64"} else "Decimal"
    return _member(name, TYPES[member.type], member.comment_with_codes, radix=radix)


def _bits(members: Sequence[tuple[str, str]], host: str) -> Iterator[Element]:
    yield _member(host, "SINT", hidden=True)
    for number, (name, comment) in enumerate(members):
        yield _member(name, "BIT", comment, bit=(host, number))


def _member(
    name: str,
    kind: str,
    comment: str = "",
    *,
    dimension: int = 0,
    radix: str = "Decimal",
    hidden: bool = False,
    bit: tuple[str, int] | None = None,
) -> Element:
    return element(
        "Member",
        _description(comment),
        Name=name,
        DataType=kind,
        Dimension=str(dimension),
        Radix=radix,
        Hidden="true" if hidden else "false",
        Target=bit[0] if bit else None,
        BitNumber=str(bit[1]) if bit else None,
        ExternalAccess="Read/Write",
    )


def _description(comment: str) -> Element | None:
    return text("Description", comment, cdata=True) if comment else None


def _dependencies(names: Iterator[str]) -> Element | None:
    needed = [element("Dependency", Type="DataType", Name=n) for n in dict.fromkeys(names)]
    return element("Dependencies", *needed) if needed else None


def _read_back(request: Request) -> tuple[ReadBack, ...]:
    tags = request.tags(lambda one, member: f"{{tag}}.{request.path(one, member)}")
    doc = "Controller tag of the type that was imported; `Program:Name.tag` within a program."
    params = {"tag": Given(request.settings.instance, doc)}
    return (ReadBack("ethernetip", tags, params, counter_bits=COUNTER_BITS),)


TARGET: Final = Target(
    title="Studio 5000 Logix Designer",
    rules=LOGIX_NAMES,
    files=_files,
    read_back=_read_back,
    prefix="UDT_",
    longest_text=65_535,
    why_longest="a string of Logix holds 65,535",
    cautions=MappingProxyType(
        {
            "int64": "LINT, with which older controllers cannot calculate",
            "real64": "LREAL, which older controllers do not have",
            "uint32": "DINT: the program sets it to 0 after 2147483647, which is no reset",
        }
    ),
)
