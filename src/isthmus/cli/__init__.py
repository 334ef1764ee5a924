"""What a person types; one file per command, heavy imports inside the command."""

from importlib import import_module
from typing import Final

import typer

import isthmus

app = typer.Typer(
    name="isthmus",
    help="Joins the machines of a manufacturing company to its business systems.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: Final = (
    "check", "plan", "apply", "schema", "probe", "up", "demo", "kpi", "calendar", "sql",
)  # fmt: skip
"""A command is a function of the same name in a file of the same name."""


def _version(wanted: bool) -> None:
    if wanted:
        print(isthmus.__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True),
) -> None:
    pass


for _name in COMMANDS:
    app.command(_name)(getattr(import_module(f"isthmus.cli.{_name}"), _name))
app.add_typer(import_module("isthmus.cli.token").token, name="token")
