"""Feeds the reference company's past through the same path as live data: shape, log, ledger.

`python -m isthmus.cli.feed MODEL SIM.json`, run by `isthmus demo` before the platform starts. It
goes on from where the last run ended, however it ended: each parcel and the moment up to which it
tells everything are one transaction. So a second start shows no hole the machines did not have.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.progress import Progress

from isthmus.apps.oee.reasons import REASON_SCHEMA
from isthmus.base.clock import MINUTE, SECOND, Micros
from isthmus.field.shape import Mapping, resume, shape, unknown_rows
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import SAMPLES_SCHEMA, TIME, Rows
from isthmus.model.plant import Plant, Source
from isthmus.runtime.open import load_plant, open_log
from isthmus.runtime.settings import Settings
from isthmus.testing.sim.fleet import SimMachine
from isthmus.testing.sim.outages import Outage, outages
from isthmus.testing.sim.people import Said, said
from isthmus.testing.sim.run import BROKER
from isthmus.testing.sim.run import Settings as SimSettings
from isthmus.testing.sim.story import SOURCES, Story
from isthmus.testing.sim.wire import Write, message_values

PARCEL = 10_000
DELAY: Micros = 200_000
"""From the device's clock to our door."""


@dataclass
class Feeder:
    """Brings one source's past into its site's log."""

    plant: Plant
    source: Source
    log: SqliteLog
    story: Story
    said: list[Said]
    """What people say about its stops and nobody was told yet, the latest first."""

    def __post_init__(self) -> None:
        self.mapping = Mapping.of(self.source, self.plant)
        self.state = self.log.state(self.source.name)

    def go_on(self) -> None:
        """What the last run did not hear is told now: there is no gap."""
        name = self.source.name
        with self.log.view() as view:
            gaps = [gap for gap in view.running_gaps() if gap.source == name]
        for gap in gaps:
            self.log.close_gap(name, end=gap.start, now=gap.start, reason=gap.reason)
            self.state = resume(self.state, self.mapping, unknown_since=gap.start, opened=gap.start)

    def feed(self, spans: Sequence[Outage], end: Micros, fed: Micros | None) -> Iterator[int]:
        """Everything from `fed` (None: from the story's start) to `end`; yields samples written."""
        if fed is not None:
            for _ in self.story.until(fed):
                pass
        begin = self.story.start if fed is None else fed
        for start, back in spans:
            if back <= begin:
                continue
            if start >= end:
                break
            if start > begin:
                yield from self._stretch(begin, start)
            begin = min(back, end)
            self._lose(start, begin)
            for _ in self.story.until(begin):
                pass  # nobody listened
        yield from self._stretch(begin, end)

    def _stretch(self, begin: Micros, end: Micros) -> Iterator[int]:
        """What is shown at its begin, and all that happens until its end."""
        waiting = self._snapshot(begin)
        for happening in self.story.until(end):
            for write in happening.writes:
                waiting += message_values(happening.machine, write)
            # Only where nothing happens before it is heard: the next run goes on from there.
            if len(waiting) >= PARCEL and self._heard(waiting[-1]) < self.story.next_time():
                yield self._write(waiting)
                waiting = []
        yield self._write(waiting, end)

    def _snapshot(self, at: Micros) -> list[Write]:
        shown = self.story.snapshot(at)
        machine = self.story.machines[0]
        return [value for write in shown for value in message_values(machine, write)]

    def _write(self, waiting: list[Write], at: Micros | None = None) -> int:
        now = max([at or 0, *map(self._heard, waiting[-1:])])
        samples = self._samples(waiting)
        shaped = shape(samples, self.mapping, self.state, now=now)
        self.state = shaped.state if shaped.state is not None else self.state
        rows = [*shaped.rows, _reasons(self._said_before(now))]
        self.log.append(self.source.name, samples, replace(shaped, rows=rows), now=now)
        return len(waiting)

    def _said_before(self, now: Micros) -> list[Said]:
        found = []
        while self.said and self.said[-1].recorded < now:
            found.append(self.said.pop())
        return found

    def _seen(self, write: Write) -> Micros:
        """A polled register is seen at the next poll, not when it changed."""
        if self.source.spec.kind == "modbus":
            return -(-write.time // SECOND) * SECOND
        return write.time

    def _heard(self, write: Write) -> Micros:
        return self._seen(write) + DELAY

    def _samples(self, waiting: list[Write]) -> pa.Table:
        times = [self._seen(write) for write in waiting]
        numbers = [float(w.value) if not isinstance(w.value, str) else None for w in waiting]
        texts = [w.value if isinstance(w.value, str) else None for w in waiting]
        return pa.table(
            [
                pa.array([w.tag for w in waiting], pa.string()),
                pa.array(times, TIME),
                pa.array([time + DELAY for time in times], TIME),
                pa.array(numbers, pa.float64()),
                pa.array(texts, pa.string()),
                pa.array([0] * len(waiting), pa.uint32()),
            ],
            schema=SAMPLES_SCHEMA,
        )

    def _lose(self, start: Micros, end: Micros) -> None:
        name = self.source.name
        rows = unknown_rows(self.source, self.plant, start)
        self.log.open_gap(name, "lost", "no answer", start=start, now=start, rows=rows)
        self.log.close_gap(name, end=end, now=end)
        self.state = resume(self.state, self.mapping, unknown_since=start, opened=end)


def main(model: Path, sim: SimSettings, stopping: Callable[[], bool] = lambda: False) -> None:
    """All sources, or as much of them until `stopping`; the next run tells the rest."""
    settings = Settings.of()
    plant = load_plant(model)
    logs = {name: open_log(settings, site) for name, site in plant.sites.items()}
    end = sim.clock.now()
    console = Console(stderr=True, highlight=False)
    with Progress(console=console, transient=True) as progress:
        step = progress.add_task("history of the last days", total=len(SOURCES))
        total = 0
        for name in SOURCES:
            if stopping():
                break
            source = plant.sources[name]
            log = logs[source.site]
            fed = _heard_until(log, name)
            if fed is None or fed + MINUTE < end:
                story = Story(name, sim.seed, sim.start)
                told = _said(story.machines, sim, fed or sim.start, end)
                feeder = Feeder(plant, source, log, story, told)
                feeder.go_on()
                cut = BROKER if source.spec.kind == "mqtt" else name
                spans = _before(outages(cut, sim.seed, sim.start), end) if sim.faults else []
                for count in feeder.feed(spans, end, fed):
                    total += count
                    if stopping():
                        break
            progress.advance(step)
    for log in logs.values():
        log.close()
    console.print(f"[dim]──[/] {total:,} samples of history went through shape, log and ledger")


def _heard_until(log: SqliteLog, source: str) -> Micros | None:
    """Until when an earlier run has it: a crash leaves a last beat, an orderly end an open gap."""
    with log.view() as view:
        gaps = [gap.start for gap in view.running_gaps() if gap.source == source]
        return max(gaps, default=view.last_alive().get(source))


def _said(
    machines: Sequence[SimMachine], sim: SimSettings, start: Micros, end: Micros
) -> list[Said]:
    """What people said about stops from `start` on, the latest first."""
    told = [
        one
        for machine in machines
        for one in said(machine, sim.seed, sim.start, end)
        if one.recorded >= start
    ]
    return sorted(told, key=lambda one: one.recorded, reverse=True)


def _reasons(told: Sequence[Said]) -> Rows:
    """As the page would have recorded them."""
    columns = {
        "id": [f"{one.machine}@{one.start}" for one in told],
        "machine": [one.machine for one in told],
        "start": [one.start for one in told],
        "end": [one.end for one in told],
        "reason": [one.reason for one in told],
        "comment": [""] * len(told),
        "author": ["shift"] * len(told),
        "recorded": [one.recorded for one in told],
        "withdrawn": [False] * len(told),
        "_source": ["web"] * len(told),
        "_received": [one.recorded for one in told],
        "_samples": [0] * len(told),
        "_quality": [0] * len(told),
    }
    arrays = [pa.array(columns[field.name], field.type) for field in REASON_SCHEMA]
    return Rows("stop_reason", pa.table(arrays, schema=REASON_SCHEMA))


def _before(spans: Iterator[Outage], end: Micros) -> list[Outage]:
    found: list[Outage] = []
    for span in spans:
        if span[0] >= end:
            return found
        found.append(span)
    return found


if __name__ == "__main__":
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    main(Path(sys.argv[1]), SimSettings.load(Path(sys.argv[2])), told.is_set)
