"""What a query reads of one lake table: its files at one version, looked up again when it moves."""

from collections.abc import Iterable
from pathlib import Path

from deltalake import DeltaTable

from isthmus.base.problem import ProblemsError
from isthmus.data import delta
from isthmus.data.verify import check_table


class StoredTable:
    """A table of the lake, there or not yet. Not safe for several threads at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self._table: DeltaTable | None = None
        self._committed: dict[str, int | None] = {}
        self.files: list[str] = []

    def refresh(self) -> None:
        """ProblemsError, at the first time, if the table is damaged."""
        if self._table is None:
            if not delta.commit_file(self.folder, 0).exists() and not self._has_checkpoint():
                return
            problems = check_table(self.folder)
            if problems:  # Delta would open it, and leave rows out
                raise ProblemsError(problems)
            self._table = delta.open_table(self.folder)
        elif delta.commit_file(self.folder, self._table.version() + 1).exists():
            self._table.update_incremental()
        else:
            return
        self.files = self._table.file_uris()
        self._committed = {}

    def committed(self, site: str, epochs: Iterable[str]) -> dict[str, int]:
        """Per epoch, the last sequence the table has of this site's log."""
        if self._table is None:
            return {}
        found = {epoch: self._version(delta.app_id(self.name, site, epoch)) for epoch in epochs}
        return {epoch: version for epoch, version in found.items() if version is not None}

    def _version(self, app: str) -> int | None:
        """Asking Delta takes milliseconds, so it is asked once per version of the table."""
        if app not in self._committed and self._table is not None:
            self._committed[app] = self._table.transaction_version(app)
        return self._committed[app]

    def _has_checkpoint(self) -> bool:
        return (delta.log_folder(self.folder) / "_last_checkpoint").exists()
