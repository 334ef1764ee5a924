"""Browsing: groups, edge nodes, devices and metrics, as their births told them."""

from collections.abc import Iterator, Mapping

from isthmus.field.connector import Node
from isthmus.field.connectors.sparkplug.address import format_address
from isthmus.field.connectors.sparkplug.definitions import Definition, Definitions, type_name
from isthmus.field.connectors.sparkplug.edge import Edge
from isthmus.field.connectors.sparkplug.topics import NodeId


def children(edges: Mapping[NodeId, Edge], parent: str) -> Iterator[Node]:
    """Below `parent`, which is empty, `group`, `group/node`, `group/node/device` or a template."""
    owner, colon, metric = parent.partition(":")
    levels = [level for level in owner.split("/") if level]
    if colon:
        yield from _members(parent, _definition(edges, levels, metric))
    elif not levels:
        for group in sorted({group for group, _ in edges}):
            yield Node(group, group, group, has_children=True)
    elif len(levels) == 1:
        for group, node in sorted(edges):
            if group == levels[0]:
                path = f"{group}/{node}"
                yield Node(path, node, path, has_children=bool(edges[group, node].metrics.devices))
    else:
        yield from _owned(edges, levels)


def _owned(edges: Mapping[NodeId, Edge], levels: list[str]) -> Iterator[Node]:
    edge = edges.get((levels[0], levels[1]))
    if edge is None:
        return
    device = levels[2] if len(levels) == 3 else ""
    if not device:
        for name in sorted(edge.metrics.devices.keys() - {""}):
            path = f"{levels[0]}/{levels[1]}/{name}"
            yield Node(path, name, path, has_children=True)
    known = edge.metrics.devices.get(device, Definitions((), {}))
    for name, definition in known.by_name.items():
        tag = format_address(edge.node, device, name)
        yield _metric(tag, name, definition)


def _members(parent: str, definition: Definition | None) -> Iterator[Node]:
    if definition is not None and definition.members is not None:
        for name, member in definition.members.by_name.items():
            yield _metric(f"{parent};member={name}", name, member)


def _definition(edges: Mapping[NodeId, Edge], levels: list[str], metric: str) -> Definition | None:
    edge = edges.get((levels[0], levels[1])) if len(levels) > 1 else None
    if edge is None:
        return None
    device = levels[2] if len(levels) == 3 else ""
    name, *members = metric.split(";member=")
    known: Definitions | None = edge.metrics.devices.get(device)
    found = known.by_name.get(name) if known is not None else None
    for member in members:
        found = found.members.by_name.get(member) if found and found.members else None
    return found


def _metric(tag: str, name: str, definition: Definition) -> Node:
    return Node(
        tag=tag,
        name=name.rpartition("/")[2],
        path=tag,
        type=type_name(definition),
        unit=definition.unit,
        has_children=definition.members is not None,
    )
