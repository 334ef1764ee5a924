"""Webhooks: real senders over sockets, believed by signature, answered when it is on disk."""

import asyncio
import hashlib
import hmac
import json
import logging
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from isthmus.base.clock import SECOND, SystemClock, iso, parse_time
from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.webhook import WebhookConnector, WebhookSource
from isthmus.field.connectors.webhook.belief import doubt, signature
from isthmus.field.connectors.webhook.connector import BAD_NO_COMMUNICATION
from isthmus.field.connectors.webhook.deliveries import MOST_REMEMBERED, Deliveries, identity_of
from isthmus.field.connectors.webhook.rate import Rate
from isthmus.field.connectors.webhook.spec import Hmac
from isthmus.field.values import BAD_DECODING, BAD_WAITING_FOR_INITIAL_DATA
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import GOOD
from isthmus.model.spec.site import Keep
from isthmus.runtime.sources import SourceRunner
from isthmus.testing.certificates import make_authority
from isthmus.testing.connector_suite import Sample, cancelled, opened, read_once, read_until, until
from isthmus.testing.mosquitto import free_port
from isthmus.testing.one_source import field as mapped
from isthmus.testing.one_source import plant

SECRET = "sesame-open-7351"
STATE, PARTS = "$.state", "presses/7#$.parts;rows=$.rows[*];time=$.t"
GITHUB = {"kind": "hmac", "secret": SECRET}
STANDARD = {
    "kind": "hmac", "secret": SECRET, "header": "webhook-signature", "prefix": "v1,",
    "form": "base64", "signed": "{id}.{timestamp}.{body}", "timestamp": "webhook-timestamp",
}  # fmt: skip
AT = parse_time("2026-11-02T06:00:00Z")


def connector(*tags: str, **keys: Any) -> WebhookConnector:
    given = {"port": free_port(), "auth": GITHUB, "first_value": "1 min"} | keys
    spec = WebhookSource.model_validate(given)
    return WebhookConnector("press_1", spec, tags or (STATE,), SystemClock())


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}"}


class Sender:
    """Posts to one connector, each over the same connection."""

    def __init__(self, hook: WebhookConnector, client: httpx.AsyncClient) -> None:
        self.url = f"http://127.0.0.1:{hook.spec.port}"
        self._client = client

    def post(
        self, document: Any, path: str = "/", body: bytes | None = None, **headers: str
    ) -> "asyncio.Task[httpx.Response]":
        """Begun, not awaited: it is answered when it is stored."""
        sent = json.dumps(document).encode() if body is None else body
        given = signed(sent) | {name.replace("_", "-"): text for name, text in headers.items()}
        return asyncio.create_task(self._client.post(self.url + path, content=sent, headers=given))


@asynccontextmanager
async def sending(hook: WebhookConnector) -> AsyncIterator[Sender]:
    async with opened(hook), httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield Sender(hook, client)


async def taken(hook: WebhookConnector, count: int = 1) -> list[Sample]:
    return await read_until(hook, lambda seen: len(seen) >= count)


def found(samples: list[Sample]) -> list[tuple[str, Any, int]]:
    return [(sample.tag, sample.value, sample.quality) for sample in samples]


async def status(task: "asyncio.Task[httpx.Response]") -> int:
    return (await task).status_code


# Taken and stored ---------------------------------------------------------------------------------


async def test_a_sender_hears_yes_only_when_it_is_on_our_disk() -> None:
    hook = connector()
    async with sending(hook) as sender:
        posting = sender.post({"state": "RUN"})
        table = None
        while table is None:
            table = await hook.read()
        assert table["text"].to_pylist() == ["RUN"]
        await hook.read()  # nothing more
        assert not posting.done()
        await hook.acknowledge()
        assert await status(posting) == 200


async def test_what_was_not_stored_is_to_be_sent_again() -> None:
    hook = connector()
    async with sending(hook) as sender:
        read, waiting = sender.post({"state": "RUN"}), sender.post({"state": "STOP"})
        while await hook.read() is None:
            pass
        await hook.close()
        assert [await status(read), await status(waiting)] == [503, 503]


async def test_a_full_disk_is_said_in_time() -> None:
    hook = connector(stored_within="50 ms")
    async with sending(hook) as sender:
        answer = await sender.post({"state": "RUN"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_paths_rows_and_times_of_their_own() -> None:
    hook = connector(STATE, PARTS, "$.on;time=$.ts;format=ms")
    rows = [{"t": iso(AT + n * SECOND), "parts": n} for n in range(3)]
    async with sending(hook) as sender:
        posts = [sender.post({"rows": rows}, "/presses/7"), sender.post({"state": "RUN"})]
        samples = await taken(hook, 4)
        posts.append(sender.post({"on": True, "ts": AT // 1000}, "/?x=1"))
        samples += await taken(hook)
        assert [await status(post) for post in posts] == [200, 200, 200]
    assert sorted(s.value for s in samples if s.tag == PARTS) == [0, 1, 2]
    assert [s.device_time - AT for s in samples if s.tag == PARTS] == [0, SECOND, 2 * SECOND]
    assert found(samples[-1:]) == [("$.on;time=$.ts;format=ms", 1.0, GOOD)]
    assert samples[-1].device_time == AT


async def test_a_post_that_says_nothing_of_our_tags_is_taken_at_once() -> None:
    hook = connector()
    async with sending(hook) as sender:
        assert await status(sender.post({"other": 1})) == 200
        assert await read_once(hook) == []


async def test_a_broken_post_is_told_and_kept_in_quarantine() -> None:
    hook = connector()
    async with sending(hook) as sender:
        posting = sender.post(None, body=b'{"state": "RU')
        samples = await taken(hook)
        assert (await posting).status_code == 400
    assert found(samples) == [(STATE, '{"state": "RU', BAD_DECODING)]


async def test_tags_wait_for_their_first_value_and_silence_makes_them_unknown() -> None:
    hook = connector(STATE, "$.on", first_value="50 ms", silence="300 ms")
    async with sending(hook) as sender:
        waiting = await taken(hook, 2)
        posting = sender.post({"state": "RUN"})
        samples = await taken(hook, 3)
        assert await status(posting) == 200
        again = sender.post({"state": "RUN"})
        samples += await taken(hook)
        assert await status(again) == 200
    assert {quality for _, _, quality in found(waiting)} == {BAD_WAITING_FOR_INITIAL_DATA}
    assert found(samples) == [
        (STATE, "RUN", GOOD),
        (STATE, None, BAD_NO_COMMUNICATION),
        ("$.on", None, BAD_NO_COMMUNICATION),
        (STATE, "RUN", GOOD),
    ]


async def test_through_the_runner_the_log_has_it_before_the_sender_hears_yes(
    tmp_path: Path,
) -> None:
    spec = WebhookSource.model_validate({"port": free_port(), "auth": GITHUB, "id": "X-Id"})
    source, whole = plant(mapped("im-07", "machine_state.state", STATE), spec=spec)
    log = SqliteLog(tmp_path / "hamburg.sqlite", "hamburg", Keep())
    events: list[Any] = []
    runner = SourceRunner(
        source, whole, log, SystemClock(), on_rows=lambda _: None, on_event=events.append
    )
    task = asyncio.create_task(runner.run())
    try:
        await until(lambda: any(event.what == "connected" for event in events), "not connected")
        async with httpx.AsyncClient(trust_env=False) as client:
            body = b'{"state": "execute"}'
            for _ in range(2):
                answer = await client.post(
                    f"http://127.0.0.1:{spec.port}/",
                    content=body,
                    headers=signed(body) | {"X-Id": "7"},
                )
                assert answer.status_code == 200
                raw = [s for p in log.read("raw", 0) for s in p.table()["text"].to_pylist() if s]
                assert raw == ["execute"]
        assert log.position(source.name) is not None
    finally:
        runner.stop()
        await task
        log.close()


# Sent again ---------------------------------------------------------------------------------------


async def test_what_is_sent_again_is_taken_once_also_after_a_restart() -> None:
    hook = connector(id="X-Delivery")
    async with sending(hook) as sender:
        posts = [sender.post({"state": "RUN"}, X_Delivery="a") for _ in range(2)]
        await asyncio.wait(posts, timeout=0.05)
        samples = await taken(hook)
        position = hook.position()
        posts.append(sender.post({"state": "RUN"}, X_Delivery="a"))
        assert [await status(post) for post in posts] == [200, 200, 200]
        assert await status(sender.post({"state": "RUN"})) == 400
    again = connector(id="X-Delivery")
    assert position is not None
    again.resume(position)
    async with sending(again) as sender:
        known = await sender.post({"state": "RUN"}, X_Delivery="a")
        new = sender.post({"state": "STOP"}, X_Delivery="b")
        samples += await taken(again)
        assert [known.status_code, known.text, await status(new)] == [200, "known already\n", 200]
    assert [sample.value for sample in samples] == ["RUN", "STOP"]


async def test_a_post_that_was_stored_too_late_is_known_when_it_comes_again() -> None:
    hook = connector(id="X-Delivery", stored_within="100 ms")
    async with sending(hook) as sender:
        assert await status(sender.post({"state": "RUN"}, X_Delivery="a")) == 503
        again = sender.post({"state": "RUN"}, X_Delivery="a")
        table = await hook.read()
        await asyncio.wait({again}, timeout=0.02)
        await hook.acknowledge()
        assert await status(again) == 200
        assert await status(sender.post({"state": "RUN"}, X_Delivery="a")) == 200
    assert table is not None
    assert table.num_rows == 1


async def test_only_so_many_posts_are_remembered() -> None:
    deliveries = Deliveries()
    for number in range(MOST_REMEMBERED + 10):
        deliveries.end(deliveries.begin(identity_of(str(number))), stored=True)
    again = Deliveries()
    again.resume(deliveries.pack([]))
    assert not again.is_stored(identity_of("9"))
    assert again.is_stored(identity_of("10"))
    again.resume(b"of another kind")
    assert again.is_stored(identity_of("10"))


# Believed -----------------------------------------------------------------------------------------


def test_signatures_are_those_of_known_senders() -> None:
    """The examples in the documentation of two well-known senders."""
    github = Hmac(kind="hmac", secret="It's a Secret to Everybody")
    assert signature(github, b"Hello, World!") == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )
    slack = Hmac(
        kind="hmac", secret="8f742231b10e8888abcd99yyyzzz85a5", header="X-Slack-Signature",
        prefix="v0=", signed="v0:{timestamp}:{body}", timestamp="X-Slack-Request-Timestamp",
    )  # fmt: skip
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    assert signature(slack, body, "1531420618") == (
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    )


def spec_of(auth: dict[str, Any]) -> WebhookSource:
    return WebhookSource.model_validate({"port": 1, "auth": auth, "id": "webhook-id"})


def headers_of(auth: dict[str, Any], body: bytes, at: int, identity: str) -> dict[str, str]:
    timestamp = str(at // SECOND)
    made = signature(Hmac.model_validate(auth), body, timestamp, identity)
    return {
        "webhook-id": identity,
        "webhook-timestamp": timestamp,
        auth.get("header", "X-Hub-Signature-256").lower(): made,
    }


@settings(deadline=None)
@given(body=st.binary(min_size=1, max_size=200), place=st.integers(0), wrong=st.integers(1, 255))
def test_a_post_with_one_wrong_byte_is_never_believed(body: bytes, place: int, wrong: int) -> None:
    for auth in (GITHUB, STANDARD):
        headers = headers_of(auth, body, AT, "msg_1")
        assert doubt(spec_of(auth), headers, body, AT) is None
        spoilt = bytearray(body)
        spoilt[place % len(body)] ^= wrong
        assert doubt(spec_of(auth), headers, bytes(spoilt), AT) == "signature"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"webhook-signature": ""}, "unsigned"),
        ({"webhook-signature": "v1,"}, "signature"),
        ({"webhook-signature": "é" * 3}, "signature"),
        ({"webhook-timestamp": str(AT // SECOND - 1)}, "signature"),
        ({"webhook-id": "msg_2"}, "signature"),
    ],
)
def test_every_part_that_is_signed_counts(change: dict[str, str], why: str | None) -> None:
    headers = headers_of(STANDARD, b"{}", AT, "msg_1") | change
    assert doubt(spec_of(STANDARD), headers, b"{}", AT) == why


@pytest.mark.parametrize(
    ("seconds", "why"), [(0, None), (300, None), (301, "time"), (-301, "time")]
)
def test_a_replay_is_not_believed(seconds: int, why: str | None) -> None:
    headers = headers_of(STANDARD, b"{}", AT, "msg_1")
    assert doubt(spec_of(STANDARD), headers, b"{}", AT + seconds * SECOND) == why


def test_while_a_secret_is_replaced_one_of_two_signatures_is_enough() -> None:
    old = headers_of(STANDARD | {"secret": "before"}, b"{}", AT, "1")["webhook-signature"]
    headers = headers_of(STANDARD, b"{}", AT, "1")
    headers["webhook-signature"] = f"{old} {headers['webhook-signature']}"
    assert doubt(spec_of(STANDARD), headers, b"{}", AT) is None


@pytest.mark.parametrize("form", ["hex", "base64"])
def test_a_secret_may_be_bytes(form: str) -> None:
    written = b"\x00\xff".hex() if form == "hex" else "AP8="
    auth = Hmac.model_validate({"kind": "hmac", "secret": written, "secret_form": form})
    expected = hmac.new(b"\x00\xff", b"x", hashlib.sha256).hexdigest()
    assert signature(auth, b"x") == f"sha256={expected}"


async def test_strangers_hear_401_and_are_counted_but_not_quoted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hook = connector(STATE)
    async with sending(hook) as sender:
        with caplog.at_level(logging.DEBUG, "isthmus"):
            body = b'{"state": "PRIVATE-LINE"}'
            wrong = signed(body, "guess")["X-Hub-Signature-256"]
            answers = [
                await sender.post(None, body=body, X_Hub_Signature_256=wrong),
                await sender.post(None, body=body, X_Hub_Signature_256=""),
            ]
            assert await read_once(hook) == []
    assert [(one.status_code, one.text) for one in answers] == [(401, "not believed\n")] * 2
    assert hook.refused == {"signature": 1, "unsigned": 1}
    (record,) = [one.getMessage() for one in caplog.records if one.name.startswith("isthmus")]
    assert record.endswith("posts refused since it was opened: 1 (signature), 1 (unsigned)")
    assert "PRIVATE" not in caplog.text
    assert SECRET not in caplog.text


async def test_a_token_is_believed() -> None:
    hook = connector(auth={"kind": "bearer", "token": SECRET})
    async with sending(hook) as sender:
        assert await status(sender.post({"state": "RUN"}, authorization="Bearer guess")) == 401
        assert await status(sender.post({"state": "RUN"})) == 401
        posting = sender.post({"state": "RUN"}, authorization=f"Bearer {SECRET}")
        await taken(hook)
        assert await status(posting) == 200


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"host": "0.0.0.0", "auth": None}, "`auth` is needed"),  # noqa: S104 - refused
        ({"auth": GITHUB | {"timestamp": "x-time"}}, "only where it is signed"),
        ({"auth": GITHUB | {"signed": "{timestamp}.{body}"}}, "only where it is signed"),
        ({"auth": GITHUB | {"signed": "{timestamp}"}}, "write once `{body}`"),
        ({"auth": GITHUB | {"signed": "{body.x}"}}, "write once `{body}`"),
        ({"auth": GITHUB | {"signed": "{"}}, "write once `{body}`"),
    ],
)
def test_a_wrong_key_is_a_problem_of_the_model(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        connector(**keys)


@pytest.mark.parametrize("tag", ["", "state", "a b#$.x", "/a#$.x", "a//b#$.x", "$["])
def test_a_wrong_tag_says_what_is_wrong(tag: str) -> None:
    with pytest.raises(ValueError, match=r"no value of a post|JSONPath"):
        WebhookSource.parse_tag(tag)


@pytest.mark.parametrize("secret", ["", "zz"])
async def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    hook = connector(auth=GITHUB | {"secret": secret, "secret_form": "hex"})
    with pytest.raises(Refused, match=r"its `secret` is (empty|no hex)"):
        await hook.open()
    await hook.close()


# Bounds -------------------------------------------------------------------------------------------


async def raw(hook: WebhookConnector, sent: bytes) -> bytes:
    """What a sender hears that writes its own HTTP."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hook.spec.port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"405"),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\r\n\r\n", b"400"),
        (HEAD + b"content-length: 999999\r\n\r\n", b"413"),
        (HEAD + b"content-length: -1\r\n\r\n", b"400"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n5000\r\n" + b"x" * 0x5000, b"413"),
        (HEAD + b"x: " + b"y" * 40_000, b"431"),
        (HEAD + b"content-length: 5\r\n\r\nabc", b"408"),
        (HEAD + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n", b"100 "),
    ],
)
async def test_whatever_comes_is_bounded_and_answered(sent: bytes, heard: bytes) -> None:
    hook = connector(max_body_kb=4, timeout="200 ms")
    async with sending(hook) as sender:
        answer = await raw(hook, sent)
        posting = sender.post({"state": "RUN"})  # others are not touched
        await taken(hook)
        assert await status(posting) == 200
    assert answer.startswith(b"HTTP/1.1 " + heard)


async def test_too_many_posts_are_asked_to_come_again() -> None:
    hook = connector(rate=2)
    async with sending(hook) as sender:
        posts = [sender.post({"state": str(number)}) for number in range(6)]
        await taken(hook, 2)
        answers = [await post for post in posts]
    assert sorted(answer.status_code for answer in answers)[:2] == [200, 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 3
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}


def test_the_rate_fills_evenly() -> None:
    rate = Rate(2)
    assert [rate.allows(0.0) for _ in range(3)] == [True, True, False]
    assert [rate.allows(0.5), rate.allows(0.6), rate.allows(9.0)] == [True, False, True]


async def test_connections_are_bounded_and_those_that_wait_are_served() -> None:
    hook = connector()
    async with sending(hook) as sender:
        idle = [await asyncio.open_connection("127.0.0.1", hook.spec.port) for _ in range(100)]
        heard = await raw(hook, b"")
        for _, writer in idle:
            writer.close()
        await until(lambda: not sockets(hook.spec.port, "CLOSE_WAIT"), "a connection is left")
        posting = sender.post({"state": "RUN"})
        await taken(hook)
        assert await status(posting) == 200
    assert heard.startswith(b"HTTP/1.1 503 ")


@pytest.fixture(scope="module")
def plant_ca(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_authority(tmp_path_factory.mktemp("ca"))


# Opened and closed --------------------------------------------------------------------------------


def sockets(port: int, state: str = "") -> list[Any]:
    links = psutil.Process().net_connections("tcp")
    return [one for one in links if one.laddr.port == port and state in ("", one.status)]


async def test_closes_twice_without_open_and_leaves_nothing() -> None:
    before = asyncio.all_tasks()
    hook = connector()
    await hook.close()
    await hook.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", hook.spec.port)
    await cancelled(hook.read())
    await hook.close()
    await hook.close()
    assert await reader.read() == b""
    writer.close()
    await until(lambda: not asyncio.all_tasks() - before, "a task is left")
    assert [one for one in sockets(hook.spec.port) if one.status == "LISTEN"] == []


async def test_a_port_that_is_taken_is_said() -> None:
    first = connector()
    async with opened(first):
        second = connector(port=first.spec.port)
        with pytest.raises(Unreachable, match="another program, or Isthmus itself, listens on"):
            await second.open()
        await second.close()


async def test_an_address_that_is_not_ours_is_refused() -> None:
    hook = connector(host="192.0.2.1")
    with pytest.raises(Refused, match=r"cannot listen on 192\.0\.2\.1"):
        await hook.open()
    await hook.close()


async def test_posts_come_over_tls(plant_ca: tuple[Path, Path]) -> None:
    ca, server = plant_ca
    hook = connector(tls={"cert": str(server)})
    body = b'{"state": "RUN"}'
    async with (
        opened(hook),
        httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=str(ca)), trust_env=False
        ) as client,
    ):
        url = f"https://localhost:{hook.spec.port}/"
        posting = asyncio.create_task(client.post(url, content=body, headers=signed(body)))
        await taken(hook)
        assert (await posting).status_code == 200
    lost = connector(tls={"cert": str(ca.parent / "absent.pem")})
    with pytest.raises(Refused, match="`tls`: cannot read"):
        await lost.open()
    await lost.close()


# An independent sender ----------------------------------------------------------------------------


@pytest.mark.peer
async def test_a_sender_on_node_is_believed_and_its_repetition_known() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js here")
    hook = connector(auth=STANDARD, id="webhook-id")
    url = f"http://127.0.0.1:{hook.spec.port}/"

    async def post(secret: str) -> str:
        script = Path(__file__).parent / "peers" / "post.mjs"
        process = await asyncio.create_subprocess_exec(
            node, str(script), url, secret, '{"state": "GRÜN"}', stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return out.decode().strip()

    async with opened(hook):
        posting = asyncio.create_task(post(SECRET))
        samples = await taken(hook)
        assert [await posting, await post(SECRET), await post("guess")] == ["200", "200", "401"]
        assert await read_once(hook) == []
    assert found(samples) == [(STATE, "GRÜN", GOOD)]
