"""Whatever a source and its clock went through: a replay of RAW gives the rows that were written.

Intake is driven as the runner drives it, by a clock that stands still until the test moves it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.base.clock import SECOND, Micros
from isthmus.field.note import Note, note_of, noted
from isthmus.field.shape import Mapping
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import SAMPLES_SCHEMA
from isthmus.model.plant import FieldMap
from isthmus.model.spec.machine_type import Counter
from isthmus.model.spec.site import Keep, SourceSpec
from isthmus.runtime.intake import Intake
from isthmus.runtime.release import plan
from isthmus.runtime.replay import replay
from isthmus.testing.one_source import T0, plant, readable
from isthmus.testing.one_source import field as mapped

STATE = mapped("a", "machine_state.state", "state", codes=(("3", "execute"), ("7", "aborted")))
MORE = replace(STATE, codes=(("3", "execute"), ("7", "aborted"), ("9", "held")))
GOOD = mapped("a", "part_count.good", "good", counter=Counter())
LATENCY = SECOND // 5

Clocked = Literal["device", "ours", "corrected"]
Rows = list[tuple[str, dict[str, Any]]]


@dataclass
class Line:
    """A machine, its clock, and intake; `speed` of plant time is 1."""

    folder: Path
    clocked: Clocked = "corrected"
    at: Micros = T0
    ahead: float = 0.0
    """Seconds that the machine's clock is off."""
    drift: float = 0.0
    """By how much it is so more with every second."""
    parts: int = 100
    state: int = 3
    since: Micros | None = None
    told: int = 0
    maps: tuple[FieldMap, ...] = (STATE, GOOD)
    speed: float = 1.0
    log: SqliteLog = field(init=False)

    def __post_init__(self) -> None:
        self.log = SqliteLog(self.folder / "hamburg.sqlite", "hamburg", Keep())
        self.start()

    def start(self) -> None:
        spec = SourceSpec(kind="test", clock=self.clocked, clock_tolerance=5.0)
        self.source, self.plant = plant(*self.maps, spec=spec)
        self.intake = Intake(self.source, self.plant, self.log, self)
        self.since = self.intake.open_since()

    def now(self) -> Micros:
        return self.at

    # What happens ---------------------------------------------------------------------------------

    def passes(self, seconds: float) -> None:
        self.at += round(seconds * SECOND)
        self.ahead += self.drift * seconds

    def works(self, seconds: int) -> None:
        """A part a second, told at once; the state changes now and then. Parcels of ten seconds."""
        while seconds > 0:
            parcel = []
            for _ in range(min(seconds, 10)):
                self.passes(1.0)
                self.parts += 1
                if self.parts % 7 == 0:
                    self.state = {3: 7, 7: 9, 9: 3}[self.state]
                parcel.append(self.present())
            self.tells(pa.concat_tables(parcel))
            seconds -= 10

    def tells(self, samples: pa.Table) -> None:
        self.intake.take(samples)

    def present(self) -> pa.Table:
        at = self.at - LATENCY + round(self.ahead * SECOND)
        return told(("good", at, self.at, self.parts), ("state", at, self.at, self.state))

    def is_lost(self) -> None:
        if self.since is None:
            self.since = self.intake.lost("lost", "cable", self.at).start

    def is_back(self, *, filled: Literal["no", "partly", "whole"]) -> None:
        """As the runner does it: history first, then what holds now, then the gap ends."""
        if self.since is None:
            return
        if filled != "no":
            self.intake.opened(self.since, self.since)
            tags = ("good", "state") if filled == "whole" else ("good",)
            began, gone = self.since, (self.at - self.since) // 4
            for number in range(4):
                self.parts += 2
                at = began + number * gone + round(self.ahead * SECOND)
                values = {"good": self.parts, "state": self.state}
                self.tells(told(*((tag, at, self.at, values[tag]) for tag in tags)))
        opened = self.at
        self.intake.opened(self.since, opened)
        self.passes(0.5)
        self.tells(self.present())
        self.intake.back(self.since if filled == "whole" else opened)
        self.intake.skew.forget()
        self.since = None

    def is_killed(self) -> None:
        """In the middle of a gap, or of work; what was not said is found when it starts again."""
        self.log.close()
        self.log = SqliteLog(self.folder / "hamburg.sqlite", "hamburg", Keep())
        self.log.recover(self.at, lambda _source, _at: ())
        self.passes(3.0)
        self.start()
        if self.since is None:
            self.since = self.intake.lost("stopped", "killed", self.at).start

    # What came of it ------------------------------------------------------------------------------

    def stored(self) -> Rows:
        return [
            (parcel.name, readable(row))
            for parcel in self.log.read("rows", 0, 100_000)
            for row in parcel.table().to_pylist()
            if row["_samples"]  # the others say `unknown`, and stand in the log by themselves
        ]

    def replayed(self) -> Rows:
        mapping = Mapping.of(self.source, self.plant)
        return [
            (rows.name, readable(row))
            for shaped in replay(self.log, mapping, 0, 2**62)
            for rows in shaped.rows
            for row in rows.table.to_pylist()
            if row["_samples"]
        ]


def told(*values: tuple[str, Micros, Micros, float]) -> pa.Table:
    rows = [
        {"tag": tag, "device_time": at, "received_time": received, "number": float(number),
         "text": None, "quality": 0}
        for tag, at, received, number in values
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, SAMPLES_SCHEMA)


@contextmanager
def line(**options: Any) -> Iterator[Line]:
    with TemporaryDirectory() as folder:
        made = Line(Path(folder), **options)
        try:
            yield made
        finally:
            made.log.close()


STEPS = st.one_of(
    st.tuples(st.just("works"), st.sampled_from([3, 20, 45])),
    st.tuples(st.just("lost"), st.sampled_from([2, 30, 400])),
    st.tuples(st.sampled_from(["no", "partly", "whole"]), st.just(0)),
    st.tuples(st.just("killed"), st.just(0)),
    st.tuples(st.just("set"), st.sampled_from([-400, 0, 30, 200])),
)


@settings(max_examples=30, deadline=None)
@given(
    clocked=st.sampled_from(["device", "ours", "corrected"]),
    drift=st.sampled_from([0.0, 0.2, -0.3, 1.0]),
    steps=st.lists(STEPS, min_size=2, max_size=12),
)
def test_the_same_raw_gives_the_same_rows_whatever_the_clock_did(
    clocked: Clocked, drift: float, steps: list[tuple[str, int]]
) -> None:
    with line(clocked=clocked, drift=drift) as machine:
        machine.works(5)
        for what, number in steps:
            match what:
                case "works":
                    machine.is_back(filled="no")
                    machine.works(number)
                case "lost":
                    machine.is_lost()
                    machine.passes(number)
                case "killed":
                    machine.is_killed()
                case "set":
                    machine.ahead = float(number)
                case "no" | "partly" | "whole":
                    machine.is_back(filled=what)
        assert machine.replayed() == machine.stored()


def test_a_correction_that_was_found_on_the_way_is_that_of_each_parcel() -> None:
    with line(drift=0.2) as machine:
        machine.works(200)
        raw = [parcel.table() for parcel in machine.log.read("raw", 0, 10_000)]
        corrections = list(dict.fromkeys(note_of(one).correction for one in raw))
        assert corrections[0] == 0
        assert len(corrections) > 2, "the clock drifts by more than the tolerance again and again"
        assert machine.replayed() == machine.stored()


@pytest.mark.parametrize("clocked", ["ours", "corrected"])
def test_what_leaves_quarantine_has_the_time_that_was_corrected_when_it_came(
    clocked: Clocked,
) -> None:
    with line(clocked=clocked, ahead=120.0) as machine:
        machine.works(60)
        refused = machine.log.quarantined(0, 2**62)
        assert {entry.code for entry in refused} == {"Q012"}
        source, whole = plant(MORE, GOOD, spec=machine.source.spec)
        planned = plan(machine.log, source, whole, 0, 2**62)
        assert not planned.stays
        assert planned.released.samples == len(refused)
        times = [
            row["time"]
            for rows in planned.released.rows
            for row in map(readable, rows.table.to_pylist())
        ]
        expected = [(entry.device_time - T0) / SECOND for entry in refused]
        assert sorted(times) == pytest.approx(sorted(expected), abs=1e-6)


@given(
    st.builds(
        Note, st.booleans(), st.integers(-(2**52), 2**52),
        st.lists(st.tuples(st.integers(0, 2**52), st.integers(0, 2**52)), max_size=3).map(tuple),
    )
)  # fmt: skip
def test_a_note_is_read_as_it_was_written_and_changes_no_sample(note: Note) -> None:
    samples = told(("good", T0, T0, 1))
    kept = noted(samples, note)
    assert note_of(kept) == note
    assert kept.equals(samples)
