"""Reads a folder of YAML and makes the `Plant`, or tells everything that is wrong with it.

Two stages: shape first, then rules. All problems of a stage are reported at once; a model whose
shape is wrong is not judged by rules, which would only echo it.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Final

from isthmus.base.problem import Place, Problem, ProblemsError
from isthmus.model.catalogue import problem
from isthmus.model.compose import MAX_BYTES, Composer
from isthmus.model.declaration import Declaration
from isthmus.model.declare import declare
from isthmus.model.document import Document, MappingNode, Scalar
from isthmus.model.fill import Filling
from isthmus.model.masking import scrubbed
from isthmus.model.plant import Kinds, Plant
from isthmus.model.resolve import resolve
from isthmus.model.rules import broken_rules

SECRETS: Final = "secrets.yaml"
_LEFT_OUT: Final = frozenset({"M001", "M004", "M008"})
"""Problems after which documents may be missing."""
_ENDINGS: Final = frozenset({".yaml", ".yml"})


@dataclass(frozen=True)
class Loaded:
    """What came of a folder: a plant if there is no error, and all problems, warnings too."""

    plant: Plant | None
    problems: tuple[Problem, ...]


def load(folder: Path, kinds: Kinds, env: Mapping[str, str] | None = None) -> Plant:
    """The plant a folder declares; raises ProblemsError with all problems of the stage."""
    loaded = read(folder, kinds, env)
    if loaded.plant is None:
        raise ProblemsError(list(loaded.problems))
    return loaded.plant


def read(folder: Path, kinds: Kinds, env: Mapping[str, str] | None = None) -> Loaded:
    """The plant, if it has no error, with everything there is to say about it."""
    texts, unreadable = model_files(folder)
    return read_texts(texts, kinds, os.environ if env is None else env, unreadable)


def read_texts(
    texts: Mapping[str, str],
    kinds: Kinds,
    env: Mapping[str, str],
    unreadable: tuple[Problem, ...] = (),
) -> Loaded:
    """As `read`, from file name → text; touches nothing."""
    secrets, problems = _secrets(texts.get(SECRETS, ""))
    problems += unreadable
    documents: list[Document] = []
    used: set[str] = set()
    for file, text in texts.items():
        if file == SECRETS:
            continue
        composer = Composer(file, text)
        composer.compose()
        problems += composer.problems
        for document in composer.documents:
            filling = Filling(document, env, secrets)
            documents.append(filling.filled())
            problems += filling.problems
            used |= filling.used
    complete = not any(each.code in _LEFT_OUT for each in problems)
    declaration, found = declare(documents, _library(), kinds, complete=complete)
    problems += found
    plant, found = _checked(declaration, kinds, problems)
    return Loaded(plant, _told([*problems, *found], used))


def _checked(
    declaration: Declaration | None, kinds: Kinds, problems: list[Problem]
) -> tuple[Plant | None, list[Problem]]:
    """Stage 2, unless stage 1 found an error."""
    if declaration is None or _has_error(problems):
        return None, []
    found = list(broken_rules(declaration, kinds))
    return (None if _has_error(found) else resolve(declaration)), found


def _has_error(problems: list[Problem]) -> bool:
    return any(each.severity == "error" for each in problems)


def _told(problems: list[Problem], secrets: set[str]) -> tuple[Problem, ...]:
    """In the order of the files, and without a secret in any of them."""
    nowhere = Place("", 0, 0)
    # What is shorter is no secret, but would tear holes into every message.
    hidden = frozenset(secret for secret in secrets if len(secret) >= 4)
    safe = [
        replace(
            each,
            message=scrubbed(each.message, hidden),
            hint=scrubbed(each.hint, hidden),
            source_line=scrubbed(each.source_line, hidden),
        )
        if hidden
        else each
        for each in problems
    ]
    return tuple(sorted(safe, key=lambda each: (each.place or nowhere, each.code)))


def model_files(folder: Path) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """Every YAML file below `folder`, hidden ones aside, by its name relative to it."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        if path.name == SECRETS and name != SECRETS:
            said = "secrets are kept in the model's own folder, not below it"
            problems.append(problem("M009", "", said, place=Place(name, 1, 1)))
            continue
        try:
            if path.stat().st_size > MAX_BYTES:
                said = f"the file is larger than {MAX_BYTES:,} bytes"
                problems.append(problem("M004", "", said, place=Place(name, 1, 1), hint="split it"))
                continue
            texts[name] = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            said = f"not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}"
            hint = "save the file as UTF-8"
            problems.append(problem("M008", "", said, place=Place(name, 1, 1), hint=hint))
        except OSError as error:
            said = f"cannot be read: {error.strerror}"
            problems.append(problem("M008", "", said, place=Place(name, 1, 1)))
    return texts, tuple(problems)


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if path.suffix in _ENDINGS and not name.startswith("."):
                yield path


def _secrets(text: str) -> tuple[Mapping[str, str], list[Problem]]:
    """The flat list of secrets; its problems never show a line of it."""
    composer = Composer(SECRETS, text)
    composer.compose()
    problems = [replace(each, source_line="") for each in composer.problems]
    secrets: dict[str, str] = {}
    for document in composer.documents:
        if not isinstance(document.root, MappingNode):
            said = "secrets are a list of `name: value`"
            problems.append(problem("M009", "", said, place=Place(SECRETS, 1, 1)))
            continue
        for name, (key, value) in document.root.pairs.items():
            if isinstance(value, Scalar):
                secrets[name] = value.text
            else:
                place = Place(SECRETS, key.start.line + 1, key.start.column + 1, len(key.text))
                said = f"the secret `{name}` is not a single value"
                problems.append(problem("M009", name, said, place=place))
    return MappingProxyType(secrets), problems


@cache
def _library() -> tuple[Document, ...]:
    """Code systems and blocks that Isthmus brings."""
    documents: list[Document] = []
    for file in sorted(files("isthmus.model").joinpath("library").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            composer = Composer(f"isthmus library {file.name}", file.read_text(encoding="utf-8"))
            composer.compose()
            documents += (Filling(each, {}, {}).filled() for each in composer.documents)
    return tuple(documents)
