"""The page of an endpoint in a platform that runs; a test there takes half a second."""

import asyncio
import time
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest
from httpx import AsyncClient

from isthmus.testing.opcua_server import OpcuaServer

from .test_connect import PATIENCE, Site, running
from .test_pages import text_of

PLACE = "/endpoint/acme/hamburg"


@pytest.fixture
async def site(
    server: OpcuaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("isthmus.web.pages.connect_endpoint.TEST_SECONDS", 0.5)
    async with running(tmp_path, server, server.port) as made:
        yield made


async def outcome(http: AsyncClient, name: str) -> str:
    """What a test that was begun says in the end."""
    deadline = time.monotonic() + PATIENCE
    while "hx-get" in (page := (await http.get(f"/endpoint-test/{name}")).text):
        assert "<progress" in page
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    return unescape(text_of(page))
