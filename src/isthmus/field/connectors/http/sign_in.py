"""The header that says who we are; the secret in it is never shown."""

import asyncio
from base64 import b64encode
from typing import Any, Final, assert_never

import httpx

from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.http.spec import ApiKey, Basic, Bearer, HttpSource, OAuth2

_LASTS: Final = 300.0
"""Seconds of a token that does not say."""
_EARLY: Final = 0.1
"""Part of its time before which a token is replaced."""
_LONGEST_ANSWER: Final = 65_536


class SignIn:
    """Headers for each request; fetches and replaces tokens."""

    def __init__(self, spec: HttpSource, http: httpx.AsyncClient) -> None:
        self._auth = spec.auth
        self._timeout = spec.timeout
        self._http = http
        self._token = ""
        self._ends = 0.0

    async def headers(self) -> dict[str, str]:
        """Unreachable or Refused if a token cannot be had."""
        match self._auth:
            case None:
                return {}
            case Basic() as basic:
                return {"authorization": _basic(basic.user, basic.password.get_secret_value())}
            case Bearer() as bearer:
                return {"authorization": f"Bearer {bearer.token.get_secret_value()}"}
            case ApiKey() as key:
                return {key.header: key.api_key.get_secret_value()}
            case OAuth2() as oauth2:
                return {"authorization": f"Bearer {await self._fresh(oauth2)}"}
            case unknown:
                assert_never(unknown)

    def forget(self) -> bool:
        """The token was not taken; whether another one can be fetched."""
        had, self._token = bool(self._token), ""
        return had

    async def _fresh(self, oauth2: OAuth2) -> str:
        now = asyncio.get_running_loop().time()
        if not self._token or now >= self._ends:
            answer = await self._fetch(oauth2)
            lasts = answer.get("expires_in", _LASTS)
            seconds = float(lasts) if isinstance(lasts, int | float | str) else _LASTS
            self._token = answer["access_token"]
            self._ends = now + seconds * (1 - _EARLY)
        return self._token

    async def _fetch(self, oauth2: OAuth2) -> dict[str, Any]:
        form = {"grant_type": "client_credentials"}
        form |= {"scope": oauth2.scope} if oauth2.scope else {}
        form |= {"audience": oauth2.audience} if oauth2.audience else {}
        secret, headers = oauth2.client_secret.get_secret_value(), {"accept": "application/json"}
        if oauth2.send == "header":
            headers["authorization"] = _basic(oauth2.client_id, secret)
        else:
            form |= {"client_id": oauth2.client_id, "client_secret": secret}
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._http.post(oauth2.token_url, data=form, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            raise Unreachable(f"{oauth2.token_url}: no token ({type(error).__name__})") from error
        return _token(oauth2.token_url, response)


def _token(url: str, response: httpx.Response) -> dict[str, Any]:
    status = response.status_code
    if status >= 500 or status == 429:
        raise Unreachable(f"{url}: no token (HTTP {status})")
    try:
        answer = response.json() if len(response.content) <= _LONGEST_ANSWER else None
    except ValueError:
        answer = None
    if status == 200 and isinstance(answer, dict) and isinstance(answer.get("access_token"), str):
        return answer
    said = answer.get("error") if isinstance(answer, dict) else None
    # Only the word of the standard: a description may repeat what we sent.
    word = said if isinstance(said, str) and said.isidentifier() and len(said) < 40 else "no token"
    raise Refused(f"{url}: {word} (HTTP {status}); are `client_id` and `client_secret` right?")


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
