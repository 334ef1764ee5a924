"""Connecting a machine in Chromium: the real platform, an OPC UA server of 10,000 nodes."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from isthmus.testing.opcua_server import OpcuaServer
from isthmus.web.auth import Accounts, accounts_folder

from .conftest import PASSWORD
from .press_company import CYCLE, FOLDERS, MACHINE, PRESS, TAGS, fill, texts, written
from .test_browser import ARGUMENTS, AXE, AXE_RUN, CHROMIUM, SIZES, WAIT, WRAPPED, Seen

NODES = FOLDERS * TAGS
MOST_ROWS = 80
"""In the page at once, of more than ten thousand."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


def apart(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """In a thread of its own: Playwright's loop runs in this one."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(lambda: asyncio.run(work())).result(60)


@pytest.fixture(scope="module")
def server() -> Iterator[OpcuaServer]:
    with OpcuaServer(PRESS) as running:
        apart(lambda: running.run(fill))
        yield running


@pytest.fixture(scope="module")
def model(server: OpcuaServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("connect") / "model", server.port)


@pytest.fixture(scope="module")
def origin(model: Path) -> Iterator[str]:
    """The platform as `isthmus up` starts it, in a process of its own."""
    data = model.parent / "data"
    accounts = Accounts(accounts_folder(data))
    accounts.create("engineer", "Erika Engineer", "engineer", PASSWORD)
    accounts.close()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = os.environ | {"ISTHMUS_DATA": str(data), "ISTHMUS_PORT": str(port)}
    command = [sys.executable, "-m", "isthmus.runtime.serve", str(model)]
    platform = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        ready(address)
        yield address
    finally:
        platform.terminate()
        platform.wait(30)


def ready(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/healthz").json()["status"] == "ready":
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the platform did not start")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def session(browser: Browser, origin: str) -> list[Any]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{origin}/login")
    page.get_by_label("Name").fill("engineer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/overview/acme$"))
    cookies = list(context.cookies())
    context.close()
    return cookies


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, origin: str, session: list[Any]) -> Iterator[Open]:
    """Open a page as the engineer; at the end nothing may have gone wrong unseen."""
    seen = Seen()
    contexts: list[BrowserContext] = []

    def opened(
        path: str,
        *,
        language: str = "en",
        theme: str = "light",
        size: tuple[int, int] = (1440, 900),
        density: str = "normal",
    ) -> Page:
        viewport = {"width": size[0], "height": size[1]}
        context = browser.new_context(viewport=viewport, locale="en-GB")  # type: ignore[arg-type]
        context.set_default_timeout(WAIT)
        chosen = f"{language}.{theme}.{density}.on"
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


BROWSE = "/browse/acme/hamburg?sel=im07"


def looked_around(page: Page) -> None:
    """The crawl began by itself; wait for its end."""
    expect(page.locator(".crawl")).to_contain_text(
        re.compile(r"of 10,\d{3} entries"), timeout=60_000
    )


def test_from_the_list_to_ten_thousand_nodes_of_which_few_rows_are_in_the_page(
    open_page: Open,
) -> None:
    page = open_page("/connect/acme")
    expect(page.locator("#source-im07 .s-connected")).to_be_visible()
    page.get_by_role("link", name="Browse im07").click()
    looked_around(page)
    rows = page.locator(".nodes .node")
    expect(rows.first).to_be_visible()
    assert rows.count() <= MOST_ROWS
    total = int(rows.first.get_attribute("aria-setsize") or 0)
    assert total > NODES
    page.locator(".nodes").evaluate("list => list.scrollTop = list.scrollHeight")
    expect(page.locator(f"#node-{total - 1}")).to_be_visible()
    assert rows.count() <= MOST_ROWS


def test_search_comes_first_and_is_quick(open_page: Open, record_property: Any) -> None:
    page = open_page(BROWSE)
    looked_around(page)
    began = time.perf_counter()
    page.get_by_role("searchbox").fill("area17 tag19")
    expect(page.locator(".crawl")).to_contain_text("11 of 10,")
    record_property("search_seconds", time.perf_counter() - began)
    expect(page.locator(".node")).to_have_count(11)
    expect(page).to_have_url(re.compile("q=area17\\+tag19"))
    page.reload()
    expect(page.locator(".node")).to_have_count(11)


def test_the_address_space_is_used_with_the_keyboard_alone(open_page: Open) -> None:
    page = open_page(BROWSE)
    looked_around(page)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("area7")
    expect(page.locator(".node").first).to_contain_text("Area7")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".nodes")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".trail")).to_contain_text("Area7")
    expect(page.locator(".crawl")).to_contain_text("200 of 10,")
    page.keyboard.press("End")
    expect(page.locator("#node-199")).to_be_visible()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator(".tag")).to_have_count(1)
    expect(page.locator(".node[aria-selected=true]")).to_have_count(1)
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".crawl")).to_contain_text(re.compile(r"10,\d{3} of 10,"))


def test_chosen_tags_are_shown_live_with_quality_rate_and_spark_line(
    open_page: Open, server: OpcuaServer
) -> None:
    page = open_page(f"{BROWSE}&q=zykluszeit")
    looked_around(page)
    page.locator(".node", has_text="IM07.Zykluszeit").first.click()
    card = page.locator(".tag").first
    expect(card.locator(".value")).to_have_text("28.1")
    apart(lambda: server.set(CYCLE, 31.25))
    expect(card.locator(".value")).to_have_text("31.25")
    expect(card.locator(".facts")).to_contain_text("good")
    expect(card.locator(".facts")).to_contain_text("/s")
    expect(card.locator("svg path")).to_have_attribute("d", re.compile("^M.*V.*H300$"))
    expect(card.locator(".bounds")).to_contain_text("28.1 … 31.25")
    apart(lambda: server.set(CYCLE, 28.1))
    assert "tag=" in page.url
    page.reload()
    expect(page.locator(".tag .value")).not_to_have_text("–")


def test_a_mapping_is_accepted_shown_and_applied_with_taps(open_page: Open, model: Path) -> None:
    page = open_page(BROWSE)
    looked_around(page)
    before = texts(model)
    page.goto(page.url.partition("/browse")[0] + f"/map/{MACHINE}")
    wish = page.locator("fieldset.wish", has_text="part_count.good")
    expect(wish.locator("input[type=radio]").first).to_be_checked()
    produced = page.locator("fieldset.wish", has_text="part_count.produced")
    produced.get_by_label("No tag").check()
    page.get_by_role("button", name="Show the change").click()
    expect(page.locator("#change .add").first).to_be_visible()
    assert texts(model) == before
    page.get_by_role("button", name="Write and apply").click()
    expect(page.get_by_text("Written and applied.")).to_be_visible()
    assert "part_count.good" in texts(model)["press.yaml"]
    expect(page.locator("#mapped")).to_contain_text("part_count.good")


def test_an_endpoint_is_drafted_asked_for_its_security_and_tested(
    open_page: Open, server: OpcuaServer, model: Path
) -> None:
    page = open_page("/connect/acme")
    before = texts(model)
    page.get_by_role("link", name="Add a source").click()
    page.get_by_role("link", name="opcua").click()
    page.get_by_label("Short name").fill("im08")
    page.locator("[name='k.endpoint']").fill(f"opc.tcp://127.0.0.1:{server.port}")
    page.get_by_role("button", name="Save the draft").click()
    page.get_by_role("button", name="Ask the server what it offers").click()
    expect(page.locator("#security")).to_contain_text("no encryption")
    page.get_by_role("button", name="Test for 60 s").click()
    expect(page.locator("#trial-now")).to_contain_text(re.compile("Listening: [2-9] of 60 s"))
    assert texts(model) == before
    page.get_by_role("button", name="Discard the draft").click()
    expect(page.locator("#sources")).not_to_contain_text("im08")


def test_a_source_of_the_model_is_changed_and_the_change_undone(
    open_page: Open, model: Path
) -> None:
    before = texts(model)
    page = open_page("/connect/acme")
    page.get_by_role("link", name="Endpoint of im07").click()
    page.get_by_text("More settings").click()
    page.locator("[name='k.timeout']").fill("9 s")
    page.get_by_role("button", name="Show the change").click()
    expect(page.locator("#change .add").first).to_contain_text("timeout: 9 s")
    assert texts(model) == before
    page.get_by_role("button", name="Write and apply").click()
    expect(page.get_by_text("Written and applied.")).to_be_visible()
    assert "timeout: 9 s" in texts(model)["hamburg.yaml"]
    page.get_by_role("link", name="Undo").click()
    expect(page.locator("#change .del").first).to_contain_text("timeout: 9 s")
    page.get_by_role("button", name="Write and apply").click()
    expect(page.get_by_text("Written and applied.")).to_be_visible()
    assert texts(model) == before


def test_keys_of_one_of_several_kinds_are_shown_once_it_is_chosen(open_page: Open) -> None:
    page = open_page("/endpoint/acme/hamburg?kind=http")
    page.get_by_text("More settings").click()
    token = page.locator("[name='k.auth.bearer.token']")
    expect(token).to_be_hidden()
    page.get_by_role("radio", name="bearer").focus()
    page.keyboard.press("Space")
    expect(token).to_be_visible()
    expect(page.locator("[name='k.auth.basic.user']")).to_be_hidden()
    since = page.get_by_role("checkbox", name="since")
    expect(page.locator("[name='k.since.parameter']")).to_be_hidden()
    since.focus()
    page.keyboard.press("Space")
    expect(page.locator("[name='k.since.parameter']")).to_be_visible()


def test_machines_of_a_file_are_looked_at_and_applied(
    open_page: Open, model: Path, tmp_path: Path
) -> None:
    before = texts(model)
    table = tmp_path / "presses.csv"
    table.write_text("machine;root;source\nim-31;IM31;im07\nim-31;IM32;im07\n")
    page = open_page("/connect/acme/hamburg")
    page.get_by_role("link", name="Add machines").click()
    page.get_by_label("Machine type").select_option("press")
    page.get_by_role("button", name="Next").first.click()
    with page.expect_download() as empty:
        page.get_by_role("link", name="Download an empty table").click()
    assert empty.value.suggested_filename == "press.csv"
    page.get_by_label("or a CSV file").set_input_files(table)
    page.get_by_role("button", name="Check and show the change").click()
    expect(page.locator("#preview td.wrong")).to_contain_text("stands in row 2 already")
    expect(page.locator("#change")).to_have_count(0)
    page.get_by_role("textbox", name="The table").fill("machine;root;source\nim-31;IM31;im07\n")
    page.get_by_role("button", name="Check and show the change").click()
    expect(page.locator("#preview")).to_contain_text("1 machine")
    page.get_by_role("button", name="Write and apply").click()
    expect(page.get_by_text("Written and applied.")).to_be_visible()
    assert "im-31" in texts(model)["hamburg.yaml"]
    page.get_by_role("link", name="Undo").click()
    page.get_by_role("button", name="Write and apply").click()
    expect(page.get_by_text("Written and applied.")).to_be_visible()
    assert texts(model) == before


LINE = "hamburg/hall/line-1"
BLOCKS = "b.injection_cycle=1&b.part_count=1&b.machine_state=1"
PAGES = {
    "connect": "/connect/acme",
    "browse": f"{BROWSE}&q=zyklus&tag=ns%3D2%3Bs%3DIM07.Zykluszeit",
    "map": f"/map/{MACHINE}?{BLOCKS}&show=1&f.part_count.scrap=ns%3D2%3Bs%3DIM07.Ausschuss",
    "machines": "/machines/acme/hamburg?type=press&line=hamburg/hall/line-1",
    "kinds": "/endpoint/acme/hamburg",
    "form": "/endpoint/acme/hamburg?kind=opcua",
    "nested": "/endpoint/acme/hamburg?kind=http",
    "off": "/endpoint/acme/hamburg?sel=im07&show=off",
    "endpoint": "/endpoint/acme/hamburg?sel=im07",
    "new": f"/map/acme/hamburg?sel=im07&name=im-08&line={LINE}&newtype=press_2&{BLOCKS}",
}


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "de")])
def test_axe_finds_nothing_serious(open_page: Open, theme: str, language: str) -> None:
    if not AXE.is_file():
        pytest.skip("needs axe-core: run `npm ci`")
    for name, path in PAGES.items():
        page = open_page(path, theme=theme, language=language)
        if name == "browse":
            expect(page.locator(".tag svg")).to_be_visible()
        page.evaluate(AXE.read_text("utf-8"))
        assert page.evaluate(AXE_RUN) == [], (name, theme, language)
        page.context.close()


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_cut_off_and_no_number_wraps(open_page: Open, name: str, language: str) -> None:
    page = open_page(PAGES[name], language=language)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, width
        assert page.evaluate(WRAPPED) == [], width


LIKE_A_HALL = """
document.querySelector(".sources tbody th a").textContent = "machining-agent";
document.querySelector(".sources td.mono").firstChild.textContent = "opc.tcp";
const machines = document.querySelectorAll(".sources td")[5];
machines.innerHTML = [1, 2, 3].map(n => `<a class="nowrap">MC ${n}</a>`).join(", ");
"""
CLIPPED = "const list = document.querySelector('.scroll'); list.scrollWidth - list.clientWidth"


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_tablet_shows_the_list_with_its_buttons_without_scrolling_sideways(
    open_page: Open, language: str
) -> None:
    page = open_page("/connect/acme", language=language, size=(820, 1180))
    page.evaluate(LIKE_A_HALL)
    assert page.evaluate(CLIPPED) <= 0
    page.locator(".sources tbody th a").click()
    expect(page).to_have_url(re.compile("/browse/"))
