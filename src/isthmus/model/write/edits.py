"""Edits of a model folder: found in its files, tried, checked; written only when nothing is wrong.

Nothing is written before the whole changed model was read and has no problem it did not have.
"""

import difflib
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, assert_never

import yaml

from isthmus.base.problem import Problem, ProblemsError
from isthmus.model.load import Loaded, model_files, read_texts
from isthmus.model.plant import Kinds, Machine, Plant
from isthmus.model.tag_text import values_for
from isthmus.model.write.flow import flow
from isthmus.model.write.text import NotEditableError, append, merge, put, remove

_BOM: Final = "\ufeff"


@dataclass(frozen=True)
class MapField:
    """A field of a machine type is fed by a tag."""

    machine_type: str
    field: str
    """`block.field`."""
    entry: Mapping[str, Any]
    """As in the model: `tag`, `unit`, `codes`, `counter`, `scale`, `offset`."""


@dataclass(frozen=True)
class AddMachine:
    """One more machine in a line."""

    site: str
    area: str
    line: str
    name: str
    entry: Mapping[str, Any]


@dataclass(frozen=True)
class AddSource:
    """One more source of a site."""

    site: str
    name: str
    entry: Mapping[str, Any]


@dataclass(frozen=True)
class AddType:
    """A machine type that is new, in a file of its own."""

    name: str
    kind: str
    """Kind of source its tags are written for."""
    map: Mapping[str, Mapping[str, Any]]
    """`block.field` → entry; its blocks are those that are named here."""
    title: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    """Name → what it means."""

    @property
    def file(self) -> str:
        return f"types/{self.name}.yaml"

    def text(self) -> str:
        blocks = list(dict.fromkeys(key.partition(".")[0] for key in self.map))
        width = max(map(len, self.map), default=0) + 1
        lines = [f"machine_type: {flow(self.name)}"]
        lines += [f"name: {flow(self.title)}"] if self.title else []
        lines += [f"kind: {flow(self.kind)}", f"blocks: {flow(blocks)}"]
        lines += ["params:"] if self.params else []
        lines += [f"  {flow(name)}: {flow({'doc': doc})}" for name, doc in self.params.items()]
        lines += ["map:"]
        lines += [f"  {f'{key}:':<{width}} {flow(entry)}" for key, entry in self.map.items()]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class ChangeSource:
    """A source of the model says something else; what stays of it keeps its place and comment."""

    site: str
    name: str
    entry: Mapping[str, Any]
    """All of it: `Raw` values that stand there already are not touched, missing keys go."""


@dataclass(frozen=True)
class RemoveSource:
    """A source leaves the model; machines must not read from it any more."""

    site: str
    name: str


@dataclass(frozen=True)
class ReadFrom:
    """A machine reads from another source."""

    site: str
    area: str
    line: str
    name: str
    source: str


@dataclass(frozen=True)
class RemoveMachine:
    """A machine leaves the model; what was stored of it stays."""

    site: str
    area: str
    line: str
    name: str


SiteEdit = AddMachine | AddSource | ChangeSource | RemoveSource | ReadFrom | RemoveMachine
Edit = MapField | AddType | SiteEdit


class EditError(Exception):
    """It cannot be done; the message says why and what to do."""


class ChangedMeanwhileError(EditError):
    """Somebody else changed a file between the preview and the writing."""


@dataclass(frozen=True)
class Edited:
    """A changed model that was checked; nothing is written yet."""

    folder: Path
    before: Mapping[str, str]
    """File → text; only files that change, empty where there is none yet."""
    after: Mapping[str, str]
    """Empty where there is to be none any more."""
    loaded: Loaded = field(repr=False)
    """The whole model as it would be."""

    def diff(self) -> str:
        """What a person is shown: unified, with three lines around."""
        parts = []
        for name, after in self.after.items():
            before = self.before[name].splitlines(keepends=True)
            lines = difflib.unified_diff(
                before, after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
            )
            parts += [one if one.endswith("\n") else f"{one}\n" for one in lines]
        return "".join(parts)

    def done(self) -> "Done":
        """What is kept of it once it is written, so that it can be undone."""
        return Done(dict(self.before), {name: digest(text) for name, text in self.after.items()})

    def write(self) -> None:
        """Put the files in place; ChangedMeanwhileError, and nothing written, if they changed."""
        for name, before in self.before.items():
            if _read_or_new(self.folder / name) != before:
                said = f"{name} was changed since the preview: look at the new one first"
                raise ChangedMeanwhileError(said)
        written = {name: text for name, text in self.after.items() if text}
        waiting = [(_beside(self.folder / name, text), name) for name, text in written.items()]
        for temporary, name in waiting:
            temporary.replace(self.folder / name)
        for name in self.after.keys() - written.keys():
            (self.folder / name).unlink()
            with suppress(OSError):  # a folder of its own goes with the last file
                (self.folder / name).parent.rmdir()


@dataclass(frozen=True)
class Done:
    """A change that was written."""

    before: Mapping[str, str]
    """File → text; empty where it made the file."""
    after: Mapping[str, str]
    """File → digest of the text it wrote; of an empty one where it removed the file."""


def edited(
    folder: Path, edits: Iterable[Edit], kinds: Kinds, env: Mapping[str, str] | None = None
) -> Edited:
    """The folder with these edits, checked. Touches no file.

    EditError where a place is not found or not editable; ProblemsError with the problems that
    the edits would bring.
    """
    env = os.environ if env is None else env
    texts, unreadable = model_files(folder)
    was = read_texts(texts, kinds, env, unreadable)
    if was.plant is None:
        raise EditError("the model has errors already: `isthmus check` shows them; mend them first")
    changed = dict(texts)
    for edit in edits:
        _apply(changed, edit)
    now = read_texts(changed, kinds, env, unreadable)
    if new := _new(was.problems, now.problems):
        raise ProblemsError(new)
    names = [name for name, text in changed.items() if text != texts.get(name)]
    before = {name: _read_or_new(folder / name) for name in names}
    after = {name: _as_written(before[name], changed[name]) for name in names}
    return Edited(folder, before, after, now)


def restored(
    folder: Path, done: Done, kinds: Kinds, env: Mapping[str, str] | None = None
) -> Edited:
    """The inverse of a change that was written; ChangedMeanwhileError if somebody wrote since."""
    after = {name: _read_or_new(folder / name) for name in done.after}
    for name, text in after.items():
        if digest(text) != done.after[name]:
            raise ChangedMeanwhileError(f"{name} was changed since: it cannot be undone any more")
    texts, unreadable = model_files(folder)
    texts |= {name: _as_read(text) for name, text in done.before.items()}
    made = {name for name, text in done.before.items() if not text}
    left = {name: text for name, text in texts.items() if name not in made}
    now = read_texts(left, kinds, os.environ if env is None else env, unreadable)
    return Edited(folder, after, done.before, now)


def digest(text: str) -> str:
    """What a text is known by."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _new(before: Sequence[Problem], after: Sequence[Problem]) -> list[Problem]:
    """Places move when lines are added, so problems are told apart by what they say."""
    known = Counter((one.code, one.address, one.message) for one in before)
    new = []
    for one in after:
        key = (one.code, one.address, one.message)
        if known[key]:
            known[key] -= 1
        else:
            new.append(one)
    return new


def params_of(texts: Mapping[str, str], plant: Plant, machine: Machine) -> dict[str, str]:
    """A machine's parameters as they are written, over the defaults of its type."""
    _, _, data = _declared(texts, "site", machine.site)
    _, _, area, line, name = machine.path.split("/")
    here: Any = data
    for step in ("areas", area, "lines", line, "machines", name, "params"):
        here = _at(here, step)
    return values_for(plant.machine_types[machine.type], here)


# One edit ------------------------------------------------------------------------------------


def _apply(texts: dict[str, str], edit: Edit) -> None:
    if isinstance(edit, AddType):
        if edit.file in texts:
            raise EditError(f"there is a file {edit.file} already")
        texts[edit.file] = edit.text()
        return
    kind, name = ("machine_type", edit.machine_type) if isinstance(edit, MapField) else (
        "site", edit.site,
    )  # fmt: skip
    file, position, data = _declared(texts, kind, name)
    try:
        texts[file] = _one(texts[file], position, data, edit)
    except NotEditableError as error:
        said = f"{file}: {error}; edit it by hand"
        raise EditError(said) from error


def _one(text: str, position: int, data: Mapping[str, Any], edit: MapField | SiteEdit) -> str:
    match edit:
        case MapField():
            block = edit.field.partition(".")[0]
            if block not in data.get("blocks", []):
                text = append(text, position, ("blocks",), block)
            return put(text, position, ("map", edit.field), edit.entry)
        case AddMachine() | ReadFrom() | RemoveMachine():
            return _machine_edited(text, position, data, edit)
        case AddSource() | ChangeSource() | RemoveSource():
            return _source_edited(text, position, data, edit)
        case _:
            assert_never(edit)


def _machine_edited(
    text: str,
    position: int,
    data: Mapping[str, Any],
    edit: AddMachine | ReadFrom | RemoveMachine,
) -> str:
    path = ("areas", edit.area, "lines", edit.line, "machines")
    match edit:
        case AddMachine():
            _line_exists(data, edit)
            _not_there(data, path, edit.name, "machine")
            return put(text, position, (*path, edit.name), edit.entry)
        case ReadFrom():
            return put(text, position, (*path, edit.name, "source"), edit.source)
        case RemoveMachine():
            return _without(text, position, data, (*path, edit.name))
        case _:
            assert_never(edit)


def _source_edited(
    text: str,
    position: int,
    data: Mapping[str, Any],
    edit: AddSource | ChangeSource | RemoveSource,
) -> str:
    path = ("sources", edit.name)
    match edit:
        case AddSource():
            _not_there(data, ("sources",), edit.name, "source")
            return put(text, position, path, edit.entry)
        case ChangeSource():
            return merge(text, position, path, edit.entry)
        case RemoveSource():
            return _without(text, position, data, path)
        case _:
            assert_never(edit)


def _without(text: str, position: int, data: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """Without the entry; where it was the last one, what is above says that it is empty."""
    here: Any = data
    for step in path[:-1]:
        here = _at(here, step)
    if len(here) > 1:
        return remove(text, position, path)
    return put(remove(text, position, path[:-1]), position, path[:-1], {})


def _line_exists(data: Mapping[str, Any], edit: AddMachine) -> None:
    lines = _at(_at(_at(data, "areas"), edit.area), "lines")
    if edit.line not in lines:
        there = ", ".join(
            f"`{edit.site}/{area}/{line}`"
            for area, one in _at(data, "areas").items()
            for line in _at(one, "lines")
        )
        raise EditError(f"no line `{edit.site}/{edit.area}/{edit.line}`; there are {there}")


def _not_there(data: Mapping[str, Any], path: Sequence[str], name: str, what: str) -> None:
    here: Any = data
    for step in path:
        here = _at(here, step)
    if name in here:
        raise EditError(f"there is a {what} `{name}` already")


def _at(data: Any, step: str) -> Mapping[str, Any]:
    found = data.get(step) if isinstance(data, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _declared(texts: Mapping[str, str], kind: str, name: str) -> tuple[str, int, dict[str, Any]]:
    """File, number of the document in it, and its data as plain text values."""
    for file, text in texts.items():
        for position, data in enumerate(_plain_documents(text)):
            if isinstance(data, dict) and next(iter(data), "") == kind and data[kind] == name:
                return file, position, data
    raise EditError(f"no {kind.replace('_', ' ')} `{name}` in this model")


def _plain_documents(text: str) -> list[Any]:
    return [_plain(root) for root in yaml.compose_all(text, Loader=yaml.CBaseLoader)]


def _plain(node: yaml.Node) -> Any:
    match node:
        case yaml.MappingNode():
            return {_plain(key): _plain(value) for key, value in node.value}
        case yaml.SequenceNode():
            return [_plain(one) for one in node.value]
        case _:
            return node.value


# Files ---------------------------------------------------------------------------------------


def _read_or_new(file: Path) -> str:
    """Empty where there is no such file yet."""
    return file.read_bytes().decode("utf-8") if file.exists() else ""


def _as_read(text: str) -> str:
    return text.removeprefix(_BOM).replace("\r\n", "\n")


def _as_written(before: str, after: str) -> str:
    """Line ends and byte order mark as the file had them."""
    if "\r\n" in before:
        after = after.replace("\n", "\r\n")
    return _BOM + after if before.startswith(_BOM) else after


def _beside(file: Path, text: str) -> Path:
    """The new text in a file of its own, on disk before anything is replaced."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    with os.fdopen(handle, "wb") as new:
        new.write(text.encode("utf-8"))
        new.flush()
        os.fsync(new.fileno())
    Path(name).chmod(file.stat().st_mode & 0o777 if file.exists() else 0o644)
    return Path(name)
