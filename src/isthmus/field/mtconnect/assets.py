"""Assets of an agent: tools, fixtures, programs, with what is known of each right now."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from isthmus.base.clock import Micros
from isthmus.field.mtconnect.values import read_time


@dataclass(frozen=True)
class Step:
    """One element on the way down: its name, and what its attributes must be."""

    name: str
    where: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Asset:
    """One asset as an agent describes it."""

    id: str
    type: str
    time: Micros | None
    """None where it cannot be read."""
    removed: bool
    element: Any

    def find(self, steps: tuple[Step, ...], attribute: str = "") -> list[str]:
        """Texts, or attributes, of all elements that the steps lead to; without steps its own."""
        places = [self.element]
        for step in steps:
            places = [found for place in places for found in _below(place, step)]
        if attribute:
            return [text for place in places if (text := place.get(attribute)) is not None]
        return ["".join(place.itertext()).strip() for place in places]


def assets(root: Any) -> Iterator[Asset]:
    """Of an MTConnectAssets document of any version."""
    for container in root:
        if _local(container) == "Assets":
            for element in container:
                if element.get("assetId") is not None:
                    yield _asset(element)


def _asset(element: Any) -> Asset:
    return Asset(
        id=element.get("assetId", ""),
        type=_local(element),
        time=_time(element.get("timestamp", "")),
        removed=element.get("removed", "").lower() == "true",
        element=element,
    )


def _below(place: Any, step: Step) -> list[Any]:
    return [
        element
        for element in place.iterdescendants()
        if _local(element) == step.name
        and all(element.get(attribute) == value for attribute, value in step.where)
    ]


def _time(text: str) -> Micros | None:
    try:
        return read_time(text)
    except ValueError:
        return None


def _local(element: Any) -> str:
    name = element.tag
    return name.rpartition("}")[2] if isinstance(name, str) else ""
