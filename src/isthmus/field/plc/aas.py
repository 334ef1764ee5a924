"""A submodel template of the Asset Administration Shell (version 3.0), as JSON.

Every block is a collection, every field a property; what they mean stands in concept descriptions
(IEC 61360), in every language the model has.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from isthmus.field.plc.iec import enumerations
from isthmus.field.plc.layout import Layout, Member, Scalar, number_text, unit_text
from isthmus.field.plc.names import NameRules
from isthmus.field.plc.target import File, Given, ReadBack, Request, Target
from isthmus.model.spec.words import Texts

Json = dict[str, Any]

_IEC_61360: Final = "https://admin-shell.io/DataSpecificationTemplates/DataSpecificationIec61360/3"
_CARDINALITY: Final = "https://admin-shell.io/SubmodelTemplates/Cardinality/1/0"
_RANGE: Final = "https://admin-shell.io/SubmodelTemplates/AllowedRange/1/0"

_LONGEST: Final = {
    "displayName": 128,
    "description": 1023,
    "preferredName": 255,
    "definition": 1023,
}
"""Characters the format allows; longer texts end with `…`."""

TYPES: Final[Mapping[Scalar, str]] = MappingProxyType({
    "bit": "xs:boolean", "int16": "xs:short", "int32": "xs:int", "int64": "xs:long",
    "uint32": "xs:unsignedInt", "real32": "xs:float", "real64": "xs:double", "text": "xs:string",
})  # fmt: skip


def _files(request: Request) -> tuple[File, ...]:
    environment = {
        "submodels": [_submodel(request)],
        "conceptDescriptions": list(_concepts(request)),
    }
    said = json.dumps(environment, ensure_ascii=False, indent=2)
    return (File(f"{request.settings.instance}.aas.json", said + "\n"),)


def _submodel(request: Request) -> Json:
    version = max(one.version for one in request.layouts)
    return {
        "modelType": "Submodel",
        "kind": "Template",
        "id": _id(request, "submodel", request.settings.instance),
        "idShort": request.settings.instance,
        "administration": {"version": str(version), "revision": "0"},
        "semanticId": _meaning(_id(request, "submodel", request.settings.instance)),
        "submodelElements": [_collection(request, one) for one in request.layouts],
    }


def _collection(request: Request, layout: Layout) -> Json:
    return {
        "modelType": "SubmodelElementCollection",
        "idShort": request.block_name(layout),
        **_words("displayName", layout.labels),
        **_words("description", layout.descriptions),
        "semanticId": _meaning(_block_id(request, layout)),
        "qualifiers": [_qualifier("SMT/Cardinality", "One", _CARDINALITY)],
        "value": [_property(request, layout, member) for member in layout.members],
    }


def _property(request: Request, layout: Layout, member: Member) -> Json:
    qualifiers = [_qualifier("SMT/Cardinality", "ZeroToOne", _CARDINALITY)]
    if member.low is not None or member.high is not None:
        qualifiers.append(_qualifier("SMT/AllowedRange", _interval(member), _RANGE))
    return {
        "modelType": "Property",
        "idShort": request.name(layout, member),
        **_words("displayName", member.labels),
        **_words("description", member.descriptions),
        "semanticId": _meaning(_field_id(request, layout, member)),
        "qualifiers": qualifiers,
        "valueType": "xs:string" if member.values else TYPES[member.type],
    }


def _interval(member: Member) -> str:
    low = "(-INF" if member.low is None else f"[{number_text(member.low)}"
    high = "INF)" if member.high is None else f"{number_text(member.high)}]"
    return f"{low},{high}"


def _qualifier(kind: str, value: str, meaning: str) -> Json:
    return {
        "kind": "TemplateQualifier",
        "type": kind,
        "valueType": "xs:string",
        "value": value,
        "semanticId": _meaning(meaning),
    }


def _concepts(request: Request) -> Iterator[Json]:
    """What blocks, fields and values of enumerations mean."""
    for one in request.layouts:
        yield _concept(_block_id(request, one), one.block, one.labels, one.descriptions, {})
        for member in one.members:
            told = _told(request, member)
            place = _field_id(request, one, member)
            yield _concept(place, member.field, member.labels, member.descriptions, told)
    for member in enumerations(request):
        for value in member.values:
            place = _value_id(request, member, value.name)
            yield _concept(place, value.name, value.label, {}, {"value": value.name})


def _concept(place: str, name: str, labels: Texts, descriptions: Texts, told: Json) -> Json:
    content: Json = {
        "modelType": "DataSpecificationIec61360",
        # The format asks for a name and a definition in English in any case.
        **_words("preferredName", {"en": name, **labels}),
        **told,
        **_words("definition", {"en": labels.get("en") or name, **descriptions}),
    }
    return {
        "modelType": "ConceptDescription",
        "id": place,
        "idShort": name if len(name) > 1 else f"{name}_value",
        "embeddedDataSpecifications": [
            {"dataSpecification": _meaning(_IEC_61360), "dataSpecificationContent": content}
        ],
    }


def _told(request: Request, member: Member) -> Json:
    """Data type, unit and values, as IEC 61360 says them."""
    if member.values:
        pairs = [
            {"value": v.name, "valueId": _meaning(_value_id(request, member, v.name))}
            for v in member.values
        ]
        return {"dataType": "STRING", "valueList": {"valueReferencePairs": pairs}}
    match member.type:
        case "bit":
            return {"dataType": "BOOLEAN"}
        case "text":
            return {"dataType": "STRING"}
        case kind:
            number = "REAL" if kind in {"real32", "real64"} else "INTEGER"
            unit = unit_text(member.unit)
            measured = {"unit": unit} if unit else {}
            return {**measured, "dataType": f"{number}_{'MEASURE' if unit else 'COUNT'}"}


def _words(key: str, texts: Texts) -> Json:
    longest = _LONGEST[key]
    said = [
        {"language": language, "text": _shortened(words, longest)}
        for language, words in texts.items()
        if words
    ]
    return {key: said} if said else {}


def _shortened(words: str, longest: int) -> str:
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def _meaning(identifier: str) -> Json:
    return {
        "type": "ExternalReference",
        "keys": [{"type": "GlobalReference", "value": identifier}],
    }


def _id(request: Request, *parts: str) -> str:
    return ":".join(("urn:isthmus", request.settings.enterprise, *parts))


def _block_id(request: Request, layout: Layout) -> str:
    return _id(request, "block", layout.block, str(layout.version))


def _field_id(request: Request, layout: Layout, member: Member) -> str:
    return f"{_block_id(request, layout)}:{member.field}"


def _value_id(request: Request, member: Member, value: str) -> str:
    return _id(request, "code_system", member.enumeration, value)


def _read_back(request: Request) -> tuple[ReadBack, ...]:
    """The values of the submodel, as every AAS server gives them (`/submodels/…/$value`)."""
    own = _id(request, "submodel", request.settings.instance)
    encoded = base64.urlsafe_b64encode(own.encode()).decode().rstrip("=")
    tags = request.tags(
        lambda one, member: f"submodels/{{submodel}}/$value#$.{request.path(one, member)}"
    )
    params = {"submodel": Given(encoded, "Id of the machine's submodel, base64url-encoded.")}
    remark = "From a server of Asset Administration Shells; `url` of the source is its API."
    return (ReadBack("http", tags, params, names=True, remark=remark),)


TARGET: Final = Target(
    title="Asset Administration Shell",
    rules=NameRules(
        "the Asset Administration Shell",
        longest=128,
        form=r"[A-Za-z][A-Za-z0-9_]*",
        form_in_words="letters, digits and `_`, a letter first; umlauts are not possible",
        single_underscores=False,
        shortest=2,
    ),
    files=_files,
    read_back=_read_back,
)
