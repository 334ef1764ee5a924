"""Pydantic's errors, placed in the document; of unions only the branch that understood most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from isthmus.model.document import ListNode, MappingNode, Node, Path

EXPECTED_TYPES: Final = MappingProxyType(
    {
        "string_type": "a text",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "bool_type": "`true` or `false`",
        "dict_type": "a mapping",
        "model_type": "a mapping",
        "list_type": "a list",
        "tuple_type": "a list",
        "date_type": "a date such as 2026-01-31",
        "none_required": "nothing",
    }
)
"""Pydantic's complaints about the type of a value, and what they wanted."""


@dataclass(frozen=True)
class Finding:
    """One complaint of pydantic, with its place in the document instead of in the schema."""

    type: str
    path: Path
    """Relative to what was validated; for a missing key, that of its parent."""
    node: Node
    unions: tuple[tuple[Path, str], ...]
    """Branches of unions that were tried on the way: where, and which."""
    at_key: bool
    wanted: str
    """The missing or unknown key, else empty."""
    input: Any
    context: Mapping[str, Any]
    message: str


Alternatives = list[Finding]
"""Complaints about one value of which any one had to be absent."""


def located(error: Any, root: Node) -> Finding:
    node, path, unions = root, [], []
    at_key, wanted = False, ""
    location = error["loc"]
    for depth, part in enumerate(location):
        last = depth == len(location) - 1
        if last and error["type"] in {"missing", "extra_forbidden"}:
            wanted = str(part)
        elif last and part == "[key]":
            at_key = True
        elif (child := _child(node, part)) is not None:
            node = child
            path.append(part)
        else:
            unions.append((tuple(path), str(part)))
    return Finding(
        error["type"],
        tuple(path),
        node,
        tuple(unions),
        at_key,
        wanted,
        error["input"],
        error.get("ctx", {}),
        error["msg"],
    )


def _child(node: Node, part: str | int) -> Node | None:
    match node:
        case MappingNode():
            pair = node.pairs.get(str(part))
            return pair[1] if pair else None
        case ListNode() if isinstance(part, int) and part < len(node.items):
            return node.items[part]
        case _:
            return None


def settled(findings: Sequence[Finding], depth: int = 0) -> list[Alternatives]:
    """Of each union keep the branch that understood most of the value."""
    groups: list[Alternatives] = [[each] for each in findings if len(each.unions) <= depth]
    unions: dict[Path, dict[str, list[Finding]]] = {}
    for each in findings:
        if len(each.unions) > depth:
            place, branch = each.unions[depth]
            unions.setdefault(place, {}).setdefault(branch, []).append(each)
    for place, branches in unions.items():
        groups += _best(place, [settled(found, depth + 1) for found in branches.values()])
    return groups


def _best(place: Path, branches: list[list[Alternatives]]) -> list[Alternatives]:
    """The branch that got past the value's own type; else all of them, read as alternatives."""

    def refused(branch: list[Alternatives]) -> bool:
        return any(
            each.path == place and not each.at_key and not each.wanted
            for group in branch
            for each in group
        )

    understood = [branch for branch in branches if not refused(branch)]
    if understood:
        return min(understood, key=len)
    alternatives = [each for branch in branches for group in branch for each in group]
    fitting = [each for each in alternatives if each.type not in EXPECTED_TYPES]
    return [fitting or alternatives]
