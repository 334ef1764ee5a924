"""`isthmus plan [FOLDER]`: what would change, and which sources it would interrupt."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from isthmus.base.german import Language
from isthmus.base.problem import Problem
from isthmus.cli.check import Folder
from isthmus.model.report import Format


def plan(
    folder: Folder = Path(),
    against: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Another model, instead of what runs."),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print.")] = "text",
    language: Annotated[Language, typer.Option("--lang", help="Language of the text.")] = "en",
) -> None:
    """Show what `isthmus apply` would change on the running platform; changes nothing."""
    if against is None:
        _ask(folder, form, language)
    else:
        _compare(against, folder, form, language)


def _compare(before: Path, after: Path, form: Format, language: Language) -> None:
    from isthmus.base.problem import ProblemsError
    from isthmus.model.changes import changes
    from isthmus.model.plan_text import plan_text
    from isthmus.runtime.open import load_plant

    try:
        print(plan_text(changes(load_plant(before), load_plant(after)), form, language))
    except ProblemsError as error:
        _refuse(error.problems, form, language)


def _ask(folder: Path, form: Format, language: Language) -> None:
    """The running platform knows what it runs, so it compares."""
    from isthmus.runtime.control import NotRunning, ask
    from isthmus.runtime.settings import Settings

    question = {"do": "plan", "folder": str(folder.resolve())}
    question |= {"format": form, "language": language}
    try:
        answer = asyncio.run(ask(Settings.of().control, question))
    except NotRunning as error:
        typer.echo(f"{error}. Compare two folders with --against.", err=True)
        raise typer.Exit(2) from None
    match answer:
        case {"plan": str(text)}:
            print(text)
        case {"problems": [*_]}:
            from isthmus.model.load import read
            from isthmus.runtime.open import kinds

            _refuse(list(read(folder, kinds()).problems), form, language)
        case _:
            typer.echo(json.dumps(answer), err=True)
            raise typer.Exit(1)


def _refuse(problems: list[Problem], form: Format, language: Language) -> NoReturn:
    from isthmus.model.report import report

    print(report(problems, form, language))
    raise typer.Exit(1)
