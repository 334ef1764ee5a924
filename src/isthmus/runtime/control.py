"""A Unix socket in the data folder: how commands on this machine talk to the running platform.

Who may write to the folder may speak; nothing listens on the network. One JSON line asks, one
answers.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

Answer = Mapping[str, Any]
Ask = Callable[[Mapping[str, Any]], Awaitable[Answer]]

LINE_LIMIT = 1 << 20


class NotRunning(Exception):  # noqa: N818 - the condition, not a bug
    """No platform uses this data folder right now."""


class ControlServer:
    """Answers one question after another until closed."""

    def __init__(self, path: Path, ask: Ask) -> None:
        self.path = path
        self.ask = ask
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self.path, limit=LINE_LIMIT)
        finally:
            os.umask(before)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question = json.loads(await reader.readline())
            answer = await self.ask(question)
        except ValueError as wrong:
            answer = {"error": f"not a JSON line: {wrong}"}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        writer.close()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self.path.unlink(missing_ok=True)


async def ask(path: Path, question: Mapping[str, Any]) -> Answer:
    """One question to the running platform; NotRunning if there is none."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=LINE_LIMIT)
    except (FileNotFoundError, ConnectionRefusedError) as missing:
        raise NotRunning(f"no platform runs on {path.parent}") from missing
    writer.write(json.dumps(dict(question)).encode() + b"\n")
    await writer.drain()
    answer: Answer = json.loads(await reader.readline())
    writer.close()
    return answer
