"""What the Connect pages need: look around in a source, listen to it, change the model.

The runtime implements it (`isthmus.runtime.workbench`); nothing here talks to a device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from isthmus.base.clock import Micros
from isthmus.base.problem import Problem
from isthmus.field.browse import NodeIndex, Progress
from isthmus.field.suggest import Proposal, Suggestion
from isthmus.model.changes import Change
from isthmus.model.plant import Source
from isthmus.model.write.bulk import RowProblem
from isthmus.model.write.clone import Difference

Trouble = Literal["", "unreachable", "refused", "unsupported", "fault"]


@dataclass(frozen=True)
class Crawling:
    """How far we know a source's address space."""

    running: bool = False
    progress: Progress | None = None
    at: Micros | None = None
    """When it was found, if it is known from an earlier crawl."""
    trouble: Trouble = ""
    detail: str = ""
    """Why it ended, and what to do."""


@dataclass(frozen=True)
class Point:
    """One value of one tag."""

    at: Micros
    """When we received it."""
    number: float | None
    text: str


@dataclass(frozen=True)
class TagHeard:
    """What came of one tag in the last minute."""

    tag: str
    points: tuple[Point, ...] = ()
    """Oldest first; the first may be older than a minute, so that a line can begin there."""
    quality: int | None = None
    """An OPC UA StatusCode; None before anything came."""
    device_time: Micros | None = None
    received: int = 0
    """Values of the last minute."""
    since: Micros = 0
    """We listen since."""


@dataclass(frozen=True)
class Heard:
    """What a source says while somebody looks."""

    now: Micros
    tags: tuple[TagHeard, ...] = ()
    open: bool = False
    trouble: str = ""


@dataclass(frozen=True)
class Target:
    """The machine whose fields are to be fed: one of the model, or one that is to be added."""

    source: str
    machine: str = ""
    """Asset path of one of the model; else the following say which to add."""
    line: str = ""
    """`site/area/line`."""
    name: str = ""
    type: str = ""
    new_type: bool = False
    params: Mapping[str, str] = field(default_factory=dict)
    blocks: tuple[str, ...] = ()
    """Empty: those of the type."""
    under: str = ""
    """Path of the machine's folder, where a source has several."""


@dataclass(frozen=True)
class Choice:
    """A person's decision for one field."""

    key: str
    """`block.field`."""
    tag: str
    codes: Mapping[str | int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Proposed:
    """Fields without a tag and what may feed them; fields with one and what does."""

    machine: str
    under: str
    suggestions: Sequence[Suggestion]
    mapped: Sequence[tuple[str, str]]
    """`block.field` → tag, as the model has it."""


@dataclass(frozen=True)
class RevisedSource:
    """A source of the model says something else."""

    name: str
    entry: Mapping[str, Any]
    """All of it; values that stay are those of `Workbench.written`."""


@dataclass(frozen=True)
class SwitchedSource:
    """A source of the model is read, or is not for the time being."""

    name: str
    on: bool


@dataclass(frozen=True)
class RemovedSource:
    """A source leaves the model."""

    name: str
    instead: str = ""
    """Which source its machines read from then; empty: they leave the model, too."""


@dataclass(frozen=True)
class AddedMachines:
    """Many machines of one type, a row of a table for each."""

    line: str
    """`site/area/line`."""
    type: str
    table: str
    """CSV, as `isthmus machines add` reads it."""
    sets: Mapping[str, str] = field(default_factory=dict)
    """Column → text for every row; `{host}` in it is that row's cell."""


@dataclass(frozen=True)
class ClonedMachine:
    """A machine like another one."""

    original: str
    copy: str
    """`site/area/line/machine`."""
    given: Mapping[str, str] = field(default_factory=dict)
    """What differs, as `isthmus machines clone --set` has it."""


@dataclass(frozen=True)
class Undone:
    """The model is as it was before a change."""

    undo: str
    """As `Revised` had it."""


Revision = RevisedSource | SwitchedSource | RemovedSource | AddedMachines | ClonedMachine | Undone
"""What a person wants of the model, beside a mapping."""


@dataclass(frozen=True)
class Revised:
    """It is written, and the platform runs it."""

    changes: tuple[Change, ...]
    undo: str = ""
    """Names the change, to undo it; empty: there was no room to keep it."""


@dataclass(frozen=True)
class Draft:
    """The model as it would be: nothing of it is written."""

    diff: str = ""
    digest: str = ""
    """Of the diff: what is applied must be what was shown."""
    changes: tuple[Change, ...] = ()
    """What it would change on the running platform."""
    interrupts: tuple[str, ...] = ()
    need_codes: tuple[str, ...] = ()
    """Fields with names for whose codes nobody said which is which."""
    problems: tuple[Problem, ...] = ()
    rows: tuple[RowProblem, ...] = ()
    """What is wrong in a table."""
    missing: tuple[Difference, ...] = ()
    """What a copy has to differ in, and nobody said how."""
    refused: str = ""
    """Why it cannot be done; then there is nothing to apply."""

    @property
    def applies(self) -> bool:
        return bool(self.diff) and not (self.problems or self.rows or self.missing or self.refused)


@dataclass(frozen=True)
class Certificate:
    """A server's certificate, as two people compare it."""

    endpoint: str
    subject: str
    fingerprint: str
    until: str
    """ISO date."""
    worry: str
    """Why it should not be trusted, or not for long; empty while all is well."""
    trusted: bool


@dataclass(frozen=True)
class Ways:
    """What an OPC UA server offers, and whether we have what it takes."""

    offers: tuple[tuple[str, str], ...] = ()
    """Security and policy, as a source of the model says them; of a redundant set, what all of its
    servers offer that answered."""
    certificates: tuple[Certificate, ...] = ()
    """Of each server that shows one."""
    ours: str = ""
    """Fingerprint of our own certificate; empty: there is none yet."""
    trouble: str = ""


@dataclass(frozen=True)
class TagTried:
    """What came of one tag in a trial."""

    tag: str
    value: str
    quality: int
    per_second: float
    problem: str


@dataclass(frozen=True)
class Trial:
    """A source that is tried, or was."""

    seconds: float
    elapsed: float
    running: bool
    changed: bool = False
    """As it was rewritten, beside the one that runs."""
    asked: int = 0
    """Tags that were listened to."""
    tags: tuple[TagTried, ...] = ()
    trouble: str = ""
    attention: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


class RefusedChangeError(Exception):
    """It was not applied and everything is as it was; the message says why and what to do."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        """What `isthmus check` says, where that is why."""


def key_of(problem: Problem) -> str:
    """Key of a source a problem is about: of `sites.hamburg.sources.im07.tls.ca` it is `tls.ca`."""
    _, _, key = problem.address.partition(".sources.")[2].partition(".")
    if problem.code != "M010":
        return key
    missing = problem.message.split("`")[1]
    return f"{key}.{missing}" if key else missing


class Workbench(Protocol):
    """Use it from the event loop; what searches or checks may be called from threads."""

    def source(self, name: str) -> Source | None:
        """One of the model, or a draft."""
        ...

    def drafts(self) -> Mapping[str, Source]:
        """Sources that are not in the model yet: they come into it with their first machine."""
        ...

    def entry(self, name: str) -> Mapping[str, Any]:
        """What a person wrote about a draft."""
        ...

    def keep(self, site: str, name: str, entry: Mapping[str, Any]) -> None:
        """Make or change a draft; `RefusedChangeError` says what is wrong with it."""
        ...

    async def discard(self, name: str) -> None:
        """Drop a draft; whatever still looks at its server ends."""
        ...

    def written(self, name: str) -> Mapping[str, Any]:
        """A source of the model as it is written there, references unread."""
        ...

    def rewritten(self, name: str) -> Mapping[str, Any] | None:
        """What a person wants it to say; kept until it is written or forgotten."""
        ...

    def rewrite(self, name: str, entry: Mapping[str, Any]) -> None:
        """Keep what it is to say; `RefusedChangeError` says what is wrong with it."""
        ...

    def forget(self, name: str) -> None:
        """It stays as it is written."""
        ...

    def preview(self, revision: Revision) -> Draft:
        """What would be written; nothing is."""
        ...

    async def revise(self, revision: Revision, digest: str) -> Revised:
        """Write what was shown and make the platform follow, or `RefusedChangeError`."""
        ...

    async def ask_ways(self, name: str) -> None:
        """Ask an OPC UA server what it offers; `ways` has the answer."""
        ...

    def ways(self, name: str) -> Ways | None: ...

    async def trust(self, name: str, fingerprint: str) -> None:
        """Trust the server's certificate, if it is still the one a person looked at."""
        ...

    def make_certificate(self) -> str:
        """Ours, where there is none yet; its fingerprint."""
        ...

    def begin_trial(self, name: str, seconds: float, *, changed: bool = False) -> None:
        """In the background, unless one runs. From the event loop.

        `changed`: as it was rewritten, beside the one that runs.
        """
        ...

    def trial(self, name: str) -> Trial | None: ...

    def crawl(self, source: str, *, again: bool = False) -> None:
        """Begin, in the background, unless it runs already. From the event loop."""
        ...

    def crawling(self, source: str) -> Crawling: ...

    def browsable(self, source: str) -> bool:
        """Whether its kind can be asked what there is."""
        ...

    def list_tags(self, source: str, table: str) -> int:
        """Tags from a table (CSV), in place of a crawl; how many. `RefusedChangeError` names rows.

        From the event loop.
        """
        ...

    def nodes(self, source: str) -> NodeIndex | None:
        """All that was found until now; None before anything was."""
        ...

    def listen(self, source: str, tags: Sequence[str]) -> Heard:
        """What came of these; goes on listening while it is asked again. From the event loop."""
        ...

    def propose(self, target: Target) -> Proposed:
        """Which tags may feed which fields; `RefusedChangeError` where the target is unclear."""
        ...

    async def watch(self, target: Target, seconds: float) -> int:
        """Listen to the likeliest tags, so that `propose` knows their behaviour; how many."""
        ...

    def proposal(self, source: str, tag: str) -> Proposal | None:
        """A tag that a person chose by himself."""
        ...

    def draft(self, target: Target, choices: Sequence[Choice]) -> Draft: ...

    async def apply(self, target: Target, choices: Sequence[Choice], digest: str) -> Revised:
        """Write the model and make the platform follow; what was changed, and how to undo it.

        `RefusedChangeError`: nothing is written, or it is written no more.
        """
        ...
