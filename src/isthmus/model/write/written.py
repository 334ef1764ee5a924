"""What stands at a place of the model's files, as it is written: references unread, quotes kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from isthmus.model.scalars import plain_value
from isthmus.model.write.edits import EditError
from isthmus.model.write.flow import Raw, flow
from isthmus.model.write.text import raw_value


@dataclass(frozen=True)
class Written(Raw):
    """One value of a file; put back, it changes nothing there."""

    shown: str = ""
    """As a person reads it: without quotes, `!secret sap` and `${NAME}` as they are."""
    value: Any = None
    """What the text means by itself; a reference stays its text."""

    @property
    def refers(self) -> bool:
        """Whether it only names what stands elsewhere."""
        return self.shown.startswith("!secret ") or "${" in self.shown


def written_at(texts: Mapping[str, str], site: str, path: tuple[str, ...]) -> dict[str, Any]:
    """Keys and values of one mapping of a site's document, variables and secrets unread."""
    for text in texts.values():
        for position, root in enumerate(yaml.compose_all(text, Loader=yaml.CBaseLoader)):
            if _says(root, site):
                node = raw_value(text, position, path)
                if isinstance(node, yaml.MappingNode):
                    return {key.value: _value(text, value) for key, value in node.value}
    raise EditError(f"`{'.'.join(path)}` is not written in one place; change it by hand")


def _says(root: yaml.Node, site: str) -> bool:
    return isinstance(root, yaml.MappingNode) and any(
        key.value == "site" and value.value == site for key, value in root.value
    )


def _value(text: str, node: yaml.Node) -> Any:
    match node:
        case yaml.MappingNode():
            return {key.value: _value(text, value) for key, value in node.value}
        case yaml.SequenceNode():
            return [_value(text, one) for one in node.value]
        case _:
            return _scalar(text, node)


def _scalar(text: str, node: yaml.Node) -> Written:
    raw = text[node.start_mark.index : node.end_mark.index].strip()
    if node.tag == "!secret":
        said = f"!secret {node.value}"
        return Written(said, said, said)
    if node.start_mark.line != node.end_mark.line:
        raw = flow(node.value)
    plain = not getattr(node, "style", "") and "${" not in node.value
    value = plain_value(node.value) if plain else node.value
    return Written(raw, "null" if value is None else node.value, value)
