"""Sources that are not in the model yet: what a person wrote, kept until a machine reads them."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from isthmus.base.problem import Problem
from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.load import SECRETS, read_texts
from isthmus.model.masking import is_secret_key, is_variable, url_password
from isthmus.model.plant import Kinds, Source
from isthmus.model.write.edits import AddSource
from isthmus.model.write.flow import Raw, flow, referring
from isthmus.runtime.kept_file import KeptFile, raw_text
from isthmus.web.workbench import RefusedChangeError, key_of

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

_OPEN: Final = (
    "`{key}` would stand in the model for all to read: write ${{NAME}} and set the environment"
    " variable NAME for the platform"
)
_FILE: Final = "draft.yaml"
_KINDS: Final = Kinds(SOURCE_KINDS, {}, {})

Entry = Mapping[str, Any]
Kept = Mapping[str, Any]
"""One draft in its file: `site` and `entry`."""


class Drafts:
    """One JSON file: name → site and entry, as they will stand in the model."""

    def __init__(self, kept: KeptFile, secrets: Callable[[], str]) -> None:
        """`secrets`: text of the model's file with them."""
        self._kept, self._secrets = kept, secrets
        self._read: dict[tuple[str, str], Source] = {}
        """By what was read; reading takes longer than a page may."""

    def entry(self, name: str) -> Entry:
        kept = self.kept(name)
        return kept["entry"] if kept is not None else {}

    def addition(self, name: str) -> AddSource:
        """How it comes into the model."""
        return AddSource(str(self._kept.entries[name]["site"]), name, referring(self.entry(name)))

    def sources(self) -> dict[str, Source]:
        """Those that can be read; one whose variable is gone meanwhile cannot be tried."""
        found = {}
        for name, one in self._kept.entries.items():
            try:
                found[name] = self._source(one["site"], name, one["entry"])
            except RefusedChangeError:
                continue
        return found

    def keep(self, site: str, name: str, entry: Entry) -> None:
        self._source(site, name, entry)
        self._kept.change({name: {"site": site, "entry": dict(entry)}})

    def discard(self, name: str) -> None:
        self.put_back({name: None})

    def kept(self, name: str) -> Kept | None:
        """As `put_back` takes it; None: there is no such draft."""
        return self._kept.entries.get(name)

    def put_back(self, before: Mapping[str, Kept | None]) -> None:
        """These are as they were, whether they can be read or not."""
        self._kept.change(before)

    def _source(self, site: str, name: str, entry: Entry) -> Source:
        secrets = self._secrets()
        key = f"{site} {name} {json.dumps(entry, default=raw_text)}", secrets
        if key not in self._read:
            self._read[key] = source_of(site, name, referring(entry), secrets)
        return self._read[key]


def source_of(site: str, name: str, entry: Entry, secrets: str = "") -> Source:
    """The source as the model makes it; RefusedChangeError with what `isthmus check` would say."""
    if not _NAME.fullmatch(name):
        raise RefusedChangeError(f"`{name}`: a name has small letters, digits, - and _ only")
    kind = str(entry.get("kind", ""))
    if kind not in SOURCE_KINDS:
        raise RefusedChangeError(f"there is no kind of source `{kind}`")
    no_secrets(site, name, entry)
    text = f"enterprise: draft\n---\nsite: {site}\nsources: {flow({name: entry})}\n"
    loaded = read_texts({_FILE: text, SECRETS: secrets}, _KINDS, os.environ)
    if loaded.plant is None:
        errors = [one for one in loaded.problems if one.severity == "error"]
        raise RefusedChangeError(said_of(errors), errors)
    return loaded.plant.sources[name]


def no_secrets(site: str, name: str, entry: Entry) -> None:
    """RefusedChangeError where a person typed one; what stands in the model already may stay."""
    if open_ := list(_in_the_open(f"sites.{site}.sources.{name}", entry)):
        problems = [Problem("M046", path, _OPEN.format(key=key)) for path, key in open_]
        raise RefusedChangeError("; ".join(one.message for one in problems), problems)


def said_of(problems: Sequence[Problem]) -> str:
    """What is wrong with a source, in one line."""
    return "; ".join(f"`{key_of(one)}`: {one.message}" for one in problems)


def _in_the_open(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Address and key of what would make a secret readable for all who read the model."""
    match value:
        case Mapping():
            for name, one in value.items():
                yield from _in_the_open(f"{path}.{name}", one)
        case list():
            for one in value:
                yield from _in_the_open(path, one)
        case Raw():
            return
        case _ if is_variable(value):
            return
        case _:
            key = path.rpartition(".")[2]
            if is_secret_key(key) or url_password(str(value)):
                yield path, key
