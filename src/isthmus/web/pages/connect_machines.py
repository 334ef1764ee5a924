"""Machines: many of one type from a table, and one like another, perhaps of another plant."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.masking import HIDDEN, is_secret_key, masked
from isthmus.model.plant import Plant
from isthmus.model.write.bulk import RowProblem, RowsError, read_table
from isthmus.web import places
from isthmus.web.auth import User
from isthmus.web.gate import Requires
from isthmus.web.i18n import Translator
from isthmus.web.page import Ask, Page
from isthmus.web.pages.connect_change import applied_words, change_words
from isthmus.web.pages.connect_machines_texts import MACHINES
from isthmus.web.pages.connect_upload import uploaded
from isthmus.web.pages.connect_values import refers
from isthmus.web.shell import Web, ask, bare, context
from isthmus.web.workbench import (
    AddedMachines,
    ClonedMachine,
    Draft,
    RefusedChangeError,
    Revision,
    Undone,
)

_OWN: Final = ("machine", "name", "ideal_cycle", "source")
_FIRST_ROW: Final = 2
_DIFFERS: Final = "d."
"""Before the key of something a copy differs in."""
_STATE: Final = ("show", "type", "line", "table", "set", "original", "copy_line", "copy", "undo")

Engineer = Annotated[User, Depends(Requires("engineer"))]
Form = Mapping[str, str]
router = APIRouter()


@dataclass(frozen=True)
class Column:
    """One column a table may have."""

    name: str
    meaning: str
    """Key of what the page says, or the model's own words."""
    needed: bool = False
    doc: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell of the preview."""

    text: str
    wrong: Sequence[str] = ()


@dataclass(frozen=True)
class Preview:
    """The table as it was read, with what is wrong where it is wrong."""

    columns: Sequence[str] = ()
    rows: Sequence[tuple[int, Sequence[str], Sequence[Cell]]] = ()
    """Number as an editor counts, what is wrong with the whole row, its cells."""
    elsewhere: Sequence[str] = field(default_factory=list)
    """What is wrong and belongs to no cell that is shown."""
    wrong: int = 0


def show(question: Ask) -> Mapping[str, Any]:
    return view(question, question.params)


def view(question: Ask, given: Form, failed: str = "") -> Mapping[str, Any]:
    """The page; `given` is what a person wrote, `failed` what was tried and refused just now."""
    plant, t = question.platform.plant, question.t
    revision = _revision(plant, given)
    draft = question.platform.workbench.preview(revision) if revision else None
    undo_url = f"/machines/{question.scope.path}?{urlencode({'show': 'undo'})}&undo="
    columns = columns_of(plant, given.get("type", ""))
    preview = _preview(given, draft, t) if isinstance(revision, AddedMachines) else None
    wrong = draft is None or draft.rows or draft.missing or (preview and preview.wrong)
    return {
        "types": list(plant.machine_types),
        "lines_of": _lines(plant, question.scope.path),
        "columns": columns,
        "template": f"/machines-table/{quote(question.scope.path)}?"
        + urlencode({"type": given.get("type", "")}),
        "given": given,
        "differences": _differences(given, draft),
        "machines": list(plant.machines),
        "preview": preview,
        "hidden": [(key, text) for key, text in given.items() if _is_state(key)],
        "failed": failed,
        "shows": "" if wrong else given.get("show", ""),
        **change_words(draft, t.language),
        **applied_words(given, undo_url),
    }


def columns_of(plant: Plant, name: str) -> list[Column]:
    """What a table of machines of this type may say."""
    declared = plant.machine_types.get(name)
    if declared is None:
        return []
    columns = [Column(one, f"machines.column.{one}", one == "machine") for one in _OWN]
    columns += [
        Column(key, "machines.column.param", one.default is None, one.doc)
        for key, one in declared.params.items()
    ]
    if declared.kind is not None:
        fields = SOURCE_KINDS[declared.kind].model_fields
        columns += [
            Column(f"source.{key}", "machines.column.new")
            for key, one in fields.items()
            if one.is_required()
        ]
    return columns


def _lines(plant: Plant, scope: str) -> list[str]:
    """Of the sites here, as `site/area/line`."""
    here = {machine.site for machine in plant.scope(scope)} or set(plant.sites)
    return [f"{site.name}/{line}" for site in plant.sites.values() if site.name in here
            for line in site.lines]  # fmt: skip


def _revision(plant: Plant, given: Form) -> Revision | None:
    match given.get("show", ""):
        case "table" if given.get("type") in plant.machine_types and given.get("line"):
            sets, _ = _sets(given.get("set", ""))
            return AddedMachines(given["line"], given["type"], given.get("table", ""), sets)
        case "clone" if given.get("original") and given.get("copy"):
            place = f"{given.get('copy_line', '')}/{given['copy'].strip()}"
            return ClonedMachine(given["original"].strip(), place, _given(given))
        case "undo":
            return Undone(given.get("undo", ""))
        case _:
            return None


def _given(given: Form) -> dict[str, str]:
    return {
        key.removeprefix(_DIFFERS): text.strip()
        for key, text in given.items()
        if key.startswith(_DIFFERS) and text.strip()
    }


def _sets(text: str) -> tuple[dict[str, str], list[str]]:
    """Column → text for every row, and the lines that are none."""
    sets, wrong = {}, []
    for line in filter(None, (one.strip() for one in text.splitlines())):
        key, equals, value = line.partition("=")
        if equals and key.strip():
            sets[key.strip()] = value.strip()
        else:
            wrong.append(line)
    return sets, wrong


def _differences(given: Form, draft: Draft | None) -> list[tuple[str, str, bool]]:
    """What a copy may differ in: key, what its original has there, and whether it must."""
    if given.get("show") != "clone" or draft is None:
        return []
    missing = {one.key: masked(one.now) for one in draft.missing}
    written = [key for key in _given(given) if key not in {"name", "source"}]
    keys = dict.fromkeys([*missing, *written])
    return [(key, missing.get(key, ""), key in missing) for key in keys]


# The table ----------------------------------------------------------------------------------


def _preview(given: Form, draft: Draft | None, t: Translator) -> Preview:
    problems = draft.rows if draft else ()
    _, lines = _sets(given.get("set", ""))
    said = [t("machines.set.wrong", line=line) for line in lines]
    try:
        rows = read_table(given.get("table", ""))
    except RowsError:
        said += [_placed(one, t) for one in problems]
        return Preview(elsewhere=said, wrong=len(said))
    columns = list(rows[0]) if rows else []
    by_place: dict[tuple[int, str], list[str]] = {}
    for one in problems:
        by_place.setdefault((one.row, one.column), []).append(t.say(one.message))
    shown = [
        (
            number,
            by_place.get((number, ""), []),
            [
                Cell(_open(column, row[column]), by_place.get((number, column), ()))
                for column in columns
            ],
        )
        for number, row in enumerate(rows, _FIRST_ROW)
        if any(row.values())
    ]
    there = {(number, column) for number, _, _ in shown for column in ("", *columns)}
    said += [_placed(one, t) for one in problems if (one.row, one.column) not in there]
    return Preview(columns, shown, said, len(problems) + len(lines))


def _open(column: str, text: str) -> str:
    return HIDDEN if text and is_secret_key(column) and not refers(text) else masked(text)


def _placed(one: RowProblem, t: Translator) -> str:
    place = "machines.row.column" if one.column else "machines.row.whole"
    return f"{t(place, row=one.row, column=one.column)}: {t.say(one.message)}"


@router.get("/machines-table/{path:path}")
def template(
    request: Request, path: str, _: Engineer, name: Annotated[str, Query(alias="type")]
) -> Response:
    """An empty table with the columns of a type, as the Excel of the reader's language opens it."""
    web: Web = request.app.state.web
    plant = web.platform.plant
    places.found(plant, path)
    if name not in plant.machine_types:
        raise HTTPException(404)
    written = io.StringIO()
    semicolon = bare(web, request)["t"].language == "de"
    rows = csv.writer(written, delimiter=";" if semicolon else ",", lineterminator="\r\n")
    rows.writerow([one.name for one in columns_of(plant, name)])
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response("\ufeff" + written.getvalue(), media_type="text/csv", headers=headers)


# What a person does ---------------------------------------------------------------------------


@router.post("/machines/{path:path}")
async def act(request: Request, path: str, user: Engineer) -> Response:
    """`do=show` shows what would be written, `do=apply` writes what was shown."""
    web: Web = request.app.state.web
    places.found(web.platform.plant, path)
    form, at = await uploaded(request)
    failed = "" if at is None else f"utf8 {at}"
    if at is not None:
        form.pop("show", None)
    revision = _revision(web.platform.plant, form)
    if form.get("do") == "apply" and revision is not None:
        try:
            done = await web.platform.workbench.revise(revision, form.get("digest", ""))
        except RefusedChangeError as error:
            return await run_in_threadpool(_answer, request, user, path, form, str(error))
        state = {"applied": "1"} | ({"undo": done.undo} if done.undo else {})
        return RedirectResponse(f"/machines/{path}?{urlencode(state)}", 303)
    return await run_in_threadpool(_answer, request, user, path, form, failed)


def _answer(request: Request, user: User, path: str, form: Form, failed: str) -> Response:
    web: Web = request.app.state.web
    scope = places.found(web.platform.plant, path)
    question = replace(ask(web, request, user, PAGE, scope=scope, sel=""), params=form)
    if failed.startswith("utf8 "):
        failed = question.t("machines.not_utf8", at=failed.partition(" ")[2])
    words = context(web, request, PAGE, question) | dict(view(question, form, failed))
    return web.templates.answer(PAGE.template, words, 409 if failed else 200)


def _is_state(key: str) -> bool:
    return key in _STATE or key.startswith(_DIFFERS)


MACHINES_PAGE = PAGE = Page(
    "machines", "integrate", "plug", show, MACHINES, live=True, compares=False, role="engineer",
    default_range="", listed=False, crumbs_to="connect", template="connect_machines.html",
    router=router, deepest="site",
)  # fmt: skip
