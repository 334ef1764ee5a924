"""Address spaces of the evaluation: many vendors' styles, each with the right answers.

A space is either `tuning` (looked at while the weights were chosen) or `test` (not looked at).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from isthmus.field.connector import Node
from isthmus.model.spec.block import Block

HERE = Path(__file__).parent
RECORDINGS = HERE.parents[3] / "shared" / "data"
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")

Answers = Mapping[str, frozenset[str]]
"""`block.field` → tags that are right."""


@dataclass(frozen=True)
class Space:
    """One address space with what is right for each of its machines."""

    name: str
    style: str
    split: Literal["tuning", "test"]
    nodes: tuple[Node, ...]
    samples: Mapping[str, tuple[float | str, ...]]
    blocks: tuple[str, ...]
    answers: Mapping[str, Answers]
    """Path of a machine (empty: the whole space) → its answers."""


def spaces() -> list[Space]:
    """Those that can be read here: one needs the folder of recordings."""
    return [
        _space(written)
        for written in map(_written, sorted((HERE / "spaces").glob("*.yaml")))
        if "devices" not in written or (RECORDINGS / written["devices"]).is_file()
    ]


def blocks() -> dict[str, Block]:
    """The blocks of the evaluation, by name; those of the library come with the model."""
    text = (HERE / "blocks.yaml").read_text(encoding="utf-8")
    library = Path(__file__).parents[3] / "src" / "isthmus" / "model" / "library"
    for name in ("machine_state", "part_count"):
        text += "\n---\n" + (library / f"{name}.yaml").read_text(encoding="utf-8")
    found = [Block.model_validate(one) for one in yaml.safe_load_all(text)]
    return {block.block: block for block in found}


def _written(file: Path) -> dict[str, Any]:
    written: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return written


def _space(written: Mapping[str, Any]) -> Space:
    samples: dict[str, tuple[float | str, ...]] = {}
    nodes = _recorded(written) if "devices" in written else list(_nodes(written, samples))
    by_place = {node.path: node.tag for node in nodes} | {node.tag: node.tag for node in nodes}
    return Space(
        name=written["space"],
        style=written["style"],
        split=written["split"],
        nodes=tuple(nodes),
        samples=samples,
        blocks=tuple(written["blocks"]),
        answers=dict(_answers(written, by_place)),
    )


def _answers(
    written: Mapping[str, Any], by_place: Mapping[str, str]
) -> Iterator[tuple[str, Answers]]:
    for machine in written.get("machines", [""]):
        given = written.get("answers_of", {}).get(machine) or written["answers"]
        prefix = "" if "answers_of" in written else machine
        right = {}
        for field, places in given.items():
            listed = [places] if isinstance(places, str) else places
            right[field] = frozenset(by_place[prefix + place] for place in listed)
        yield machine, right


def _nodes(
    written: Mapping[str, Any], samples: dict[str, tuple[float | str, ...]]
) -> Iterator[Node]:
    number = 0
    for folder_pattern, table in written["nodes"].items():
        for folder in _expanded(folder_pattern):
            for line in table.strip().splitlines():
                cells = [cell.strip() for cell in line.split("|")] + [""] * 5
                for name in _expanded(cells[0]):
                    number += 1
                    node = _node(written, folder, name, cells, number)
                    if cells[4]:
                        samples[node.tag] = tuple(map(_value, cells[4].split()))
                    yield node


def _node(
    written: Mapping[str, Any], folder: str, name: str, cells: list[str], number: int
) -> Node:
    below = folder.strip("/")
    separator = "/" if "}/{" in written["tag"] else "."
    tag = written["tag"].format(
        path=below.replace("/", separator), folder=below.rpartition("/")[2], name=name, n=number
    )
    path = f"{folder}/{name}"
    return Node(
        tag=tag,
        name=name.rpartition("/")[2],
        path=path,
        type=cells[1],
        unit=cells[2],
        description=cells[3],
        defined_by=_nearest(written.get("uris", {}), path),
        type_definition=written.get("types", {}).get(folder, ""),
    )


def _nearest(by_folder: Mapping[str, str], path: str) -> str:
    above = [folder for folder in by_folder if path.startswith(folder + "/")]
    return by_folder[max(above, key=len)] if above else ""


def _recorded(written: Mapping[str, Any]) -> list[Node]:
    """As the MTConnect connector browses it."""
    from isthmus.field.connectors.mtconnect.connector import _node as node_of
    from isthmus.field.mtconnect.documents import data_items, parse

    document = (RECORDINGS / written["devices"]).read_bytes()
    return [node_of(item) for item in data_items(parse(document))]


def _expanded(pattern: str) -> list[str]:
    """`Zone{1..3}` is three names."""
    found = _RANGE.search(pattern)
    if found is None:
        return [pattern]
    first, last = found[1], found[2]
    return [
        one
        for number in range(int(first), int(last) + 1)
        for one in _expanded(
            pattern[: found.start()] + str(number).zfill(len(first)) + pattern[found.end() :]
        )
    ]


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
