"""`isthmus probe SOURCE`: does it answer, what comes, what does the mapping make of it."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from isthmus.base.clock import SystemClock, iso
from isthmus.base.problem import ProblemsError
from isthmus.cli.screen import screen
from isthmus.field.connector import Refused, Unreachable
from isthmus.model.plant import Plant, Source
from isthmus.model.suggest import did_you_mean_or_list
from isthmus.runtime.devices import Devices, Occupied
from isthmus.runtime.open import load_plant, model_folder
from isthmus.runtime.probe import Probed, TagSeen
from isthmus.runtime.probe import probe as look
from isthmus.runtime.settings import Settings


def probe(
    source: Annotated[str, typer.Argument(help="A source of the model, such as `im07`.")],
    folder: Annotated[
        Path | None, typer.Argument(help="The model: a folder of YAML files; default: what runs.")
    ] = None,
    *,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long to listen.")] = 5.0,
    output: Annotated[Literal["table", "json"], typer.Option("--format")] = "table",
) -> None:
    """Open one source, read for a few seconds, show what comes; nothing is left behind."""
    console = screen(errors=True)
    try:
        plant = load_plant(model_folder(folder))
        declared = find(plant, source)
    except (ProblemsError, LookupError) as error:
        console.print(str(error.args[0] if error.args else error))
        raise typer.Exit(1) from None
    result = asyncio.run(look(declared, plant, SystemClock(), seconds, look=devices(plant).look))
    if output == "json":
        print(json.dumps(as_json(result), ensure_ascii=False, indent=2))
    else:
        show(result, screen())
    raise typer.Exit(0 if result.works else 1)


def devices(plant: Plant) -> Devices:
    """Those that a platform on this data folder counts, too."""
    return Devices(Settings.of().data, lambda: plant)


def find(plant: Plant, name: str) -> Source:
    if name in plant.sources:
        return plant.sources[name]
    hint = did_you_mean_or_list(name, plant.sources, "sources")
    raise LookupError(f"no source `{name}` in this model; {hint}")


def told(error: Exception, source: str) -> str:
    """What a command says that could not use a source: which one, why, and what to type next."""
    said = str(error.args[0] if error.args else error)
    if isinstance(error, Occupied) or not isinstance(error, Unreachable | Refused):
        return said
    named = said if f"source `{source}`" in said else f"source `{source}`: {said}"
    if "isthmus probe" in named:
        return named
    return f"{named.rstrip('.')}. `isthmus probe {source}` says more."


def as_json(result: Probed) -> dict[str, object]:
    tags = [asdict(seen) | {"device_time": _time(seen)} for seen in result.tags]
    return asdict(result) | {"tags": tags, "works": result.works}


def show(result: Probed, console: Console) -> None:
    """The picture a person reads."""
    table = Table("tag", "value", "quality", "device time", "per s", "goes to", "problem")
    for seen in result.tags:
        feeds = "\n".join(seen.feeds) or "nothing (unmapped)"
        rate = f"{seen.per_second:g}"
        table.add_row(
            seen.tag, seen.value[:60], grade(seen.quality), _time(seen), rate, feeds, seen.problem
        )
    if result.tags:
        console.print(table)
    if result.details:
        console.print(" · ".join(f"{n} {v}" for n, v in result.details.items()))
    for sentence in result.attention:
        console.print(Text.assemble(("attention:", "yellow"), f" {sentence}"))
    for tag in result.silent if result.works else ():
        console.print(f"nothing came of `{tag}`")
    if result.trouble:
        console.print(f"`{result.source}` does not work: {result.trouble}")
        return
    made = ", ".join(f"{count} of {block}" for block, count in result.rows.items()) or "none"
    console.print(
        f"`{result.source}` ({result.kind}) works: {len(result.tags)} tags in {result.seconds:g} s;"
        f" rows: {made}; samples in quarantine: {result.quarantined}",
    )


def grade(quality: int) -> str:
    word = ("good", "uncertain", "bad", "bad")[quality >> 30]
    return word if quality in {0, 0x4000_0000, 0x8000_0000} else f"{word} 0x{quality:08X}"


def _time(seen: TagSeen) -> str:
    try:
        return iso(seen.device_time)
    except OverflowError:
        return str(seen.device_time)
