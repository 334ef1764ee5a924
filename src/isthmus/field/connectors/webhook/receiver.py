"""A small HTTP server: whole posts in, a status out; whatever comes, it stays bounded."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import h11

from isthmus.field.connectors.webhook.posts import Post, Reply
from isthmus.field.connectors.webhook.spec import WebhookSource

_MOST_CONNECTIONS: Final = 100
_LONGEST_HEAD: Final = 16_384
_IDLE: Final = 60.0
"""Seconds a connection may stay open without a request."""
_LAST_ANSWERS: Final = 1.0
"""Seconds for the answers that are still to be sent when we stop."""
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n"
    b"connection: close\r\n\r\n"
)


class _BadRequestError(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class Receiver:
    """Listens until it is stopped; `answer` is awaited for every whole post."""

    def __init__(self, spec: WebhookSource, answer: Callable[[Post], Awaitable[Reply]]) -> None:
        self._spec = spec
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()

    async def start(self, tls: ssl.SSLContext | None) -> None:
        """OSError if the port cannot be had."""
        self._server = await asyncio.start_server(
            self._serve, self._spec.host, self._spec.port, ssl=tls, limit=_LONGEST_HEAD
        )

    async def stop(self) -> None:
        """Close all, once those who wait for an answer have had it."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        if self._answering:
            await asyncio.wait(self._answering, timeout=_LAST_ANSWERS)
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("asyncio serves every connection in a task")
        self._serving.add(task)
        try:
            await self._talk(task, reader, writer)
        except (ConnectionError, asyncio.CancelledError, TimeoutError):
            pass  # the sender is gone, says nothing, or we stop
        finally:
            self._serving.discard(task)
            self._answering.discard(task)
            writer.close()

    async def _talk(
        self,
        task: asyncio.Task[None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_HEAD)
        if len(self._serving) > _MOST_CONNECTIONS:
            writer.write(_TOO_MANY)
            await writer.drain()
            return
        while True:
            try:
                post = await self._post(connection, reader, writer)
            except _BadRequestError as error:
                await _send(connection, writer, error.reply, last=True)
                return
            if post is None:
                return
            self._answering.add(task)
            last = self._server is None
            await _send(connection, writer, await self._answer(post), last=last)
            if connection.our_state is not h11.DONE or self._server is None:
                return
            self._answering.discard(task)
            connection.start_next_cycle()

    async def _post(
        self,
        connection: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> Post | None:
        """The next whole request; None when the sender has hung up."""
        async with asyncio.timeout(_IDLE):
            head = await self._head(connection, reader)
        if head is None:
            return None
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}
        path = head.target.decode("latin-1").partition("?")[0]
        self._check(head.method.decode(), headers)
        if connection.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            writer.write(connection.send(go_on) or b"")
        try:
            async with asyncio.timeout(self._spec.timeout):
                return Post(path, headers, await self._body(connection, reader))
        except TimeoutError:
            raise _BadRequestError(Reply(408, "the body took too long")) from None

    async def _head(
        self, connection: h11.Connection, reader: asyncio.StreamReader
    ) -> h11.Request | None:
        event = await _next(connection, reader)
        return event if isinstance(event, h11.Request) else None

    def _check(self, method: str, headers: Mapping[str, str]) -> None:
        if method != "POST":
            raise _BadRequestError(Reply(405, "send a POST", {"allow": "POST"}))
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._spec.max_body_kb * 1024:
            raise _BadRequestError(self._too_long())

    async def _body(self, connection: h11.Connection, reader: asyncio.StreamReader) -> bytes:
        body = bytearray()
        while isinstance(event := await _next(connection, reader), h11.Data):
            body += event.data
            if len(body) > self._spec.max_body_kb * 1024:
                raise _BadRequestError(self._too_long())
        if not isinstance(event, h11.EndOfMessage):
            raise ConnectionResetError("the sender hung up in the middle")
        return bytes(body)

    def _too_long(self) -> Reply:
        return Reply(413, f"longer than {self._spec.max_body_kb} KB")


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    try:
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
    except h11.RemoteProtocolError as error:
        raise _BadRequestError(Reply(error.error_status_hint, "this is no HTTP")) from error
    return event


async def _send(
    connection: h11.Connection, writer: asyncio.StreamWriter, reply: Reply, *, last: bool
) -> None:
    if connection.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
        return
    body = reply.text.encode() + b"\n"
    headers = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body)))]
    headers += [*reply.headers.items(), *([("connection", "close")] if last else [])]
    response = h11.Response(status_code=reply.status, headers=headers)
    for event in (response, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(connection.send(event) or b"")
    await writer.drain()
