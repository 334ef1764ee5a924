"""Requests to one agent and what its answers mean; the only module here that needs the driver."""

import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx

from isthmus.field.budget import Allowance
from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.mtconnect.answers import (
    AssetNotFoundError,
    BrokenOffError,
    OutOfRangeError,
)
from isthmus.field.connectors.mtconnect.multipart import BrokenStreamError, boundary_of, parts
from isthmus.field.connectors.mtconnect.spec import MtconnectSource
from isthmus.field.mtconnect import documents
from isthmus.field.trust import distrust, trust

_XML: Final = "text/xml, application/xml;q=0.9, */*;q=0.1"
_PASSES_BY_ITSELF: Final = frozenset({"INTERNAL_ERROR", "QUERY_ERROR"})


class Agent:
    """One HTTP connection to an agent."""

    def __init__(self, spec: MtconnectSource, allowance: Allowance) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # else it logs every request
        self._spec = spec
        self._allowance = allowance
        self._longest = spec.max_document_mb * 1024 * 1024
        self._root = spec.url.rstrip("/")
        self._base = f"{self._root}/{spec.device}" if spec.device else self._root
        password = spec.password.get_secret_value() if spec.password else ""
        self._http = httpx.AsyncClient(
            headers={"accept": _XML},
            auth=(spec.user, password) if spec.user else None,
            timeout=spec.timeout,
            verify=trust(spec.ca),
            trust_env=False,  # machines are not behind the office's proxy
        )

    async def get(self, request: str, params: Mapping[str, Any] | None = None) -> Any:
        """The document an agent answers with."""
        return await self._get(self._url(request), params)

    async def asset(self, asset: str) -> Any:
        """One asset; AssetNotFoundError where it is gone."""
        return await self._get(f"{self._root}/asset/{quote(asset, safe='')}", None)

    async def _get(self, url: str, params: Mapping[str, Any] | None) -> Any:
        await self._allowance.turn()
        try:
            async with self._http.stream("GET", url, params=params) as response:
                return self._document(response.status_code, await self._body(response))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    async def sample(self, params: Mapping[str, Any], heartbeat: float) -> AsyncIterator[Any]:
        """Documents as the agent sends them; an agent that cannot stream sends one."""
        wait = httpx.Timeout(self._spec.timeout, read=heartbeat + self._spec.timeout)
        # A compressed stream would stay in the compressor until it is full.
        headers = {"accept-encoding": "identity"}
        request = self._http.build_request(
            "GET", self._url("sample"), params=params, headers=headers, timeout=wait
        )
        await self._allowance.turn()
        try:
            response = await self._http.send(request, stream=True)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        try:
            boundary = boundary_of(response.headers.get("content-type", ""))
            if boundary is None:
                yield self._document(response.status_code, await self._body(response))
                return
            async for part in parts(response.aiter_bytes(), boundary, self._longest):
                yield self._document(response.status_code, part)
        except httpx.TimeoutException as error:
            raise self._unreachable(error) from error
        except (httpx.HTTPError, BrokenStreamError) as error:
            raise BrokenOffError(str(error) or type(error).__name__) from error
        finally:
            await response.aclose()

    async def close(self) -> None:
        await self._http.aclose()

    def _url(self, request: str) -> str:
        return f"{self._base}/{request}"

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._longest:
                raise Refused(f"{response.url}: the answer is longer than {self._longest} bytes")
        return bytes(body)

    def _document(self, status: int, body: bytes) -> Any:
        """The parsed document; errors of the agent and of HTTP become ours."""
        try:
            root = documents.parse(body)
        except documents.MalformedError as error:
            raise self._no_document(status, error) from error
        if documents.kind(root) == "MTConnectError":
            raise self._error(documents.errors(root))
        return root

    def _no_document(self, status: int, error: documents.MalformedError) -> Exception:
        what = f"{self._base}: HTTP {status}, no MTConnect document: {error}"
        return Unreachable(what) if status >= 500 or status == 429 else Refused(what)

    def _error(self, errors: list[tuple[str, str]]) -> Exception:
        said = "; ".join(f"{code}: {text}" for code, text in errors) or "an error without a code"
        codes = {code for code, _ in errors}
        if "OUT_OF_RANGE" in codes:
            return OutOfRangeError(said)
        if codes == {"ASSET_NOT_FOUND"}:
            return AssetNotFoundError(said)
        if codes <= _PASSES_BY_ITSELF:
            return Unreachable(f"{self._base}: the agent says {said}")
        return Refused(f"{self._base}: the agent says {said}")

    def _unreachable(self, error: Exception) -> Exception:
        cause = distrust(error)
        if cause is not None:
            return Refused(f"{self._base}: certificate not trusted ({cause})")
        return Unreachable(f"{self._base}: {str(error) or type(error).__name__}")
