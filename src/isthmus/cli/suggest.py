"""`isthmus suggest SOURCE`: which tags may feed the fields of a machine, and why."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.console import Console
from rich.table import Table

from isthmus.base.clock import SystemClock
from isthmus.base.german import Language
from isthmus.base.problem import ProblemsError
from isthmus.cli.browse import browsing_of, crawl
from isthmus.cli.probe import devices, find, told
from isthmus.cli.screen import screen
from isthmus.field.connector import Node, Refused, Unreachable, Unsupported
from isthmus.field.listing import ListingError, nodes_of
from isthmus.field.suggest import CONFIDENT, Suggestion
from isthmus.model.plant import Plant, Source
from isthmus.model.write.bulk import RowsError, read_table
from isthmus.model.write.edits import Edited, EditError
from isthmus.runtime.connect import (
    Chosen,
    Wanted,
    needs_codes,
    preview,
    propose_listening,
    sure,
    wanted,
)
from isthmus.runtime.open import load_plant, model_folder

_REFUSALS: Final = (
    ProblemsError, LookupError, EditError, ListingError, RowsError, UnicodeDecodeError,
    Unreachable, Refused, Unsupported,
)  # fmt: skip
"""What is told in a sentence; anything else is a bug."""


def suggest(
    source: Annotated[str, typer.Argument(help="A source of the model, such as `im07`.")],
    folder: Annotated[
        Path | None, typer.Argument(help="The model: a folder of YAML files; default: what runs.")
    ] = None,
    *,
    block: Annotated[
        list[str] | None, typer.Option(help="Only this block; may be given again.")
    ] = None,
    machine: Annotated[
        str, typer.Option(help="Which machine, where several read the source.")
    ] = "",
    under: Annotated[str, typer.Option(help="Path of the machine's folder in the source.")] = "",
    listed: Annotated[
        Path | None,
        typer.Option(
            "--list", exists=True, dir_okay=False, help="A CSV of tags, instead of browsing."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0, max=600, help="How long to listen to the likeliest tags.")
    ] = 5.0,
    take: Annotated[
        list[str] | None,
        typer.Option(help="`block.field=tag`: accept this one; may be given again."),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Write the sure ones into the model's YAML.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what --accept would write.")] = False,
    language: Annotated[Language, typer.Option("--lang", help="Language of the reasons.")] = "en",
    output: Annotated[
        Literal["table", "json"], typer.Option("--format", help="How to print.")
    ] = "table",
) -> None:
    """Propose tags for the fields that have none, with a score and the reasons.

    Writes nothing unless --accept or --take says so; then the change is shown, and refused as a
    whole if `isthmus check` would find something new. `isthmus plan` and `apply` come after.
    """
    console = screen(errors=True)
    model = model_folder(folder)
    try:
        plant = load_plant(model)
        declared = find(plant, source)
        want = partial(
            wanted, model, plant, source, machine=machine, blocks=block or (), under=under
        )
        want()  # what is mistyped is told before anything is crawled
        nodes = _nodes(declared, plant, listed, console)
        asked = want(nodes=nodes)
        listening = propose_listening(
            asked, nodes, SystemClock(), seconds, look=devices(plant).look
        )
        found = asyncio.run(listening)
        if output == "table":
            _print(found, asked, language)
        chosen = _chosen(found, take or [], every=accept or (diff and not take))
        change = _change(model, plant, asked, chosen) if accept or take or diff else None
        if change is not None and not diff:
            change.write()
        uncoded = [one for one in chosen if needs_codes(plant, asked, one)] if change else []
        if output == "json":
            made = [_as_json(one, language) for one in found]
            print(_json(asked, made, change, [one.key for one in uncoded], written=not diff))
        elif change is not None:
            _tell(change, uncoded, console, written=not diff)
    except _REFUSALS as error:
        console.print(_said(error, source), soft_wrap=True)
        raise typer.Exit(1) from None


def _said(error: Exception, source: str) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"the list is not UTF-8 (byte {error.start}); save it as “CSV UTF-8”"
    return told(error, source)


def _nodes(source: Source, plant: Plant, listed: Path | None, console: Console) -> Sequence[Node]:
    if listed is not None:
        rows = read_table(listed.read_bytes().decode("utf-8-sig"))
        return nodes_of(rows, source.spec.parse_tag)
    return crawl(browsing_of(source, plant), console).nodes


def _chosen(found: Sequence[Suggestion], take: Sequence[str], *, every: bool) -> list[Chosen]:
    by_key = {one.key: one for one in found}
    chosen = {one.key: one for one in sure(found)} if every else {}
    for given in take:
        key, _, tag = given.partition("=")
        proposals = by_key[key].proposals if key in by_key else ()
        proposal = next((one for one in proposals if one.tag == tag), None)
        if proposal is None:
            listed = ", ".join(one.tag for one in proposals) or "nothing"
            raise EditError(f"--take {given}: proposed for `{key}` is {listed}")
        chosen[key] = Chosen(key, proposal)
    return list(chosen.values())


def _change(model: Path, plant: Plant, asked: Wanted, chosen: Sequence[Chosen]) -> Edited | None:
    return preview(model, plant, asked, chosen) if chosen else None


def _tell(change: Edited, uncoded: Sequence[Chosen], console: Console, *, written: bool) -> None:
    print(change.diff(), end="")
    said = [f"written; `isthmus plan {change.folder}` shows what it changes"] if written else []
    said += [
        f"`{one.key}` has names: add `codes:` for the values of `{one.proposal.tag}`"
        for one in uncoded
    ]
    for sentence in said:
        console.print(sentence, soft_wrap=True)


def _json(
    asked: Wanted,
    fields: Sequence[Mapping[str, object]],
    change: Edited | None,
    uncoded: Sequence[str],
    *,
    written: bool,
) -> str:
    said = {
        "machine": asked.machine.path,
        "under": asked.under,
        "fields": fields,
        "diff": change.diff() if change is not None else "",
        "written": change is not None and written,
        "need_codes": uncoded,
    }
    return json.dumps(said, ensure_ascii=False, indent=2)


def _print(found: Sequence[Suggestion], asked: Wanted, language: Language) -> None:
    console = screen()
    table = Table("field", "tag", "score", "why")
    for one in found:
        if not one.proposals:
            table.add_row(one.key, "–", "", "")
        for rank, proposal in enumerate(one.proposals[:3]):
            sign = "✓ " if rank == 0 and proposal.score >= CONFIDENT else ""
            table.add_row(
                one.key if rank == 0 else "", proposal.tag, f"{sign}{proposal.score:.2f}",
                proposal.why(language),
            )  # fmt: skip
    where = f" below {asked.under}" if asked.under else ""
    console.print(f"{asked.machine.path}{where}", soft_wrap=True)
    console.print(table)
    if not any(one.proposals for one in found):
        said = f"nothing there fits; `isthmus browse {asked.source.name} --search …` looks yourself"
        console.print(said, soft_wrap=True)


def _as_json(one: Suggestion, language: Language) -> dict[str, object]:
    return {
        "field": one.key,
        "proposals": [
            {
                "tag": proposal.tag,
                "path": proposal.path,
                "type": proposal.type,
                "unit": proposal.unit,
                "score": proposal.score,
                "why": [reason.text(language) for reason in proposal.reasons],
            }
            for proposal in one.proposals
        ],
    }
