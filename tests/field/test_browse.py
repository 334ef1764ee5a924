"""Crawling address spaces: complete, each node once, side by side, to be gone on with."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from isthmus.field.browse import Crawl, Crawled, NodeIndex
from isthmus.field.connector import Node, Refused, Unreachable


def node(tag: str, name: str = "", *, folder: bool = False, description: str = "") -> Node:
    return Node(tag, name or tag, f"/Plant/{name or tag}", has_children=folder,
                description=description)  # fmt: skip


class Tree:
    """An address space in memory that counts who asks, and how many at once."""

    def __init__(self, children: dict[str, list[Node]]) -> None:
        self.children = children
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.broken: dict[str, Exception] = {}

    async def browse(self, parent: str) -> AsyncIterator[Node]:
        self.asked.append(parent)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for child in self.children.get(parent, []):
                await asyncio.sleep(0)
                yield child
            if parent in self.broken:
                raise self.broken[parent]
        finally:
            self.at_once -= 1


def wide(folders: int, leaves: int) -> Tree:
    children = {"": [node(f"f{n}", folder=True) for n in range(folders)]}
    for n in range(folders):
        children[f"f{n}"] = [node(f"f{n}.t{m}") for m in range(leaves)]
    return Tree(children)


async def test_every_node_is_found_once():
    tree = wide(10, 20)
    crawled = await Crawl(tree.browse).run()
    assert len(crawled.nodes) == len({one.tag for one in crawled.nodes}) == 210
    assert crawled.complete


async def test_a_circle_ends():
    tree = Tree({"": [node("a", folder=True)], "a": [node("b", folder=True)],
                 "b": [node("a", folder=True), node("c")]})  # fmt: skip
    crawled = await Crawl(tree.browse).run()
    assert sorted(tree.asked) == ["", "a", "b"]
    assert {one.tag for one in crawled.nodes} == {"a", "b", "c"}


async def test_no_more_folders_are_opened_at_once_than_allowed():
    tree = wide(20, 5)
    await Crawl(tree.browse, at_once=3).run()
    assert tree.most_at_once == 3


async def test_by_default_never_two_at_once():
    tree = wide(5, 5)
    await Crawl(tree.browse).run()
    assert tree.most_at_once == 1


async def test_a_folder_that_is_refused_does_not_hide_the_others():
    tree = wide(3, 2)
    tree.broken["f1"] = Refused("no right to see it")
    crawled = await Crawl(tree.browse).run()
    assert crawled.refused == {"f1": "no right to see it"}
    assert len(crawled.nodes) == 9


async def test_a_device_that_shows_nothing_at_all_says_so():
    tree = wide(1, 1)
    tree.broken[""] = Refused("who are you?")
    with pytest.raises(Refused, match="who are you"):
        await Crawl(tree.browse).run()


@pytest.mark.parametrize("at_once", [1, 4])
async def test_an_interrupted_crawl_goes_on_where_it_was(at_once):
    tree = wide(10, 20)
    tree.broken["f6"] = Unreachable("the link broke")
    crawl = Crawl(tree.browse, at_once=at_once)
    with pytest.raises(Unreachable):
        await crawl.run()
    begun = crawl.so_far()
    assert not begun.complete
    assert crawl.progress.waiting == len(begun.waiting)
    tree.broken.clear()
    tree.asked.clear()
    crawled = await Crawl(tree.browse, begun=begun).run()
    assert "f6" in tree.asked
    assert "f0" not in tree.asked
    assert len(crawled.nodes) == 210
    assert crawled.complete


async def test_what_is_more_than_anybody_can_use_is_cut_and_said():
    crawled = await Crawl(wide(10, 20).browse, most=50).run()
    assert crawled.cut
    assert not crawled.complete


async def test_progress_can_be_watched():
    crawl = Crawl(wide(3, 2).browse)
    assert (crawl.progress.nodes, crawl.progress.complete) == (0, False)
    await crawl.run()
    assert (crawl.progress.nodes, crawl.progress.folders, crawl.progress.complete) == (9, 4, True)


def index() -> NodeIndex:
    return NodeIndex([
        node("ns=2;s=A", "Kühlzeit_Ist"),
        node("ns=2;s=Cycle", "CycleTime"),
        node("ns=2;s=B", "Time"),
        node("ns=2;s=C", "X1", description="time of one cycle"),
    ])  # fmt: skip


def names(text: str, **page: int) -> list[str]:
    return [one.name for one in index().search(text, **page).nodes]


def test_every_word_must_occur_and_names_come_first():
    assert names("time") == ["Time", "CycleTime", "X1"]
    assert names("cycle time") == ["CycleTime", "X1"]
    assert names("nothing") == []


def test_capitals_and_umlauts_do_not_matter():
    assert names("KUEHL") == names("kühl") == ["Kühlzeit_Ist"]


def test_a_search_is_shown_page_by_page():
    assert names("time", limit=1, offset=1) == ["CycleTime"]
    assert index().search("time", limit=1).total == 3
    assert index().search().total == 4


async def test_nothing_begun_is_not_complete():
    assert not Crawled().complete
