"""A YAML document whose every key and value knows where it was written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from isthmus.base.problem import Place, Problem
from isthmus.model.catalogue import problem
from isthmus.model.masking import masked

_LONGEST_LINE: Final = 300

_DECLARING: Final = frozenset({
    "enterprise", "code_system", "block", "machine_type", "site",
    "material", "materials", "reason", "reasons",
})  # fmt: skip
"""First keys under which a document has an address."""

Path = tuple[str | int, ...]
"""Keys and list positions from the root of a document to a value."""


class Mark(Protocol):
    """Where the parser was; counts from 0."""

    line: int
    column: int


@dataclass(slots=True)
class Scalar:
    """A single value as it is written."""

    start: Mark
    end: Mark
    text: str
    plain: bool
    secret: bool = False
    size: int = 1


@dataclass(slots=True)
class MappingNode:
    """Keys with their values, in order."""

    start: Mark
    pairs: dict[str, tuple[Scalar, "Node"]] = field(default_factory=dict)
    size: int = 1


@dataclass(slots=True)
class ListNode:
    """A list."""

    start: Mark
    items: list["Node"] = field(default_factory=list)
    size: int = 1


Node = Scalar | MappingNode | ListNode


@dataclass(frozen=True, eq=False)
class Document:
    """One YAML document; `data` is what it says, once `fill` has put in environment and secrets."""

    file: str
    lines: Sequence[str]
    root: Node
    data: Any = None
    unfilled: frozenset[int] = frozenset()
    """Ids of the scalars whose variable or secret is missing: reported, not to be judged again."""

    def find(self, path: Path) -> tuple[Scalar | None, Node, Path]:
        """Key and value at `path`, or at the nearest place above, and how far we came."""
        key, node = None, self.root
        for depth, part in enumerate(path):
            match node:
                case MappingNode() if str(part) in node.pairs:
                    key, node = node.pairs[str(part)]
                case ListNode() if isinstance(part, int) and part < len(node.items):
                    key, node = None, node.items[part]
                case _:
                    return key, node, path[:depth]
        return key, node, path

    def place(self, path: Path, *, at_key: bool = False) -> Place:
        """Where the value stands; a mapping or list is shown by its key."""
        key, node, _ = self.find(path)
        if key is not None and (at_key or not isinstance(node, Scalar)):
            return spot(self.file, key)
        return spot(self.file, node)

    @property
    def kind(self) -> str:
        """The first key, which says what the document declares; empty if it has none."""
        return next(iter(self.root.pairs), "") if isinstance(self.root, MappingNode) else ""

    @property
    def name(self) -> str:
        """What stands at the first key, as written."""
        _, node, _ = self.find((self.kind,))
        return node.text if isinstance(node, Scalar) else ""

    def address(self, path: Path) -> str:
        """How a person says where `path` is: `sites.hamburg.machines.im-07.source`."""
        match self.kind, path:
            case kind, _ if kind not in _DECLARING:
                parts = path
            case "enterprise", _:
                parts = ("company", *path)
            case ("materials" | "reasons") as kind, (_, int(position), *rest):
                _, node, _ = self.find((kind, position, kind[:-1]))
                name = node.text if isinstance(node, Scalar) else position
                parts = (kind, name, *rest)
            case (("materials" | "reasons"), _):
                parts = path
            case kind, ("areas", _, "lines", _, "machines", *rest):
                parts = (f"{kind}s", self.name, "machines", *rest)
            case kind, _:
                parts = (f"{kind}s", self.name, *path)
        return ".".join(map(str, parts))

    def problem(
        self, code: str, path: Path, message: str, hint: str = "", *, at_key: bool = False
    ) -> Problem:
        """A finding about the value (or its key) at `path`."""
        place = self.place(path, at_key=at_key)
        line = source_line(self.lines, place)
        address = self.address(path)
        return problem(code, address, message, place=place, hint=hint, source_line=line)


def spot(file: str, node: Node) -> Place:
    """A value is marked from end to end where it stands in one line, else at its beginning."""
    if isinstance(node, MappingNode) and node.pairs:
        return spot(file, next(iter(node.pairs.values()))[0])
    start, length = node.start, 1
    if isinstance(node, Scalar) and node.end.line == start.line:
        length = max(1, node.end.column - start.column)
    return Place(file, start.line + 1, start.column + 1, length)


def source_line(lines: Sequence[str], place: Place) -> str:
    """The line a person is shown: without passwords, and nothing where it would fill the screen."""
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    return masked(line) if len(line) <= _LONGEST_LINE else ""
