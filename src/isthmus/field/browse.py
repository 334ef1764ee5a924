"""Crawling a source's address space in the background, and finding something in it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from isthmus.field.connector import Node, Refused

MOST_NODES: Final = 200_000
"""More than a person or a mapping can use; what is beyond is said to be missing."""

SERVER_OWN: Final = frozenset({"i=2253", "ns=0;i=2253", "i=23470", "i=31915"})
"""OPC UA: the Server object, aliases, locations: thousands of nodes that are not the machine."""

Browse = Callable[[str], AsyncIterator[Node]]


@dataclass(frozen=True)
class Progress:
    """How far a crawl is."""

    nodes: int
    folders: int
    """Whose children are known."""
    waiting: int
    """Folders that were found and not yet opened; 0 when it is complete."""
    refused: int
    complete: bool


@dataclass(frozen=True)
class Crawled:
    """What is known of an address space: enough to go on from."""

    nodes: tuple[Node, ...] = ()
    waiting: tuple[str, ...] = ("",)
    """Folders still to be opened; the root is the empty one."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Folder → why the device does not show it."""
    folders: int = 0
    cut: bool = False
    """There is more than we keep."""

    @property
    def complete(self) -> bool:
        return not self.waiting


class Crawl:
    """Opens folder after folder, some at once, each node once (address spaces have circles)."""

    def __init__(
        self,
        browse: Browse,
        *,
        at_once: int = 1,
        begun: Crawled | None = None,
        most: int = MOST_NODES,
        leave_out: frozenset[str] = SERVER_OWN,
    ) -> None:
        begun = begun or Crawled()
        self._browse, self._at_once, self._most = browse, at_once, most
        self._leave_out = leave_out
        self._nodes = {node.tag: node for node in begun.nodes}
        self._waiting = deque(begun.waiting)
        self._opening: set[str] = set()
        self._refused = dict(begun.refused)
        self._folders = begun.folders

    @property
    def progress(self) -> Progress:
        waiting = len(self._waiting) + len(self._opening)
        return Progress(
            len(self._nodes), self._folders, waiting, len(self._refused), complete=not waiting
        )

    def so_far(self) -> Crawled:
        """Also in the middle of it: folders that are half read count as not opened."""
        return Crawled(
            nodes=tuple(self._nodes.values()),
            waiting=(*sorted(self._opening), *self._waiting),
            refused=dict(self._refused),
            folders=self._folders,
            cut=len(self._nodes) >= self._most,
        )

    async def run(self) -> Crawled:
        """To the end; Unreachable goes through, and `so_far` is what to go on from."""
        running: set[asyncio.Task[None]] = set()
        try:
            while (self._waiting or running) and len(self._nodes) < self._most:
                while self._waiting and len(running) < self._at_once:
                    folder = self._waiting.popleft()
                    self._opening.add(folder)
                    running.add(asyncio.create_task(self._open(folder)))
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return self.so_far()

    async def _open(self, folder: str) -> None:
        # Every connector's `browse` is an async generator; its type says only that it iterates.
        children = cast("Any", self._browse(folder))
        try:
            async with aclosing(children):
                async for node in children:
                    self._found(node, folder)
        except Refused as error:
            if not folder:
                raise  # it shows nothing at all
            self._refused[folder] = str(error)
        self._opening.discard(folder)
        self._folders += 1

    def _found(self, node: Node, folder: str) -> None:
        if node.tag in self._nodes or node.tag in self._leave_out:
            return
        above = self._nodes.get(folder)
        if above is not None and not node.path.startswith(above.path):
            # A connector that was opened anew does not remember where the folder stands.
            node = replace(node, path=f"{above.path}/{node.path.rpartition('/')[2]}")
        self._nodes[node.tag] = node
        if node.has_children:
            self._waiting.append(node.tag)


# Finding -------------------------------------------------------------------------------------

_FOLDED: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


class NodeIndex:
    """Search over all nodes of a source: every word must occur, names come before paths."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = tuple(nodes)
        self._names = [_folded(node.name) for node in self._nodes]
        self._all = [
            "\n".join(map(_folded, (node.path, node.name, node.tag, node.description)))
            for node in self._nodes
        ]

    def __len__(self) -> int:
        return len(self._nodes)

    def search(
        self, text: str = "", *, limit: int = 100, offset: int = 0, under: str = ""
    ) -> "Found":
        """One page of what contains every word of `text`, in capitals or not, ä or ae.

        `under`: only what is below the node of that path.
        """
        words = _folded(text).split()
        places = [
            place
            for place, whole in enumerate(self._all)
            if all(word in whole for word in words) and self._below(place, under)
        ]
        if words:
            places.sort(key=lambda place: self._rank(place, words))
        page = places[offset : offset + limit]
        return Found(tuple(self._nodes[place] for place in page), len(places))

    def _below(self, place: int, under: str) -> bool:
        return not under or self._nodes[place].path.startswith(f"{under.rstrip('/')}/")

    def _rank(self, place: int, words: Sequence[str]) -> tuple[int, int]:
        name = self._names[place]
        if name == " ".join(words):
            return 0, place
        if all(word in name for word in words):
            return (1 if name.startswith(words[0]) else 2), place
        return 3, place


@dataclass(frozen=True)
class Found:
    """One page of a search, and how many there are in all."""

    nodes: tuple[Node, ...]
    total: int


def _folded(text: str) -> str:
    return text.lower().translate(_FOLDED)
