"""Debian's Chromium, as UI.md measures with it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bench.company import Company
from playwright.sync_api import Browser, BrowserContext, sync_playwright

ARGUMENTS: Final = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def signed_in(browser: Browser, running: Company) -> BrowserContext:
    """A browser's session of its own, nothing cached but the sign-in."""
    cookies = running.sign_in().cookies
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=running.url)
    context.add_cookies(
        [{"name": cookie.name, "value": cookie.value or "", "url": running.url}
         for cookie in cookies.jar]
    )  # fmt: skip
    return context
