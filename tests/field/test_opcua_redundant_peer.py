"""Two servers of one redundant set, both node-opcua in processes of their own."""

import asyncio
import itertools
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509

from isthmus.base.clock import DAY, SECOND, SystemClock
from isthmus.field.connector import Refused
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource, certificates, lookout
from isthmus.field.connectors.opcua.session import ways_in
from isthmus.field.connectors.opcua.trust import TrustFolder
from isthmus.flow.contract import Gap
from isthmus.flow.log import SqliteLog
from isthmus.model.spec.site import Keep
from isthmus.runtime.sources import SourceEvent, SourceRunner
from isthmus.testing.connector_suite import opened, read_until
from isthmus.testing.one_source import T0, field, plant, readable
from isthmus.testing.peer import Peer, node_peer
from isthmus.testing.tcp_proxy import LOOPBACK

pytestmark = pytest.mark.peer

PEERS = Path(__file__).parent / "peers"
STATE = "ns=2;s=IM07.Status.StateCurrent"
PATIENCE = 30.0
TIMEOUT = 2.0
MILLISECOND = SECOND // 1000


class Pair(NamedTuple):
    first: Peer
    second: Peer

    def endpoint(self, peer: Peer) -> str:
        return f"opc.tcp://{LOOPBACK}:{peer.port}"

    def spec(self, **keys: Any) -> OpcuaSource:
        usual: dict[str, Any] = {
            "endpoint": self.endpoint(self.first),
            "endpoints": [self.endpoint(self.second)],
            "interval": "50 ms",
            "timeout": TIMEOUT,
        }
        return OpcuaSource(**(usual | keys))


class Session(NamedTuple):
    """As the server saw it, in our microseconds."""

    began: float
    ended: float
    """Infinity while it lasts."""


def sessions(peer: Peer) -> list[Session]:
    return [
        Session(began * MILLISECOND, ended * MILLISECOND if ended else float("inf"))
        for began, ended in json.loads(peer.tell(sessions=True))
    ]


@contextmanager
def pair_in(folder: Path) -> Iterator[Pair]:
    """Alike, but for their states: 6 is what the first tells, 2 what the second."""
    with ExitStack() as stack:
        both = []
        for name in ("first", "second"):
            papers = folder / name
            papers.mkdir()
            peer = node_peer(PEERS, "opcua.mjs", "node-opcua", str(papers))
            both.append(stack.enter_context(peer))
        both[1].tell(set="IM07.Status.StateCurrent", value=2)
        yield Pair(*both)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with pair_in(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """For tests that leave both alive and say how well they serve."""
    with pair_in(tmp_path_factory.mktemp("node-opcua")) as made:
        yield made


class Plant:
    """A source runner, and what became of its samples."""

    def __init__(self, folder: Path, spec: OpcuaSource) -> None:
        codes = (("2", "stopped"), ("4", "idle"), ("6", "execute"))
        mapped = field("a", "machine_state.state", STATE, codes=codes)
        source, whole = plant(mapped, spec=spec)
        self.log = SqliteLog(folder / "hamburg.sqlite", "hamburg", Keep())
        self.events: list[SourceEvent] = []
        self.runner = SourceRunner(
            source, whole, self.log, SystemClock(),
            on_rows=lambda _: None, on_event=self.events.append,
        )  # fmt: skip

    def states(self) -> list[tuple[float, str | None]]:
        """Each with its time in our microseconds; None is *unknown*."""
        rows = [
            readable(row)
            for parcel in self.log.read("rows", 0, 10_000)
            if parcel.name == "machine_state"
            for row in parcel.table().to_pylist()
        ]
        return [(T0 + row["time"] * SECOND, row.get("state")) for row in rows]

    def gaps(self) -> list[Gap]:
        return self.log.gaps(0, SystemClock().now() + DAY)

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, [event.what for event in self.events]
            await asyncio.sleep(0.01)

    async def until_it_is(self, state: str) -> None:
        await self.until(lambda: [last for _, last in self.states()][-1:] == [state])


@asynccontextmanager
async def running(folder: Path, spec: OpcuaSource) -> AsyncIterator[Plant]:
    made = Plant(folder, spec)
    task = asyncio.create_task(made.runner.run())
    try:
        yield made
    finally:
        made.runner.stop()
        await task
        made.log.close()


def certified(folder: Path, monkeypatch: pytest.MonkeyPatch) -> TrustFolder:
    """We have a certificate, and trust nobody."""
    monkeypatch.setenv("ISTHMUS_DATA", str(folder / "data"))
    ours, key = TrustFolder.of_this_site(), certificates.new_key()
    now, year = datetime.now(UTC), timedelta(days=365)
    ours.keep(certificates.issue(key, "plant-pc", now=now, valid=year), key)
    return ours


async def trusted(pair: Pair, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We have a certificate, and trust both servers."""
    ours = certified(folder, monkeypatch)
    for peer in pair:
        ours.trust(await shown(pair, peer))


async def shown(pair: Pair, peer: Peer) -> x509.Certificate:
    ways = await ways_in("im07", pair.spec(), pair.endpoint(peer))
    return next(way.chain[0] for way in ways if way.chain)


@pytest.mark.parametrize("security", ["none", "sign_and_encrypt"])
async def test_values_go_on_from_the_second_when_the_first_is_killed(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    await trusted(pair, tmp_path, monkeypatch)
    async with running(tmp_path, pair.spec(security=security)) as made:
        await made.until_it_is("execute")
        assert sessions(pair.second) == []
        os.kill(pair.first.pid, signal.SIGKILL)
        killed = SystemClock().now()
        await made.until_it_is("stopped")
        back = SystemClock().now()
        pair.second.tell(set="IM07.Status.StateCurrent", value=4)
        await made.until_it_is("idle")
        states, (gap,), (session,) = made.states(), made.gaps(), sessions(pair.second)
    assert [state for _, state in states] == ["execute", None, "stopped", "idle"]
    assert gap.reason == "lost"
    assert gap.end is not None
    assert states[0][0] <= gap.start <= killed + TIMEOUT * SECOND
    assert killed <= gap.end <= back
    assert [at for at, _ in states[1:3]] == pytest.approx([gap.start, gap.end], abs=1)
    assert killed - MILLISECOND <= session.began <= gap.end
    assert [event.what for event in made.events] == ["connected", "lost", "back", "stopped"]


async def test_a_first_server_that_hangs_is_left_and_not_taken_again_when_it_wakes(
    pair: Pair, tmp_path: Path
) -> None:
    async with running(tmp_path, pair.spec()) as made:
        await made.until_it_is("execute")
        os.kill(pair.first.pid, signal.SIGSTOP)
        try:
            await made.until_it_is("stopped")
        finally:
            os.kill(pair.first.pid, signal.SIGCONT)
        woken = sessions(pair.first)
        pair.second.tell(set="IM07.Status.StateCurrent", value=4)
        await made.until_it_is("idle")
        (gap,) = made.gaps()
    assert gap.reason == "lost"
    assert len(woken) == len(sessions(pair.first)) == 1
    assert len(sessions(pair.second)) == 1


async def test_the_second_is_read_when_the_first_says_it_serves_worse_and_never_both(
    pair: Pair, tmp_path: Path
) -> None:
    async with running(tmp_path, pair.spec()) as made:
        await made.until_it_is("execute")
        pair.first.tell(level=100)
        await made.until_it_is("stopped")
        (gap,) = made.gaps()
        lost = next(event.detail for event in made.events if event.what == "lost")
        at_first, at_second = sessions(pair.first), sessions(pair.second)
    assert (gap.reason, gap.end is not None) == ("lost", True)
    assert "ServiceLevel 100 instead of 255" in lost
    assert max(session.ended for session in at_first) <= at_second[0].began
    assert len(at_second) == 1


@pytest.mark.parametrize(
    ("levels", "best"), [((100, 150), "second"), ((150, 100), "first"), ((0, 1), "second")]
)
async def test_the_better_of_two_that_are_unwell_is_read_over_one_session_at_a_time(
    lasting: Pair, levels: tuple[int, int], best: str
) -> None:
    for peer, level in zip(lasting, levels, strict=True):
        peer.tell(level=level)
    async with opened(OpcuaConnector("im07", lasting.spec(), (STATE,), SystemClock())) as reading:
        await read_until(reading, lambda seen: len(seen) >= 1)
        assert reading.details()["endpoint"] == lasting.endpoint(getattr(lasting, best))
        every = sorted([*sessions(lasting.first), *sessions(lasting.second)])
    assert all(one.ended <= then.began for one, then in itertools.pairwise(every))
    assert every[-1].ended == float("inf")


async def test_an_unwell_server_is_left_once_another_one_is_well_again_and_never_two_are_read(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first search is in vain: the other one answers, but serves worse."""
    monkeypatch.setattr(lookout, "FIRST_LOOK", 0.5)
    for peer, level in zip(pair, (100, 150), strict=True):
        peer.tell(level=level)
    async with running(tmp_path, pair.spec()) as made:
        await made.until_it_is("stopped")
        await made.until(lambda: "back" in [event.what for event in made.events])
        pair.first.tell(level=255)
        await made.until_it_is("execute")
        gaps, states = made.gaps(), [state for _, state in made.states()]
        lost = [event.detail for event in made.events if event.what == "lost"]
        at_first, at_second = sessions(pair.first), sessions(pair.second)
    every = sorted([*at_first, *at_second])
    assert states[:3] == ["stopped", None, "stopped"]
    assert states[-2:] == [None, "execute"]
    assert {gap.reason for gap in gaps} == {"lost"}
    assert all(gap.end is not None for gap in gaps)
    assert all("is unwell (ServiceLevel 150) and opc.tcp" in detail for detail in lost)
    assert all(one.ended <= then.began for one, then in itertools.pairwise(every))
    assert every[-1] == at_first[-1]
    assert every[-1].ended == float("inf")


async def test_an_unwell_server_is_read_on_until_one_that_hangs_answers_again(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "FIRST_LOOK", 0.2)
    pair.second.tell(level=150)
    os.kill(pair.first.pid, signal.SIGSTOP)
    try:
        async with running(tmp_path, pair.spec()) as made:
            await made.until_it_is("stopped")
            began = time.monotonic()
            await made.until(lambda: time.monotonic() - began > 2 * TIMEOUT)
            said, unheard = [event.what for event in made.events], made.gaps()
            os.kill(pair.first.pid, signal.SIGCONT)
            await made.until_it_is("execute")
            (gap,) = made.gaps()
            (session,) = sessions(pair.second)
    finally:
        os.kill(pair.first.pid, signal.SIGCONT)
    assert (said, unheard) == (["connected"], [])
    assert (gap.reason, gap.end is not None) == ("lost", True)
    assert gap.start <= session.ended <= (gap.end or 0)


async def test_each_server_of_a_set_is_believed_by_a_certificate_of_its_own(
    lasting: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certified(tmp_path, monkeypatch)
    named = [tmp_path / "first.der", tmp_path / "second.der"]
    for file, peer in zip(named, lasting, strict=True):
        file.write_bytes(certificates.der(await shown(lasting, peer)))
    values = []
    for levels in ((255, 255), (100, 150)):
        for peer, level in zip(lasting, levels, strict=True):
            peer.tell(level=level)
        spec = lasting.spec(security="sign_and_encrypt", server_certificate=named)
        async with opened(OpcuaConnector("im07", spec, (STATE,), SystemClock())) as reading:
            values += [one.value for one in await read_until(reading, lambda seen: len(seen) >= 1)]
    assert values == [6.0, 2.0]
    swapped = lasting.spec(security="sign_and_encrypt", server_certificate=named[::-1])
    with pytest.raises(Refused) as refused:
        await OpcuaConnector("im07", swapped, (STATE,), SystemClock()).open()
    assert str(refused.value).count("is not the one that `server_certificate` names") == 2
