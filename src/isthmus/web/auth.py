"""Who may come in: local accounts, sessions, API tokens, the one-time link of the first start.

All of it in one SQLite file under ISTHMUS_DATA that only the owner can read. Passwords are
argon2id; session keys and tokens are random and kept as SHA-256 only.
"""

import hashlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

Role = Literal["viewer", "operator", "engineer", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""Each may do what those before it may."""

SESSION_SECONDS: Final = 12 * 3600.0
"""One long shift."""
SETUP_SECONDS: Final = 24 * 3600.0
SHORTEST_PASSWORD: Final = 10

_SCHEMA = """
create table if not exists account (
    name text primary key, title text not null, role text not null, password text not null,
    created real not null
) strict;
create table if not exists session (
    key text primary key, account text not null references account(name) on delete cascade,
    csrf text not null, expires real not null
) strict;
create table if not exists token (
    key text primary key, name text not null unique, role text not null, created real not null
) strict;
create table if not exists setup (key text primary key, expires real not null) strict;
create table if not exists secret (name text primary key, value text not null) strict;
"""


@dataclass(frozen=True)
class User:
    """Who asks: a person with a session, or a program with a token."""

    name: str
    title: str
    role: Role
    csrf: str = ""
    """Empty for tokens: a browser does not send them by itself."""

    def may(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


class RefusedError(Exception):
    """The account cannot be made like this; `key` names the message."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Accounts:
    """The file of accounts; safe to call from threads and from several processes."""

    def __init__(self, folder: Path, wall: Callable[[], float] = time.time) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "accounts.sqlite"
        # Created with its final rights before SQLite writes a byte into it.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
        self._wall = wall
        self._lock = threading.Lock()
        self._hasher = PasswordHasher()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.executescript(
            f"pragma journal_mode=wal; pragma foreign_keys=on; pragma busy_timeout=5000; {_SCHEMA}"
        )
        # Verified for names that do not exist, so that the answer takes as long.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def close(self) -> None:
        self._database.close()

    def secret(self, name: str) -> str:
        """A random secret of this installation, made on first use."""
        self._run("insert or ignore into secret values (?, ?)", name, secrets.token_hex(32))
        return str(self._one("select value from secret where name = ?", name)[0])

    def empty(self) -> bool:
        return bool(self._one("select count(*) = 0 from account")[0])

    # The first start ------------------------------------------------------------------------

    def new_setup_key(self) -> str:
        """A key for the first account; an earlier one stops working."""
        key = secrets.token_urlsafe(24)
        self._run("delete from setup")
        self._run("insert into setup values (?, ?)", _digest(key), self._wall() + SETUP_SECONDS)
        return key

    def setup_open(self, key: str) -> bool:
        """Whether `key` may still make the first account."""
        row = self._one(
            "select count(*) from setup where key = ? and expires > ?", _digest(key), self._wall()
        )
        return bool(row[0]) and self.empty()

    def complete_setup(self, key: str, name: str, title: str, password: str) -> None:
        if not self.setup_open(key):
            raise RefusedError("setup.over")
        self.create(name, title, "admin", password)
        self._run("delete from setup")

    # People ---------------------------------------------------------------------------------

    def create(self, name: str, title: str, role: Role, password: str) -> None:
        if not name.strip() or len(name) > 64:
            raise RefusedError("account.name")
        if len(password) < SHORTEST_PASSWORD:
            raise RefusedError("account.short")
        values = (name.strip().lower(), title.strip() or name.strip(), role)
        hashed = self._hasher.hash(password)
        try:
            self._run("insert into account values (?, ?, ?, ?, ?)", *values, hashed, self._wall())
        except sqlite3.IntegrityError as error:
            raise RefusedError("account.taken") from error

    def sign_in(self, name: str, password: str) -> str | None:
        """A new session key, or None if name and password do not fit."""
        row = self._one("select name, password from account where name = ?", name.strip().lower())
        if not self._fits(row[1] if row else self._nobody, password) or not row:
            return None
        key, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
        expires = self._wall() + SESSION_SECONDS
        self._run("delete from session where expires < ?", self._wall())
        self._run("insert into session values (?, ?, ?, ?)", _digest(key), row[0], csrf, expires)
        return key

    def sign_out(self, key: str) -> None:
        self._run("delete from session where key = ?", _digest(key))

    def session(self, key: str) -> User | None:
        row = self._one(
            "select name, title, role, csrf from account join session on account = name"
            " where key = ? and expires > ?",
            _digest(key),
            self._wall(),
        )
        return _user(*row) if row else None

    # Programs -------------------------------------------------------------------------------

    def create_token(self, name: str, role: Role) -> str:
        """A new API token; shown once, kept only as its digest."""
        token = f"ist_{secrets.token_urlsafe(32)}"
        try:
            self._run(
                "insert into token values (?, ?, ?, ?)", _digest(token), name, role, self._wall()
            )
        except sqlite3.IntegrityError as error:
            raise RefusedError("token.taken") from error
        return token

    def revoke_token(self, name: str) -> bool:
        return self._run("delete from token where name = ?", name) > 0

    def token(self, token: str) -> User | None:
        row = self._one("select name, name, role from token where key = ?", _digest(token))
        return _user(*row) if row else None

    def _fits(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerifyMismatchError, InvalidHashError):
            return False

    def _run(self, sql: str, *values: object) -> int:
        with self._lock:
            return self._database.execute(sql, values).rowcount

    def _one(self, sql: str, *values: object) -> tuple[str, ...]:
        """The first row, or an empty tuple."""
        with self._lock:
            row: tuple[str, ...] | None = self._database.execute(sql, values).fetchone()
        return row or ()


class Throttle:
    """Slows down guessing: after `limit` failures in `window` seconds a key must wait."""

    def __init__(
        self, limit: int = 5, window: float = 60.0, wall: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._window = window
        self._wall = wall
        self._failures: dict[str, list[float]] = {}

    def wait(self, *keys: str) -> float:
        """Seconds until the next try; 0 if it may be now."""
        now = self._wall()
        recent = [failures for key in keys if len(failures := self._recent(key)) >= self._limit]
        return max(
            (failures[-self._limit] + self._window - now for failures in recent), default=0.0
        )

    def failed(self, *keys: str) -> None:
        for key in keys:
            self._failures[key] = [*self._recent(key), self._wall()]
        # Names are the caller's choice: forget the old ones, so that memory stays bounded.
        self._failures = {key: times for key in self._failures if (times := self._recent(key))}

    def _recent(self, key: str) -> list[float]:
        oldest = self._wall() - self._window
        return [at for at in self._failures.get(key, ()) if at > oldest]


def accounts_folder(data: Path) -> Path:
    """Where accounts are kept inside ISTHMUS_DATA."""
    return data / "web"


def setup_link(accounts: Accounts, base_url: str) -> str | None:
    """The link that makes the first account, for the runtime to print; None once there is one."""
    if not accounts.empty():
        return None
    return f"{base_url.rstrip('/')}/setup/{accounts.new_setup_key()}"


def create_token(data: Path, name: str, role: Role) -> str:
    """For `isthmus token create`: works beside a running platform."""
    accounts = Accounts(accounts_folder(data))
    try:
        return accounts.create_token(name, role)
    finally:
        accounts.close()


def _user(name: str, title: str, role: str, csrf: str = "") -> User:
    return User(name, title, next(known for known in ROLES if known == role), csrf)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
