"""Changes as a person or a program reads them, in English or German; secrets stay hidden."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from isthmus.base.german import Language
from isthmus.model.changes import SIGNS, Change, Kind, interrupted_sources
from isthmus.model.differences import NOTHING
from isthmus.model.report import Format

_NAMED: Final = 3
"""Of many names that change alike so many are shown."""

_KINDS: Final[Mapping[Kind, str]] = MappingProxyType({
    "company": "Unternehmen", "code_system": "Codesystem", "time_category": "Zeitkategorie",
    "block": "Block", "machine_type": "Maschinentyp", "material": "Material",
    "reason": "Stoppgrund", "reason_order": "Reihenfolge der Stoppgründe", "site": "Standort",
    "calendar": "Kalender", "use_case": "Anwendung", "system": "System", "source": "Quelle",
    "machine": "Maschine", "mapping": "Zuordnung",
})  # fmt: skip
"""What a change is about, in German; in English it is the word itself."""

_WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({
    "none": ("nothing would change", "nichts würde sich ändern"),
    "counts": (
        "{add} to add, {alter} to alter, {remove} to remove",
        "{add} neu, {alter} geändert, {remove} entfernt",
    ),
    "interrupts": ("interrupts {sources}", "unterbricht {sources}"),
    "interrupts_none": ("interrupts no source", "unterbricht keine Quelle"),
    "part": ("{part} of {names}", "{part} von {names}"),
    "more": ("{names} and {more} more", "{names} und {more} weitere"),
    "nothing": (NOTHING, "nichts"),
})  # fmt: skip


def plan_text(found: Sequence[Change], form: Format, language: Language = "en") -> str:
    """All changes, with a summary in the last line of the text. JSON has English words only."""
    if form == "json":
        return json.dumps([each.as_dict() for each in found], ensure_ascii=False, indent=2)
    if not found:
        return _word("none", language)
    return "\n".join([*_lines(found, language), "", _summary(found, language)])


def _word(key: str, language: Language, **values: object) -> str:
    english, german = _WORDS[key]
    return (german if language == "de" else english).format(**values)


def _summary(found: Sequence[Change], language: Language) -> str:
    told = Counter(each.action for each in _told(found))
    said = _word("counts", language, **{action: told[action] for action in SIGNS})
    sources = sorted(interrupted_sources(found))
    if not sources:
        return f"{said}; {_word('interrupts_none', language)}"
    return f"{said}; {_word('interrupts', language, sources=_names(sources, 10, language))}"


def _lines(found: Sequence[Change], language: Language) -> Iterator[str]:
    """One entry per change; machines whose mapping or calendar changes alike share one."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for change in _told(found):
        owner, _, part = change.name.partition(":")
        alone = "" if change.kind in {"mapping", "calendar"} else owner
        key = (change.action, change.kind, part, change.details(), alone)
        groups.setdefault(key, []).append(owner)
    nothing = {NOTHING: _word("nothing", language)}
    for (action, kind, part, altered, _), owners in groups.items():
        what = f"{SIGNS[action]} {_KINDS[kind] if language == 'de' else kind.replace('_', ' ')}"
        names = _names(owners, _NAMED, language)
        whole = _word("part", language, part=part, names=names) if part else names
        yield f"{what} {whole}".rstrip()
        for field, before, after in altered:
            both = f"{nothing.get(before, before)} → {nothing.get(after, after)}"
            yield f"    {field}: {both}" if field else f"    {both}"


def _told(found: Sequence[Change]) -> Iterator[Change]:
    """Without what comes and goes with its machine or site."""
    whole = {
        each.name for each in found if each.kind in {"machine", "site"} and each.action != "alter"
    }
    for each in found:
        part = each.kind in {"mapping", "calendar", "use_case"}
        if not (part and each.name.partition(":")[0] in whole):
            yield each


def _names(names: Sequence[str], most: int, language: Language) -> str:
    shown = ", ".join(names[:most])
    more = len(names) - most
    return _word("more", language, names=shown, more=more) if more > 0 else shown
