"""How far a device's clock is from ours, from the values that change."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.base.clock import SECOND
from isthmus.field.skew import Skew
from isthmus.flow.parcel import BAD
from isthmus.model.spec.site import SourceSpec
from isthmus.testing.one_source import T0, sample, samples


def source(**options: object) -> Skew:
    return Skew(SourceSpec.model_validate({"kind": "test", **options}))


def changes(
    offset: float, start: float = 0.0, seconds: int = 60, latency: float = 0.2, **options: int
) -> list[pa.Table]:
    """A value a second, told with the device's clock and `latency` later."""
    return [
        samples(
            sample("T", at, at + offset, received=at + latency, **options),
            sample("constant", 1, -7000 + offset, received=at + latency),
        )
        for at in range(int(start), int(start) + seconds)
    ]


def looked(skew: Skew, tables: list[pa.Table]) -> Skew:
    for table in tables:
        skew.look(table)
    return skew


@given(offset=st.floats(-7200, 7200), latency=st.floats(0.01, 2))
def test_the_offset_is_found_but_for_the_way(offset: float, latency: float) -> None:
    found = looked(source(), changes(offset, latency=latency)).offset

    assert found == pytest.approx(offset - latency, abs=1e-5)


def test_values_that_do_not_change_tell_nothing() -> None:
    skew = source()

    assert (
        looked(skew, [samples(sample("T", 1, -3600, received=at)) for at in range(60)]).offset
        is None
    )
    assert not skew.is_off


def test_bad_values_tell_nothing() -> None:
    assert looked(source(), changes(-100.0, quality=BAD)).offset is None


def test_what_was_kept_while_we_were_away_tells_nothing_by_itself() -> None:
    backlog = [samples(sample("T", at, at, received=5000 + at / 100)) for at in range(100)]

    assert looked(source(), backlog).offset is None
    assert looked(source(), [*backlog, *changes(0.0, start=5001)]).offset == pytest.approx(-0.2)


def test_a_table_or_a_folder_is_not_measured() -> None:
    skew = source()
    skew.live = False

    assert looked(skew, changes(-5000.0)).offset is None


def test_a_clock_that_is_set_right_is_right_again() -> None:
    skew = looked(source(), changes(120.0))
    assert skew.is_off

    looked(skew, changes(0.0, start=60, seconds=700))

    assert not skew.is_off


def test_times_are_the_devices_unless_the_model_says_otherwise() -> None:
    skew = looked(source(), changes(120.0))
    table = samples(sample("T", 1, 200))

    assert skew.corrected(table) is table


def test_corrected_times_are_ours_but_for_the_way() -> None:
    skew = looked(source(clock="corrected"), changes(120.0))

    found = skew.corrected(samples(sample("T", 1, 220, received=100.2)))

    assert _times(found) == pytest.approx([100.2])


def test_a_correction_does_not_wander() -> None:
    skew = looked(source(clock="corrected"), changes(120.0))
    held = skew.correction

    looked(skew, changes(123.0, start=60))

    assert skew.correction == held


def test_a_clock_inside_the_tolerance_is_not_corrected() -> None:
    skew = looked(source(clock="corrected", clock_tolerance=10.0), changes(7.0))

    assert skew.correction == 0


def test_a_device_without_a_clock_to_speak_of_gets_our_time() -> None:
    skew = source(clock="ours")

    found = skew.corrected(
        samples(sample("T", 1, -4000, received=10), sample("T", 2, 9999, received=11))
    )

    assert _times(found) == [10, 11]


def _times(table: pa.Table) -> list[float]:
    return [(at.timestamp() * SECOND - T0) / SECOND for at in table["device_time"].to_pylist()]
