"""`isthmus machines`: many machines at once, and machines like others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from isthmus.base.problem import ProblemsError
from isthmus.model.load import model_files
from isthmus.model.write.bulk import Bulk, Into, RowsError, machines_of, read_table
from isthmus.model.write.clone import cloned
from isthmus.model.write.edits import Edited, EditError, edited
from isthmus.runtime.open import kinds, load_plant, model_folder

machines = typer.Typer(help="Add many machines from a table, or one like another.")

Model = Annotated[
    Path | None, typer.Argument(help="The model: a folder of YAML files; default: what runs.")
]
Dry = Annotated[bool, typer.Option("--diff", help="Only show what would be written.")]


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
        _finish(edited(model, bulk.edits, kinds()), f"{len(bulk.rows)} names", diff=diff)
    except UnicodeDecodeError as error:
        _refuse(f"{table.name}: not UTF-8 (byte {error.start}); save it as “CSV UTF-8”")
    except RowsError as error:
        _refuse("\n".join(f"{table.name}: {one}" for one in error.problems))
    except EditError as error:
        _refuse(str(error))
    except ProblemsError as error:
        _refuse(_with_rows(error, bulk, table.name))


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
) -> None:
    """Add a machine like another, perhaps of another plant; what must differ is listed."""
    model = model_folder(folder)
    try:
        plant = load_plant(model)
        edits = cloned(model_files(model)[0], plant, original, copy, _pairs(given or []))
        _finish(edited(model, edits, kinds()), f"`{copy}`", diff=diff)
    except (EditError, ProblemsError) as error:
        _refuse(str(error))


def _finish(change: Edited, what: str, *, diff: bool) -> None:
    print(change.diff(), end="")
    if not diff:
        change.write()
        typer.echo(f"written: {what}; `isthmus plan {change.folder}` shows what changes", err=True)


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


def _with_rows(error: ProblemsError, bulk: Bulk | None, table: str) -> str:
    """Problems of the model as it would be, with the row they come from."""
    said = []
    for one in error.problems:
        row = bulk.row_of(one.address) if bulk is not None else None
        said.append((f"{table}: row {row}:\n" if row else "") + one.render())
    return "\n\n".join(said)


def _refuse(said: str) -> None:
    typer.echo(said, err=True)
    raise typer.Exit(1)
