"""External sources for TIA Portal: a PLC data type per block, and a data block of all of them."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from isthmus.base.problem import Problem
from isthmus.field.plc.findings import error
from isthmus.field.plc.layout import Layout, Member, Scalar
from isthmus.field.plc.names import NameRules
from isthmus.field.plc.s7_offsets import Spot, structures
from isthmus.field.plc.target import File, Given, ReadBack, Request, Target

TYPES: Final[Mapping[Scalar, str]] = MappingProxyType({
    "bit": "Bool", "int16": "Int", "int32": "DInt", "int64": "LInt", "uint32": "UDInt",
    "real32": "Real", "real64": "LReal",
})  # fmt: skip
MOST_BYTES: Final = 65_536
"""Of a data block with standard access."""
SERVER: Final = "http://www.siemens.com/simatic-s7-opcua"
"""Namespace of the OPC UA server in an S7-1500 and S7-1200."""


def s7_type(member: Member) -> str:
    """A string gets an even length: then nobody can disagree about where the next member lies."""
    if member.type == "text":
        return f"String[{member.length + member.length % 2}]"
    return TYPES[member.type]


def _files(request: Request) -> tuple[File, ...]:
    types = (
        File(f"{request.type_name(one)}.udt", "\n".join(_type(request, one)), windows=True)
        for one in request.layouts
    )
    block = File(f"{request.settings.instance}.db", "\n".join(_data_block(request)), windows=True)
    return (*types, block)


def _type(request: Request, layout: Layout) -> Iterator[str]:
    yield f'TYPE "{request.type_name(layout)}"'
    yield "VERSION : 0.1"
    yield f"   STRUCT   // {layout.block}, version {layout.version}: {layout.comment}".rstrip(" :")
    for member in layout.members:
        comment = f"   // {member.comment_with_codes}" if member.comment_with_codes else ""
        yield f'      "{request.name(layout, member)}" : {s7_type(member)};{comment}'
    yield "   END_STRUCT;"
    yield from ("", "END_TYPE", "")


def _data_block(request: Request) -> Iterator[str]:
    optimised = "TRUE" if request.settings.access == "optimised" else "FALSE"
    yield f'DATA_BLOCK "{request.settings.instance}"'
    yield f"{{ S7_Optimized_Access := '{optimised}' }}"
    yield from ("VERSION : 0.1", "NON_RETAIN", "   STRUCT")
    for one in request.layouts:
        comment = f"   // {one.comment}" if one.comment else ""
        yield f'      "{request.block_name(one)}" : "{request.type_name(one)}";{comment}'
    yield from ("   END_STRUCT;", "", "BEGIN", "", "END_DATA_BLOCK", "")


def _read_back(request: Request) -> tuple[ReadBack, ...]:
    return (_by_name(request) if request.settings.access == "optimised" else _by_offset(request),)


def _by_offset(request: Request) -> ReadBack:
    places, _ = _laid_out(request)
    spots = {
        (one.block, member.field): spot
        for one, inside in zip(request.layouts, places, strict=True)
        for member, spot in zip(one.members, inside, strict=True)
    }
    tags = request.tags(lambda one, member: _tag(member, spots[one.block, member.field]))
    doc = f"Number of the data block `{request.settings.instance}` in TIA Portal."
    return ReadBack("s7", tags, {"db": Given(str(request.settings.db), doc)})


def _laid_out(request: Request) -> tuple[list[list[Spot]], int]:
    return structures([[s7_type(m) for m in one.members] for one in request.layouts])


def _check(request: Request) -> Iterator[Problem]:
    _, size = _laid_out(request)
    if request.settings.access == "fixed" and size > MOST_BYTES:
        said = (
            f"the data block would have {size:,} bytes; with standard access it has {MOST_BYTES:,}"
        )
        hint = "shorten texts, write fewer blocks into one, or take `--access optimised`"
        yield error("P010", "", said, hint)


def _tag(member: Member, spot: Spot) -> str:
    bit = f".{spot.bit}" if member.type == "bit" else ""
    return f"DB{{db}}.{spot.byte}{bit}:{s7_type(member).lower()}"


def _by_name(request: Request) -> ReadBack:
    tags = request.tags(
        lambda one, member: (
            f'nsu={SERVER};s="{{db}}"."{request.block_name(one)}"."{request.name(one, member)}"'
        )
    )
    doc = "Name of the data block in TIA Portal."
    remark = "Needs the OPC UA server of the CPU; optimised data blocks have no offsets."
    return ReadBack("opcua", tags, {"db": Given(request.settings.instance, doc)}, remark=remark)


TARGET: Final = Target(
    title="TIA Portal",
    rules=NameRules(
        "TIA Portal",
        longest=128,
        form=r"\w[\w -]*",
        form_in_words="letters, digits, `_`, `-` and spaces",
        single_underscores=False,
    ),
    files=_files,
    read_back=_read_back,
    check=_check,
    prefix="UDT_",
    longest_text=254,
    why_longest="a String of an S7 holds 254",
    accesses=frozenset({"fixed", "optimised"}),
    cautions=MappingProxyType(
        {
            "int64": "LInt, which only an S7-1500 has; else narrow `min` and `max`",
        }
    ),
)
