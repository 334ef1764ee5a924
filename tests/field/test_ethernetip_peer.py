"""The EtherNet/IP connector against cpppo: a Logix simulator nobody of us wrote.

cpppo has tags, arrays, strings of CIP and many services in one message; it has no structures, no
BOOL arrays and no tag list, for which see the controller in `test_ethernetip.py`.
"""

import importlib.util
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from isthmus.base.clock import SystemClock
from isthmus.field.connector import Connector, Unsupported
from isthmus.field.connectors.ethernetip import EthernetIpConnector, EthernetIpSource
from isthmus.field.connectors.ethernetip.values import BAD_INDEX_RANGE_NO_DATA
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD
from isthmus.testing.connector_suite import ConnectorContract, Value, opened, read_once
from isthmus.testing.ethernetip_controller import write_requests
from isthmus.testing.peer import Peer
from isthmus.testing.tcp_proxy import LOOPBACK

pytestmark = pytest.mark.peer

PEERS = Path(__file__).parent / "peers"
TAGS = {
    "Count": "DINT",
    "Counts": "INT[100]",
    "Speed": "REAL",
    "Exact": "LREAL",
    "Total": "LINT[2]",
    "Running": "BOOL",
    "Mould": "SSTRING",
    "Program:Main.Step": "INT",
    "Recipe.Temp": "REAL",
    **{f"T{number}": "DINT" for number in range(200)},
}
CONTENTS: dict[str, tuple[str, list[Any]]] = {
    "Count": ("DINT", [41]),
    "Counts[3]": ("INT", [-7]),
    "Speed": ("REAL", [3.5]),
    "Exact": ("LREAL", [0.1]),
    "Total[1]": ("LINT", [2**60]),
    "Running": ("BOOL", [1]),
    "Mould": ("SSTRING", ['"Deckel 012"']),
    "Program:Main.Step": ("INT", [12]),
    "Recipe.Temp": ("REAL", [231.5]),
    "T199": ("DINT", [199]),
}


class Controller:
    """The peer, in the words of the suite."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.port = peer.port

    async def set(self, tag: str, value: Value) -> None:
        assert isinstance(value, float | int)
        self._peer.tell(tag=tag, type=CONTENTS[tag][0], values=[int(value)])


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    if importlib.util.find_spec("cpppo") is None:
        pytest.skip("cpppo is not installed: it is among the packages for tests")
    tags = [f"{name}={kind}" for name, kind in TAGS.items()]
    with Peer([sys.executable, "logix.py", *tags], PEERS) as running:
        for tag, (kind, values) in CONTENTS.items():
            running.tell(tag=tag, type=kind, values=values)
        yield running


def source(port: int, **keys: Any) -> EthernetIpSource:
    return EthernetIpSource(host=LOOPBACK, port=port, timeout=1.0, **keys)


class TestContract(ConnectorContract):
    connector: ClassVar[type[Connector[Any]]] = EthernetIpConnector
    tags: ClassVar[dict[str, Any]] = {
        "Count": 41.0,
        "Count.5": 1.0,
        "Counts[3]": -7.0,
        "Speed": 3.5,
        "Exact": 0.1,
        "Total[1]": str(2**60),
        "Running": 1.0,
        "Mould": "Deckel 012",
        "Program:Main.Step": 12.0,
        "Recipe.Temp": 231.5,
    }
    change: ClassVar[tuple[str, Any]] = ("Program:Main.Step", 13.0)
    unknown: ClassVar[str] = "Nothing"
    lost_within: ClassVar[float] = 2.5

    @pytest.fixture(autouse=True)
    def _peer(self, peer: Peer) -> None:
        self.controller = Controller(peer)

    @asynccontextmanager
    async def device(self) -> AsyncIterator[Controller]:
        await self.controller.set("Program:Main.Step", 12)
        yield self.controller

    def spec(self, host: str, port: int) -> EthernetIpSource:
        return source(port)

    def write_requests(self, sent: bytes) -> list[str]:
        return write_requests(sent)


@pytest.mark.parametrize("connection_size", [500, 4000])
async def test_two_hundred_tags_in_groups(peer: Peer, connection_size: int) -> None:
    tags = [f"T{number}" for number in range(200)]
    spec = source(peer.port, connection_size=connection_size)
    async with opened(EthernetIpConnector("press_1", spec, tags, SystemClock())) as reading:
        samples = await read_once(reading)
    assert {s.tag: s.value for s in samples} == dict.fromkeys(tags, 0.0) | {"T199": 199.0}


async def test_what_is_not_there_is_bad_and_the_others_are_read(peer: Peer) -> None:
    tags = ["Count", "Counts[100]", "Nothing[3]"]
    spec = source(peer.port)
    async with opened(EthernetIpConnector("press_1", spec, tags, SystemClock())) as reading:
        samples = await read_once(reading)
    assert {sample.tag: sample.quality for sample in samples} == {
        "Count": GOOD,
        "Counts[100]": BAD_INDEX_RANGE_NO_DATA,
        "Nothing[3]": BAD_NODE_UNKNOWN,
    }


async def test_a_controller_without_a_tag_list_cannot_be_browsed(peer: Peer) -> None:
    spec = source(peer.port)
    async with opened(EthernetIpConnector("press_1", spec, [], SystemClock())) as reading:
        with pytest.raises(Unsupported, match="tells no list of its tags"):
            assert [node async for node in reading.browse()] == []
