"""What people began or did on the Connect pages, in a file: a restart forgets none of it."""

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from isthmus.flow.disk import make_folder, replace_text
from isthmus.model.write.flow import Raw

LOG: Final = logging.getLogger("isthmus")
_OWNER_ONLY: Final = 0o600
"""It says what the model says, whose files may be for few to read."""


class KeptFile:
    """Entries by name, the oldest first; on disk it is whole at every moment. For any thread."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()
        self._entries: dict[str, Any] = self._read()

    @property
    def entries(self) -> Mapping[str, Any]:
        """As they are now; never changed in place."""
        return self._entries

    def change(self, put: Mapping[str, Any | None], most: int = 0) -> None:
        """Put these, take out where it is None, and keep the newest `most`; OSError: as it was."""
        with self._lock:
            kept = {name: one for name, one in self._entries.items() if name not in put}
            kept |= {name: one for name, one in put.items() if one is not None}
            kept = dict(list(kept.items())[-most:])
            if kept == self._entries:
                return
            make_folder(self._file.parent)
            text = json.dumps(kept, ensure_ascii=False, indent=1, default=raw_text)
            replace_text(self._file, text, mode=_OWNER_ONLY)
            self._entries = kept

    def _read(self) -> dict[str, Any]:
        """What cannot be read must not keep a platform from its machines: it is put aside."""
        try:
            return dict(json.loads(self._file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            aside = self._file.with_suffix(".damaged")
            self._file.replace(aside)
            LOG.warning("%s cannot be read (%s); it is now %s", self._file, error, aside.name)
            return {}


def raw_text(reference: Raw) -> str:
    return reference.text
