"""The ADS connector against pyads's test server, and our simulated router against pyads.

pyads's server has no notifications over the wire and no sum commands about names, so the
connector's other ways are what is shown here; the simulator of `test_ads.py`, which has them, is
in turn read by pyads, whose library by the maker of TwinCAT nobody of us wrote.
"""

import asyncio
import importlib.util
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from isthmus.field.connector import Connector
from isthmus.field.connectors.ads import AdsConnector, AdsSource
from isthmus.testing.ads_router import AdsRouter, write_requests
from isthmus.testing.connector_suite import ConnectorContract, Value, until
from isthmus.testing.peer import Peer
from isthmus.testing.tcp_proxy import LOOPBACK

pytestmark = pytest.mark.peer

PEERS = Path(__file__).parent / "peers"


def python_peer(script: str, *arguments: str) -> Peer:
    if importlib.util.find_spec("pyads") is None:
        pytest.skip("pyads is not installed: it is among the packages for tests")
    return Peer([sys.executable, script, *arguments], PEERS)


class Controller:
    """The peer, in the words of the suite."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.port = peer.port

    async def set(self, tag: str, value: Value) -> None:
        self._peer.tell(tag=tag, value=value)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with python_peer("ads_server.py") as running:
        yield running


class TestContract(ConnectorContract):
    connector: ClassVar[type[Connector[Any]]] = AdsConnector
    tags: ClassVar[dict[str, Any]] = {
        "MAIN.fTemp": 12.5,
        "MAIN.nCount": 41.0,
        "MAIN.stRecipe.fTemp": 231.5,
        "GVL.aCounts[3]": -7.0,
        "GVL.bRun": 1.0,
        "GVL.nTotal": str(2**60),
        "GVL.sMould": "gießen",
        "GVL.wsName": "Łódź",
    }
    change: ClassVar[tuple[str, Any]] = ("MAIN.fTemp", 13.5)
    unknown: ClassVar[str] = "MAIN.fNothing"
    patience: ClassVar[float] = 1.5  # it leaves one question of each opening without an answer
    lost_within: ClassVar[float] = 3.0

    @pytest.fixture(autouse=True)
    def _peer(self, peer: Peer) -> None:
        self.controller = Controller(peer)

    @asynccontextmanager
    async def device(self) -> AsyncIterator[Controller]:
        await self.controller.set("MAIN.fTemp", 12.5)
        yield self.controller

    def spec(self, host: str, port: int) -> AdsSource:
        return AdsSource(host=host, port=port, timeout=0.5, interval=0.02)

    def write_requests(self, sent: bytes) -> list[str]:
        return write_requests(sent)


async def test_the_simulator_is_right_in_the_eyes_of_pyads() -> None:
    symbols = {"MAIN.fTemp": "LREAL", "GVL.aCounts": "ARRAY [0..3] OF INT", "GVL.bRun": "BOOL"}
    symbols |= {"MAIN.nCount": "UDINT", "GVL.sMould": "STRING(20)"}
    values = {"MAIN.fTemp": 12.5, "GVL.aCounts": [1, 2, 3, -7], "GVL.bRun": True}
    values |= {"MAIN.nCount": 41, "GVL.sMould": "Deckel"}
    wanted = ["MAIN.fTemp=LREAL", "GVL.aCounts[3]=INT", "GVL.bRun=BOOL", "MAIN.nCount=UDINT",
              "GVL.sMould=STRING"]  # fmt: skip
    async with AdsRouter(symbols, values) as router:
        router.clock_offset = -3600
        address = f"{LOOPBACK}:{router.port}"
        peer = python_peer("ads_client.py", address, "127.0.0.1.1.1", *wanted)
        await asyncio.to_thread(peer.__enter__)
        try:
            await until(lambda: router.notifications == 1, "no notification is asked for")
            router.put("MAIN.fTemp", 13.5)
            said = json.loads(await asyncio.to_thread(peer.tell))
        finally:
            await asyncio.to_thread(peer.__exit__, None, None, None)
    assert said["values"] == {
        "MAIN.fTemp": 12.5, "GVL.aCounts[3]": -7, "GVL.bRun": True, "MAIN.nCount": 41,
        "GVL.sMould": "Deckel",
    }  # fmt: skip
    assert said["all"]["MAIN.nCount"] == 41
    assert said["state"] == [5, 0]
    stamp, value = said["seen"][-1]  # the first may come before pyads listens
    assert value == 13.5
    assert abs(stamp - (time.time() - 3600)) < 60, "the controller's own clock"
    assert len(router.writes) == 1, "and a write is refused and remembered"
    assert said["write"] == 0x701
