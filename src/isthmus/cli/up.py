"""`isthmus up FOLDER`: run the platform for a model, and start it again when it dies."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from isthmus.runtime.supervisor import Program, StartError, Supervisor

READY = "isthmus is ready"


def up(
    folder: Annotated[Path, typer.Argument(help="The model: a folder of YAML files.")],
) -> None:
    """Run the embedded platform for the model in FOLDER until Ctrl-C or SIGTERM."""
    console = Console(stderr=True, highlight=False)
    supervisor = Supervisor([[platform_program(folder, {})]], console.print)
    try:
        asyncio.run(supervisor.run())
    except StartError as failed:
        console.print(str(failed), style="red", markup=False, emoji=False)
        raise typer.Exit(1) from None


def platform_program(folder: Path, env: Mapping[str, str]) -> Program:
    """The platform as a child process; it prints READY when pages and intake work."""
    command = [sys.executable, "-m", "isthmus.runtime.serve", str(folder.resolve())]
    return Program("the platform", command, env, ready=READY)
