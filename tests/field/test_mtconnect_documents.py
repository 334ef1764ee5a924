"""Documents and streams of an agent are cut and read without trusting them; no agent needed."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.field.connectors.mtconnect.multipart import BrokenStreamError, boundary_of, parts
from isthmus.field.mtconnect import documents


def test_xml_is_not_trusted(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    outside = f'<!DOCTYPE d [<!ENTITY x SYSTEM "file://{secret}">]><MTConnectDevices>&x;</MTConnectDevices>'
    laughs = "".join(
        f'<!ENTITY l{level} "{f"&l{level - 1};" * 10 if level else "ha"}">' for level in range(10)
    )
    bomb = f"<!DOCTYPE d [{laughs}]><MTConnectDevices>&l9;</MTConnectDevices>"
    deep = "<MTConnectDevices>" + "<a>" * 100_000
    for document in (outside, bomb, deep, "", "\0", "<a/>"):
        with pytest.raises(documents.MalformedError):
            documents.parse(document.encode())


@settings(deadline=None)
@given(
    bodies=st.lists(st.binary(max_size=50).filter(lambda body: b"--b" not in body), max_size=5),
    size=st.integers(1, 40),
    with_length=st.booleans(),
)
async def test_parts_are_whole_however_they_are_cut(
    bodies: list[bytes], size: int, *, with_length: bool
) -> None:
    sent = b""
    for body in bodies:
        length = f"Content-length: {len(body)}\r\n".encode() if with_length else b""
        sent += b"--b\r\nContent-type: text/xml\r\n" + length + b"\r\n" + body + b"\r\n"
    sent += b"--b--\r\n"

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(sent), size):
            yield sent[at : at + size]

    assert [part async for part in parts(chunks(), b"--b", 1000)] == bodies


async def test_a_part_that_is_too_long_breaks_the_stream() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"--b\r\nContent-length: 999999999\r\n\r\n"

    with pytest.raises(BrokenStreamError, match="more than 1000"):
        [part async for part in parts(chunks(), b"--b", 1000)]


def test_boundaries() -> None:
    assert boundary_of("text/xml") is None
    assert boundary_of('multipart/x-mixed-replace; boundary="abc"') == b"--abc"
    assert boundary_of("multipart/x-mixed-replace;boundary=abc") == b"--abc"
    with pytest.raises(BrokenStreamError):
        boundary_of("multipart/mixed")


def test_specs_are_read_without_any_driver() -> None:
    script = """
import json, sys
for name in ("httpx", "lxml", "paho", "aiomqtt", "jsonpath"):
    sys.modules[name] = None
from isthmus.field.registry import SOURCE_KINDS
mqtt, mtconnect, shdr = (SOURCE_KINDS[kind] for kind in ("mqtt", "mtconnect", "shdr"))
mqtt(host="broker").parse_tag("a/b#$.c[?@.d==1];time=$.t")
mtconnect(url="http://agent:5000").parse_tag("OKUMA/exec[level]")
shdr(host="adapter").parse_tag("condition:system")
print(json.dumps([mqtt.__name__, mtconnect.__name__, shdr.__name__]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == ["MqttSource", "MtconnectSource", "ShdrSource"]
