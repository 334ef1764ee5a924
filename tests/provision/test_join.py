import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.base.clock import HOUR, MINUTE, parse_time, to_micros
from isthmus.flow.parcel import TIME
from isthmus.provision.entities import ENTITIES
from isthmus.provision.join import VIEWS, affected, as_of

REASONS = pa.schema([
    ("id", pa.string()), ("machine", pa.string()), ("start", TIME), ("end", TIME),
    ("reason", pa.string()), ("comment", pa.string()), ("author", pa.string()),
    ("recorded", TIME), ("withdrawn", pa.bool_()),
])  # fmt: skip
TUESDAY = parse_time("2026-11-17T00:00:00Z")


def at(hour, minute=0):
    return TUESDAY + hour * HOUR + minute * MINUTE


def operation(key, machine, start, end=None, *, recorded=TUESDAY, order=None, **more):
    return {
        "system": "erp", "key": key, "production_order": order or f"O-{key}", "operation": "10",
        "machine": machine, "actual_start": start, "actual_end": end, "recorded": recorded,
        "withdrawn": False,
    } | more  # fmt: skip


def order(key, material="M1", *, recorded=TUESDAY, **more):
    return {
        "system": "erp", "key": key, "material": material, "quantity": 100.0,
        "recorded": recorded, "withdrawn": False,
    } | more  # fmt: skip


class Plant:
    """Histories in DuckDB with our views over them, as the lake has them."""

    def __init__(self, *, operations=(), orders=(), reasons=(), materials=(), rows=()):
        self.db = duckdb.connect()
        self.db.execute("SET TimeZone = 'UTC'")
        histories = {
            "operation": (ENTITIES["operation"].schema, operations),
            "production_order": (ENTITIES["production_order"].schema, orders),
            "material": (ENTITIES["material"].schema, materials),
            "stop_reason": (REASONS, reasons),
        }
        for name, (schema, given_) in histories.items():
            history = pa.Table.from_pylist(list(given_), schema=schema)
            sequence = pa.array(range(history.num_rows), pa.int64())
            self.db.register(f"{name}_history", history.append_column("_seq", sequence))
        made = pa.schema([("machine", pa.string()), ("time", TIME), ("produced", pa.int64())])
        self.db.register("part_count", pa.Table.from_pylist(list(rows), schema=made))
        for name, sql in VIEWS.items():
            self.db.execute(f"CREATE VIEW {name} AS {sql}")

    def ask(self, sql, **params):
        return self.db.sql(sql, params=params or None).to_arrow_table()

    def runs(self, source="order_run", **params):
        found = self.ask(source if source != "order_run" else "FROM order_run", **params)
        return sorted(
            (row["machine"], hour(row["start"]), hour(row["end"]), row["production_order"])
            for row in found.to_pylist()
        )


def hour(moment):
    return None if moment is None else (to_micros(moment) - TUESDAY) / HOUR


def test_run_lasts_from_the_actual_start_to_the_actual_end():
    plant = Plant(operations=[operation("A", "m", at(6), at(8)), operation("B", "m", None)])
    assert plant.runs() == [("m", 6, 8, "O-A")]


def test_run_that_nobody_ended_lasts():
    assert Plant(operations=[operation("A", "m", at(6))]).runs() == [("m", 6, None, "O-A")]


def test_later_start_ends_an_earlier_run_on_the_same_machine():
    plant = Plant(operations=[
        operation("A", "m", at(6)), operation("B", "m", at(8), at(9)),
        operation("C", "other", at(7), at(12)), operation("D", "other", at(8), at(9)),
    ])  # fmt: skip
    assert plant.runs() == [
        ("m", 6, 8, "O-A"), ("m", 8, 9, "O-B"), ("other", 7, 8, "O-C"), ("other", 8, 9, "O-D"),
    ]  # fmt: skip


def test_run_has_what_the_order_says_where_the_operation_says_nothing():
    plant = Plant(
        operations=[
            operation("A", "m", at(6), at(7)),
            operation("B", "m", at(7), at(8), material="M9", quantity=7.0, ideal_cycle_s=2.5),
        ],
        orders=[order("O-A"), order("O-B")],
    )
    found = plant.ask("FROM order_run ORDER BY start").select(
        ["material", "quantity", "ideal_cycle_s"]).to_pylist()  # fmt: skip
    assert [tuple(row.values()) for row in found] == [("M1", 100, None), ("M9", 7, 2.5)]


def test_withdrawn_operation_and_operations_of_a_withdrawn_order_do_not_count():
    plant = Plant(
        operations=[
            operation("A", "m", at(6)), operation("B", "m", at(7)),
            operation("B", "m", at(7), recorded=at(1), withdrawn=True), operation("C", "m", at(8)),
        ],
        orders=[order("O-C"), order("O-C", recorded=at(1), withdrawn=True)],
    )  # fmt: skip
    assert plant.runs() == [("m", 6, None, "O-A")]


def test_operation_whose_order_has_not_arrived_counts_and_is_named():
    plant = Plant(operations=[operation("A", "m", at(6), order="O-?")], orders=[order("O-1")])
    assert plant.runs() == [("m", 6, None, "O-?")]
    assert plant.ask("SELECT key, production_order FROM unresolved").to_pylist() == [
        {"key": "A", "production_order": "O-?"}
    ]


def test_of_two_versions_recorded_at_once_the_later_in_the_log_holds():
    plant = Plant(orders=[order("A", "M1"), order("A", "M2")])
    assert plant.ask("FROM production_order")["material"].to_pylist() == ["M2"]


def test_valid_version_is_the_latest_recorded_that_was_not_withdrawn():
    plant = Plant(
        orders=[order("A", "M1"), order("A", "M2", recorded=at(2)), order("B", "M3"),
                order("B", "M3", recorded=at(1), withdrawn=True)],
        materials=[{"system": s, "key": "M1", "name": s, "recorded": at(0), "withdrawn": False}
                   for s in ("erp", "mes")],
        reasons=[{"id": "r1", "machine": "m", "start": at(6), "end": at(7), "reason": reason,
                  "recorded": at(number), "withdrawn": False}
                 for number, reason in enumerate(["jam", "tool"], 7)],
    )  # fmt: skip
    assert plant.ask("SELECT key, material FROM production_order").to_pylist() == [
        {"key": "A", "material": "M2"}
    ]
    assert plant.ask("SELECT reason FROM stop_reason")["reason"].to_pylist() == ["tool"]
    assert len(plant.ask("FROM material")) == 2


MADE = """
    SELECT production_order, sum(produced) AS made FROM part_count JOIN order_run
    ON part_count.machine = order_run.machine
        AND time >= "start" AND (time < "end" OR "end" IS NULL)
    GROUP BY production_order
"""


def test_late_order_moves_earlier_rows_to_the_new_order():
    rows = [{"machine": "m", "time": at(6, minute), "produced": 1} for minute in range(60)]
    early = operation("A", "m", at(5), recorded=at(5))
    late = operation("B", "m", at(6, 20), recorded=at(14))
    before = Plant(operations=[early], rows=rows).ask(MADE)
    after = Plant(operations=[early, late], rows=rows).ask(MADE)
    assert before.to_pylist() == [{"production_order": "O-A", "made": 60}]
    assert sorted(after.to_pylist(), key=str) == [
        {"production_order": "O-A", "made": 20}, {"production_order": "O-B", "made": 40},
    ]  # fmt: skip


def test_what_did_we_believe_on_tuesday():
    wednesday, thursday = at(24), at(48)
    plant = Plant(
        operations=[
            operation("A", "m", at(6), recorded=at(7)),
            operation("A", "m", at(6), at(9), recorded=wednesday),
            operation("A", "other", at(6), at(9), recorded=thursday),
        ],
        orders=[order("O-A", recorded=at(7)), order("O-A", "M2", recorded=wednesday)],
    )
    assert plant.runs() == [("other", 6, 9, "O-A")]
    believed = as_of("order_run")
    assert plant.runs(believed, as_of=at(6)) == []
    assert plant.runs(believed, as_of=at(20)) == [("m", 6, None, "O-A")]
    assert plant.runs(believed, as_of=wednesday) == [("m", 6, 9, "O-A")]
    assert plant.ask(as_of("production_order"), as_of=at(20))["material"].to_pylist() == ["M1"]


@pytest.mark.parametrize("name", list(VIEWS))
def test_every_view_can_be_asked_as_of_a_moment(name):
    now = Plant(operations=[operation("A", "m", at(6))], orders=[order("O-A")])
    assert now.ask(as_of(name), as_of=at(9)).equals(now.ask(f"FROM {name}"))


MOMENT = st.integers(0, 12)
FEW = settings(max_examples=25)  # every example asks DuckDB
OPERATIONS = st.lists(
    st.builds(
        lambda number, machine, start, length, recorded, withdrawn: operation(
            f"K{number}", machine, at(start), None if length is None else at(start + length),
            recorded=at(recorded), withdrawn=withdrawn,
        ),
        st.integers(0, 4), st.sampled_from(["m", "n", None]), MOMENT,
        st.one_of(st.none(), st.integers(0, 6)), st.integers(0, 1000), st.booleans(),
    ),
    max_size=8, unique_by=lambda item: (item["key"], item["recorded"]),
)  # fmt: skip


@FEW
@given(operations=OPERATIONS, random=st.randoms(use_true_random=False))
def test_result_does_not_depend_on_the_order_of_arrival(operations, random):
    shuffled = list(operations)
    random.shuffle(shuffled)
    assert Plant(operations=operations).runs() == Plant(operations=shuffled).runs()


@FEW
@given(operations=OPERATIONS)
def test_machine_has_at_most_one_order_at_a_moment(operations):
    runs = Plant(operations=operations).runs()
    for tick in range(40):
        moment = tick / 2
        now = [machine for machine, start, end, _ in runs
               if start <= moment and (end is None or moment < end)]  # fmt: skip
        assert len(now) == len(set(now))


@FEW
@given(operations=OPERATIONS)
def test_run_is_of_the_operation_that_started_last(operations):
    latest = {}
    for item in sorted(operations, key=lambda item: item["recorded"]):
        latest[item["key"]] = item
    valid = [item for item in latest.values() if not item["withdrawn"] and item["machine"]]
    runs = Plant(operations=operations).runs()
    for tick in range(40):
        moment = TUESDAY + tick * HOUR // 2
        for machine in ("m", "n"):
            begun = [item for item in valid
                     if item["machine"] == machine and item["actual_start"] <= moment
                     and item["actual_end"] != item["actual_start"]]  # fmt: skip
            # Of operations that start together the last key counts.
            last = max(begun, key=lambda i: (i["actual_start"], i["key"]), default=None)
            open_ = last and (last["actual_end"] is None or moment < last["actual_end"])
            wanted = [last["production_order"]] if open_ else []
            found = [run[3] for run in runs if run[0] == machine and run[1] * 2 <= tick
                     and (run[2] is None or tick < run[2] * 2)]  # fmt: skip
            assert found == wanted


def touched(before, after):
    """Affected time in hours of Tuesday."""
    found = affected(before.ask("FROM order_run"), after.ask("FROM order_run"))
    return [
        (machine, (start - TUESDAY) / HOUR, None if end is None else (end - TUESDAY) / HOUR)
        for machine, start, end in found
    ]


def test_affected_time_is_only_what_a_correction_touches():
    first = operation("A", "m", at(6))
    second = operation("B", "m", at(10), at(12))
    before, after = Plant(operations=[first]), Plant(operations=[first, second])
    assert touched(before, after) == [("m", 10, None)]
    corrected = Plant(operations=[first, operation("B", "m", at(10), at(11))])
    assert touched(after, corrected) == [("m", 11, 12)]
    moved = Plant(operations=[first, operation("B", "n", at(10), at(12))])
    assert touched(after, moved) == [("m", 10, None), ("n", 10, 12)]
    assert touched(after, after) == []


def test_affected_time_of_reasons():
    def reasons(*given_):
        return pa.Table.from_pylist(
            [{"id": i, "machine": "m", "start": s, "end": e, "reason": r} for i, s, e, r in given_],
            schema=pa.schema([field for field in REASONS if field.name != "recorded"]),
        )

    before = reasons(("1", at(6), at(7), "jam"), ("2", at(8), at(9), "jam"))
    after = reasons(("1", at(6), at(7), "tool"), ("2", at(8), at(9), "jam"))
    assert affected(before, after) == [("m", at(6), at(7))]
    assert affected(before, reasons()) == [("m", at(6), at(7)), ("m", at(8), at(9))]


def orders_at(runs, machine, moment):
    own = [run for run in runs if run[0] == machine and run[1] <= moment]
    return [run[3] for run in own if run[2] is None or moment < run[2]]


@FEW
@given(before=OPERATIONS, after=OPERATIONS)
def test_affected_time_is_where_the_answers_differ(before, after):
    then, now = Plant(operations=before), Plant(operations=after)
    found = touched(then, now)
    was, is_ = then.runs(), now.runs()
    for machine in ("m", "n"):
        for tick in range(40):
            moment = tick / 2
            inside = any(
                where == machine and start <= moment and (end is None or moment < end)
                for where, start, end in found
            )
            differs = orders_at(was, machine, moment) != orders_at(is_, machine, moment)
            assert inside == differs
