"""`isthmus sql`: ask the lake and the logs, whether the platform runs or not."""

import json
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from isthmus.base.clock import iso, to_micros
from isthmus.base.problem import ProblemsError
from isthmus.cli.screen import screen


class Format(StrEnum):
    """How to print; `arrow` is an IPC stream for another program."""

    table = "table"
    csv = "csv"
    json = "json"
    arrow = "arrow"


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over the tables of ARCHITECTURE.md.")],
    folder: Annotated[
        Path | None, typer.Option("--model", help="The model; default: the one that runs here.")
    ] = None,
    form: Annotated[Format, typer.Option("--format")] = Format.table,
    max_rows: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 100_000,
    timeout: Annotated[float, typer.Option(help="Seconds.", min=0.1)] = 60.0,
) -> None:
    """Answer one SELECT from the data folder; nothing is ever changed."""
    from isthmus.data.restricted import RefusedError, truncated
    from isthmus.flow.parcel import DamagedError
    from isthmus.runtime.open import load_plant, model_folder, plant_now
    from isthmus.runtime.reading import reading

    try:
        facts = "oee_fact" in query.lower()
        with reading(load_plant(model_folder(folder)), plant_now(), facts=facts) as lake:
            found = lake.user_query(query, max_rows=max_rows, timeout=timeout, memory="2GB")
    except (ProblemsError, DamagedError, RefusedError, FileNotFoundError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    show(found, form)
    if truncated(found):
        typer.echo(f"only the first {max_rows} rows are shown (--max-rows)", err=True)


def show(found: pa.Table, form: Format) -> None:
    match form:
        case Format.table:
            _print_table(found)
        case Format.csv:
            _print_csv(found)
        case Format.json:
            json.dump(found.to_pylist(), sys.stdout, indent=2, default=_plain, ensure_ascii=False)
            print()
        case Format.arrow:
            with pa.ipc.new_stream(sys.stdout.buffer, found.schema) as writer:
                writer.write_table(found)


def _plain(value: Any) -> str | float:
    if isinstance(value, Decimal):  # a sum of integers is one in DuckDB
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return iso(to_micros(value)) if value.tzinfo else value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, date) else str(value)


def _print_csv(found: pa.Table) -> None:
    from csv import writer

    lines = writer(sys.stdout)
    lines.writerow(found.column_names)
    for batch in found.to_batches():
        for row in zip(*batch.to_pydict().values(), strict=True):
            lines.writerow([_cell(value) for value in row])


def _cell(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else _plain(value)


def _print_table(found: pa.Table) -> None:
    from rich.table import Table

    shown = Table(*found.column_names)
    for row in zip(*found.to_pydict().values(), strict=True):
        shown.add_row(*("" if value is None else str(_cell(value)) for value in row))
    # A pipe has no width: nothing is cut there.
    screen(width=None if sys.stdout.isatty() else 10_000).print(shown)
