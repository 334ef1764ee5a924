"""The reference page of the blocks and code systems that Isthmus brings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.docs.pages import made_from

from isthmus.model.plant import Plant
from isthmus.model.spec.block import Block, BlockField, CodeSystem
from isthmus.runtime.open import load_plant

ABOUT: Final = """\
Isthmus brings these blocks and code systems, named after the companion specifications, with units
and with names in English and German. List a block under `blocks` of a machine type and map its
fields; a machine need not fill all of them. A company that declares a block or a code system of
the same name replaces it.

Numbers of code systems are those of the specifications' NodeSets; a test compares them. OPC 30050
and OPC 30060 number the same PackML states differently: choose the code system, or write the
machine's own `codes`.
"""
WEIHENSTEPHAN: Final = """\
The Weihenstephan Standards number machine states (`WS_Cur_State`) as bits that the public NodeSet
does not hold: write the numbers of your machine's manual into the `codes` of its type.
"""


def bare_plant(folder: Path) -> Plant:
    """A company that declares nothing of its own."""
    (folder / "company.yaml").write_text("enterprise: bare\ntimezone: UTC\n", encoding="utf-8")
    return load_plant(folder)


def blocks_page(folder: Path) -> str:
    plant = bare_plant(folder)
    lines = ["# Ready blocks", "", ABOUT]
    for name, block in sorted(plant.blocks.items()):
        lines += _block(name, block)
    lines += ["## Code systems", "", "| code system | numbers of | values |", "|---|---|---|"]
    lines += [_code_system(one) for _, one in sorted(plant.code_systems.items())]
    return made_from("src/isthmus/model/library") + "\n".join([*lines, "", WEIHENSTEPHAN])


def _block(name: str, block: Block) -> Iterator[str]:
    yield from (f"## `{name}`", "", f"{block.doc} *{block.label['de']}.*", "")
    yield from ("| field | type | unit | what |", "|---|---|---|---|")
    for field, one in block.fields.items():
        yield f"| `{field}` | {_type(one)} | {_unit(one)} | {one.doc} |"
    yield ""


def _type(field: BlockField) -> str:
    return f"{field.type} `{field.values}`" if field.values else field.type


def _unit(field: BlockField) -> str:
    limits = [
        f"{word} {limit:g}"
        for word, limit in (("from", field.min), ("to", field.max))
        if limit is not None
    ]
    return " ".join(([f"`{field.unit}`"] if field.unit else []) + limits)


def _code_system(system: CodeSystem) -> str:
    values = [
        name if value.code is None else f"{name} {value.code}"
        for name, value in system.values.items()
    ]
    return f"| `{system.code_system}` | {system.model} | {', '.join(values)} |"
