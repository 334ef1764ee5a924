"""Sources that are not in the model yet: what a person wrote, kept until a machine reads them."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.masking import is_secret_key, is_variable, url_password
from isthmus.model.plant import Source
from isthmus.web.workbench import RefusedChangeError

_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

Entry = Mapping[str, Any]


class Drafts:
    """One JSON file: name → site and entry, as they will stand in the model."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, dict[str, Any]] = (
            json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        )

    def entry(self, name: str) -> Entry:
        return self._kept[name]["entry"] if name in self._kept else {}

    def site(self, name: str) -> str:
        return str(self._kept[name]["site"])

    def sources(self) -> dict[str, Source]:
        """Those that can be read; one whose variable is gone meanwhile cannot be tried."""
        found = {}
        for name, one in self._kept.items():
            try:
                found[name] = source_of(one["site"], name, one["entry"])
            except RefusedChangeError:
                continue
        return found

    def keep(self, site: str, name: str, entry: Entry) -> None:
        source_of(site, name, entry)
        self._write(self._kept | {name: {"site": site, "entry": dict(entry)}})

    def discard(self, name: str) -> None:
        self._write({key: one for key, one in self._kept.items() if key != name})

    def _write(self, kept: dict[str, dict[str, Any]]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")
        new.replace(self._file)
        self._kept = kept


def source_of(site: str, name: str, entry: Entry) -> Source:
    """The source as the model would make it; RefusedChangeError with all that is wrong."""
    if not _NAME.fullmatch(name):
        raise RefusedChangeError(f"`{name}`: a name has small letters, digits, - and _ only")
    kind = str(entry.get("kind", ""))
    if kind not in SOURCE_KINDS:
        raise RefusedChangeError(f"there is no kind of source `{kind}`")
    _keep_no_secret("", entry)
    try:
        spec = SOURCE_KINDS[kind].model_validate(_filled("", entry))
    except ValidationError as error:
        wrong = [f"`{'.'.join(map(str, e['loc']))}`: {e['msg']}" for e in error.errors()]
        raise RefusedChangeError("; ".join(wrong)) from None  # its text repeats the values
    return Source(name, site, spec, (), ())


def _keep_no_secret(key: str, value: Any) -> None:
    """Refuse an entry that would make a secret readable for all who read the model."""
    match value:
        case dict():
            for name, one in value.items():
                _keep_no_secret(name, one)
        case list():
            for one in value:
                _keep_no_secret(key, one)
        case _ if is_variable(value):
            return
        case _ if is_secret_key(key) or url_password(str(value)):
            said = f"`{key}` would stand in the model for all to read: write ${{NAME}} and set "
            raise RefusedChangeError(said + "the environment variable NAME for the platform")


def _filled(key: str, value: Any) -> Any:
    match value:
        case dict():
            return {name: _filled(name, one) for name, one in value.items()}
        case list():
            return [_filled(key, one) for one in value]
        case str():
            return _with_variables(key, value)
        case _:
            return value


def _with_variables(key: str, text: str) -> str:
    for name in _VARIABLE.findall(text):
        if name not in os.environ:
            said = f"`{key}`: the platform has no environment variable {name}"
            raise RefusedChangeError(said)
    return _VARIABLE.sub(lambda found: os.environ[found[1]], text)
