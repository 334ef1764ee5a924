"""Who we say we are to a REST interface, over what, and that no secret is ever shown."""

import ssl
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isthmus.base.clock import SystemClock
from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.http import HttpConnector, HttpSource
from isthmus.testing.certificates import make_authority
from isthmus.testing.connector_suite import opened, read_once
from isthmus.testing.rest_server import Request, Response, RestServer

SECRET = "sesame-open-7351"


def connector(url: str, **keys: Any) -> HttpConnector:
    spec = HttpSource.model_validate({"url": url, "timeout": "1 s", **keys})
    return HttpConnector("press_1", spec, ["$.v"], SystemClock())


async def value_of(url: str, **keys: Any) -> Any:
    async with opened(connector(url, **keys)) as http:
        (sample,) = await read_once(http)
    return sample.value


def basic(user: str) -> str:
    return "Basic " + b64encode(f"{user}:{SECRET}".encode()).decode()


@pytest.mark.parametrize(
    ("auth", "header", "expected"),
    [
        ({"kind": "basic", "user": "müller", "password": SECRET}, "authorization", basic("müller")),
        ({"kind": "bearer", "token": SECRET}, "authorization", f"Bearer {SECRET}"),
        ({"kind": "api_key", "api_key": SECRET}, "x-api-key", SECRET),
        ({"kind": "api_key", "api_key": SECRET, "header": "Key"}, "key", SECRET),
    ],
)
async def test_we_sign_in_as_declared(auth: dict[str, Any], header: str, expected: str) -> None:
    async with RestServer(lambda _: Response.json({"v": 1})) as server:
        assert await value_of(server.url, auth=auth) == 1
        assert server.requests[0].headers[header] == expected


class Keeper(RestServer):
    """Gives out tokens and takes each for as long as a test lets it."""

    def __init__(self, lasts: int = 3600) -> None:
        super().__init__(self._answer_)
        self.lasts = lasts
        self.given = 0
        self.oldest_taken = 1
        self.trouble: Response | None = None

    def _answer_(self, request: Request) -> Response:
        if request.path == "/token":
            return self._token(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer t")
        if not token.isdecimal() or int(token) < self.oldest_taken:
            return Response(401)
        return Response.json({"v": int(token)})

    def _token(self, request: Request) -> Response:
        assert request.method == "POST"
        assert b"grant_type=client_credentials" in request.body
        if self.trouble is not None:
            return self.trouble
        self.given += 1
        return Response.json({"access_token": f"t{self.given}", "expires_in": self.lasts})

    def auth(self, **keys: Any) -> dict[str, Any]:
        known = {"client_id": "isthmus", "client_secret": SECRET}
        return {"kind": "oauth2", "token_url": f"{self.url}/token", **known, **keys}


async def test_a_token_is_fetched_once_and_another_before_it_ends() -> None:
    async with Keeper() as keeper:
        async with opened(connector(keeper.url, auth=keeper.auth(scope="read"))) as http:
            samples = [*await read_once(http), *await read_once(http)]
        assert b"scope=read" in keeper.requests[0].body
        assert keeper.requests[0].headers["authorization"] == basic("isthmus")
        keeper.lasts = 0
        async with opened(connector(keeper.url, auth=keeper.auth(send="body"))) as http:
            samples += [*await read_once(http), *await read_once(http)]
        assert (
            f"client_secret={SECRET}".encode()
            in keeper.requests[-1].body + keeper.requests[-2].body
        )
    assert [sample.value for sample in samples] == [1, 2, 3]


async def test_a_token_that_is_taken_no_longer_is_replaced_at_once() -> None:
    async with (
        Keeper() as keeper,
        opened(connector(keeper.url, auth=keeper.auth())) as http,
    ):
        await read_once(http)
        keeper.oldest_taken = 2
        (sample,) = await read_once(http)
        keeper.oldest_taken = 99
        with pytest.raises(Refused, match="HTTP 401; is `auth` right"):
            await http.read()
    assert sample.value == 2


@pytest.mark.parametrize(
    ("trouble", "error", "said"),
    [
        (Response(401, b'{"error": "invalid_client"}'), Refused, "invalid_client"),
        (Response(400, f'{{"error": "no {SECRET}"}}'.encode()), Refused, "no token"),
        (Response(200, b"[]"), Refused, "no token"),
        (Response(200, b"<html>"), Refused, "no token"),
        (Response(503), Unreachable, "HTTP 503"),
    ],
)
async def test_no_token_says_why(trouble: Response, error: type[Exception], said: str) -> None:
    async with Keeper() as keeper:
        keeper.trouble = trouble
        async with opened(connector(keeper.url, auth=keeper.auth())) as http:
            with pytest.raises(error, match=said) as raised:
                await http.read()
    assert SECRET not in shown(raised.value)


def shown(error: BaseException | None) -> str:
    """All that a log could print of an error."""
    text = ""
    while error is not None:
        text += f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text


AUTHS = [
    {"kind": "basic", "user": "u", "password": SECRET},
    {"kind": "bearer", "token": SECRET},
    {"kind": "bearer", "token": SECRET + "\nx: y"},
    {"kind": "bearer", "token": SECRET + "ä"},
    {"kind": "api_key", "api_key": SECRET + "\x00"},
]
TROUBLE: list[Callable[[Request], Response | None]] = [
    lambda _: Response(400, SECRET.encode()),
    lambda _: Response(401),
    lambda _: Response(500, SECRET.encode()),
    lambda _: Response(302, headers={"location": f"http://127.0.0.2/?key={SECRET}"}),
    lambda _: Response(200, SECRET.encode(), {"content-type": "text/plain"}),
    lambda _: None,
]


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("trouble", TROUBLE)
async def test_no_error_shows_a_secret(
    auth: dict[str, Any], trouble: Callable[[Request], Response | None]
) -> None:
    async with RestServer(trouble) as server:
        http = connector(
            server.url, auth=auth, params={"key": SECRET}, headers={"x": SECRET}, timeout="200 ms"
        )
        async with opened(http):
            with pytest.raises((Refused, Unreachable)) as raised:
                await http.read()
    assert SECRET not in shown(raised.value)


async def test_a_secret_goes_to_no_other_host() -> None:
    async with RestServer(lambda _: Response.json({"v": 1})) as other:
        moved = Response(307, headers={"location": f"{other.url}/"})
        async with RestServer(lambda _: moved) as server:
            with pytest.raises(Refused, match="only its own host"):
                await value_of(server.url, auth={"kind": "bearer", "token": SECRET})
        assert other.requests == []


# TLS ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plant_ca(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    ca, server = make_authority(tmp_path_factory.mktemp("ca"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server)
    return ca, context


async def test_an_authority_of_ones_own_is_trusted_when_declared(
    plant_ca: tuple[Path, ssl.SSLContext], tmp_path: Path
) -> None:
    ca, context = plant_ca
    async with RestServer(lambda _: Response.json({"v": 1}), context) as server:
        assert await value_of(server.url, ca=str(ca)) == 1
        with pytest.raises(Refused, match="certificate not trusted"):
            await value_of(server.url)
        with pytest.raises(Refused, match="`ca`: cannot read"):
            await value_of(server.url, ca=str(tmp_path / "absent.pem"))


def test_a_secret_in_the_clear_is_called_attention_to() -> None:
    auth = {"kind": "basic", "user": "u", "password": SECRET}
    (said,) = connector("http://10.1.4.7/api", auth=auth).attention()
    assert said == "The password goes to http://10.1.4.7/api in the clear: use `https`."
    assert connector("http://10.1.4.7/api").attention() == []
    assert connector("https://10.1.4.7/api", auth=auth).attention() == []
