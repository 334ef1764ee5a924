"""`isthmus check [FOLDER]`: everything that is wrong with a model, before anything runs."""

from pathlib import Path
from typing import Annotated

import typer

from isthmus.base.german import Language
from isthmus.model.report import Format

Folder = Annotated[
    Path,
    typer.Argument(exists=True, file_okay=False, help="The model: a folder of YAML files."),
]


def check(
    folder: Folder = Path(),
    form: Annotated[Format, typer.Option("--format", help="How to print.")] = "text",
    language: Annotated[Language, typer.Option("--lang", help="Language of the findings.")] = "en",
) -> None:
    """Find every mistake of a model with file, line and hint; exit 1 if there is an error."""
    from isthmus.model.load import read
    from isthmus.model.report import report
    from isthmus.runtime.open import kinds

    loaded = read(folder, kinds())
    print(report(loaded.problems, form, language))
    if loaded.plant is None:
        raise typer.Exit(1)
