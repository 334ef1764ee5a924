"""A change of the model as the Connect pages show it: difference, check, plan, and undoing it."""

from collections.abc import Mapping
from typing import Any

from isthmus.base.german import Language
from isthmus.model.masking import masked
from isthmus.model.plan_text import plan_text
from isthmus.web.workbench import Draft


def change_words(draft: Draft | None, language: Language) -> dict[str, Any]:
    """For `macros/change.html`."""
    if draft is None:
        return {"draft": None, "lines": (), "digest": "", "plan": ""}
    return {
        "draft": draft,
        "lines": _lines(draft),
        "digest": draft.digest,
        "plan": plan_text(draft.changes, "text", language),
    }


def applied_words(given: Mapping[str, str], undo_url: str) -> dict[str, Any]:
    """What was done just now, and how it is undone."""
    undo = given.get("undo", "") if given.get("applied") else ""
    return {"applied": given.get("applied", ""), "undo_url": f"{undo_url}{undo}" if undo else ""}


def _lines(draft: Draft) -> list[tuple[str, str]]:
    """The difference line by line with how it is meant; secrets around it stay hidden."""
    return [(_meant(line), masked(line)) for line in draft.diff.splitlines()]


def _meant(line: str) -> str:
    if line.startswith(("+++", "---", "@@")):
        return "head"
    return {"+": "add", "-": "del"}.get(line[:1], "")
