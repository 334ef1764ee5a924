"""Requests to one interface and what its answers mean; needs the driver."""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from isthmus.base.clock import Clock, to_datetime
from isthmus.field.budget import Allowance
from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.http.answers import NotModifiedError, NotThereError, TooManyError
from isthmus.field.connectors.http.pages import Answer, Ask
from isthmus.field.connectors.http.sign_in import SignIn
from isthmus.field.connectors.http.spec import HttpSource
from isthmus.field.trust import distrust, trust
from isthmus.field.values import BAD_USER_ACCESS_DENIED
from isthmus.flow.parcel import BAD_NODE_UNKNOWN

_MOST_REDIRECTS: Final = 5
_MOST_TAGGED: Final = 100
"""Addresses whose entity tags are remembered."""
_COME_AGAIN: Final = 30.0
"""Seconds, where a server that is asked too often does not say."""
_LONGEST_WAIT: Final = 86_400.0
_PORTS: Final = {"http": 80, "https": 443}


class Client:
    """One HTTP connection to an interface."""

    def __init__(self, spec: HttpSource, clock: Clock, allowance: Allowance) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # else it logs every request
        self._spec = spec
        self._clock = clock
        self._allowance = allowance
        self._longest = spec.max_answer_mb * 1024 * 1024
        self._validators: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._http = httpx.AsyncClient(
            headers={"accept": "application/json", "user-agent": "isthmus"},
            timeout=spec.timeout,
            verify=trust(spec.ca),
            trust_env=False,  # machines are not behind the office's proxy
            limits=httpx.Limits(max_connections=1),
            # Redirects and tokens count, too; they do not wait, so the next question does.
            event_hooks={"request": [self._count]},
        )
        self._sign_in = SignIn(spec, self._http)
        self._has_turn = False
        """The next request is counted already."""

    async def ask(self, ask: Ask) -> Answer:
        """The decoded answer. The errors of `answers` and of the connector's contract."""
        _same_host(self._spec.url, ask.url)
        await self._allowance.turn()
        self._has_turn = True
        try:
            async with asyncio.timeout(self._spec.timeout):
                return await self._signed(ask)
        except TimeoutError as error:
            why = f"no whole answer within {self._spec.timeout:g} s"
            raise Unreachable(f"{place(ask.url)}: {why}") from error
        except (httpx.LocalProtocolError, UnicodeEncodeError):
            # Their messages repeat the header, and the secret in it.
            raise Refused(
                f"{place(ask.url)}: a header of `auth` or `headers` cannot be sent: is there a "
                "line break or a letter beyond ASCII in it?"
            ) from None
        except httpx.InvalidURL:
            raise Refused(f"{place(ask.url)}: it leads to no address") from None
        except httpx.HTTPError as error:
            raise self._unreachable(ask.url, error) from error

    def forget(self) -> None:
        """Let the next answers be whole ones, also where nothing has changed."""
        self._validators.clear()

    async def close(self) -> None:
        await self._http.aclose()

    async def _count(self, _request: httpx.Request) -> None:
        if not self._has_turn:
            self._allowance.sent()
        self._has_turn = False

    async def _signed(self, ask: Ask) -> Answer:
        answer = await self._follow(ask)
        if answer is None and self._sign_in.forget():
            answer = await self._follow(ask)
        if answer is None:
            raise Refused(f"{place(ask.url)}: HTTP 401; is `auth` right?")
        return answer

    async def _follow(self, ask: Ask) -> Answer | None:
        """Through redirects on the same host; None where we are not known (401)."""
        url = ask.url
        for _ in range(_MOST_REDIRECTS + 1):
            headers = dict(self._spec.headers) | await self._sign_in.headers()
            moved, answer = await self._once(url, ask, headers)
            if not moved:
                return answer
            url = _joined(url, moved)
            _same_host(self._spec.url, url)
        raise Refused(f"{place(ask.url)}: it redirects more than {_MOST_REDIRECTS} times")

    async def _once(
        self, url: str, ask: Ask, headers: Mapping[str, str]
    ) -> tuple[str, Answer | None]:
        """Where it has moved, or the answer; None where we are not known."""
        plain = ask.body is None
        validators = self._validators.get(url, {}) if plain and self._spec.paging is None else {}
        request = self._http.build_request(
            "GET" if plain else "POST", url, headers={**headers, **validators}, json=ask.body
        )
        response = await self._http.send(request, stream=True)
        try:
            if response.is_redirect and response.status_code != 304:
                return self._moved(url, response, plain=plain), None
            if response.status_code == 401:
                return "", None
            self._check(url, response)
            document = self._decoded(url, response, await self._body(url, response))
        finally:
            await response.aclose()
        self._remember(url, response)
        return "", Answer(url, document, response.headers.get("link", ""))

    def _moved(self, url: str, response: httpx.Response, *, plain: bool) -> str:
        if not plain and response.status_code not in {307, 308}:
            raise Refused(f"{place(url)}: it redirects a POST (HTTP {response.status_code})")
        return str(response.headers["location"])

    def _check(self, url: str, response: httpx.Response) -> None:
        status, where = response.status_code, place(url)
        if status == 304:
            raise NotModifiedError
        if status == 429 or (status == 503 and "retry-after" in response.headers):
            raise TooManyError(self._wait(response.headers.get("retry-after", "")))
        if status == 403:
            raise NotThereError(f"{where}: HTTP 403; may we read it?", BAD_USER_ACCESS_DENIED)
        if status in {404, 410}:
            raise NotThereError(f"{where}: HTTP {status}; is it there?", BAD_NODE_UNKNOWN)
        if status >= 500 or status == 408:
            raise Unreachable(f"{where}: HTTP {status}")
        if status != 200:
            raise Refused(f"{where}: HTTP {status}")

    def _wait(self, text: str) -> float:
        """Seconds, of a header `Retry-After` that gives them or a date."""
        if text.isdecimal():
            seconds = float(text)
        else:
            try:
                at = parsedate_to_datetime(text)
            except ValueError:
                return _COME_AGAIN
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            seconds = (at - _now(self._clock)).total_seconds()
        return min(max(seconds, 0.0), _LONGEST_WAIT)

    async def _body(self, url: str, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._longest:
                most = self._spec.max_answer_mb
                raise Refused(f"{place(url)}: the answer is longer than {most} MB")
        return bytes(body)

    def _decoded(self, url: str, response: httpx.Response, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            kind = response.headers.get("content-type", "without a type")[:100]
            raise Refused(f"{place(url)}: the answer is no JSON but {kind}") from error

    def _remember(self, url: str, response: httpx.Response) -> None:
        """What lets the server say that nothing has changed."""
        found = {
            ask: response.headers[told]
            for ask, told in (("if-none-match", "etag"), ("if-modified-since", "last-modified"))
            if told in response.headers
        }
        self._validators.pop(url, None)
        if found:
            self._validators[url] = found
            if len(self._validators) > _MOST_TAGGED:
                self._validators.popitem(last=False)

    def _unreachable(self, url: str, error: Exception) -> Exception:
        cause = distrust(error)
        if cause is not None:
            return Refused(f"{place(url)}: certificate not trusted ({cause})")
        return Unreachable(f"{place(url)}: {_said(error)}")


def _said(error: Exception) -> str:
    """In words that can hold no secret."""
    if isinstance(error, httpx.RemoteProtocolError):
        return "its answer breaks off, is no HTTP or leads to no address"
    network = str(error) if isinstance(error, httpx.NetworkError) else ""
    return network or type(error).__name__


def place(url: str) -> str:
    """The address without its query, which may hold a key."""
    return url.partition("?")[0]


def _same_host(declared: str, url: str) -> None:
    """Secrets go to no other host, and never from https to http."""
    own = urlsplit(declared)
    try:
        other = urlsplit(url)
        same = _place(own) == _place(other) or _is_safer(own, other)
    except ValueError:
        raise Refused(f"{place(declared)}: it leads to no address") from None
    if not same:
        there = f"{other.scheme}://{other.hostname}"
        raise Refused(f"{place(declared)}: it leads to {there}; only its own host is asked")


def _joined(url: str, moved: str) -> str:
    try:
        return urljoin(url, moved)
    except ValueError:
        raise Refused(f"{place(url)}: it leads to no address") from None


def _is_safer(own: SplitResult, other: SplitResult) -> bool:
    """The same host by https instead of http, both on their usual ports."""
    ports = (own.scheme, own.port, other.scheme, other.port)
    return own.hostname == other.hostname and ports == ("http", None, "https", None)


def _place(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _now(clock: Clock) -> datetime:
    return to_datetime(clock.now())
