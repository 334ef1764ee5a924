"""The site builds without a warning, and its pages ask nobody else for anything."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

pytestmark = pytest.mark.skipif(
    find_spec("mkdocs") is None, reason="needs mkdocs-material: `make docs` installs it"
)
ASKS = re.compile(
    r"""<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
)
"""An element for which a browser makes a request by itself."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    built: Path = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", built / "docs")
    shutil.copy(ROOT / "mkdocs.yml", built)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(built / "site")],
        cwd=built, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return built / "site"


def test_no_page_asks_a_foreign_origin(site):
    foreign = {
        (page.name, link)
        for page in site.rglob("*.html")
        for link in ASKS.findall(page.read_text("utf-8"))
    }
    assert foreign == set()


def test_no_style_asks_a_foreign_origin(site):
    styles = [sheet.read_text("utf-8") for sheet in site.rglob("*.css")]
    assert styles
    assert [one for one in styles if re.search(r"url\(['\"]?(?:https?:)?//", one)] == []
