"""Puts one value into a YAML text and leaves every other character as it was."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from isthmus.model.write.flow import Raw, flow

Path = Sequence[str]
_STEP: Final = "  "


class NotEditableError(Exception):
    """The text is written in a way that only a person should change."""


def put(text: str, document: int, path: Path, value: Any) -> str:
    """The text with `value` at `path` of its n-th document; what is missing above is made.

    An existing value is replaced, the comment behind it stays. NotEditableError where the place
    is shared by an alias or is no mapping.
    """
    node, key, depth = _find(text, document, path)
    if depth == len(path):
        return _replaced(text, document, path, node, value)
    rest = path[depth:]
    if isinstance(node, yaml.MappingNode):
        return _into(text, node, rest, value)
    if _is_empty(node) and key is not None:
        return _below(text, key, node, rest, value)
    raise NotEditableError(f"`{'.'.join(path[:depth])}` is no mapping")


def merge(text: str, document: int, path: Path, value: Mapping[str, Any]) -> str:
    """The text in which the mapping at `path` has these entries; those that stay are not touched.

    A `Raw` value that stands there already stays, with its comment; missing keys go.
    """
    node = raw_value(text, document, path)
    if not isinstance(node, yaml.MappingNode):
        raise NotEditableError(f"`{'.'.join(path)}` is no mapping")
    there = {key.value: below for key, below in node.value}
    for name, one in value.items():
        below = there.get(name)
        if isinstance(one, Mapping) and isinstance(below, yaml.MappingNode):
            text = _inside(text, document, (*path, name), below, one)
        elif below is None or not _stands(text, below, one):
            text = put(text, document, (*path, name), one)
    for name in there.keys() - value.keys():
        text = remove(text, document, (*path, name))
    return text


def append(text: str, document: int, path: Path, value: Any) -> str:
    """The text with one more item in the list at `path`."""
    node, _, depth = _find(text, document, path)
    if depth < len(path) or not isinstance(node, yaml.SequenceNode):
        raise NotEditableError(f"`{'.'.join(path)}` is no list")
    if node.flow_style:
        return _into_flow(text, node, flow(value))
    end = _line_end(text, _content_end(text, node))
    column = _item_column(text, node)
    return f"{text[:end]}\n{' ' * column}- {flow(value)}{text[end:]}"


def remove(text: str, document: int, path: Path) -> str:
    """The text without the entry at `path`; of a block mapping its lines go as a whole."""
    parent, _, _ = _find(text, document, path[:-1])
    node, key, depth = _find(text, document, path)
    if depth < len(path) or key is None or not isinstance(parent, yaml.MappingNode):
        raise NotEditableError(f"`{'.'.join(path)}` is not written there")
    if parent.flow_style:
        return _out_of_flow(text, parent, key)
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    end = _line_end(text, max(_content_end(text, node), key.end_mark.index))
    return text[:start] + text[end + 1 :]


def raw_value(text: str, document: int, path: Path) -> yaml.Node | None:
    """The node at `path`, to be copied; None where there is none."""
    node, _, depth = _find(text, document, path)
    return node if depth == len(path) else None


# Finding -------------------------------------------------------------------------------------


def _find(text: str, document: int, path: Path) -> tuple[yaml.Node, yaml.ScalarNode | None, int]:
    """The node at `path` or the nearest above, its key, and how many steps we came."""
    roots = list(yaml.compose_all(text, Loader=yaml.CBaseLoader))
    node: yaml.Node = roots[document]
    key: yaml.ScalarNode | None = None
    for depth, step in enumerate(path):
        found = _child(node, step)
        if found is None:
            return node, key, depth
        below, value = found
        if value.start_mark.index < below.start_mark.index:
            said = f"`{'.'.join(path[: depth + 1])}` is an alias of something written elsewhere"
            raise NotEditableError(said)
        key, node = below, value
    return node, key, len(path)


def _child(node: yaml.Node, step: str) -> tuple[yaml.ScalarNode, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == step:
                return key, value
    return None


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.start_mark.index == node.end_mark.index


def _content_end(text: str, node: yaml.Node) -> int:
    """Behind the last character of a value; a block ends where its last value ends."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        value = last[1] if isinstance(last, tuple) else last
        if _is_empty(value) and isinstance(last, tuple):
            return text.index(":", last[0].end_mark.index) + 1
        return _content_end(text, value)
    return len(text[: node.end_mark.index].rstrip())


def _line_end(text: str, position: int) -> int:
    found = text.find("\n", position)
    return len(text) if found < 0 else found


def _item_column(text: str, node: yaml.SequenceNode) -> int:
    first = node.value[0].start_mark.index
    line = text.rfind("\n", 0, first) + 1
    return text.index("-", line) - line


# Changing ------------------------------------------------------------------------------------


def _inside(
    text: str, document: int, path: Path, node: yaml.MappingNode, value: Mapping[str, Any]
) -> str:
    """Entry by entry, but for a mapping that becomes empty or was: lines cannot say `{}`."""
    if value and node.value:
        return merge(text, document, path, value)
    if not value and not node.value:
        return text
    return put(remove(text, document, path), document, path, value)


def _stands(text: str, node: yaml.Node, value: Any) -> bool:
    """Whether it says this already; a list, if all of it does."""
    match node, value:
        case yaml.ScalarNode(), Raw():
            return value.text in {_text(text, node), flow(node.value)}
        case yaml.SequenceNode(), list():
            return len(node.value) == len(value) and all(
                _stands(text, *both) for both in zip(node.value, value, strict=True)
            )
        case _:
            return False


def _text(text: str, node: yaml.Node) -> str:
    return text[node.start_mark.index : node.end_mark.index].strip()


def _replaced(text: str, document: int, path: Path, node: yaml.Node, value: Any) -> str:
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and isinstance(value, list):
        return _listed(text, node, value)
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        return _merged(text, document, path, node, value)
    start, end = node.start_mark.index, _content_end(text, node)
    if _is_empty(node):
        return f"{text[:start]} {flow(value)}{text[start:]}"
    return text[:start] + flow(value) + text[end:]


def _listed(text: str, node: yaml.SequenceNode, value: Sequence[Any]) -> str:
    """A list in lines of its own keeps them; an item that stays keeps its line and comment."""
    start = text.rfind("\n", 0, node.value[0].start_mark.index) + 1
    end = _line_end(text, _content_end(text, node))
    column = " " * _item_column(text, node)
    old = {_text(text, one): _line_of(text, one) for one in node.value if _is_one_line(one)}
    lines = [old.get(flow(one), f"{column}- {flow(one)}") for one in value]
    return text[:start] + ("\n".join(lines) or f"{column}[]") + text[end:]


def _is_one_line(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.start_mark.line == node.end_mark.line


def _line_of(text: str, node: yaml.Node) -> str:
    start = text.rfind("\n", 0, node.start_mark.index) + 1
    return text[start : _line_end(text, node.end_mark.index)]


def _merged(text: str, document: int, path: Path, node: yaml.Node, value: Any) -> str:
    """A mapping in lines of its own keeps them: each key is put or removed by itself."""
    if not isinstance(node, yaml.MappingNode) or not isinstance(value, Mapping):
        raise NotEditableError(f"`{'.'.join(path)}` stands in several lines")
    gone = [key.value for key, _ in node.value if key.value not in value]
    for name, one in value.items():
        text = put(text, document, (*path, str(name)), one)
    for name in gone:
        text = remove(text, document, (*path, name))
    return text


def _into(text: str, node: yaml.MappingNode, rest: Path, value: Any) -> str:
    if node.flow_style:
        nested: Any = value
        for step in reversed(rest[1:]):
            nested = {step: nested}
        return _into_flow(text, node, f"{flow(rest[0])}: {flow(nested)}")
    first, last = node.value[0][0], node
    end = _line_end(text, _content_end(text, last))
    column = first.start_mark.column
    lines = _lines(rest, value, " " * column, _value_column(node) if len(rest) == 1 else 0)
    return f"{text[:end]}\n{lines}{text[end:]}"


def _into_flow(text: str, node: yaml.CollectionNode, entry: str) -> str:
    closing = node.end_mark.index - 1
    if not node.value:
        return f"{text[: node.start_mark.index + 1]}{entry}{text[closing:]}"
    last = node.value[-1]
    end = (last[1] if isinstance(last, tuple) else last).end_mark.index
    if "," in text[end:closing]:
        return f"{text[:closing].rstrip()} {entry}{text[closing:]}"
    return f"{text[:end]}, {entry}{text[end:]}"


def _out_of_flow(text: str, parent: yaml.MappingNode, key: yaml.Node) -> str:
    """An entry leaves `{…}` with the comma that parted it from its neighbour."""
    keys = [each.value for each, _ in parent.value]
    place = keys.index(key.value)
    if place + 1 < len(keys):
        return text[: key.start_mark.index] + text[parent.value[place + 1][0].start_mark.index :]
    before = parent.value[place - 1][1].end_mark.index if place else key.start_mark.index
    return text[:before] + text[parent.value[place][1].end_mark.index :]


def _below(text: str, key: yaml.ScalarNode, node: yaml.Node, rest: Path, value: Any) -> str:
    """A key without a value gets its first entry."""
    end = _line_end(text, key.end_mark.index)
    if text[node.start_mark.index : end].partition("#")[0].strip():
        raise NotEditableError(f"`{key.value}` stands in one line with others")
    lines = _lines(rest, value, " " * key.start_mark.column + _STEP, 0)
    return f"{text[:end]}\n{lines}{text[end:]}"


def _lines(rest: Path, value: Any, indent: str, value_column: int) -> str:
    lines = [f"{indent}{_STEP * depth}{flow(step)}:" for depth, step in enumerate(rest)]
    width = max(value_column - len(lines[-1]), 1)
    lines[-1] += " " * width + flow(value)
    return "\n".join(lines)


def _value_column(node: yaml.MappingNode) -> int:
    """Where most values stand, if a person put them below each other; else 0."""
    columns = Counter(
        value.start_mark.column
        for key, value in node.value
        if value.start_mark.line == key.start_mark.line and not _is_empty(value)
    )
    if not columns:
        return 0
    column, times = columns.most_common(1)[0]
    return column if times > 1 and times > len(node.value) / 2 else 0
