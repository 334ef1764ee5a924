"""Structures of a machine's maker, read by the definitions the server itself gives.

The driver can do that too, but keeps what it learnt for the whole process by node id: two machines
whose namespaces are numbered differently would read each other's structures. Here each session
has its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from asyncua import ua
from asyncua.common.utils import Buffer, NotEnoughData
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import unpack_uatype, unpack_uatype_array
from asyncua.ua.uaerrors import UaStatusCodeError

from isthmus.field.connectors.opcua.asking import Asking
from isthmus.field.connectors.opcua.values import NoValueError

Form = Literal["plain", "optional", "union"]

_FORMS: Final[Mapping[int, Form]] = {
    ua.StructureType.Structure.value: "plain",
    ua.StructureType.StructureWithOptionalFields.value: "optional",
    ua.StructureType.Union.value: "union",
}
_LAST_BUILT_IN: Final = 25
"""Data types up to here are encoded as the Variant type of the same number."""
_ABSTRACT: Final = {ObjectIds.Number, ObjectIds.Integer, ObjectIds.UInteger}
_DEEPEST: Final = 20
"""Supertypes, or structures inside structures: more is a circle."""


class Enumerated(int):
    """The number of an enumeration that knows its name."""

    name: str

    def __new__(cls, value: int, names: Mapping[int, str]) -> Self:
        made = super().__new__(cls, value)
        made.name = names.get(value, str(value))
        return made


@dataclass(frozen=True)
class Member:
    """One field of a structure."""

    name: str
    type: "ua.VariantType | Enumeration | Layout"
    is_array: bool = False
    is_optional: bool = False


@dataclass(frozen=True)
class Enumeration:
    """Encoded as Int32."""

    names: Mapping[int, str]


@dataclass(frozen=True)
class Layout:
    """How a structure is encoded (Part 6, 5.2.6 to 5.2.8)."""

    form: Form
    members: tuple[Member, ...]

    def read(self, data: Buffer) -> dict[str, Any]:
        match self.form:
            case "plain":
                members: Iterable[Member] = self.members
            case "optional":
                present = _bits(data)
                members = [one for one in self.members if not one.is_optional or next(present)]
            case "union":
                chosen = unpack_uatype(ua.VariantType.UInt32, data)
                members = self.members[chosen - 1 : chosen] if chosen else ()
        return {member.name: _value(member, data) for member in members}


def _bits(data: Buffer) -> Any:
    mask = unpack_uatype(ua.VariantType.UInt32, data)
    return (bool(mask & 1 << number) for number in range(32))


def _value(member: Member, data: Buffer) -> Any:
    match member.type:
        case ua.VariantType() as built_in if member.is_array:
            return unpack_uatype_array(built_in, data)
        case ua.VariantType() as built_in:
            return unpack_uatype(built_in, data)
        case kind if member.is_array:
            count = unpack_uatype(ua.VariantType.Int32, data)
            return [_one(kind, data) for _ in range(count)] if count >= 0 else None
        case kind:
            return _one(kind, data)


def _one(kind: Enumeration | Layout, data: Buffer) -> Any:
    if isinstance(kind, Layout):
        return kind.read(data)
    return Enumerated(unpack_uatype(ua.VariantType.Int32, data), kind.names)


class UnknownTypeError(Exception):
    """A structure of which nobody has asked the server yet: `learn` does."""

    def __init__(self, encoding: ua.NodeId) -> None:
        super().__init__()
        self.encoding = encoding


class Structures:
    """What one session knows of the structures of its server."""

    def __init__(self, session: Asking) -> None:
        self._session = session
        self._known: dict[ua.NodeId, Layout | None] = {}
        """By the node id of the binary encoding; None: the server does not say."""

    def decode(self, value: ua.ExtensionObject) -> dict[str, Any]:
        """Raise UnknownTypeError, or NoValueError where it cannot be read."""
        if value.Body is None:
            raise NoValueError(StatusCodes.BadNoData)
        if value.TypeId not in self._known:
            raise UnknownTypeError(value.TypeId)
        layout = self._known[value.TypeId]
        if layout is None:
            raise NoValueError(StatusCodes.BadDataEncodingUnsupported)
        try:
            return layout.read(Buffer(value.Body))
        except (NotEnoughData, ValueError, LookupError) as error:
            raise NoValueError(StatusCodes.BadDecodingError) from error

    async def learn(self, encoding: ua.NodeId, variable: ua.NodeId) -> None:
        """Ask the server what a structure is made of that came as the variable's value."""
        try:
            types = await _targets(self._session, encoding, ObjectIds.HasEncoding, backwards=True)
            types = types or await self._type_of(variable, encoding)
            layout = await self._layout(types[0], 0) if types else None
        except (UaStatusCodeError, _UnreadableError):
            layout = None
        self._known[encoding] = layout

    async def names(self, node: ua.NodeId) -> dict[int, str]:
        """Numbers and names of the enumeration that a variable's value is, empty if it is none."""
        own = await _strings(self._session, node)
        if own:
            return own
        data_type = await self._data_type(node)
        return await self._enumeration(data_type) if data_type is not None else {}

    async def _type_of(self, variable: ua.NodeId, encoding: ua.NodeId) -> list[ua.NodeId]:
        """Where a server has no node for the encoding, the variable's own type may name it."""
        data_type = await self._data_type(variable)
        definition = await self._definition(data_type) if data_type is not None else None
        if not isinstance(definition, ua.StructureDefinition) or data_type is None:
            return []
        return [data_type] if definition.DefaultEncodingId == encoding else []

    async def _data_type(self, variable: ua.NodeId) -> ua.NodeId | None:
        (kind,) = await self._session.read_attributes([variable], AttributeIds.DataType)
        return kind.Value.Value if kind.Value is not None else None

    async def _layout(self, data_type: ua.NodeId, depth: int) -> Layout:
        definition = await self._definition(data_type)
        if not isinstance(definition, ua.StructureDefinition) or depth > _DEEPEST:
            raise _UnreadableError
        form = _FORMS.get(int(definition.StructureType))
        if form is None:
            raise _UnreadableError
        members = [await self._member(field, depth) for field in definition.Fields or ()]
        return Layout(form, tuple(members))

    async def _member(self, field: ua.StructureField, depth: int) -> Member:
        if field.ValueRank > 1:  # matrices inside structures: nobody has shown us one
            raise _UnreadableError
        kind = await self._kind(field.DataType, depth + 1)
        # 0 would be "of any rank", which a field cannot be: servers that write it mean a scalar.
        return Member(field.Name or "", kind, field.ValueRank >= 1, bool(field.IsOptional))

    async def _kind(
        self, data_type: ua.NodeId, depth: int
    ) -> "ua.VariantType | Enumeration | Layout":
        """What a data type is in the end: of its supertypes, the first that is encoded."""
        above = data_type
        for _ in range(_DEEPEST):
            number = above.Identifier if above.NamespaceIndex == 0 else 0
            if number in _ABSTRACT:
                return ua.VariantType.Variant
            if number == ObjectIds.Enumeration:
                return Enumeration(await self._enumeration(data_type))
            if number == ObjectIds.Structure and above == data_type:
                return ua.VariantType.ExtensionObject
            if number == ObjectIds.Structure:
                return await self._layout(data_type, depth)
            if isinstance(number, int) and 0 < number <= _LAST_BUILT_IN:
                return ua.VariantType(number)
            supertypes = await _targets(self._session, above, ObjectIds.HasSubtype, backwards=True)
            if not supertypes:
                break
            above = supertypes[0]
        raise _UnreadableError

    async def _definition(self, data_type: ua.NodeId) -> Any:
        answers = await self._session.read_attributes([data_type], AttributeIds.DataTypeDefinition)
        return answers[0].Value.Value if answers[0].Value is not None else None

    async def _enumeration(self, data_type: ua.NodeId) -> dict[int, str]:
        definition = await self._definition(data_type)
        if isinstance(definition, ua.EnumDefinition):
            return {
                int(field.Value): _text(field.DisplayName) or field.Name or str(field.Value)
                for field in definition.Fields or ()
            }
        return await _strings(self._session, data_type)


class _UnreadableError(Exception):
    """The server does not define the structure, or in a way we do not know."""


async def _strings(session: Asking, node: ua.NodeId) -> dict[int, str]:
    """From the property `EnumStrings` or `EnumValues` of a type, or of a variable itself."""
    properties = await _targets(session, node, ObjectIds.HasProperty, backwards=False)
    if not properties:
        return {}
    names = await session.read_attributes(properties, AttributeIds.BrowseName)
    wanted = [
        child
        for child, name in zip(properties, names, strict=True)
        if name.Value is not None
        and getattr(name.Value.Value, "Name", "") in {"EnumStrings", "EnumValues"}
    ]
    if not wanted:
        return {}
    (answer,) = await session.read_attributes(wanted[:1], AttributeIds.Value)
    listed = (answer.Value.Value if answer.Value is not None else None) or []
    return dict(_numbered(number, entry) for number, entry in enumerate(listed))


def _numbered(number: int, entry: Any) -> tuple[int, str]:
    if isinstance(entry, ua.EnumValueType):
        return int(entry.Value), _text(entry.DisplayName) or str(entry.Value)
    return number, _text(entry) or str(number)


def _text(text: Any) -> str:
    return (text.Text or "") if isinstance(text, ua.LocalizedText) else ""


async def _targets(
    session: Asking, node: ua.NodeId, kind: int, *, backwards: bool
) -> list[ua.NodeId]:
    direction = ua.BrowseDirection.Inverse if backwards else ua.BrowseDirection.Forward
    description = ua.BrowseDescription(
        NodeId=node,
        BrowseDirection=direction,
        ReferenceTypeId=ua.NodeId(ua.Int32(kind)),
        IncludeSubtypes=True,
        NodeClassMask=0,
        ResultMask=ua.BrowseResultMask.None_,
    )
    parameters = ua.BrowseParameters(View=ua.ViewDescription(), NodesToBrowse=[description])
    (result,) = await session.browse(parameters)
    return [reference.NodeId for reference in result.References or ()]
