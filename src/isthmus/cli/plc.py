"""`isthmus plc BLOCK… --target … --out DIR`: data blocks for controllers, and how to read them."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from isthmus.base.german import Language
from isthmus.base.problem import Problem, ProblemsError
from isthmus.field.plc.generate import Choice, Generated, generate
from isthmus.field.plc.layout import Precision, Wording
from isthmus.field.plc.target import Access, Settings
from isthmus.field.plc.write import Written, write
from isthmus.model.spec.words import SLUG
from isthmus.runtime.open import load_plant, model_folder

TargetName = Literal["siemens", "codesys", "rockwell", "plcopen", "opcua-nodeset", "aas"]


def plc(
    block: Annotated[
        list[str], typer.Argument(help="Blocks of the model, in the order they shall have.")
    ],
    *,
    target: Annotated[TargetName, typer.Option(help="What it is for.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the files.")],
    model: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="The model's folder; default: what runs."),
    ] = None,
    lang: Annotated[
        Language | None, typer.Option(help="Language of comments; default: the company's.")
    ] = None,
    name: Annotated[
        str, typer.Option(help="Of the data block, variable, tag or object that has the blocks.")
    ] = "machine",
    access: Annotated[
        Access, typer.Option(help="Siemens: with offsets, or by name through OPC UA.")
    ] = "fixed",
    db: Annotated[int, typer.Option(min=1, max=65535, help="Siemens: the block's number.")] = 10,
    numbers: Annotated[
        Precision, typer.Option(help="Floating point: 32 bits (REAL) or 64 (LREAL).")
    ] = "single",
    rename: Annotated[
        list[str] | None,
        typer.Option(help="`block.field=name`: another name in the controller. May be repeated."),
    ] = None,
    machine_type: Annotated[
        str, typer.Option(help="Name of the machine type in mapping.yaml; default: plc-TARGET.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    output: Annotated[
        Literal["text", "json"], typer.Option("--format", help="How to print.")
    ] = "text",
) -> None:
    """Write data blocks for a controller from blocks of the model, and the mapping to read them.

    The files hold names, types, units, limits and codes with comments in German or English;
    `mapping.yaml` is a machine type that reads what the controller's program puts there.
    """
    renames = _renames(rename or [])
    _check_slug(machine_type)
    try:
        plant = load_plant(model_folder(model))
        language: Language = lang or ("de" if plant.language == "de" else "en")
        settings = Settings(plant.enterprise, language, name, access, db)
        wording = Wording(language, numbers)
        made = generate(plant, Choice(block, target, settings, wording, renames, machine_type))
        written = write(made.files, out, force=force)
    except ProblemsError as refused:
        _refuse(refused, output)
        raise typer.Exit(1) from None
    except OSError as failed:
        typer.echo(f"{out}: {failed.strerror}. Name another folder with `--out`.", err=True)
        raise typer.Exit(1) from None
    _say(made, written, output)


def _renames(given: list[str]) -> dict[str, str]:
    found = {}
    for one in given:
        match = re.fullmatch(r"([^=.]+\.[^=.]+)=(.+)", one)
        if match is None:
            raise typer.BadParameter(f"`{one}`: write `block.field=name`", param_hint="--rename")
        found[match[1]] = match[2]
    return found


def _check_slug(machine_type: str) -> None:
    if machine_type and re.fullmatch(SLUG, machine_type) is None:
        said = f"`{machine_type}`: lower case letters and digits, joined by `-` or `_`"
        raise typer.BadParameter(said, param_hint="--machine-type")


def _refuse(refused: ProblemsError, output: str) -> None:
    if output == "json":
        print(_json([], refused.problems))
    else:
        print("\n\n".join(problem.render() for problem in refused.problems))


def _say(made: Generated, written: list[Written], output: str) -> None:
    if output == "json":
        print(_json(written, list(made.warnings)))
        return
    for problem in made.warnings:
        print(problem.render(), end="\n\n")
    for one in written:
        print(f"{one.outcome:11} {one.path}")


def _json(written: list[Written], problems: list[Problem]) -> str:
    said = {
        "files": [{"path": str(one.path), "outcome": one.outcome} for one in written],
        "problems": [problem.as_dict() for problem in problems],
    }
    return json.dumps(said, ensure_ascii=False, indent=2)
