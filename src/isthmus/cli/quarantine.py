"""`isthmus quarantine`: what was refused and why, and shaping it again once the cause is mended."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from csv import DictWriter
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from isthmus.cli.screen import screen
from isthmus.flow.log_reader import LogReader, QuarantineGroup
from isthmus.flow.parcel import Quarantined
from isthmus.model.plant import Plant
from isthmus.model.suggest import did_you_mean_or_list

quarantine = typer.Typer(
    help="Samples and records that break the contract of their field, kept with the reason.",
    no_args_is_help=True,
)


class Format(StrEnum):
    """How to print."""

    table = "table"
    json = "json"
    csv = "csv"


Source = Annotated[str, typer.Option(help="Only this source (or business system).")]
Codes = Annotated[
    list[str] | None, typer.Option("--code", help="Only this code, as `Q012`; may be given again.")
]
Since = Annotated[str, typer.Option(help="Received since then, ISO 8601 with zone.")]
Limit = Annotated[int, typer.Option(min=1, help="Lines at most.")]
Model = Annotated[
    Path | None, typer.Option("--model", help="The model; default: the one that runs here.")
]
Form = Annotated[Format, typer.Option("--format", help="How to print.")]


@quarantine.command("list")
def list_(  # noqa: PLR0917 - options of a command line
    source: Source = "",
    code: Codes = None,
    since: Since = "",
    limit: Limit = 50,
    folder: Model = None,
    form: Form = Format.table,
) -> None:
    """What is in quarantine, by code, source and tag, with an example and what to do next."""
    plant = _plant(folder)
    start = _time(since, 0)
    groups = [
        group
        for _, log in _logs(plant)
        for group in _groups(log, start)
        if _asked(group.source, group.code, source, code)
    ]
    groups.sort(key=lambda one: (-one.count, one.code, one.source, one.tag))
    lines = [_line(group, plant) for group in groups[:limit]]
    _print(lines, form, _nothing(plant, source, code, since))
    if len(groups) > limit:
        typer.echo(f"{len(groups) - limit} more groups (--limit)", err=True)
    for said in _raw_alone(plant, source):
        typer.echo(said, err=True)


@quarantine.command("show")
def show(  # noqa: PLR0917 - options of a command line
    source: Source = "",
    code: Codes = None,
    since: Since = "",
    limit: Limit = 20,
    folder: Model = None,
    form: Form = Format.table,
) -> None:
    """Single entries, the newest first: the value as it came, both times, the whole reason."""
    plant = _plant(folder)
    start = _time(since, 0)
    found = [
        one
        for _, log in _logs(plant)
        for one in _entries(log, start)
        if _asked(one.source, one.code, source, code)
    ]
    found.sort(key=lambda one: -one.received_time)
    _print([_entry(one) for one in found[:limit]], form, _nothing(plant, source, code, since))
    if len(found) > limit:
        typer.echo(f"{len(found) - limit} more entries (--limit)", err=True)


@quarantine.command("replay")
def replay(  # noqa: PLR0917 - options of a command line
    source: Annotated[str, typer.Option(help="The source whose samples are shaped again.")],
    start: Annotated[
        str, typer.Option("--from", help="Received since, ISO 8601 with zone; default: ever.")
    ] = "",
    end: Annotated[
        str, typer.Option("--to", help="Received before, ISO 8601 with zone; default: now.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would become rows, and what stays.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--model", help="The model, where no platform runs; default: what ran here."),
    ] = None,
    form: Annotated[
        Literal["text", "json"], typer.Option("--format", help="How to print.")
    ] = "text",
) -> None:
    """Shape samples in quarantine again with the present mapping; they become late rows.

    A running platform does it with the model that it runs. It cannot be undone.
    """
    from isthmus.cli.quarantine_replay import Asked, done, planned, told

    asked = Asked(source, _time(start, 0), _time(end, 2**62), folder)
    found, over = planned(asked), False
    going_on = bool(found["released"]) and not dry_run
    if form == "text" or (going_on and not yes):
        typer.echo(told(found, done=False), err=form == "json")
    if going_on:
        if not yes:
            typer.confirm("This cannot be undone. Go on?", abort=True, err=True)
        found, over = done(asked), True
    if form == "json":
        print(json.dumps({**found, "done": over}, indent=2, ensure_ascii=False))
    elif over:
        print(told(found, done=True))


# What there is ------------------------------------------------------------------------------------


def _plant(folder: Path | None) -> Plant:
    from isthmus.base.problem import ProblemsError
    from isthmus.runtime.open import load_plant, model_folder

    try:
        return load_plant(model_folder(folder))
    except ProblemsError as error:
        refuse(str(error))


def _time(text: str, default: int) -> int:
    from isthmus.base.clock import parse_time

    try:
        return parse_time(text) if text else default
    except ValueError as wrong:
        refuse(f"error: {wrong}", 2)


def _logs(plant: Plant) -> Iterator[tuple[str, LogReader]]:
    from isthmus.flow.parcel import DamagedError
    from isthmus.runtime.settings import Settings

    settings = Settings.of()
    files = {site: settings.logs / f"{site}.sqlite" for site in plant.sites}
    if not any(file.exists() for file in files.values()):
        refuse(
            f"error: there is no data in {settings.data}: has the platform run here? ISTHMUS_DATA"
            " says where it keeps its data"
        )
    for site, file in files.items():
        if file.exists():
            try:
                with LogReader(file) as log:
                    yield site, log
            except DamagedError as damage:
                refuse(f"error: {damage}")


def _groups(log: LogReader, start: int) -> list[QuarantineGroup]:
    with log.view() as view:
        return view.quarantine_groups(start)


def _raw_alone(plant: Plant, source: str) -> Iterator[str]:
    """Not refused, but not shaped either."""
    waiting: Counter[str] = Counter()
    for _, log in _logs(plant):
        for one in log.failures():
            waiting[one.source] += one.samples
    for name, samples in sorted(waiting.items()):
        if source in ("", name):
            yield (
                f"{samples} samples of `{name}` are kept raw alone, because shaping them failed;"
                f" once the cause is mended: `isthmus quarantine replay --source {name}`"
            )


def _entries(log: LogReader, start: int) -> list[Quarantined]:
    return log.quarantined(start, 2**62, 1_000_000)


def _asked(of: str, said: str, source: str, codes: Sequence[str] | None) -> bool:
    return source in ("", of) and (not codes or said in {code.upper() for code in codes})


def _nothing(plant: Plant, source: str, codes: Sequence[str] | None, since: str) -> str:
    of = f" of `{source}`" if source else ""
    kind = f" with code {', '.join(codes)}" if codes else ""
    then = f" since {since}" if since else ""
    said = f"Nothing{of}{kind} is in quarantine{then}."
    if not source or source in plant.sources:
        return said
    hint = did_you_mean_or_list(source, plant.sources, "sources")
    return f"{said} The model has no such source; {hint}"


def _line(group: QuarantineGroup, plant: Plant) -> dict[str, Any]:
    from isthmus.base.clock import iso

    return {
        "code": group.code,
        "source": group.source,
        "tag": group.tag,
        "count": group.count,
        "newest": iso(group.newest),
        "example": group.value,
        "reason": group.reason,
        "next": _next(group, plant),
    }


def _next(group: QuarantineGroup, plant: Plant) -> str:
    from isthmus.web.pages.complete_texts import TEXTS

    todo = TEXTS.get(f"todo.{group.code}", TEXTS["todo.other"]).en.rstrip(".")
    if group.source not in plant.sources:
        return f"{todo}."
    block = plant.blocks.get(group.block)
    field = block.fields.get(group.field) if block is not None else None
    if field is not None and field.type == "counter":
        return f"{todo}. The next reading that is believed counts the parts; nothing to replay."
    return f"{todo}; `isthmus apply`; `isthmus quarantine replay --source {group.source}`."


def _entry(one: Quarantined) -> dict[str, Any]:
    from isthmus.base.clock import iso

    where = [part for part in (one.block, one.field) if part]
    return {
        "code": one.code,
        "source": one.source,
        "tag": one.tag,
        "machine": one.machine,
        "field": ".".join(where),
        "received": iso(one.received_time),
        "device_time": _moment(one.device_time),
        "value": one.value,
        "reason": one.reason,
    }


def _moment(at: int) -> str:
    """A device's clock may say anything."""
    from isthmus.base.clock import iso

    try:
        return iso(at)
    except OverflowError:
        return f"{at} µs"


def _print(lines: Sequence[Mapping[str, Any]], form: Format, nothing: str) -> None:
    match form:
        case Format.json:
            print(json.dumps(lines, indent=2, ensure_ascii=False))
        case Format.csv if lines:
            writer = DictWriter(sys.stdout, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
        case Format.table if lines:
            _print_table(lines)
        case _:
            typer.echo(nothing, err=form is Format.csv)


def _print_table(lines: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(*lines[0])
    for line in lines:
        table.add_row(*(Text(str(value)) for value in line.values()))
    # A pipe has no width: nothing is cut there.
    screen(width=None if sys.stdout.isatty() else 10_000).print(table)


def refuse(text: str, code: int = 1) -> NoReturn:
    """Say why nothing was done."""
    typer.echo(text, err=True)
    raise typer.Exit(code)
