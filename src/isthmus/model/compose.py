"""YAML 1.2 text becomes documents; what cannot be one becomes problems.

Built on the events of PyYAML's C parser, without recursion: the C composer crashes on deep input.
Anchors and aliases work (places show where the value is written); merge keys are not YAML 1.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml
from yaml._yaml import CParser

from isthmus.base.problem import Place, Problem
from isthmus.model.catalogue import problem
from isthmus.model.document import Document, ListNode, MappingNode, Node, Scalar, source_line, spot
from isthmus.model.scalars import code_text

MAX_BYTES: Final = 5_000_000
MAX_DEPTH: Final = 64
MAX_NODES: Final = 1_000_000
"""Values of one file with all aliases written out: a few lines of aliases can mean billions."""

CODE_KEYS: Final = frozenset({"codes"})
"""Keys below these are values of a machine, not names: there a plain `0x10` is 16."""

_STRING_TAGS: Final = frozenset({"!", "tag:yaml.org,2002:str"})


@dataclass(slots=True)
class _Frame:
    """A container that is still open."""

    node: MappingNode | ListNode
    anchor: str | None
    codes: bool = False
    key: Scalar | None = None
    refused: bool = False
    """The pending key was refused; its value is dropped."""


class _TooMuchError(Exception):
    """The input passes a bound."""


class Composer:
    """Makes documents of one file's text; `problems` says what it had to refuse."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.lines = text.splitlines()
        self.documents: list[Document] = []
        self.problems: list[Problem] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node] = {}

    def compose(self) -> None:
        if len(self.text) > MAX_BYTES:
            self._refuse("M004", f"the file is larger than {MAX_BYTES:,} characters")
            return
        try:
            for event in _events(self.text):
                self._take(event)
        except _TooMuchError as error:
            self._refuse("M004", *error.args)
        except yaml.MarkedYAMLError as error:
            self._refuse("M001", _syntax(error), _place_of(self.file, error), hint=_advice(error))
        except yaml.reader.ReaderError as error:
            self._refuse("M001", f"{error.reason} (U+{_ordinal(error.character):04X})")

    def _take(self, event: Any) -> None:
        match event:
            case yaml.ScalarEvent():
                self._add(self._scalar(event), event.anchor)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                frame = self._stack.pop()
                self._add(frame.node, frame.anchor)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent():
                self._anchors.clear()
            case _:
                pass

    def _scalar(self, event: Any) -> Scalar:
        plain = event.implicit[0] and event.tag is None
        node = Scalar(event.start_mark, event.end_mark, event.value, plain)
        if event.tag == "!secret":
            node.secret = True
        elif event.tag is not None and event.tag not in _STRING_TAGS:
            self._refuse_tag(event.tag, node)
        return node

    def _open(self, event: Any) -> None:
        if len(self._stack) >= MAX_DEPTH:
            mark = event.start_mark
            place = Place(self.file, mark.line + 1, mark.column + 1)
            raise _TooMuchError(f"values are nested more than {MAX_DEPTH} deep", place)
        kind = MappingNode if isinstance(event, yaml.MappingStartEvent) else ListNode
        node = kind(event.start_mark)
        if event.tag is not None:
            self._refuse_tag(event.tag, Scalar(event.start_mark, event.end_mark, "", plain=False))
        parent = self._stack[-1].key if self._stack else None
        codes = parent is not None and parent.text in CODE_KEYS
        self._stack.append(_Frame(node, event.anchor, codes))

    def _alias(self, event: Any) -> None:
        here = Scalar(event.start_mark, event.end_mark, "", plain=False)
        target = self._anchors.get(event.anchor)
        if target is None:
            message = f"`*{event.anchor}` names nothing that was written before it"
            self._refuse("M003", message, spot(self.file, here))
        self._add(target or here, None, here)

    def _add(self, node: Node, anchor: str | None, alias: Scalar | None = None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            if not (isinstance(node, Scalar) and node.plain and node.text == ""):
                self.documents.append(Document(self.file, self.lines, node))
            return
        frame = self._stack[-1]
        frame.node.size += node.size
        if frame.node.size > MAX_NODES:
            said = f"more than {MAX_NODES:,} values, aliases written out"
            raise _TooMuchError(said, spot(self.file, alias or node))
        if isinstance(frame.node, ListNode):
            frame.node.items.append(node)
        elif frame.key is None and not frame.refused:
            self._key(frame, node)
        else:
            self._value(frame, frame.node, node)

    def _key(self, frame: _Frame, node: Node) -> None:
        if not isinstance(node, Scalar):
            here = Scalar(node.start, node.start, "", plain=False)
            self._refuse(
                "M003", "a key must be a name, not a list or a mapping", spot(self.file, here)
            )
            frame.refused = True
        elif node.plain and node.text == "<<":
            self._refuse(
                "M003",
                "merge keys (`<<`) are not part of YAML 1.2",
                spot(self.file, node),
                hint="write the keys out, or use an alias for the whole value",
            )
            frame.refused = True
        else:
            frame.key = node

    def _value(self, frame: _Frame, mapping: MappingNode, node: Node) -> None:
        key, frame.key, refused, frame.refused = frame.key, None, frame.refused, False
        if refused or key is None:
            return
        name = code_text(key.text) if frame.codes and key.plain else key.text
        if name in mapping.pairs:
            first = mapping.pairs[name][0].start.line + 1
            self._refuse(
                "M002",
                f"`{name}` is written twice",
                spot(self.file, key),
                hint=f"the first one is in line {first}; keep one of them",
            )
            return
        mapping.pairs[name] = (key, node)

    def _refuse_tag(self, tag: str, node: Scalar) -> None:
        name = tag.replace("tag:yaml.org,2002:", "!!")
        self._refuse(
            "M003",
            f"the tag `{name}` is not known here",
            spot(self.file, node),
            hint="`!secret name` is the only tag of the model",
        )

    def _refuse(
        self, code: str, message: str, place: Place | None = None, *, hint: str = ""
    ) -> None:
        place = place or Place(self.file, 1, 1)
        line = source_line(self.lines, place)
        found = problem(code, "", message, place=place, hint=hint, source_line=line)
        self.problems.append(found)


def _events(text: str) -> Iterator[Any]:
    parser = CParser(text)
    while parser.check_event():
        yield parser.get_event()


def _place_of(file: str, error: yaml.MarkedYAMLError) -> Place | None:
    mark = error.problem_mark or error.context_mark
    return Place(file, mark.line + 1, mark.column + 1) if mark is not None else None


def _syntax(error: yaml.MarkedYAMLError) -> str:
    said = error.problem or "not YAML"
    if error.context and error.context_mark is not None:
        return f"{said} ({error.context} from line {error.context_mark.line + 1})"
    return said


def _advice(error: yaml.MarkedYAMLError) -> str:
    match error.problem:
        case "mapping values are not allowed in this context":
            return "a text that contains `: ` needs quotes; else look at the indentation"
        case "found character that cannot start any token":
            return "indent with spaces, not tabs; a text that starts with @, ` or % needs quotes"
        case "did not find expected ',' or '}'" | "did not find expected ',' or ']'":
            return "a `${…}` inside braces or brackets needs quotes; else one is not closed"
        case "found incompatible YAML document":
            return "remove the %YAML line; the model is YAML 1.2"
        case "found unexpected end of stream":
            return "a closing quote is missing"
        case _:
            return "look at the indentation and the brackets around this line"


def _ordinal(character: str | int) -> int:
    return ord(character) if isinstance(character, str) else character
