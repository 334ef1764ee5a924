"""`isthmus apply [FOLDER]`: make the running platform what the model says."""

import asyncio
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from isthmus.runtime.settings import Settings


class Format(StrEnum):
    """How to print."""

    text = "text"
    json = "json"


def apply(
    folder: Annotated[Path, typer.Argument(help="The model: a folder of YAML files.")] = Path(),
    form: Annotated[Format, typer.Option("--format")] = Format.text,
) -> None:
    """Carry out what `isthmus plan` shows; what did not change goes on without a pause."""
    from isthmus.runtime.control import NotRunning, ask

    settings = Settings.of()
    question = {"do": "apply", "folder": str(folder.resolve())}
    try:
        answer = asyncio.run(ask(settings.control, question))
    except NotRunning as error:
        typer.echo(f"{error}. Start it: isthmus up {folder}", err=True)
        raise typer.Exit(2) from None
    if form is Format.json:
        print(json.dumps(answer, indent=2))
    else:
        _print(answer)
    if "changes" not in answer:
        raise typer.Exit(1)


def _print(answer: object) -> None:
    match answer:
        case {"changes": []}:
            print("nothing to change")
        case {"changes": [*_], "text": str(text)}:
            print(text)  # as `isthmus plan` showed it
            print("applied")
        case {"problems": [*problems]}:
            for problem in problems:
                place = problem["place"]
                where = f" ({place['file']}:{place['line']})" if place else ""
                print(f"{problem['severity']}[{problem['code']}] {problem['message']}{where}")
            print("nothing was applied; `isthmus check` shows the places")
        case _:
            print(answer)
