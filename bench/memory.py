"""Memory of the platform's process, two minutes after the start of the reference company."""

import time

from bench.company import company
from bench.result import Figure, save

from isthmus.testing.sim.fleet import FLEET

BUDGET_MB = 600.0
BUDGET_MACHINES = 20
AFTER_S = 120.0
MB = 2**20


def main() -> None:
    with company() as running:
        running.wait_ready()
        client = running.sign_in()
        platform = running.platform()
        series = []
        begun = time.perf_counter()
        while (passed := time.perf_counter() - begun) < AFTER_S:
            for page in ("overview/acme", "oee/acme/hamburg/moulding/line-1", "live/acme"):
                client.get(f"/{page}")
            series.append((round(passed), round(platform.memory_info().rss / MB)))
            time.sleep(10)
        full = platform.memory_full_info()
        children = sum(one.memory_info().rss for one in platform.children(recursive=True))
    save(
        "memory",
        f"resident memory of the platform, {len(FLEET)} machines, three days of history",
        [
            Figure("platform process", round(full.rss / MB), "MB", BUDGET_MB),
            Figure("of it not shared with others", round(full.uss / MB), "MB"),
            Figure("its children (upkeep), if any run now", round(children / MB), "MB"),
        ],
        {
            "machines": len(FLEET),
            "budget_is_for_machines": BUDGET_MACHINES,
            "seconds_and_mb": series,
            "load": "three pages every ten seconds",
        },
    )


if __name__ == "__main__":
    main()
