"""Sources before they are in the model: drafted, made trusted, tried. Needs the role engineer."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from starlette.concurrency import run_in_threadpool

from isthmus.base.german import Language, said
from isthmus.model.masking import HIDDEN, is_reference, is_secret_key, masked
from isthmus.model.suggest import did_you_mean_or_list
from isthmus.model.write.flow import Raw
from isthmus.web.api.asked import JsonOnly, Running, Speech
from isthmus.web.api.connect import WORDS, Source, refused
from isthmus.web.api.errors import NOT_FOUND, ApiError
from isthmus.web.gate import Requires
from isthmus.web.workbench import Certificate, RefusedChangeError, TagTried, Trial, Ways, Workbench

router = APIRouter(
    prefix="/connect", tags=["connect"], responses=NOT_FOUND,
    dependencies=[Depends(Requires("engineer"))],
)  # fmt: skip

LONGEST_TRIAL = 600

Entry = dict[str, Any]
Name = Annotated[str, Path(max_length=63, description="Of the draft.", examples=["im-09"])]


class DraftSourceIn(BaseModel):
    """A source as it would stand in the model."""

    model_config = ConfigDict(extra="forbid")

    site: str = Field(max_length=100, examples=["hamburg"])
    entry: Entry = Field(
        description="Its keys, see docs/reference/model.md. A secret is `${NAME}`, an environment"
        " variable of the platform, or `!secret NAME`, a line of secrets.yaml.",
        examples=[{"kind": "opcua", "endpoint": "opc.tcp://10.0.4.29:4840"}],
    )


class DraftSourceOut(BaseModel):
    """A source that comes into the model with its first machine."""

    name: str = Field(examples=["im-09"])
    site: str = Field(examples=["hamburg"])
    kind: str = Field(examples=["opcua"])
    entry: Entry = Field(
        description="As it was written; a secret only as `${NAME}` or `!secret NAME`."
    )


class WayOut(BaseModel):
    """One way in: what `security` and `policy` of the source may be."""

    security: str = Field(examples=["sign_and_encrypt"])
    policy: str = Field(
        description="Empty where nothing is encrypted.", examples=["Basic256Sha256"]
    )
    used: bool = Field(description="Whether the source says so now.")


class CertificateOut(BaseModel):
    """A server's certificate, as two people compare it."""

    endpoint: str = Field(examples=["opc.tcp://10.0.4.29:4840"])
    subject: str
    fingerprint: str = Field(description="SHA-256.", examples=["3A F1 … 9C"])
    until: str = Field(description="ISO date.", examples=["2031-11-17"])
    worry: str = Field(description="Why it should not be trusted, or not for long; else empty.")
    trusted: bool


class WaysOut(BaseModel):
    """What an OPC UA server offers, and whether we have what it takes."""

    offers: list[WayOut]
    certificates: list[CertificateOut] = Field(
        description="Of the server, or of each one of a redundant set, if it shows one."
    )
    ours: str = Field(description="Fingerprint of our own certificate; empty: there is none yet.")
    trouble: str = Field(description="Why the server did not say, and what to do; else empty.")


class TrustIn(BaseModel):
    """The certificate that a person compared."""

    model_config = ConfigDict(extra="forbid")

    fingerprint: str = Field(max_length=200, description="As `ways` gave it.")


class OursOut(BaseModel):
    """Our own certificate, by which servers know us."""

    fingerprint: str = Field(description="SHA-256.")


class TrialIn(BaseModel):
    """How long to listen."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(default=60.0, ge=1, le=LONGEST_TRIAL)


class TagTriedOut(BaseModel):
    """What came of one tag."""

    tag: str = Field(examples=["ns=2;s=IM01.CycleTime"])
    value: str = Field(description="The last one.", examples=["27.9"])
    quality: str = Field(description="`good`, `uncertain`, `bad`.")
    code: str = Field(description="The OPC UA StatusCode.", examples=["0x00000000"])
    per_second: float = Field(description="Values.", examples=[9.8])
    problem: str = Field(description="Why its value would go to quarantine; else empty.")


class TrialOut(BaseModel):
    """A source that is tried, or was."""

    running: bool
    seconds: float = Field(description="How long it is listened to.", examples=[60.0])
    elapsed: float = Field(description="Of these.", examples=[12.4])
    asked: int = Field(
        description="Tags that are listened to: those of the model, or some that were found by"
        " browsing. 0 while it runs."
    )
    tags: list[TagTriedOut] = Field(description="Those that came; empty while it runs.")
    trouble: str = Field(description="Why it does not work, and what to do; else empty.")
    attention: list[str] = Field(description="What works but should not stay so.")
    details: dict[str, str] = Field(description="What the connector says of itself.")


@router.get("/drafts")
async def get_drafts(platform: Running) -> list[DraftSourceOut]:
    """Sources that were drafted and are not in the model yet."""
    return [_draft(platform.workbench, name) for name in sorted(platform.workbench.drafts())]


@router.put("/drafts/{draft}", dependencies=[JsonOnly])
async def put_draft(platform: Running, draft: Name, body: DraftSourceIn) -> DraftSourceOut:
    """Make or replace a draft; the model is not touched, and nobody is connected."""
    try:
        platform.workbench.keep(body.site, draft, body.entry)
    except RefusedChangeError as error:
        raise refused(error) from None
    return _draft(platform.workbench, draft)


@router.delete("/drafts/{draft}", status_code=204)
async def delete_draft(platform: Running, draft: Name) -> None:
    """Discard a draft."""
    drafts = platform.workbench.drafts()
    if draft not in drafts:
        known = did_you_mean_or_list(draft, drafts, "drafts")
        raise ApiError(404, "unknown_draft", f"there is no draft `{draft}`", known)
    await platform.workbench.discard(draft)


@router.post("/certificate", status_code=201)
async def post_certificate(platform: Running) -> OursOut:
    """Make our own OPC UA certificate; one that is there stays, and is the answer."""
    return OursOut(fingerprint=await run_in_threadpool(platform.workbench.make_certificate))


@router.post("/{source}/ways")
async def post_ways(platform: Running, source: Source, language: Speech) -> WaysOut:
    """Ask an OPC UA server which security it offers, and for its certificate."""
    try:
        await platform.workbench.ask_ways(source)
    except RefusedChangeError as error:
        raise refused(error) from None
    return _ways(platform.workbench, source, language)


@router.post("/{source}/trust", dependencies=[JsonOnly])
async def post_trust(platform: Running, source: Source, body: TrustIn, language: Speech) -> WaysOut:
    """Trust the server's certificate, if it is still the one with this fingerprint."""
    try:
        await platform.workbench.trust(source, body.fingerprint)
    except RefusedChangeError as error:
        raise refused(error) from None
    return _ways(platform.workbench, source, language)


@router.post("/{source}/trial", status_code=202, dependencies=[JsonOnly])
async def post_trial(
    platform: Running, source: Source, body: TrialIn, language: Speech
) -> TrialOut:
    """Begin to try a source in the background; one that runs already goes on as it is."""
    platform.workbench.begin_trial(source, body.seconds)
    return _trial(platform.workbench, source, language)


@router.get("/{source}/trial")
async def get_trial(platform: Running, source: Source, language: Speech) -> TrialOut:
    """How far the trial of a source is, or how the last one ended."""
    return _trial(platform.workbench, source, language)


def _draft(bench: Workbench, name: str) -> DraftSourceOut:
    source = bench.drafts()[name]
    entry = _shown(bench.entry(name), source.spec)
    return DraftSourceOut(name=name, site=source.site, kind=source.spec.kind, entry=entry)


def _shown(entry: Mapping[str, Any], spec: object) -> Entry:
    """What a person wrote, without what his spec or the name of a key calls a secret."""
    return {key: _value(key, value, getattr(spec, key, None)) for key, value in entry.items()}


def _value(key: str, value: Any, read: object) -> Any:
    if isinstance(value, Raw):
        value = value.text
    if isinstance(read, SecretStr) or is_secret_key(key):
        return value if is_reference(value) else HIDDEN
    match value:
        case dict():
            return _shown(value, read)
        case list():
            return [_value("", one, None) for one in value]
        case str():
            return masked(value)
        case _:
            return value


def _ways(bench: Workbench, name: str, language: Language) -> WaysOut:
    ways, spec = bench.ways(name) or Ways(), getattr(bench.source(name), "spec", None)
    return WaysOut(
        offers=[_way(security, policy, spec) for security, policy in ways.offers],
        certificates=[_certificate(one, language) for one in ways.certificates],
        ours=ways.ours,
        trouble=said(ways.trouble, language),
    )


def _certificate(one: Certificate, language: Language) -> CertificateOut:
    return CertificateOut(**asdict(one) | {"worry": said(one.worry, language)})


def _way(security: str, policy: str, spec: object) -> WayOut:
    open_to_all = security == "none"
    used = (getattr(spec, "security", ""), "" if open_to_all else getattr(spec, "policy", ""))
    way = (security, "" if open_to_all else policy)
    return WayOut(security=way[0], policy=way[1], used=way == used)


def _trial(bench: Workbench, name: str, language: Language) -> TrialOut:
    found = bench.trial(name)
    if found is None:
        hint = f"`POST /api/v1/connect/{name}/trial` begins one"
        raise ApiError(404, "no_trial", f"`{name}` was not tried yet", hint)
    return _told(found, language)


def _told(trial: Trial, language: Language) -> TrialOut:
    return TrialOut(
        running=trial.running,
        seconds=trial.seconds,
        elapsed=round(trial.elapsed, 1),
        asked=trial.asked,
        tags=[_tag(one, language) for one in trial.tags],
        trouble=said(trial.trouble, language),
        attention=[said(one, language) for one in trial.attention],
        details=dict(trial.details),
    )


def _tag(one: TagTried, language: Language) -> TagTriedOut:
    return TagTriedOut(
        tag=one.tag,
        value=one.value,
        quality=WORDS[one.quality >> 30],
        code=f"0x{one.quality:08X}",
        per_second=one.per_second,
        problem=said(one.problem, language),
    )
