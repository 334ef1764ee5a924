"""`isthmus machines`: many machines at once, and machines like others."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from isthmus.base.problem import Problem, ProblemsError
from isthmus.model.load import model_files
from isthmus.model.report import Format
from isthmus.model.write.bulk import Bulk, Into, RowProblem, RowsError, machines_of, read_table
from isthmus.model.write.clone import cloned
from isthmus.model.write.edits import AddMachine, Edit, Edited, EditError, edited
from isthmus.runtime.open import kinds, load_plant, model_folder

machines = typer.Typer(help="Add many machines from a table, or one like another.")

Model = Annotated[
    Path | None, typer.Argument(help="The model: a folder of YAML files; default: what runs.")
]
Dry = Annotated[bool, typer.Option("--diff", help="Only show what would be written.")]
Output = Annotated[Format, typer.Option("--format", help="How to print.")]


@machines.command()
def add(
    folder: Model = None,
    *,
    table: Annotated[Path, typer.Option("--from", exists=True, dir_okay=False, help="A CSV file.")],
    type_: Annotated[str, typer.Option("--type", help="The machine type of all of them.")],
    line: Annotated[str, typer.Option(help="Where they stand, as `site/area/line`.")],
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="`KEY=TEXT` for every row; `{column}` in it is that row's cell."
        ),
    ] = None,
    diff: Dry = False,
    output: Output = "text",
) -> None:
    """Add a machine for every row of a CSV; all rows are checked before any is written.

    Columns: machine, name, ideal_cycle, source, the parameters of the type, and source.KEY for
    sources that are to be made (source.endpoint, source.host).
    """
    model = model_folder(folder)
    bulk = None
    try:
        site, area, line_ = _three(line)
        into = Into(site, area, line_, type_)
        rows = read_table(table.read_bytes().decode("utf-8-sig"))
        bulk = machines_of(rows, into, load_plant(model), _pairs(given or []))
        change = edited(model, bulk.edits, kinds())
        _finish(change, bulk.edits, output, write=not diff)
    except UnicodeDecodeError as error:
        said = f"not UTF-8 (byte {error.start}); save it as “CSV UTF-8”"
        _refuse([Refusal(said, table=table.name)], output)
    except RowsError as error:
        _refuse([_of_row(one, table.name) for one in error.problems], output)
    except EditError as error:
        _refuse([Refusal(str(error))], output)
    except ProblemsError as error:
        _refuse([_of_model(one, bulk, table.name) for one in error.problems], output)


@machines.command()
def clone(
    original: Annotated[str, typer.Argument(help="The machine to copy: site/area/line/machine.")],
    copy: Annotated[str, typer.Argument(help="The new one: site/area/line/machine.")],
    folder: Model = None,
    *,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="What differs: `source.endpoint=…`, `params.root=…`, `name=…`."),
    ] = None,
    diff: Dry = False,
    output: Output = "text",
) -> None:
    """Add a machine like another, perhaps of another plant; what must differ is listed."""
    model = model_folder(folder)
    try:
        plant = load_plant(model)
        edits = cloned(model_files(model)[0], plant, original, copy, _pairs(given or []))
        _finish(edited(model, edits, kinds()), edits, output, write=not diff)
    except EditError as error:
        _refuse([Refusal(str(error))], output)
    except ProblemsError as error:
        _refuse([_of_model(one, None, "") for one in error.problems], output)


@dataclass(frozen=True)
class Refusal:
    """Why nothing was written, and where in the table that comes from."""

    message: str
    hint: str = ""
    code: str = ""
    address: str = ""
    row: int | None = None
    column: str = ""
    table: str = ""
    picture: str = ""
    """The whole of it, as people read it; else the message."""

    def text(self) -> str:
        place = f"{self.table}: " if self.table else ""
        return place + (self.picture or self.message)

    def as_dict(self) -> dict[str, object]:
        shown = ("row", "column", "code", "address", "message", "hint")
        return {name: getattr(self, name) for name in shown}


def _of_row(one: RowProblem, table: str) -> Refusal:
    return Refusal(one.message, row=one.row, column=one.column, table=table, picture=str(one))


def _of_model(one: Problem, bulk: Bulk | None, table: str) -> Refusal:
    """A problem of the model as it would be, with the row it comes from."""
    row = bulk.row_of(one.address) if bulk is not None else None
    picture = f"row {row}:\n{one.render()}" if row else one.render()
    known: dict[str, Any] = {"code": one.code, "address": one.address, "hint": one.hint, "row": row}
    return Refusal(one.message, table=table if row else "", picture=picture, **known)


def _finish(change: Edited, edits: Sequence[Edit], output: Format, *, write: bool) -> None:
    if write:
        change.write()
    added = [one for one in edits if isinstance(one, AddMachine)]
    made = [f"{one.site}/{one.area}/{one.line}/{one.name}" for one in added]
    if output == "json":
        _print(made, change.diff(), [], written=write)
        return
    print(change.diff(), end="")
    if write:
        what = f"`{made[0]}`" if len(made) == 1 else f"{len(made)} machines"
        typer.echo(f"written: {what}; `isthmus plan {change.folder}` shows what changes", err=True)


def _print(made: Sequence[str], diff: str, problems: Sequence[Refusal], *, written: bool) -> None:
    found: dict[str, Any] = {"machines": made, "diff": diff, "written": written}
    found["problems"] = [one.as_dict() for one in problems]
    print(json.dumps(found, ensure_ascii=False, indent=2))


def _three(line: str) -> tuple[str, str, str]:
    parts = line.split("/")
    if len(parts) != 3:
        raise EditError(f"--line {line}: write `site/area/line`")
    return parts[0], parts[1], parts[2]


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for one in given:
        key, equals, text = one.partition("=")
        if not equals:
            raise EditError(f"--set {one}: write `KEY=TEXT`")
        pairs[key.strip()] = text.strip()
    return pairs


def _refuse(refusals: Sequence[Refusal], output: Format) -> NoReturn:
    if output == "json":
        _print([], "", refusals, written=False)
    else:
        modelled = any(one.code for one in refusals)
        typer.echo(("\n\n" if modelled else "\n").join(one.text() for one in refusals), err=True)
    raise typer.Exit(1)
