"""Browsing an OPC UA server: children of a node with their types and units, page by page."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from isthmus.field.connector import Node
from isthmus.field.connectors.opcua.asking import Asking

PAGE: Final = 200
"""References per answer; the server keeps the rest behind a continuation point."""

_CLASSES: Final = ua.NodeClass.Object | ua.NodeClass.Variable
_UNECE: Final = "http://www.opcfoundation.org/UA/units/un/cefact"
_NAMESPACES: Final[WeakKeyDictionary[Client, tuple[str, ...]]] = WeakKeyDictionary()
"""Asked once per session, not once per folder."""
_PROPERTY: Final = ua.NodeId(ua.Int32(ObjectIds.HasProperty))


async def children(
    client: Client, session: Asking, parent: str, paths: dict[str, str]
) -> AsyncIterator[Node]:
    """Objects and variables below `parent` (the Objects folder if empty).

    `paths` remembers where each node that was handed out stands.
    """
    node = ua.NodeId.from_string(parent) if parent else ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder))
    if client not in _NAMESPACES:
        await session.turn()
        _NAMESPACES[client] = tuple(await client.get_namespace_array())
    uris = _NAMESPACES[client]
    async for page in _pages(session, _downwards(node)):
        wanted = [reference for reference in page if reference.ReferenceTypeId != _PROPERTY]
        for child in await _described(session, wanted, paths.get(parent, ""), uris):
            paths[child.tag] = child.path
            yield child


async def _pages(
    session: Asking, description: ua.BrowseDescription
) -> AsyncIterator[Sequence[ua.ReferenceDescription]]:
    parameters = ua.BrowseParameters(
        View=ua.ViewDescription(),
        RequestedMaxReferencesPerNode=PAGE,
        NodesToBrowse=[description],
    )
    (result,) = await session.browse(parameters)
    result.StatusCode.check()
    yield result.References
    while result.ContinuationPoint:
        (result,) = await session.browse_next(
            ua.BrowseNextParameters(
                ReleaseContinuationPoints=False,  # the driver's default ends the browsing here
                ContinuationPoints=[result.ContinuationPoint],
            )
        )
        result.StatusCode.check()
        yield result.References


def _downwards(node: ua.NodeId) -> ua.BrowseDescription:
    return ua.BrowseDescription(
        NodeId=node,
        BrowseDirection=ua.BrowseDirection.Forward,
        ReferenceTypeId=ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences)),
        IncludeSubtypes=True,
        NodeClassMask=_CLASSES,
        ResultMask=ua.BrowseResultMask.All,
    )


async def _described(
    session: Asking,
    references: Sequence[ua.ReferenceDescription],
    above: str,
    uris: Sequence[str],
) -> list[Node]:
    """The references as nodes; types, units and children of a whole page in a few requests."""
    nodes = [reference.NodeId for reference in references]
    variables = [
        reference.NodeId for reference in references if reference.NodeClass == ua.NodeClass.Variable
    ]
    types = dict(zip(variables, await _types(session, variables), strict=True))
    units = dict(zip(variables, await _units(session, variables), strict=True))
    texts = await _attributes(session, variables, AttributeIds.Description)
    comments = {node: text.Text or "" for node, text in zip(variables, texts, strict=True) if text}
    parents = await _with_children(session, nodes)
    nothing = ua.EUInformation()
    return [
        Node(
            tag=reference.NodeId.to_string(),
            name=reference.DisplayName.Text or reference.BrowseName.Name,
            path=f"{above}/{reference.BrowseName.Name}",
            type=types.get(reference.NodeId, ""),
            unit=units.get(reference.NodeId, nothing).DisplayName.Text or "",
            has_children=reference.NodeId in parents,
            description=comments.get(reference.NodeId, ""),
            unit_code=_unece(units.get(reference.NodeId, nothing)),
            defined_by=_uri(uris, reference.BrowseName.NamespaceIndex),
            type_definition=_definition(uris, reference.TypeDefinition),
        )
        for reference in references
    ]


async def _types(session: Asking, variables: Sequence[ua.NodeId]) -> list[str]:
    """`Float`, or `Float[]` for an array."""
    types = await _attributes(session, variables, AttributeIds.DataType)
    ranks = await _attributes(session, variables, AttributeIds.ValueRank)
    distinct = list({node for node in types if node is not None})
    names = await _attributes(session, distinct, AttributeIds.BrowseName)
    name_of = {
        node: name.Name for node, name in zip(distinct, names, strict=True) if name is not None
    }
    return [
        name_of.get(node, "") + ("[]" if rank is not None and rank >= 0 else "")
        for node, rank in zip(types, ranks, strict=True)
    ]


async def _units(session: Asking, variables: Sequence[ua.NodeId]) -> list[ua.EUInformation]:
    """The `EngineeringUnits` property of each variable; an empty one without."""
    if not variables:
        return []
    answers = await session.translate_browsepaths_to_nodeids(
        [_property_path(variable, "EngineeringUnits") for variable in variables]
    )
    found = [answer.Targets[0].TargetId if answer.Targets else None for answer in answers]
    there = [node for node in found if node is not None]
    values = iter(await _attributes(session, there, AttributeIds.Value))
    return [_unit(next(values) if node is not None else None) for node in found]


def _unit(value: Any) -> ua.EUInformation:
    return value if isinstance(value, ua.EUInformation) else ua.EUInformation()


def _unece(unit: ua.EUInformation) -> str:
    """The common code (`CEL`), whose characters are the bytes of the number, highest first."""
    if unit.NamespaceUri != _UNECE or unit.UnitId <= 0:
        return ""
    code = unit.UnitId.to_bytes(4, "big").lstrip(b"\0")
    return code.decode("ascii") if code.isascii() else ""


def _uri(uris: Sequence[str], index: int) -> str:
    return uris[index] if 0 < index < len(uris) else ""


def _definition(uris: Sequence[str], node: ua.NodeId) -> str:
    uri = _uri(uris, node.NamespaceIndex)
    return f"nsu={uri};i={node.Identifier}" if uri and isinstance(node.Identifier, int) else ""


async def _with_children(session: Asking, nodes: Sequence[ua.NodeId]) -> set[ua.NodeId]:
    if not nodes:
        return set()
    parameters = ua.BrowseParameters(
        View=ua.ViewDescription(), NodesToBrowse=[_downwards(node) for node in nodes]
    )
    results = await session.browse(parameters)
    return {
        node
        for node, result in zip(nodes, results, strict=True)
        if any(reference.ReferenceTypeId != _PROPERTY for reference in result.References)
    }


async def _attributes(
    session: Asking, nodes: Iterable[ua.NodeId], attribute: AttributeIds
) -> list[Any]:
    nodes = list(nodes)
    if not nodes:
        return []
    answers = await session.read_attributes(nodes, attribute)
    return [answer.Value.Value if answer.Value is not None else None for answer in answers]


def _property_path(node: ua.NodeId, name: str) -> ua.BrowsePath:
    element = ua.RelativePathElement(
        ReferenceTypeId=_PROPERTY,
        IsInverse=False,  # type: ignore[arg-type] # the driver's Boolean is bool
        IncludeSubtypes=True,  # type: ignore[arg-type]
        TargetName=ua.QualifiedName(name, ua.UInt16(0)),
    )
    return ua.BrowsePath(StartingNode=node, RelativePath=ua.RelativePath(Elements=[element]))
