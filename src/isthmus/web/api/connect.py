"""Looking around in a source, and proposing and applying a mapping. Needs the role engineer."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from isthmus.base.clock import SECOND, iso
from isthmus.base.german import Language, said
from isthmus.field.connector import Node, Unreachable
from isthmus.field.suggest import Proposal
from isthmus.model.masking import masked
from isthmus.model.plan_text import plan_text
from isthmus.model.suggest import did_you_mean_or_list
from isthmus.web.api.asked import JsonOnly, Running, Speech, Told
from isthmus.web.api.errors import NOT_FOUND, ApiError
from isthmus.web.gate import Requires
from isthmus.web.workbench import (
    Choice,
    Crawling,
    Draft,
    Heard,
    Point,
    RefusedChangeError,
    TagHeard,
    Target,
)

router = APIRouter(
    prefix="/connect", tags=["connect"], responses=NOT_FOUND,
    dependencies=[Depends(Requires("engineer"))],
)  # fmt: skip

MOST_LISTENED = 12
WORDS = ("good", "uncertain", "bad", "bad")


def _source(
    platform: Running,
    source: Annotated[str, Path(max_length=100, description="A source.", examples=["im-01"])],
) -> str:
    if platform.workbench.source(source) is None:
        known = did_you_mean_or_list(source, platform.plant.sources, "sources")
        raise ApiError(404, "unknown_source", f"there is no source `{source}`", known)
    return source


Source = Annotated[str, Depends(_source)]


class CrawlOut(BaseModel):
    """How far a source's address space is known."""

    running: bool
    nodes: int = Field(examples=[12480])
    folders: int = Field(description="Folders that were opened.")
    waiting: int = Field(description="Folders found and not yet opened.")
    refused: int = Field(description="Folders the device does not show.")
    complete: bool
    at: str | None = Field(description="When it was found; null while it is being looked at.")
    trouble: str = Field(description="`unreachable`, `refused`, `unsupported` or empty.")
    detail: str = Field(description="Why, and what to do.")


class NodeOut(BaseModel):
    """One entry of an address space."""

    tag: str = Field(examples=["ns=2;s=IM01.CycleTime"])
    name: str = Field(examples=["CycleTime"])
    path: str = Field(examples=["/Machine/IM01/CycleTime"])
    type: str = Field(examples=["Double"])
    unit: str
    has_children: bool
    description: str = Field(description="The source's own words.")


class NodesOut(BaseModel):
    """A part of what was found, names before paths."""

    crawl: CrawlOut
    total: int = Field(description="How many match.")
    nodes: list[NodeOut]


class CrawlIn(BaseModel):
    """Begin to look around."""

    model_config = ConfigDict(extra="forbid")

    again: bool = Field(default=False, description="Forget what is known, ask the device anew.")


class PointOut(BaseModel):
    """One value."""

    age: float = Field(description="Seconds ago.", examples=[1.25])
    number: float | None
    text: str


class LiveOut(BaseModel):
    """One tag in the last minute."""

    tag: str
    quality: str = Field(description="`good`, `uncertain`, `bad`; empty before anything came.")
    code: str = Field(description="The OPC UA StatusCode.", examples=["0x00000000"])
    device_time: str | None
    per_second: float | None = Field(description="Null before anything came.", examples=[9.8])
    points: list[PointOut]


class LiveTagsOut(BaseModel):
    """What a source says now."""

    open: bool = Field(description="False while it is being opened.")
    trouble: str
    tags: list[LiveOut]


class TargetIn(BaseModel):
    """The machine whose fields are to be fed: `machine`, or one that is to be added."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(max_length=100, examples=["im-01"])
    machine: str = Field(
        default="", max_length=300, examples=["acme/hamburg/moulding/line-1/im-01"]
    )
    line: str = Field(default="", max_length=300, description="Of a new one: `site/area/line`.")
    name: str = Field(default="", max_length=100, description="Of a new one.")
    type: str = Field(default="", max_length=100, description="Of a new one.")
    new_type: bool = Field(default=False, description="`type` is to be made, too.")
    params: dict[str, str] = Field(default_factory=dict)
    blocks: list[str] = Field(default_factory=list, description="Empty: those of the type.")
    under: str = Field(default="", max_length=1000, description="Path of the machine's folder.")

    def target(self) -> Target:
        return Target(**self.model_dump() | {"blocks": tuple(self.blocks)})


class ProposalsIn(TargetIn):
    """Ask for proposals."""

    seconds: float = Field(
        default=0.0, ge=0, le=60, description="Listen for so long to the likeliest tags first."
    )
    language: Language | None = Field(
        default=None, description="Of what is said in sentences; else as `Accept-Language` prefers."
    )


class ProposalOut(BaseModel):
    """One tag for one field."""

    tag: str
    path: str
    type: str
    unit: str | None = Field(description="UCUM.")
    score: float = Field(description="0 to 1.", examples=[0.91])
    why: list[str] = Field(examples=[["same unit, s", "it only counts up"]])


class SuggestionOut(BaseModel):
    """Proposals for one field, best first."""

    field: str = Field(examples=["injection_cycle.cycle_time"])
    proposals: list[ProposalOut]


class ChoiceIn(BaseModel):
    """A person's decision for one field."""

    model_config = ConfigDict(extra="forbid")

    field: str = Field(max_length=200, examples=["injection_cycle.cycle_time"])
    tag: str = Field(max_length=1000, examples=["ns=2;s=IM01.CycleTime"])
    codes: dict[str, str] = Field(
        default_factory=dict,
        description="The machine's codes → names.",
        examples=[{"3": "execute"}],
    )

    def choice(self) -> Choice:
        codes = {(int(code) if _whole(code) else code): name for code, name in self.codes.items()}
        return Choice(self.field, self.tag, codes)


class DraftIn(TargetIn):
    """Decisions for a machine."""

    choices: list[ChoiceIn] = Field(max_length=500)
    language: Language | None = Field(
        default=None, description="Of what is said in sentences; else as `Accept-Language` prefers."
    )


class ApplyIn(DraftIn):
    """As it was shown."""

    digest: str = Field(max_length=64, description="Of the draft that was looked at.")


class ProblemOut(BaseModel):
    """What `isthmus check` would say."""

    code: str = Field(examples=["M020"])
    address: str
    message: str
    hint: str


class RowOut(BaseModel):
    """What is wrong with a cell of a table."""

    row: int = Field(description="As an editor counts lines: the heading is 1.")
    column: str = Field(description="Empty: the whole row.")
    message: str


class DraftOut(BaseModel):
    """The model as it would be; nothing is written."""

    diff: str = Field(description="Unified; secrets in the lines around are hidden.")
    digest: str
    plan: str = Field(description="What would change on the running platform.")
    interrupts: list[str] = Field(description="Sources that would be opened anew.")
    need_codes: list[str] = Field(description="Fields with names whose codes nobody told.")
    problems: list[ProblemOut]
    rows: list[RowOut] = Field(description="What is wrong in a table.")
    missing: list[str] = Field(
        description="What a copy has to differ in, and nobody said how.",
        examples=[["source.endpoint"]],
    )
    refused: str = Field(description="Why it cannot be done; else empty.")


class AppliedOut(BaseModel):
    """It is written, and the platform runs it."""

    changes: str
    undo: str = Field(
        description="Names the change, to undo it, after a restart too; empty: no room to keep it."
    )


@router.get("/{source}/nodes")
async def get_nodes(  # noqa: PLR0917 - the parameters of a request
    platform: Running,
    source: Source,
    language: Speech,
    search: Annotated[str, Query(max_length=200, description="Words that must occur.")] = "",
    under: Annotated[str, Query(max_length=1000, description="Only below this path.")] = "",
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> NodesOut:
    """What is in the address space of a source, as far as it was looked at."""
    bench = platform.workbench
    index = await run_in_threadpool(bench.nodes, source)
    state = _crawl(bench.crawling(source), language)
    if index is None:
        return NodesOut(crawl=state, total=0, nodes=[])
    found = await run_in_threadpool(index.search, search, limit=limit, offset=offset, under=under)
    return NodesOut(crawl=state, total=found.total, nodes=[_node(one) for one in found.nodes])


@router.post("/{source}/crawl", status_code=202, dependencies=[JsonOnly])
async def post_crawl(
    platform: Running, source: Source, body: CrawlIn, language: Speech
) -> CrawlOut:
    """Begin to look around in the background; what was found once is kept."""
    platform.workbench.crawl(source, again=body.again)
    return _crawl(platform.workbench.crawling(source), language)


@router.get("/{source}/live")
async def get_live(
    platform: Running,
    source: Source,
    language: Speech,
    tag: Annotated[list[str], Query(min_length=1, max_length=MOST_LISTENED)],
) -> LiveTagsOut:
    """Values of some tags in the last minute. Listening goes on for ten seconds after each call."""
    return _live(platform.workbench.listen(source, tag), language)


@router.post("/proposals", dependencies=[JsonOnly])
async def post_proposals(
    platform: Running, body: ProposalsIn, language: Told
) -> list[SuggestionOut]:
    """Which tags may feed the fields that have none, with a score and the reasons."""
    target = TargetIn(**body.model_dump(exclude={"seconds", "language"})).target()
    bench = platform.workbench
    try:
        if body.seconds:
            await bench.watch(target, body.seconds)
        found = await run_in_threadpool(bench.propose, target)
    except RefusedChangeError as error:
        raise refused(error) from None
    except Unreachable as error:
        raise ApiError(503, "unreachable", str(error)) from None
    return [
        SuggestionOut(
            field=one.key, proposals=[_proposal(each, language) for each in one.proposals]
        )
        for one in found.suggestions
    ]


@router.post("/draft", dependencies=[JsonOnly])
async def post_draft(platform: Running, body: DraftIn, language: Told) -> DraftOut:
    """The model with these decisions: the difference, checked and planned; nothing is written."""
    target, choices = _asked(body)
    draft = await run_in_threadpool(platform.workbench.draft, target, choices)
    return draft_out(draft, language)


@router.post("/apply", dependencies=[JsonOnly])
async def post_apply(platform: Running, body: ApplyIn, language: Told) -> AppliedOut:
    """Write the model and make the platform follow; on an error everything is as it was."""
    target, choices = _asked(body)
    try:
        done = await platform.workbench.apply(target, choices, body.digest)
    except RefusedChangeError as error:
        raise refused(error) from None
    return AppliedOut(changes=plan_text(done.changes, "text", language), undo=done.undo)


def refused(error: RefusedChangeError) -> ApiError:
    return ApiError(400, "refused", str(error), "nothing was changed")


def _asked(body: DraftIn) -> tuple[Target, list[Choice]]:
    plain = {key: value for key, value in body.model_dump().items() if key in TargetIn.model_fields}
    return TargetIn(**plain).target(), [one.choice() for one in body.choices]


def _crawl(state: Crawling, language: Language) -> CrawlOut:
    known = state.progress
    return CrawlOut(
        running=state.running,
        nodes=known.nodes if known else 0,
        folders=known.folders if known else 0,
        waiting=known.waiting if known else 0,
        refused=known.refused if known else 0,
        complete=known.complete if known else False,
        at=iso(state.at) if state.at is not None else None,
        trouble=state.trouble,
        detail=said(state.detail, language),
    )


def _node(one: Node) -> NodeOut:
    return NodeOut(
        tag=one.tag, name=one.name, path=one.path, type=one.type, unit=one.unit,
        has_children=one.has_children, description=one.description,
    )  # fmt: skip


def _live(heard: Heard, language: Language) -> LiveTagsOut:
    tags = [_tag(one, heard.now) for one in heard.tags]
    trouble = said(heard.trouble, language)
    return LiveTagsOut(open=heard.open, trouble=trouble, tags=tags)


def _tag(one: TagHeard, now: int) -> LiveOut:
    seconds = min(60.0, max(1.0, (now - one.since) / SECOND))
    return LiveOut(
        tag=one.tag,
        quality="" if one.quality is None else WORDS[one.quality >> 30],
        code="" if one.quality is None else f"0x{one.quality:08X}",
        device_time=iso(one.device_time) if one.device_time is not None else None,
        per_second=None if not one.points else round(one.received / seconds, 2),
        points=[
            PointOut(age=(now - point.at) / SECOND, number=_finite(point.number), text=point.text)
            for point in _thinned(one.points)
        ],
    )


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Lowest, highest and last of each half second: more a spark line cannot show."""
    kept: list[Point] = []
    for _, group in groupby(points, lambda point: 2 * point.at // SECOND):
        few = list(group)
        numbers = [point for point in few if _finite(point.number) is not None]
        ends = {min(numbers, key=_number), max(numbers, key=_number)} if numbers else set()
        kept += sorted({*ends, few[-1]}, key=lambda point: point.at)
    return kept


def _number(point: Point) -> float:
    return point.number or 0.0


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _proposal(one: Proposal, language: Language) -> ProposalOut:
    why = [reason.text(language) for reason in one.reasons]
    return ProposalOut(
        tag=one.tag, path=one.path, type=one.type, unit=one.unit, score=one.score, why=why
    )


def draft_out(draft: Draft, language: Language) -> DraftOut:
    return DraftOut(
        diff="".join(map(masked, draft.diff.splitlines(keepends=True))),
        digest=draft.digest,
        plan=plan_text(draft.changes, "text", language) if draft.diff else "",
        interrupts=list(draft.interrupts),
        need_codes=list(draft.need_codes),
        problems=[
            ProblemOut(code=one.code, address=one.address, message=one.message, hint=one.hint)
            for one in (problem.translated(language) for problem in draft.problems)
        ],
        rows=[
            RowOut(row=one.row, column=one.column, message=said(one.message, language))
            for one in draft.rows
        ],
        missing=[one.key for one in draft.missing],
        refused=said(draft.refused, language),
    )


def _whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
