"""The work behind the Connect pages: crawls, live values, proposals, a changed model."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from isthmus.base.clock import Clock
from isthmus.base.problem import ProblemsError
from isthmus.field.browse import NodeIndex
from isthmus.field.connector import Connector
from isthmus.field.listing import ListingError, nodes_of
from isthmus.field.registry import connector
from isthmus.field.suggest import Proposal
from isthmus.field.suggest.behaviour import Value
from isthmus.model.load import SECRETS, model_files
from isthmus.model.plant import Plant, Source
from isthmus.model.write.bulk import RowsError, read_table
from isthmus.model.write.edits import AddSource, Edited, EditError
from isthmus.model.write.written import written_at
from isthmus.runtime.address_space import AddressSpace
from isthmus.runtime.browse import Browsing
from isthmus.runtime.changing import Asked, asked_for, change_of
from isthmus.runtime.connect import Chosen, needs_codes, propose
from isthmus.runtime.devices import Look, freely
from isthmus.runtime.drafts import Drafts, no_secrets, said_of
from isthmus.runtime.kept_file import KeptFile
from isthmus.runtime.listening import Listening
from isthmus.runtime.model_writer import ModelWriter
from isthmus.runtime.revising import Rewritten, revised
from isthmus.runtime.server_ways import ask_ways, make_certificate, trust
from isthmus.runtime.settings import Settings
from isthmus.runtime.trying import Trying
from isthmus.runtime.waiting import Waiting
from isthmus.web.workbench import (
    Choice,
    Crawling,
    Draft,
    Heard,
    Proposed,
    RefusedChangeError,
    RemovedSource,
    Revised,
    RevisedSource,
    Revision,
    Target,
    Trial,
    Undone,
    Ways,
)

_TRIED: Final = 20
"""Tags of a source of which none is mapped yet."""
_LISTENED_TO: Final = 3
"""Proposals per field whose values are looked at."""


class Workbench:
    """Implements `isthmus.web.workbench.Workbench` for one platform."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        plant: Callable[[], Plant],
        folder: Callable[[], Path],
        apply: Callable[[Path], Awaitable[Any]],
        *,
        look: Look = freely,
    ) -> None:
        self._look = look
        self._settings, self._clock = settings, clock
        self._plant, self._folder = plant, folder
        self._spaces: dict[str, AddressSpace] = {}
        self._listening: dict[str, Listening] = {}
        self._samples: dict[str, dict[str, tuple[Value, ...]]] = {}
        kept = settings.data / "connect"
        self._drafts = Drafts(KeptFile(kept / "drafts.json"), self._secrets)
        self._ways: dict[str, Ways] = {}
        self._trials: dict[str, Trying] = {}
        self._waiting = Waiting(KeptFile(kept / "waiting.json"))
        self._changed: dict[str, Source] = {}
        """Sources as they would be with what waits; to read one takes longer than a page may."""
        self._writer = ModelWriter(plant, folder, apply, KeptFile(kept / "undo.json"))
        self._opening = threading.Lock()

    def _secrets(self) -> str:
        file = self._folder() / SECRETS
        return file.read_text(encoding="utf-8-sig") if file.exists() else ""

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one in self._spaces.values()))
        await asyncio.gather(*(one.close() for one in self._listening.values()))
        await asyncio.gather(*(one.close() for one in self._trials.values()))

    def source(self, name: str) -> Source | None:
        return self._plant().sources.get(name) or self.drafts().get(name)

    # Drafts and what they are tried with -----------------------------------------------------

    def drafts(self) -> Mapping[str, Source]:
        there = self._plant().sources
        return {name: one for name, one in self._drafts.sources().items() if name not in there}

    def entry(self, name: str) -> Mapping[str, Any]:
        return self._drafts.entry(name)

    def keep(self, site: str, name: str, entry: Mapping[str, Any]) -> None:
        if name in self._plant().sources:
            raise RefusedChangeError(f"there is a source `{name}` already")
        if site not in self._plant().sites:
            raise RefusedChangeError(f"there is no site `{site}`")
        before = self._drafts.entry(name)
        if any(entry.get(key) != before.get(key) for key in ("endpoint", "endpoints")):
            self._ways.pop(name, None)
        self._drafts.keep(site, name, entry)

    async def discard(self, name: str) -> None:
        self._drafts.discard(name)
        if self.source(name) is not None:
            return
        self._ways.pop(name, None)
        looking = (self._spaces, self._listening, self._trials)
        left = [one for these in looking if (one := these.pop(name, None)) is not None]
        await asyncio.gather(*(one.close() for one in left))

    async def ask_ways(self, name: str) -> None:
        wanted = await asyncio.to_thread(self._wanted, name)
        self._ways[name] = await ask_ways(wanted, self._look)

    def _wanted(self, name: str) -> Source:
        """As a person rewrote it, else as it is."""
        known, rewritten = self._known(name), self.rewritten(name)
        if rewritten is None:
            return known
        if name not in self._changed:
            self._changed[name] = self._revised(RevisedSource(name, rewritten))
        return self._changed[name]

    def ways(self, name: str) -> Ways | None:
        return self._ways.get(name)

    async def trust(self, name: str, fingerprint: str) -> None:
        wanted = await asyncio.to_thread(self._wanted, name)
        await trust(wanted, fingerprint, self._look)
        await self.ask_ways(name)

    def make_certificate(self) -> str:
        made = make_certificate()
        self._ways.clear()
        return made

    def begin_trial(self, name: str, seconds: float, *, changed: bool = False) -> None:
        there = self._trials.get(name)
        if there is None or not there.running:
            source = self._wanted(name) if changed else self._known(name)
            tags = source.tags or self._some_tags(name)
            tried = replace(source, tags=tags)
            self._trials[name] = Trying(
                tried,
                self._plant(),
                seconds,
                self._look,
                changed=changed and self.rewritten(name) is not None,
            )

    def trial(self, name: str) -> Trial | None:
        there = self._trials.get(name)
        return there.state() if there is not None else None

    def _some_tags(self, name: str) -> tuple[str, ...]:
        variables = [one.tag for one in self._nodes(name) if one.type and not one.has_children]
        return tuple(variables[:_TRIED])

    # Looking around ------------------------------------------------------------------------

    def crawl(self, source: str, *, again: bool = False) -> None:
        self._space(source).crawl(again=again)

    def crawling(self, source: str) -> Crawling:
        return self._space(source).state()

    def nodes(self, source: str) -> NodeIndex | None:
        return self._space(source).nodes()

    def browsable(self, source: str) -> bool:
        return connector(self._known(source).spec.kind).browse is not Connector.browse

    def list_tags(self, source: str, table: str) -> int:
        parse_tag = self._known(source).spec.parse_tag
        try:
            nodes = nodes_of(read_table(table), parse_tag)
        except (RowsError, ListingError) as error:
            raise RefusedChangeError(str(error)) from error
        if not nodes:
            raise RefusedChangeError("the list has no tag")
        self._space(source).keep(nodes)
        return len(nodes)

    def _space(self, name: str) -> AddressSpace:
        source = self._known(name)
        with self._opening:
            there = self._spaces.get(name)
            if there is None or (there.source.spec != source.spec and not there.running):
                there = AddressSpace(source, lambda: self._browsing(source))
                self._spaces[name] = there
            return there

    def _browsing(self, source: Source) -> Browsing:
        return Browsing(source, self._settings, self._clock, look=self._look)

    def _known(self, name: str) -> Source:
        source = self.source(name)
        if source is None:
            raise RefusedChangeError(f"there is no source `{name}`")
        return source

    # Listening -----------------------------------------------------------------------------

    def listen(self, source: str, tags: Sequence[str]) -> Heard:
        declared = self._known(source)
        there = self._listening.get(source)
        wanted = tuple(tags)
        if there is not None and not there.over and there.source == replace(declared, tags=wanted):
            return there.heard()
        if there is not None:
            there.end()
        self._listening[source] = Listening(declared, wanted, look=self._look)
        return self._listening[source].heard()

    # Proposing -----------------------------------------------------------------------------

    def propose(self, target: Target) -> Proposed:
        asked = self._asked(target)
        nodes = self._nodes(target.source)
        found = propose(asked.wanted, nodes, self._samples.get(target.source))
        mapped = [(f"{one.block}.{one.field}", one.tag or "") for one in asked.wanted.machine.maps]
        return Proposed(asked.wanted.machine.path, asked.wanted.under, found, mapped)

    async def watch(self, target: Target, seconds: float) -> int:
        found = (await asyncio.to_thread(self.propose, target)).suggestions
        tags = [one.tag for each in found for one in each.proposals[:_LISTENED_TO]]
        unique = tuple(dict.fromkeys(tags))
        if not unique:
            return 0
        listening = Listening(self._known(target.source), unique, look=self._look)
        try:
            await listening.through(seconds)
        finally:
            await listening.close()
        self._samples.setdefault(target.source, {}).update(listening.values())
        return len(listening.values())

    def proposal(self, source: str, tag: str) -> Proposal | None:
        node = next((one for one in self._nodes(source) if one.tag == tag), None)
        if node is None:
            return None
        return Proposal(tag, node.name, node.path, 0.0, (), node.type, node.unit or None)

    def _nodes(self, source: str) -> Sequence[Any]:
        index = self.nodes(source)
        return index.search("", limit=len(index)).nodes if index else ()

    def _asked(self, target: Target) -> Asked:
        try:
            return asked_for(
                self._folder(), self._plant(), self._known(target.source), target,
                self._nodes(target.source), added=self._addition(target.source),
            )  # fmt: skip
        except (EditError, ProblemsError) as error:
            raise RefusedChangeError(str(error)) from error

    def _addition(self, name: str) -> AddSource | None:
        if name in self._plant().sources:
            return None
        return self._drafts.addition(name)

    # Changing the model ----------------------------------------------------------------------

    def draft(self, target: Target, choices: Sequence[Choice]) -> Draft:
        need_codes: list[str] = []

        def make() -> Edited:
            asked = self._asked(target)
            chosen = self._chosen(asked, target, choices)
            need_codes[:] = [
                one.key for one in chosen if needs_codes(asked.plant, asked.wanted, one)
            ]
            return change_of(self._folder(), asked, chosen)

        found = self._writer.draft(make)
        return replace(found, need_codes=tuple(need_codes)) if found.applies else found

    async def apply(self, target: Target, choices: Sequence[Choice], digest: str) -> Revised:
        def make() -> Edited:
            asked = self._asked(target)
            return change_of(self._folder(), asked, self._chosen(asked, target, choices))

        before = {target.source: self._drafts.kept(target.source)}
        done = await self._writer.write(make, digest, before)
        self._drafts.discard(target.source)
        return done

    def written(self, name: str) -> Mapping[str, Any]:
        source = self._known(name)
        try:
            return written_at(model_files(self._folder())[0], source.site, ("sources", name))
        except EditError as error:
            raise RefusedChangeError(str(error)) from error

    def rewritten(self, name: str) -> Mapping[str, Any] | None:
        there = self._waiting.of(name) if name in self._plant().sources else None
        return there.over(self.written(name)) if there is not None else None

    def rewrite(self, name: str, entry: Mapping[str, Any]) -> None:
        no_secrets(self._known(name).site, name, entry)
        source = self._revised(RevisedSource(name, entry))
        self._waiting.keep(name, Rewritten.between(self.written(name), entry))
        self._changed[name] = source

    def forget(self, name: str) -> None:
        self._waiting.forget(name)
        self._changed.pop(name, None)

    def preview(self, revision: Revision) -> Draft:
        return self._writer.draft(lambda: self._made(revision))

    async def revise(self, revision: Revision, digest: str) -> Revised:
        undone = self._writer.drafts_before(revision.undo) if isinstance(revision, Undone) else {}
        before = {name: self._drafts.kept(name) for name in undone}
        done = await self._writer.write(lambda: self._made(revision), digest, before)
        self._drafts.put_back(undone)
        if isinstance(revision, RevisedSource | RemovedSource):
            self.forget(revision.name)
        return done

    def _made(self, revision: Revision) -> Edited:
        if isinstance(revision, Undone):
            return self._writer.undone(revision.undo)
        if isinstance(revision, RevisedSource):
            no_secrets(self._known(revision.name).site, revision.name, revision.entry)
        return revised(self._folder(), self._plant(), revision)

    def _revised(self, revision: RevisedSource) -> Source:
        """The source as it would be; RefusedChangeError with what `isthmus check` says."""
        try:
            plant = self._made(revision).loaded.plant
        except ProblemsError as error:
            raise RefusedChangeError(said_of(error.problems), error.problems) from error
        except EditError as error:
            raise RefusedChangeError(str(error)) from error
        if plant is None:
            raise RefusedChangeError("the model has errors already: `isthmus check` shows them")
        return plant.sources[revision.name]

    def _chosen(self, asked: Asked, target: Target, choices: Sequence[Choice]) -> list[Chosen]:
        found = propose(asked.wanted, self._nodes(target.source), self._samples.get(target.source))
        known = {(one.key, each.tag): each for one in found for each in one.proposals}
        return [self._one(target.source, known, choice) for choice in choices]

    def _one(
        self, source: str, known: Mapping[tuple[str, str], Proposal], choice: Choice
    ) -> Chosen:
        proposal = known.get((choice.key, choice.tag)) or self.proposal(source, choice.tag)
        if proposal is None:
            # Not browsed, or a kind that cannot be: `check` judges whether it is an address.
            proposal = Proposal(choice.tag, choice.tag, "", 0.0, ())
        return Chosen(choice.key, proposal, choice.codes or None)
