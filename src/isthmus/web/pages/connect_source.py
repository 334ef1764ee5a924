"""A source of the model on its endpoint page: changed, switched on or off, removed, and undone."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.plant import Source
from isthmus.web.i18n import Translator
from isthmus.web.page import Ask
from isthmus.web.pages.connect_change import applied_words, change_words
from isthmus.web.pages.connect_form import fields_of
from isthmus.web.pages.connect_form_view import FormView, form_of
from isthmus.web.pages.connect_values import Unread, reading_of
from isthmus.web.scope import machine_title
from isthmus.web.workbench import (
    RefusedChangeError,
    RemovedSource,
    RevisedSource,
    Revision,
    SwitchedSource,
    Undone,
    Workbench,
)

State = Mapping[str, str]


class UnreadError(RefusedChangeError):
    """Some texts of the form cannot be taken at all."""

    def __init__(self, wrong: Mapping[str, Unread]) -> None:
        super().__init__("")
        self.wrong = wrong


def source_words(
    question: Ask, given: State, source: Source | None, form: FormView | None
) -> dict[str, Any]:
    """What the page says of a source of the model, and of a change; None: it is a draft."""
    bench, name = question.platform.workbench, source.name if source else ""
    asked = None if form is not None else revision_of(bench, name, given)
    state = {"sel": name} if source else {}
    undo_url = f"/endpoint/{question.scope.path}?{urlencode(state | {'show': 'undo'})}&undo="
    words = change_words(bench.preview(asked) if asked else None, question.t.language)
    words |= applied_words(given, undo_url)
    words |= {
        "hidden": [
            (key, given[key]) for key in ("sel", "show", "instead", "undo") if given.get(key)
        ],
        "notes": _notes(question, source, asked),
        "changed": bench.rewritten(name) is not None,
        "unwritable": "",
        "machines": (),
        "others": (),
    }
    if source is None:
        return words
    words |= {"machines": _machines(question, source), "others": _others(question, source)}
    if form is None:
        try:
            words["form"] = form_of(fields_of(SOURCE_KINDS[source.spec.kind]), current(bench, name))
        except RefusedChangeError as error:
            words["unwritable"] = str(error)
    return words


def current(bench: Workbench, name: str) -> Mapping[str, Any]:
    """What its form shows: as a person rewrote it, else as the model has it."""
    rewritten = bench.rewritten(name)
    return bench.written(name) if rewritten is None else rewritten


def rewrite(bench: Workbench, name: str, form: State) -> None:
    """Keep what the form says; it is read against what the form showed."""
    source = bench.source(name)
    if source is None or name in bench.drafts():
        raise RefusedChangeError(f"there is no source `{name}` in the model")
    bench.rewrite(name, read(source.spec.kind, form, current(bench, name)))


def read(kind: str, form: State, was: Mapping[str, Any]) -> dict[str, Any]:
    reading = reading_of(fields_of(SOURCE_KINDS[kind]), form, was)
    if reading.wrong:
        raise UnreadError(reading.wrong)
    return reading.entry


def revision_of(bench: Workbench, name: str, given: State) -> Revision | None:
    """What the address asks to be shown."""
    rewritten = bench.rewritten(name)
    match given.get("show", ""):
        case "change" if rewritten is not None:
            return RevisedSource(name, rewritten)
        case "on" | "off" as switch:
            return SwitchedSource(name, switch == "on")
        case "remove":
            return RemovedSource(name, given.get("instead", ""))
        case "undo":
            return Undone(given.get("undo", ""))
        case _:
            return None


def _notes(question: Ask, source: Source | None, asked: Revision | None) -> list[str]:
    """Who would lose its source, said before it does."""
    machines = [title for _, title in _machines(question, source)] if source else []
    if not machines:
        return []
    said: Translator = question.t
    named = {"n": len(machines), "machines": ", ".join(machines)}
    match asked:
        case SwitchedSource(on=False):
            return [said("source.off.machines", **named)]
        case RemovedSource(instead=""):
            return [said("source.remove.machines", **named)]
        case RemovedSource(instead=other):
            return [said("source.remove.instead", other=other, **named)]
        case _:
            return []


def _machines(question: Ask, source: Source) -> list[tuple[str, str]]:
    known = question.platform.plant.machines
    return [(path, machine_title(known[path])) for path in source.machines if path in known]


def _others(question: Ask, source: Source) -> list[str]:
    """Sources its machines may read from instead."""
    return [
        one.name
        for one in question.platform.plant.sources.values()
        if one.spec.kind == source.spec.kind and one.site == source.site and one.name != source.name
    ]
