"""The source runner: lost once, back once, nothing lost in between, whatever fails."""

import asyncio
import threading
import time
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from isthmus.base.clock import SECOND
from isthmus.field.connector import Missed
from isthmus.flow.parcel import Shaped
from isthmus.model.spec.machine_type import PulseRule
from isthmus.runtime import sources
from isthmus.runtime.heartbeat import Heartbeat
from isthmus.testing.line_device import ListeningConnector, PollingConnector
from isthmus.testing.one_source import field as mapped
from isthmus.testing.one_source import plant

from .conftest import GOOD, Running


async def connected(running: Running) -> None:
    running.start()
    await running.until(lambda: len(running.stored("part_count")) >= 1)


async def test_values_reach_the_log_and_the_live_page(running: Running) -> None:
    await connected(running)
    running.device.set("good", 103)
    await running.until(lambda: running.parts() == 3)
    assert running.states() == ["execute"]

    def live() -> list[int | None]:
        return [row.get("good") for row in running.live if row["block"] == "part_count"]

    await running.until(lambda: live() == [0, 3])


async def test_a_new_connector_goes_on_where_the_log_ends(running: Running) -> None:
    resumed: list[bytes] = []

    class Placed(ListeningConnector):
        place = 0

        def resume(self, position: bytes) -> None:
            resumed.append(position)
            self.place = int(position)

        async def read(self) -> pa.Table | None:
            found = await super().read()
            self.place += found.num_rows if found is not None else 0
            return found

        def position(self) -> bytes | None:
            return str(self.place).encode()

    running.kind = Placed
    await connected(running)
    assert running.log.position("im") == b"2"
    await running.device.off()
    await running.until(lambda: "lost" in running.said)
    await running.device.on()
    await running.until(lambda: running.log.position("im") == b"4")
    assert set(resumed) == {b"2"}


async def test_what_a_connector_knows_is_handed_on_to_the_next(running: Running) -> None:
    class Knowing(ListeningConnector):
        async def open(self) -> None:
            self.memory = (self.memory or 0) + 1
            await super().open()

    running.kind = Knowing
    await connected(running)
    await running.device.off()
    await running.until(lambda: "lost" in running.said)
    await running.device.on()
    await running.until(lambda: "back" in running.said)
    assert [one.memory for one in running.connectors] == [*range(1, len(running.connectors) + 1)]


async def test_raw_is_kept_as_it_came(running: Running) -> None:
    await connected(running)
    [parcel] = running.log.read("raw", 0)
    assert sorted(parcel.table()["tag"].to_pylist()) == ["good", "state"]


async def test_the_source_is_acknowledged_after_the_log_has_it(running: Running) -> None:
    await connected(running)
    await running.until(lambda: running.device.acknowledged == 1)
    running.device.set("good", 101)
    await running.until(lambda: running.device.acknowledged == 2)
    assert running.parts() == 1


async def test_a_source_that_was_never_lost_says_connected_once(running: Running) -> None:
    await connected(running)
    running.device.set("good", 101)
    await running.until(lambda: running.parts() == 1)
    assert running.said == ["connected"]
    assert running.gaps == []


async def test_lost_is_said_once_with_the_reason_and_the_next_step(running: Running) -> None:
    await connected(running)
    await running.device.off()
    await running.until(lambda: len(running.connectors) > 3)
    assert running.said == ["connected", "lost"]
    lost = running.events[-1]
    assert not lost.connected
    assert "Is it on and on this network? `isthmus probe im` tries now." in lost.detail


async def test_a_lost_source_makes_its_machines_unknown_at_once(running: Running) -> None:
    await connected(running)
    await running.device.off()
    await running.until(lambda: "lost" in running.said)
    assert running.states() == ["execute", None]
    assert [row["_quality"] for row in running.stored("part_count")] == [0, 2]
    assert running.live[-1]["_quality"] == 2
    [gap] = running.gaps
    assert (gap.source, gap.reason, gap.end) == ("im", "lost", None)


async def test_back_is_said_once_and_the_gap_ends(running: Running) -> None:
    await connected(running)
    await running.device.off()
    await running.until(lambda: "lost" in running.said)
    running.device.values["good"] = 107
    await running.device.on()
    await running.until(lambda: running.parts() == 7)
    assert running.said == ["connected", "lost", "back"]
    [gap] = running.gaps
    assert gap.end is not None
    assert gap.end >= gap.start
    assert running.states() == ["execute", None, "execute"]
    times = [row["time"] for row in running.stored("machine_state")]
    assert times == sorted(times)


async def test_there_is_never_more_than_one_session(running: Running) -> None:
    await connected(running)
    for _ in range(3):
        await running.device.off()
        await running.device.on()
        sessions = len(running.connectors)
        await running.until(lambda sessions=sessions: len(running.connectors) > sessions)
        await running.until(lambda: running.device.clients == 1)
    assert running.device.most_clients == 1


async def test_a_source_that_refuses_is_asked_rarely(running: Running) -> None:
    running.device.refuses = True
    running.start()
    await running.until(lambda: "refused" in running.said)
    assert running.said == ["refused"]
    assert "Trying again alone will not help" in running.events[0].detail
    running.device.refuses = False
    await running.until(lambda: running.said == ["refused", "back"])


async def test_a_source_that_is_off_at_the_start_is_unknown_from_then_on(running: Running) -> None:
    await running.device.off()
    running.start()
    await running.until(lambda: "lost" in running.said)
    assert running.states() == [None]
    await running.device.on()
    await running.until(lambda: running.states() == [None, "execute"])


async def test_a_connector_that_hangs_is_left_in_time(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(ListeningConnector):
        async def read(self) -> pa.Table | None:
            if running.device.silent:
                await asyncio.Event().wait()
            return await super().read()

    monkeypatch.setattr(sources, "READ_SECONDS", 0.2)
    running.kind = Hanging
    await connected(running)
    running.device.silent = True
    await running.until(lambda: "lost" in running.said)
    assert "while reading" in running.events[-1].detail
    running.device.silent = False
    await running.until(lambda: "back" in running.said)


async def test_a_fault_of_a_connector_is_named_and_tried_again(running: Running) -> None:
    class Broken(ListeningConnector):
        async def open(self) -> None:
            if len(running.connectors) == 1:
                raise ZeroDivisionError("a bug")
            await super().open()

    running.kind = Broken
    running.start()
    await running.until(lambda: "back" in running.said)
    assert running.said == ["fault", "back"]
    assert "ZeroDivisionError while opening it: a bug." in running.events[0].detail


async def test_what_the_source_itself_missed_is_a_gap(running: Running) -> None:
    await connected(running)
    now = running.clock.now()
    running.connectors[-1].overflow = Missed(now - 2 * SECOND, now - SECOND, "queue overflow")
    await running.until(lambda: "missed" in running.said)
    [gap] = running.gaps
    assert (gap.reason, gap.start, gap.end) == ("sequence", now - 2 * SECOND, now - SECOND)
    assert running.events[-1].connected


async def test_a_full_disk_stops_intake_and_loses_nothing(running: Running) -> None:
    await connected(running)
    await running.until(lambda: running.device.acknowledged == 1)
    running.free = 0
    running.device.set("good", 105)
    await running.until(lambda: "disk_full" in running.said)
    running.device.set("good", 109)
    assert running.device.acknowledged == 1
    assert running.parts() == 0
    running.free = 10**12
    await running.until(lambda: running.parts() == 9)
    assert running.said == ["connected", "disk_full", "room"]
    assert [gap.reason for gap in running.gaps] == ["delayed"]
    assert running.gaps[0].end is not None


async def test_a_polled_source_is_unknown_while_the_disk_was_full(running: Running) -> None:
    running.kind = PollingConnector
    await connected(running)
    running.free = 0
    running.device.set("good", 105)
    await running.until(lambda: "disk_full" in running.said)
    running.free = 10**12
    await running.until(lambda: running.states() == ["execute", None, "execute"])
    await running.until(lambda: all(gap.end is not None for gap in running.gaps))
    assert [gap.reason for gap in running.gaps] == ["disk_full"]
    assert running.parts() == 5


async def test_samples_that_cannot_be_shaped_are_kept_raw(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connected(running)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such column")

    with monkeypatch.context() as patch:
        patch.setattr("isthmus.runtime.intake.shape", broken)
        running.device.set("good", 101)
        await running.until(lambda: running.log.last("raw") == 2)
        running.device.set("good", 102)
        await running.until(lambda: running.log.last("raw") == 3)
    await running.until(lambda: running.device.acknowledged == 3)
    assert running.said == ["connected", "shape_failed"]
    assert "no such column" in running.events[-1].detail
    running.device.set("good", 104)
    await running.until(lambda: running.parts() == 4)


async def test_state_of_a_newer_version_stops_shaping_but_not_intake(running: Running) -> None:
    state = b'{"version": 99}'
    running.log.append("im", None, Shaped(state=state), now=running.clock.now())
    running.start()
    await running.until(lambda: "shape_failed" in running.said)
    assert "has version 99, this Isthmus reads 1" in running.events[-1].detail
    running.device.set("good", 105)
    await running.until(lambda: running.log.last("raw") == 2)
    assert [failure.samples for failure in running.log.failures()] == [2, 1]
    assert running.log.state("im") == state


async def test_a_poll_is_no_faster_than_its_interval(running: Running) -> None:
    running.kind = PollingConnector
    spec = running.source.spec.model_copy(update={"interval": 2.5})  # 50 ms of wall time
    running.source = replace(running.source, spec=spec)
    await connected(running)
    asked, began = running.device.asked, time.monotonic()
    await running.until(lambda: running.device.asked >= asked + 10)
    assert time.monotonic() - began >= 0.4


async def test_what_was_polled_before_the_link_broke_is_kept(running: Running) -> None:
    running.kind = PollingConnector
    await connected(running)
    running.device.set("good", 105)
    asked = running.device.asked
    await running.until(lambda: running.device.asked > asked + 1)
    await running.device.off()
    await running.until(lambda: "lost" in running.said)
    assert running.parts() == 5


async def test_a_poll_that_takes_too_long_is_never_overlapped(running: Running) -> None:
    class Slow(PollingConnector):
        reading = 0

        async def read(self) -> pa.Table | None:
            assert not self.reading
            self.reading += 1
            await asyncio.sleep(0.05)  # two and a half intervals of wall time
            found = await super().read()
            self.reading -= 1
            return found

    running.kind = Slow
    await connected(running)
    asked = running.device.asked
    await running.until(lambda: running.device.asked >= asked + 5)
    assert running.said == ["connected"]


async def test_many_changes_share_few_parcels(running: Running) -> None:
    await connected(running)
    for value in range(101, 201):
        running.device.set("good", value)
        await asyncio.sleep(0.005)
    await running.until(lambda: running.parts() == 100)
    assert running.log.last("raw") < 10


async def test_the_log_knows_when_the_source_was_alive(running: Running) -> None:
    running.start()

    def alive() -> dict[str, int]:
        with running.log.view() as view:
            return view.last_alive()

    await running.until(lambda: "im" in alive())
    first = alive()["im"]
    await running.until(lambda: alive()["im"] > first)
    assert alive()["im"] <= running.clock.now()


async def test_a_log_that_takes_no_heartbeat_ends_the_runner_loudly(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the log is damaged")

    monkeypatch.setattr(running.log, "alive", broken)
    running.start()
    assert running.task is not None
    await asyncio.wait([running.task], timeout=10)
    with pytest.raises(RuntimeError, match="the log is damaged"):
        running.task.result()
    assert running.said[-1] == "stopped"


async def test_sources_of_one_log_share_one_heartbeat(running: Running) -> None:
    heartbeat = Heartbeat(running.log)
    now = running.clock.now()
    heartbeat.heard("im", now)
    heartbeat.heard("press", now - SECOND)

    def alive() -> dict[str, int]:
        with running.log.view() as view:
            return view.last_alive()

    await running.until(lambda: alive() == {"im": now - SECOND, "press": now - SECOND})
    await heartbeat.close()


async def test_a_clean_stop_is_quick_and_leaves_a_named_gap(running: Running) -> None:
    await connected(running)
    before = time.monotonic()
    await running.stop()
    assert time.monotonic() - before < 5
    assert running.said == ["connected", "stopped"]
    [gap] = running.gaps
    assert (gap.reason, gap.end) == ("stopped", None)
    assert running.states() == ["execute", None]
    with running.log.view() as view:
        assert view.last_alive() == {}


async def test_after_a_restart_the_gap_ends_and_parts_made_meanwhile_count(
    running: Running,
) -> None:
    await connected(running)
    await running.stop()
    running.device.values["good"] = 142
    running.start()
    await running.until(lambda: running.parts() == 42)
    assert [gap.end is not None for gap in running.gaps] == [True]
    assert running.states() == ["execute", None, "execute"]


async def test_a_stop_while_the_disk_is_full_ends_in_time(running: Running) -> None:
    await connected(running)
    running.free = 0
    running.device.set("good", 105)
    await running.until(lambda: "disk_full" in running.said)
    await running.stop()
    assert running.device.acknowledged == 1


async def test_a_machine_that_only_counts_stands_after_silence(running: Running) -> None:
    rule = PulseRule(pulses="part_count.good", running="execute", standing="stopped", after=30.0)
    derived = mapped("a", "machine_state.state", None, rule=rule)
    running.source, running.plant = plant(GOOD, derived, spec=running.source.spec)
    running.device.values = {"good": 100.0}
    await connected(running)
    running.device.set("good", 101)
    await running.until(lambda: running.states() == ["execute", "stopped"])
    await running.until(lambda: running.live[-1].get("state") == "stopped")


async def test_times_of_unknown_rows_come_after_a_device_clock_that_is_ahead(
    running: Running,
) -> None:
    class Ahead(ListeningConnector):
        async def read(self) -> pa.Table | None:
            table = await super().read()
            if table is None:
                return None
            ahead = pa.array(
                [self.clock.now() + 120 * SECOND] * len(table), table["device_time"].type
            )
            return table.set_column(1, table.schema.field(1), ahead)

    running.kind = Ahead
    await connected(running)
    await running.device.off()
    await running.until(lambda: "lost" in running.said)
    known, unknown = (row["time"] for row in running.stored("machine_state"))
    assert unknown > known


async def test_the_loop_is_not_blocked_while_the_log_syncs(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, begun, released = running.log.append, threading.Event(), threading.Event()

    def slow(*args: Any, **options: Any) -> int:
        begun.set()
        assert released.wait(5), "the loop stood still while the log was writing"
        return append(*args, **options)

    monkeypatch.setattr(running.log, "append", slow)
    running.start()
    await running.until(begun.is_set)
    released.set()
    await running.until(lambda: len(running.stored("part_count")) == 1)
