"""Since when a source is there to be complete, without reading the counts of all years."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.base.clock import HOUR, SECOND
from isthmus.data.completeness import completeness
from isthmus.data.views import EVER, Window
from isthmus.flow.parcel import Count, Rows, Shaped
from isthmus.testing.small_company import T0, House, cycles, plant

_HOUR = T0 // HOUR * HOUR
_SOURCES = ("im07", "im08", "im09")
_SLOW = "SELECT source, max(site) AS site, epoch_us(min(hour)) AS hour FROM ledger GROUP BY source"


@settings(max_examples=20, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["right", "uncounted", "unstored", "written"]),
            st.sampled_from(_SOURCES),
            st.integers(-3, 5),
        ),
        max_size=8,
    ),
    window=st.tuples(st.integers(-6, 4), st.integers(5, 16)),
)
def test_a_source_is_there_from_the_hour_in_which_the_whole_ledger_has_it_first(
    steps: list[tuple[str, str, int]], window: tuple[int, int]
) -> None:
    start, end = (_HOUR + number * HOUR // 2 for number in window)
    with TemporaryDirectory() as folder, closing(House(Path(folder), plant())) as house:
        house.writer.verify()
        for step, source, hour in steps:
            _take(step, house, source, hour * 3600)
        found = completeness(house.lake.query, _SOURCES, start, end, now=end)
        expected = [
            (row["source"], row["site"], hour)
            for row in sorted(house.lake.query(_SLOW).to_pylist(), key=lambda row: row["source"])
            for hour in range(max(start // HOUR * HOUR, row["hour"]), end, HOUR)
        ]
        assert [(one.source, one.site, one.hour) for one in found.hours] == expected


def test_only_counts_of_the_window_are_read(house: House) -> None:
    house.add(0, 5)
    windows = []

    def query(
        sql: str, params: Mapping[str, object] | None = None, *, ledger: Window = EVER
    ) -> pa.Table:
        if "ledger_count" in house.lake.moment(sql).order:
            windows.append(ledger)
        return house.lake.query(sql, params, ledger=ledger)

    found = completeness(query, ["im07"], T0, T0 + HOUR, now=T0 + HOUR)
    assert found.total.received == 5
    assert windows == [(_HOUR, T0 + HOUR)]


def _take(step: str, house: House, source: str, at: int) -> None:
    rows = cycles(at, 2).table.set_column(4, "_source", pa.array([source] * 2))
    count = Count(source, "t1", (T0 + at * SECOND) // HOUR * HOUR, 2, good=2, shaped=2)
    match step:
        case "right":
            house.log.append(source, None, Shaped([Rows("cycle", rows)], counts=[count]), now=T0)
        case "uncounted":
            house.log.append(source, None, Shaped([Rows("cycle", rows)]), now=T0)
        case "unstored":
            house.log.append(source, None, Shaped(counts=[count]), now=T0)
        case _:
            house.writer.write_once()
