"""REST interfaces against a server on loopback that remembers every request."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from isthmus.base.clock import SECOND, SystemClock, iso, parse_time
from isthmus.field.connector import AnyConnector, Refused, Unreachable
from isthmus.field.connectors.http import HttpConnector, HttpSource
from isthmus.field.connectors.http.connector import BAD_RESOURCE_UNAVAILABLE
from isthmus.field.values import (
    BAD_DECODING,
    BAD_NO_DATA,
    BAD_USER_ACCESS_DENIED,
    BAD_WAITING_FOR_INITIAL_DATA,
)
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD, UNCERTAIN
from isthmus.model.spec.site import SourceSpec
from isthmus.testing.connector_suite import (
    ConnectorContract,
    Device,
    Sample,
    Value,
    opened,
    read_once,
    read_until,
)
from isthmus.testing.rest_server import Request, Response, RestServer

STATE = "$.state"
TEMPERATURE = "machines/7#$.temp.melt"
AT = parse_time("2026-11-02T06:00:00Z")


def source(url: str, **keys: Any) -> HttpSource:
    given = {"interval": "20 ms", "timeout": "2 s"} | keys
    return HttpSource.model_validate({"url": url, **given})


def connector(server: RestServer, *tags: str, **keys: Any) -> HttpConnector:
    return HttpConnector("press_1", source(server.url, **keys), tags, SystemClock())


def found(samples: list[Sample]) -> list[tuple[str, Any, int]]:
    return [(sample.tag, sample.value, sample.quality) for sample in samples]


def always(document: Any) -> Callable[[Request], Response]:
    return lambda _: Response.json(document)


async def once(server: RestServer, *tags: str, **keys: Any) -> list[Sample]:
    async with opened(connector(server, *tags, **keys)) as http:
        return await read_once(http)


class Plant(RestServer):
    """An interface with two endpoints, for the contract suite."""

    def __init__(self) -> None:
        super().__init__(self._answer_)
        self.state: Value = "RUN"
        self.melt: Value = 210.5

    def _answer_(self, request: Request) -> Response:
        if request.headers.get("x-api-key") != "sesame":
            return Response(401)
        if request.path == "/":
            return Response.json({"state": self.state, "on": True})
        if request.path == "/machines/7":
            return Response.json({"temp": {"melt": self.melt}})
        return Response(404)

    async def set(self, tag: str, value: Value) -> None:
        assert tag == STATE
        self.state = value


class TestHttp(ConnectorContract):
    connector: ClassVar[type[AnyConnector]] = HttpConnector
    tags: ClassVar[Mapping[str, Value]] = {STATE: "RUN", "$.on": 1.0, TEMPERATURE: 210.5}
    change: ClassVar[tuple[str, Value]] = (STATE, "STOP")
    unknown: ClassVar[str] = "machines/8#$.state"
    lost_within: ClassVar[float] = 1.5
    key: ClassVar[str] = "sesame"

    @asynccontextmanager
    async def device(self) -> AsyncIterator[Device]:
        async with Plant() as plant:
            yield plant

    def spec(self, host: str, port: int) -> SourceSpec:
        auth = {"kind": "api_key", "api_key": self.key}
        return source(f"http://{host}:{port}", auth=auth, timeout="1 s")

    def refused_spec(self, host: str, port: int) -> SourceSpec | None:
        auth = {"kind": "api_key", "api_key": "open"}
        return source(f"http://{host}:{port}", auth=auth)

    def write_requests(self, sent: bytes) -> list[str]:
        lines = sent.decode("latin-1").split("\r\n")
        return [line for line in lines if line.endswith("HTTP/1.1") and line[:4] != "GET "]


# Addresses and keys -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("machines/7", "names no value"),
        ("../admin#$.x", "is no path below"),
        ("a/%2e%2e/b#$.x", "is no path below"),
        ("//evil.example/x#$.x", "is no path below"),
        ("https://evil.example#$.x", "is no path below"),
        ("a b#$.x", "is no path below"),
        ("$.x;format=days", "format=days"),
        ("$.x[", "JSONPath"),
    ],
)
def test_a_wrong_tag_says_what_is_wrong(tag: str, problem: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the text is compared below
        HttpSource.parse_tag(tag)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    "keys",
    [
        {"url": "ftp://x"},
        {"url": "https://user:word@x"},
        {"url": "https://x/?key=1"},
        {"auth": {"kind": "digest"}},
        {"paging": {"kind": "next", "next": "$["}},
        {"since": {"parameter": "from", "start": "2026-11-01"}},
        {"post": {}, "paging": {"kind": "link"}},
    ],
)
def test_a_wrong_key_is_a_problem_of_the_model(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source(**{"url": "https://x", **keys})


# States -------------------------------------------------------------------------------------------


async def test_values_come_as_json_has_them() -> None:
    document = {"a": 2**60, "b": None, "c": [1, 2], "d": "é", "e": False}
    tags = ("$.a", "$.b", "$.c", "$.d", "$.e", "$.f", "$.c[*]")
    async with RestServer(always(document)) as server:
        samples = await once(server, *tags)
    assert found(samples) == [
        ("$.a", str(2**60), GOOD),
        ("$.b", None, BAD_NO_DATA),
        ("$.c", "[1,2]", BAD_DECODING),
        ("$.d", "é", GOOD),
        ("$.e", 0.0, GOOD),
        ("$.f", None, BAD_NODE_UNKNOWN),
        ("$.c[*]", '{"a":1152921504606846976,"b":null,"c":[1,2],"d":"é","e":false}', BAD_DECODING),
    ]


async def test_a_state_with_an_own_time_comes_when_the_time_is_new() -> None:
    document = {"v": 5, "t": iso(AT)}
    async with (
        RestServer(lambda _: Response.json(document)) as server,
        opened(connector(server, "$.v;time=$.t")) as http,
    ):
        samples = await read_once(http)
        assert await read_once(http) == []
        document["t"] = iso(AT + SECOND)
        samples += await read_once(http)
        document["t"] = "soon"
        samples += await read_once(http)
        assert await read_once(http) == []
    assert [(s.value, s.quality) for s in samples] == [(5, GOOD), (5, GOOD), (5, UNCERTAIN)]
    assert [s.device_time for s in samples[:2]] == [AT, AT + SECOND]


async def test_tags_of_one_endpoint_share_a_request_and_params_are_sent() -> None:
    async with RestServer(always({"a": 1, "b": 2})) as server:
        await once(
            server, "x#$.a", "x#$.b", "y?z=1#$.a", params={"unit": "°C"}, headers={"x-p": "7"}
        )
        assert server.asked == ["/x?unit=°C", "/y?z=1&unit=°C"]
        assert {request.headers["x-p"] for request in server.requests} == {"7"}


async def test_one_endpoint_that_is_missing_is_bad_and_comes_back() -> None:
    there = {"/a", "/b"}

    def answer(request: Request) -> Response:
        if request.path == "/c":
            return Response(403)
        return Response.json({"v": 1}, etag='"1"') if request.path in there else Response(404)

    async with (
        RestServer(answer) as server,
        opened(connector(server, "a#$.v", "b#$.v", "c#$.v")) as http,
    ):
        first = await read_once(http)
        there.discard("/b")
        gone = await read_once(http)
        there.add("/b")
        back = await read_once(http)
    assert found(first) == [
        ("a#$.v", 1.0, GOOD), ("b#$.v", 1.0, GOOD), ("c#$.v", None, BAD_USER_ACCESS_DENIED),
    ]  # fmt: skip
    assert found(gone) == [("b#$.v", None, BAD_NODE_UNKNOWN)]
    assert found(back) == [("b#$.v", 1.0, GOOD)]


async def test_nothing_has_changed_is_no_sample_and_no_body() -> None:
    def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == '"7"':
            return Response(304)
        return Response.json({"v": 7}, etag='"7"', last_modified="Mon, 02 Nov 2026 06:00:00 GMT")

    async with RestServer(answer) as server:
        async with opened(connector(server, "$.v")) as http:
            samples = await read_once(http)
            assert await read_once(http) == []
        assert server.requests[1].headers["if-modified-since"].startswith("Mon, 02 Nov")
    assert found(samples) == [("$.v", 7.0, GOOD)]


# Rows ---------------------------------------------------------------------------------------------

ROWS = "$.v;rows=$.data[*];time=$.t"


def row(second: int, value: Any = None) -> dict[str, Any]:
    return {"t": iso(AT + second * SECOND), "v": second if value is None else value}


async def test_rows_come_once_by_their_own_time_however_the_answers_overlap() -> None:
    window: list[dict[str, Any]] = []
    async with (
        RestServer(lambda _: Response.json({"data": window})) as server,
        opened(connector(server, ROWS)) as http,
    ):
        empty = await read_once(http)
        window[:] = [row(3), row(2), row(1)]
        samples = await read_once(http)
        window[:] = [row(5), row(4), row(3), row(2)]
        samples += await read_once(http)
        window[:] = []
        assert await read_once(http) == []
        window[:] = [row(4), row(5), row(5, "corrected"), row(0)]  # late, and corrected
        samples += await read_once(http)
    assert found(empty) == [(ROWS, None, BAD_WAITING_FOR_INITIAL_DATA)]
    assert [(s.device_time - AT) // SECOND for s in samples] == [1, 2, 3, 4, 5, 0, 5]
    assert [s.value for s in samples] == [1, 2, 3, 4, 5, 0, "corrected"]


async def test_rows_of_several_kinds_are_told_apart_by_a_filter() -> None:
    data = [row(1) | {"n": "a"}, row(2) | {"n": "b"}, {"t": iso(AT), "n": "a", "alarm": 4}]
    tags = [f"$.v;rows=$.data[?@.n=='{name}'];time=$.t" for name in "ab"]
    async with RestServer(always({"data": data})) as server:
        samples = await once(server, *tags)
    assert found(samples) == [(tags[0], 1, GOOD), (tags[1], 2, GOOD)]


async def test_rows_without_times_are_refused_before_anything_is_asked() -> None:
    async with RestServer(always({})) as server:
        http = connector(server, "$.v;rows=$.data[*]")
        with pytest.raises(Refused, match="needs the time of each"):
            await http.open()
        assert server.requests == []


async def test_only_what_is_new_is_asked_for_also_after_a_restart() -> None:
    rows = [row(1), row(2)]

    def answer(request: Request) -> Response:
        since = request.query.get("from", "")
        return Response.json({"data": [one for one in rows if one["t"] >= since]})

    since = {"parameter": "from", "overlap": "1 s", "start": "2026-11-01T00:00:00Z"}
    async with RestServer(answer) as server:
        async with opened(connector(server, ROWS, since=since)) as http:
            samples = await read_once(http)
            kept = http.position()
        rows += [row(2, "late"), row(3)]
        again = connector(server, ROWS, since=since)
        assert kept is not None
        again.resume(kept)
        async with opened(again) as http:
            samples += await read_once(http)
            assert await read_once(http) == []
        asked = [request.query["from"] for request in server.requests]
    assert [s.value for s in samples] == [1, 2, "late", 3]
    assert [parse_time(text) for text in asked] == [
        parse_time("2026-11-01T00:00:00Z"), AT + 1 * SECOND, AT + 2 * SECOND,
    ]  # fmt: skip


async def test_a_place_the_answer_names_is_asked_with() -> None:
    def answer(request: Request) -> Response:
        place = int(request.query.get("after", 0))
        return Response.json({"data": [row(place)], "place": place + 1})

    async with RestServer(answer) as server:
        since = {"parameter": "after", "path": "$.place"}
        async with opened(connector(server, ROWS, since=since)) as http:
            samples = [*await read_once(http), *await read_once(http), *await read_once(http)]
        assert server.asked == ["/", "/?after=1", "/?after=2"]
    assert [s.value for s in samples] == [0, 1, 2]


async def test_a_row_from_the_future_does_not_hide_those_after_it() -> None:
    async with RestServer(always({"data": [{"t": "2999-01-01T00:00:00Z", "v": 1}]})) as server:
        async with opened(connector(server, ROWS, since={"parameter": "from"})) as http:
            await read_once(http)
            await read_once(http)
        assert parse_time(server.requests[1].query["from"]) <= SystemClock().now()


async def test_the_position_of_another_interface_is_passed_over() -> None:
    async with RestServer(always({"data": [row(1)]})) as server:
        for position in (b"\xff", b"[]", b"{}", b'{"http": 1, "of": "x", "endpoints": {}}'):
            http = connector(server, ROWS)
            http.resume(position)
            async with opened(http):
                assert found(await read_once(http)) == [(ROWS, 1, GOOD)]


# Pages --------------------------------------------------------------------------------------------


def paged(request: Request) -> Response:
    """Ten rows, three to a page, in whichever way is asked for."""
    start = int(request.query.get("start", 0)) + 3 * int(request.query.get("page", 0))
    after = start + 3
    more = after < 10
    document = {"data": [row(number) for number in range(start, min(after, 10))]}
    document["next"] = f"?start={after}" if more else None
    document["cursor"] = after if more else ""
    headers = (
        {"link": f'</?start=0>; rel="first", </x/../?start={after}>; rel="next"'} if more else {}
    )
    return Response.json(document, **headers)


@pytest.mark.parametrize(
    ("paging", "requests"),
    [
        ({"kind": "next", "next": "$.next"}, 4),
        ({"kind": "link"}, 4),
        ({"kind": "page", "first": 0, "items": "$.data[*]"}, 5),
        ({"kind": "page", "parameter": "start", "first": 0, "step": 3, "items": "$.data[*]"}, 5),
        ({"kind": "cursor", "cursor": "$.cursor", "parameter": "start"}, 4),
    ],
)
async def test_every_way_of_paging_brings_all_rows(paging: dict[str, Any], requests: int) -> None:
    async with (
        RestServer(paged) as server,
        opened(connector(server, ROWS, paging=paging)) as http,
    ):
        samples = await read_once(http)
        assert len(server.requests) == requests
        assert await read_once(http) == []
    assert [s.value for s in samples] == list(range(10))


async def test_a_declared_query_is_posted_with_its_page() -> None:
    bodies = []

    def answer(request: Request) -> Response:
        bodies.append(json.loads(request.body))
        assert request.method == "POST"
        more = len(bodies) < 2
        return Response.json({"data": [row(len(bodies))], "cursor": "abc" if more else None})

    paging = {"kind": "cursor", "cursor": "$.cursor"}
    async with RestServer(answer) as server:
        samples = await once(server, ROWS, post={"select": ["v"]}, paging=paging)
    assert bodies == [{"select": ["v"]}, {"select": ["v"], "cursor": "abc"}]
    assert [s.value for s in samples] == [1, 2]


async def test_very_many_pages_come_in_several_reads_and_a_stop_between_loses_nothing() -> None:
    """30,000 rows, newest first; the connector is given up in the middle and resumed."""

    def answer(request: Request) -> Response:
        page = int(request.query["page"])
        top = 30_000 - 5_000 * (page - 1)
        return Response.json(
            {"data": [row(number) for number in range(top, top - 5_000, -1)][: max(top, 0)]}
        )

    keys: dict[str, Any] = {
        "paging": {"kind": "page", "items": "$.data[*]"},
        "since": {"parameter": "from"},
        "timeout": "20 s",
    }
    async with RestServer(answer) as server:
        async with opened(connector(server, ROWS, **keys)) as http:
            first = await read_once(http)
            kept = http.position()
        assert len(first) == 10_000
        assert kept is not None
        again = connector(server, ROWS, **keys)
        again.resume(kept)
        async with opened(again) as http:
            rest = await read_until(http, lambda seen: len(seen) >= 20_000, 30)
        assert "from" not in server.requests[-1].query
    assert sorted(s.value for s in [*first, *rest]) == list(range(1, 30_001))


@pytest.mark.parametrize(
    ("document", "keys", "said"),
    [
        ({"next": "http://127.0.0.2/x"}, {}, "only its own host is asked"),
        ({"next": "?"}, {"most_pages": 3}, "more than 3 pages|leads to itself"),
        ({"next": "http://[x"}, {}, "at no address"),
        ({"next": {"href": "?p=2"}}, {}, "finds no single word"),
    ],
)
async def test_pages_that_lead_astray_are_refused(
    document: dict[str, Any], keys: dict[str, Any], said: str
) -> None:
    paging = {"kind": "next", "next": "$.next"}
    async with RestServer(always({"data": [row(1)], **document})) as server:
        with pytest.raises(Refused, match=said):
            await once(server, ROWS, paging=paging, **keys)


# When it says no ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "error", "said"),
    [
        (Response(404), Refused, "HTTP 404; is it there"),
        (Response(403), Refused, "HTTP 403; may we read it"),
        (Response(400), Refused, "HTTP 400"),
        (Response(500), Unreachable, "HTTP 500"),
        (Response(503), Unreachable, "HTTP 503"),
        (Response(200, b"<html>", {"content-type": "text/html"}), Refused, "no JSON but text/html"),
        (Response(200, b"[" * 100_000), Refused, "no JSON"),
        (Response(200, b" " * 2_000_000), Refused, "longer than 1 MB"),
        (Response(302, headers={"location": "http://127.0.0.2/"}), Refused, "its own host"),
        (Response(302, headers={"location": "http://[x"}), Refused, "leads to no address"),
        (Response(302, headers={"location": "/" + "x" * 70_000}), Unreachable, "no address"),
        (Response(302, headers={"location": "http://x:y/"}), Unreachable, "no address"),
        (Response(302, headers={"location": "/"}), Refused, "redirects more than 5 times"),
    ],
)
async def test_wrong_answers_say_what_is_wrong(
    response: Response, error: type[Exception], said: str
) -> None:
    async with RestServer(lambda _: response) as server:
        with pytest.raises(error, match=said):
            await once(server, "$.v", max_answer_mb=1)


async def test_redirects_on_the_same_host_are_followed() -> None:
    def answer(request: Request) -> Response:
        if request.path == "/old":
            return Response(308, headers={"location": "/new?x=1"})
        return Response.json({"v": 1})

    async with RestServer(answer) as server:
        samples = await once(server, "old#$.v")
        assert server.asked == ["/old", "/new?x=1"]
    assert found(samples) == [("old#$.v", 1.0, GOOD)]


async def test_too_many_requests_are_answered_with_patience() -> None:
    """Short waits say nothing; while a long one lasts nobody knows what is true."""
    waits = ["", "0", "3600"]

    def answer(_: Request) -> Response:
        wait = waits.pop(0) if waits else ""
        return Response(429, headers={"retry-after": wait}) if wait else Response.json({"v": 1})

    async with (
        RestServer(answer) as server,
        opened(connector(server, "$.v")) as http,
    ):
        samples = await read_once(http)
        assert await read_once(http) == []  # come again at once
        bad = await read_once(http)
        asked = len(server.requests)
        assert await read_once(http) == []
        assert len(server.requests) == asked, "it is left alone"
        http._quiet_until = 0.0  # the hour is over
        back = await read_once(http)
    assert found(samples) == found(back) == [("$.v", 1.0, GOOD)]
    assert found(bad) == [("$.v", None, BAD_RESOURCE_UNAVAILABLE)]


async def test_a_date_to_come_again_is_understood() -> None:
    headers = {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}
    async with RestServer(lambda _: Response(503, headers=headers)) as server:
        async with opened(connector(server, "$.v")) as http:
            assert await read_once(http) == []
            assert await read_once(http) == []
        assert len(server.requests) == 2, "that date is over"


async def test_an_answer_that_trickles_is_given_up_in_time() -> None:
    async with RestServer(lambda _: None) as server:
        with pytest.raises(Unreachable, match=r"no whole answer within 0\.2 s"):
            await once(server, "$.v", timeout="200 ms")


def test_the_spec_shows_no_secret() -> None:
    auth = {"kind": "basic", "user": "u", "password": "sesame"}
    assert "sesame" not in repr(source("https://x", auth=auth))
