"""What every `Log` must do: subclass `LogContract` in a test file and give it a way to open one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest

from isthmus.base.clock import HOUR, SECOND
from isthmus.flow.contract import Full, Log, OvertakenError, Release
from isthmus.flow.parcel import Count, Quarantined, Rows, Shaped
from isthmus.model.spec.site import Keep
from isthmus.testing.small_company import T0, cycles, samples, shaped

Free = Callable[[Path], int]
PLENTY = 10**12


class LogContract(ABC):
    """`open_log` opens the log of site `hamburg` in a folder, again and again."""

    @abstractmethod
    def open_log(self, folder: Path, keep: Keep, free: Free) -> Log: ...

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "log"

    @pytest.fixture
    def log(self, folder: Path) -> Iterator[Log]:
        log = self.open_log(folder, Keep(free_mb=0), _plenty)
        yield log
        log.close()

    def again(self, log: Log, folder: Path) -> Log:
        log.close()
        return self.open_log(folder, Keep(free_mb=0), _plenty)

    def test_parcels_come_back_as_they_were_written(self, log: Log) -> None:
        position = log.append("im07", samples(0, 3), shaped(0, 3), now=T0)
        (raw,) = log.read("raw", 0)
        (rows,) = log.read("rows", 0)
        assert (raw.seq, raw.name, raw.site, raw.epoch) == (position, "im07", "hamburg", log.epoch)
        assert raw.table().equals(samples(0, 3))
        assert (rows.name, rows.table().equals(cycles(0, 3).table)) == ("cycle", True)

    def test_sequences_have_no_hole_and_reading_goes_on_after_one(self, log: Log) -> None:
        for number in range(5):
            log.append("im07", samples(number), shaped(number), now=T0)
        assert [parcel.seq for parcel in log.read("rows", 2)] == [3, 4, 5]
        assert [parcel.seq for parcel in log.read("rows", 0, limit=2)] == [1, 2]
        assert log.last("rows") == 5

    def test_nothing_to_write_takes_no_sequence(self, log: Log) -> None:
        assert log.append("im07", None, Shaped(), now=T0) == 0
        assert log.append("im07", samples(0, 0), Shaped(rows=[cycles(0, 0)]), now=T0) == 0
        assert log.append_rows([], now=T0) == 0
        assert (log.last("raw"), log.last("rows")) == (0, 0)

    def test_everything_is_there_after_opening_again(self, log: Log, folder: Path) -> None:
        log.append("im07", samples(0), shaped(0), now=T0)
        epoch = log.epoch
        found = self.again(log, folder)
        assert (found.epoch, found.last("raw"), found.last("rows")) == (epoch, 1, 1)
        assert found.state("im07") == b"0"
        assert found.counts(T0, T0 + HOUR) == shaped(0).counts
        found.close()

    def test_sequences_are_never_used_twice_even_when_all_is_trimmed(
        self, log: Log, folder: Path
    ) -> None:
        log.append("im07", samples(0), shaped(0), now=T0)
        log.confirm("rows", 1)
        log.trim("raw", 10)
        found = self.again(log, folder)
        assert (found.read("raw", 0), found.read("rows", 0)) == ([], [])
        assert found.append("im07", samples(1), shaped(1), now=T0) == 2
        found.close()

    def test_rows_that_are_not_confirmed_are_never_trimmed(self, log: Log) -> None:
        for number in range(4):
            log.append("im07", samples(number), shaped(number), now=T0)
        log.confirm("rows", 2)
        log.trim("rows", 100)
        assert [parcel.seq for parcel in log.read("rows", 0)] == [3, 4]
        assert log.confirmed("rows") == 2

    def test_counts_of_one_hour_and_tag_add_up(self, log: Log) -> None:
        for number in range(3):
            log.append("im07", samples(number), shaped(number), now=T0)
        (count,) = log.counts(T0, T0 + HOUR)
        assert (count.received, count.good, count.shaped) == (3, 3, 3)
        assert log.counts(T0 + HOUR, T0 + 2 * HOUR) == []

    def test_quarantined_values_are_kept_with_their_reason(self, log: Log) -> None:
        bad = Quarantined("im07", "t1", "m", "cycle", "good", T0, T0, "x" * 5000, "Q001", "why")
        log.append("im07", samples(0), Shaped(quarantined=[bad]), now=T0)
        (found,) = log.quarantined(T0, T0 + SECOND)
        assert (found.code, found.reason, found.value) == ("Q001", "why", "x" * 1000)

    def test_what_leaves_quarantine_does_so_once_with_its_rows_and_counts(self, log: Log) -> None:
        bad = Quarantined("im07", "t1", "m", "cycle", "good", T0, T0, "x", "Q001", "why")
        counted = [Count("im07", "t1", T0, received=1, good=1, quarantined=1)]
        log.append("im07", samples(0), Shaped(quarantined=[bad, bad], counts=counted), now=T0)
        moved = [Count("im07", "t1", T0, quarantined=-1, shaped=1)]
        release = Release([cycles(0)], moved, replayed=[1])
        log.release(release, now=T0)
        assert (len(log.quarantined(T0, T0 + SECOND)), log.last("rows")) == (1, 1)
        assert log.counts(T0, T0 + HOUR) == [Count("im07", "t1", T0, received=1, good=1, shaped=1)]
        with pytest.raises(OvertakenError, match="nothing was done"):
            log.release(Release([cycles(0)], moved, replayed=[2, 1]), now=T0)
        assert (len(log.quarantined(T0, T0 + SECOND)), log.last("rows")) == (1, 1)

    def test_raw_alone_is_kept_when_shaping_failed(self, log: Log) -> None:
        position = log.append_raw("im07", samples(0), "ValueError: no", now=T0)
        assert [parcel.seq for parcel in log.read("raw", 0)] == [position]
        assert (log.read("rows", 0), log.counts(0, T0 + HOUR)) == ([], [])

    def test_state_is_per_source_and_the_last_one_holds(self, log: Log) -> None:
        log.append("im07", samples(0), Shaped(state=b"a"), now=T0)
        log.append("im07", samples(1), Shaped(state=b"b"), now=T0)
        log.append("im07", samples(2), Shaped(), now=T0)
        assert (log.state("im07"), log.state("im08")) == (b"b", None)

    def test_position_is_kept_with_the_samples_it_comes_after(self, log: Log, folder: Path) -> None:
        assert log.position("im07") is None
        log.append("im07", samples(0), shaped(0), now=T0, position=b"a")
        log.append("im07", None, shaped(1), now=T0)
        log.append("im08", samples(2), shaped(2), now=T0, position=b"c")
        assert (log.position("im07"), log.position("im08")) == (b"a", b"c")
        log.append_raw("im07", samples(3), "ValueError: no", now=T0, position=b"d")
        found = self.again(log, folder)
        assert found.position("im07") == b"d"
        found.close()

    def test_a_full_disk_keeps_the_position_too(self, folder: Path) -> None:
        log = self.open_log(folder, Keep(free_mb=500), lambda _: 0)
        with pytest.raises(Full):
            log.append("im07", samples(1), shaped(1), now=T0, position=b"a")
        assert log.position("im07") is None
        log.close()

    def test_a_gap_opens_once_with_its_rows_and_closes(self, log: Log) -> None:
        gap = log.open_gap("im07", "lost", "no answer", start=T0, now=T0, rows=[cycles(0)])
        again = log.open_gap("im07", "lost", "still none", start=T0 + 9, now=T0 + 9)
        assert again == gap
        assert log.last("rows") == 1
        log.close_gap("im07", end=T0 + SECOND, now=T0 + SECOND)
        (found,) = log.gaps(T0, T0 + HOUR)
        assert (found.start, found.end, found.reason) == (T0, T0 + SECOND, "lost")

    def test_gaps_of_removed_sources_end_and_say_so(self, log: Log) -> None:
        log.open_gap("im07", "lost", "no answer", start=T0, now=T0)
        log.open_gap("im08", "stopped", "the platform was stopped", start=T0, now=T0)
        (gone,) = log.retire({"im07"}, now=T0 + HOUR)
        assert (gone.source, gone.end, gone.reason) == ("im08", T0 + HOUR, "removed")
        assert gone.detail.endswith("before: the platform was stopped")
        assert [(gap.source, gap.end) for gap in log.gaps(T0, 2 * T0)] == [
            ("im07", None), ("im08", T0 + HOUR),
        ]  # fmt: skip
        assert log.retire({"im07"}, now=T0 + 2 * HOUR) == []

    def test_gaps_are_found_by_the_time_they_cover(self, log: Log) -> None:
        log.open_gap("im07", "lost", "", start=T0, now=T0)
        log.close_gap("im07", end=T0 + HOUR, now=T0)
        log.open_gap("im08", "lost", "", start=T0 + 2 * HOUR, now=T0)
        inside = log.gaps(T0 + HOUR // 2, T0 + HOUR)
        later = log.gaps(T0 + 5 * HOUR, T0 + 6 * HOUR)
        assert [gap.source for gap in inside] == ["im07"]
        assert [gap.source for gap in later] == ["im08"]

    def test_after_a_stop_the_gap_starts_where_the_source_was_last_alive(
        self, log: Log, folder: Path
    ) -> None:
        log.alive(["im07", "im08"], T0)
        log.alive(["im07"], T0 + SECOND)
        log.open_gap("im08", "lost", "", start=T0 + SECOND, now=T0 + SECOND)
        found = self.again(log, folder)
        asked = []

        def unknown(source: str, at: int) -> list[Rows]:
            asked.append((source, at))
            return [cycles(0)]

        (gap,) = found.recover(T0 + HOUR, unknown)
        assert (gap.source, gap.start, gap.reason) == ("im07", T0 + SECOND, "stopped")
        assert (asked, found.last("rows")) == ([("im07", T0 + SECOND)], 1)
        assert found.recover(T0 + HOUR, unknown) == []
        found.close()

    def test_after_a_crash_unknown_comes_after_the_last_row(self, log: Log, folder: Path) -> None:
        log.alive(["im07"], T0)
        log.append("im07", samples(60), shaped(60), now=T0 + 50 * SECOND)  # a clock ahead of ours
        found = self.again(log, folder)
        (gap,) = found.recover(T0 + HOUR, lambda _source, _at: [])
        assert gap.start == T0 + 60 * SECOND + 1
        found.close()

    def test_a_full_disk_refuses_whole_appends_and_goes_on_by_itself(self, folder: Path) -> None:
        room = {"free": PLENTY}
        log = self.open_log(folder, Keep(free_mb=500), lambda _: room["free"])
        log.append("im07", samples(0), shaped(0), now=T0)
        room["free"] = 499_000_000
        with pytest.raises(Full, match="499 MB"):
            log.append("im07", samples(1), shaped(1), now=T0)
        log.open_gap("im07", "disk_full", "", start=T0, now=T0)  # the reserve is for this
        room["free"] = PLENTY
        log.append("im07", samples(2), shaped(2), now=T0)
        assert (log.last("raw"), log.last("rows")) == (2, 2)
        assert sum(count.received for count in log.counts(0, T0 + HOUR)) == 2
        log.close()

    def test_raw_is_forgotten_by_age(self, folder: Path) -> None:
        log = self.open_log(folder, Keep(age=60.0, free_mb=0), _plenty)
        for number in range(5):
            log.append("im07", samples(number), shaped(number), now=T0 + number * 30 * SECOND)
        assert [parcel.seq for parcel in log.read("raw", 0)] == [3, 4, 5]
        assert log.last("rows") == len(log.read("rows", 0)) == 5
        log.close()

    def test_raw_is_forgotten_by_size(self, folder: Path) -> None:
        log = self.open_log(folder, Keep(size_mb=10, free_mb=0), _plenty)
        text = cast("pa.Table", samples(0)).set_column(
            4, "text", pa.array(["".join(chr(33 + i * 7 % 90) for i in range(3_000_000))])
        )
        for number in range(12):
            log.append("im07", text, shaped(number), now=T0)
        kept = sum(len(parcel.payload) for parcel in log.read("raw", 0))
        assert kept <= 10_000_000
        assert log.read("raw", 0)[-1].seq == 12
        log.close()


def _plenty(_: Path) -> int:
    return PLENTY
