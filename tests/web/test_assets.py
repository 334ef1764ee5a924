"""What travels to the browser: few bytes, ours only, kept for ever."""

import gzip
import re
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette

import isthmus.web
from isthmus.web import vendor
from isthmus.web.app import HERE
from isthmus.web.assets import Assets

WEB = Path(isthmus.web.__file__).parent
OURS = [*(WEB / "islands").glob("*.js"), *(WEB / "static").glob("*.js")]


@pytest.fixture
def assets() -> Assets:
    return Assets({"": HERE / "static", "islands/": HERE / "islands"})


@pytest.fixture
def client(assets: Assets) -> AsyncClient:
    app = Starlette()
    app.mount("/static", assets)
    return AsyncClient(transport=ASGITransport(app), base_url="http://plant")


@pytest.mark.parametrize(
    "island", sorted((WEB / "islands").glob("*.js")), ids=lambda path: path.name
)
def test_an_island_is_at_most_25_kb(island: Path) -> None:
    assert island.stat().st_size <= 25_000


def test_all_our_scripts_are_at_most_120_kb() -> None:
    assert sum(file.stat().st_size for file in OURS) <= 120_000


def test_our_components_are_at_most_12_kb() -> None:
    assert (WEB / "static" / "css" / "app.css").stat().st_size <= 12_288


def test_no_script_or_style_of_ours_names_another_host() -> None:
    for file in [*OURS, *(WEB / "static" / "css").glob("*.css"), *WEB.rglob("*.html")]:
        urls = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", file.read_text("utf-8"))
        assert [url for url in urls if "w3.org" not in url] == [], file.name


def test_no_template_has_inline_script_or_style() -> None:
    for file in (WEB / "templates").rglob("*.html"):
        text = file.read_text("utf-8")
        assert re.search(r"<script(?![^>]*(src=|application/json))", text) is None, file.name
        assert re.search(r"<style|\sstyle=|\son[a-z]+=\"|hx-on", text) is None, file.name


async def test_files_never_expire_under_their_digest(client: AsyncClient, assets: Assets) -> None:
    answer = await client.get(assets.url("css/app.css"))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    old = await client.get("/static/000000000000/css/app.css")
    assert old.headers["cache-control"] == "no-cache"
    assert (await client.get("/static/000000000000/..%2f..%2fapp.py")).status_code == 404


async def test_a_client_without_gzip_gets_the_file_as_it_is(
    client: AsyncClient, assets: Assets
) -> None:
    plain = await client.get(assets.url("shell.js"), headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == (WEB / "static" / "shell.js").read_bytes()


def test_another_file_makes_another_address(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a{}")
    before = Assets({"": tmp_path}).version
    (tmp_path / "a.css").write_text("b{}")
    assert Assets({"": tmp_path}).version != before


def test_missing_packages_are_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(vendor.VendorMissingError, match="npm ci"):
        vendor.require(tmp_path)
    with pytest.raises(vendor.VendorMissingError, match="npm ci"):
        vendor.copy(tmp_path / "node_modules", tmp_path)


def test_packages_are_copied_unchanged_and_listed_with_their_licence(tmp_path: Path) -> None:
    modules = vendor.REPOSITORY / "node_modules"
    if not modules.is_dir():
        pytest.skip("needs node_modules: run `npm ci`")
    vendor.copy(modules, tmp_path)
    vendor.require(tmp_path)
    copied = (tmp_path / "htmx" / "htmx.min.js").read_bytes()
    assert copied == (modules / "htmx.org" / "dist" / "htmx.min.js").read_bytes()
    assert all(package["version"] and package["license"] for package in vendor.packages(tmp_path))


def test_the_first_load_is_light() -> None:
    """Without the font: it is kept for ever and not needed to read."""
    files = ["css/tokens.css", "css/app.css", "shell.js", "live.js", "vendor/htmx/htmx.min.js"]
    islands = [
        (WEB / "islands" / name).read_bytes()
        for name in ("state-timeline.js", "timeline-layout.js")
    ]
    static = [(WEB / "static" / name).read_bytes() for name in files]
    assert sum(len(gzip.compress(body, 9)) for body in [*islands, *static]) <= 40_000
