"""The embedded platform: connectors, log, writer, queries, facts and pages in one process."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from isthmus import __version__
from isthmus.apps.oee.facts import OEE_FACT
from isthmus.base.clock import HOUR, Clock, Micros
from isthmus.base.problem import ProblemsError
from isthmus.data.facts import FactKeeper
from isthmus.data.lake import Lake
from isthmus.data.maintain import run_apart
from isthmus.data.writer import Pace, Writer
from isthmus.field.shape import unknown_rows
from isthmus.flow.contract import Log
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import Rows
from isthmus.model.changes import affected_sources, changes
from isthmus.model.plant import Plant, System
from isthmus.provision.join import VIEWS
from isthmus.runtime.devices import Devices
from isthmus.runtime.dimensions import dimensions
from isthmus.runtime.heartbeat import Heartbeat
from isthmus.runtime.memory import give_back
from isthmus.runtime.news import states
from isthmus.runtime.open import load_plant, open_log, running_folder
from isthmus.runtime.release import QuarantineReplay, carry_out, plan, sourced
from isthmus.runtime.settings import Settings
from isthmus.runtime.source_events import CHANGED
from isthmus.runtime.sources import SourceEvent, SourceRunner
from isthmus.runtime.systems import SystemEvent, SystemRunner
from isthmus.runtime.workbench import Workbench
from isthmus.web.live import Hub

log = logging.getLogger("isthmus")

WRITE_EVERY = 0.25
FACTS_EVERY = 2.0
LAY_OUT_EVERY = 1.0
PACE = Pace(parcels=4_000, seconds=20.0)
"""Few large commits make few files; queries see the tail of the log in between."""
MAINTAIN_EVERY = 300.0
"""Wall seconds: about fifteen files per table and site gather meanwhile."""
GIVE_BACK_EVERY = 60.0
RETRY_AFTER = 5.0
SHOWN_LIVE = frozenset(one.table for one in OEE_FACT.inputs) | {"stop_reason"}
"""Rows of these tables may change what live pages say; temperatures do not."""
DIMENSIONS_EVERY = 6 * HOUR
"""Plant time; shifts are laid out two weeks ahead."""


@dataclass
class Running:
    """A runner and its task."""

    runner: Any
    task: asyncio.Task[None]


class EmbeddedPlatform:
    """Implements `isthmus.web.platform.Platform`; start it, then serve its pages."""

    version = __version__

    def __init__(self, plant: Plant, settings: Settings, clock: Clock) -> None:
        self._plant = plant
        self.settings = settings
        self.clock = clock
        self.hub = Hub(clock)
        self.logs: dict[str, SqliteLog] = {}
        self._sources: dict[str, Running] = {}
        self._systems: dict[str, Running] = {}
        self._heartbeats: dict[str, Heartbeat] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._status = "starting"
        self._source_events: dict[str, SourceEvent] = {}
        self._system_events: dict[str, SystemEvent] = {}
        self._troubles: dict[str, str] = {}
        self._said: dict[str, int] = {}
        """Machine → since when (ms) the state holds that the live pages were told."""
        self._laid_out: Micros = 0
        self._applying = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._devices = Devices(settings.data, lambda: self._plant, serves=True)
        self.workbench = Workbench(
            settings, clock, lambda: self._plant, lambda: running_folder(settings), self.apply,
            look=self._devices.look,
        )  # fmt: skip

    # What the web sees ---------------------------------------------------------------------

    @property
    def plant(self) -> Plant:
        return self._plant

    @property
    def data(self) -> Path:
        return self.settings.data

    def health(self) -> Mapping[str, Any]:
        """`degraded` while anything of ours does not work; lost machines are not ours."""
        degraded = self._status == "ready" and bool(self._troubles)
        return {
            "status": "degraded" if degraded else self._status,
            "version": self.version,
            "troubles": dict(self._troubles),
            "sources": {
                name: (event.impaired or "connected") if event.connected else event.what
                for name, event in self._source_events.items()
            },
            "systems": {name: event.what for name, event in self._system_events.items()},
        }

    def source_states(self) -> Mapping[str, SourceEvent]:
        return self._source_events

    def clock_offsets(self) -> Mapping[str, float]:
        found = {name: one.runner.clock_offset for name, one in self._sources.items()}
        return {name: offset for name, offset in found.items() if offset is not None}

    async def append_rows(self, rows: Sequence[Rows]) -> None:
        """Each machine's rows go to its own site's log."""
        for site, part in self._by_site(rows).items():
            await asyncio.to_thread(self.logs[site].append_rows, part, now=self.clock.now())
        self._rows_arrived(rows)

    def _by_site(self, rows: Sequence[Rows]) -> dict[str, list[Rows]]:
        parts: dict[str, list[Rows]] = {}
        for one in rows:
            site = self._home
            if "machine" in one.table.column_names and one.table.num_rows:
                machine = self._plant.machines.get(one.table["machine"][0].as_py())
                site = machine.site if machine else self._home
            parts.setdefault(site, []).append(one)
        return parts

    @property
    def _home(self) -> str:
        """The site whose log keeps what belongs to the whole company."""
        return next(iter(self.logs))

    async def replay(
        self, source: str, start: Micros, end: Micros, *, dry_run: bool
    ) -> QuarantineReplay:
        """What is in quarantine of a source, received in [start, end), by the model that runs.

        LookupError says that there is no such source, OvertakenError and Full why nothing was done.
        """
        async with self._applying:
            found = sourced(self._plant, source)
            keeper = self.logs[found.site]
            planned = await asyncio.to_thread(plan, keeper, found, self._plant, start, end)
            if not dry_run:
                await asyncio.to_thread(carry_out, keeper, planned, self.clock.now())
                self._rows_arrived(planned.released.rows)
            return planned

    # Life --------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open logs and lake and check them; pages can be served from here on.

        ProblemsError or DamagedError say what is broken and what to do.
        """
        await asyncio.to_thread(self._open)

    async def start(self) -> None:
        """Take what the logs still hold, then begin to listen."""
        await asyncio.to_thread(self._catch_up)
        self._heartbeats = {site: Heartbeat(one) for site, one in self.logs.items()}
        for source in self._plant.sources:
            self._start_source(source)
        for system in self._plant.systems.values():
            self._start_system(system)
        upkeep = (
            (self._write, WRITE_EVERY), (self._keep_facts, FACTS_EVERY),
            (self._lay_out, LAY_OUT_EVERY), (self._maintain, MAINTAIN_EVERY),
            (self._give_back, GIVE_BACK_EVERY),
        )  # fmt: skip
        for work, seconds in upkeep:
            self._tasks.append(asyncio.create_task(self._always(work, seconds)))
        self._status = "ready"

    def _open(self) -> None:
        now = self.clock.now()
        for site in self._plant.sites.values():
            self.logs[site.name] = open_log(self.settings, site)
        self.writer = Writer(self.settings.lake, self.logs, self._plant, PACE)
        for problem in self.writer.verify(now):
            log.warning("%s", problem.render())
        # After `verify`: a log that was restored must get its new epoch before it takes rows.
        for name, one in self.logs.items():
            one.recover(now, partial(self._unknown, name))
        self._retire(now)
        self.lake = Lake(self.settings.lake, self.logs, self._plant)
        self._define(now)
        folder = self.settings.lake / OEE_FACT.name
        self.facts = FactKeeper(self.lake, OEE_FACT, self._plant, folder)

    def _retire(self, now: Micros) -> None:
        """A source that was taken out of the model is not missing."""
        for site, one in self.logs.items():
            one.retire({s.name for s in self._plant.sources.values() if s.site == site}, now=now)

    def _define(self, now: Micros) -> None:
        for name, table in dimensions(self._plant, now).items():
            self.lake.register(name, table)
        for name, sql in VIEWS.items():
            self.lake.define(name, sql)
        self._laid_out = now

    def _catch_up(self) -> None:
        self.writer.write_once()
        self.facts.refresh(self.clock.now())

    def _unknown(self, site: str, source: str, at: Micros) -> Sequence[Rows]:
        """Of a source that is gone: it may have another name now, so machines of new ones are."""
        plant, state = self._plant, self.logs[site].state
        ours = [one for one in plant.sources.values() if one.site == site]
        gone = all(one.name != source for one in ours)
        meant = [o for o in ours if o.name == source or (gone and state(o.name) is None)]
        return [rows for one in meant for rows in unknown_rows(one, plant, at)]

    async def stop(self) -> None:
        """Sources first, then what is still to be written, then the files."""
        self._status = "stopping"
        await self.workbench.close()
        await self._stop(list(self._sources.values()) + list(self._systems.values()))
        # Not cancelled: a thread would go on working on files that we are about to close.
        self._stopping.set()
        await asyncio.gather(*self._tasks)
        await asyncio.to_thread(self.writer.write_once)
        await asyncio.to_thread(self.facts.close, self.clock.now())
        for beat in self._heartbeats.values():
            await beat.close()
        self.lake.close()
        for one in self.logs.values():
            one.close()

    async def _stop(self, running: Sequence[Running]) -> None:
        for one in running:
            one.runner.stop()
        await asyncio.gather(*(one.task for one in running), return_exceptions=True)

    # Work --------------------------------------------------------------------------------

    def _start_source(self, name: str) -> None:
        source = self._plant.sources[name]
        if not source.spec.enabled:
            return
        runner = SourceRunner(
            source, self._plant, self.logs[source.site], self.clock,
            on_rows=self._rows_arrived, on_event=self._source_event,
            heartbeat=self._heartbeats[source.site], allowance=self._devices.allowance(source),
            line=partial(self._devices.intake, source),
        )  # fmt: skip
        self._sources[name] = self._watched(name, runner, runner.run())

    def _start_system(self, system: System) -> None:
        if not system.spec.enabled:
            return
        keeper: Log = self.logs[system.site or self._home]
        runner = SystemRunner(
            system, self._plant, keeper, self.clock, query=self.lake.query,
            folder=self.settings.data, on_rows=self._rows_arrived, on_event=self._system_event,
        )  # fmt: skip
        self._systems[system.name] = self._watched(system.name, runner, runner.run())

    def _watched(self, name: str, runner: Any, work: Coroutine[Any, Any, None]) -> Running:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda done: self._ended(name, done))
        return Running(runner, task)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._troubles[name] = f"{type(error).__name__}: {error}"
            log.error("`%s` stopped by a fault of ours", name, exc_info=error)

    def _rows_arrived(self, rows: Sequence[Rows]) -> None:
        self.facts.take(rows)
        watched = set(self.hub.watched("machine"))
        for machine, fields in states(rows, self._plant.state_categories) if watched else ():
            if machine in watched and fields["since"] >= self._said.get(machine, 0):
                self._said[machine] = fields["since"]
                self.hub.publish(f"machine:{machine}", fields)
        if any(one.name in SHOWN_LIVE for one in rows):
            self.hub.rows_arrived()

    def _source_event(self, event: SourceEvent) -> None:
        self._source_events[event.name] = event
        name = f"source `{event.name}`: "  # with which some connectors begin by themselves
        log.info("%s%s", name, (event.detail or event.what).removeprefix(name))
        self.hub.publish(
            f"source:{event.name}",
            {
                "what": event.what,
                "detail": event.detail,
                "connected": event.connected,
                "impaired": event.impaired,
            },
        )
        self._troubles.pop(f"disk of {event.name}", None)
        if event.what == "disk_full":  # lost machines are not ours, but this is
            self._troubles[f"disk of {event.name}"] = event.detail

    def _system_event(self, event: SystemEvent) -> None:
        self._system_events[event.name] = event
        log.info("system `%s`: %s: %s", event.name, event.what, event.detail)

    async def _always(self, work: Callable[[], Coroutine[Any, Any, None]], every: float) -> None:
        """A step of upkeep again and again; a failure is shown as trouble and tried again."""
        name = work.__name__.strip("_")
        pause = every
        while not await self._stops_within(pause):
            try:
                await work()
            except Exception as error:
                self._troubles[name] = f"{type(error).__name__}: {error}"
                log.error("%s failed; it is tried again", name, exc_info=error)  # noqa: TRY400
                pause = RETRY_AFTER
            else:
                self._troubles.pop(name, None)
                pause = every

    async def _stops_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    async def _write(self) -> None:
        if self.writer.due():
            written = await asyncio.to_thread(self.writer.write_once)
            if written.problems:
                raise ProblemsError(written.problems)

    async def _keep_facts(self) -> None:
        await asyncio.to_thread(self.facts.refresh, self.clock.now())

    async def _maintain(self) -> None:
        await asyncio.to_thread(run_apart, self.settings.lake)

    async def _give_back(self) -> None:
        await asyncio.to_thread(give_back)

    async def _lay_out(self) -> None:
        now = self.clock.now()
        if now - self._laid_out > DIMENSIONS_EVERY:
            await asyncio.to_thread(self._define, now)

    # Another model -------------------------------------------------------------------------

    async def apply(self, folder: Path) -> list[dict[str, Any]]:
        """Make the platform what the model in `folder` says; ProblemsError if it is wrong.

        What did not change is not touched: only affected sources are stopped and started.
        """
        async with self._applying:
            after = await asyncio.to_thread(load_plant, folder)
            done = changes(self._plant, after)
            touched = affected_sources(done)
            gone = [self._sources.pop(n) for n in touched if n in self._sources]
            for one in gone:
                one.runner.stop(CHANGED)
            await self._stop(gone)
            renewed = self._changed_systems(after)
            await self._stop([self._systems.pop(n) for n in renewed if n in self._systems])
            await asyncio.to_thread(self._turn_to, after)
            for name in touched - set(after.sources):
                self._source_events.pop(name, None)
                self._troubles.pop(name, None)
            for name in after.sources:
                if name not in self._sources:
                    self._start_source(name)
            for name, system in after.systems.items():
                if name not in self._systems:
                    self._start_system(system)
            return [change.as_dict() for change in done]

    def _changed_systems(self, after: Plant) -> set[str]:
        before = self._plant.systems
        return {name for name in before if before[name] != after.systems.get(name)}

    def _turn_to(self, after: Plant) -> None:
        for site in after.sites.values():
            if site.name not in self.logs:
                opened = self.logs[site.name] = open_log(self.settings, site)
                self._heartbeats[site.name] = Heartbeat(opened)
        self._plant = after
        self._devices.adopt()
        self.lake.adopt(after)
        self.writer.adopt(after)
        now = self.clock.now()
        self._retire(now)
        self._define(now)
        self.facts.adopt(after, now)
