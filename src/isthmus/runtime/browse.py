"""Looking around in a source: crawl it, keep what was found, listen to some of its tags."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import pyarrow as pa
import xxhash

from isthmus.base.clock import Clock, Micros
from isthmus.field.browse import Crawl, Crawled, Progress
from isthmus.field.connector import AnyConnector, Connector, Node, Unreachable, Unsupported
from isthmus.field.suggest.behaviour import Value
from isthmus.flow.parcel import BAD
from isthmus.model.plant import Source
from isthmus.runtime.devices import Look, freely
from isthmus.runtime.probe import OPEN_SECONDS, Factory, closing, listen, registered
from isthmus.runtime.settings import Settings

_SAVE_EVERY: Final = 5.0
_FORMAT: Final = 2


@dataclass(frozen=True)
class Stored:
    """A crawl as it lies on disk."""

    crawled: Crawled
    at: Micros


class Browsing:
    """One source that is crawled, in the background if wanted: `run` it, look at `progress`.

    What was found is kept under the data folder; a crawl that was interrupted goes on there.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        clock: Clock,
        factory: Factory | None = None,
        *,
        look: Look = freely,
    ) -> None:
        self.source = source
        self._look = look
        self._clock = clock
        self._factory = factory
        self._file = settings.data / "browse" / f"{source.name}.json"
        self._crawl: Crawl | None = None

    @property
    def progress(self) -> Progress | None:
        """None before anything is known of the source."""
        if self._crawl is not None:
            return self._crawl.progress
        stored = self.stored()
        return Crawl(_nothing, begun=stored.crawled).progress if stored else None

    @property
    def so_far(self) -> Crawled | None:
        """What this crawl has found until now; None before it could begin."""
        return self._crawl.so_far() if self._crawl is not None else None

    def stored(self) -> Stored | None:
        """What an earlier crawl of this very source found; None too if it was another endpoint."""
        try:
            written = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            return None  # a half-written file of an older version: it is only a cache
        listed = written.get("listed") == self.source.spec.kind
        same = written.get("source") == self._fingerprint()
        if written.get("format") != _FORMAT or not (same or listed):
            return None
        known = written["crawled"]
        nodes = tuple(Node(**node) for node in known.pop("nodes"))
        crawled = Crawled(nodes=nodes, **known | {"waiting": tuple(known["waiting"])})
        return Stored(crawled, written["at"])

    def keep(self, nodes: Sequence[Node]) -> None:
        """Tags a person listed: they hold for the source however it is reached, until a crawl."""
        self._crawl = None
        self._save(Crawled(tuple(nodes), waiting=()), listed=self.source.spec.kind)

    async def run(self, *, again: bool = False) -> Crawled:
        """Crawl to the end. `again`: from the beginning, whatever is stored.

        Unreachable, Refused and Unsupported go through; what was found until then is kept.
        """
        stored = None if again else self.stored()
        if stored is not None and stored.crawled.complete:
            return stored.crawled
        connector = _opener(replace(self.source, tags=()), self._clock, self._factory)
        _browsable(connector)
        try:
            async with self._look(self.source, connector), closing(connector):
                async with asyncio.timeout(OPEN_SECONDS):
                    await connector.open()
                self._crawl = Crawl(
                    connector.browse,
                    at_once=connector.browses_at_once,
                    begun=stored.crawled if stored else None,
                )
                await self._to_the_end(self._crawl)
        except TimeoutError as error:
            said = f"source `{self.source.name}`: no answer for {OPEN_SECONDS:.0f} s"
            raise Unreachable(said) from error
        finally:
            if self._crawl is not None:
                self._save(self._crawl.so_far())
        return self._crawl.so_far()

    async def _to_the_end(self, crawl: Crawl) -> None:
        running = asyncio.create_task(crawl.run())
        try:
            while not (await asyncio.wait({running}, timeout=_SAVE_EVERY))[0]:
                self._save(crawl.so_far())
            running.result()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _save(self, crawled: Crawled, *, listed: str = "") -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        written = {
            "format": _FORMAT,
            "source": self._fingerprint(),
            "listed": listed,
            "at": self._clock.now(),
            "crawled": asdict(crawled),
        }
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")
        new.replace(self._file)

    def _fingerprint(self) -> str:
        """Of what the source is; `repr` hides what is secret."""
        return xxhash.xxh64_hexdigest(repr(self.source.spec).encode())


async def heard(
    source: Source,
    tags: Sequence[str],
    clock: Clock,
    seconds: float,
    factory: Factory | None = None,
    *,
    look: Look = freely,
) -> dict[str, tuple[Value, ...]]:
    """Values of some tags, by tag, oldest first; bad ones left out. Leaves nothing behind."""
    looked_at = replace(source, tags=tuple(tags))
    connector = _opener(looked_at, clock, factory)
    tables: list[pa.Table] = []
    try:
        async with look(source, connector), closing(connector):
            await listen(connector, seconds, tables)
    except TimeoutError as error:
        said = f"source `{source.name}`: no answer for {OPEN_SECONDS:.0f} s while opening it"
        raise Unreachable(said) from error
    found: dict[str, list[Value]] = {}
    for table in tables:
        for row in table.select(["tag", "number", "text", "quality"]).to_pylist():
            value = row["number"] if row["number"] is not None else row["text"]
            if value is not None and row["quality"] < BAD:
                found.setdefault(row["tag"], []).append(value)
    return {tag: tuple(values) for tag, values in found.items()}


def _opener(source: Source, clock: Clock, factory: Factory | None) -> AnyConnector:
    return factory() if factory is not None else registered(source, clock)


def _browsable(connector: AnyConnector) -> None:
    """Connectors that have no address space say so when they are asked, before anything else."""
    if type(connector).browse is Connector.browse:
        raise Unsupported(
            f"a source of kind `{connector.spec.kind}` has no list of its tags to browse; write "
            f"one as a table: `isthmus suggest {connector.name} --list tags.csv`"
        )


def _nothing(_: str) -> Any:
    raise AssertionError("only its progress is asked")
