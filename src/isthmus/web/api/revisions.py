"""Changing what the model says of sources and machines. Needs the role engineer."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from isthmus.base.german import Language
from isthmus.model.plan_text import plan_text
from isthmus.model.suggest import did_you_mean_or_list
from isthmus.model.write.flow import referring
from isthmus.web.api.asked import JsonOnly, Running, Told
from isthmus.web.api.connect import AppliedOut, DraftOut, draft_out, refused
from isthmus.web.api.errors import NOT_FOUND, ApiError
from isthmus.web.gate import Requires
from isthmus.web.platform import Platform
from isthmus.web.workbench import (
    AddedMachines,
    ClonedMachine,
    RefusedChangeError,
    RemovedSource,
    RevisedSource,
    Revision,
    SwitchedSource,
    Undone,
)

router = APIRouter(
    prefix="/connect", tags=["connect"], responses=NOT_FOUND,
    dependencies=[Depends(Requires("engineer"))],
)  # fmt: skip

SourceName = Annotated[str, Field(max_length=100, examples=["im-01"])]


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ChangeSource(_Wanted):
    """Some keys of a source; all others stay as they are written."""

    do: Literal["change_source"]
    source: SourceName
    put: dict[str, Any] = Field(
        default_factory=dict,
        description="Keys and their new values; a secret as `${NAME}` or `!secret NAME`.",
        examples=[{"interval": "250 ms"}],
    )
    drop: list[str] = Field(default_factory=list, description="Keys that are taken out.")


class SwitchSource(_Wanted):
    """A source is read, or is not for the time being."""

    do: Literal["switch_source"]
    source: SourceName
    on: bool


class RemoveSource(_Wanted):
    """A source leaves the model."""

    do: Literal["remove_source"]
    source: SourceName
    instead: str = Field(
        default="",
        max_length=100,
        description="From which its machines read then; empty: they leave, too.",
    )


class AddMachines(_Wanted):
    """Many machines of one type, a row of a table for each; as `isthmus machines add`."""

    do: Literal["add_machines"]
    line: str = Field(max_length=300, examples=["hamburg/moulding/line-1"])
    type: str = Field(max_length=100, examples=["km_cx160"])
    table: str = Field(max_length=150_000, description="CSV.")
    sets: dict[str, str] = Field(
        default_factory=dict,
        description="Column → text for every row; `{host}` in it is that row's cell.",
    )


class CloneMachine(_Wanted):
    """A machine like another one; as `isthmus machines clone`."""

    do: Literal["clone_machine"]
    original: str = Field(max_length=300, examples=["hamburg/moulding/line-1/im-01"])
    copy_: str = Field(alias="copy", max_length=300, examples=["graz/cells/line-2/im-01"])
    given: dict[str, str] = Field(
        default_factory=dict, description="What differs: `source.endpoint`, `params.root`, `name`."
    )


class UndoChange(_Wanted):
    """The model is as it was before a change."""

    do: Literal["undo"]
    undo: str = Field(max_length=100, description="As `revise` gave it.")


Change = Annotated[
    ChangeSource | SwitchSource | RemoveSource | AddMachines | CloneMachine | UndoChange,
    Field(discriminator="do"),
]


class PreviewIn(_Wanted):
    """What is wanted of the model."""

    change: Change
    language: Language | None = Field(
        default=None, description="Of what is said in sentences; else as `Accept-Language` prefers."
    )


class ReviseIn(PreviewIn):
    """As it was shown."""

    digest: str = Field(max_length=64, description="Of the preview that was looked at.")


@router.post("/preview", dependencies=[JsonOnly])
async def post_preview(platform: Running, body: PreviewIn, language: Told) -> DraftOut:
    """The model as it would be: the difference, checked and planned; nothing is written."""
    try:
        wanted = await run_in_threadpool(_revision, platform, body.change)
        draft = await run_in_threadpool(platform.workbench.preview, wanted)
    except RefusedChangeError as error:
        raise refused(error) from None
    return draft_out(draft, language)


@router.post("/revise", dependencies=[JsonOnly])
async def post_revise(platform: Running, body: ReviseIn, language: Told) -> AppliedOut:
    """Write the model and make the platform follow; on an error everything is as it was."""
    try:
        wanted = await run_in_threadpool(_revision, platform, body.change)
        done = await platform.workbench.revise(wanted, body.digest)
    except RefusedChangeError as error:
        raise refused(error) from None
    return AppliedOut(changes=plan_text(done.changes, "text", language), undo=done.undo)


def _revision(platform: Platform, change: Change) -> Revision:
    match change:
        case ChangeSource():
            source = _of_the_model(platform, change.source)
            return RevisedSource(source, _changed(platform.workbench.written(source), change))
        case SwitchSource():
            return SwitchedSource(_of_the_model(platform, change.source), change.on)
        case RemoveSource():
            return RemovedSource(_of_the_model(platform, change.source), change.instead)
        case AddMachines():
            return AddedMachines(change.line, change.type, change.table, change.sets)
        case CloneMachine():
            return ClonedMachine(change.original, change.copy_, change.given)
        case UndoChange():
            return Undone(change.undo)


def _of_the_model(platform: Platform, source: str) -> str:
    if source not in platform.plant.sources:
        known = did_you_mean_or_list(source, platform.plant.sources, "sources")
        raise ApiError(404, "unknown_source", f"there is no source `{source}`", known)
    return source


def _changed(written: Mapping[str, Any], change: ChangeSource) -> dict[str, Any]:
    kept = {key: value for key, value in written.items() if key not in change.drop}
    put: dict[str, Any] = referring(change.put)
    return kept | put
