"""One short look at one source: what comes, what the mapping makes of it, what to do if not.

Nothing is written, acknowledged or left behind.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import AnyConnector, Refused, Unreachable
from isthmus.field.quarantine import shown
from isthmus.field.registry import connector as connector_of
from isthmus.field.shape import Mapping, shape
from isthmus.flow.parcel import SAMPLES_SCHEMA, Shaped
from isthmus.model.plant import Plant, Source
from isthmus.runtime.devices import Look, Occupied, freely

OPEN_SECONDS = 60.0
CLOSE_SECONDS = 5.0


@dataclass(frozen=True)
class TagSeen:
    """What came of one tag."""

    tag: str
    value: str
    quality: int
    """An OPC UA StatusCode."""
    device_time: Micros
    samples: int
    per_second: float
    feeds: tuple[str, ...]
    """`machine block.field` that the mapping feeds from it; empty: nothing."""
    problem: str = ""
    """Why its value would go to quarantine."""


@dataclass(frozen=True)
class Probed:
    """The result of a probe."""

    source: str
    kind: str
    seconds: float
    tags: tuple[TagSeen, ...] = ()
    silent: tuple[str, ...] = ()
    """Tags of the mapping of which nothing came."""
    rows: dict[str, int] = field(default_factory=dict)
    """Block → rows that the mapping would make."""
    quarantined: int = 0
    trouble: str = ""
    """Why it failed and what to do; empty: it works."""
    attention: tuple[str, ...] = ()
    """What works but should not stay so."""
    details: dict[str, str] = field(default_factory=dict)
    """What the device is and granted."""

    @property
    def works(self) -> bool:
        return not self.trouble


Factory = Callable[[], AnyConnector]


async def probe(
    source: Source,
    plant: Plant,
    clock: Clock,
    seconds: float,
    factory: Factory | None = None,
    *,
    look: Look = freely,
) -> Probed:
    """Open the source, read for so many wall seconds, close it."""
    connector = factory() if factory is not None else registered(source, clock)
    tables: list[pa.Table] = []
    trouble = ""
    began = asyncio.get_running_loop().time()
    try:
        async with look(source, connector), closing(connector):
            await listen(connector, seconds, tables)
    except Occupied as error:
        trouble = f"{error}."
    except Unreachable as error:
        trouble = _said(
            error, source.name, "Is the device on and on this network? Are host and port right?"
        )
    except Refused as error:
        trouble = _said(
            error, source.name,
            "The device answers but says no: look at credentials and addresses.",
        )  # fmt: skip
    except TimeoutError:
        trouble = f"no answer for {OPEN_SECONDS:.0f} s while opening it."
    took = asyncio.get_running_loop().time() - began
    samples = pa.concat_tables([SAMPLES_SCHEMA.empty_table(), *tables])
    attention = () if trouble else tuple(connector.attention())
    heard = _Heard(samples, took, trouble, attention, connector.details(), clock.now())
    return _summed_up(heard, source, plant)


def _said(error: Exception, name: str, advice: str) -> str:
    """A connector's own words; many already ask the right question."""
    said = str(error).removeprefix(f"source `{name}`: ").rstrip(".")
    said = said.removesuffix(f" `isthmus probe {name}` tries now")  # that is what was typed
    return said if said.endswith("?") else f"{said}." if "?" in said else f"{said}. {advice}"


def registered(source: Source, clock: Clock) -> AnyConnector:
    spec = source.spec.for_probe()
    return connector_of(spec.kind)(source.name, spec, source.tags, clock)


@asynccontextmanager
async def closing(connector: AnyConnector) -> AsyncIterator[None]:
    """It is closed afterwards, whatever happened; what cannot even close is left behind."""
    try:
        yield
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await connector.close()


async def listen(connector: AnyConnector, seconds: float, tables: list[pa.Table]) -> None:
    """Fill `tables`, so that what came before a failure is shown, too."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(OPEN_SECONDS):
        await connector.open()
    end = loop.time() + seconds
    with suppress(TimeoutError):
        async with asyncio.timeout_at(end):
            while loop.time() < end:
                samples = await connector.read()
                if samples is not None:
                    tables.append(samples)
                if connector.polled:
                    await asyncio.sleep(min(connector.spec.interval, end - loop.time()))


@dataclass(frozen=True)
class _Heard:
    samples: pa.Table
    took: float
    trouble: str
    attention: tuple[str, ...]
    details: dict[str, str]
    at: Micros


def _summed_up(heard: _Heard, source: Source, plant: Plant) -> Probed:
    mapping = Mapping.of(source, plant)
    shaped = shape(heard.samples, mapping, None, now=heard.at)
    tags = tuple(_seen(heard.samples, heard.took, mapping, shaped))
    silent = sorted(set(source.tags) - {seen.tag for seen in tags})
    trouble = heard.trouble
    if not trouble and source.tags and not tags:
        trouble = f"it is open, but nothing came in {heard.took:.1f} s. Do its tags exist?"
    return Probed(
        source=source.name,
        kind=source.spec.kind,
        seconds=round(heard.took, 1),
        tags=tags,
        silent=tuple(silent),
        rows={part.name: part.table.num_rows for part in shaped.rows},
        quarantined=sum(count.quarantined for count in shaped.counts),
        trouble=trouble,
        attention=heard.attention,
        details=heard.details,
    )


def _seen(samples: pa.Table, took: float, mapping: Mapping, shaped: Shaped) -> list[TagSeen]:
    feeds: dict[str, list[str]] = {}
    for mapped in mapping.maps:
        feeds.setdefault(mapped.tag or "", []).append(
            f"{mapped.machine} {mapped.block}.{mapped.field}"
        )
    problems = {entry.tag: f"{entry.code}: {entry.reason}" for entry in shaped.quarantined}
    found = []
    for tag in sorted(samples["tag"].unique().to_pylist()):
        ours = samples.filter(pc.equal(samples["tag"], tag))
        last = {name: ours[name][-1].as_py() for name in ("number", "text", "quality")}
        found.append(
            TagSeen(
                tag=tag,
                value=shown(last["number"], last["text"]),
                quality=last["quality"],
                device_time=ours["device_time"].cast(pa.int64())[-1].as_py(),
                samples=ours.num_rows,
                per_second=round(ours.num_rows / took, 2) if took else 0.0,
                feeds=tuple(feeds.get(tag, ())),
                problem=problems.get(tag, ""),
            )
        )
    return found
