"""`isthmus browse SOURCE`: what there is in a source's address space."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from isthmus.base.clock import SystemClock, iso
from isthmus.base.problem import ProblemsError
from isthmus.cli.probe import devices, find, told
from isthmus.cli.screen import screen
from isthmus.field.browse import Crawled, Found, NodeIndex
from isthmus.field.connector import Refused, Unreachable, Unsupported
from isthmus.model.plant import Plant, Source
from isthmus.runtime.browse import Browsing
from isthmus.runtime.open import load_plant, model_folder
from isthmus.runtime.settings import Settings

_LOOK = 0.25
"""Seconds between two looks at the progress."""


def browse(
    source: Annotated[str, typer.Argument(help="A source of the model, such as `im07`.")],
    folder: Annotated[
        Path | None, typer.Argument(help="The model: a folder of YAML files; default: what runs.")
    ] = None,
    *,
    search: Annotated[str, typer.Option(help="Words that name, path or comment must have.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many nodes to show.")] = 100,
    again: Annotated[bool, typer.Option("--again", help="Ask the device anew.")] = False,
    output: Annotated[
        Literal["table", "json"], typer.Option("--format", help="How to print.")
    ] = "table",
) -> None:
    """List the nodes of a source with type, unit and path; what was found once is kept."""
    console = screen(errors=True)
    try:
        plant = load_plant(model_folder(folder))
        browsing = browsing_of(find(plant, source), plant)
        crawled = crawl(browsing, console, again=again)
    except (ProblemsError, LookupError, Unreachable, Refused, Unsupported) as error:
        console.print(told(error, source), soft_wrap=True)
        raise typer.Exit(1) from None
    found = NodeIndex(crawled.nodes).search(search, limit=limit)
    if output == "json":
        print(json.dumps(as_json(crawled, found), ensure_ascii=False, indent=2))
    else:
        show(crawled, found, screen())


def browsing_of(source: Source, plant: Plant) -> Browsing:
    return Browsing(source, Settings.of(), SystemClock(), look=devices(plant).look)


def crawl(browsing: Browsing, console: Console, *, again: bool = False) -> Crawled:
    """Look around, telling how far it is; what is stored already is taken, and said to be."""
    stored = None if again else browsing.stored()
    if stored is not None and stored.crawled.complete:
        console.print(f"as found at {iso(stored.at)}; --again asks the device anew")
        return stored.crawled
    if stored is not None:
        console.print(f"going on after {len(stored.crawled.nodes)} nodes")
    return asyncio.run(_watched(browsing, console, again=again))


async def _watched(browsing: Browsing, console: Console, *, again: bool) -> Crawled:
    running = asyncio.create_task(browsing.run(again=again))
    with console.status("connecting") as status:
        while not (await asyncio.wait({running}, timeout=_LOOK))[0]:
            if (now := browsing.progress) is not None:
                status.update(f"{now.nodes} nodes, {now.waiting} folders to open")
    return running.result()


def as_json(crawled: Crawled, found: Found) -> dict[str, object]:
    return {
        "total": found.total,
        "complete": crawled.complete,
        "cut": crawled.cut,
        "refused": dict(crawled.refused),
        "nodes": [asdict(node) for node in found.nodes],
    }


def show(crawled: Crawled, found: Found, console: Console) -> None:
    table = Table("name", "type", "unit", "path", "tag", "comment")
    for node in found.nodes:
        table.add_row(node.name, node.type, node.unit, node.path, node.tag, node.description)
    if found.nodes:
        console.print(table)
    shown = len(found.nodes)
    more = f", {shown} shown; --search and --limit show others" if shown < found.total else ""
    console.print(f"{found.total} of {len(crawled.nodes)} nodes{more}", soft_wrap=True)
    for tag, why in crawled.refused.items():
        console.print(f"not shown by the device: `{tag}` ({why})", soft_wrap=True)
    if crawled.cut:
        console.print("there are more than we keep; browse a smaller part", soft_wrap=True)
