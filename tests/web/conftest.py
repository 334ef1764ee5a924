"""A real lake of the reference company, filled with one day that is always the same."""

import asyncio
import random
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import uvicorn
from httpx import ASGITransport, AsyncClient

from isthmus.apps.oee.facts import OEE_FACT
from isthmus.base.clock import HOUR, MINUTE, SECOND, Micros, parse_time, to_datetime
from isthmus.data.facts import FactKeeper
from isthmus.data.lake import Lake
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import TIME, Rows
from isthmus.model.plant import Machine, Plant
from isthmus.provision.join import VIEWS
from isthmus.runtime.dimensions import dimensions
from isthmus.runtime.open import load_plant
from isthmus.runtime.settings import Settings
from isthmus.runtime.workbench import Workbench
from isthmus.web.app import create_app
from isthmus.web.auth import Accounts, accounts_folder
from isthmus.web.live import Hub

REPOSITORY = Path(__file__).parents[2]
NOW = parse_time("2026-11-17T11:30:00Z")
"""Tuesday 12:30 in Hamburg: in the early shift, which began at 06:00."""
PASSWORD = "correct horse"
LINE = "acme/hamburg/moulding/line-1"
STANDING = f"{LINE}/im-01"
"""Stopped 20 minutes ago; nobody said why."""
STANDING_SINCE = NOW - 20 * MINUTE


@dataclass
class Clock:
    """Plant time stands until a test moves it."""

    at: Micros = NOW
    speed: float = 1.0

    def now(self) -> Micros:
        return self.at


class Works:
    """A platform without connectors: log, lake, facts and pages are the real ones."""

    version = "0.1.0"

    def __init__(self, folder: Path) -> None:
        self.data = folder
        self.clock = Clock()
        self.plant: Plant = load_plant(REPOSITORY / "examples" / "acme")
        self.hub = Hub(self.clock)
        self.logs = {
            site.name: SqliteLog(folder / f"{site.name}.sqlite", site.name, site.keep)
            for site in self.plant.sites.values()
        }
        self.lake = Lake(folder / "lake", self.logs, self.plant)
        for name, table in dimensions(self.plant, NOW).items():
            self.lake.register(name, table)
        for name, sql in VIEWS.items():
            self.lake.define(name, sql)
        self.facts = FactKeeper(self.lake, OEE_FACT, self.plant, folder / "lake")
        model = folder / "model"
        shutil.copytree(REPOSITORY / "examples" / "acme", model)
        self.workbench = Workbench(
            Settings(data=folder), self.clock, lambda: self.plant, lambda: model, self.adopt
        )

    async def adopt(self, model: Path) -> None:
        self.plant = load_plant(model)

    def health(self) -> Mapping[str, Any]:
        return {"status": "ready"}

    def clock_offsets(self) -> Mapping[str, float]:
        return {"im-02": 75.0}

    def source_states(self) -> Mapping[str, Any]:
        return {}

    async def append_rows(self, rows: Sequence[Rows]) -> None:
        await asyncio.to_thread(self.append, rows)
        self.hub.rows_arrived()

    def append(self, rows: Sequence[Rows]) -> None:
        for one in rows:
            machines = (
                one.table["machine"].to_pylist() if "machine" in one.table.schema.names else []
            )
            site = self.plant.machines[machines[0]].site if machines else next(iter(self.logs))
            self.logs[site].append_rows([one], now=self.clock.now())
        self.facts.take(rows)
        self.facts.refresh(self.clock.now())

    def close(self) -> None:
        self.facts.close()
        self.lake.close()
        for log in self.logs.values():
            log.close()


def rows(name: str, columns: Mapping[str, pa.DataType], values: list[dict[str, Any]]) -> Rows:
    """Rows as a connector or a system hands them to the log."""
    system = {
        "_source": pa.string(),
        "_received": TIME,
        "_samples": pa.int32(),
        "_quality": pa.int16(),
    }
    schema = pa.schema([*columns.items(), *system.items()])
    usual = {"_source": "test", "_samples": 1, "_quality": 0}
    return Rows(name, pa.Table.from_pylist([usual | value for value in values], schema=schema))


STATE = {"machine": pa.string(), "time": TIME, "state": pa.string()}
COUNT = {
    "machine": pa.string(),
    "time": TIME,
    "produced": pa.int64(),
    "good": pa.int64(),
    "scrap": pa.int64(),
}
CYCLE = {
    "machine": pa.string(),
    "time": TIME,
    "melt_temp": pa.float64(),
    "cycle_time": pa.float64(),
}


def state(machine: str, at: Micros, name: str | None) -> dict[str, Any]:
    time = to_datetime(at)
    lost = {"_quality": 2} if name is None else {}
    return {"machine": machine, "time": time, "_received": time, "state": name} | lost


def a_day(machine: Machine) -> list[Rows]:
    """From 00:30 on: runs, short and long stops, set-up, a lost cable, parts while it runs."""
    chance = random.Random(machine.path)  # noqa: S311 - a seed, no secret
    states, counts, cycles = [], [], []
    at = NOW - 12 * HOUR
    while at < NOW - 30 * MINUTE:
        until = min(at + chance.randint(8, 70) * MINUTE, NOW - 30 * MINUTE)
        states.append(state(machine.path, at, "execute"))
        counts += [part(machine, t, chance) for t in range(at + 20 * SECOND, until, 20 * SECOND)]
        stop = chance.choice(["aborted", "stopped", "idle", "resetting", "idle", None])
        states.append(state(machine.path, until, stop))
        at = until + chance.choice([40, 60, 240, 600, 1500]) * SECOND
    states.append(state(machine.path, at, "execute"))
    counts += [part(machine, t, chance) for t in range(at + 20 * SECOND, NOW, 20 * SECOND)]
    if machine.path == STANDING:
        states = [
            *[one for one in states if one["time"] < to_datetime(STANDING_SINCE)],
            state(machine.path, STANDING_SINCE, "aborted"),
        ]
        counts = [one for one in counts if one["time"] < to_datetime(STANDING_SINCE)]
    if "injection_cycle" in machine.blocks:
        cycles = [cycle(machine, t, chance) for t in range(NOW - HOUR, NOW, 10 * SECOND)]
    return [
        rows("machine_state", STATE, states),
        rows("part_count", COUNT, counts),
        *([rows("injection_cycle", CYCLE, cycles)] if cycles else []),
    ]


def part(machine: Machine, at: Micros, chance: random.Random) -> dict[str, Any]:
    """What the machine's type counts, and no more."""
    good = chance.random() > 0.03
    told = {"produced": 1, "good": int(good), "scrap": int(not good)}
    counted = {one.field for one in machine.maps if one.block == "part_count"}
    time = to_datetime(at)
    return {"machine": machine.path, "time": time, "_received": time} | {
        name: value for name, value in told.items() if name in counted
    }


def cycle(machine: Machine, at: Micros, chance: random.Random) -> dict[str, Any]:
    time = to_datetime(at)
    return {
        "machine": machine.path,
        "time": time,
        "_received": time,
        "melt_temp": 230 + chance.uniform(-2, 2),
        "cycle_time": 20 + chance.uniform(-1, 1),
    }


def orders(plant: Plant) -> list[Rows]:
    """One material of 20 s, one order per machine since midnight."""
    recorded = to_datetime(NOW - 24 * HOUR)
    always = {"recorded": recorded, "withdrawn": False, "_received": recorded, "system": "erp"}
    entity = {"system": pa.string(), "key": pa.string(), "recorded": TIME, "withdrawn": pa.bool_()}
    text, number = pa.string(), pa.float64()
    named = {"name": text, "unit": text, "ideal_cycle_s": number}
    ordered = {"material": text, "quantity": number, "unit": text, "due": TIME, "state": text}
    worked = {"production_order": text, "operation": text, "machine": text, "material": text}
    worked |= {"quantity": number, "actual_start": TIME}
    machines = enumerate(plant.machines, 4711)
    material = {"key": "cap-80", "name": "Deckel 80 mm schwarz", "unit": "1", "ideal_cycle_s": 18.0}
    made = [
        {
            "key": f"{n}",
            "material": "cap-80",
            "quantity": 4000.0,
            "unit": "1",
            "state": "started",
            "due": to_datetime(NOW + 6 * HOUR),
        }
        for n, _ in enumerate(plant.machines, 4711)
    ]
    done = [
        {
            "key": f"{n}-10",
            "production_order": f"{n}",
            "operation": "10",
            "machine": machine,
            "material": "cap-80",
            "quantity": 4000.0,
            "actual_start": to_datetime(NOW - 12 * HOUR),
        }
        for n, machine in machines
    ]
    return [
        rows("material", entity | named, [always | material]),
        rows("production_order", entity | ordered, [always | one for one in made]),
        rows("operation", entity | worked, [always | one for one in done]),
    ]


@pytest.fixture(scope="session")
def a_filled_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    """Read only: tests that write take `works`."""
    made = filled(tmp_path_factory.mktemp("lake"))
    yield made
    made.close()


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    """One's own company, to write into."""
    made = filled(tmp_path)
    yield made
    made.close()


def filled(folder: Path) -> Works:
    made = Works(folder)
    made.append(
        [*orders(made.plant), *(one for m in made.plant.machines.values() for one in a_day(m))]
    )
    return made


@dataclass
class Door:
    """The application with one account of each role."""

    app: Any
    accounts: Accounts
    works: Works

    def client(self, user: str = "", *, language: str = "en", theme: str = "light") -> AsyncClient:
        """A browser without scripts, signed in by the front door's own means."""
        cookies = {"isthmus_preferences": f"{language}.{theme}.normal.on"}
        if user:
            cookies["isthmus_session"] = self.cookie(user)
        sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return AsyncClient(
            transport=ASGITransport(self.app), base_url="http://plant", headers={"Cookie": sent}
        )

    def cookie(self, user: str) -> str:
        from itsdangerous import TimestampSigner

        from isthmus.web.gate import COOKIE

        key = self.accounts.sign_in(user, PASSWORD)
        assert key is not None
        return TimestampSigner(self.accounts.secret("session"), salt=COOKIE).sign(key).decode()


def door(made: Works, folder: Path) -> Door:
    accounts = Accounts(accounts_folder(folder))
    for role in ("viewer", "operator", "engineer", "admin"):
        accounts.create(role, role.title(), role, PASSWORD)
    return Door(create_app(made, accounts), accounts, made)


@pytest.fixture(scope="session")
def reading(a_filled_lake: Works, tmp_path_factory: pytest.TempPathFactory) -> Door:
    """For tests that only look."""
    return door(a_filled_lake, tmp_path_factory.mktemp("accounts"))


@pytest.fixture
def writing(works: Works, tmp_path: Path) -> Door:
    return door(works, tmp_path)


@contextmanager
def served(app: Any) -> Iterator[str]:
    """A real server on a free port of the loopback interface, in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=10)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(15)
        listener.close()
