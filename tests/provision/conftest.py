"""A small plant built by hand, so that a test shows all that matters to it."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import sqlalchemy as sa
from hypothesis import settings

from isthmus.model.plant import Machine, Plant, Site
from isthmus.model.spec.calendar import Calendar
from isthmus.model.spec.site import Keep
from isthmus.testing.mosquitto import free_port

# A loaded machine is no fault of the code; speed is measured in bench/.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MakePlant = Callable[..., Plant]


def make_machine(path: str, calendars: tuple[Calendar, ...] = (), zone: str = "UTC") -> Machine:
    _, site, area, line, name = path.split("/")
    return Machine(
        path, name, site, area, line, "press", "plc", (), (), None, calendars, zone, 120.0, 1.3
    )


def make_plant(machines: list[Machine], zone: str = "UTC", calendars: tuple = ()) -> Plant:
    def site(name: str) -> Site:
        empty: Mapping = MappingProxyType({})
        return Site(name, name, zone, Keep(), calendars, empty, empty, empty, empty)

    names = dict.fromkeys(machine.site for machine in machines) or {"hamburg": None}
    empty: Mapping = MappingProxyType({})
    return Plant(
        "acme", "ACME", zone, "en",
        {name: site(name) for name in names},
        {machine.path: machine for machine in machines},
        empty, empty, empty, empty, empty, empty,
    )  # fmt: skip


@pytest.fixture
def machine() -> Callable[..., Machine]:
    return make_machine


@pytest.fixture
def plant() -> MakePlant:
    return make_plant


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared"
    if not folder.is_dir():
        pytest.skip("the recordings are not here: no folder `shared` beside the repository")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL of our own, on a free port of this computer."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="isthmus-pg-"))
    run = _other_user(folder)
    if run is None:
        pytest.skip("PostgreSQL refuses to run as root and there is no user `postgres`")
    port = free_port()
    subprocess.run(
        [*run, programs / "initdb", "-D", folder / "data", "-U", "erp", "-A", "trust", "-E", "UTF8",
         "--no-sync"],
        check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    server = subprocess.Popen(
        [*run, programs / "postgres", "-D", folder / "data", "-k", folder, "-p", str(port),
         "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    url = f"postgresql+psycopg://erp:geheim@127.0.0.1:{port}/postgres"
    try:
        _wait_until_it_answers(url, server)
        yield url
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=20)
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An ERP's empty database, to be written by the test."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'erp.db'}"
    else:
        url = request.getfixturevalue("postgres")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        yield engine
    finally:
        found = sa.MetaData()
        found.reflect(engine)
        found.drop_all(engine)
        engine.dispose()


def _postgres_programs() -> Path | None:
    on_path = shutil.which("postgres")
    found = [Path(on_path).parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists()), None)


def _other_user(folder: Path) -> list[str] | None:
    """How to run a program as somebody who is not root; the folder becomes theirs."""
    if os.geteuid() != 0:
        return []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        return None
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _wait_until_it_answers(url: str, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 30
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    while True:
        try:
            with engine.connect():
                return
        except sa.exc.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
