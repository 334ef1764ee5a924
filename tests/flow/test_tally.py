"""Counts of many tags are summed up over the hour in one row; no reader ever sees less."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.base.clock import HOUR
from isthmus.flow import tally
from isthmus.flow.log import SqliteLog
from isthmus.flow.log_reader import LogReader
from isthmus.flow.parcel import Count, Counts, DamagedError, Shaped
from isthmus.testing.small_company import KEEP, T0

MANY = tally.FEW + 1


def opened(file: Path) -> SqliteLog:
    return SqliteLog(file, "hamburg", KEEP)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    with opened(tmp_path / "hamburg.sqlite") as log:
        yield log


def came(tags: int, each: int = 1, hour: int = T0, source: str = "im07") -> list[Count]:
    return [
        Count(source, f"t{number}", hour, received=each, good=each, shaped=each)
        for number in range(tags)
    ]


def append(log: SqliteLog, counts: list[Count]) -> None:
    log.append("im07", None, Shaped(counts=counts), now=T0)


def received(log: LogReader) -> dict[str, int]:
    return {count.tag: count.received for count in log.counts(0, 2 * T0)}


def since(log: LogReader) -> dict[str, int]:
    with log.view() as view:
        return view.counted_since()


def rows(log: LogReader, table: str) -> int:
    with closing(sqlite3.connect(log.file)) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_counts_of_many_tags_are_one_row_and_are_read_all_the_same(log: SqliteLog) -> None:
    append(log, came(MANY))
    append(log, came(MANY, each=2))
    assert (rows(log, "count"), rows(log, "sums")) == (0, 1)
    assert log.counts(0, 2 * T0) == sorted(came(MANY, each=3), key=lambda count: count.tag)


def test_tags_may_come_in_any_order_and_not_all_of_them(log: SqliteLog) -> None:
    append(log, came(MANY))
    append(log, came(MANY + 1)[::-1])
    append(log, came(MANY + 2)[2:])
    found = received(log)
    assert [found[f"t{n}"] for n in (0, 1, 2, MANY, MANY + 1)] == [2, 2, 3, 2, 1]
    assert rows(log, "sums") == 1


def test_counts_of_few_tags_are_added_at_once(log: SqliteLog) -> None:
    append(log, came(MANY))
    append(log, came(2))
    assert (rows(log, "count"), rows(log, "sums")) == (2, 1)
    assert received(log) == {f"t{n}": 2 if n < 2 else 1 for n in range(MANY)}


def test_every_source_has_a_row_of_its_own(log: SqliteLog) -> None:
    append(log, came(MANY))
    log.append("im08", None, Shaped(counts=came(MANY, source="im08")), now=T0)
    assert rows(log, "sums") == 2
    assert len(log.counts(0, 2 * T0)) == 2 * MANY


def test_the_next_hour_adds_up_the_one_before(log: SqliteLog) -> None:
    append(log, came(MANY))
    append(log, came(MANY, hour=T0 + HOUR))
    assert (rows(log, "count"), rows(log, "sums")) == (2 * MANY, 0)
    append(log, came(MANY, hour=T0 + HOUR))
    assert (rows(log, "count"), rows(log, "sums")) == (2 * MANY, 1)
    assert {one.received for one in log.counts(T0 + HOUR, 2 * T0)} == {2}


@pytest.mark.parametrize("hour", [T0, T0 + HOUR])
def test_an_append_that_fails_counts_nothing(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch, hour: int
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    append(log, came(MANY))
    with monkeypatch.context() as patch:
        patch.setattr(log, "_forget", full)
        with pytest.raises(sqlite3.OperationalError):
            append(log, came(MANY, hour=hour))
    assert (rows(log, "count"), rows(log, "sums")) == (0, 1)
    assert set(received(log).values()) == {1}


def test_nothing_waits_in_a_log_that_was_closed(tmp_path: Path) -> None:
    """Then an earlier version may open it."""
    with opened(tmp_path / "hamburg.sqlite") as log:
        append(log, came(MANY))
    assert (rows(log, "count"), rows(log, "sums")) == (MANY, 0)


def test_what_waits_in_a_log_that_nobody_closed_is_not_forgotten(tmp_path: Path) -> None:
    log = opened(tmp_path / "hamburg.sqlite")
    append(log, came(MANY))
    log._only.close()  # as the kernel does for a process that was killed
    with opened(log.file) as found:
        append(found, came(MANY))
        assert set(received(found).values()) == {2}


def test_a_log_of_an_earlier_version_is_read_before_anybody_has_opened_it(tmp_path: Path) -> None:
    with opened(tmp_path / "hamburg.sqlite") as log:
        append(log, came(2))
    with closing(sqlite3.connect(log.file)) as db:
        db.executescript("DROP TABLE sums; DROP TABLE since; DROP TRIGGER since_when")
    with LogReader(log.file) as found:
        assert received(found) == {"t0": 1, "t1": 1}
        assert since(found) == {"im07": T0}
    with opened(log.file) as mended:
        append(mended, came(2, hour=T0 - HOUR))
        assert since(mended) == {"im07": T0 - HOUR}


def test_since_when_a_source_is_counted_is_known_of_what_an_earlier_version_adds(
    tmp_path: Path,
) -> None:
    """It opens the log of a newer one that was closed, and knows of no table but `count`."""
    with opened(tmp_path / "hamburg.sqlite") as log:
        append(log, came(2))
    rows_of_it = tally.rows(Counts.of([*came(1, source="im08"), *came(1, hour=T0 - HOUR)]).table)
    with closing(sqlite3.connect(log.file)) as db:
        db.executemany(f"INSERT INTO count VALUES ({', '.join('?' * 12)})", [
            (hour, source, tag, *counted) for source, tag, hour, *counted in rows_of_it
        ])  # fmt: skip
        db.commit()
    with opened(log.file) as found:
        assert since(found) == {"im07": T0 - HOUR, "im08": T0}


def test_damaged_counts_are_named_and_not_read_over(log: SqliteLog) -> None:
    append(log, came(MANY))
    with closing(sqlite3.connect(log.file)) as db:
        db.execute("UPDATE sums SET payload = zeroblob(length(payload))")
        db.commit()
    with pytest.raises(DamagedError, match="counts of `im07`"):
        log.counts(0, 2 * T0)


NUMBERS = st.integers(-3, 9)
COUNTS = st.builds(
    Count, st.sampled_from(["im07", "im08"]), st.sampled_from(["a", "b", "c"]),
    st.sampled_from([T0, T0 + HOUR]), NUMBERS, NUMBERS, shaped=NUMBERS, thinned=NUMBERS,
)  # fmt: skip


@settings(deadline=None, max_examples=40)  # an example syncs a file now and then
@given(
    st.lists(st.lists(COUNTS, max_size=4, unique_by=lambda c: (c.source, c.tag, c.hour))),
    st.integers(0, 3),
)  # fmt: skip
def test_readers_see_the_sum_however_it_is_stored(parcels: list[list[Count]], few: int) -> None:
    sums: Counter[tuple[str, str, int, str]] = Counter()
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tally, "FEW", few)
        with opened(Path(folder, "hamburg.sqlite")) as log:
            for counts in parcels:
                append(log, counts)
                for one in counts:
                    for name in ("received", "good", "shaped", "thinned"):
                        sums[one.source, one.tag, one.hour, name] += getattr(one, name)
            found = log.counts(0, 2 * T0)
            later = log.counts(T0 + HOUR, 2 * T0)
            first = since(log)
    assert [one for one in found if one.hour > T0] == later
    assert first == {one.source: one.hour for one in sorted(found, key=lambda one: -one.hour)}
    assert found == sorted(found, key=lambda one: (one.hour, one.source, one.tag))
    assert sums == {
        (one.source, one.tag, one.hour, name): getattr(one, name)
        for one in found
        for name in ("received", "good", "shaped", "thinned")
    }


def test_counts_are_looked_at_one_by_one_or_in_columns() -> None:
    counts = Counts.of(came(3))
    assert [*counts] == came(3)
    assert counts[1:] == came(3)[1:]
    assert counts[-1] == came(3)[2]
    assert counts.table["received"].to_pylist() == [1, 1, 1]
    assert [*Counts.of([])] == []
