"""A booking is corrected two weeks later: how long until the facts say so, and what it touched."""

import time

from bench.month import NOW, ORDER, START, month, operation
from bench.result import Figure, quantile, save

from isthmus.base.clock import DAY, HOUR

BUDGET_S = 2.0
ROUNDS = 5
LATER = 2 * HOUR


def main() -> None:
    took, hours, touched = [], [], 0
    with month() as made:
        begun = time.perf_counter()
        made.facts.persist(NOW)
        rebuilt = time.perf_counter() - begun
        machine = next(iter(made.plant.machines))
        for number in range(ROUNDS):
            order = 15 * DAY // ORDER + 4 * number
            start, end = START + order * ORDER, START + (order + 1) * ORDER
            corrected = operation(machine, order, start + LATER, end, NOW - ROUNDS + number)
            begun = time.perf_counter()
            made.append(corrected)
            made.facts.take([corrected])
            done = made.facts.refresh(NOW)
            took.append(time.perf_counter() - begun)
            hours.append(done.hours)
            found = made.lake.query(
                "SELECT count(DISTINCT hour) AS n FROM oee_fact WHERE production_order = $o",
                {"o": f"{machine.rpartition('/')[2]}-{order}"},
            )
            touched = found["n"][0].as_py()
            assert touched == (ORDER - LATER) // HOUR, touched
    save(
        "corrected_order",
        "one corrected order of a month of twenty machines: from its arrival to right facts",
        [
            Figure("from booking to facts", round(quantile(took, 0.5), 2), "s", BUDGET_S),
            Figure("slowest of five", round(max(took), 2), "s", BUDGET_S),
            Figure("machine hours computed again", max(hours), "h"),
        ],
        {"order_lasts_h": ORDER // HOUR, "moved_by_h": LATER // HOUR,
         "machines": len(made.plant.machines), "first_build_of_all_facts_s": round(rebuilt, 1)},
    )  # fmt: skip


if __name__ == "__main__":
    main()
