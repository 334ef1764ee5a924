"""Every internal link, anchor and image of the documentation resolves; pages are in the nav."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.docs.pages import DOCS, ROOT

PAGES = sorted(DOCS.rglob("*.md"))
TOP = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    """Without code, in which brackets mean something else."""
    return re.sub(r"`[^`\n]*`", "", BLOCK.sub("", page.read_text("utf-8")))


def links(page: Path) -> Iterator[str]:
    yield from (link for link in LINK.findall(text_of(page)) if "://" not in link)


def anchors(page: Path) -> set[str]:
    """As mkdocs makes them of headings."""
    text = BLOCK.sub("", page.read_text("utf-8"))
    heads = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return {slug(re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", head)) for head in heads}


def slug(head: str) -> str:
    kept = re.sub(r"[^\w\s-]", "", head.encode("ascii", "ignore").decode()).strip().lower()
    return re.sub(r"[-\s]+", "-", kept)


@pytest.mark.parametrize("page", [*PAGES, *TOP], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    broken = []
    for link in links(page):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_in_the_navigation():
    # `!` tags of extensions have no meaning here.
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    assert sorted(listed(nav)) == sorted(str(page.relative_to(DOCS)) for page in PAGES)


def listed(entry: object) -> Iterator[str]:
    match entry:
        case str(page):
            yield page
        case list(entries):
            for one in entries:
                yield from listed(one)
        case dict(named):
            for one in named.values():
                yield from listed(one)


def test_images_are_small():
    for image in (DOCS / "images").glob("*.png"):
        assert image.stat().st_size <= 150_000, image.name
