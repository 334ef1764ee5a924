"""What a first visit costs: bytes, requests, first paint on a slow line; and the state timeline.

The line is UI.md's: a quarter of the processor, 10 Mbit/s, 40 ms. The font is counted apart: it
is loaded once a year.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from bench.browser import chromium, signed_in
from bench.company import Company, company
from bench.result import Figure, quantile, save
from playwright.sync_api import Browser, BrowserContext, Page

SETTLES_S = 45.0
"""After the start the platform still files three days of history; pages are then slower."""
PAGES = {
    "overview": "/overview/acme",
    "oee": "/oee/acme/hamburg/moulding/line-1",
    "live": "/live/acme/hamburg/moulding/line-1",
}
VISITS = 5
MOST_KB, MOST_REQUESTS, FCP_S = 100.0, 12, 1.0
SLOW_LINE = {
    "offline": False, "latency": 40, "downloadThroughput": 1.25e6, "uploadThroughput": 6e5,
}  # fmt: skip
ROWS, INTERVALS = 20, 10_000
FIRST_MS, ZOOM_MS = 100.0, 33.0

FCP = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
SERVED = """(() => { const page = performance.getEntriesByType("navigation")[0];
  return page.responseStart - page.requestStart; })()"""

TIMELINE = """([rows, count, steps]) => {
  const element = document.querySelector("state-timeline");
  const kinds = ["running", "idle", "stopped", "slow", "setup", "planned", "offline"];
  const data = { ...element.data, start: 0, end: count / rows * 60e3, follow: false };
  data.rows = Array.from({ length: rows }, (_, row) => ({ machine: `m-${row}`, name: `M ${row}`,
    url: "", intervals: Array.from({ length: count / rows },
      (_, n) => [n * 60, 60, kinds[(n * 7 + row) % kinds.length], "", -1, -1]) }));
  const text = JSON.stringify(data);
  // One pixel read back: without it what the canvas still has to do would not be counted.
  const flush = () => element.canvas.getContext("2d").getImageData(0, 0, 1, 1);
  const timed = (work) => { const at = performance.now(); work(); element.paint(); flush();
    return performance.now() - at; };
  const first = timed(() => { element.querySelector("script").textContent = text;
    element.read(); });
  const whole = element.whole();
  const zooms = Array.from({ length: steps }, (_, n) => timed(() => {
    const half = (whole.end / 2) * 0.93 ** n;
    element.view = { start: whole.end / 2 - half, end: whole.end / 2 + half };
  }));
  return { first, zooms };
}"""


@dataclass
class Visit:
    """One visit with an empty cache."""

    sizes: dict[str, float] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    fcp_ms: float = 0.0
    served_ms: float = 0.0

    @property
    def fonts(self) -> dict[str, float]:
        return {url: size for url, size in self.sizes.items() if url.endswith(".woff2")}

    @property
    def kb(self) -> float:
        return (sum(self.sizes.values()) - sum(self.fonts.values())) / 1000

    def watch(self, page: Page, *, slow: bool) -> None:
        wire = page.context.new_cdp_session(page)
        wire.send("Network.enable")
        wire.on("Network.requestWillBeSent", self._asked)
        wire.on("Network.loadingFinished", self._came)
        if slow:
            wire.send("Network.emulateNetworkConditions", SLOW_LINE)
            wire.send("Emulation.setCPUThrottlingRate", {"rate": 4})

    def _asked(self, event: dict[str, Any]) -> None:
        self.names[event["requestId"]] = event["request"]["url"]

    def _came(self, event: dict[str, Any]) -> None:
        self.sizes[self.names.get(event["requestId"], "")] = event["encodedDataLength"]


def main() -> None:
    figures, details = [], {}
    with company("--no-faults") as running:
        running.wait_ready()
        time.sleep(SETTLES_S)
        with chromium() as browser:
            for name, path in PAGES.items():
                visits = [visit(browser, running, path, slow=n > 0) for n in range(VISITS + 1)]
                figures += page_figures(name, visits)
                details[name] = page_details(visits)
            figures += timeline(signed_in(browser, running))
    details["settled_s"] = SETTLES_S
    save("first_page", "a first visit, empty cache; FCP throttled", figures, details)


def visit(browser: Browser, running: Company, path: str, *, slow: bool) -> Visit:
    context = signed_in(browser, running)
    page = context.new_page()
    seen = Visit()
    seen.watch(page, slow=slow)
    page.goto(path, wait_until="networkidle")
    seen.fcp_ms = page.evaluate(FCP)
    seen.served_ms = page.evaluate(SERVED)
    context.close()
    return seen


def page_figures(name: str, visits: list[Visit]) -> list[Figure]:
    fast, *slow = visits
    fcp = quantile([one.fcp_ms for one in slow], 0.75) / 1e3
    served = quantile([one.served_ms for one in slow], 0.75) / 1e3
    return [
        Figure(f"{name}: over the wire, without the font", round(fast.kb, 1), "kB", MOST_KB),
        Figure(f"{name}: requests", len(fast.sizes), "", MOST_REQUESTS),
        Figure(f"{name}: first contentful paint, p75 of {VISITS}", round(fcp, 2), "s", FCP_S),
        Figure(f"{name}: of it waiting for the server", round(served, 2), "s"),
    ]


def page_details(visits: list[Visit]) -> dict[str, Any]:
    fast, *slow = visits
    return {
        "font_kb": round(sum(fast.fonts.values()) / 1000, 1),
        "fcp_s_unthrottled": round(fast.fcp_ms / 1e3, 2),
        "fcp_s_throttled": [round(one.fcp_ms / 1e3, 2) for one in slow],
        "of_it_server_and_line_s": [round(one.served_ms / 1e3, 2) for one in slow],
    }


def timeline(context: BrowserContext) -> list[Figure]:
    """The island alone, with made-up intervals; not throttled."""
    page = context.new_page()
    page.goto(PAGES["oee"], wait_until="networkidle")
    found = page.evaluate(TIMELINE, [ROWS, INTERVALS, 40])
    zoom = quantile(found["zooms"], 0.95)
    what = f"state timeline, {INTERVALS:,} intervals in {ROWS} rows"
    return [
        Figure(f"{what}: first paint", round(found["first"], 1), "ms", FIRST_MS),
        Figure(f"{what}: zoom step p95", round(zoom, 1), "ms", ZOOM_MS),
    ]


if __name__ == "__main__":
    main()
