"""A REST interface on loopback whose answers a test decides; h11 speaks the protocol."""

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import h11

from isthmus.testing.tcp_proxy import LOOPBACK


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """What it gets."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, document: Any, **headers: str) -> "Response":
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps(document).encode()
        return cls(200, body, {"content-type": "application/json", **names})


Answer = Callable[[Request], Response | None]
"""None: the server says nothing at all."""


class RestServer:
    """Remembers every request."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.requests: list[Request] = []
        self.answer = answer
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    @property
    def url(self) -> str:
        scheme, host = ("https", "localhost") if self._tls else ("http", LOOPBACK)
        return f"{scheme}://{host}:{self.port}"

    @property
    def asked(self) -> list[str]:
        """Paths with their queries, in the order of the requests."""
        return [
            request.path + ("?" if request.query else "")
            + "&".join(f"{key}={value}" for key, value in request.query.items())
            for request in self.requests
        ]  # fmt: skip

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        serving = dict(self._serving)
        for writer, task in serving.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*serving.values(), return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving[writer] = task
        connection = h11.Connection(h11.SERVER)
        try:
            while request := await _request(connection, reader):
                self.requests.append(request)
                response = self.answer(request)
                if response is None:
                    await asyncio.Event().wait()
                    return
                writer.write(_bytes(connection, response))
                await writer.drain()
                if connection.our_state is not h11.DONE:
                    return
                connection.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
            return  # the client is gone, or the test is over
        finally:
            del self._serving[writer]
            writer.transport.abort()


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    head: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        match event:
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(65_536))
            case h11.Request():
                head = event
            case h11.Data():
                body += event.data
            case h11.EndOfMessage() if head is not None:
                return _read(head, body)
            case _:
                return None


def _read(head: h11.Request, body: bytes) -> Request:
    parts = urlsplit(head.target.decode())
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
    return Request(head.method.decode(), parts.path, query, headers, body)


def _bytes(connection: h11.Connection, response: Response) -> bytes:
    headers = list(response.headers.items())
    headers += [] if response.status == 304 else [("content-length", str(len(response.body)))]
    events: list[h11.Event] = [h11.Response(status_code=response.status, headers=headers)]
    events += [h11.Data(data=response.body)] if response.body else []
    return b"".join(connection.send(event) or b"" for event in [*events, h11.EndOfMessage()])
