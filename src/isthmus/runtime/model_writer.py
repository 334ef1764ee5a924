"""Writes a change of the model that a person has seen, makes the platform follow, and undoes it."""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from isthmus.base.problem import ProblemsError
from isthmus.model.changes import changes, interrupted_sources
from isthmus.model.plant import Plant
from isthmus.model.write.bulk import RowsError
from isthmus.model.write.clone import MustDifferError
from isthmus.model.write.edits import Done, Edited, EditError, restored
from isthmus.runtime.changing import put_back
from isthmus.runtime.drafts import Kept
from isthmus.runtime.kept_file import LOG, KeptFile
from isthmus.runtime.open import kinds
from isthmus.web.workbench import Draft, RefusedChangeError, Revised

_KEPT: Final = 20
"""Changes that can still be undone; each is as large as the files it changed were."""

Make = Callable[[], Edited]
"""Makes the change anew from the files as they are; EditError, RowsError, ProblemsError."""


DraftsBefore = Mapping[str, Kept | None]
"""Drafts that a change took or gave, as they were before it."""


class ModelWriter:
    """Of one platform; one change at a time."""

    def __init__(
        self,
        plant: Callable[[], Plant],
        folder: Callable[[], Path],
        apply: Callable[[Path], Awaitable[Any]],
        done: KeptFile,
    ) -> None:
        """`done`: what was written and can be undone."""
        self._plant, self._folder, self._apply = plant, folder, apply
        self._writing = asyncio.Lock()
        self._done = done

    def draft(self, make: Make, need_codes: Sequence[str] = ()) -> Draft:
        """What would be written, checked and planned; touches no file."""
        try:
            change = make()
        except RowsError as error:
            return Draft(rows=error.problems)
        except MustDifferError as error:
            return Draft(missing=error.missing)
        except ProblemsError as error:
            return Draft(problems=tuple(error.problems))
        except (EditError, RefusedChangeError) as error:
            return Draft(refused=str(error))
        if change.loaded.plant is None:
            return Draft(problems=change.loaded.problems)
        planned = changes(self._plant(), change.loaded.plant)
        diff = change.diff()
        return Draft(
            diff=diff,
            digest=_digest(diff),
            changes=planned,
            interrupts=tuple(sorted(interrupted_sources(planned))),
            need_codes=tuple(need_codes),
        )

    async def write(self, make: Make, digest: str, drafts: DraftsBefore) -> Revised:
        """RefusedChangeError: it would be another change by now, or it cannot be done."""
        async with self._writing:
            change = await asyncio.to_thread(_seen, make, digest)
            before = self._plant()
            await asyncio.to_thread(_write, change)
            try:
                await self._apply(self._folder())
            except ProblemsError as error:
                await asyncio.to_thread(put_back, change)
                raise RefusedChangeError(str(error)) from error
            except BaseException:
                await asyncio.to_thread(put_back, change)
                raise
            undo = await asyncio.to_thread(self._remembered, change, drafts)
            return Revised(changes(before, self._plant()), undo)

    def undone(self, undo: str) -> Edited:
        """The inverse of what was written; EditError where that is possible no more."""
        kept = self._done.entries.get(undo)
        if kept is None:
            raise EditError("this change can be undone no more: others came after it")
        return restored(self._folder(), Done(kept["before"], kept["after"]), kinds())

    def drafts_before(self, undo: str) -> DraftsBefore:
        """Drafts as they are to be once it is undone."""
        kept = self._done.entries.get(undo)
        return kept["drafts"] if kept is not None else {}

    def _remembered(self, change: Edited, drafts: DraftsBefore) -> str:
        """Empty where there is no room to keep it: the change itself is written by then."""
        undo = secrets.token_hex(4)
        kept = {**asdict(change.done()), "drafts": drafts}
        try:
            self._done.change({undo: kept}, most=_KEPT)
        except OSError as error:
            LOG.warning("a change of the model cannot be undone, it could not be kept: %s", error)
            return ""
        return undo


def _seen(make: Make, digest: str) -> Edited:
    """The change a person has seen."""
    try:
        change = make()
    except (EditError, ProblemsError, RowsError) as error:
        raise RefusedChangeError(str(error)) from error
    if _digest(change.diff()) != digest:
        raise RefusedChangeError("the model was changed meanwhile: look at the change again")
    return change


def _write(change: Edited) -> None:
    try:
        change.write()
    except EditError as error:  # nothing was written
        raise RefusedChangeError(str(error)) from error
    except OSError as error:
        put_back(change)
        said = f"the model in {change.folder} cannot be written: {error.strerror}"
        raise RefusedChangeError(said) from error


def _digest(diff: str) -> str:
    return hashlib.sha256(diff.encode()).hexdigest()[:16]
