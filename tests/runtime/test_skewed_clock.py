"""A device whose clock is off: said once, and corrected only where the model says so."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from isthmus.base.clock import SECOND
from isthmus.field import skew
from isthmus.flow.parcel import TIME
from isthmus.testing.line_device import ListeningConnector
from isthmus.testing.one_source import field as mapped
from isthmus.testing.one_source import plant

from .conftest import STATE, Running

OFF = 200 * 50 * SECOND
"""The clock under test runs fifty times as fast, and so do tolerances. In the past: a clock that is
ahead by minutes is not believed at all."""


class Behind(ListeningConnector):
    """Its device's clock is behind."""

    async def read(self) -> pa.Table | None:
        found = await super().read()
        if found is None:
            return None
        at = found.schema.get_field_index("device_time")
        times = pa.array([t - OFF for t in found["device_time"].cast(pa.int64()).to_pylist()])
        return found.set_column(at, found.schema.field(at), times.cast(TIME))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skew, "SETTLED", 0.5)


async def counting(running: Running, until: int) -> None:
    running.kind = Behind
    running.start()
    for good in range(101, until):
        seen = len(running.stored("part_count"))
        running.device.set("good", good)
        await running.until(lambda seen=seen: len(running.stored("part_count")) > seen)


async def test_a_clock_that_is_off_is_said_once_and_its_times_stay(running: Running) -> None:
    await counting(running, 120)
    await running.until(lambda: "skew" in running.said)

    assert running.said == ["connected", "skew"]
    [event] = [one for one in running.events if one.what == "skew"]
    assert "behind ours" in event.detail
    assert "clock: corrected" in event.detail
    assert event.connected
    assert [(one.what, one.detail) for one in event.wrong] == [("skew", event.detail)]


async def test_where_the_model_says_so_times_are_corrected_and_raw_is_not(running: Running) -> None:
    spec = running.source.spec.model_copy(update={"clock": "corrected"})
    running.source = replace(running.source, spec=spec)

    await counting(running, 120)

    last_raw = running.log.read("raw", 0, 10_000)[-1].table()["device_time"][-1].as_py()
    last_row = [
        parcel.table()["time"][-1].as_py()
        for parcel in running.log.read("rows", 0, 10_000)
        if parcel.name == "part_count"
    ][-1]
    moved = (last_row - last_raw).total_seconds()
    assert moved == pytest.approx(OFF / SECOND, abs=20 * 50)
    assert "its times are corrected" in next(e.detail for e in running.events if e.what == "skew")


HOUR_AHEAD = 3600 * SECOND


class Gateway(ListeningConnector):
    """One of the two machines behind it has a clock that is an hour ahead, until it is set."""

    off = True

    async def read(self) -> pa.Table | None:
        found = await super().read()
        if found is None:
            return None
        tags = found["tag"].to_pylist()
        times = found["device_time"].cast(pa.int64()).to_pylist()
        shifted = [
            time + (HOUR_AHEAD if tag == "b-state" and Gateway.off else 0)
            for tag, time in zip(tags, times, strict=True)
        ]
        place = found.schema.get_field_index("device_time")
        return found.set_column(place, found.schema.field(place), pa.array(shifted).cast(TIME))


async def test_one_clock_of_several_that_is_ahead_makes_its_machine_unknown_and_no_other(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gateway, "off", True)
    other = mapped(
        "b", "machine_state.state", "b-state", codes=(("3", "execute"), ("7", "aborted"))
    )
    running.source, running.plant = plant(STATE, other, spec=running.source.spec)
    running.device.values = {"state": 3.0, "b-state": 3.0}
    running.kind = Gateway

    def states(machine: str) -> list[Any]:
        return [r.get("state") for r in running.stored("machine_state") if r["machine"] == machine]

    running.start()
    await running.until(lambda: "clock" in running.said)
    running.device.set("state", 7)
    await running.until(lambda: states("a") == ["execute", "aborted"])
    assert states("b") == [None]
    assert running.said == ["connected", "clock"]
    event = running.events[-1]
    assert event.connected
    assert event.detail.startswith("`acme/hamburg/moulding/line-1/b`: its clock is")
    assert [one.what for one in event.wrong] == ["clock"]
    [gap] = running.gaps
    assert (gap.reason, gap.end) == ("clock", None)

    Gateway.off = False
    running.device.set("b-state", 7)
    await running.until(lambda: "back" in running.said)
    await running.until(lambda: states("a")[-1] == states("b")[-1] == "aborted")
    assert all(gap.end is not None for gap in running.gaps)
    assert running.said == ["connected", "clock", "back"]
    assert running.events[-1].wrong == ()
    assert "`acme/hamburg/moulding/line-1/b`: its clock is right again" in running.events[-1].detail
