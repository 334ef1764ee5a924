"""Two servers of one redundant set in processes of their own: both node-opcua, or open62541."""

import asyncio
import itertools
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509

from isthmus.base.clock import DAY, SECOND, Micros, SystemClock
from isthmus.field.connector import Refused
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource, certificates, lookout
from isthmus.field.connectors.opcua.session import ways_in
from isthmus.field.connectors.opcua.trust import TrustFolder
from isthmus.flow.contract import Gap
from isthmus.flow.log import SqliteLog
from isthmus.model.spec.site import Keep
from isthmus.runtime.sources import SourceEvent, SourceRunner
from isthmus.testing.connector_suite import opened, read_until
from isthmus.testing.mosquitto import free_port
from isthmus.testing.one_source import T0, field, plant, readable
from isthmus.testing.peer import Peer, node_peer, python_peer
from isthmus.testing.tcp_proxy import LOOPBACK

pytestmark = pytest.mark.peer

PEERS = Path(__file__).parent / "peers"
ENVIRONMENT = PEERS.parents[2] / ".venv-peers"
PATIENCE = 30.0
TIMEOUT = 2.0
MILLISECOND = SECOND // 1000


class Kind(NamedTuple):
    """Of a server."""

    state: str
    """Tag of the machine's state."""
    start: Callable[[Path], Peer]
    """With a folder for its certificates."""
    opens_within: Micros = 1
    """A first value is not older than that at the end of opening: else it counts from there on."""

    @property
    def name(self) -> str:
        """What it calls its state itself."""
        return self.state.rpartition("=")[2]


NODE_OPCUA = Kind(
    "ns=2;s=IM07.Status.StateCurrent",
    lambda folder: node_peer(PEERS, "opcua.mjs", "node-opcua", str(folder)),
)
OPEN62541 = Kind(
    "nsu=urn:peer:plant;s=IM07.State",
    lambda _: python_peer(ENVIRONMENT, PEERS, "opcua_open62541.py", str(free_port())),
    opens_within=SECOND,  # its values are as old as the question for them
)


@dataclass(frozen=True)
class Pair:
    kind: Kind
    first: Peer
    second: Peer

    @property
    def both(self) -> tuple[Peer, Peer]:
        return self.first, self.second

    def serve(self, *levels: int) -> None:
        """How well the first and the second serve."""
        for peer, level in zip(self.both, levels, strict=True):
            peer.tell(level=level)

    def show(self, peer: Peer, state: int) -> None:
        peer.tell(set=self.kind.name, values=[state])

    def connector(self, **keys: Any) -> OpcuaConnector:
        return OpcuaConnector("im07", self.spec(**keys), (self.kind.state,), SystemClock())

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
def pair_in(folder: Path, kind: Kind) -> Iterator[Pair]:
    """Alike, but for their states: 6 is what the first tells, 2 what the second."""
    with ExitStack() as stack:
        both = []
        for name in ("first", "second"):
            papers = folder / name
            papers.mkdir()
            both.append(stack.enter_context(kind.start(papers)))
        made = Pair(kind, *both)
        made.show(made.second, 2)
        yield made


@pytest.fixture(scope="module", params=[NODE_OPCUA, OPEN62541], ids=["node-opcua", "open62541"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def pair(tmp_path: Path, kind: Kind) -> Iterator[Pair]:
    with pair_in(tmp_path, kind) as made:
        yield made


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory, kind: Kind) -> Iterator[Pair]:
    """For tests that leave both alive and say how well they serve."""
    with pair_in(tmp_path_factory.mktemp("lasting"), kind) as made:
        yield made


class Plant:
    """A source runner, and what became of its samples."""

    def __init__(self, folder: Path, pair: Pair, spec: OpcuaSource) -> None:
        codes = (("2", "stopped"), ("4", "idle"), ("6", "execute"))
        mapped = field("a", "machine_state.state", pair.kind.state, codes=codes)
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
async def running(folder: Path, pair: Pair, **keys: Any) -> AsyncIterator[Plant]:
    made = Plant(folder, pair, pair.spec(**keys))
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
    for peer in pair.both:
        ours.trust(await shown(pair, peer))


async def shown(pair: Pair, peer: Peer) -> x509.Certificate:
    ways = await ways_in("im07", pair.spec(), pair.endpoint(peer))
    return next(way.chain[0] for way in ways if way.chain)


@pytest.mark.parametrize("security", ["none", "sign_and_encrypt"])
async def test_values_go_on_from_the_second_when_the_first_is_killed(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    await trusted(pair, tmp_path, monkeypatch)
    async with running(tmp_path, pair, security=security) as made:
        await made.until_it_is("execute")
        assert sessions(pair.second) == []
        os.kill(pair.first.pid, signal.SIGKILL)
        killed = SystemClock().now()
        await made.until_it_is("stopped")
        back = SystemClock().now()
        pair.show(pair.second, 4)
        await made.until_it_is("idle")
        states, (gap,), (session,) = made.states(), made.gaps(), sessions(pair.second)
    assert [state for _, state in states] == ["execute", None, "stopped", "idle"]
    assert gap.reason == "lost"
    assert gap.end is not None
    assert states[0][0] <= gap.start <= killed + TIMEOUT * SECOND
    assert killed <= gap.end <= back
    assert states[1][0] == pytest.approx(gap.start, abs=1)
    assert gap.end - pair.kind.opens_within <= states[2][0] <= gap.end + 1
    assert killed - MILLISECOND <= session.began <= gap.end
    assert [event.what for event in made.events] == ["connected", "lost", "back", "stopped"]


async def test_a_first_server_that_hangs_is_left_and_not_taken_again_when_it_wakes(
    pair: Pair, tmp_path: Path
) -> None:
    async with running(tmp_path, pair) as made:
        await made.until_it_is("execute")
        os.kill(pair.first.pid, signal.SIGSTOP)
        try:
            await made.until_it_is("stopped")
        finally:
            os.kill(pair.first.pid, signal.SIGCONT)
        woken = sessions(pair.first)
        pair.show(pair.second, 4)
        await made.until_it_is("idle")
        (gap,) = made.gaps()
    assert gap.reason == "lost"
    assert len(woken) == len(sessions(pair.first)) == 1
    assert len(sessions(pair.second)) == 1


async def test_the_second_is_read_when_the_first_says_it_serves_worse_and_never_both(
    pair: Pair, tmp_path: Path
) -> None:
    async with running(tmp_path, pair) as made:
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
    lasting.serve(*levels)
    async with opened(lasting.connector()) as reading:
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
    pair.serve(100, 150)
    async with running(tmp_path, pair) as made:
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
        async with running(tmp_path, pair) as made:
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
    for file, peer in zip(named, lasting.both, strict=True):
        file.write_bytes(certificates.der(await shown(lasting, peer)))
    values = []
    for levels in ((255, 255), (100, 150)):
        lasting.serve(*levels)
        keys = {"security": "sign_and_encrypt", "server_certificate": named}
        async with opened(lasting.connector(**keys)) as reading:
            values += [one.value for one in await read_until(reading, lambda seen: len(seen) >= 1)]
    assert values == [6.0, 2.0]
    swapped = {"security": "sign_and_encrypt", "server_certificate": named[::-1]}
    with pytest.raises(Refused) as refused:
        await lasting.connector(**swapped).open()
    assert str(refused.value).count("is not the one that `server_certificate` names") == 2
