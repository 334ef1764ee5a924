"""The REST API of the real application over a real lake."""

import re
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from httpx import AsyncClient, Response
from tests.docs.left_english import english_in

from isthmus.apps.oee.kpi import kpi
from isthmus.base.clock import HOUR, SECOND, iso, parse_time

from .conftest import LINE, NOW, REPOSITORY, STANDING, STANDING_SINCE, Door

EARLY = "2026-11-17T05:00:00Z"
TO = iso(NOW)
STOP = f"{STANDING}@{STANDING_SINCE}"


def bearer(door: Door, role: str, name: str = "") -> dict[str, str]:
    door.accounts.revoke_token(name or role)
    return {"Authorization": f"Bearer {door.accounts.create_token(name or role, role)}"}


@pytest.fixture
def api(reading: Door) -> AsyncClient:
    client = reading.client()
    client.headers.update(bearer(reading, "viewer"))
    return client


async def rows(client: AsyncClient, url: str, **params: str | int) -> Any:
    answer = await client.get(f"/api/v1/{url}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def error(answer: Response) -> dict[str, str]:
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, str] = answer.json()["error"]
    assert set(found) == {"code", "message", "hint"}
    return found


async def test_kpi_is_what_the_use_case_computes(api: AsyncClient, reading: Door) -> None:
    (row,) = await rows(api, "kpi", scope="acme/hamburg", **{"from": EARLY, "to": TO})
    works = reading.works
    (want,) = kpi(works.lake.query, works.plant, "acme/hamburg", parse_time(EARLY), NOW, now=NOW)
    assert row["oee"] == pytest.approx(want["oee"])
    assert row == want.as_dict()
    assert (row["scope"], row["from"], row["to"]) == ("acme/hamburg", EARLY, TO)


async def test_kpi_has_every_name_the_reference_promises(api: AsyncClient) -> None:
    promised = [
        "scope",
        "group",
        "from",
        "to",
        "availability",
        "effectiveness",
        "quality_ratio",
        "oee",
        "nee",
        "coverage",
        "pbt_s",
        "apt_s",
        "aust_s",
        "adet_s",
        "adot_s",
        "unknown_s",
        "produced",
        "good",
        "scrap",
        "rework",
        "ideal_s",
        "ideal_good_s",
        "reasons_null",
    ]
    (row,) = await rows(api, "kpi")
    assert set(promised) <= set(row)


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("site", ["acme/graz", "acme/hamburg"]),
        ("shift", ["2026-11-16 night", "2026-11-17 early"]),
        ("day", ["2026-11-16", "2026-11-17"]),
        ("material", ["cap-80"]),
    ],
)
async def test_kpi_by_group(api: AsyncClient, by: str, groups: list[str]) -> None:
    found = await rows(api, "kpi", by=by, **{"from": "2026-11-17T00:00:00Z", "to": TO})
    assert [row["group"] for row in found if not row["group"].startswith("no ")] == groups


async def test_machines_say_what_they_do_now(api: AsyncClient) -> None:
    found = {one["path"]: one for one in await rows(api, "machines", scope="acme/hamburg")}
    assert len(found) == 8
    standing = found[STANDING]
    assert (standing["state"], standing["kind"]) == ("aborted", "unclassified")
    assert standing["since"] == iso(STANDING_SINCE)
    assert standing["connected"] is None
    one = await rows(api, f"machines/{STANDING}")
    assert one == standing


async def test_states_tile_the_window(api: AsyncClient) -> None:
    found = await rows(api, f"machines/{STANDING}/states", **{"from": EARLY, "to": TO})
    assert (found[0]["start"], found[-1]["end"]) == (EARLY, TO)
    assert all(a["end"] == b["start"] for a, b in pairwise(found))
    assert (found[-1]["kind"], found[-1]["stop"]) == ("unclassified", STOP)
    assert re.fullmatch(r"47\d\d", found[-1]["order"])


async def test_a_series_keeps_every_peak_and_few_points(api: AsyncClient, reading: Door) -> None:
    found = await rows(
        api, f"machines/{LINE}/im-02/series", block="injection_cycle", field="melt_temp",
        points=100, **{"from": iso(NOW - HOUR), "to": TO},
    )  # fmt: skip
    assert found["unit"] == "Cel"
    assert 20 < len(found["time"]) == len(found["value"]) <= 110
    sql = f"SELECT max(melt_temp) AS top FROM injection_cycle WHERE machine = '{LINE}/im-02'"
    assert max(found["value"]) == reading.works.lake.query(sql)["top"][0].as_py()
    assert found["time"] == sorted(found["time"])


async def test_stops_are_listed_longest_first(api: AsyncClient) -> None:
    found = await rows(api, "stops", scope=LINE)
    assert STOP in [stop["id"] for stop in found]
    lengths = [stop["seconds"] for stop in found]
    assert lengths == sorted(lengths, reverse=True)


async def test_a_reason_is_given_and_taken_back(writing: Door) -> None:
    async with writing.client() as client:
        client.headers.update(bearer(writing, "operator"))
        url = f"/api/v1/stops/{STOP}/reason"
        given = await client.post(url, json={"reason": "hydraulics", "comment": "hose"})
        assert given.status_code == 201
        (stop,) = [one for one in await rows(client, "stops", scope=STANDING) if one["id"] == STOP]
        assert [(one["reason"], one["comment"], one["author"]) for one in stop["reasons"]] == [
            ("hydraulics", "hose", "operator")
        ]
        writing.works.clock.at += SECOND
        assert (await client.delete(url)).status_code == 204
        assert error(await client.delete(url))["code"] == "no_reason"
    assert writing.works.lake.query("SELECT * FROM stop_reason").num_rows == 0


async def test_shifts_are_elapsed_time_by_line(api: AsyncClient) -> None:
    window = {"from": EARLY, "to": "2026-11-17T13:00:00Z"}
    (shift,) = await rows(api, "shifts", scope=LINE, **window)
    assert shift == {
        "site": "hamburg", "line": LINE, "shift": "early", "day": "2026-11-17",
        "start": EARLY, "end": "2026-11-17T13:00:00Z", "seconds": 8 * 3600.0,
    }  # fmt: skip


async def test_the_model_is_published_without_secrets(api: AsyncClient) -> None:
    model = await rows(api, "model")
    assert (model["enterprise"], [site["name"] for site in model["sites"]]) == (
        "acme", ["graz", "hamburg"]
    )  # fmt: skip
    (melt,) = [
        field
        for block in model["blocks"]
        for field in block["fields"]
        if (block["block"], field["name"]) == ("injection_cycle", "melt_temp")
    ]
    assert melt["unit"] == "Cel"
    assert not re.search(r"endpoint|password|opc\.tcp|127\.0\.0\.1", str(model))


async def test_sources_are_listed_with_their_machines(api: AsyncClient) -> None:
    found = {one["name"]: one for one in await rows(api, "sources", scope="acme/graz")}
    assert set(found) == {"machining-agent", "cell-a", "cell-b"}
    assert len(found["machining-agent"]["machines"]) == 3


async def test_a_long_list_comes_in_parts(api: AsyncClient) -> None:
    whole = await rows(api, f"machines/{STANDING}/states")
    url = f"/api/v1/machines/{STANDING}/states?limit=15"
    got: list[Any] = []
    while url:
        answer = await api.get(url)
        assert answer.headers["x-total-count"] == str(len(whole))
        got += answer.json()
        following = re.match(r'<([^>]+)>; rel="next"', answer.headers.get("link", ""))
        url = following[1] if following else ""
    assert got == whole


# In German --------------------------------------------------------------------------------------

CONNECT = "/api/v1/connect"
ENGLISH, GERMAN = "extra inputs are not permitted", "ist hier nicht erlaubt"
NO_MACHINE = {"do": "clone_machine", "original": "a/b/c/d", "copy": "a/b/c/e"}
REFUSED: list[tuple[str, str, Any]] = [
    ("GET", "/api/v1/nothing", None),
    ("PUT", "/api/v1/sources", {}),
    ("GET", "/api/v1/sources?scop=acme", None),
    ("GET", "/api/v1/sources?scope=acme/hamburk", None),
    ("GET", "/api/v1/machines/acme/nowhere", None),
    ("GET", "/api/v1/ledger?from=today", None),
    ("GET", "/api/v1/ledger?from=2026-11-17T05:00:00", None),
    ("GET", "/api/v1/quarantine?limit=many", None),
    ("GET", "/api/v1/kpi?by=moon", None),
    ("POST", "/api/v1/sql", {"sql": "SELECT 1; SELECT 2"}),
    ("POST", "/api/v1/sql", "no JSON"),
    ("GET", f"{CONNECT}/nobody/nodes", None),
    ("GET", f"{CONNECT}/im-01/trial", None),
    ("DELETE", f"{CONNECT}/drafts/nobody", None),
    ("PUT", f"{CONNECT}/drafts/New", {"site": "hamburg", "entry": {"kind": "modbus"}}),
    ("PUT", f"{CONNECT}/drafts/new", {"site": "nowhere", "entry": {"kind": "modbus"}}),
    ("PUT", f"{CONNECT}/drafts/new", {"site": "hamburg", "entry": {"kind": "modbus"}}),
    ("PUT", f"{CONNECT}/drafts/new", {"site": "hamburg", "entries": {}}),
    ("PUT", f"{CONNECT}/drafts/new", "no JSON"),
    ("POST", f"{CONNECT}/im-01/trial", {"seconds": "long"}),
    ("POST", f"{CONNECT}/im-01/crawl", {"again": 5}),
    ("POST", f"{CONNECT}/line-2-gateway/trust", {"fingerprint": "3A"}),
    ("POST", f"{CONNECT}/press-1/ways", {}),
    ("POST", f"{CONNECT}/proposals", {"source": "im-01", "machine": "acme/nowhere"}),
    ("POST", f"{CONNECT}/apply", {"source": "nobody", "choices": [], "digest": "0"}),
    ("POST", f"{CONNECT}/apply", {"source": "im-01", "line": "a", "choices": [], "digest": "0"}),
    ("POST", f"{CONNECT}/preview", {"change": {"do": "switch_source", "source": "im", "on": True}}),
    ("POST", f"{CONNECT}/preview", {"change": {"do": "move"}}),
    ("POST", f"{CONNECT}/revise", {"change": NO_MACHINE, "digest": "0"}),
    ("POST", f"{CONNECT}/revise", {"change": {"do": "undo", "undo": "x"}, "digest": "0"}),
]


@pytest.mark.parametrize(("method", "path", "body"), REFUSED)
async def test_what_is_refused_is_german_to_who_asks_for_it_with_the_same_code(
    engineer: AsyncClient, method: str, path: str, body: Any
) -> None:
    sent = {"content": body} if isinstance(body, str) else {"json": body} if body else {}
    english = await engineer.request(method, path, **sent)
    other = await engineer.request(
        method, path, **sent, headers={"Accept-Language": "de-AT,de;q=0.9,en;q=0.8"}
    )
    (was, now) = (answer.json()["error"] for answer in (english, other))
    assert english.status_code == other.status_code >= 400
    assert was["code"] == now["code"]
    assert now["message"] != was["message"]
    assert english_in(now["message"]) == english_in(now["hint"]) == []
    assert not was["hint"] or now["hint"] != was["hint"]


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("", 401)])
async def test_who_may_not_is_told_so_in_german(reading: Door, role: Any, status: int) -> None:
    headers = {"Accept-Language": "de"} | (bearer(reading, role) if role else {})
    answer = await reading.client().get(f"{CONNECT}/drafts", headers=headers)
    assert answer.status_code == status
    assert english_in(answer.json()["error"]["message"]) == []
    assert "Rolle" in answer.text or "Sitzung" in answer.text


@pytest.mark.parametrize(
    ("path", "accepted", "body", "said"),
    [
        ("crawl", "de", {}, GERMAN),
        ("crawl?language=en", "de", {}, ENGLISH),
        ("crawl?language=de", "en", {}, GERMAN),
        ("proposals", "en", {"language": "de"}, GERMAN),
        ("proposals", "de", {"language": "en"}, ENGLISH),
        ("proposals", "en-GB,en;q=0.9,de;q=0.8", {}, ENGLISH),
        ("proposals", "fr, de;q=0.5", {}, GERMAN),
        ("proposals", "fr;q=x, *;q=0.1", {}, ENGLISH),
    ],
)
async def test_the_language_is_asked_for_in_the_address_the_body_or_the_header(
    engineer: AsyncClient, path: str, accepted: str, body: dict[str, Any], said: str
) -> None:
    wrong = body | {"source": 5, "again": "what"}
    where = f"{CONNECT}/im-01/{path}" if path.startswith("crawl") else f"{CONNECT}/{path}"
    answer = await engineer.post(where, json=wrong, headers={"Accept-Language": accepted})
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]


async def test_the_plan_is_german_to_who_prefers_german(engineer: AsyncClient) -> None:
    body = {"change": {"do": "switch_source", "source": "im-02", "on": False}}
    accepted = {"Accept-Language": "de"}
    found = (await engineer.post(f"{CONNECT}/preview", json=body, headers=accepted)).json()
    assert "unterbricht im-02" in found["plan"]


# SQL --------------------------------------------------------------------------------------------


@pytest.fixture
def engineer(reading: Door) -> AsyncClient:
    client = reading.client()
    client.headers.update(bearer(reading, "engineer"))
    return client


async def ask(client: AsyncClient, sql: str, accept: str = "*/*", **more: int) -> Response:
    return await client.post("/api/v1/sql", json={"sql": sql, **more}, headers={"Accept": accept})


async def test_sql_answers_with_columns_and_rows(engineer: AsyncClient) -> None:
    sql = """SELECT machine, max(time) AS last, sum(good)::HUGEINT AS good, 0.0 / 0 AS nothing
        FROM part_count WHERE machine LIKE '%/im-02' GROUP BY machine"""
    found = (await ask(engineer, sql)).json()
    assert found["columns"][:2] == [
        {"name": "machine", "type": "string"},
        {"name": "last", "type": "timestamp[us, tz=UTC]"},
    ]
    (row,) = found["rows"]
    assert (row["machine"], row["nothing"]) == (f"{LINE}/im-02", None)
    assert parse_time(row["last"]) < NOW
    assert isinstance(row["good"], int)
    assert found["truncated"] is False


async def test_sql_as_csv_and_as_arrow(engineer: AsyncClient) -> None:
    sql = "SELECT machine, name FROM machine ORDER BY machine LIMIT 2"
    text = await ask(engineer, sql, "text/csv")
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    assert text.text.splitlines()[0] == "machine,name"
    stream = await ask(engineer, sql, "application/vnd.apache.arrow.stream")
    assert pa.ipc.open_stream(stream.content).read_all().num_rows == 2


async def test_sql_says_when_there_was_more(engineer: AsyncClient) -> None:
    answer = await ask(engineer, "SELECT * FROM machine_state", max_rows=5)
    assert (len(answer.json()["rows"]), answer.json()["truncated"]) == (5, True)
    assert answer.headers["x-truncated"] == "true"


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE machine_state",
        "SELECT 1; SELECT 2",
        "INSERT INTO machine VALUES (1)",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv_auto('accounts.sqlite')",
        "SELECT * FROM '/etc/passwd'",
        "COPY machine TO 'out.csv'",
        "ATTACH 'accounts/accounts.sqlite' AS a",
        "SELECT getenv('HOME')",
        "PRAGMA database_list",
        "SET memory_limit = '100GB'",
        "SELEC machine",
        "SELECT * FROM nowhere",
        "",
    ],
)
async def test_sql_that_is_no_harmless_select_is_refused(engineer: AsyncClient, sql: str) -> None:
    answer = await ask(engineer, sql)
    assert answer.status_code in {400, 422}
    said = error(answer)
    assert said["message"]
    assert "root:" not in answer.text


# Who may ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "method", "url", "status"),
    [
        ("viewer", "POST", "sql", 403),
        ("operator", "POST", "sql", 403),
        ("engineer", "POST", "sql", 200),
        ("viewer", "POST", f"stops/{STOP}/reason", 403),
        ("viewer", "DELETE", f"stops/{STOP}/reason", 403),
        ("viewer", "GET", "kpi", 200),
    ],
)
async def test_each_role_may_what_it_may(
    reading: Door, role: str, method: str, url: str, status: int
) -> None:
    body = {"sql": "SELECT 1 AS one"} if url == "sql" else {"reason": "hydraulics"}
    async with reading.client() as client:
        answer = await client.request(
            method, f"/api/v1/{url}", headers=bearer(reading, role),
            json=None if method == "GET" else body,
        )  # fmt: skip
    assert answer.status_code == status
    if status == 403:
        said = error(answer)
        assert said["code"] == "forbidden"
        assert role in said["message"]


@pytest.mark.parametrize("url", ["kpi", "ledger", "machines", "model", "openapi.json", "nowhere"])
async def test_nobody_comes_in_without_a_token(reading: Door, url: str) -> None:
    async with reading.client() as client:
        answer = await client.get(f"/api/v1/{url}")
        guessed = await client.get(f"/api/v1/{url}", headers={"Authorization": "Bearer ist_x"})
    assert (answer.status_code, guessed.status_code) == (401, 401)
    assert error(answer)["code"] == "unauthorized"


async def test_a_browser_session_needs_its_token_to_write(reading: Door) -> None:
    async with reading.client("engineer") as client:
        assert (await client.get("/api/v1/kpi")).status_code == 200
        said = error(await client.post("/api/v1/sql", json={"sql": "SELECT 1"}))
    assert said["code"] == "forbidden"


# What is wrong is said ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "status", "code", "says"),
    [
        ("kpi?scope=acme/hamburq", 404, "unknown_scope", "did you mean `acme/hamburg`?"),
        ("kpi?scope=%27%3B%20DROP%20TABLE%20x--", 404, "unknown_scope", "lists all paths"),
        ("kpi?by=shft", 400, "unknown_grouping", "did you mean `shift`?"),
        ("kpi?from=yesterday", 400, "bad_time", "`from`: `yesterday` is no ISO 8601 time"),
        ("kpi?from=2026-11-17T05:00:00", 400, "bad_time", "has no time zone"),
        ("kpi?from=2026-11-17T05:00:00+01:00", 400, "bad_time", "write `+` as `%2B`"),
        ("kpi?from=1970-01-01T00:00:00Z", 400, "bad_time", "before the year 2000"),
        ("kpi?from=2027-01-01T00:00:00Z", 400, "empty_window", "is not before"),
        ("kpi?form=2026-11-17T05:00:00Z", 400, "unknown_parameter", "did you mean `from`?"),
        ("stops?from=2020-01-01T00:00:00Z", 400, "window_too_long", "at most 31"),
        ("machines?limit=0", 422, "invalid", "`limit`: "),
        ("machines?limit=many", 422, "invalid", "`limit`: "),
        ("machines/acme/hamburg/moulding/line-1/im-99", 404, "unknown_machine", "did you mean"),
        (f"machines/{STANDING}/series", 422, "invalid", "`block`: field required"),
        (f"machines/{STANDING}/series?block=x%22&field=y", 404, "unknown_field", "numeric fields"),
        (f"machines/{STANDING}/series?block=machine_state&field=state", 400, "not_numeric", "enum"),
        ("ledger?source=im-0l", 404, "unknown_source", "did you mean `im-0"),
        ("quarantine?code=DROP", 422, "invalid", "`code`: "),
        ("nowhere", 404, "not_found", "openapi.json"),
    ],
)
async def test_a_wrong_question_is_answered_with_what_is_wrong(
    api: AsyncClient, url: str, status: int, code: str, says: str
) -> None:
    answer = await api.get(f"/api/v1/{url}")
    said = error(answer)
    assert (answer.status_code, said["code"]) == (status, code)
    assert says in f"{said['message']} {said['hint']}"


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        ('{"sql": "SELECT 1"}', "text/plain", 415, "not_json"),
        ("sql=SELECT+1", "application/x-www-form-urlencoded", 415, "not_json"),
        ('{"sql": ', "application/json", 422, "invalid"),
        ('{"sql": 7}', "application/json", 422, "invalid"),
        ('{"sql": "SELECT 1", "write": true}', "application/json", 422, "invalid"),
        ("{}", "application/json", 422, "invalid"),
        ('{"sql": "' + "x" * 60_000 + '"}', "application/json", 422, "invalid"),
        ('{"sql": "' + "x" * 300_000 + '"}', "application/json", 413, "too_large"),
    ],
)
async def test_a_body_must_be_the_json_that_is_expected(
    engineer: AsyncClient, body: str, kind: str, status: int, code: str
) -> None:
    answer = await engineer.post("/api/v1/sql", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, error(answer)["code"]) == (status, code)
    assert len(answer.text) < 1000


@pytest.mark.parametrize(
    ("stop", "body", "status", "code"),
    [
        (STOP, {"reason": "hydraulik"}, 400, "unknown_reason"),
        (f"{STANDING}@1", {"reason": "hydraulics"}, 404, "unknown_stop"),
        (f"{STANDING}@soon", {"reason": "hydraulics"}, 404, "unknown_stop"),
        ("nowhere@1", {"reason": "hydraulics"}, 404, "unknown_stop"),
        (STOP, {"reason": ""}, 422, "invalid"),
        (STOP, {"reason": "hydraulics", "comment": "x" * 2000}, 422, "invalid"),
    ],
)
async def test_a_reason_that_fits_nothing_is_refused_and_nothing_is_written(
    reading: Door, stop: str, body: dict[str, str], status: int, code: str
) -> None:
    async with reading.client() as client:
        answer = await client.post(
            f"/api/v1/stops/{stop}/reason", json=body, headers=bearer(reading, "operator")
        )
    assert (answer.status_code, error(answer)["code"]) == (status, code)
    assert reading.works.lake.query("SELECT * FROM stop_reason").num_rows == 0


# It is documented ---------------------------------------------------------------------------------


async def test_every_endpoint_is_documented(api: AsyncClient) -> None:
    document = await rows(api, "openapi.json")
    page = (REPOSITORY / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) >= 15
    for method, path, operation in operations:
        assert f"`{method.upper()} /api/v1{path}`" in page, path
        assert operation["description"], path
        assert operation["tags"], path
        assert {"400", "401", "403", "422"} <= set(operation["responses"]), path
        for parameter in operation.get("parameters", []):
            name = parameter["name"]
            assert f"`{name}`" in page, f"{path}: {name}"


async def test_every_field_of_an_answer_has_a_type(api: AsyncClient) -> None:
    document = await rows(api, "openapi.json")
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description") or name.startswith(("HTTPValidation", "Validation")), name
        for field, said in schema.get("properties", {}).items():
            assert {"type", "anyOf", "oneOf", "$ref", "enum", "items"} & set(said), (
                f"{name}.{field}"
            )


async def test_the_ledger_without_samples_says_nothing_is_missing(api: AsyncClient) -> None:
    found = await rows(api, "ledger", **{"from": EARLY, "to": iso(NOW - HOUR)})
    assert found["verdict"]["lost"] == 0
    assert all(one["complete"] for one in found["sequences"])
