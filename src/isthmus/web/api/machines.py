"""Machines: what they are, what they do now, what they did, what they measured."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from isthmus.apps.oee.page_overview import present
from isthmus.apps.oee.timeline import states
from isthmus.apps.oee.view import Kind
from isthmus.base.clock import iso
from isthmus.data.series import MOST_POINTS, series, step_of
from isthmus.model.plant import FieldMap, Machine
from isthmus.model.suggest import did_you_mean_or_list
from isthmus.web.api.asked import Days31, Days400, Paged, Place, Running, machine_at
from isthmus.web.api.errors import NOT_FOUND, ApiError
from isthmus.web.scope import machine_title

router = APIRouter(tags=["machines"], responses=NOT_FOUND)

AssetPath = Annotated[str, Path(max_length=300, examples=["acme/hamburg/moulding/line-1/im-01"])]


class MachineOut(BaseModel):
    """One machine, and what it does now."""

    path: str = Field(examples=["acme/hamburg/moulding/line-1/im-01"])
    name: str = Field(examples=["IM 01"])
    site: str = Field(examples=["hamburg"])
    area: str = Field(examples=["moulding"])
    line: str = Field(examples=["line-1"])
    type: str = Field(examples=["ar_370"])
    source: str = Field(examples=["im-01"])
    state: str | None = Field(description="In the company's code system; null: unknown.")
    category: str | None = Field(description="What the state means for time.")
    kind: Kind = Field(description="One of the eight states people see.")
    since: str | None = Field(description="Since when it does this.")
    connected: bool | None = Field(description="Whether its source is; null: not tried yet.")
    blocks: list[str] = Field(examples=[["machine_state", "part_count"]])


class StateOut(BaseModel):
    """A stretch in which the machine's state did not change."""

    start: str = Field(examples=["2026-11-17T05:12:00Z"])
    end: str
    seconds: float = Field(examples=[42.5])
    state: str | None = Field(description="Null: unknown.", examples=["execute"])
    category: str | None = Field(examples=["production"])
    kind: Kind
    planned: bool = Field(description="In planned busy time: only then its seconds count.")
    stop: str = Field(description="The stop it belongs to; empty if none.")
    reason: str = Field(description="Slug of the reason given; empty if none.")
    order: str
    material: str


class SeriesOut(BaseModel):
    """One field over time: minimum and maximum of each step, at their own times."""

    machine: str
    block: str = Field(examples=["injection_cycle"])
    field: str = Field(examples=["melt_temp"])
    unit: str = Field(description="UCUM.", examples=["Cel"])
    start: str = Field(alias="from")
    end: str = Field(alias="to")
    step_s: float = Field(examples=[86.4])
    time: list[str]
    value: list[float | None] = Field(description="Null: here the source was lost.")


@router.get("/machines")
def get_machines(platform: Running, scope: Place, part: Paged) -> list[MachineOut]:
    """Every machine of a place with its state now, in the order of the model."""
    chosen = part.of(platform.plant.scope(scope))
    now = present(platform.lake.query, platform.plant, scope, now=platform.clock.now())
    return [_machine(platform, machine, now.get(machine.path)) for machine in chosen]


@router.get("/machines/{path:path}/states")
def get_states(platform: Running, path: AssetPath, window: Days31, part: Paged) -> list[StateOut]:
    """What a machine did; the intervals tile the window up to now, without gap or overlap."""
    machine = machine_at(platform.plant, path)
    found = states(
        platform.lake.query, platform.plant, machine.path, window.start, window.end, now=window.now
    )
    return [
        StateOut(
            start=iso(one.start),
            end=iso(one.end),
            seconds=one.seconds,
            state=one.state,
            category=one.category,
            kind=one.kind,
            planned=one.busy,
            stop=one.stop,
            reason=one.reason,
            order=one.production_order,
            material=one.material,
        )
        for one in part.of(found)
    ]


@router.get("/machines/{path:path}/series")
def get_series(  # noqa: PLR0917 - the parameters of a request
    platform: Running,
    path: AssetPath,
    window: Days400,
    block: Annotated[str, Query(max_length=100, examples=["injection_cycle"])],
    field: Annotated[str, Query(max_length=100, examples=["melt_temp"])],
    points: Annotated[int, Query(ge=10, le=10_000, description="About how many.")] = MOST_POINTS,
) -> SeriesOut:
    """A number the machine measures, thinned so that every peak is kept."""
    machine = machine_at(platform.plant, path)
    mapped = _numeric(machine, block, field)
    found = series(platform.lake.query, path, block, field, window.start, window.end, points=points)
    return SeriesOut.model_validate(
        {
            "machine": path,
            "block": block,
            "field": field,
            "unit": platform.plant.blocks[mapped.block].fields[mapped.field].unit or "",
            "from": iso(window.start),
            "to": iso(window.end),
            "step_s": step_of(window.start, window.end, points) / 1e6,
            "time": [iso(at) for at, _ in found],
            "value": [value for _, value in found],
        }
    )


@router.get("/machines/{path:path}")
def get_machine(platform: Running, path: AssetPath) -> MachineOut:
    """One machine with its state now."""
    machine = machine_at(platform.plant, path)
    now = present(platform.lake.query, platform.plant, path, now=platform.clock.now())
    return _machine(platform, machine, now.get(path))


def _machine(platform: Running, machine: Machine, now: Mapping[str, Any] | None) -> MachineOut:
    said = platform.source_states().get(machine.source)
    return MachineOut(
        path=machine.path,
        name=machine_title(machine),
        site=machine.site,
        area=machine.area,
        line=machine.line,
        type=machine.type,
        source=machine.source,
        state=(now["state"] or None) if now else None,
        category=(now["category"] or None) if now else None,
        kind=now["kind"] if now else "offline",
        since=iso(now["stretch_s"]) if now else None,
        connected=said.connected if said else None,
        blocks=list(machine.blocks),
    )


def _numeric(machine: Machine, block: str, field: str) -> FieldMap:
    """The field, if this machine has it and it is a number; block and field come from outside."""
    wanted = f"{block}.{field}"
    known = {f"{one.block}.{one.field}": one for one in machine.maps}
    numbers = [name for name, one in known.items() if one.type in {"number", "integer"}]
    if wanted not in known:
        hint = did_you_mean_or_list(wanted, numbers, "numeric fields")
        raise ApiError(404, "unknown_field", f"`{machine.path}` has no field `{wanted}`", hint)
    if wanted not in numbers:
        raise ApiError(
            400, "not_numeric", f"`{wanted}` is of type {known[wanted].type}",
            "states are under `/states`, counts under `/api/v1/kpi`",
        )  # fmt: skip
    return known[wanted]
