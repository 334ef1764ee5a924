"""PostgreSQL and MariaDB as child processes: the databases that machines write in tests."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from isthmus.testing.mosquitto import free_port

STARTS_WITHIN: Final = 40.0
ENDS_WITHIN: Final = 20.0
_SBIN: Final = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


@contextmanager
def postgresql() -> Iterator[sa.URL]:
    """A PostgreSQL of our own in a temporary folder, on a free port of this computer."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with _folder_of("postgres") as (folder, run):
        port = free_port()
        initdb: list[str | Path] = [programs / "initdb", "-D", folder / "data", "-U", "cell",
                  "-A", "trust", "-E", "UTF8", "--no-sync"]  # fmt: skip
        subprocess.run([*run, *initdb], check=True, capture_output=True, cwd=folder)  # noqa: S603
        serve: list[str | Path] = [programs / "postgres", "-D", folder / "data", "-k", folder, "-p",
                 str(port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]  # fmt: skip
        url = sa.make_url(f"postgresql+psycopg://cell:geheim@127.0.0.1:{port}/postgres")
        with _serving([*run, *serve], folder, url, signal.SIGINT):
            yield url


@contextmanager
def mariadb() -> Iterator[sa.URL]:
    """A MariaDB of our own, likewise."""
    server = shutil.which("mariadbd", path=_SBIN)
    install = shutil.which("mariadb-install-db", path=_SBIN)
    if server is None or install is None:
        pytest.skip("MariaDB is not installed (Debian: apt-get install mariadb-server)")
    with _folder_of("mysql") as (folder, run):
        port = free_port()
        prepare = [install, "--no-defaults", f"--datadir={folder / 'data'}",
                   "--auth-root-authentication-method=normal", "--skip-test-db"]  # fmt: skip
        subprocess.run([*run, *prepare], check=True, capture_output=True, cwd=folder)  # noqa: S603
        serve = [server, "--no-defaults", f"--datadir={folder / 'data'}", f"--port={port}",
                 "--bind-address=127.0.0.1", f"--socket={folder / 'sock'}", "--skip-log-bin",
                 "--innodb-flush-log-at-trx-commit=0"]  # fmt: skip
        url = sa.make_url(f"mysql+pymysql://root@127.0.0.1:{port}/mysql")
        with _serving([*run, *serve], folder, url, signal.SIGTERM):
            engine = sa.create_engine(url, poolclass=sa.NullPool)
            with engine.begin() as connection:
                connection.exec_driver_sql("CREATE DATABASE cell CHARACTER SET utf8mb4")
                connection.exec_driver_sql("CREATE USER 'cell'@'%%' IDENTIFIED BY 'geheim'")
                connection.exec_driver_sql("GRANT ALL ON cell.* TO 'cell'@'%%'")
            yield url.set(username="cell", password="geheim", database="cell")  # noqa: S106


@contextmanager
def _folder_of(user: str) -> Iterator[tuple[Path, list[str]]]:
    """A folder, and how to run a program in it as somebody who is not root."""
    folder = Path(tempfile.mkdtemp(prefix=f"isthmus-{user}-"))
    try:
        if os.geteuid() != 0:
            yield folder, []
            return
        try:
            found = pwd.getpwnam(user)
        except KeyError:
            pytest.skip(f"it does not run as root, and there is no user `{user}`")
        os.chown(folder, found.pw_uid, found.pw_gid)
        yield folder, [
            "setpriv", f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--clear-groups",
        ]  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _serving(
    command: Sequence[str | Path], folder: Path, url: sa.URL, end: signal.Signals
) -> Iterator[None]:
    server = subprocess.Popen(  # noqa: S603 - the test's own command
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    )
    try:
        _wait_until_it_answers(url, server)
        yield
    finally:
        server.send_signal(end)
        server.wait(timeout=ENDS_WITHIN)


def _wait_until_it_answers(url: sa.URL, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    while True:
        try:
            with engine.connect():
                return
        except sa.exc.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _postgres_programs() -> Path | None:
    on_path = shutil.which("postgres")
    found = [Path(on_path).parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists()), None)
