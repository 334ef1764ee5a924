"""An OPC UA NodeSet2: an object type per block, and one object that has a block of each."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from isthmus.field.plc import opcua_nodes as nodes
from isthmus.field.plc.iec import enumerations
from isthmus.field.plc.layout import Layout, Member, Scalar
from isthmus.field.plc.names import NameRules
from isthmus.field.plc.target import File, Given, ReadBack, Request, Target
from isthmus.field.plc.xml_text import Element, element, text, xml

_NODES: Final = "http://opcfoundation.org/UA/2011/03/UANodeSet.xsd"
_CORE: Final = "http://opcfoundation.org/UA/"
_MADE: Final = "2000-01-01T00:00:00Z"
"""The format wants a time; a fixed one makes the same model always give the same file."""

TYPES: Final[Mapping[Scalar, str]] = MappingProxyType({
    "bit": "i=1", "int16": "i=4", "int32": "i=6", "int64": "i=8", "uint32": "i=7",
    "real32": "i=10", "real64": "i=11", "text": "i=12",
})  # fmt: skip


def namespace(request: Request) -> str:
    return f"urn:isthmus:{request.settings.enterprise}:blocks"


def _files(request: Request) -> tuple[File, ...]:
    uri = namespace(request)
    required = element(
        "RequiredModel", ModelUri=_CORE, Version="1.04", PublicationDate="2018-05-15T00:00:00Z"
    )
    version = max(one.version for one in request.layouts)
    model = element(
        "Model", required, ModelUri=uri, Version=f"{version}.0.0", PublicationDate=_MADE
    )
    root = element(
        "UANodeSet",
        element("NamespaceUris", text("Uri", uri)),
        element("Models", model),
        *_data_types(request),
        *_object_types(request),
        *_instance(request),
        xmlns=_NODES,
    )
    return (File("isthmus.NodeSet2.xml", xml(root)),)


def _data_type(member: Member) -> str:
    return nodes.own(_enum(member)) if member.values else TYPES[member.type]


def _enum(member: Member) -> str:
    return f"enum.{member.enumeration}"


def _data_types(request: Request) -> Iterator[Element]:
    for member in enumerations(request):
        yield from nodes.enumeration(_enum(member), member.values, request.settings.language)


def _object_types(request: Request) -> Iterator[Element]:
    for one in request.layouts:
        home = f"type.{one.block}"
        yield nodes.node(
            "UAObjectType",
            home,
            f"{one.block}_type",
            [nodes.back("HasSubtype", nodes.BASE_OBJECT_TYPE)],
            comment=one.comment,
            language=request.settings.language,
        )
        yield from _variables(request, one, home, mandatory=True)


def _instance(request: Request) -> Iterator[Element]:
    home = request.settings.instance
    folder = [
        nodes.forth("HasTypeDefinition", nodes.FOLDER_TYPE),
        nodes.back("Organizes", nodes.OBJECTS),
    ]
    yield nodes.node("UAObject", home, home, folder)
    for one in request.layouts:
        name = request.block_name(one)
        references = [
            nodes.forth("HasTypeDefinition", nodes.own(f"type.{one.block}")),
            nodes.back("HasComponent", nodes.own(home)),
        ]
        yield nodes.node(
            "UAObject",
            f"{home}.{name}",
            name,
            references,
            label=one.label,
            comment=one.comment,
            language=request.settings.language,
            attributes={"ParentNodeId": nodes.own(home)},
        )
        yield from _variables(request, one, f"{home}.{name}", mandatory=False)


def _variables(
    request: Request, layout: Layout, home: str, *, mandatory: bool
) -> Iterator[Element]:
    for member in layout.members:
        name = request.name(layout, member)
        place = f"{home}.{name}"
        references = [
            nodes.forth("HasTypeDefinition", _variable_type(member)),
            nodes.back("HasComponent", nodes.own(home)),
        ]
        if mandatory:
            references.append(nodes.rule())
        yield nodes.node(
            "UAVariable",
            place,
            name,
            references,
            label=member.label,
            comment=member.comment,
            language=request.settings.language,
            attributes={"ParentNodeId": nodes.own(home), "DataType": _data_type(member)},
        )
        yield from _properties(member, place, mandatory=mandatory)


def _range(member: Member) -> tuple[float, float] | None:
    """A range has two ends; a limit on one side only stands in the description."""
    return None if member.low is None or member.high is None else (member.low, member.high)


def _variable_type(member: Member) -> str:
    if _range(member) is not None:
        return nodes.ANALOG_ITEM
    return nodes.ANALOG_UNIT if _unit(member) else nodes.BASE_DATA_VARIABLE


def _unit(member: Member) -> str:
    """Pieces are no unit to a controller."""
    return "" if member.unit == "1" else member.unit


def _properties(member: Member, place: str, *, mandatory: bool) -> Iterator[Element]:
    if (ends := _range(member)) is not None:
        yield nodes.range_of(place, *ends, mandatory=mandatory)
    if unit := _unit(member):
        yield nodes.unit_of(place, unit, mandatory=mandatory)
    if member.length:
        yield nodes.longest_of(place, member.length, mandatory=mandatory)


def _read_back(request: Request) -> tuple[ReadBack, ...]:
    uri = namespace(request)
    tags = request.tags(lambda one, member: f"nsu={uri};s={{object}}.{request.path(one, member)}")
    doc = "Identifier of the object that has the blocks."
    return (ReadBack("opcua", tags, {"object": Given(request.settings.instance, doc)}),)


TARGET: Final = Target(
    title="OPC UA",
    rules=NameRules(
        "OPC UA",
        longest=256,
        form=r"\w[\w -]*",
        form_in_words="letters, digits, `_`, `-` and spaces",
        single_underscores=False,
    ),
    files=_files,
    read_back=_read_back,
)
