from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from isthmus.base.clock import HOUR, MINUTE, parse_time, to_datetime
from isthmus.provision.system import Refused, Unreachable
from isthmus.provision.systems.sql import SqlSpec, SqlSystem

BERLIN = ZoneInfo("Europe/Berlin")
START = parse_time("2026-11-17T08:00:00Z")
META = sa.MetaData()
fauf = sa.Table(
    "fauf", META,
    sa.Column("NR", sa.String, primary_key=True),
    sa.Column("matnr", sa.String), sa.Column("menge", sa.Numeric(12, 3)),
    sa.Column("geaendert", sa.DateTime),
)  # fmt: skip
ORDERS = {
    "table": "fauf",
    "columns": {"key": "NR", "material": "matnr", "quantity": "menge"},
    "changed": "geaendert",
}


class Erp:
    """The ERP's side: its database, what happens in it, and our system that reads it."""

    def __init__(self, engine, tmp_path, **orders):
        self.engine = engine
        self.now = START
        META.create_all(engine)
        spec = {
            "url": engine.url.render_as_string(hide_password=False), "timeout": "5 s",
            "entities": {"production_order": ORDERS | orders},
        }  # fmt: skip
        clock = SimpleNamespace(now=lambda: self.now, speed=1)
        self.system = SqlSystem("erp", SqlSpec.model_validate(spec), BERLIN, tmp_path, clock)
        self.since = ""

    def book(self, number, quantity, *, changed=None):
        wall = to_datetime(changed or self.now).astimezone(BERLIN).replace(tzinfo=None)
        values = {"NR": number, "matnr": "M1", "menge": quantity, "geaendert": wall}
        with self.engine.begin() as connection:
            connection.execute(sa.delete(fauf).where(number == fauf.c.NR))
            connection.execute(sa.insert(fauf).values(**values))

    def delete(self, number):
        with self.engine.begin() as connection:
            connection.execute(sa.delete(fauf).where(number == fauf.c.NR))

    def pull(self, after=MINUTE):
        self.now += after
        changes = self.system.pull("production_order", self.since)
        self.since = changes.bookmark
        (delivery,) = changes.deliveries
        return delivery

    def pulled(self, after=MINUTE):
        return sorted(record.values["NR"] for record in self.pull(after).records)


@pytest.fixture
def erp(database, tmp_path):
    return Erp(database, tmp_path)


def test_first_pull_reads_everything_and_the_next_only_what_changed(erp):
    for number in "ABC":
        erp.book(number, 5)
    assert erp.pulled() == ["A", "B", "C"]
    erp.now += 20 * MINUTE
    erp.book("B", 6)
    assert "B" in erp.pulled()
    (record,) = erp.pull().records
    assert (record.values["matnr"], float(record.values["menge"])) == ("M1", 6.0)


def test_row_that_became_visible_late_is_found_by_the_overlap(erp):
    erp.book("A", 5)
    erp.pulled()
    erp.book("LATE", 5, changed=erp.now - 5 * MINUTE)
    assert "LATE" in erp.pulled()


def test_row_that_became_visible_too_late_is_found_by_the_full_comparison(erp):
    erp.book("A", 5)
    erp.pulled()
    erp.book("LATE", 5, changed=erp.now - 3 * HOUR)
    assert "LATE" not in erp.pulled()
    assert "LATE" in erp.pulled(after=HOUR)


def test_row_with_a_time_in_the_future_does_not_hide_the_others(erp):
    erp.book("WRONG", 5, changed=parse_time("2199-01-01T00:00:00Z"))
    erp.pulled()
    erp.book("A", 5)
    assert "A" in erp.pulled()


def test_row_without_a_time_of_change_is_read_every_time(erp):
    erp.book("A", 5)
    with erp.engine.begin() as connection:
        connection.execute(sa.insert(fauf).values(NR="NULL", matnr="M1", menge=1))
    erp.pulled()
    erp.now += 20 * MINUTE
    erp.book("B", 5)
    erp.pulled()
    assert erp.pulled() == ["B", "NULL"]


def test_full_comparison_is_complete_only_where_missing_rows_mean_something(database, tmp_path):
    keeping = Erp(database, tmp_path)
    keeping.book("A", 5)
    assert not keeping.pull().complete
    withdrawing = Erp(database, tmp_path, missing="withdraw", full="1 h")
    assert [withdrawing.pull(after).complete for after in (0, MINUTE, HOUR)] == [True, False, True]


def test_query_is_read_like_a_table(database, tmp_path):
    query = "SELECT \"NR\", matnr, menge * 2 AS menge, geaendert FROM fauf WHERE matnr = 'M1';"
    erp = Erp(database, tmp_path, table=None, query=query)
    erp.book("A", 5)
    assert [float(record.values["menge"]) for record in erp.pull().records] == [10.0]
    erp.now += 20 * MINUTE
    erp.book("B", 1)
    erp.pulled()
    assert erp.pulled() == ["B"]


def test_without_a_changed_column_every_pull_reads_everything(database, tmp_path):
    erp = Erp(database, tmp_path, changed=None)
    erp.book("A", 5)
    assert (erp.pulled(), erp.pulled()) == (["A"], ["A"])


def test_number_that_only_grows_may_be_the_watermark(database, tmp_path):
    changed = {"column": "menge", "steps": 0}
    erp = Erp(database, tmp_path, changed=changed)
    erp.book("A", 5)
    erp.pulled()
    erp.book("B", 7)
    assert erp.pulled() == ["A", "B"]
    assert erp.pulled() == ["B"]


def test_database_is_never_written(erp):
    query = "WITH gone AS (DELETE FROM fauf RETURNING *) SELECT * FROM gone"
    erp.book("A", 5)
    wanted = erp.system.spec.entities["production_order"]
    for attempt in (query, "DELETE FROM fauf RETURNING *"):
        entity = wanted.model_copy(update={"table": None, "query": attempt, "changed": None})
        with pytest.raises(Refused):
            erp.system._read(entity, None)
    assert erp.pulled() == ["A"]


@pytest.mark.parametrize(
    ("orders", "says"),
    [
        ({"table": "fauff"}, "fauff"),
        ({"changed": "gesaendert"}, "gesaendert"),
        ({"changed": "matnr", "columns": ORDERS["columns"] | {"state": "kein"}}, "kein"),
        ({"table": None, "query": "SELEKT 1"}, "syntax error"),
    ],
)
def test_what_the_database_does_not_have_is_refused_by_name(database, tmp_path, orders, says):
    erp = Erp(database, tmp_path, **orders)
    with pytest.raises(Refused, match=says):
        erp.pull()


def test_database_that_answers_again_is_read_again_by_the_same_object(tmp_path):
    erp = Erp(sa.create_engine(f"sqlite:///{tmp_path / 'erp.db'}", poolclass=sa.NullPool), tmp_path)
    erp.book("A", 5)
    path = tmp_path / "erp.db"
    away = path.rename(tmp_path / "away.db")
    with pytest.raises(Unreachable, match="unable to open"):
        erp.pull()
    assert not path.exists()
    away.rename(path)
    assert erp.pulled() == ["A"]
    erp.system.close()
    erp.system.close()


def system(tmp_path, **spec):
    whole = SqlSpec.model_validate({"entities": {"production_order": ORDERS}} | spec)
    return SqlSystem("erp", whole, BERLIN, tmp_path, SimpleNamespace(now=lambda: START, speed=1))


def test_server_that_does_not_answer_is_unreachable_and_the_password_is_not_told(tmp_path):
    for secret in (
        {"url": "postgresql+psycopg://erp:geheim-1@127.0.0.1:1/erp"},
        {"url": "postgresql+psycopg://127.0.0.1:1/erp", "user": "erp", "password": "geheim-1"},
    ):
        found = system(tmp_path, timeout="1 s", **secret)
        with pytest.raises(Unreachable) as caught:
            found.pull("production_order", "")
        assert "geheim" not in f"{caught.value}{found.spec!r}{found.spec.model_dump_json()}"


def test_unknown_user_is_refused(postgres, tmp_path):
    url = postgres.replace("erp:geheim", "nobody:geheim")
    with pytest.raises(Refused, match="nobody"):
        system(tmp_path, url=url).pull("production_order", "")


def test_query_that_takes_too_long_is_ended(postgres, tmp_path):
    entity = ORDERS | {"table": None, "query": "SELECT pg_sleep(30)::text AS \"NR\", '' AS matnr, "
                       "0 AS menge, now() AS geaendert"}  # fmt: skip
    slow = system(tmp_path, url=postgres, timeout="200 ms", entities={"production_order": entity})
    began = datetime.now(UTC)
    with pytest.raises(Unreachable, match="statement timeout"):
        slow.pull("production_order", "")
    assert datetime.now(UTC) - began < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "none that SQLAlchemy knows"),
        ("nodb://x/y", "none that SQLAlchemy knows"),
        ("mysql+mysqldb://x/y", "the driver `MySQLdb` is not installed"),
    ],
)
def test_url_that_cannot_be_is_refused(tmp_path, url, says):
    with pytest.raises(Refused, match=says):
        system(tmp_path, url=url).pull("production_order", "")


def test_spec_refuses_what_cannot_be():
    for wrong, says in (
        ({"table": None}, "either a `table` or a `query`"),
        ({"query": "SELECT 1"}, "either a `table` or a `query`"),
        ({"columns": {"key": "NR"}}, "needs a column for `material`"),
        ({"missing": "delete"}, "'keep' or 'withdraw'"),
    ):
        spec = {"url": "sqlite:///x", "entities": {"production_order": ORDERS | wrong}}
        with pytest.raises(ValidationError, match=says):
            SqlSpec.model_validate(spec)
