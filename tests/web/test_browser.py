"""What a person sees and does, in Debian's Chromium."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from isthmus.base.clock import HOUR, MINUTE, SECOND, parse_time
from isthmus.flow.parcel import Count, Shaped

from .conftest import (
    LINE,
    NOW,
    PASSWORD,
    REPOSITORY,
    STANDING,
    STANDING_SINCE,
    STATE,
    Works,
    door,
    filled,
    rows,
    served,
    state,
)

CHROMIUM = shutil.which("chromium")
AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PAGES = {
    "overview": "/overview/acme?cmp=prev",
    "oee": f"/oee/{LINE}?range=shift:2026-11-17:early&cmp=prev",
    "live": f"/live/{LINE}",
    "stop": f"/stop/{STANDING}@{STANDING_SINCE}",
}
EARLY = parse_time("2026-11-17T05:00:00Z")
WAIT = 15_000
"""Milliseconds: this machine may be busy with other tests."""
expect.set_options(timeout=WAIT)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@dataclass
class Seen:
    """What went wrong behind the page's back."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self, page: Page, origin: str) -> None:
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "console",
            lambda said: said.type in {"error", "warning"} and self.errors.append(said.text),
        )
        page.on("request", lambda request: self._request(request.url, origin))

    def _request(self, url: str, origin: str) -> None:
        self.requests.append(url)
        if not url.startswith((origin, origin.replace("http", "ws"), "data:")):
            self.errors.append(f"foreign request: {url}")


@pytest.fixture(scope="module")
def works_served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Works, str]]:
    folder = tmp_path_factory.mktemp("browser")
    works = filled(folder)
    with served(door(works, folder).app) as origin:
        yield works, origin
    works.close()


@pytest.fixture(scope="module")
def works(works_served: tuple[Works, str]) -> Works:
    return works_served[0]


@pytest.fixture(scope="module")
def origin(works_served: tuple[Works, str]) -> str:
    return works_served[1]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def session(browser: Browser, origin: str) -> list[Any]:
    """The cookies of an operator who signed in at the door."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{origin}/login")
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/overview/acme$"))
    cookies = list(context.cookies())
    context.close()
    return cookies


Open = Callable[..., Page]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def open_page(browser: Browser, origin: str, session: list[Any], seen: Seen) -> Iterator[Open]:
    """Open a page as the operator; at the end nothing may have gone wrong unseen."""
    contexts: list[BrowserContext] = []

    def opened(path: str, *, language: str = "en", theme: str = "light") -> Page:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
        context.set_default_timeout(WAIT)
        chosen = f"{language}.{theme}.normal.on"
        context.add_cookies(
            [*session, {"name": "isthmus_preferences", "value": chosen, "url": origin}]
        )
        contexts.append(context)
        page = context.new_page()
        seen.watch(page, origin)
        page.goto(origin + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert seen.errors == []


def test_from_the_overview_to_the_stop_a_reason_and_back(open_page: Open, works: Works) -> None:
    page = open_page("/overview/acme")
    page.get_by_role("link", name="Hamburg", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Hamburg")
    page.locator("#places").get_by_role("link", name="Line 1").click()
    expect(page).to_have_url(re.compile(f"/overview/{LINE}"))
    page.get_by_role("link", name="OEE & losses").click()
    expect(page).to_have_url(re.compile(f"/oee/{LINE}"))
    expect(page.get_by_text("Where the time went")).to_be_visible()
    page.locator("#compare").get_by_role("link", name="IM 01").click()
    expect(page).to_have_url(re.compile(f"/oee/{STANDING}"))
    page.locator("#stops").get_by_role("link", name="IM 01").first.click()
    expect(page.get_by_text("Why does it stand?")).to_be_visible()
    page.goto(page.url.partition("/stop/")[0] + f"/live/{LINE}")
    row = page.get_by_role("group", name="IM 01")
    expect(row).to_have_attribute("data-kind", "unclassified")
    row.get_by_role("button", name="Hydraulics").first.click()
    expect(row).to_have_attribute("data-kind", "stopped")
    bar = page.locator(".undo")
    expect(bar).to_contain_text("IM 01: Hydraulics")
    assert reasons(works) == ["hydraulics"]
    works.clock.at += 2 * SECOND
    bar.get_by_role("button", name="Undo").click()
    expect(row).to_have_attribute("data-kind", "unclassified")
    expect(bar).to_have_count(0)
    assert reasons(works) == []


def reasons(works: Works) -> list[str]:
    found: list[str] = works.lake.query("select reason from stop_reason")["reason"].to_pylist()
    return found


def test_language_and_theme_are_switched_where_one_is(open_page: Open) -> None:
    page = open_page(PAGES["oee"])
    page.locator("summary[aria-label^='User menu']").click()
    page.get_by_role("button", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("heading", name="Wo die Zeit blieb")).to_be_visible()
    assert "range=shift:2026-11-17:early" in page.url
    before = page.evaluate("getComputedStyle(document.body).color")
    page.locator("summary[aria-label^='Benutzermenü']").click()
    page.get_by_role("button", name="Dunkel").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).color") != before


def test_a_filter_swaps_the_page_and_back_brings_it_back(open_page: Open, seen: Seen) -> None:
    page = open_page(PAGES["oee"])
    expect(page.locator("state-timeline").locator("canvas")).to_be_visible()
    seen.requests.clear()
    page.locator("summary[aria-label^='Time range']").click()
    page.get_by_role("link", name="Last 24 hours").click()
    expect(page).to_have_url(re.compile("range=24h"))
    expect(page.locator("summary[aria-label^='Time range']")).to_contain_text("Last 24 hours")
    assert [url for url in seen.requests if url.endswith((".js", ".css"))] == []
    page.go_back()
    expect(page.locator("summary[aria-label^='Time range']")).to_contain_text("Early shift")
    page.keyboard.press("[")
    expect(page.locator("summary[aria-label^='Time range']")).to_contain_text("Night shift")


def canvas_pixel(page: Page, row: int, share: float) -> list[int]:
    """The colour in the middle of a row, at a share of the time axis."""
    found: list[int] = page.evaluate(
        """([row, share]) => {
            const island = document.querySelector("state-timeline");
            const x = island.left() + Math.min(island.inner() - 1, island.inner() * share);
            const y = (row + 0.5) * island.rowHeight();
            const ratio = devicePixelRatio;
            const pen = island.canvas.getContext("2d");
            return [...pen.getImageData(x * ratio, y * ratio, 1, 1).data];
        }""",
        [row, share],
    )
    return found


def painted(page: Page) -> None:
    """Wait for the island's first picture; our policy forbids Playwright's own way (eval)."""
    for _ in range(WAIT // 50):
        if page.evaluate("document.querySelector('state-timeline')?.inks !== undefined"):
            return
        page.wait_for_timeout(50)
    pytest.fail("the timeline was not painted")


STILL = (STANDING_SINCE + 5 * MINUTE - EARLY) / (8 * HOUR)
"""Where on the axis of the early shift the machine stands that stopped."""


def test_the_timeline_paints_states_in_the_colours_of_the_theme(open_page: Open) -> None:
    page = open_page(PAGES["oee"])
    painted(page)
    assert canvas_pixel(page, 0, STILL)[:3] == [0xB6, 0x81, 0xCB]
    dark = open_page(PAGES["oee"], theme="dark")
    painted(dark)
    assert canvas_pixel(dark, 0, STILL)[:3] == [0xD4, 0x95, 0xD9]


def test_the_timeline_is_read_and_opened_with_the_keyboard(open_page: Open) -> None:
    page = open_page(PAGES["oee"])
    painted(page)
    page.locator("state-timeline .scroll").focus()
    page.keyboard.press("ArrowRight")
    said = page.locator("state-timeline [role=status]")
    expect(said).to_contain_text("IM 01")
    while "12:10:00–" not in (said.text_content() or ""):
        before = said.text_content()
        page.keyboard.press("ArrowRight")
        assert said.text_content() != before, "the last stop was not found"
    expect(said).to_contain_text("Unclassified")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/stop/{STANDING}@{STANDING_SINCE}"))


def test_the_timeline_zooms_and_comes_back(open_page: Open) -> None:
    page = open_page(PAGES["oee"])
    painted(page)
    page.locator("state-timeline .scroll").focus()
    view = "document.querySelector('state-timeline').view"
    span = f"{view}.end - {view}.start"
    whole = page.evaluate(span)
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert page.evaluate(span) == pytest.approx(whole * 0.36)
    page.get_by_role("button", name="Whole range").click()
    assert page.evaluate(span) == pytest.approx(whole)


def test_a_click_on_a_stop_opens_it(open_page: Open) -> None:
    page = open_page(PAGES["oee"])
    painted(page)
    spot = page.evaluate(
        """(share) => {
            const island = document.querySelector("state-timeline");
            const box = island.canvas.getBoundingClientRect();
            return [box.x + island.left() + island.inner() * share, box.y + island.rowHeight() / 2];
        }""",
        STILL,
    )
    page.mouse.move(*spot)
    expect(page.locator("state-timeline .tip")).to_contain_text("IM 01 · Unclassified")
    page.mouse.click(*spot)
    expect(page).to_have_url(re.compile("/stop/"))


def test_the_raw_signals_of_a_stop_are_drawn(open_page: Open) -> None:
    page = open_page(PAGES["stop"])
    expect(page.locator("trend-chart .u-wrap")).to_have_count(2)
    expect(page.locator("trend-chart")).to_contain_text("melt_temp (°C)")


def test_a_change_on_the_shop_floor_appears_without_a_reload_and_moves_no_row(
    open_page: Open, works: Works
) -> None:
    page = open_page(f"/live/{LINE}")
    expect(page.locator("#fresh")).to_have_text("Live")
    names = page.locator(".now").evaluate_all("rows => rows.map(row => row.ariaLabel)")
    row = page.get_by_role("group", name="IM 01")
    works.clock.at += SECOND
    works.append([rows("machine_state", STATE, [state(STANDING, works.clock.at, "execute")])])
    works.clock.at += SECOND
    try:
        expect(row).to_have_attribute("data-kind", "running")
        expect(row).to_contain_text("Running")
        expect(page.locator("#order-changed")).to_be_visible()
        assert page.locator(".now").evaluate_all("rows => rows.map(row => row.ariaLabel)") == names
    finally:
        works.clock.at += SECOND
        works.append([rows("machine_state", STATE, [state(STANDING, works.clock.at, "aborted")])])
        works.clock.at += 200 * SECOND


def test_where_a_proxy_breaks_sockets_the_page_asks_by_http(open_page: Open) -> None:
    page = open_page("/about")
    page.route_web_socket("**/live", lambda socket: socket.close())
    page.goto(page.url.replace("/about", f"/live/{LINE}"))
    expect(page.locator("#fresh")).to_have_text("Live, by polling", timeout=2 * WAIT)


AXE_RUN = """async () => {
    const found = await axe.run(document, {resultTypes: ["violations"]});
    return found.violations.filter((one) => ["serious", "critical"].includes(one.impact))
        .map((one) => `${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3).join(" ")}`);
}"""


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "de")])
def test_axe_finds_nothing_serious(open_page: Open, theme: str, language: str) -> None:
    if not AXE.is_file():
        pytest.skip("needs axe-core: run `npm ci`")
    for name, path in PAGES.items():
        page = open_page(path, theme=theme, language=language)
        if name != "overview":
            painted(page)
        page.evaluate(AXE.read_text("utf-8"))
        assert page.evaluate(AXE_RUN) == [], (name, theme, language)
        page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_first_visit_costs_at_most_100_kb_and_12_requests(
    browser: Browser, origin: str, session: list[Any], name: str
) -> None:
    context = browser.new_context()
    context.add_cookies(session)
    page = context.new_page()
    wire = context.new_cdp_session(page)
    loaded: dict[str, float] = {}
    names: dict[str, str] = {}
    wire.send("Network.enable")
    wire.on(
        "Network.requestWillBeSent", lambda e: names.update({e["requestId"]: e["request"]["url"]})
    )
    wire.on(
        "Network.loadingFinished",
        lambda e: loaded.update({names.get(e["requestId"], ""): e["encodedDataLength"]}),
    )
    page.goto(origin + PAGES[name], wait_until="networkidle")
    weight = sum(size for url, size in loaded.items() if not url.endswith(".woff2"))
    context.close()
    assert len(loaded) <= 12, sorted(loaded)
    assert weight <= 100_000


SIZES = [(1440, 900), (1024, 768), (390, 844)]
WRAPPED = """() => [...document.querySelectorAll(".n, .value, .nowrap, .chip, .since")]
    .filter((cell) => cell.checkVisibility() && !cell.querySelector("details, svg, br"))
    .filter((cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        const boxes = [...range.getClientRects()].filter((box) => box.width > 1);
        const tops = boxes.map((box) => box.top);
        return Math.max(...tops) - Math.min(...tops) > parseFloat(getComputedStyle(cell).fontSize);
    })
    .map((cell) => cell.textContent.trim())"""


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_cut_off_and_no_number_wraps(open_page: Open, name: str, language: str) -> None:
    page = open_page(PAGES[name], language=language)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, width
        assert page.evaluate(WRAPPED) == [], width


TABLETS = ((820, 1180), (1180, 820))
BEYOND = """([cells, place]) => {
    const edge = document.querySelector(place).getBoundingClientRect().right + 0.5;
    return [...document.querySelectorAll(cells)]
        .filter((cell) => cell.textContent.trim() && !cell.querySelector(".sr"))
        .map((cell) => {
            const range = document.createRange();
            range.selectNodeContents(cell);
            return [range.getBoundingClientRect(), cell.textContent.trim()];
        })
        .filter(([box], at, all) => {
            const [next] = all[at + 1] ?? [{}];
            const meets = next.top === box.top && next.left < box.right;
            return box.right > edge || !box.width || meets;
        })
        .map(([box, text]) => text);
}"""
"""Texts that reach beyond the edge of where they stand or into the next one, or are hidden."""
SIDEWAYS = """(place) => {
    const scroller = document.querySelector(place);
    return scroller.scrollWidth - scroller.clientWidth;
}"""


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_tablet_shows_the_biggest_loss_and_what_runs_without_scrolling_sideways(
    open_page: Open, language: str
) -> None:
    page = open_page("/overview/acme?cmp=prev", language=language)
    for width, height in TABLETS:
        page.set_viewport_size({"width": width, "height": height})
        expect(page.locator("#places .loss").first).to_have_text(re.compile("Un(known|bekannt)"))
        assert page.evaluate(BEYOND, ["#places .loss, #places .running", "#places .scroll"]) == []
        assert page.evaluate(SIDEWAYS, "#places .scroll") <= 0, width


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("span", ["24h", "7d", "30d"])
def test_a_tablet_shows_the_label_of_every_hour_that_has_one_whole(
    open_page: Open, works: Works, language: str, span: str
) -> None:
    hours = [NOW // HOUR * HOUR - number * HOUR for number in range(31 * 24)]
    counts = [Count("im-01", "t", hour, received=5, good=5, unmapped=5) for hour in hours]
    works.logs["hamburg"].append("im-01", None, Shaped(counts=counts), now=NOW)
    page = open_page(f"/complete/acme?range={span}", language=language)
    for width, height in TABLETS:
        page.set_viewport_size({"width": width, "height": height})
        labels = page.locator(".heat thead th:not(:has(.sr))")
        assert 6 <= labels.count() <= 12
        assert page.evaluate(BEYOND, [".heat thead th", "#hours .scroll"]) == [], width
        assert page.evaluate(SIDEWAYS, "#hours .scroll") <= 0, width


def test_the_clock_of_the_page_is_plant_time(open_page: Open, works: Works) -> None:
    page = open_page(f"/live/{LINE}")
    expect(page.locator("#fresh")).to_have_text("Live")
    shown = page.evaluate(
        "import(document.querySelector('script[type=module]').src.replace('shell.js', 'live.js'))"
        ".then((live) => live.plantNow())"
    )
    assert 0 <= shown - works.clock.at / 1000 < 60_000


def test_chromium_is_debians(browser: Browser) -> None:
    assert Path(CHROMIUM or "").is_file()
    assert browser.version


@pytest.mark.parametrize("stranger", ["http://evil.example", None])
def test_the_socket_refuses_pages_of_other_hosts(
    origin: str, session: list[Any], stranger: str | None
) -> None:
    url = origin.replace("http", "ws") + "/live"
    cookie = "; ".join(f"{one['name']}={one['value']}" for one in session)
    with pytest.raises(InvalidStatus, match="403"):
        connect(url, origin=stranger, additional_headers={"Cookie": cookie}, open_timeout=5)


def test_the_socket_refuses_who_did_not_sign_in(origin: str) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        connect(origin.replace("http", "ws") + "/live", origin=origin, open_timeout=5)


def heard_for_ever(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=5)


def test_the_socket_hangs_up_on_who_speaks_otherwise(origin: str, session: list[Any]) -> None:
    cookie = "; ".join(f"{one['name']}={one['value']}" for one in session)
    url = origin.replace("http", "ws") + "/live"
    with connect(url, origin=origin, additional_headers={"Cookie": cookie}) as socket:
        socket.send("hello?")
        with pytest.raises(ConnectionClosed):
            heard_for_ever(socket)
    assert socket.close_code == 4400
