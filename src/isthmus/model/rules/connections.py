"""Sources and systems: used, told apart, and without passwords in plain text."""

from collections.abc import Iterator
from typing import Final

from isthmus.base.problem import Problem
from isthmus.model.declaration import Declaration, Declared
from isthmus.model.document import Document, ListNode, MappingNode, Node, Path, Scalar
from isthmus.model.masking import is_secret_key, url_password
from isthmus.model.plant import Kinds
from isthmus.model.spec.site import SourceSpec

ENDPOINT: Final = (
    "endpoint",
    "url",
    "host",
    "port",
    "unit",
    "unit_id",
    "device_id",
    "device",
    "path",
)
"""Keys that say what a source reaches; sources that agree in all they have reach the same."""


def unused_sources(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    used = {machine.spec.source for machine in declaration.machines}
    for name, source in declaration.sources.items():
        if name not in used:
            said = f"no machine reads from `{name}`"
            yield source.problem(
                "M044", (), said, "remove it, or name it at a machine", at_key=True
            )


def shared_endpoints(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    first: dict[tuple[object, ...], Declared[SourceSpec]] = {}
    for name, source in declaration.sources.items():
        keys = [key for key in ENDPOINT if key in type(source.spec).model_fields]
        if not keys:
            continue
        reached = (source.site, source.spec.kind, *(getattr(source.spec, key) for key in keys))
        other = first.setdefault(reached, source)
        if other is not source:
            said = f"`{name}` reaches the same endpoint as `{other.name}`"
            hint = f"`{other.name}` is in {other.spot()}; correct the address, or use one source"
            yield source.problem("M045", (keys[0],), said, hint)


def plain_passwords(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for declared in (*declaration.sources.values(), *declaration.systems.values()):
        _, node, _ = declared.document.find(declared.path)
        for path in _plain(node, ()):
            key = str(path[-1])
            secret = f"{declared.name}-{key}" if is_secret_key(key) else declared.name
            said = f"the password in `{key}` can be read by everybody who sees the model"
            yield _silent(declared.document, (*declared.path, *path), said, secret)


def _plain(node: Node, path: Path) -> Iterator[Path]:
    match node:
        case Scalar():
            named = bool(path) and is_secret_key(str(path[-1]))
            if (named and _is_plain(node)) or url_password(node.text):
                yield path
        case MappingNode():
            for key, (_, value) in node.pairs.items():
                yield from _plain(value, (*path, key))
        case ListNode():
            for position, item in enumerate(node.items):
                yield from _plain(item, (*path, position))


def _is_plain(node: Scalar) -> bool:
    return not node.secret and "${" not in node.text and node.text != ""


def _silent(document: Document, path: Path, said: str, secret: str) -> Problem:
    hint = f"write `!secret {secret}` and keep the value in secrets.yaml"
    return document.problem("M046", path, said, hint)
