"""Who may come in."""

import stat
from pathlib import Path

import pytest

from isthmus.web.auth import (
    SESSION_SECONDS,
    SETUP_SECONDS,
    Accounts,
    RefusedError,
    Throttle,
    User,
    create_token,
    setup_link,
)

PASSWORD = "correct horse"


class Wall:
    """A wall clock that stands until the test moves it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def accounts(tmp_path: Path, wall: Wall):
    found = Accounts(tmp_path / "web", wall)
    yield found
    found.close()


def key_of(link: str | None) -> str:
    assert link is not None
    return link.rpartition("/")[2]


def test_the_first_start_gives_a_link_and_no_password(accounts: Accounts) -> None:
    link = setup_link(accounts, "http://127.0.0.1:8080/")
    assert link is not None
    assert link.startswith("http://127.0.0.1:8080/setup/")
    assert accounts.sign_in("admin", "admin") is None


def test_the_link_makes_one_administrator_and_then_nothing(accounts: Accounts) -> None:
    key = key_of(setup_link(accounts, ""))
    accounts.complete_setup(key, "Ada", "Ada Lovelace", PASSWORD)
    assert not accounts.setup_open(key)
    assert setup_link(accounts, "") is None
    with pytest.raises(RefusedError, match=r"setup\.over"):
        accounts.complete_setup(key, "eve", "Eve", PASSWORD)
    session = accounts.sign_in("ada", PASSWORD)
    assert session is not None
    user = accounts.session(session)
    assert user is not None
    assert (user.name, user.title, user.role) == ("ada", "Ada Lovelace", "admin")


def test_a_new_link_makes_the_old_one_worthless(accounts: Accounts) -> None:
    old = key_of(setup_link(accounts, ""))
    new = key_of(setup_link(accounts, ""))
    assert not accounts.setup_open(old)
    assert accounts.setup_open(new)


def test_a_link_is_good_for_a_day(accounts: Accounts, wall: Wall) -> None:
    key = key_of(setup_link(accounts, ""))
    wall.now += SETUP_SECONDS + 1
    assert not accounts.setup_open(key)


def test_short_passwords_and_taken_names_are_refused(accounts: Accounts) -> None:
    accounts.create("ada", "", "viewer", PASSWORD)
    with pytest.raises(RefusedError, match=r"account\.short"):
        accounts.create("bob", "", "viewer", "123456789")
    with pytest.raises(RefusedError, match=r"account\.taken"):
        accounts.create("ADA", "", "viewer", PASSWORD)


def test_a_session_ends_after_a_shift_and_when_the_user_signs_out(
    accounts: Accounts, wall: Wall
) -> None:
    accounts.create("ada", "", "viewer", PASSWORD)
    first, second = accounts.sign_in("ada", PASSWORD), accounts.sign_in("ada", PASSWORD)
    assert first
    assert second
    accounts.sign_out(first)
    assert accounts.session(first) is None
    assert accounts.session(second) is not None
    wall.now += SESSION_SECONDS + 1
    assert accounts.session(second) is None


def test_the_file_can_be_read_by_its_owner_only(accounts: Accounts, tmp_path: Path) -> None:
    accounts.create("ada", "", "viewer", PASSWORD)
    for file in (tmp_path / "web").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_nothing_in_the_file_opens_a_door(accounts: Accounts, tmp_path: Path) -> None:
    accounts.create("ada", "", "viewer", PASSWORD)
    session = accounts.sign_in("ada", PASSWORD)
    token = accounts.create_token("line display", "viewer")
    assert session
    stored = b"".join(file.read_bytes() for file in (tmp_path / "web").iterdir())
    assert b"$argon2id$" in stored
    for secret in (PASSWORD, session, token):
        assert secret.encode() not in stored


def test_a_token_is_made_beside_a_running_platform_and_can_be_revoked(
    accounts: Accounts, tmp_path: Path
) -> None:
    token = create_token(tmp_path, "power bi", "engineer")
    assert token.startswith("ist_")
    assert accounts.token(token) == User("power bi", "power bi", "engineer")
    with pytest.raises(RefusedError, match=r"token\.taken"):
        accounts.create_token("power bi", "viewer")
    assert accounts.revoke_token("power bi")
    assert accounts.token(token) is None


def test_each_role_may_what_those_before_it_may() -> None:
    operator = User("o", "o", "operator")
    assert operator.may("viewer")
    assert operator.may("operator")
    assert not operator.may("engineer")


def test_guessing_is_slowed_down_by_name_and_by_address(wall: Wall) -> None:
    throttle = Throttle(limit=3, window=60, wall=wall)
    for _ in range(3):
        assert throttle.wait("name ada", "from 10.0.0.7") == 0
        throttle.failed("name ada", "from 10.0.0.7")
    assert throttle.wait("name ada", "from 10.9.9.9") == 60
    assert throttle.wait("name bob", "from 10.0.0.7") == 60
    assert throttle.wait("name bob", "from 10.9.9.9") == 0
    wall.now += 60
    assert throttle.wait("name ada", "from 10.0.0.7") == 0
