"""Any order of intake, commits, crashes, damage before sync, maintenance: a list says the truth."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from isthmus.data import delta
from isthmus.data.ledger import check
from isthmus.data.maintain import maintain
from isthmus.flow.contract import Full
from isthmus.testing.small_company import KEEP, T0, House, samples, shaped


class LogAndWriter(RuleBasedStateMachine):
    """`taken` are the rows whose append returned: exactly these must be seen, always."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.taken = 0
        self.free = 10**12

    @initialize()
    def begin(self) -> None:
        self.open()

    def open(self) -> None:
        self.house = House(self.root)
        self.house.log._free = lambda _: self.free
        assert [one for one in self.house.writer.verify() if one.severity == "error"] == []

    @rule(count=st.integers(1, 5))
    def take_in(self, count: int) -> None:
        if self.free < KEEP.free_mb * 1_000_000:
            return
        self.house.add(self.taken, count)
        self.taken += count

    @rule(count=st.integers(1, 3))
    def take_in_on_a_full_disk(self, count: int) -> None:
        """The append is refused whole: nothing of it may show."""
        self.house.log._keep = KEEP.model_copy(update={"free_mb": 500})
        self.free = 0
        try:
            self.house.log.append(
                "im07", samples(self.taken, count), shaped(self.taken, count), now=T0
            )
        except Full:
            pass
        else:
            raise AssertionError("a full disk took an append")
        self.free = 10**12

    @rule()
    def write(self) -> None:
        assert self.house.writer.write_once().problems == []

    @rule()
    def put_files_but_die_before_the_commit(self) -> None:
        """Files without a commit lie about; nobody reads them."""
        place = self.house.table / "_site=hamburg" / "_date=2026-11-17"
        place.mkdir(parents=True, exist_ok=True)
        (place / "part-orphan.parquet").write_bytes(b"PAR1")

    @rule()
    def restart(self) -> None:
        self.house.close()
        self.open()

    @precondition(lambda self: self.taken > 0)
    @rule()
    def die_between_commit_and_confirm(self) -> None:
        """The lake has the rows, the log was not told."""
        log = self.house.log
        told, log.confirm = log.confirm, lambda *_: None  # type: ignore[method-assign]
        self.house.writer.write_once()
        log.confirm = told  # type: ignore[method-assign]
        self.restart()

    @precondition(lambda self: self.house.log.last("rows") > self.house.log.confirmed("rows"))
    @rule(keep=st.floats(0, 0.9))
    def lose_power_between_commit_and_sync(self, keep: float) -> None:
        """The last commit is there in part only and neither mark nor log were told."""
        before = delta.synced_version(self.house.table)
        log = self.house.log
        told, log.confirm = log.confirm, lambda *_: None  # type: ignore[method-assign]
        self.house.writer.write_once()
        log.confirm = told  # type: ignore[method-assign]
        last = delta.open_table(self.house.table).version()
        if last > before:
            file = delta.commit_file(self.house.table, last)
            content = file.read_bytes()
            file.write_bytes(content[: int(len(content) * keep)])
            (self.house.table / "_synced").write_bytes(b"%020d\n" % before)
        self.restart()

    @rule()
    def maintain(self) -> None:
        maintain(self.house.table, many_files=2)

    @invariant()
    def exactly_what_was_taken_is_seen(self) -> None:
        if hasattr(self, "house"):
            assert self.house.numbers() == list(range(self.taken))
            assert check(self.house.lake) == []

    def teardown(self) -> None:
        if hasattr(self, "house"):
            self.house.close()
        shutil.rmtree(self.root)


TestLogAndWriter = LogAndWriter.TestCase
TestLogAndWriter.settings = settings(
    max_examples=8,
    stateful_step_count=14,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
