"""The front door, as a browser and as a program meet it."""

from http.cookies import SimpleCookie

import pytest
from httpx import AsyncClient, Response

from isthmus.web.auth import setup_link

from .conftest import LINE, PASSWORD, STANDING, STANDING_SINCE, Door

FORM = {"name": "admin", "password": PASSWORD}


def cookie(answer: Response, name: str) -> str:
    return SimpleCookie("; ".join(answer.headers.get_list("set-cookie")))[name].value


async def test_health_needs_no_sign_in(reading: Door) -> None:
    answer = await reading.client().get("/healthz")
    assert answer.json() == {"status": "ready", "version": "0.1.0"}


@pytest.mark.parametrize(
    "path",
    ["/", "/overview/acme", f"/live/{LINE}", "/scopes", "/about", "/live/snapshot", "/nowhere"],
)
async def test_everything_else_leads_to_the_door(reading: Door, path: str) -> None:
    answer = await reading.client().get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?next={path}"


async def test_a_fragment_asked_for_after_the_session_ended_leads_the_whole_page_there(
    reading: Door,
) -> None:
    answer = await reading.client().get("/oee/acme?range=7d", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/login?next=/oee/acme%3Frange%3D7d"


async def test_a_person_signs_in_and_gets_what_was_asked_for(reading: Door) -> None:
    answer = await reading.client().post("/login", data=FORM | {"next": "/oee/acme?range=7d"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/oee/acme?range=7d"
    set_cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in set_cookie
    assert "samesite=lax" in set_cookie
    assert "max-age=43200" in set_cookie


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_the_door_leads_to_no_other_house(reading: Door, target: str) -> None:
    answer = await reading.client().post("/login", data=FORM | {"next": target})
    assert answer.headers["location"] == "/"


async def test_a_wrong_password_is_told_in_the_readers_language(writing: Door) -> None:
    client = writing.client(language="de")
    answer = await client.post("/login", data=FORM | {"password": "wrong"})
    assert answer.status_code == 401
    assert "Name oder Passwort ist falsch" in answer.text
    assert "set-cookie" not in answer.headers


async def test_the_sixth_guess_must_wait(writing: Door) -> None:
    client = writing.client()
    for _ in range(5):
        assert (await client.post("/login", data=FORM | {"password": "wrong"})).status_code == 401
    answer = await client.post("/login", data=FORM)
    assert answer.status_code == 429
    assert "Too many attempts" in answer.text


async def test_the_first_account_is_made_with_the_printed_link(works, tmp_path) -> None:
    from isthmus.web.app import create_app
    from isthmus.web.auth import Accounts, accounts_folder

    accounts = Accounts(accounts_folder(tmp_path))
    door = Door(create_app(works, accounts), accounts, works)
    link = setup_link(accounts, "http://plant")
    assert link
    path = link.removeprefix("http://plant")
    async with door.client() as client:
        assert "Open the link" in (await client.get("/login")).text
        assert "Make the first account" in (await client.get(path)).text
        form = {"name": "ada", "title": "Ada", "password": PASSWORD, "repeat": PASSWORD + "r"}
        differ = await client.post(path, data=form)
        assert (differ.status_code, "differ" in differ.text) == (400, True)
        made = await client.post(path, data=form | {"repeat": PASSWORD})
        assert (made.status_code, made.headers["location"]) == (303, "/")
        again = await client.post(path, data=form | {"repeat": PASSWORD, "name": "eve"})
        assert (again.status_code, "no account" in again.text) == (410, False)
        session = cookie(made, "isthmus_session")
        page = await client.get("/about", headers={"Cookie": f"isthmus_session={session}"})
        assert page.status_code == 200


async def test_a_forged_cookie_opens_nothing(reading: Door) -> None:
    client = reading.client()
    for value in ("nonsense", "x.y.z", '"', reading.cookie("admin")[:-2] + "xx"):
        answer = await client.get("/about", headers={"Cookie": f"isthmus_session={value}"})
        assert answer.status_code == 303


async def test_signing_out_ends_the_session_on_the_server_too(reading: Door) -> None:
    signed = {"Cookie": f"isthmus_session={reading.cookie('viewer')}"}
    client = reading.client()
    csrf = csrf_of((await client.get(f"/live/{LINE}", headers=signed)).text)
    answer = await client.post("/logout", data={"csrf": csrf}, headers=signed)
    assert answer.headers["location"] == "/login"
    assert (await client.get("/about", headers=signed)).status_code == 303


def csrf_of(page: str) -> str:
    return page.split('name="csrf" value="', 1)[1].split('"', 1)[0]


async def test_a_write_without_the_pages_token_is_refused(writing: Door) -> None:
    form = {"stop": f"{STANDING}@{STANDING_SINCE}", "reason": "hydraulics", "back": "/"}
    async with writing.client("operator") as client:
        assert (await client.post("/reason", data=form)).status_code == 403
        assert (await client.post("/reason", data=form | {"csrf": "guess"})).status_code == 403
        csrf = csrf_of((await client.get(f"/live/{LINE}")).text)
        foreign = {"Origin": "https://evil.example"}
        refused = await client.post("/reason", data=form | {"csrf": csrf}, headers=foreign)
        assert refused.status_code == 403
        own = {"Origin": "http://plant"}
        assert (
            await client.post("/reason", data=form | {"csrf": csrf}, headers=own)
        ).status_code == 303


async def test_a_viewer_may_not_give_reasons(writing: Door) -> None:
    form = {"stop": f"{STANDING}@{STANDING_SINCE}", "reason": "hydraulics", "back": "/"}
    async with writing.client("viewer") as client:
        page = (await client.get(f"/live/{LINE}")).text
        assert "Operators can give reasons" in page
        assert 'action="/reason"' not in page
        answer = await client.post("/reason", data=form | {"csrf": csrf_of(page)})
        assert answer.status_code == 403
        assert "You may not do this" in answer.text


async def test_a_token_opens_the_api_and_nothing_else(reading: Door) -> None:
    token = reading.accounts.create_token("power bi", "viewer")
    client = reading.client()
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await client.get("/api/v1/openapi.json", headers=bearer)).status_code == 200
    assert (await client.get("/about", headers=bearer)).status_code == 303
    wrong = await client.get("/api/v1/openapi.json", headers={"Authorization": "Bearer ist_guess"})
    assert wrong.status_code == 401
    assert wrong.headers["www-authenticate"] == "Bearer"


async def secured(client: AsyncClient, path: str) -> dict[str, str]:
    return dict((await client.get(path)).headers)


async def test_every_answer_forbids_foreign_content_and_framing(reading: Door) -> None:
    async with reading.client("viewer") as client:
        for path in ("/login", "/about", "/healthz", "/nowhere", "/static/x/y"):
            headers = await secured(client, path)
            assert "default-src 'self'" in headers["content-security-policy"], path
            assert "unsafe" not in headers["content-security-policy"], path
            assert "frame-ancestors 'none'" in headers["content-security-policy"], path
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["referrer-policy"] == "same-origin", path


async def test_language_theme_and_density_are_kept_on_the_device(reading: Door) -> None:
    async with reading.client("viewer") as client:
        csrf = csrf_of((await client.get(f"/live/{LINE}")).text)
        form = {"csrf": csrf, "back": "/about", "language": "de"}
        answer = await client.post("/preferences", data=form)
        assert answer.headers["location"] == "/about"
        assert cookie(answer, "isthmus_preferences") == "de.light.normal.on"
        wrong = await client.post("/preferences", data=form | {"language": "xx", "theme": "pink"})
        assert cookie(wrong, "isthmus_preferences") == "en.light.normal.on"
