"""Runs one source: open, read, shape, log, acknowledge; says *lost* once and *back* once."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar, get_args

import pyarrow as pa

from isthmus.base.clock import MINUTE, Clock, Micros
from isthmus.field.budget import Allowance
from isthmus.field.connector import AnyConnector, Missed, Refused, Unreachable, Unsupported
from isthmus.field.registry import connector as connector_of
from isthmus.flow.contract import Full, Log
from isthmus.flow.failpoint import reach
from isthmus.flow.parcel import Rows
from isthmus.model.plant import Plant, Source
from isthmus.runtime import impaired
from isthmus.runtime import source_events as say
from isthmus.runtime.backoff import Backoff
from isthmus.runtime.calls import FaultError, bounded, noticed
from isthmus.runtime.device_clock import Clocks, Judged
from isthmus.runtime.devices import Line
from isthmus.runtime.filled import Filled
from isthmus.runtime.heartbeat import Heartbeat
from isthmus.runtime.impaired import Finding, Impaired
from isthmus.runtime.intake import Intake, Taken
from isthmus.runtime.pace import PARCEL_SAMPLES, Pace
from isthmus.runtime.source_events import Impairment, SourceEvent, What, Wrong

OPEN_SECONDS: Final = 60.0
READ_SECONDS: Final = 60.0
HISTORY_SECONDS: Final = 300.0
CLOSE_SECONDS: Final = 5.0
"""A connector has its own, shorter timeouts; these bound a call that hangs in spite of them."""
FASTEST_POLL: Final = 0.02
"""A demonstration at high speed still leaves the device alone for a moment."""
LINE_SECONDS: Final = 1.0
"""Between two looks whether the device has a connection for us again."""
ROOM_SECONDS: Final = 1.0
"""Between two looks whether a full disk has room again."""
LIMITED_READ_SECONDS: Final = 600.0
"""Opening, or one poll, within a budget may take that long; each request has its own timeout."""

__all__ = ["SourceEvent", "SourceRunner"]

T = TypeVar("T")


Factory = Callable[[], AnyConnector]


class SourceRunner:
    """One source of the model, from its own protocol to rows in the log."""

    def __init__(
        self,
        source: Source,
        plant: Plant,
        log: Log,
        clock: Clock,
        *,
        on_rows: Callable[[Sequence[Rows]], None],
        on_event: Callable[[SourceEvent], None],
        connector_factory: Factory | None = None,
        heartbeat: Heartbeat | None = None,
        allowance: Allowance | None = None,
        line: Callable[[], Line | None] = lambda: Line([]),
    ) -> None:
        """Share one `heartbeat` between the sources of a log to save synced transactions.

        `allowance`: what its device may be asked by all; `line` is a connection to it, or None
        while others hold all that it allows.
        """
        self.source = source
        self.log = log
        self.clock = clock
        self.on_rows = on_rows
        self.on_event = on_event
        self._plant = plant
        self._factory = connector_factory or self._registered
        self._heartbeat = heartbeat or Heartbeat(log)
        self._own_heartbeat = heartbeat is None
        self._stopping = asyncio.Event()
        self._unreachable = Backoff(1.0, 30.0)
        self._refused = Backoff(10.0, 300.0)
        self._out: What | None = None
        """Said last, while no values come."""
        self._since: Micros | None = None
        """Start of the gap that is open."""
        self._heard: Micros = 0
        """When the connector answered last."""
        self._connected = False
        self._polled = False
        self._full_since: Micros = 0
        self._anew: _Anew | None = None
        """Why it must be opened anew: only so does every tag tell its present value again."""
        self._impaired = Impaired(source.tags, source.spec.interval)
        self._wrong: dict[Impairment, Wrong] = {}
        self._clocks = Clocks(
            {
                path: [one.tag for one in plant.machines[path].maps if one.tag]
                for path in source.machines
            }
        )
        self._skewed = False
        self._stopped_by = say.STOPPED
        self.clock_offset: float | None = None
        """Plant seconds that the device's clock is ahead of ours (negative: behind), once known."""
        self._note = ""
        """What is to be said once the source is back."""
        self._allowance = allowance or Allowance(source.spec.budget)
        self._line = line
        self._position: bytes | None = None
        """Where to read on after what was read last, of a source that has such a place."""
        self._memory: Any = None
        """What the last connector knew."""
        self._filled: Filled | None = None
        """How much of the open gap is filled from what the source itself kept."""
        self._failure = ""

    async def run(self) -> None:
        """Until `stop()`; a fault of ours ends it with the exception, for the supervisor."""
        self._intake = await asyncio.to_thread(
            Intake, self.source, self._plant, self.log, self.clock
        )
        self._since = await asyncio.to_thread(self._intake.open_since)
        self._heard = self.clock.now()
        self._stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            with suppress(_Stopped):
                await self._sessions()
        finally:
            await self._farewell()
            self._stopped.cancel()

    def stop(self, why: str = say.STOPPED) -> None:
        """End soon and cleanly: what was read is written, the connector is closed."""
        if not self._stopping.is_set():
            self._stopped_by = why
        self._stopping.set()

    async def _sessions(self) -> None:
        """One after the other, all over the same one of the device's connections."""
        while (line := self._line()) is None and not self._stopping.is_set():
            await self._lost("refused", say.OCCUPIED)
            await self._wait(LINE_SECONDS)
        try:
            while not self._stopping.is_set():
                await self._wait(self._in_wall_time(await self._session()))
        finally:
            if line is not None:
                line.close()

    # One session ------------------------------------------------------------------------------

    async def _session(self) -> float:
        """Open, read until something ends it, close; returns the pause in plant seconds."""
        connector = self._factory()
        connector.allowance = self._allowance  # a new connection is no new budget
        connector.memory = self._memory
        self._polled, self._anew, self._position = connector.polled, None, None
        self._impaired.forget()
        self._forget_wrong()
        self._clocks.forget()
        self._intake.skew.forget()
        self._intake.skew.live = connector.told_at_once
        try:
            if self._intake.position is not None:
                connector.resume(self._intake.position)
            await self._wait(self._allowance.wait())
            bound = LIMITED_READ_SECONDS if self._allowance.limited else OPEN_SECONDS
            await self._call(connector.open(), bound, "opening it")
            await self._read_on(connector)
        except Unreachable as error:
            await self._lost("lost", self._advice(error, "Is it on and on this network?"))
            return self._unreachable.pause()
        except Refused as error:
            await self._lost("refused", self._advice(error, "Trying again alone will not help."))
            return self._refused.pause()
        except FaultError as fault:
            await self._lost("fault", self._advice(fault, "This is a fault of Isthmus."))
            return self._refused.pause()
        finally:
            self._memory = connector.memory
            await self._close(connector)
        return 0.0

    async def _read_on(self, connector: AnyConnector) -> None:
        """Until `stop()`, or until its present values can only be known by opening it anew."""
        opened = self.clock.now()
        if self._since is not None:
            if connector.fills_gaps:
                await self._fill(connector, self._since, opened)
            self._intake.opened(self._since, opened)
        batch: list[pa.Table] = []
        try:
            await self._read_into(batch, connector, opened)
        except (Unreachable, Refused, FaultError):
            await self._write(batch)  # a poll comes only once
            raise
        await self._store(connector, batch)
        if self._anew is not None and self._since is None:
            await self._begin_gap(self._anew.reason, self._anew.detail, self._anew.since)

    async def _read_into(
        self, batch: list[pa.Table], connector: AnyConnector, opened: Micros
    ) -> None:
        """Read at the source's pace; `batch` holds what is not on disk yet."""
        pace = Pace(connector, self._in_wall_time(self.source.spec.interval))
        while not self._stopping.is_set() and self._anew is None:
            samples = await self._read(connector)
            await self._heard_now(connector, opened)
            if samples is not None and samples.num_rows:
                await self._judge_clock(connector, batch, samples)
                if not self._clocks.none_is_believed:
                    await self._tell(self._impaired.take(samples))
                batch.append(samples)
                self._position = connector.position()
            pace.read(samples)
            if pace.is_full(batch):
                await self._store(connector, batch)
            await self._take_missed(connector.missed())
            if not batch and self._intake.mapping.waits:
                self._take(await self._with_room(self._intake.tick))
            await self._rest(connector, pace.pause())

    async def _fill(self, connector: AnyConnector, since: Micros, opened: Micros) -> None:
        """What the source kept while nobody listened, before anything newer is counted."""
        if self._filled is None or self._filled.since != since:
            self._filled = Filled(since)
            self._intake.opened(since, since)
        self._filled.trouble = ""
        try:
            for start, end in self._filled.windows(opened):
                kept = await self._call(
                    connector.history(start, end), HISTORY_SECONDS, "reading its history"
                )
                if kept is None:
                    return  # we are stopped
                samples = self._filled.new(kept)
                await self._write([samples] if samples.num_rows else [])
                self._filled.wrote(samples, end)
        except (Refused, Unsupported) as error:
            self._filled.trouble = str(error)

    async def _read(self, connector: AnyConnector) -> pa.Table | None:
        limited = self._allowance.limited
        bound = LIMITED_READ_SECONDS if limited else READ_SECONDS
        read = self._call(connector.read(), bound, "reading")
        if not (connector.polled and connector.told_at_once):
            return await read  # what a table or a folder tells late it tells all the same
        interval = self._in_wall_time(self.source.spec.interval)
        self._impaired.began_to_read()
        limit = max(impaired.LATE_INTERVALS * interval, impaired.LATE_SECONDS)
        samples = await noticed(read, limit, self._reads_slowly)
        await self._tell(self._impaired.has_read())
        return samples

    async def _rest(self, connector: AnyConnector, seconds: float) -> None:
        """Until the next read is due; ends early when we are stopped."""
        if connector.polled:
            await self._wait(seconds)
        elif seconds > 0:
            await self._call(connector.gather(seconds), seconds + READ_SECONDS, "gathering")

    async def _store(self, connector: AnyConnector, batch: list[pa.Table]) -> None:
        """To disk; only then is the source told so."""
        if not batch:
            return
        await self._write(batch)
        reach("acknowledge.before")
        await self._call(connector.acknowledge(), READ_SECONDS, "acknowledging", finish=True)
        reach("acknowledge.after")

    async def _write(self, batch: list[pa.Table]) -> None:
        """In parcels of bounded size; `batch` is empty afterwards."""
        if not batch:
            return
        samples = pa.concat_tables(batch).combine_chunks()
        batch.clear()
        # A position holds for all of the samples: they go to disk together or not at all.
        size = PARCEL_SAMPLES if self._position is None else samples.num_rows
        for start in range(0, samples.num_rows, size):
            part = samples.slice(start, size)
            self._take(await self._with_room(partial(self._intake.take, part, self._position)))

    def _take(self, taken: Taken) -> None:
        self._pass_on(taken.rows)
        if taken.failure and taken.failure != self._failure:
            self._say("shape_failed", f"Samples are kept raw alone: {taken.failure}.")
        self._failure = taken.failure
        self._judge_skew()

    def _judge_skew(self) -> None:
        """Say once that the device's clock is off, and once that it is right again."""
        skew = self._intake.skew
        self.clock_offset = skew.offset
        if skew.is_off is self._skewed or skew.offset is None:
            return
        self._skewed = skew.is_off
        text = (
            say.RIGHT if not skew.is_off else say.CORRECTED if skew.correction_counts else say.OFF
        )
        side = "ahead of" if skew.offset > 0 else "behind"
        said = text.format(seconds=abs(skew.offset), side=side)
        self._now_wrong("skew", said if skew.is_off else "", self.clock.now())
        self._say("skew", said)

    async def _take_missed(self, missed: Sequence[Missed]) -> None:
        if missed:
            await self._with_room(partial(self._intake.missed, missed))
            self._say("missed", "; ".join(one.detail for one in missed))

    def _pass_on(self, rows: Sequence[Rows]) -> None:
        if rows:
            self.on_rows(rows)

    # Lost and back ------------------------------------------------------------------------------

    async def _heard_now(self, connector: AnyConnector, opened: Micros) -> None:
        """The connector answered: now the source is back, not when its port was open."""
        self._heard = self.clock.now()
        if self._clocks.none_is_believed:
            return  # it talks, but of times that nobody can believe
        self._heartbeat.heard(self.source.name, self._heard)
        filled, self._filled = self._filled, None
        if self._since is not None:
            known = filled is not None and filled.covers(self.source.tags)
            end = self._since if known else opened
            await self._with_room(partial(self._intake.back, end))
            self._since = None
        if self._out is not None or not self._connected:
            what: What = "connected" if self._out is None else "back"
            self._connected, self._out = True, None
            self._unreachable.reset()
            self._refused.reset()
            told = [filled.told(self.source.tags)] if filled is not None else []
            note, self._note = self._note, ""
            self._say(what, "; ".join([*told, *connector.attention(), *([note] if note else [])]))

    async def _reads_slowly(self) -> None:
        if self._connected:
            await self._tell(self._impaired.waits_long())

    async def _tell(self, found: Finding | None) -> None:
        """Something is wrong with what it answers, or not any more."""
        if found is None:
            return
        if found.begins:
            write = partial(self._intake.begins, found.reason, found.detail, self._heard)
        else:
            write = partial(self._intake.ends, found.reason, self.clock.now())
        await self._with_room(write)
        self._now_wrong(found.reason, found.detail if found.begins else "", self._heard)
        self._say(found.what, found.detail)

    async def _judge_clock(
        self, connector: AnyConnector, batch: list[pa.Table], samples: pa.Table
    ) -> None:
        """Before `samples` are taken; what came before them is stored by the old clock."""
        if self.source.spec.clock != "device":
            return
        for found in self._clocks.judge(samples, live=connector.live):
            await self._store(connector, batch)
            await self._follow_clock(found)

    async def _follow_clock(self, found: Judged) -> None:
        whose = "" if self._clocks.are_one else f"`{found.machine}`: "
        match found.verdict:
            case "ahead":
                detail = whose + say.AHEAD.format(minutes=found.by / MINUTE)
                if self._clocks.are_one:
                    await self._lost("clock", detail)
                else:
                    await self._doubt(found.machine, detail)
            case "right_again":
                self._now_wrong("clock", "", 0)
                self._out = "clock"  # until it tells its present values again
                self._note = whose + say.RIGHT_AGAIN
                self._anew = _Anew("clock", self._note, self._heard)
            case "back":
                self._note = whose + say.BACK.format(minutes=found.by / MINUTE)
                await self._lost("clock", self._note)
                # What it tells from now on holds from now on, not in the hour it has told before.
                self._intake.opened(self._since or self._heard, self._heard)
                self._anew = _Anew("clock", self._note, self._heard)

    async def _doubt(self, machine: str, detail: str) -> None:
        """Nobody believes one of several machines; the others are read as before."""
        doubted = partial(self._intake.doubted, machine, "clock", detail, self._heard)
        self._pass_on((await self._with_room(doubted)).rows)
        self._now_wrong("clock", detail, self._heard)
        self._say("clock", detail)

    async def _lost(self, what: What, detail: str) -> None:
        self._connected = False
        self._heartbeat.gone(self.source.name)
        if self._since is None:
            await self._begin_gap(what, detail, self._heard)
        self._forget_wrong()
        if what == "clock":
            self._now_wrong(what, detail, self._since or self._heard)
        if self._out != what:
            self._out = what
            self._say(what, detail)

    def _advice(self, error: Exception, more: str) -> str:
        """What a connector says is often complete; then nothing is added."""
        said = str(error).rstrip(".")
        if "isthmus probe" in said:
            return f"{said}."
        return f"{said}. {more} `isthmus probe {self.source.name}` tries now."

    async def _begin_gap(self, reason: str, detail: str, at: Micros) -> None:
        lost = await self._with_room(partial(self._intake.lost, reason, detail, at))
        self._since = lost.start
        self._pass_on(lost.rows)

    async def _farewell(self) -> None:
        """A stopped platform knows nothing either; recovery would only guess when it began."""
        self._heartbeat.gone(self.source.name)
        if self._since is None and self._connected:
            # What could not be written for want of room is part of what we do not know.
            at = self._full_since or self._heard
            with suppress(Full):
                lost = await asyncio.to_thread(self._intake.lost, "stopped", self._stopped_by, at)
                self._pass_on(lost.rows)
        if self._own_heartbeat:
            await self._heartbeat.close()
        self._connected = False
        self._wrong.clear()
        self._say("stopped", self._stopped_by)

    async def _with_room(self, write: Callable[[], T]) -> T:
        """Write in a thread; while the disk is full nothing is read, acknowledged or dropped."""
        since: Micros = 0
        named = False
        while True:
            try:
                written = await asyncio.to_thread(write)
            except Full as full:
                if not since:
                    since = self._full_since = self.clock.now()
                    self._now_wrong("disk_full", str(full), since)
                    self._say("disk_full", str(full))
                    named = await self._name_full(since)
                await self._wait(ROOM_SECONDS)
                if self._stopping.is_set():
                    raise _Stopped from full
            else:
                break
        if since:
            await self._room_again(since, named=named)
        return written

    async def _name_full(self, since: Micros) -> bool:
        """At once, where the reserve of `keep.free_mb` still has room for that; else afterwards."""
        if self._since is not None:
            return False
        try:
            await asyncio.to_thread(self._intake.begins, self._full_reason, say.FULL, since)
        except Full:
            return False
        return True

    async def _room_again(self, since: Micros, *, named: bool) -> None:
        """Values of a subscription only came late; what a poll would have seen is lost."""
        self._full_since = 0
        self._now_wrong("disk_full", "", 0)
        now, reason = self.clock.now(), self._full_reason
        if self._polled:
            self._anew = _Anew(reason, say.FULL, since)
        elif named:
            await asyncio.to_thread(self._intake.ends, reason, now)
        else:
            await asyncio.to_thread(self._intake.interval, reason, say.FULL, since, now)
        self._say("room", say.ROOM)

    @property
    def _full_reason(self) -> str:
        return "disk_full" if self._polled else "delayed"

    # Calls that end -------------------------------------------------------------------------------

    async def _call(
        self, work: Coroutine[Any, Any, T], seconds: float, doing: str, *, finish: bool = False
    ) -> T | None:
        """None when `stop()` came first, unless it must `finish`."""
        return await bounded(work, seconds, doing, None if finish else self._stopped)

    async def _close(self, connector: AnyConnector) -> None:
        """A connector that cannot even close is left behind; the next one is new."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await connector.close()
        except Exception as error:  # noqa: BLE001 - said, and nothing more can be done
            self._say("fault", f"closing it failed: {type(error).__name__}: {error}")

    async def _wait(self, seconds: float) -> None:
        """Wall time; ends early when we are stopped."""
        if seconds > 0:
            await asyncio.wait([self._stopped], timeout=seconds)

    def _in_wall_time(self, plant_seconds: float) -> float:
        return max(FASTEST_POLL, plant_seconds / self.clock.speed) if plant_seconds else 0.0

    def _now_wrong(self, what: Impairment, detail: str, since: Micros) -> None:
        """It is, for the reason that is given, or it is not any more, without one."""
        if detail:
            self._wrong.setdefault(what, Wrong(what, since, detail))
        else:
            self._wrong.pop(what, None)

    def _forget_wrong(self) -> None:
        """With a session all ends that was found in it; a clock that is off stays off."""
        for what in ("bad", "slow", "clock"):
            self._wrong.pop(what, None)

    def _say(self, what: What, detail: str) -> None:
        wrong = tuple(self._wrong[one] for one in get_args(Impairment) if one in self._wrong)
        self.on_event(
            SourceEvent(
                self.source.name, self.source.spec.kind, what, detail, self.clock.now(),
                self._connected, wrong,
            )
        )  # fmt: skip

    def _registered(self) -> AnyConnector:
        kind = connector_of(self.source.spec.kind)
        return kind(self.source.name, self.source.spec, self.source.tags, self.clock)


class _Stopped(Exception):  # noqa: N818 - the condition, not a bug
    """We were stopped while waiting for room; what was not written was not acknowledged."""


@dataclass(frozen=True)
class _Anew:
    """Why a source is opened anew although it answers, and since when that gap is."""

    reason: str
    detail: str
    since: Micros
