"""What a person types; one file per command, loaded when it is called."""

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

import isthmus
from isthmus.runtime.settings import SettingsError

COMMANDS: Final = {
    "check": "Find every mistake of a model, with file, line and hint.",
    "plan": "Show what `apply` would change on the running platform.",
    "apply": "Make the running platform what the model says.",
    "schema": "Write the JSON Schema of the model.",
    "probe": "Try one source: what comes, and what the mapping makes of it.",
    "browse": "List what there is in a source's address space.",
    "suggest": "Propose which tags feed the fields of a machine, with reasons.",
    "machines": "Add many machines from a table, or one like another.",
    "plc": "Write data blocks for controllers, and the mapping that reads them.",
    "up": "Run the platform for a model.",
    "demo": "Run the reference company: two unlike plants, live.",
    "kpi": "Key figures after ISO 22400-2.",
    "calendar": "Shifts as elapsed time.",
    "sql": "Ask the lake and the logs in SQL.",
    "quarantine": "What was refused and why; shape it again once the cause is mended.",
    "certs": "Our certificate for OPC UA, and those of servers that we trust.",
    "token": "Tokens for programs that use the API.",
}
"""A command is a function (or a Typer of sub-commands) of the same name in a file of that name."""


class _Commands(TyperGroup):
    """Knows all commands by name and loads only the one that is called."""

    # Typer ships click under a private name: hence `Any` where click has its own types.
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name])

    def invoke(self, ctx: Any) -> Any:
        """A wrong setting is told by every command alike."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(command.name or ""), rest


def load(name: str) -> Any:
    """The command itself, with its options."""
    found: Any = getattr(import_module(f"isthmus.cli.{name}"), name)
    if not isinstance(found, typer.Typer):
        single = typer.Typer()
        single.command(name)(found)
        found = single
    command = typer.main.get_command(found)
    command.name = name
    return command


app = typer.Typer(
    cls=_Commands,
    name="isthmus",
    help="Joins the machines of a manufacturing company to its business systems.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(isthmus.__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True),
) -> None:
    pass
