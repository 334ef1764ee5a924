"""`isthmus kpi`: key figures of any part of the company, or of a file of sums."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from isthmus.base.problem import ProblemsError
from isthmus.cli.screen import screen


class Format(StrEnum):
    """How to print."""

    table = "table"
    json = "json"
    csv = "csv"


class Model(StrEnum):
    """Which time OEE is divided by (docs/concepts/oee.md)."""

    iso22400 = "iso22400"
    tpm = "tpm"
    setup_planned = "setup_planned"
    semi_e79 = "semi_e79"


SHOWN: Final = ("oee", "availability", "effectiveness", "quality_ratio", "nee", "coverage")


def kpi(  # noqa: PLR0917 - options of a command line
    scope: Annotated[
        str, typer.Option(help="Asset path: the company, a site, area, line or machine.")
    ] = "",
    start: Annotated[
        str, typer.Option("--from", help="Begin, ISO 8601 with zone; default: a day ago.")
    ] = "",
    end: Annotated[str, typer.Option("--to", help="End, ISO 8601 with zone; default: now.")] = "",
    by: Annotated[
        str,
        typer.Option(help="total, site, area, line, machine, shift, hour, day, month, order, …"),
    ] = "total",
    model: Annotated[Model, typer.Option("--time-model")] = Model.iso22400,
    facts: Annotated[
        Path | None,
        typer.Option(help="A CSV file of sums instead of the platform's data.", dir_okay=False),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--model", help="The model; default: the one that runs here.")
    ] = None,
    form: Annotated[Format, typer.Option("--format")] = Format.table,
) -> None:
    """Key figures after ISO 22400-2; what is undefined is empty and says why."""
    try:
        if facts is not None:
            rows = _of_file(facts, model)
        else:
            rows = _of_platform(folder, scope, start, end, by=by, model=model)
    except ProblemsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except (OSError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    _print(rows, form)


def _of_file(path: Path, model: Model) -> list[dict[str, Any]]:
    from isthmus.apps.oee.sums_file import kpi_of_sums

    return kpi_of_sums(path, model.value)


def _of_platform(
    folder: Path | None, scope: str, start: str, end: str, *, by: str, model: Model
) -> list[dict[str, Any]]:
    """Reads the data folder, whether the platform runs or not; writes nothing."""
    from isthmus.apps.oee.kpi import kpi as compute
    from isthmus.base.clock import DAY, parse_time
    from isthmus.runtime.open import load_plant, model_folder, plant_now
    from isthmus.runtime.reading import reading

    now = plant_now()
    until = parse_time(end) if end else now
    since = parse_time(start) if start else until - DAY
    plant = load_plant(model_folder(folder))
    scope = scope or plant.enterprise
    if not plant.scope(scope):
        raise ValueError(f"no machine at or below `{scope}` in this model")
    with reading(plant, now) as lake:
        rows = compute(lake.query, plant, scope, since, until, by, now=now, time_model=model.value)
    return [row.as_dict() for row in rows]


def _print(rows: Sequence[Mapping[str, Any]], form: Format) -> None:
    match form:
        case Format.json:
            print(json.dumps(rows, indent=2))
        case Format.csv:
            _print_csv(rows)
        case Format.table:
            _print_table(rows)


def _print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    writer = csv.writer(sys.stdout)
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow([_cell(value) for value in row.values()])


def _cell(value: Any) -> Any:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {cause}" for name, cause in value.items())
    return "; ".join(value) if isinstance(value, list) else value


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    table = Table("group", *SHOWN, "good", "why empty")
    for row in rows:
        why = sorted({row["reasons_null"][name] for name in SHOWN if name in row["reasons_null"]})
        table.add_row(
            str(row["group"] or ""),
            *(_percent(row[name]) for name in SHOWN),
            "" if row["good"] is None else str(row["good"]),
            ", ".join(why),
        )
    screen(width=None if sys.stdout.isatty() else 160).print(table)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
