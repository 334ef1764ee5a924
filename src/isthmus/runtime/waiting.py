"""What sources of the model are to say, until a person writes it or lets it be."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from isthmus.model.write.flow import Raw
from isthmus.model.write.written import Written
from isthmus.runtime.kept_file import KeptFile
from isthmus.runtime.revising import Rewritten
from isthmus.web.workbench import RefusedChangeError

_YAML: Final = "$yaml"
"""Marks text of the model in JSON; no key of a source begins so."""
_MOST: Final = 200
"""Sources with a change that waits; the rest was forgotten long ago, or left the model."""


class Waiting:
    """Changes by source, in a file: they wait for as long as it takes. For any thread."""

    def __init__(self, kept: KeptFile) -> None:
        self._kept = kept

    def of(self, source: str) -> Rewritten | None:
        kept = self._kept.entries.get(source)
        return None if kept is None else Rewritten(_read(kept["put"]), kept["drop"])

    def keep(self, source: str, change: Rewritten) -> None:
        """RefusedChangeError where the disk does not take it."""
        try:
            self._kept.change({source: asdict(change) | {"put": _plain(change.put)}}, _MOST)
        except OSError as error:
            raise RefusedChangeError(f"the change cannot be kept: {error.strerror}") from error

    def forget(self, source: str) -> None:
        self._kept.change({source: None})


def _plain(value: Any) -> Any:
    """As JSON has it."""
    match value:
        case Written(text, shown, known):
            return {_YAML: [text, shown, known]}
        case Raw(text):
            return {_YAML: [text]}
        case Mapping():
            return {name: _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case _:
            return value


def _read(value: Any) -> Any:
    match value:
        case {"$yaml": [text]}:
            return Raw(text)
        case {"$yaml": [text, shown, known]}:
            return Written(text, shown, known)
        case dict():
            return {name: _read(one) for name, one in value.items()}
        case list():
            return [_read(one) for one in value]
        case _:
            return value
