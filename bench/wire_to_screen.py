"""From what happens at a machine to the pixel: the reference company, its live page, Chromium.

A change begins when the simulated machine makes it (its truth file has the time, in the device's
own clock, which is ours at speed 1) and ends when the browser has painted the frame with it. In
between lie the device's server, the connector, log, lake, hub, socket and page.
"""

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.browser import chromium, signed_in
from bench.company import company
from bench.result import Figure, quantile, save
from playwright.sync_api import Page, expect

from isthmus.testing.sim.fleet import MACHINES

CHANGES = 100
LONGEST_S = 600.0
TIME_TO_ARRIVE_S = 5.0
P50_S, P99_S = 0.5, 1.5
FIELDS = {"part": "produced", "state": "state"}
"""What happened → the field of the page that shows it."""

WATCH = """() => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  window.painted = [];
  const seen = (list) => {
    const bound = list.map(({ target }) =>
      (target instanceof Element ? target : target.parentElement)?.closest("[data-live]"));
    const changes = [...new Set(bound)].map((one) => one?.dataset.live)
      .filter((topic) => topic && !topic.endsWith("#since"));
    if (!changes.length) return;
    // A task after the frame's callbacks runs when the frame is on its way to the screen.
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        const now = performance.timeOrigin + performance.now();
        window.painted.push(...changes.map((topic) => [topic, now]));
      };
      channel.port2.postMessage(0);
    });
  };
  new MutationObserver(seen).observe(document.querySelector("main"),
    { subtree: true, childList: true, characterData: true });
}"""


@dataclass(frozen=True)
class Seen:
    """One change that reached the screen."""

    wire: str
    seconds: float


def main() -> None:
    with company("--no-faults") as running:
        running.wait_ready()
        with chromium() as browser:
            page = signed_in(browser, running).new_page()
            page.goto("/live/acme")
            expect(page.locator("#fresh")).to_have_text(re.compile("Live"))
            page.evaluate(WATCH)
            begun = time.time()
            seen, missed = followed(running.data / "demo" / "truth.jsonl", page, begun)
            lasted = time.time() - begun
    seconds = [one.seconds for one in seen]
    save(
        "wire_to_screen",
        f"change at a machine to painted frame, {len(MACHINES)} machines, speed 1",
        [
            Figure("p50", round(quantile(seconds, 0.5), 3), "s", P50_S),
            Figure("p99", round(quantile(seconds, 0.99), 3), "s", P99_S),
            Figure("changes seen", len(seconds), ""),
            Figure("changes that no frame showed", missed, ""),
        ],
        {"lasted_s": round(lasted), "by_protocol": dict(by_wire(seen)), "pages_open": 1},
    )


def followed(truth: Path, page: Page, begun: float) -> tuple[list[Seen], int]:
    """Until there are enough changes, or it has taken too long."""
    before = truth.stat().st_size  # three days of history are not read again
    while True:
        page.wait_for_timeout(5_000)
        painted = page.evaluate("window.painted")
        with truth.open(encoding="utf-8") as lines:
            lines.seek(before)
            happened = list(since(lines, begun, time.time() - TIME_TO_ARRIVE_S))
        seen, missed = matched(happened, painted)
        if len(seen) >= CHANGES or time.time() - begun > LONGEST_S:
            return seen, missed


def since(lines: Iterable[str], start: float, end: float) -> Iterator[tuple[str, str, float]]:
    """Machine, field and time of what happened since `start` and had time to arrive."""
    for line in lines:
        record = json.loads(line) if line.endswith("\n") else {"what": ""}
        if record["what"] in FIELDS and start <= record["time"] / 1e6 < end:
            yield record["machine"], FIELDS[record["what"]], record["time"] / 1e6


def matched(
    happened: Sequence[tuple[str, str, float]], painted: Sequence[tuple[str, float]]
) -> tuple[list[Seen], int]:
    """Each change with the first frame after it, if that came before the next change."""
    frames: dict[str, list[float]] = defaultdict(list)
    for topic, at_ms in painted:
        frames[topic].append(at_ms / 1e3)
    changes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for machine, field, at in happened:
        if not (field == "state" and MACHINES[machine].wire == "modbus"):  # it has no state signal
            changes[machine, field].append(at)
    seen, missed = [], 0
    for (machine, field), times in changes.items():
        shown = frames[f"machine:{machine}#{field}"]
        for at, following in zip(times, [*times[1:], float("inf")], strict=True):
            first = next((one for one in shown if at <= one < following), None)
            if first is None:
                missed += 1
            else:
                seen.append(Seen(MACHINES[machine].wire, first - at))
    return seen, missed


def by_wire(seen: Sequence[Seen]) -> Iterator[tuple[str, Any]]:
    for wire in sorted({one.wire for one in seen}):
        seconds = [one.seconds for one in seen if one.wire == wire]
        yield (
            wire,
            {
                "changes": len(seconds),
                "p50_s": round(quantile(seconds, 0.5), 3),
                "most_s": round(max(seconds), 3),
            },
        )


if __name__ == "__main__":
    main()
