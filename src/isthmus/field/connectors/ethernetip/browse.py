"""The controller's tag list as nodes: programs, tags, members, elements. Pure functions."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from isthmus.field.connector import Node
from isthmus.field.connectors.ethernetip.spec import BITS_PER_WORD, EthernetIpSource, Segment

Definition = Mapping[str, Any]
"""Of a tag or of a structure's member, as the driver describes it."""


def children(tags: Iterable[Definition], parent: str) -> list[Node]:
    """Nodes below `parent`: programs and controller tags, a structure's members, elements."""
    by_name = {tag["tag_name"]: tag for tag in tags}
    if not parent:
        return [*_programs(by_name), *(_node(n, d) for n, d in _scope(by_name, ""))]
    if parent.lower().startswith("program:") and "." not in parent:
        return [_node(name, tag) for name, tag in _scope(by_name, f"{parent}.")]
    found = _definition(by_name, parent)
    return [] if found is None else list(_below(parent, *found))


def _programs(by_name: Mapping[str, Definition]) -> Iterator[Node]:
    names = [name.partition(".")[0] for name in by_name if name.startswith("Program:")]
    for name in dict.fromkeys(names):
        yield Node(name, name.removeprefix("Program:"), _path(name), "Program", has_children=True)


def _scope(by_name: Mapping[str, Definition], prefix: str) -> Iterator[tuple[str, Definition]]:
    for name, tag in by_name.items():
        if name.startswith(prefix) and (prefix or not name.startswith("Program:")):
            yield name, tag


def _definition(
    by_name: Mapping[str, Definition], parent: str
) -> tuple[Definition, tuple[int, ...]] | None:
    """What a path means, and the dimensions that it leaves open; None if it means nothing."""
    segments = list(EthernetIpSource.parse_tag(parent).segments)
    first = segments.pop(0)
    if first.name.lower().startswith("program:"):
        first = Segment(f"{first.name}.{segments[0].name}", segments.pop(0).index)
    found = by_name.get(first.name)
    last = first
    for last in segments:
        found = _members(found).get(last.name) if found is not None else None
    if found is None:
        return None
    return found, () if last.index else _dimensions(found)


def _below(parent: str, of: Definition, dimensions: tuple[int, ...]) -> Iterator[Node]:
    if dimensions:
        for index in product(*(range(size) for size in dimensions)):
            yield _named(f"{parent}[{','.join(map(str, index))}]", of, ())
    else:
        for name, member in _members(of).items():
            yield _node(f"{parent}.{name}", member)


def _node(tag: str, of: Definition) -> Node:
    return _named(tag, of, _dimensions(of))


def _named(tag: str, of: Definition, dimensions: tuple[int, ...]) -> Node:
    size = f"[{','.join(map(str, dimensions))}]" if dimensions else ""
    return Node(
        tag=tag,
        name=tag.rpartition(".")[2],
        path=_path(tag),
        type=_type(of) + size,
        has_children=bool(dimensions or _members(of)),
    )


def _type(of: Definition) -> str:
    name = str(of["data_type_name"])
    return "BOOL" if name == "DWORD" else name


def _dimensions(of: Definition) -> tuple[int, ...]:
    if "array" in of:
        sizes = (of["array"],) if of["array"] else ()
    else:
        sizes = tuple(of.get("dimensions", ())[: of.get("dim", 0)])
    if of["data_type_name"] == "DWORD":
        return tuple(size * BITS_PER_WORD for size in sizes)
    return sizes


def _members(of: Definition) -> Mapping[str, Definition]:
    """Of a structure that is no string, without the members the controller hides."""
    kind = of["data_type"]
    if of["tag_type"] != "struct" or "string" in kind:
        return {}
    return {name: kind["internal_tags"][name] for name in kind["attributes"]}


def _path(tag: str) -> str:
    program, _, rest = tag.partition(".") if tag.startswith("Program:") else ("", "", tag)
    parts = [part for part in (program.removeprefix("Program:"), *rest.split(".")) if part]
    return "/" + "/".join(parts)
