"""Nodes of a NodeSet2 as XML: pure builders, no knowledge of how a block becomes nodes."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from isthmus.base.german import Language
from isthmus.field.plc.cefact import NAMESPACE, UCUM, unit_number
from isthmus.field.plc.layout import Value, number_text, unit_text
from isthmus.field.plc.xml_text import Element, element, text

_TYPES: Final = "http://opcfoundation.org/UA/2008/02/Types.xsd"

BASE_OBJECT_TYPE: Final = "i=58"
FOLDER_TYPE: Final = "i=61"
OBJECTS: Final = "i=85"
ENUMERATION: Final = "i=29"
BASE_DATA_VARIABLE: Final = "i=63"
ANALOG_ITEM: Final = "i=2368"
ANALOG_UNIT: Final = "i=17497"
_PROPERTY_TYPE: Final = "i=68"
_MANDATORY: Final = "i=78"

_REFERENCES: Final = {
    "Organizes": "i=35",
    "HasModellingRule": "i=37",
    "HasTypeDefinition": "i=40",
    "HasSubtype": "i=45",
    "HasProperty": "i=46",
    "HasComponent": "i=47",
}


def own(identifier: str) -> str:
    """The id of a node of ours: in the file our namespace is the first."""
    return f"ns=1;s={identifier}"


def forth(kind: str, target: str) -> Element:
    return text("Reference", target, ReferenceType=_REFERENCES[kind])


def back(kind: str, source: str) -> Element:
    return text("Reference", source, ReferenceType=_REFERENCES[kind], IsForward="false")


def rule() -> Element:
    """Every instance of the type has this node."""
    return forth("HasModellingRule", _MANDATORY)


def node(
    tag: str,
    identifier: str,
    name: str,
    references: Iterable[Element],
    *content: Element,
    label: str = "",
    comment: str = "",
    language: Language = "en",
    attributes: Mapping[str, str] = MappingProxyType({}),
) -> Element:
    """`label` is what people see; without one it is the name, which is in no language."""
    shown = text("DisplayName", label, Locale=language) if label else text("DisplayName", name)
    described = text("Description", comment, Locale=language) if comment else None
    return element(
        tag,
        shown,
        described,
        element("References", *references),
        *content,
        NodeId=own(identifier),
        BrowseName=name if tag == "UAVariable" and _is_standard(name) else f"1:{name}",
        **attributes,
    )


def property_of(
    owner: str, name: str, data_type: str, value: Element, *, mandatory: bool, many: int = 0
) -> Element:
    """A standard property; its name is in OPC UA's own namespace."""
    references = [forth("HasTypeDefinition", _PROPERTY_TYPE), back("HasProperty", own(owner))]
    if mandatory:
        references.append(rule())
    array = {"ValueRank": "1", "ArrayDimensions": str(many)} if many else {}
    return node(
        "UAVariable",
        f"{owner}.{name}",
        name,
        references,
        element("Value", value),
        attributes={"ParentNodeId": own(owner), "DataType": data_type, **array},
    )


_STANDARD: Final = frozenset(
    {"EURange", "EngineeringUnits", "EnumValues", "EnumStrings", "MaxStringLength"}
)


def _is_standard(name: str) -> bool:
    return name in _STANDARD


def range_of(owner: str, low: float, high: float, *, mandatory: bool) -> Element:
    body = element("Range", text("Low", number_text(low)), text("High", number_text(high)))
    return property_of(owner, "EURange", "i=884", _structure("i=885", body), mandatory=mandatory)


def unit_of(owner: str, ucum: str, *, mandatory: bool) -> Element:
    number = unit_number(ucum)
    shown = unit_text(ucum) or ucum
    body = element(
        "EUInformation",
        text("NamespaceUri", UCUM if number is None else NAMESPACE),
        text("UnitId", str(-1 if number is None else number)),
        element("DisplayName", text("Text", shown)),
        element("Description", text("Text", ucum)),
    )
    return property_of(
        owner, "EngineeringUnits", "i=887", _structure("i=888", body), mandatory=mandatory
    )


def longest_of(owner: str, length: int, *, mandatory: bool) -> Element:
    value = text("UInt32", str(length), xmlns=_TYPES)
    return property_of(owner, "MaxStringLength", "i=7", value, mandatory=mandatory)


def enumeration(identifier: str, values: Sequence[Value], language: Language) -> list[Element]:
    """A data type with its names: EnumStrings if they are numbered from 0 on, else EnumValues."""
    ordered = sorted(values, key=lambda value: value.number)
    strings = [value.number for value in ordered] == list(range(len(ordered)))
    names = (
        _strings(identifier, ordered, language)
        if strings
        else _values(identifier, ordered, language)
    )
    name = identifier.rpartition(".")[2]
    fields = (element("Field", Name=value.name, Value=str(value.number)) for value in ordered)
    references = [
        back("HasSubtype", ENUMERATION),
        forth("HasProperty", own(f"{identifier}.{'EnumStrings' if strings else 'EnumValues'}")),
    ]
    definition = element("Definition", *fields, Name=f"1:{name}")
    return [node("UADataType", identifier, name, references, definition), names]


def _strings(owner: str, values: Sequence[Value], language: Language) -> Element:
    each = (_words("LocalizedText", value, language) for value in values)
    value = element("ListOfLocalizedText", *each, xmlns=_TYPES)
    return property_of(owner, "EnumStrings", "i=21", value, mandatory=True, many=len(values))


def _values(owner: str, values: Sequence[Value], language: Language) -> Element:
    each = (
        _structure(
            "i=7616",
            element(
                "EnumValueType",
                text("Value", str(value.number)),
                _words("DisplayName", value, language),
                element("Description", text("Text", value.name)),
            ),
            inside=True,
        )
        for value in values
    )
    value = element("ListOfExtensionObject", *each, xmlns=_TYPES)
    return property_of(owner, "EnumValues", "i=7594", value, mandatory=True, many=len(values))


def _words(tag: str, value: Value, language: Language) -> Element:
    label = value.label.get(language, "")
    if not label:
        return element(tag, text("Text", value.name))
    return element(tag, text("Locale", language), text("Text", label))


def _structure(encoding: str, body: Element, *, inside: bool = False) -> Element:
    return element(
        "ExtensionObject",
        element("TypeId", text("Identifier", encoding)),
        element("Body", body),
        xmlns=None if inside else _TYPES,
    )
