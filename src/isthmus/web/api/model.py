"""The published model, in short: what there is, and what it is called. No addresses, no secrets."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from isthmus.model.plant import Plant, Site
from isthmus.model.spec.block import Block
from isthmus.web.api.asked import Running

router = APIRouter(tags=["model"])

Labels = dict[str, str]


class SiteOut(BaseModel):
    """One plant."""

    name: str = Field(examples=["hamburg"])
    title: str = Field(examples=["Hamburg"])
    timezone: str = Field(examples=["Europe/Berlin"])
    areas: Labels
    lines: Labels = Field(description="`area/line` → title.")
    targets: dict[str, float] = Field(examples=[{"oee": 0.75}])
    use_cases: list[str] = Field(examples=[["oee", "downtime"]])
    machines: int
    sources: int


class FieldOut(BaseModel):
    """One column of a block."""

    name: str = Field(examples=["melt_temp"])
    type: str = Field(examples=["number"])
    unit: str | None = Field(description="UCUM.", examples=["Cel"])
    values: str | None = Field(description="The code system of an enum.")
    min: float | None
    max: float | None
    doc: str


class BlockOut(BaseModel):
    """A uniform record type; also the name of its table in SQL."""

    block: str = Field(examples=["injection_cycle"])
    version: int
    doc: str
    fields: list[FieldOut]


class ReasonOut(BaseModel):
    """A stop reason."""

    reason: str = Field(examples=["hydraulics"])
    category: str
    label: Labels = Field(examples=[{"en": "Hydraulics", "de": "Hydraulik"}])


class MaterialOut(BaseModel):
    """What is produced."""

    material: str
    name: str
    unit: str


class ModelOut(BaseModel):
    """The company as its model declares it."""

    enterprise: str = Field(examples=["acme"])
    title: str
    timezone: str
    language: str
    sites: list[SiteOut]
    blocks: list[BlockOut]
    states: dict[str, str] = Field(
        description="State → what it means for time.", examples=[{"execute": "production"}]
    )
    reasons: list[ReasonOut]
    materials: list[MaterialOut]


@router.get("/model")
def get_model(platform: Running) -> ModelOut:
    """Sites, blocks with their fields and units, states, reasons, materials."""
    plant = platform.plant
    return ModelOut(
        enterprise=plant.enterprise,
        title=plant.title,
        timezone=plant.timezone,
        language=plant.language,
        sites=[_site(plant, site) for site in plant.sites.values()],
        blocks=[_block(block) for block in plant.blocks.values()],
        states={state: str(category) for state, category in plant.state_categories.items()},
        reasons=[
            ReasonOut(reason=one.reason, category=one.category, label={**one.label})
            for one in plant.reasons
        ],
        materials=[
            MaterialOut(material=key, name=one.name, unit=one.unit)
            for key, one in plant.materials.items()
        ],
    )


def _site(plant: Plant, site: Site) -> SiteOut:
    return SiteOut(
        name=site.name,
        title=site.title,
        timezone=site.timezone,
        areas=dict(site.areas),
        lines=dict(site.lines),
        targets=dict(site.targets),
        use_cases=[name for name, spec in site.use_cases.items() if spec.enabled],
        machines=sum(machine.site == site.name for machine in plant.machines.values()),
        sources=sum(source.site == site.name for source in plant.sources.values()),
    )


def _block(block: Block) -> BlockOut:
    return BlockOut(
        block=block.block,
        version=block.version,
        doc=block.doc,
        fields=[
            FieldOut(
                name=name, type=one.type, unit=one.unit, values=one.values, min=one.min,
                max=one.max, doc=one.doc,
            )
            for name, one in block.fields.items()
        ],
    )  # fmt: skip
