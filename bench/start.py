"""From `isthmus demo` in an empty folder to the first live OEE on the overview."""

import re

from bench.company import company
from bench.result import Figure, save

from isthmus.testing.sim.fleet import FLEET

BUDGET_S = 30.0
OEE = re.compile(r"\d+(\.\d)?\s*%")


def main() -> None:
    with company() as running:
        running.wait(lambda: running.line("samples of history") is not None, "history")
        fed_at, told = running.line("samples of history") or (0.0, "")
        ready = running.wait_ready()
        client = running.sign_in()
        shown = running.wait(lambda: shows_oee(client.get("/overview/acme").text), "OEE")
    began = running.line("reference company")
    samples = int(re.sub(r"\D", "", told.partition("samples")[0]))
    feeding = fed_at - (began[0] if began else 0.0)
    save(
        "start",
        "isthmus demo in an empty data folder, until the overview shows OEE",
        [
            Figure("first live OEE", round(shown, 1), "s", BUDGET_S),
            Figure("/healthz says ready", round(ready, 1), "s"),
            Figure("history fed (with the start of Python)", round(feeding, 1), "s"),
            Figure("history", round(samples / feeding), "samples/s", better="higher"),
        ],
        {"samples_of_history": samples, "days_of_history": 3, "machines": len(FLEET)},
    )


def shows_oee(page: str) -> bool:
    """The overview has a table of plants; a plant without figures shows dashes."""
    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    return any("acme/hamburg" in row and OEE.search(row) for row in rows)


if __name__ == "__main__":
    main()
