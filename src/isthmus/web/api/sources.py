"""Sources and their connections; samples that were put aside."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from isthmus.base.clock import iso, to_datetime, to_micros
from isthmus.web.api.asked import Days400, Paged, Place, Running, source_of
from isthmus.web.api.errors import NOT_FOUND

router = APIRouter(tags=["sources"], responses=NOT_FOUND)


class ImpairedOut(BaseModel):
    """One thing that is wrong with a source although it answers."""

    what: str = Field(
        description="`disk_full`: intake stands still; `bad`: none of its tags has a value to be"
        " trusted; `slow`: polls take longer than declared; `clock`: its clock tells times that"
        " nobody can believe; `skew`: its clock is off.",
        examples=["slow"],
    )
    since: str
    detail: str = Field(description="Why, and what to do.")


class SourceOut(BaseModel):
    """One endpoint that offers signals."""

    name: str = Field(examples=["im-01"])
    site: str = Field(examples=["hamburg"])
    kind: str = Field(examples=["opcua"])
    enabled: bool
    machines: list[str]
    tags: int = Field(description="How many are read.", examples=[12])
    connected: bool | None = Field(description="Null: not tried yet.")
    what: str = Field(description="What happened last.", examples=["connected"])
    detail: str = Field(description="Why, and what to do.")
    since: str | None = Field(description="Since when.")
    impaired: list[ImpairedOut] = Field(
        description="What is wrong although it answers, the worst first; empty while all is well."
    )
    clock_offset_s: float | None = Field(
        description="How far the device's clock is ahead of ours; negative: behind; null: unknown."
    )


class QuarantinedOut(BaseModel):
    """One sample that breaks the contract of its field, kept with the reason."""

    source: str
    site: str
    machine: str
    tag: str
    block: str
    field: str
    device_time: str
    received_time: str
    value: str = Field(description="As it came, cut at 1,000 characters.")
    code: str = Field(description="See docs/reference/quarantine.md.", examples=["Q010"])
    reason: str


@router.get("/sources")
def get_sources(platform: Running, scope: Place, part: Paged) -> list[SourceOut]:
    """Sources of a place and whether they are connected."""
    here = {machine.source for machine in platform.plant.scope(scope)}
    chosen = [name for name in platform.plant.sources if name in here]
    return [_source(platform, name) for name in part.of(chosen)]


_QUARANTINE: Final = """
    SELECT source, site, machine, tag, block, field, device_time, received_time, value, code, reason
    FROM quarantine
    WHERE received_time >= $from AND received_time < $to
        AND ($source = '' OR source = $source) AND ($code = '' OR code = $code)
        AND ($everything OR machine IN (SELECT unnest($machines::VARCHAR[])))
    ORDER BY received_time DESC, source, tag
"""


@router.get("/quarantine")
def get_quarantine(  # noqa: PLR0917 - the parameters of a request
    platform: Running,
    scope: Place,
    window: Days400,
    part: Paged,
    source: Annotated[str, Query(max_length=100, description="Only of this source.")] = "",
    code: Annotated[str, Query(pattern=r"^(|Q\d{3})$", description="Only this code.")] = "",
) -> list[QuarantinedOut]:
    """Samples received in the window that were put aside, the newest first."""
    plant = platform.plant
    params = {
        "from": to_datetime(window.start),
        "to": to_datetime(window.end),
        "source": source_of(plant, source),
        "code": code,
        "everything": scope == plant.enterprise,
        "machines": [machine.path for machine in plant.scope(scope)],
    }
    found = platform.lake.query(_QUARANTINE, params).to_pylist()
    return [_quarantined(row) for row in part.of(found)]


def _source(platform: Running, name: str) -> SourceOut:
    source = platform.plant.sources[name]
    said = platform.source_states().get(name)
    return SourceOut(
        name=name,
        site=source.site,
        kind=source.spec.kind,
        enabled=source.spec.enabled,
        machines=list(source.machines),
        tags=len(source.tags),
        connected=said.connected if said else None,
        what=said.what if said else "",
        detail=said.detail if said else "",
        since=iso(said.at) if said else None,
        impaired=[
            ImpairedOut(what=one.what, since=iso(one.since), detail=one.detail)
            for one in (said.wrong if said else ())
        ],
        clock_offset_s=platform.clock_offsets().get(name),
    )


def _quarantined(row: dict[str, Any]) -> QuarantinedOut:
    times = {name: iso(to_micros(row[name])) for name in ("device_time", "received_time")}
    return QuarantinedOut(**row | times)
