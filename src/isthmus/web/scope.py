"""Where in the company a page looks: an asset path with its titles, parents and children."""

from dataclasses import dataclass
from typing import Literal

from isthmus.model.plant import Machine, Plant

Level = Literal["enterprise", "site", "area", "line", "machine"]
LEVELS: tuple[Level, ...] = ("enterprise", "site", "area", "line", "machine")


@dataclass(frozen=True)
class Scope:
    """One node of the equipment hierarchy."""

    path: str
    title: str
    level: Level
    timezone: str

    @property
    def parent(self) -> str | None:
        return self.path.rpartition("/")[0] or None


def scope_at(plant: Plant, path: str) -> Scope | None:
    """The node at an asset path; None if the company has no such place."""
    parts = path.split("/")
    if parts[0] != plant.enterprise or len(parts) > len(LEVELS) or not _exists(plant, parts):
        return None
    site = plant.sites.get(parts[1]) if len(parts) > 1 else None
    zone = site.timezone if site else plant.timezone
    return Scope(path, _title(plant, parts), LEVELS[len(parts) - 1], zone)


def trail(plant: Plant, scope: Scope) -> list[Scope]:
    """From the company down to `scope` itself."""
    parts = scope.path.split("/")
    found = (scope_at(plant, "/".join(parts[: n + 1])) for n in range(len(parts)))
    return [node for node in found if node is not None]


def children(plant: Plant, scope: Scope) -> list[Scope]:
    """One level down, in the order of the model's files."""
    depth = len(scope.path.split("/")) + 1
    paths = dict.fromkeys(
        "/".join(machine.path.split("/")[:depth])
        for machine in plant.scope(scope.path)
        if machine.path != scope.path
    )
    found = (scope_at(plant, path) for path in paths)
    return [node for node in found if node is not None]


def tree(plant: Plant) -> list[tuple[int, Scope]]:
    """Every node with its depth, depth first: the scope switcher."""
    root = scope_at(plant, plant.enterprise)
    return _below(plant, root, 0) if root else []


def machine_title(machine: Machine) -> str:
    return machine.name or machine.path.rpartition("/")[2]


def _below(plant: Plant, scope: Scope, depth: int) -> list[tuple[int, Scope]]:
    nodes = [(depth, scope)]
    for child in children(plant, scope):
        nodes += _below(plant, child, depth + 1)
    return nodes


def _exists(plant: Plant, parts: list[str]) -> bool:
    path = "/".join(parts)
    if len(parts) == 1:
        return True
    return (len(parts) == 2 and parts[1] in plant.sites) or bool(plant.scope(path))


def _title(plant: Plant, parts: list[str]) -> str:
    slug = parts[-1]
    match len(parts):
        case 1:
            return plant.title or slug
        case 2:
            return plant.sites[slug].title or slug
        case 3:
            return plant.sites[parts[1]].areas.get(slug) or slug
        case 4:
            return plant.sites[parts[1]].lines.get(f"{parts[2]}/{slug}") or slug
        case _:
            return machine_title(plant.machines["/".join(parts)])
