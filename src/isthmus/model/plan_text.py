"""Changes as a person or a program reads them; secrets stay hidden."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from isthmus.model.changes import SIGNS, Change, affected_sources
from isthmus.model.report import Format

_NAMED: Final = 3
"""Of many names that change alike so many are shown."""


def plan_text(found: Sequence[Change], form: Format) -> str:
    """All changes, with a summary in the last line of the text."""
    if form == "json":
        return json.dumps([each.as_dict() for each in found], ensure_ascii=False, indent=2)
    if not found:
        return "nothing would change"
    return "\n".join([*_lines(found), "", _summary(found)])


def _summary(found: Sequence[Change]) -> str:
    count = {action: sum(each.action == action for each in found) for action in SIGNS}
    said = f"{count['add']} to add, {count['alter']} to alter, {count['remove']} to remove"
    sources = sorted(affected_sources(found))
    return (
        f"{said}; interrupts {_names(sources, 10)}" if sources else f"{said}; interrupts no source"
    )


def _lines(found: Sequence[Change]) -> Iterator[str]:
    """One entry per change; machines whose mapping or calendar changes alike share one."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for change in _told(found):
        owner, _, part = change.name.partition(":")
        alone = "" if change.kind in {"mapping", "calendar"} else owner
        key = (change.action, change.kind, part, change.details(), alone)
        groups.setdefault(key, []).append(owner)
    for (action, kind, part, altered, _), owners in groups.items():
        what = f"{SIGNS[action]} {kind.replace('_', ' ')}"
        names = _names(owners, _NAMED)
        yield f"{what} {part} of {names}" if part else f"{what} {names}".rstrip()
        for field, before, after in altered:
            yield f"    {field}: {before} → {after}" if field else f"    {before} → {after}"


def _told(found: Sequence[Change]) -> Iterator[Change]:
    """Without what comes and goes with its machine or site."""
    whole = {
        each.name for each in found if each.kind in {"machine", "site"} and each.action != "alter"
    }
    for each in found:
        part = each.kind in {"mapping", "calendar", "use_case"}
        if not (part and each.name.partition(":")[0] in whole):
            yield each


def _names(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
