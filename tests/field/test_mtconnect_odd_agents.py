"""MTConnect agents that are old, or wrong, or cannot stream."""

import asyncio
import gzip
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from isthmus.base.clock import SystemClock, parse_time
from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.mtconnect import MtconnectConnector
from isthmus.field.values import BAD_DECODING, BAD_NO_DATA
from isthmus.flow.parcel import BAD_NOT_CONNECTED, GOOD, UNCERTAIN
from isthmus.testing.connector_suite import Sample, opened, read_forever, read_until

from .mtconnect_source import first, source

Answer = Callable[[str], tuple[int, str, bytes]]

STREAMS = """<MTConnectStreams xmlns="urn:mtconnect.org:MTConnectStreams:{version}">
<Header instanceId="1" firstSequence="1" lastSequence="9" nextSequence="10" bufferSize="100"/>
<Streams><DeviceStream name="D" uuid="u"><ComponentStream component="Path" componentId="p">
<Samples><Load dataItemId="load" sequence="7" timestamp="{time}">{load}</Load></Samples>
<Events><Execution dataItemId="exec" sequence="8" timestamp="{time}">{exec}</Execution></Events>
</ComponentStream></DeviceStream></Streams></MTConnectStreams>"""
DEVICES = """<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:{version}">
<Header/><Devices><Device id="d" name="D" uuid="u"><DataItems>
<DataItem id="load" category="SAMPLE" type="LOAD"/>
<DataItem id="exec" category="EVENT" type="EXECUTION"/>
</DataItems></Device></Devices></MTConnectDevices>"""
TIME = "2026-03-02T06:00:00.1234567Z"


def plain(version: str = "1.3", load: str = "5", exec_: str = "READY", time: str = TIME) -> Answer:
    """An agent that answers every request with one document and cannot stream."""

    def answer(target: str) -> tuple[int, str, bytes]:
        form = DEVICES if "probe" in target else STREAMS
        text = form.format(version=version, load=load, exec=exec_, time=time)
        return 200, "text/xml", text.encode()

    return answer


def always(status: int, body: bytes, content_type: str = "text/xml") -> Answer:
    return lambda _: (status, content_type, body)


def error_document(code: str) -> bytes:
    return (
        f'<MTConnectError xmlns="urn:mtconnect.org:MTConnectError:1.2"><Header/><Errors>'
        f'<Error errorCode="{code}">no good</Error></Errors></MTConnectError>'
    ).encode()


@asynccontextmanager
async def http(answer: Answer) -> AsyncIterator[str]:
    """Serve these answers, compressed; the address."""
    serving: dict[asyncio.StreamWriter, asyncio.Task[Any] | None] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving[writer] = asyncio.current_task()
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                status, content_type, body = answer(head.split(b" ")[1].decode())
                body = gzip.compress(body)
                writer.write(
                    f"HTTP/1.1 {status} Status\r\nContent-Type: {content_type}\r\n"
                    f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in serving:
            writer.transport.abort()
        await asyncio.gather(*(task for task in serving.values() if task is not None))


async def read_of(answer: Answer, *tags: str, **options: Any) -> list[Sample]:
    async with http(answer) as url:
        follower = MtconnectConnector("agent", source(url, **options), tags, SystemClock())
        async with opened(follower) as mtconnect:
            return await first(mtconnect)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3", "1.8", "2.0", "2.7", "9.9"])
async def test_every_version_of_the_documents_is_read(version: str) -> None:
    samples = await read_of(plain(version), "load", "exec")
    assert [(s.tag, s.value, s.quality) for s in samples] == [
        ("load", 5.0, GOOD),
        ("exec", "READY", GOOD),
    ]
    assert samples[0].device_time == parse_time("2026-03-02T06:00:00.123456Z")


async def test_an_agent_that_cannot_stream_is_asked_again() -> None:
    asked = []

    def answer(target: str) -> tuple[int, str, bytes]:
        asked.append(target)
        return plain()(target)

    async with http(answer) as url:
        spec = source(url)
        follower = MtconnectConnector("agent", spec, ["load"], SystemClock())
        async with opened(follower) as mtconnect:
            await read_until(mtconnect, lambda _: len(asked) >= 6)
    assert all(target.startswith("/sample?from=10") for target in asked[2:])


@pytest.mark.parametrize(
    ("load", "value", "quality"),
    [
        ("UNAVAILABLE", None, BAD_NOT_CONNECTED),
        ("much", "much", BAD_DECODING),
        ("", None, BAD_NO_DATA),
        ("1E-3", 0.001, GOOD),
        ("INF", math.inf, GOOD),
    ],
)
async def test_samples_are_numbers_or_named(load: str, value: object, quality: int) -> None:
    (sample,) = await read_of(plain(load=load), "load")
    assert (sample.value, sample.quality) == (value, quality)


async def test_an_unreadable_time_is_uncertain() -> None:
    (sample,) = await read_of(plain(time="yesterday"), "load")
    assert (sample.value, sample.quality) == (5, UNCERTAIN)
    assert sample.device_time == sample.received_time


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (always(200, b"<html><body>Log in</body></html>"), Refused, "`html`"),
        (always(404, b"not here"), Refused, "HTTP 404"),
        (always(503, b"busy"), Unreachable, "HTTP 503"),
        (always(200, error_document("NO_DEVICE")), Refused, "NO_DEVICE: no good"),
        (always(200, error_document("INTERNAL_ERROR")), Unreachable, "INTERNAL_ERROR"),
        (always(200, b"<MTConnectDevices><Header/>"), Refused, "no XML"),
        (always(200, b"<MTConnectDevices/>" + b" " * 2_000_000), Refused, "longer than"),
    ],
)
async def test_wrong_answers_say_what_is_wrong(
    answer: Answer, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await read_of(answer, "load", max_document_mb=1)


async def test_an_agent_that_is_always_out_of_range_is_refused_in_the_end() -> None:
    def answer(target: str) -> tuple[int, str, bytes]:
        if "/sample" in target:
            return 404, "text/xml", error_document("OUT_OF_RANGE")
        return plain()(target)

    async with http(answer) as url:
        follower = MtconnectConnector("agent", source(url), ["load"], SystemClock())
        async with opened(follower) as mtconnect:
            with pytest.raises(Refused, match="OUT_OF_RANGE"):
                await read_forever(mtconnect)


async def test_observations_that_are_passed_over_are_a_gap() -> None:
    """An agent that goes on silently instead of saying OUT_OF_RANGE."""
    asked = []

    def answer(target: str) -> tuple[int, str, bytes]:
        asked.append(target)
        status, content_type, body = plain()(target)
        if len(asked) >= 5:  # probe, current, two samples; then it has lost 10 to 49
            body = body.replace(b'firstSequence="1"', b'firstSequence="50"')
            body = body.replace(b'nextSequence="10"', b'nextSequence="60"')
            body = body.replace(b'sequence="7"', b'sequence="57"')
            body = body.replace(b'sequence="8"', b'sequence="58"')
        return status, content_type, body

    async with http(answer) as url:
        follower = MtconnectConnector("agent", source(url), ["load"], SystemClock())
        async with opened(follower) as mtconnect:
            await read_until(mtconnect, lambda _: len(asked) >= 8)
            missed = mtconnect.missed()
    assert [gap.detail for gap in missed] == ["40 observations had left the agent's buffer"]
    assert asked[5] == "/probe"
    assert asked[7].startswith("/sample?from=60")
