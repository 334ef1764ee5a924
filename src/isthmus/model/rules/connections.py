"""Sources and systems: used, told apart, and without passwords in plain text."""

from collections.abc import Iterator, Sequence
from typing import Final

from isthmus.base.problem import Problem
from isthmus.model.declaration import Declaration, Declared
from isthmus.model.document import Document, ListNode, MappingNode, Node, Path, Scalar
from isthmus.model.masking import is_secret_key, url_password
from isthmus.model.plant import Kinds
from isthmus.model.spec.site import Budget, SourceSpec
from isthmus.model.tag_text import filled, parameters, values_for

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
    """Two sources may use one gateway or broker; reading the same tags there is a mistake."""
    reaching: dict[tuple[object, ...], list[Declared[SourceSpec]]] = {}
    for source in declaration.sources.values():
        keys = [key for key in ENDPOINT if key in type(source.spec).model_fields]
        if keys:
            reached = (source.site, source.spec.kind, *(getattr(source.spec, key) for key in keys))
            reaching.setdefault(reached, []).append(source)
    for group in reaching.values():
        first, tags = group[0], _tags(declaration, group[0].name) if len(group) > 1 else set()
        for source in group[1:]:
            if twice := sorted(tags & _tags(declaration, source.name)):
                said = f"`{source.name}` reads `{twice[0]}` at the same endpoint as `{first.name}`"
                hint = f"`{first.name}` is in {first.spot()}; correct the address or use one source"
                key = next(key for key in ENDPOINT if key in type(source.spec).model_fields)
                yield source.problem("M045", (key,), said, hint)


def shared_budgets(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    """What sources of one device declare holds for all of them together."""
    reaching: dict[tuple[str, str], list[Declared[SourceSpec]]] = {}
    for source in declaration.sources.values():
        if source.spec.enabled and source.spec.budget_holds_for is not None:
            reaching.setdefault((source.site, source.spec.budget_holds_for), []).append(source)
    for (_, device), group in reaching.items():
        for key in Budget.model_fields:
            yield from _differing(device, group, key)
        yield from _too_few(device, group)


def _differing(device: str, group: Sequence[Declared[SourceSpec]], key: str) -> Iterator[Problem]:
    """Only those who declare it: one source may well speak for the others."""
    saying = [one for one in group if key in one.spec.budget.model_fields_set]
    for other in saying[1:]:
        first, second = (getattr(one.spec.budget, key) for one in (saying[0], other))
        if first != second:
            said = f"`{saying[0].name}` allows another number for the same device, {device}"
            hint = f"the stricter one holds for both; that one is in {saying[0].spot()}"
            yield other.problem("M080", ("budget", key), said, hint)


def _too_few(device: str, group: Sequence[Declared[SourceSpec]]) -> Iterator[Problem]:
    needed = sum(one.spec.intake_connections for one in group)
    for one in group:
        most = one.spec.budget.connections
        if most is not None and most < needed:
            who = f"{len(group)} sources read" if len(group) > 1 else "its intake reads"
            said = f"{who} from {device} and may need {needed} connections"
            hint = f"allow {needed}, or read all its tags through one source"
            yield one.problem("M079", ("budget", "connections"), said, hint)


def _tags(declaration: Declaration, source: str) -> set[str]:
    """All tags that machines read from a source; those with missing parameters left out."""
    found: set[str] = set()
    for machine in declaration.machines:
        machine_type = declaration.machine_types.get(machine.spec.type)
        if machine.spec.source == source and machine_type is not None:
            values = values_for(machine_type.spec, machine.spec.params)
            mappings = machine_type.spec.map.values()
            tags = [tag for mapping in mappings for _, tag in mapping.tags()]
            found.update(filled(t, values) for t in tags if values.keys() >= {*parameters(t)})
    return found - {""}


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
