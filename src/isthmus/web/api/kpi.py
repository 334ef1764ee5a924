"""KPIs of any place, window and grouping."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from isthmus.apps.oee.kpi import GROUPINGS, GroupingError, kpi
from isthmus.model.suggest import did_you_mean
from isthmus.web.api.asked import Days400, Place, Running
from isthmus.web.api.errors import NOT_FOUND, ApiError

router = APIRouter(tags=["kpi"])

Ratio = Annotated[float | None, Field(examples=[0.742])]
Seconds = Annotated[float | None, Field(examples=[28800.0])]
Quantity = Annotated[float | int | None, Field(examples=[1440])]


class KpiRow(BaseModel):
    """KPIs of one group after ISO 22400-2, with the sums they are ratios of.

    Null is undefined; `reasons_null` says why. Further KPIs of docs/reference/kpi.md follow.
    """

    model_config = ConfigDict(extra="allow")

    scope: str = Field(examples=["acme/hamburg"])
    group: str = Field(
        description="What distinguishes the group; several groupings are joined by ` · `.",
        examples=["2026-11-17 early"],
    )
    start: str = Field(
        alias="from", description="First moment counted.", examples=["2026-11-17T05:00:00Z"]
    )
    end: str = Field(alias="to", description="Not behind now.", examples=["2026-11-17T13:00:00Z"])
    availability: Ratio = Field(description="APT ÷ PBT")
    effectiveness: Ratio = Field(description="PRI × PQ ÷ APT; above 1 it is not clipped.")
    quality_ratio: Ratio = Field(description="GQ ÷ PQ, weighted by ideal time.")
    oee: Ratio = Field(description="PRI × GQ ÷ PBT")
    nee: Ratio = Field(description="Net equipment effectiveness.")
    coverage: Ratio = Field(description="Share of PBT in which the state was known.")
    pbt_s: Seconds = Field(description="Planned busy time.")
    apt_s: Seconds = Field(description="Production time.")
    aust_s: Seconds = Field(description="Setup.")
    adet_s: Seconds = Field(description="Delay: standing with an order.")
    adot_s: Seconds = Field(description="Down: standing without an order.")
    unknown_s: Seconds = Field(description="State unknown.")
    produced: Quantity
    good: Quantity
    scrap: Quantity
    rework: Quantity
    ideal_s: Seconds = Field(description="Ideal seconds of what was produced.")
    ideal_good_s: Seconds = Field(description="Ideal seconds of good parts.")
    reasons_null: dict[str, str] = Field(examples=[{"oee": "no_ideal_cycle"}])
    above_one: list[str] = Field(description="KPIs above 1: ideal cycles or counts are wrong.")


@router.get("/kpi", response_model=list[KpiRow], responses=NOT_FOUND)
def get_kpi(
    platform: Running,
    scope: Place,
    window: Days400,
    by: Annotated[
        str,
        Query(
            max_length=60,
            description=f"One or two of {', '.join(GROUPINGS)}, with a comma between; default: one"
            " row for all.",
            examples=["shift"],
        ),
    ] = "",
) -> list[dict[str, Any]]:
    """Key figures of a place and a window, one row per group; one row in all without `by`."""
    try:
        rows = kpi(
            platform.lake.query, platform.plant, scope, window.start, window.end,
            by or "total", now=window.now,
        )  # fmt: skip
    except GroupingError as error:
        guess = did_you_mean(by, GROUPINGS)
        raise ApiError(400, "unknown_grouping", f"`by`: {error}", guess) from None
    return [row.as_dict() for row in rows]
