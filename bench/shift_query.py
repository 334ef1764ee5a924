"""One shift of one line, exact, from the rows of a month of twenty machines and the tail."""

import time
from collections.abc import Callable

from bench.month import CYCLE, DAYS, LINES, NOW, PER_LINE, Month, month
from bench.result import Figure, quantile, save

from isthmus.apps.oee.facts import facts
from isthmus.base.clock import DAY, HOUR, Micros, iso

BUDGET_S = 0.3
ROUNDS = 9
LINE = "line-3"
COUNTS = """
    SELECT machine, sum(good) AS good, sum(scrap) AS scrap FROM part_count
    WHERE machine IN (SELECT unnest($machines::VARCHAR[]))
        AND time >= make_timestamptz($start::BIGINT) AND time < make_timestamptz($end::BIGINT)
    GROUP BY machine ORDER BY machine
"""


def main() -> None:
    with month() as made:
        rows = made.lake.query("SELECT count(*) AS n FROM part_count")["n"][0].as_py()
        early = NOW - 15 * DAY + 7 * HOUR
        spans = {
            "an early shift two weeks ago": (early, early + 8 * HOUR),
            "the last eight hours, one of them in the tail": (NOW - 8 * HOUR, NOW),
        }
        figures = []
        for what, (start, end) in spans.items():
            figures += measured(made, what, start, end)
    save(
        "shift_query",
        "one shift of one line, exact, from rows and tail",
        figures,
        {
            "machines": LINES * PER_LINE,
            "machines_of_the_line": PER_LINE,
            "days": DAYS,
            "part_count_rows": rows,
            "until": iso(NOW),
            "rounds": ROUNDS,
        },
    )


def measured(made: Month, what: str, start: Micros, end: Micros) -> list[Figure]:
    machines = made.machines_of(LINE)
    params = {"machines": [one.path for one in machines], "start": start, "end": end}
    parts = made.lake.query(COUNTS, params).to_pylist()
    expected = len(machines) * (end - start) // CYCLE
    assert sum(one["good"] + one["scrap"] for one in parts) == expected, parts
    counting = median(lambda: made.lake.query(COUNTS, params))
    oee = median(lambda: facts(made.lake.query, made.plant, machines, start, end, now=NOW))
    return [
        Figure(f"parts per machine, {what}", round(counting, 3), "s", BUDGET_S),
        Figure(f"all OEE sums, {what}", round(oee, 3), "s", BUDGET_S),
    ]


def median(ask: Callable[[], object]) -> float:
    took = []
    for _ in range(ROUNDS):
        before = time.perf_counter()
        ask()
        took.append(time.perf_counter() - before)
    return quantile(took, 0.5)


if __name__ == "__main__":
    main()
